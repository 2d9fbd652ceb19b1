"""Integrations: one module per library or protocol that the toolkit works together with.

    resilience.integrations.logging         events as log lines, through structlog or the standard library
    resilience.integrations.http            errors as HTTP answers and back: Starlette, Django, any ASGI or WSGI server
    resilience.integrations.deadlines       deadlines that travel with a request: ASGI, WSGI and gRPC servers
    resilience.integrations.prometheus      metrics for prometheus_client, in one process or several
    resilience.integrations.opentelemetry   metrics and spans for OpenTelemetry
    resilience.integrations.tenacity        tenacity's waits, stops and predicates in a retry
    resilience.integrations.pybreaker       pybreaker's listeners and storages around a circuit
    resilience.integrations.sqlalchemy      a function in a transaction, which is retried as a whole; the same in
                                            `psycopg`, `asyncpg` and `django`
    resilience.integrations.retry_hooks     answers for frameworks that retry by themselves, such as LangGraph
    resilience.integrations.celery          tasks that Celery retries by category; the same in `arq` and `dramatiq`
    resilience.integrations.fastapi         a deadline for each request

No library is imported before its integration is used. The core knows of two of them: a retry takes tenacity's
strategies, and a circuit passes for a `pybreaker.CircuitBreaker`. Those two lie below the core, the others above it.
"""
