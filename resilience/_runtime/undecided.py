"""The wrapper of a function that may be async or not: a plain function around a coroutine function.

``functools.wraps`` names the wrapped function, not the result of a call: an SDK's method returns the coroutine, while
`asgiref.sync.async_to_sync` runs it. The first call shows which. It is made as a sync call; where it returns a
coroutine, of which nothing has run yet, the policies give back what they took, and the call is made as an async one.

What the function does inside an event loop and outside of one is kept apart: some do both.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from types import CoroutineType
from typing import Any, cast

from resilience._deadline_context import running_task
from resilience._outcome import Outcome
from resilience._runtime import async_runner, sync_runner
from resilience._runtime.fast_path import wrapper_of
from resilience._runtime.first_call import FirstCall
from resilience._runtime.protocol import Call, Policy
from resilience._runtime.tracebacks import drop_frame, result_of

__all__ = ["undecided_wrapper_of"]


class _ReturnedCoroutineError(BaseException):
    """Unwinds the policies of a sync call whose function turns out to be async. Never reaches a caller.

    As it is no `Exception`, the policies take it for a cancellation, and give back what they took.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self.coroutine = coroutine


class _Undecided:
    """The calls of a function until the first one has shown what it returns.

    It is called as a sync function and returns a coroutine or a result; either way the outcome is that of this call.
    From then on *decided* has the wrapper for calls of that kind.
    """

    __slots__ = ("coroutine_function", "decided", "first", "function", "stack", "sync", "target")

    def __init__(self, target: str, function: Callable[..., object], stack: Sequence[Policy]) -> None:
        self.target = target
        self.function = function
        self.stack = stack
        self.first = FirstCall(target, function, asynchronously=False)
        self.sync: Callable[..., object] = wrapper_of(target, function, stack, asynchronously=False, first=self.first)
        self.coroutine_function: Callable[..., object] = wrapper_of(target, function, stack, asynchronously=True)
        #: By whether an event loop runs.
        self.decided: dict[bool, Callable[..., object]] = {}

    def call(self, in_loop: bool, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """Call the function through its policies, as a sync one, and find out what it is.

        A result shows a sync function, and a coroutine an async one: that is then awaited by `call_again`, so that the
        function has been called once. A call that fails shows nothing, and the next one is looked at.
        """
        call = Call(self.target, self.function, args, kwargs)

        def opener(*args: object, **kwargs: object) -> object:
            try:
                value = self.function(*args, **kwargs)
            except Exception as error:  # without this frame in the traceback
                drop_frame(error)
                raise
            if type(value) is CoroutineType:
                call.withdrawn = True  # it has not begun: what counts cancelled calls must not count it
                raise _ReturnedCoroutineError(cast("Coroutine[Any, Any, object]", value))
            self.first.returned(value)
            self.decided[in_loop] = self.sync
            return value

        call.opener = opener
        try:
            outcome = sync_runner.drive(self.stack, 0, call, 0)
        except _ReturnedCoroutineError as found:
            self.decided[in_loop] = self.coroutine_function
            return self.call_again(found.coroutine, args, kwargs)
        if in_loop and in_loop not in self.decided:
            return _awaited(outcome)  # rejected, say, before it could be known: inside a loop it will be async
        return result_of(outcome)

    async def call_again(
        self, coroutine: Coroutine[Any, Any, object], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        """Make the call as an async one: its first attempt awaits *coroutine*, which is there already."""
        made = [coroutine]

        def opener(*args: object, **kwargs: object) -> object:
            return made.pop() if made else self.function(*args, **kwargs)

        call = Call(self.target, self.function, args, kwargs)
        call.opener = opener
        try:
            outcome = await async_runner.drive(self.stack, 0, call, 0)
        finally:
            for unused in made:
                unused.close()
        return result_of(outcome)


async def _awaited(outcome: Outcome) -> object:
    return result_of(outcome)


def undecided_wrapper_of(
    target: str, function: Callable[..., object], stack: Sequence[Policy]
) -> Callable[..., object]:
    """Return the function that calls *function* through *stack*, and returns a coroutine where *function* does."""
    undecided = _Undecided(target, function, stack)
    decided = undecided.decided

    def wrapper(*args: object, **kwargs: object) -> object:
        in_loop = running_task() is not None
        call = decided.get(in_loop)
        if call is not None:
            return call(*args, **kwargs)
        return undecided.call(in_loop, args, kwargs)

    return wrapper
