"""The function that a caller meets: it does the happy path itself and hands everything else to a runner.

A wrapper looks at the state of the stack's gate, calls the function, notes the success, and returns: no lock, no
generator, and no clock unless calls are timed. When the call fails, when a limit cuts it off, or when the gate's state
is not on the fast path, the wrapper makes a `Call` of it (`slow_path`) and a runner takes over.

A wrapper raises in its own frame and then forgets the error: a traceback shows one frame of ours however many policies
guard the function, and no frame keeps the error that keeps the frame.

Wrappers are made from the texts in `fast_path_template`, for the function's own parameters: nothing is packed into
``*args`` and unpacked again, and a call with wrong arguments fails as it would without us. No other module depends on
how a wrapper is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import CellType, FunctionType
from typing import Any, TypeVar

from resilience._runtime import async_runner, sync_runner
from resilience._runtime.exhaustion import exhaustion_counter
from resilience._runtime.fast_path_template import ANYTHING, ASYNC_STREAM, CALL, STREAM, code_for, parameters_of
from resilience._runtime.first_call import FirstCall
from resilience._runtime.generators import OpenStream
from resilience._runtime.protocol import Gate, LatencyRecorder, Policy, SuccessCounter, SuccessReporting
from resilience._runtime.slow_path import NOWHERE, SlowPath, StreamSlowPath
from resilience.clock import current_clock

__all__ = ["stream_wrapper_of", "wrapper_of"]

T = TypeVar("T")

# By whether the function is async.
_RUNNERS: Mapping[bool, Any] = {False: sync_runner.drive, True: async_runner.drive}
_STREAMS = {False: (STREAM, StopIteration), True: (ASYNC_STREAM, StopAsyncIteration)}

_RUNNER_ONLY = frozenset({"RUNNER"})
_SUCCESS_NOTES = {SuccessReporting.MARK: "MARKS", SuccessReporting.COUNT: "COUNTS", SuccessReporting.CALL: "REPORTS"}
"""The features by which a gate learns of a success."""
_TIMED = {False: {"TIMED"}, True: {"TIMED", "TIMES_ALONE"}}
"""The features of timing, by whether threads may count without a lock."""

# By the names that they have in the code of wrappers, see `fast_path_template`.
_BUILTINS = {f".{each.__name__}": each for each in (Exception, BaseException, GeneratorExit)}
_GLOBALS = {".clock": current_clock, ".exhaustion": exhaustion_counter, ".OpenStream": OpenStream, **_BUILTINS}


class _FastPath:
    """The parts of a stack's policies that a wrapper looks at, begins, or notes a success in, and their positions.

    A wrapper does without the runner where all policies offer a fast path, and at most one of them is a gate, one
    counts and one times the calls. Sync limits need the runner: a thread or a signal keeps them.
    """

    __slots__ = ("counter", "features", "gate", "gate_at", "limits", "recorder", "timed_at")

    def __init__(self, target: str, stack: Sequence[Policy], *, asynchronously: bool) -> None:
        gates: dict[int, Gate] = {}
        recorders: dict[int, LatencyRecorder] = {}
        counters: dict[int, SuccessCounter] = {}
        limits: dict[int, float] = {}
        for position, policy in enumerate(stack):
            _note(gates, position, policy.fast_path_gate)
            _note(recorders, position, policy.stopwatch(target))
            _note(counters, position, policy.success_counter)
            _note(limits, position, policy.time_limit)
        #: Seconds that the policies allow, by position.
        self.limits = limits
        self.gate_at, self.gate = _first(gates)
        self.timed_at, self.recorder = _first(recorders)
        self.counter = _first(counters)[1]
        #: What the wrapper's text has to do, see `fast_path_template`.
        self.features = _RUNNER_ONLY
        at_most_one = max(len(gates), len(recorders), len(counters)) <= 1
        if at_most_one and (asynchronously or not limits) and all(policy.fast_path for policy in stack):
            self.features = self._features(any(policy.tracks_exhaustion for policy in stack))

    def _features(self, tracks_exhaustion: bool) -> frozenset[str]:
        """Return the features of the text of a wrapper that does without the runner."""
        features: set[str] = set()
        if self.gate is not None:
            features |= {"GATED", _SUCCESS_NOTES[self.gate.telling]}
            if self.gate_at == 0:
                features.add("OUTERMOST_GATE")
            if self.gate.nests:
                features.add("NESTS")
        if self.counter is not None:
            features.add("COUNTED")
        if self.recorder is not None:
            features |= _TIMED[self.recorder.alone]
        if self.limits:
            features.add("LIMITED")
        if features:
            features.add("NOTES")
        if tracks_exhaustion:
            features.add("TRACKS_EXHAUSTION")
        return frozenset(features)


def _note(parts: dict[int, T], position: int, part: T | None) -> None:
    """Add the *part* of the policy at *position*, if it has one."""
    if part is not None:
        parts[position] = part


def _first(parts: Mapping[int, T]) -> tuple[int, T | None]:
    """Return the position and the part of the outermost policy that has one; NOWHERE and None without."""
    return next(iter(parts.items()), (NOWHERE, None))


def wrapper_of(
    target: str,
    function: Callable[..., object],
    stack: Sequence[Policy],
    *,
    asynchronously: bool,
    first: FirstCall | None = None,
) -> FunctionType:
    """Return the function that calls *function* through *stack*, outermost first; a coroutine function if it is one.

    It has the parameters and defaults of *function* and the globals of its module, and no other metadata yet. A stack
    that has no fast path gets a wrapper as well, which leaves each call to the runner.

    Until the function has returned once, *first* calls it and looks at the result.
    """
    fast = _FastPath(target, stack, asynchronously=asynchronously)
    first = first or FirstCall(target, function, asynchronously=asynchronously)
    opener, drive = first.opener, _RUNNERS[asynchronously]
    slow = SlowPath(target, function, stack, opener, drive)
    begin = None
    if "LIMITED" in fast.features:
        from resilience._runtime.limited_slow_path import LimitedSlowPath, beginning

        slow = LimitedSlowPath(target, function, stack, opener, drive)
        slow.limits, slow.recorder = [*fast.limits][::-1], fast.recorder
        begin = beginning([*fast.limits.values()])
    slow.gate_at, slow.timed_at = fast.gate_at, fast.timed_at
    free = {
        **_GLOBALS,
        ".function": opener or function,
        ".slow": slow,
        ".gate": fast.gate,
        ".begin": begin,
        ".counter": fast.counter,
        ".recorder": fast.recorder,
    }
    wrapper = _wrapper(CALL, function, fast.features, free, asynchronously)
    if opener is not None:
        # Not the wrapper: an idle one would be left to the garbage collector, with the timers of its limits.
        cell = next((cell for cell in wrapper.__closure__ or () if cell.cell_contents is opener), None)
        first.then = partial(_call_directly, slow, cell)
    return wrapper


def _call_directly(slow: SlowPath, cell: CellType | None) -> None:
    """Have a runner, and the wrapper that calls what is in *cell*, call the function itself from now on.

    A wrapper that leaves everything to the runner has no such cell.
    """
    slow.opener = None
    if cell is not None:
        cell.cell_contents = slow.function


def stream_wrapper_of(
    target: str,
    function: Callable[..., object],
    stack: Sequence[Policy],
    opener: Callable[..., object],
    *,
    asynchronously: bool,
) -> FunctionType:
    """Return the generator function, async if *function* is, that runs *function* through *stack* to its end.

    *opener* calls *function* and fetches the first item: it comes to an `OpenStream`, or to what an empty one returns.
    The runner treats that as the call. The wrapper relays the items that follow, and gives the runner the outcome of
    the stream when they have ended, failed, or are wanted no more.
    """
    text, stop = _STREAMS[asynchronously]
    slow = StreamSlowPath(target, function, stack, opener, _RUNNERS[asynchronously])
    return _wrapper(text, function, frozenset(), {**_GLOBALS, ".slow": slow, ".Stop": stop}, asynchronously)


def _wrapper(
    text: str, function: Callable[..., object], features: frozenset[str], free: Mapping[str, object], asynchronous: bool
) -> FunctionType:
    """Return the function of *text*, with the parameters and defaults of *function* and the variables *free*."""
    parameters = parameters_of(function)
    code = code_for(text, parameters, features, asynchronously=asynchronous)
    closure = tuple([CellType(free[name]) for name in code.co_freevars])
    if type(function) is not FunctionType:
        return FunctionType(code, globals(), closure=closure)
    # In the function's own globals: what looks for the caller's module finds the one the function stands in.
    wrapper = FunctionType(code, function.__globals__, closure=closure)
    if parameters is not ANYTHING:
        wrapper.__defaults__ = function.__defaults__
        wrapper.__kwdefaults__ = function.__kwdefaults__ and dict(function.__kwdefaults__)
    return wrapper
