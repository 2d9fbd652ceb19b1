"""Dramatiq: actors that are retried by category, after as many seconds as the failure asks for.

    broker = RedisBroker(middleware=middleware())

In place of Dramatiq's `Retries`, which repeats every failure 20 times.
"""

from __future__ import annotations

from typing import Any

from dramatiq import Broker, MessageProxy
from dramatiq.errors import Retry
from dramatiq.middleware import Middleware, Retries, default_middleware

from resilience.categories import CategoryLike
from resilience.integrations.retry_hooks import countdown_for
from resilience.policies.backoff import Backoff

__all__ = ["CategoryRetries", "middleware"]

_BACKOFF = Backoff(max_delay=600.0)


class CategoryRetries(Retries):
    """Dramatiq's `Retries`, for failures alone for which `countdown_for` returns a countdown, and after so long.

    The options of actors stay: ``max_retries`` (5 unless given to this), ``retry_when``, ``throws`` and
    ``on_retry_exhausted``. A message whose failure is not retried has failed at once, with ``on_retry_exhausted``
    called as at the end of retries. Dramatiq's own `Retry` passes untouched.
    """

    def __init__(self, *on: CategoryLike, max_retries: int = 5, backoff: Backoff = _BACKOFF) -> None:
        super().__init__(max_retries=max_retries)
        self._on = on
        self._backoff = backoff

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """Decide about a message that has failed; called by the worker."""
        if exception is not None and not isinstance(exception, Retry):
            exception = self._as_retry(message, exception)
        untyped: Any = super()
        untyped.after_process_message(broker, message, result=result, exception=exception)

    def _as_retry(self, message: MessageProxy, exception: BaseException) -> BaseException:
        """Return what makes Dramatiq retry after the countdown of *exception*, or else end the message."""
        countdown = countdown_for(exception, message.options.get("retries", 0), *self._on, backoff=self._backoff)
        if countdown is None:
            message.options["max_retries"] = 0
            return exception
        return Retry(delay=int(countdown * 1000))


def middleware(retries: CategoryRetries | None = None) -> list[Middleware]:
    """Return Dramatiq's default middleware for a broker, with *retries* in place of its `Retries`."""
    made: list[Middleware] = []
    for kind in default_middleware:
        if kind is Retries:
            made.append(retries or CategoryRetries())
        else:
            made.append(kind())
    return made
