"""The effect `Race`: copies of one async call in a task group. The first success wins, the others are cancelled."""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Sequence

from resilience._runtime.carried_context import copy_back
from resilience._runtime.protocol import Call, Policy, Race
from resilience.outcome import Outcome

__all__ = ["race"]


async def race(
    effect: Race, drive: Callable[[Sequence[Policy], int, Call, int], Awaitable[Outcome]], call: Call
) -> Outcome:
    """Run what is inside the policy that yielded *effect*, and copies of it; return the outcome that counts.

    The first copy runs in the caller's own task, the others in tasks that begin *delay* seconds after one another.
    """
    if not call.suspended:  # no driver has called this policy
        raise TypeError(f"{call.target} is a block: Race cannot run it twice")
    from resilience._runtime.callables import is_generator

    if is_generator(call.function):
        raise TypeError(f"{call.target} is a generator function: Race cannot run it twice")
    import anyio

    depth = call.base + len(call.suspended)
    stack = call.stack
    in_flight = 1
    success: Outcome | None = None
    failure: Outcome | None = None
    broken: Exception | None = None
    context: contextvars.Context | None = None

    async def run() -> None:
        nonlocal in_flight, success, failure, broken, context
        outcome: Outcome | None = None
        try:
            outcome = await drive(stack, depth, call.fork(depth), depth)
        except Exception as error:  # no outcome: a policy breaks the protocol
            broken = error
        in_flight -= 1
        if outcome is not None and outcome.error is not None:
            failure, outcome = outcome, None  # the traceback of its error may lead to this frame
            if in_flight > 0:
                return
        elif success is None:
            success = outcome
            context = contextvars.copy_context()
        group.cancel_scope.cancel()  # where all have failed: what was to begin later is not begun

    async def begin_others() -> None:
        nonlocal in_flight
        for _ in range(effect.copies):
            await call.clock.sleep_async(effect.delay)
            in_flight += 1
            group.start_soon(run)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(begin_others)
            await run()
    except BaseExceptionGroup as several:
        if len(several.exceptions) == 1:  # Ctrl-C in one copy: raised as it is
            raise several.exceptions[0] from None
        raise
    try:
        if broken is not None:
            raise broken
        outcome = success or failure
        assert outcome is not None, "a copy that is cancelled from outside takes the race along"
        if context is not None:
            copy_back(context)
        return outcome
    finally:
        # A frame that an error's traceback leads to must not lead back to the error.
        outcome = success = failure = broken = None
