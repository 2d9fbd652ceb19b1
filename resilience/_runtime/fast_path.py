"""The function that a caller meets: it does the happy path itself and hands everything else to a runner.

A wrapper looks at the state of the stack's gate, asks its limiter, calls the function, notes the success, and returns:
no generator, no lock but the limiter's, and no clock unless calls are timed. When the call fails, when a time limit
cuts it off, when the gate's state is not on the fast path, or when the limiter has nothing free, the wrapper makes a
`Call` of it (`slow_path`) and a runner takes over.

A wrapper raises in its own frame and then forgets the error: a traceback shows one frame of ours however many policies
guard the function, and no frame keeps the error that keeps the frame.

Wrappers are made from the texts in `fast_path_template`, for the function's own parameters: nothing is packed into
``*args`` and unpacked again, and a call with wrong arguments fails as it would without us. No other module depends on
how a wrapper is written.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from functools import partial
from operator import attrgetter
from types import CellType, FunctionType
from typing import Any, Protocol, TypeVar, cast

from resilience._deadline_context import deadlines_used
from resilience._forks import fork_safe
from resilience._runtime import async_runner, sync_runner
from resilience._runtime.circuit_context import running_calls, still_running
from resilience._runtime.exhaustion import exhaustion_counter
from resilience._runtime.fast_path_template import (
    ANYTHING,
    ASYNC_STREAM,
    ASYNC_STREAM_IN_BLOCK,
    CALL,
    STREAM,
    Features,
    code_for,
    filled,
    parameters_of,
)
from resilience._runtime.first_call import FirstCall
from resilience._runtime.generators import OpenStream
from resilience._runtime.limiters import single_limiter
from resilience._runtime.protocol import Policy, SuccessReporting
from resilience._runtime.slow_path import NOWHERE, SlowPath, StreamSlowPath
from resilience.clock import current_clock
from resilience.settings import DISABLED

__all__ = ["become", "replace_attributes", "stream_in_block", "stream_wrapper_of", "substitute", "wrapper_of"]

T = TypeVar("T")

# By whether the function is async.
_RUNNERS: Mapping[bool, Any] = {False: sync_runner.drive, True: async_runner.drive}
_STREAMS = {False: (STREAM, StopIteration), True: (ASYNC_STREAM, StopAsyncIteration)}

_HAS_FAST_PATH, _TRACKS_EXHAUSTION = attrgetter("fast_path"), attrgetter("tracks_exhaustion")
_RESERVES_TIME = attrgetter("reserves_time")
_RUNNER_ONLY = Features(runner=True)
# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_MARK, _COUNT, _CALL = SuccessReporting.MARK, SuccessReporting.COUNT, SuccessReporting.CALL

# By the names that they have in the code of wrappers, see `fast_path_template`.
_BUILTINS = {f".{each.__name__}": each for each in (Exception, BaseException, GeneratorExit)}
_GLOBALS: Mapping[str, object] = {
    ".clock": current_clock,
    ".exhaustion": exhaustion_counter,
    ".calls": running_calls,
    ".still_running": still_running,
    ".disabled": DISABLED,
    ".OpenStream": OpenStream,
    **_BUILTINS,
}
_SHARED_CELLS = {
    ".deadlines_used": deadlines_used,
    **{name: CellType(value) for name, value in _GLOBALS.items()},
}
"""The free variables that all wrappers share."""


class _Substitutable(Protocol):
    """The several wrappers of a function that may be async or not."""

    def substitute(self, make: Callable[[Callable[..., object]], Callable[..., object]]) -> Callable[[], None]: ...


class _FastPath:
    """The parts of a stack's policies that a wrapper handles by itself, and their positions in the stack.

    The wrapper looks at the state of the *gate*, asks the *limiter*, begins the *limits*, and notes a success in the
    *counter* and the *recorder*. From these parts follow the *features* of its text.

    A wrapper does without the runner where all policies offer a fast path, and at most one of them is a gate, one
    counts and one times the calls; several limiters are asked as one, where they can be (`limiters`). Sync time limits
    need the runner: a thread or a signal keeps them.
    """

    __slots__ = ("counter", "features", "gate", "gate_at", "limiter", "limits", "recorder", "timed_at")

    def __init__(self, target: str, stack: Sequence[Policy], *, asynchronously: bool) -> None:
        gates = [policy.fast_path_gate for policy in stack]
        limiters = [policy.fast_path_limiter for policy in stack]
        counters = [policy.success_counter for policy in stack]
        recorders = [policy.stopwatch(target) for policy in stack]
        self.gate_at, self.gate = _first(gates)
        can_enter, self.limiter = single_limiter(limiters)
        self.timed_at, self.recorder = _first(recorders)
        self.counter = _first(counters)[1]
        #: Seconds that the policies allow, by position.
        self.limits = {at: policy.time_limit for at, policy in enumerate(stack) if policy.time_limit is not None}
        self.features = _RUNNER_ONLY
        at_most_one = all(parts.count(None) >= len(stack) - 1 for parts in (gates, recorders, counters))
        if at_most_one and can_enter and (asynchronously or not self.limits) and all(map(_HAS_FAST_PATH, stack)):
            self.features = self._features(stack)
        # A policy that reserves time has to know what a limit outside of it leaves, which the runner knows.
        first_limit = min(self.limits, default=len(stack))
        if any(map(_RESERVES_TIME, stack[first_limit:])):
            self.features = _RUNNER_ONLY

    def _features(self, stack: Sequence[Policy]) -> Features:
        """Return what a wrapper has to do that does without the runner."""
        telling = getattr(self.gate, "telling", None)
        return Features(
            gated=self.gate is not None,
            outermost_gate=self.gate_at == 0,
            enters=self.limiter is not None,
            leaves=getattr(self.limiter, "leaves", False),
            nests=getattr(self.gate, "nests", False),
            marks=telling is _MARK,
            counts=telling is _COUNT,
            reports=telling is _CALL,
            counted=self.counter is not None,
            timed=self.recorder is not None,
            times_alone=getattr(self.recorder, "alone", False),
            limited=bool(self.limits),
            reserves=any(map(_RESERVES_TIME, stack)),
            tracks_exhaustion=any(map(_TRACKS_EXHAUSTION, stack)),
        )


def _first(parts: Sequence[T | None]) -> tuple[int, T | None]:
    """Return the position and the part of the outermost policy that has one; NOWHERE and None without."""
    for position, part in enumerate(parts):
        if part is not None:
            return position, part
    return NOWHERE, None


def wrapper_of(
    target: str,
    function: Callable[..., object],
    stack: Sequence[Policy],
    *,
    asynchronously: bool,
    first: FirstCall | None = None,
    replaceable: bool = False,
) -> FunctionType:
    """Return the function that calls *function* through *stack*, outermost first; a coroutine function if it is one.

    It has the parameters and defaults of *function* and the globals of its module, and no other metadata yet: name,
    docstring and attributes are copied by `decorate`. A stack that has no fast path gets a wrapper as well, which
    leaves each call to the runner.

    Until the function has returned once, *first* calls it and looks at the result. Then the cell of the wrapper's
    closure that holds the function is set to the function itself, and *first* is not called again.

    A *replaceable* wrapper can `become` another one. It has no closure: what it works with are constants of its code.
    """
    fast = _FastPath(target, stack, asynchronously=asynchronously)
    first = first or FirstCall(target, function, asynchronously=asynchronously)
    opener, drive = first.opener, _RUNNERS[asynchronously]
    slow = SlowPath(target, function, stack, opener, drive)
    begin = None
    if fast.features.limited:
        from resilience._runtime.limited_slow_path import LimitedSlowPath, beginning

        slow = LimitedSlowPath(target, function, stack, opener, drive)
        slow.limits, slow.recorder = [*fast.limits][::-1], fast.recorder
        begin = beginning([*fast.limits.values()])
    slow.gate_at, slow.timed_at, slow.limiter = fast.gate_at, fast.timed_at, fast.limiter
    called = CellType(opener or function)
    if opener is not None:
        # Not the wrapper: an idle one would be left to the garbage collector, with the timers of its limits.
        first.then = partial(_call_directly, slow, called)
        if replaceable:
            first.then = partial(_call_constant, slow)
    own = {
        ".function": called,
        ".slow": CellType(slow),
        ".gate": CellType(fast.gate),
        ".limiter": CellType(fast.limiter),
        ".begin": CellType(begin),
        ".counter": CellType(fast.counter),
        ".recorder": CellType(fast.recorder),
    }
    return _wrapper(CALL, function, fast.features, own, asynchronously, replaceable)


def _call_directly(slow: SlowPath, cell: CellType) -> None:
    """Have a runner, and the wrapper that calls what is in *cell*, call the function itself from now on."""
    slow.opener = None
    cell.cell_contents = slow.function


def _call_constant(slow: SlowPath) -> None:
    """Do what `_call_directly` does for a wrapper that has the function among its constants."""
    opener, slow.opener = slow.opener, None
    _exchange(slow, opener, slow.function)


def stream_wrapper_of(
    target: str,
    function: Callable[..., object],
    stack: Sequence[Policy],
    opener: Callable[..., object],
    *,
    asynchronously: bool,
    replaceable: bool = False,
) -> FunctionType:
    """Return the generator function, async if *function* is, that runs *function* through *stack* to its end.

    *opener* calls *function* and fetches the first item. It returns an `OpenStream`, or the value of an empty stream.
    The runner treats that as the call. The wrapper relays the items that follow, and gives the runner the outcome of
    the stream when they have ended, failed, or are wanted no more.
    """
    text, stop = _STREAMS[asynchronously]
    slow = StreamSlowPath(target, function, stack, opener, _RUNNERS[asynchronously])
    own = {".slow": CellType(slow), ".Stop": CellType(stop)}
    return _wrapper(text, function, Features(), own, asynchronously, replaceable)


def stream_in_block(
    function: Callable[..., object],
    opener: Callable[..., object],
    block: AbstractContextManager[object],
) -> FunctionType:
    """Return the async generator function that hands out the items of *function*, and runs it within *block*.

    *opener* calls *function* and fetches the first item. It returns an `OpenStream`, or None for an empty stream.
    """
    own = {".function": CellType(opener), ".block": CellType(block), ".Stop": CellType(StopAsyncIteration)}
    return _wrapper(ASYNC_STREAM_IN_BLOCK, function, Features(), own, True, False)


def _wrapper(
    text: str,
    function: Callable[..., object],
    features: Features,
    own: Mapping[str, CellType],
    asynchronous: bool,
    replaceable: bool,
) -> FunctionType:
    """Return the function of *text*, with the parameters and defaults of *function*.

    Of the free variables of its *own*, and of those that all wrappers share, it gets the ones that its code names. A
    *replaceable* one has their values as constants.
    """
    parameters = parameters_of(function)
    code = code_for(text, parameters, features, asynchronously=asynchronous, closed=replaceable)
    if replaceable:
        code = filled(code, {name: cell.cell_contents for name, cell in {**_SHARED_CELLS, **own}.items()})
    closure = tuple([_SHARED_CELLS.get(name) or own[name] for name in code.co_freevars])
    if type(function) is not FunctionType:
        return _known_to_slow_path(FunctionType(code, globals(), closure=closure))
    # In the function's own globals: what looks for the caller's module finds the one the function stands in.
    wrapper = FunctionType(code, function.__globals__, closure=closure)
    if parameters is not ANYTHING:
        wrapper.__defaults__ = function.__defaults__
        wrapper.__kwdefaults__ = copy(function.__kwdefaults__)
    return _known_to_slow_path(wrapper)


# -- another function, or other policies, in a wrapper that is in use --------------------------------------------------

_exchanging = fork_safe(threading.RLock())  # a collector or a signal handler may come to it again


def _slow_path_among(constants: Sequence[object]) -> SlowPath | None:
    """Return the `SlowPath` among the *constants* of a replaceable wrapper; None for any other."""
    for constant in constants:
        if isinstance(constant, SlowPath):
            return constant
    return None


def _known_to_slow_path(wrapper: FunctionType) -> FunctionType:
    """Return *wrapper*, having told its slow path of it, if that is among its constants."""
    slow = _slow_path_among(wrapper.__code__.co_consts)
    if slow is not None:
        slow.wrapper = weakref.ref(wrapper)
    return wrapper


def _exchange(slow: SlowPath, old: object, new: object) -> None:
    """Have the wrapper of *slow* call *new* where it has called *old*, if it still works with *slow*."""
    wrapper: FunctionType | None = None
    if slow.wrapper is not None:
        wrapper = slow.wrapper()
    if wrapper is None:
        return
    with _exchanging:
        constants = wrapper.__code__.co_consts
        if _slow_path_among(constants) is slow:
            exchanged = [new if each is old else each for each in constants]
            wrapper.__code__ = wrapper.__code__.replace(co_consts=tuple(exchanged))


def become(wrapper: FunctionType, other: FunctionType) -> None:
    """Have *wrapper* do what *other* does, from the next call on; both are replaceable wrappers of one function.

    It is one step: each call sees all policies of the one or all of the other, and calls that run end as they began.
    """
    if wrapper.__closure__:  # of a function that may be async or not, see `undecided`
        for mine, others in zip(wrapper.__closure__, other.__closure__ or (), strict=True):
            mine.cell_contents = others.cell_contents
        return
    with _exchanging:
        wrapper.__code__ = other.__code__
        _known_to_slow_path(wrapper)


def substitute(
    wrapper: FunctionType, make: Callable[[Callable[..., object]], Callable[..., object]]
) -> Callable[[], None]:
    """Have *wrapper* call another function in place of its own, for tests; return what puts its own back.

    *make* is given the function that the wrapper calls in the end. It returns a plain function that is called instead,
    in each attempt, and may call the one it was given and return what that returns.
    """
    slow_path = _slow_path_among(wrapper.__code__.co_consts)
    if slow_path is not None:
        return _substitute_constant(slow_path, make)
    cells = dict(zip(wrapper.__code__.co_freevars, wrapper.__closure__ or (), strict=True))
    if ".slow" not in cells:  # of a function that may be async or not, see `undecided`
        return cast("_Substitutable", cells["undecided"].cell_contents).substitute(make)
    slow = cast("SlowPath", cells[".slow"].cell_contents)
    called: Callable[..., object] | None = slow.function
    if isinstance(slow, StreamSlowPath):
        called = slow.opener
    assert called is not None
    places: list[tuple[object, str]] = [(slow, "opener")]
    if ".function" in cells:  # the wrapper does without the runner where the call succeeds
        places.append((cells[".function"], "cell_contents"))
    return replace_attributes(places, make(called))


def _substitute_constant(
    slow: SlowPath, make: Callable[[Callable[..., object]], Callable[..., object]]
) -> Callable[[], None]:
    """Do what `substitute` does for a replaceable wrapper: until it becomes another one, which calls the function."""
    called = slow.opener or slow.function
    own = called
    if not isinstance(slow, StreamSlowPath):
        own = slow.function
    replacement = make(own)
    put_back = replace_attributes([(slow, "opener")], replacement)
    _exchange(slow, called, replacement)

    def restore() -> None:
        put_back()
        _exchange(slow, replacement, called)

    return restore


def replace_attributes(places: Sequence[tuple[object, str]], value: object) -> Callable[[], None]:
    """Set each attribute, given by its owner and its name, to *value*; return what sets them back."""
    before = [(owner, name, getattr(owner, name)) for owner, name in places]
    for owner, name in places:
        setattr(owner, name, value)

    def restore() -> None:
        for owner, name, found in before:
            setattr(owner, name, found)

    return restore
