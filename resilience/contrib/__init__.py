"""Interfaces of other systems, for programs that move to this toolkit or talk to one that has not.

    resilience.contrib.executor     errors of a service that generates code and executes it
    resilience.contrib.service      errors of a distributed LLM service, with their words and HTTP statuses
    resilience.contrib.legacy       retries, a circuit and a classifier with the signatures of two older services

The core imports none of them. Each declares its error codes, and the words its errors have in an HTTP answer, when it
is imported, and not before: `resilience codes` and `error_from_response` know what the program has imported.
"""

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience.contrib import executor, legacy, service

__all__ = ["executor", "legacy", "service"]

attach_lazy(__name__, {}, ("executor", "legacy", "service"))
