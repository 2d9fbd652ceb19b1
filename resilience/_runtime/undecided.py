"""The wrapper of a function that may be async or not: a plain function around a coroutine function.

``functools.wraps`` says what is inside and not what a call returns: an SDK's method hands the coroutine on, while
`asgiref.sync.async_to_sync` runs it. The first call shows it. It is made as a sync call; where it returns a coroutine,
of which nothing has run yet, the policies give back what they took, and the call is made as an async one.

What the function does inside an event loop and outside of one is kept apart: some do both.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from types import CoroutineType
from typing import Any, cast

from resilience._runtime import async_runner, sync_runner
from resilience._runtime.fast_path import wrapper_of
from resilience._runtime.first_call import FirstCall
from resilience._runtime.protocol import Call, Policy
from resilience._runtime.tracebacks import drop_frame, result_of
from resilience.due import running_task
from resilience.outcome import Outcome

__all__ = ["undecided_wrapper_of"]


class _ReturnedCoroutineError(BaseException):
    """Unwinds the policies of a sync call whose function turns out to be async. Never reaches a caller."""

    def __init__(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self.coroutine = coroutine


def undecided_wrapper_of(
    target: str, function: Callable[..., object], stack: Sequence[Policy]
) -> Callable[..., object]:
    """Return the function that calls *function* through *stack*, and returns a coroutine where *function* does."""
    first = FirstCall(target, function, asynchronously=False)
    sync = wrapper_of(target, function, stack, asynchronously=False, first=first)
    coroutine_function = wrapper_of(target, function, stack, asynchronously=True)
    timed = [depth for depth, policy in enumerate(stack) if policy.stopwatch(target) is not None]
    #: By whether an event loop runs.
    decided: dict[bool, Callable[..., object]] = {}

    def wrapper(*args: object, **kwargs: object) -> object:
        in_loop = running_task() is not None
        call = decided.get(in_loop)
        return decide(in_loop, args, kwargs) if call is None else call(*args, **kwargs)

    def decide(in_loop: bool, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        def opener(*args: object, **kwargs: object) -> object:
            try:
                value = function(*args, **kwargs)
            except Exception as error:  # without this frame in the traceback
                drop_frame(error)
                raise
            if type(value) is CoroutineType:
                for depth in timed:  # it has not begun: what counts cancelled calls must not count it
                    call.held.pop(depth, None)
                raise _ReturnedCoroutineError(cast("Coroutine[Any, Any, object]", value))
            first.returned(value)
            decided[in_loop] = sync
            return value

        call = Call(target, function, args, kwargs)
        call.opener = opener
        try:
            outcome = sync_runner.drive(stack, 0, call, 0)
        except _ReturnedCoroutineError as found:
            decided[in_loop] = coroutine_function
            return awaited(found.coroutine, args, kwargs)
        if in_loop and in_loop not in decided:
            return handed_over(outcome)  # rejected, say, before it could be known: inside a loop it will be async
        return result_of(outcome)

    async def awaited(
        coroutine: Coroutine[Any, Any, object], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        made = [coroutine]

        def opener(*args: object, **kwargs: object) -> object:
            return made.pop() if made else function(*args, **kwargs)

        call = Call(target, function, args, kwargs)
        call.opener = opener
        try:
            outcome = await async_runner.drive(stack, 0, call, 0)
        finally:
            for unused in made:
                unused.close()
        return result_of(outcome)

    async def handed_over(outcome: Outcome) -> object:
        return result_of(outcome)

    return wrapper
