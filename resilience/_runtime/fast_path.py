"""The function that a caller meets: it does the happy path itself and hands everything else to a runner.

A wrapper looks at the state of the stack's gate, calls the function, notes the success, and returns: no lock, no
generator, and no clock unless calls are timed. When the call fails, when a limit cuts it off, or when the gate's state
is not on the fast path, the wrapper makes a `Call` of it and a runner takes over, with the outcome so far.

A wrapper raises in its own frame and then forgets the error: a traceback shows one frame of ours however many policies
guard the function, and no frame keeps the error that keeps the frame.

Wrappers are made from the texts in `fast_path_template`, for the function's own parameters: nothing is packed into
``*args`` and unpacked again, and a call with wrong arguments fails as it would without us.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter, methodcaller
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from resilience._runtime import async_runner, sync_runner
from resilience._runtime.circuit_context import admitted_here
from resilience._runtime.exhaustion import GIVE_UPS
from resilience._runtime.fast_path_template import ANYTHING, ASYNC_STREAM, CALL, STREAM, code_for, parameters_of
from resilience._runtime.first_call import FirstCall
from resilience._runtime.generators import Opened, begin, cut_short, ended
from resilience._runtime.protocol import Call, Gate, Policy, Stopwatch, Tally, Telling
from resilience._runtime.tracebacks import failed_here
from resilience.clock import current_clock
from resilience.due import due_by
from resilience.outcome import EXPIRED, Outcome, set_context

if TYPE_CHECKING:
    from resilience.timer import Watch, Watches

__all__ = ["stream_wrapper_of", "wrapper_of"]

T = TypeVar("T")
_Arguments: TypeAlias = tuple[object, ...]
_Keywords: TypeAlias = Mapping[str, object] | None

_NOWHERE = -1
"""The position of a policy that the stack does not have."""

_RUNNER_ONLY = frozenset({"RUNNER"})
_SUCCESS_NOTES = {Telling.MARK: "MARKS", Telling.COUNT: "COUNTS", Telling.CALL: "REPORTS"}
"""The features by which a gate learns of a success."""

# By the names they have in the code of wrappers, see `fast_path_template`.
_BUILTINS = {f".{each.__name__}": each for each in (Exception, BaseException, GeneratorExit)}
_GLOBALS = {".clock": current_clock, ".exhaustion": GIVE_UPS, ".Opened": Opened, **_BUILTINS}


def _parts(stack: Sequence[Policy], part: Callable[[Policy], T | None]) -> dict[int, T]:
    """Return the *part* of each policy of *stack* that has it, by position."""
    found = [(position, part(policy)) for position, policy in enumerate(stack)]
    return {position: each for position, each in found if each is not None}


def _first(parts: Mapping[int, T]) -> tuple[int, T | None]:
    return next(iter(parts.items()), (_NOWHERE, None))


class _FastPath:
    """The parts of a stack's policies that a wrapper looks at, begins, or notes a success in, and their positions.

    A wrapper does without the runner where all policies offer a fast path, and at most one of them is a gate, one
    counts and one times the calls. Sync limits need the runner: a thread or a signal keeps them.
    """

    __slots__ = ("counter", "features", "gate", "gate_at", "limits", "recorder", "timed_at")

    def __init__(self, target: str, stack: Sequence[Policy], *, asynchronously: bool) -> None:
        gates: dict[int, Gate] = _parts(stack, attrgetter("fast_path_gate"))
        recorders: dict[int, Stopwatch] = _parts(stack, methodcaller("stopwatch", target))
        counters: dict[int, Tally] = _parts(stack, attrgetter("success_counter"))
        #: Seconds that the policies allow, by position.
        self.limits: dict[int, float] = _parts(stack, attrgetter("time_limit"))
        self.gate_at, self.gate = _first(gates)
        self.timed_at, self.recorder = _first(recorders)
        self.counter = next(iter(counters.values()), None)
        #: What the wrapper's text has to do, see `fast_path_template.FEATURES`.
        self.features = _RUNNER_ONLY
        single = max(len(gates), len(recorders), len(counters)) <= 1
        if single and (asynchronously or not self.limits) and all(policy.fast_path for policy in stack):
            self.features = self._features(any(policy.tracks_exhaustion for policy in stack))

    def _features(self, tracks_exhaustion: bool) -> frozenset[str]:
        features: list[str] = []
        if self.gate is not None:
            features += ["GATED", "NOTES", _SUCCESS_NOTES[self.gate.telling]]
            features += ["OUTERMOST_GATE"] * (self.gate_at == 0) + ["NESTS"] * self.gate.nests
        if self.counter is not None:
            features += ["COUNTED", "NOTES"]
        if self.recorder is not None:
            features += ["TIMED", "NOTES"] + ["TIMES_ALONE"] * self.recorder.alone
        if self.limits:
            features += ["LIMITED", "NOTES"]
        if tracks_exhaustion:
            features += ["TRACKS_EXHAUSTION"]
        return frozenset(features)


class _SlowPath:
    """Hands a call over to the runner. It owns what a wrapper needs off the happy path.

    Each method makes the `Call`, with the outcome so far and the *position* at which the runner begins: the policies
    above it have let the call in already.
    """

    __slots__ = ("drive", "function", "gate_at", "opener", "stack", "target", "timed_at")

    clock = staticmethod(current_clock)
    set_context = staticmethod(set_context)

    def __init__(
        self,
        target: str,
        function: Callable[..., object],
        stack: Sequence[Policy],
        opener: Callable[..., object] | None,
        drive: Any,
        *,
        gate_at: int = _NOWHERE,
        timed_at: int = _NOWHERE,
    ) -> None:
        self.target = target
        self.function = function
        self.stack = stack
        #: What a runner calls in place of the function: a stream's first item is fetched, a first result is looked at.
        self.opener = opener
        #: The runner, sync or async.
        self.drive = drive
        #: The positions of the gate and of the policy that times the calls.
        self.gate_at = gate_at
        self.timed_at = timed_at

    def call(self, arguments: _Arguments, keywords: _Keywords) -> Call:
        """Return a call that no policy has let in yet."""
        call = Call(self.target, self.function, arguments, keywords)
        call.opener = self.opener
        return call

    def failed(self, error: Exception, arguments: _Arguments, keywords: _Keywords) -> Call:
        """Return a call whose function has raised *error*."""
        call = Call(self.target, self.function, arguments, keywords)
        call.opener = self.opener
        call.first = failed_here(error)  # without the wrapper's frame, since it raises the error itself in the end
        call.position = len(self.stack)
        return call

    def rejected(self, error: Exception | None, arguments: _Arguments, keywords: _Keywords) -> Call:
        """Return a call that the gate rejects with *error*; without one, a call that it has to be asked about."""
        call = self.call(arguments, keywords)
        if error is not None:
            call.first = Outcome(None, error)
            call.position = self.gate_at
        return call


class _LimitedSlowPath(_SlowPath):
    """The slow path of an async function whose policies limit its time: it takes a call out of its limits first.

    As in nested ``with`` blocks, each limit sees what leaves it, the innermost first, and takes what is its own
    cancellation. The policies inside a limit run under it.
    """

    __slots__ = ("limits", "recorder")

    #: The positions of the limits, the innermost first.
    limits: Sequence[int]
    #: What times the calls, if anything does.
    recorder: Stopwatch | None

    def late(self, value: object, arguments: _Arguments, keywords: _Keywords) -> Call:
        """Return a call that has returned *value* although one of its limits had passed."""
        call = self.call(arguments, keywords)
        call.first = Outcome(value)
        call.position = len(self.stack)
        return call

    def expired(
        self, cut: BaseException, watch: Watch | Watches, arguments: _Arguments, keywords: _Keywords
    ) -> Call | None:
        """Return a call that one of its limits has cut off; None where *cut* is not a limit's own."""
        from resilience.timer import over, watches_of

        for depth, each in zip(self.limits, watches_of(watch), strict=True):
            if over(each, cut):
                call = self.call(arguments, keywords)
                self._expire(call, depth, cut)
                return call
        return None

    async def leave_limits(self, call: Call, watch: Watch | Watches) -> None:
        """Take *call* out of all its limits, through the policies inside them."""
        from resilience.timer import over, watches_of

        cut: BaseException | None = None
        if call.first is EXPIRED and call.position <= self.timed_at:
            self._count_cancelled(call)
        try:
            for depth, each in zip(self.limits, watches_of(watch), strict=True):
                if call.first is EXPIRED and depth + 1 >= call.position:  # it is the one that has passed, or inside
                    continue
                cut = cut or await self._run_inside(call, depth, each)
                if over(each, cut) and cut is not None:
                    if depth < self.timed_at < call.position:
                        self._count_cancelled(call)
                    self._expire(call, depth, cut)
                    cut = None
            if cut is not None:
                if _NOWHERE < self.timed_at < call.position:
                    self._count_cancelled(call)
                raise cut
        finally:
            cut = None  # this frame, to which its traceback leads, must not lead back to it

    async def _run_inside(self, call: Call, depth: int, watch: Watch) -> BaseException | None:
        """Run the policies inside the limit at *depth*; return the exception that cut them off, if one did."""
        from resilience.timer import time_left

        position, call.position = call.position, depth + 1
        if position == depth + 1:
            return None
        # They have to know how much time the limit leaves.
        call.due = min(call.due, call.clock.now() + time_left(watch))
        try:
            call.first = await self.drive(self.stack, depth + 1, call, position)
        except BaseException as cut:
            return cut
        finally:
            call.position = depth + 1
            call.due = due_by(call.clock)
        return None

    @staticmethod
    def _expire(call: Call, depth: int, cut: BaseException) -> None:
        call.first, call.cut = EXPIRED, cut
        call.position = depth + 1

    def _count_cancelled(self, call: Call) -> None:
        """Count the call for the policy that times it: a limit outside of that, or a cancellation, has ended it."""
        if self.recorder is not None:
            self.recorder.cancelled(call.clock.now() - cast("float", call.held[self.timed_at]))


class _StreamSlowPath(_SlowPath):
    """What the wrapper of a generator function needs. Streams always run through the runner."""

    __slots__ = ()

    ended = staticmethod(ended)
    cut_short = staticmethod(cut_short)

    def call(self, arguments: _Arguments, keywords: _Keywords) -> Call:
        """Return a call that no policy has let in yet."""
        call = super().call(arguments, keywords)
        call.enclosing = admitted_here()
        return call

    def begin(self, call: Call, outcome: Outcome) -> tuple[object, object]:
        """Return the items of an opened stream, and the first one."""
        return begin(call, outcome, self.drive, asynchronously=self.drive is async_runner.drive)


def wrapper_of(
    target: str,
    function: Callable[..., object],
    stack: Sequence[Policy],
    *,
    asynchronously: bool,
    first: FirstCall | None = None,
) -> FunctionType:
    """Return the function that calls *function* through *stack*, outermost first; a coroutine function if it is one.

    It does so by *first* until the function has returned once.
    """
    fast = _FastPath(target, stack, asynchronously=asynchronously)
    first = first or FirstCall(target, function, asynchronously=asynchronously)
    opener = None if first.call is function else first.call
    kind = _LimitedSlowPath if "LIMITED" in fast.features else _SlowPath
    drive = async_runner.drive if asynchronously else sync_runner.drive
    slow = kind(target, function, stack, opener, drive, gate_at=fast.gate_at, timed_at=fast.timed_at)
    begin = None
    if isinstance(slow, _LimitedSlowPath):
        slow.limits, slow.recorder = [*fast.limits][::-1], fast.recorder
        begin = _begin([*fast.limits.values()])
    free = {
        **_GLOBALS,
        ".function": first.call,
        ".slow": slow,
        ".gate": fast.gate,
        ".begin": begin,
        ".counter": fast.counter,
        ".recorder": fast.recorder,
    }
    wrapper = _wrapper(CALL, function, fast.features, free, asynchronously)
    if opener is not None:
        # Not the wrapper: an idle one would be left to the garbage collector, with the timers of its limits.
        cells = [cell for cell in wrapper.__closure__ or () if cell.cell_contents is opener]
        first.then = partial(_call_directly, slow, cells)
    return wrapper


def _call_directly(slow: _SlowPath, cells: Sequence[CellType]) -> None:
    """Have a runner and the wrapper of these *cells* call the function itself: its first result has been looked at."""
    for cell in cells:
        cell.cell_contents = slow.function
    slow.opener = None


def stream_wrapper_of(
    target: str,
    function: Callable[..., object],
    stack: Sequence[Policy],
    opener: Callable[..., object],
    *,
    asynchronously: bool,
) -> FunctionType:
    """Return the generator function, async if *function* is, that runs *function* through *stack* to its end.

    *opener* calls *function* and fetches the first item: it comes to an `Opened`, or to what an empty one returns.
    """
    text, stop, drive = _STREAMS[asynchronously]
    slow = _StreamSlowPath(target, function, stack, opener, drive)
    return _wrapper(text, function, frozenset(), {**_GLOBALS, ".slow": slow, ".Stop": stop}, asynchronously)


_STREAMS: Mapping[bool, tuple[str, type[Exception], Any]] = {
    False: (STREAM, StopIteration, sync_runner.drive),
    True: (ASYNC_STREAM, StopAsyncIteration, async_runner.drive),
}


def _wrapper(
    text: str, function: Callable[..., object], features: frozenset[str], free: Mapping[str, object], asynchronous: bool
) -> FunctionType:
    """Return the function of *text*, with the parameters and defaults of *function*."""
    parameters = parameters_of(function)
    code = code_for(text, parameters, features, asynchronously=asynchronous)
    # In the function's own globals: whoever looks for the caller's module finds the one the function stands in.
    scope = function.__globals__ if type(function) is FunctionType else globals()
    wrapper = FunctionType(code, scope, closure=tuple([CellType(free[name]) for name in code.co_freevars]))
    if type(function) is FunctionType and parameters is not ANYTHING:
        wrapper.__defaults__ = function.__defaults__
        wrapper.__kwdefaults__ = function.__kwdefaults__ and dict(function.__kwdefaults__)
    return wrapper


def _begin(limits: Sequence[float]) -> Callable[[], Watch | Watches | None]:
    """Return the function that begins these limits of a call; None is its answer where they cannot be kept so."""
    from resilience.timer import begin_all, timer_of

    timers = [timer_of(seconds) for seconds in limits]
    return timers[0].begin if len(timers) == 1 else begin_all(timers)
