"""arq: jobs that are retried by category, after as many seconds as the failure asks for.

    @retry_job()
    async def charge(ctx: dict[str, Any], order: int) -> str: ...

Without it arq retries a job only where that raises `arq.Retry`, and where its worker is stopped.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from resilience.categories import CategoryLike
from resilience.integrations.retry_hooks import countdown_for
from resilience.policies.backoff import Backoff

__all__ = ["retry_job"]

P = ParamSpec("P")
R = TypeVar("R")
_BACKOFF = Backoff(max_delay=600.0)


def retry_job(
    *on: CategoryLike, attempts: int = 5, backoff: Backoff = _BACKOFF
) -> Callable[
    [Callable[Concatenate[dict[Any, Any], P], Coroutine[Any, Any, R]]],
    Callable[Concatenate[dict[Any, Any], P], Coroutine[Any, Any, R]],
]:
    """Have a job retried by arq, where `countdown_for` returns a countdown for its failure.

    *attempts* are all runs, the first one included, of which the last raises its own failure; keep it at most the
    worker's ``max_tries``, 5 unless given, beyond which arq raises one of its own. `arq.Retry` passes untouched, as
    does every failure that is not retried.
    """

    def decorate(
        function: Callable[Concatenate[dict[Any, Any], P], Coroutine[Any, Any, R]],
    ) -> Callable[Concatenate[dict[Any, Any], P], Coroutine[Any, Any, R]]:
        @functools.wraps(function)
        async def run(ctx: dict[Any, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return await function(ctx, *args, **kwargs)
            except Exception as error:
                made = int(ctx.get("job_try", attempts))
                countdown = countdown_for(error, made - 1, *on, backoff=backoff)
                if countdown is None or made >= attempts:
                    raise
                retry: Any = importlib.import_module("arq").Retry
                raise retry(defer=countdown) from error

        return run

    return decorate
