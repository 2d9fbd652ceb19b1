"""FastAPI: one deadline for everything that a request does, as a dependency.

    app = FastAPI(dependencies=[Depends(request_deadline(2.5))])

Calls that the endpoint makes inherit what is left of it, also in threads of sync endpoints: `resilience.remaining`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import timedelta

from resilience.policies.deadline import Deadline

__all__ = ["request_deadline"]


def request_deadline(seconds: float | timedelta) -> Callable[[], AsyncGenerator[None]]:
    """Return a dependency that limits a request to *seconds*, from its first dependency to the endpoint's result.

    An async endpoint is cancelled when the time has passed; a sync one is not interrupted, but its guarded calls keep
    to the deadline. Either raises `DeadlineExceededError`, which `resilience.integrations.http.starlette` answers with
    504. A route may have a shorter one of its own: the earlier deadline wins. The body of a streaming response is
    sent after the dependency has ended, and has no deadline.

    Raises TypeError or ValueError for what is no duration.
    """
    limit = Deadline(seconds)

    async def within_deadline() -> AsyncGenerator[None]:
        async with limit:
            yield

    return within_deadline
