"""Celery: tasks that are retried by category, after as many seconds as the failure asks for.

    @app.task(bind=True, max_retries=5)
    @retry_task()
    def charge(task, order: int) -> str: ...

In place of ``autoretry_for=(Exception,)``, which repeats a declined card five times, and waits as long after a deadlock
as after a Retry-After of an hour.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from resilience.categories import CategoryLike
from resilience.integrations.retry_hooks import countdown_for
from resilience.policies.backoff import Backoff

__all__ = ["retry_task"]

P = ParamSpec("P")
R = TypeVar("R")
_BACKOFF = Backoff(max_delay=600.0)


def retry_task(
    *on: CategoryLike, backoff: Backoff = _BACKOFF
) -> Callable[[Callable[Concatenate[Any, P], R]], Callable[Concatenate[Any, P], R]]:
    """Have a bound task retried by Celery, where `countdown_for` returns a countdown for its failure.

    Stands below ``@app.task(bind=True)``, whose ``max_retries`` ends the retries (3 unless given; the failure is then
    that of the last run). Celery's own `Retry`, `Ignore` and `Reject` pass untouched, as does every failure that is not
    retried, and any failure of a task that was called as a plain function.

    Celery acknowledges a task when a worker takes it: ``acks_late=True`` is for one that must survive its worker. With
    Redis as the broker a gap is left, since a worker takes a message and notes that it has taken it in two steps:
    killed between the two it loses the message. RabbitMQ has no such gap, nor has a worker that is stopped by SIGTERM,
    which ends after the running task.
    """

    def decorate(function: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
        @functools.wraps(function)
        def run(task: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(task, *args, **kwargs)
            except Exception as error:
                countdown = countdown_for(error, task.request.retries, *on, backoff=backoff)
                if countdown is None or task.request.called_directly:
                    raise
                raise task.retry(exc=error, countdown=countdown) from error

        return run

    return decorate
