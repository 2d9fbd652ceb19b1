"""The wrapper of a function that may be async or not: a plain function around a coroutine function.

``functools.wraps`` names the wrapped function, not the result of a call: an SDK's method returns the coroutine, while
`asgiref.sync.async_to_sync` runs it. The first call shows which. It is made as a sync call; where it returns a
coroutine, of which nothing has run yet, the policies give back what they took, and the call is made as an async one.

What the function does inside an event loop and outside of one is kept apart: some do both. A function that is annotated
as ``str | Awaitable[str]`` answers from a cache at one call and with a coroutine at the next, and so does one that
dispatches by the type of its argument: of these each call is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from types import CoroutineType, FunctionType
from typing import Any, cast

from resilience._deadline_context import running_task
from resilience._outcome import Outcome
from resilience._runtime import async_runner, sync_runner
from resilience._runtime.callables import is_consistently_async
from resilience._runtime.fast_path import replace_attributes, substitute, wrapper_of
from resilience._runtime.fast_path_template import ANYTHING, parameters_of
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


class _Found:
    """The end of the function during a call: it *returned* a result, or it *raised* an error in some attempt.

    Neither is set where a call was rejected before it reached the function, and where the function gave a coroutine.
    """

    __slots__ = ("raised", "returned")

    def __init__(self) -> None:
        self.returned: bool = False
        self.raised: bool = False


class _Undecided:
    """The calls of a function until the first one has shown what it returns.

    It is called as a sync function and returns a coroutine or a result; either way the outcome is that of this call.
    From then on *decided* has the wrapper for calls of that kind.

    The function is called once for each attempt, never twice to find out: it may have effects before it returns a
    coroutine. Several threads may make a first call at once: each decides for itself, and a later one overwrites.
    """

    __slots__ = (
        "_gave_coroutine",
        "_is_consistent",
        "coroutine_function",
        "decided",
        "first",
        "function",
        "stack",
        "sync",
        "target",
    )

    def __init__(self, target: str, function: Callable[..., object], stack: Sequence[Policy]) -> None:
        self.target = target
        self.function = function
        self.stack = stack
        self.first = FirstCall(target, function, asynchronously=False)
        self.sync: Callable[..., object] = wrapper_of(target, function, stack, asynchronously=False, first=self.first)
        self.coroutine_function: Callable[..., object] = wrapper_of(target, function, stack, asynchronously=True)
        self._is_consistent = is_consistently_async(function)
        #: By whether an event loop runs; empty for ever where one call does not show it for all.
        self.decided: dict[bool, Callable[..., object]] = {}
        #: Whether the last call that returned gave a coroutine, by whether an event loop runs.
        self._gave_coroutine: dict[bool, bool] = {}

    def call(self, in_loop: bool, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """Call the function through its policies, as a sync one, and find out what it is.

        A result shows a sync function, and a coroutine an async one: that is then awaited by `call_again`, so that the
        function has been called once. A call that fails shows nothing, and the next one is looked at.

        Where the function has not returned, the outcome has the form of the call before: one that a circuit rejects,
        say, can be awaited where that could. Without one before, calls inside an event loop are taken for async ones.
        """
        call = Call(self.target, self.function, args, kwargs)
        found = _Found()

        def opener(*args: object, **kwargs: object) -> object:
            try:
                value = self.function(*args, **kwargs)
            except Exception as error:  # without this frame in the traceback
                found.raised = True
                drop_frame(error)
                raise
            if type(value) is CoroutineType:
                call.withdrawn = True  # it has not begun: what counts cancelled calls must not count it
                raise _ReturnedCoroutineError(cast("Coroutine[Any, Any, object]", value))
            self.first.returned(value)
            found.returned = True
            return value

        call.opener = opener
        try:
            outcome = sync_runner.drive(self.stack, 0, call, 0)
        except _ReturnedCoroutineError as returned:
            self._decide(in_loop, gave_coroutine=True)
            return self.call_again(returned.coroutine, args, kwargs)
        if found.returned:
            self._decide(in_loop, gave_coroutine=False)
        elif self._gave_coroutine.get(in_loop, in_loop) and not (found.raised and outcome.error is not None):
            return _awaited(outcome)
        return result_of(outcome)

    def _decide(self, in_loop: bool, *, gave_coroutine: bool) -> None:
        """Note what a call gave; have further calls made accordingly, where this one shows what they will give."""
        self._gave_coroutine[in_loop] = gave_coroutine
        if self._is_consistent:
            wrappers = {True: self.coroutine_function, False: self.sync}
            self.decided[in_loop] = wrappers[gave_coroutine]

    def substitute(self, make: Callable[[Callable[..., object]], Callable[..., object]]) -> Callable[[], None]:
        """Have all wrappers of the function call another one in its place, see `fast_path.substitute`."""
        restoring = [substitute(cast("FunctionType", each), make) for each in (self.sync, self.coroutine_function)]
        restoring.append(replace_attributes([(self, "function")], make(self.function)))

        def restore() -> None:
            for put_back in restoring:
                put_back()

        return restore

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
    """Return the result of *outcome*, or raise its error, when it is awaited."""
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

    names, shape = parameters_of(function)
    if shape == ANYTHING.shape:  # what looks past the signature finds the function's own names
        code = wrapper.__code__
        wrapper.__code__ = code.replace(co_varnames=names + code.co_varnames[len(names) :])
    return wrapper
