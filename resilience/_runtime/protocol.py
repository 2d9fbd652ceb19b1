"""The policy protocol: a policy is a generator around a call. It yields effects, and the runners carry them out.

`Policy.run` is the same for sync, asyncio and trio, since it does no I/O and waits for nothing: it says by an *effect*
what is to happen, and is sent the answer. `Proceed` runs the next layer, in the end the function, and is answered with
an `Outcome`, a value or an error; nothing is raised inside a policy. The other effects wait, take a slot, call a
function of the user's, emit an event, or run copies of the next layer.

>>> class Twice(Policy):
...     def run(self, call: Call) -> Steps[Outcome]:
...         outcome = yield Proceed()
...         if outcome.error is not None:
...             yield Sleep(1.0)
...             outcome = yield Proceed()
...         return outcome
>>> steps = Twice().run(Call("shop.search", print))
>>> type(next(steps)).__name__, type(steps.send(Outcome.failed(TimeoutError()))).__name__
('Proceed', 'Sleep')

What a policy keeps of a call are the local variables of that generator. It is closed where the call ends without an
outcome, so what has to be given back is given back in a ``finally``.

Beside `run` a policy declares a few things for the runners and for `describe`. Those of the fast path (`Gate`,
`Limiter`, `SuccessCounter`, `LatencyRecorder`) say what a wrapper may do by itself for a call that succeeds at once,
without `run`.
"""

from __future__ import annotations

import abc
import enum
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, final

from resilience._callback_errors import RUNNING, log_callback_error, with_hook
from resilience._deadline_context import current_deadline_any_clock, deadline_or_inf
from resilience._outcome import DEADLINE_EXCEEDED, TIMED_OUT, Outcome
from resilience._runtime.circuit_context import Note, Permit
from resilience._runtime.cut_off import AbandonWatch, CutOff, thread_limit_here
from resilience._runtime.exhaustion import exhaustion_counter
from resilience._runtime.tracebacks import failed_here
from resilience._validation import parse_count, parse_duration
from resilience.clock import Clock, Waitable, current_clock

if TYPE_CHECKING:
    from resilience._runtime.method_selection import MethodSelection
    from resilience._runtime.place import Place
    from resilience._runtime.slots import Slots, Waiter
    from resilience._runtime.worst_case import WorstCase
    from resilience.events import Event

__all__ = [
    "NO_POLICIES",
    "PROCEED",
    "Abandoned",
    "Acquire",
    "Admission",
    "Call",
    "Effect",
    "Emit",
    "Ending",
    "Gate",
    "LatencyRecorder",
    "Limiter",
    "OnFailure",
    "PassThrough",
    "Permit",
    "Policy",
    "Proceed",
    "Race",
    "Run",
    "Sleep",
    "Steps",
    "SuccessCounter",
    "SuccessReporting",
]

T = TypeVar("T")

Ending: TypeAlias = Callable[[Callable[[], object]], AbstractContextManager[object]]
"""Returns a block during which the function that it is given may be called, to end a wait."""


class Emit:
    """Hand *event* to its listeners, which may neither wait nor change the outcome; answer None.

    Make the event only where something listens: importing its class and filling it in takes longer than a call.
    """

    __slots__ = ("event",)

    def __init__(self, event: Event) -> None:
        self.event: Event = event


class Run:
    """Call the user's *function*, which may be async where the call is, and answer with its outcome.

    Its error is the outcome's, never raised. With a *role* ("on_retry callback") it is a callback: its error is logged
    under that name, as that of *hook* where *function* is only its adapter, and no callback runs within itself.
    *blocking* work (a shared store) leaves the event loop's thread.
    """

    __slots__ = ("arguments", "blocking", "function", "hook", "role")

    def __init__(
        self,
        function: Callable[..., object],
        *arguments: object,
        role: str | None = None,
        hook: object = None,
        blocking: bool = False,
    ) -> None:
        self.function: Callable[..., object] = function
        self.arguments: tuple[object, ...] = arguments
        self.role: str | None = role
        self.hook: object = function if hook is None else hook
        self.blocking: bool = blocking

    @property
    def runs(self) -> object:
        """The hook that runs meanwhile: a store of pybreaker's is none, but each method of its adapter."""
        return self.hook if callable(self.hook) else self.function

    def failed(self, error: Exception) -> Outcome:
        """Return the outcome where *function* raised *error*, which has been caught; log that of a callback."""
        if self.role is not None:
            log_callback_error(self.role, self.hook, error)
        return failed_here(error)

    def enter(self) -> None:
        """Note that a callback runs in this context. Raises HookRecursionError where it runs already."""
        if self.role is not None:
            RUNNING.set(with_hook(self.runs))


@final
class Proceed:
    """Run the next layer, in the end the function, and answer with its `Outcome`. May be yielded again.

    With a *timeout*, in seconds, the next layer ends when they have passed, or when an enclosing deadline has: the
    answer then is a `CallTimeoutError` or a `DeadlineExceededError`. Async code is cancelled. Sync code runs in a
    worker thread that its caller leaves; with *interrupts* a signal interrupts it where it can, with *cooperative* the
    caller waits, and the inner calls keep the deadline by themselves.

    The runners know it by its exact type, so it has no subclasses. The policy is suspended while the next layer runs.
    It is closed there where the call is cancelled, and sent nothing. Around a generator function the answer comes when
    the items have ended or failed; the *timeout* is for the first.
    """

    __slots__ = ("cooperative", "interrupts", "raw", "timeout")

    def __init__(
        self,
        timeout: float | None = None,
        *,
        cooperative: bool = False,
        interrupts: bool = False,
        raw: bool = False,
    ) -> None:
        self.timeout: float | None = timeout
        self.cooperative: bool = cooperative
        self.interrupts: bool = interrupts
        #: Whether the answer of an expired one is TIMED_OUT or DEADLINE_EXCEEDED, for a policy with errors of its own.
        self.raw: bool = raw

    def answer(self, call: Call, outcome: Outcome) -> Outcome:
        """Return what the policy is sent for the *outcome* of the next layer: an error where its time has passed."""
        if self.raw or outcome not in (TIMED_OUT, DEADLINE_EXCEEDED):
            return outcome
        from resilience.errors.base import CallTimeoutError, DeadlineExceededError

        assert self.timeout is not None, "nothing else can have passed"
        error: Exception = CallTimeoutError(call.target, self.timeout)
        if outcome is DEADLINE_EXCEEDED:
            error = DeadlineExceededError(call.target)
        error.__cause__, call.cancellation = call.cancellation, None
        return Outcome.failed(error)


PROCEED = Proceed()
"""The one that needs no parameters: a policy may yield it again and again, in place of one made for each attempt."""


class Sleep:
    """Wait for so many *seconds*, by the call's clock; answer None.

    A wait is not cut to the call's deadline: a policy that has no time left for it asks `Call.lacks_time` before. One
    that *ends_at_shutdown* may be shorter, see `settings.begin_shutdown`; so may one with *ended_by*. That is called
    with a function that ends the wait, from any thread, and returns a block around it.
    """

    __slots__ = ("ended_by", "ends_at_shutdown", "seconds")

    def __init__(self, seconds: float, *, ends_at_shutdown: bool = False, ended_by: Ending | None = None) -> None:
        self.seconds: float = seconds
        self.ends_at_shutdown: bool = ends_at_shutdown
        self.ended_by: Ending | None = ended_by


class Acquire:
    """Take one of *slots*, waiting at most *timeout* seconds and no longer than the call's deadline; answer whether.

    With a *timeout* of None only the deadline ends the wait. A slot that was taken is given back by
    ``slots.release()``, in a ``finally`` around what follows. A wait that is cancelled takes nothing.
    """

    __slots__ = ("slots", "timeout")

    def __init__(self, slots: Slots, timeout: float | None = None) -> None:
        self.slots: Slots = slots
        self.timeout: float | None = timeout


class OnFailure(enum.Enum):
    """The consequences that the failure of one copy of a `Race` can have for the others."""

    WAIT = "wait"
    """The others go on; where none is in flight, the race has failed."""
    NEXT = "next"
    """The next copy begins at once, without the delay."""
    END = "end"
    """The race has failed: the others are cancelled."""


class Race:
    """Run the next layer, and up to *copies* more of it side by side, each *delay* seconds after the one before.

    Answer with the first success, or, when all in flight have failed, with the last failure. The others are cancelled
    and awaited. Only around async functions: nothing can end a sync copy. A policy that yields it declares
    ``supports_sync = False``, and is refused where other functions are decorated. Of an async generator function the
    copies race for the first item; the answer comes when the items of the winner have ended.

    A subclass decides about each copy: `begin` before it begins, `judge` when it has failed, `won` of the one whose
    success counts. They are called in the event loop, and may neither wait nor raise.
    """

    __slots__ = ("copies", "delay")

    #: Whether copies of a sync call run in worker threads. The losers are then left there: a thread cannot be stopped.
    in_threads: bool = False

    def __init__(self, delay: float, copies: int = 1) -> None:
        self.delay: float = parse_duration("delay", delay, zero=True)
        self.copies: int = parse_count("copies", copies)

    def begin(self, copy: Call, number: int) -> bool:
        """Return whether *copy* may begin now: a further one, the *number*-th from 1. It may be given another function.

        One that may not begin is asked about again while the others are in flight: after a quarter of the delay, and
        each time after twice as long.
        """
        return True

    def judge(self, failure: Outcome) -> OnFailure:
        """Return what the *failure* of a copy means for the others."""
        return OnFailure.WAIT

    def won(self, number: int) -> None:
        """Take note that a copy, the *number*-th, has succeeded first; 0 is the first call itself."""


Effect: TypeAlias = Proceed | Sleep | Acquire | Emit | Run | Race
Steps: TypeAlias = Generator[Effect, Any, T]
"""A generator that yields effects, is sent their answers, and returns a result: for a policy's `run` an `Outcome`."""


class Admission:
    """A gate's state at the moment a call began: the outcome is recorded on it and on no other.

    A transition replaces the state, so the result of a call that began before it changes nothing after it. With
    *fast_path* it admits every call, and needs no more of a success than the gate's `SuccessReporting`.
    """

    __slots__ = ("call_count", "failures", "fast_path", "quiet", "success_seen")

    def __init__(self, fast_path: bool, failures: int = 0) -> None:
        self.fast_path: bool = fast_path
        #: Whether it has counted no failure, so that a success changes nothing.
        self.quiet: bool = fast_path
        #: Whether a call has succeeded since the last failure.
        self.success_seen: bool = False
        #: How many calls ended, where the gate counts them.
        self.call_count: int = 0
        self.failures: int = failures


class SuccessReporting(enum.Enum):
    """The report of a success from the fast path to a gate: a mark, a number, or each call."""

    MARK = "mark"
    """That there was one: `Admission.success_seen`."""
    COUNT = "count"
    """How many there were: `Admission.call_count`."""
    CALL = "call"
    """Each of them: `Gate.ended`."""


class Gate(Protocol):
    """A policy's state that decides before a call whether it is admitted: a circuit breaker's.

    The fast path reads `admission` (or `state_here`, where calls nest). Where that is on the fast path it calls the
    function, and reports a success as `telling` says. All else goes through the policy's `run`: a failure, a state that
    rejects or admits single calls.
    """

    @property
    def state(self) -> Admission:
        """The present state; replaced, never changed, by a transition."""
        ...

    @property
    def admission(self) -> Admission:
        """`state`, as the fast path reads it.

        One that is not on the fast path within a call whose caller may leave its thread: `run` has to take note of it.
        """
        ...

    #: How the fast path reports a success.
    telling: SuccessReporting

    def ended(self, state: Admission, began: float, clock: Clock) -> object:
        """Record a success, where each of them is reported, of a call that *began* then."""
        ...

    def reject_if_open(self, clock: Clock) -> Exception | None:
        """Return the error of a call that is certainly rejected, where no listener has to be notified of it."""
        ...

    @property
    def nests(self) -> bool:
        """Whether calls nest, as those of a class whose methods call each other.

        Then the fast path reads `state_here` in place of `state`, and notes the call while the function runs.
        """
        ...

    @property
    def state_here(self) -> Admission:
        """The present state; or, within a call that was admitted by it, one on the fast path that records nothing."""
        ...

    def succeeded(self, state: Admission, /) -> object:
        """Record a success where calls nest and *state* is not quiet, unless the call belongs to another one."""
        ...


class Limiter(Protocol):
    """Admits calls one by one, where one more is within the limit: slots, or the tokens of a rate.

    A `Gate` is only looked at, a limiter gives something to each call that it admits. The fast path asks it by
    `try_enter` before it calls the function. Where the answer is False, `run` is asked, which may wait or reject. The
    methods wait for nothing, call no function of the user's but listeners of events, and may be called from any thread.

    The *permit* is made before the limiter is asked, so that Ctrl-C, at whatever instruction, cannot lose what was
    taken. A call that fails takes its permit to `run`, which gets it by `Call.take_permit`.

    Of several limiters in a stack one may take nothing back; a stack with more of these is run for each call, as
    generator functions and blocks are. `Slots` are a limiter. This one hands out a number of calls:

    >>> from resilience.policies import Outcome, Policy, Proceed
    >>> class Trial:
    ...     leaves = False
    ...     def __init__(self, left):
    ...         self.left = left
    ...     def try_enter(self, permit):
    ...         self.left -= 1
    ...         return self.left >= 0
    ...     def leave(self, permit): ...
    >>> class TrialCalls(Policy):
    ...     fast_path = True
    ...     def __init__(self, calls):
    ...         self.fast_path_limiter = self.trial = Trial(calls)
    ...     def run(self, call):
    ...         if not call.admitted and not self.trial.try_enter([None, None, None]):
    ...             return Outcome.failed(PermissionError("the trial is over"))
    ...         outcome = yield Proceed()
    ...         return outcome
    >>> guarded = TrialCalls(2)(len)
    >>> guarded("a"), guarded("bc")
    (1, 2)
    >>> guarded("abc")
    Traceback (most recent call last):
    ...
    PermissionError: the trial is over
    """

    #: Whether a call gives back what it took when it ends; else `leave` is never called.
    leaves: bool

    def try_enter(self, permit: Permit, /) -> bool:
        """Admit a call if it is within the limit now, and note that in *permit*; return whether."""
        ...

    def leave(self, permit: Permit, /) -> None:
        """Take back what the call with that *permit* took, if anything; once or more often."""
        ...


class SuccessCounter(Protocol):
    """Counts the calls that succeed at once, such as a retry's budget: the fast path adds one to `passes`."""

    passes: int


class LatencyRecorder(Protocol):
    """Counts and times calls.

    The fast path counts those that succeed: one more `quick` one of so many seconds where a call took up to
    *quick_up_to* and is *alone*, else by `slow`. Any other call goes through `run` of the policy that the recorder
    belongs to, which finds in `Call.started_at` when the call began.
    """

    quick: int
    quick_seconds: float
    quick_up_to: float
    #: Whether threads may count by hand.
    alone: bool

    def slow(self, took: float) -> None:
        """Count a success."""
        ...

    def cancelled(self, took: float, cut_off: CutOff | None) -> None:
        """Count a call that was cancelled: a time-out, where that is what has cut it off."""
        ...


class Abandoned(Waitable, Protocol):
    """The cancel token of a call in a thread: *cancelled* once its caller has left, or its time is up.

    A sleep waits on it, and so ends at once.
    """

    cancelled: bool


class Call:
    """One call in flight through a stack of policies: what is called, with what, by when, and how far it has come.

    A policy reads *target*, *arguments*, *keywords*, *clock*, *due* and *cut_off*, and replaces the arguments to have
    later attempts made with others. Everything else belongs to the runners.

    A call is made once for each call of a guarded function, block, loop or stream, when the fast path fails or does
    not apply; it must be cheap to make. A part of a call that runs in another thread or task is a `fork` of it: it has
    a list of suspended policies of its own, so that each generator is resumed and closed where it runs.

    >>> call = Call("shop.search", len, ("lamp",))
    >>> call.target, call.arguments, dict(call.keywords), call.due
    ('shop.search', ('lamp',), {}, inf)
    >>> call.lacks_time(3600.0)
    False
    """

    __slots__ = (
        "admission",
        "admitted",
        "arguments",
        "base",
        "began",
        "cancel_token",
        "cancellation",
        "clock",
        "due",
        "enclosing",
        "ended_by",
        "exhaustions_at_start",
        "forked_from",
        "function",
        "initial_outcome",
        "keywords",
        "notes",
        "opener",
        "permits",
        "position",
        "stack",
        "started_at",
        "streaming_started",
        "suspended",
        "target",
        "waiter",
        "withdrawn",
    )

    def __init__(
        self,
        target: str,
        function: Callable[..., object],
        arguments: tuple[object, ...] = (),
        keywords: Mapping[str, object] | None = None,
        admission: Admission | None = None,
        exhaustions_at_start: int | None = None,
    ) -> None:
        self.target: str = target
        self.function: Callable[..., object] = function
        self.arguments: tuple[object, ...] = arguments
        self.keywords: Mapping[str, object] = keywords or _NO_KEYWORDS
        #: The state of the stack's only gate when the fast path went through it.
        self.admission: Admission | None = admission
        #: When it went through that, where the gate records how long calls take.
        self.began: float = 0.0
        #: What the fast path took from limiters for it, until the policies that they belong to take charge of it.
        self.permits: dict[Limiter, Permit] = _NO_PERMITS
        self.clock: Clock = current_clock()
        #: When it must be over, by its clock: the earliest of the deadlines and limits around it.
        self.due: float = math.inf
        if current_deadline_any_clock() is not None:
            self.due = deadline_or_inf(self.clock)
        #: How many retries had been exhausted when it began, by `exhaustion_counter`.
        self.exhaustions_at_start: int = exhaustion_counter.count
        if exhaustions_at_start is not None:
            self.exhaustions_at_start = exhaustions_at_start
        #: What a runner calls in the function's place: it fetches a stream's first item, or looks at a first result.
        self.opener: Callable[..., object] | None = None
        #: Of a stream: the calls that its consumer's code belongs to, see `circuit_context`.
        self.enclosing: tuple[Note, ...] = ()
        #: The policies around it, the outermost first, once a runner drives it.
        self.stack: Sequence[Policy] = ()
        #: The exception by which a limit has cancelled it: its traceback says where it hung.
        self.cancellation: BaseException | None = None
        #: What has cut it off, or this part of it, and the call of which it is a part; see `cut_off`.
        self.ended_by: CutOff | None = None
        self.forked_from: Call | None = None
        #: Whether a part of its result has reached the caller: then nothing can be made undone by running it again.
        self.streaming_started: bool = False
        #: The outcome of the fast path, for the runner that takes over from it.
        self.initial_outcome: Outcome | None = None
        #: When it began, where the fast path times it for a `LatencyRecorder`.
        self.started_at: float | None = None
        #: Whether it was taken back before its function began, as that is async: then it is no call to be counted.
        self.withdrawn: bool = False
        #: What policies note of this call for their own `Policy.status`.
        self.notes: dict[Policy, object] = {}
        #: The slot that a policy of it took, or waits for, last.
        self.waiter: Waiter | None = None
        #: In a worker thread, whether its caller has stopped waiting for it; None in the caller's own.
        self.cancel_token: Abandoned | None = None
        #: The generators of the policies that have proceeded, the outermost first, from the depth *base* on. Those
        #: above it are suspended elsewhere.
        self.suspended: list[Steps[Outcome]] = []
        self.base: int = 0
        #: How many policies, from the outermost on, the fast path has admitted the call for, where it takes it to a
        #: runner; and whether it has done so for the policy that begins to run.
        self.position: int = 0
        self.admitted: bool = False

    def lacks_time(self, seconds: float) -> bool:
        """Whether its deadline comes before *seconds* have passed from now: then there is no use in waiting for it."""
        return self.due != math.inf and self.clock.now() + seconds >= self.due

    @property
    def cut_off(self) -> CutOff | None:
        """What has cut it off, for a policy that is closed; None: nothing that says anything about what was called."""
        if self.ended_by is None and self.forked_from is not None:
            return self.forked_from.cut_off
        return self.ended_by

    def on_abandoned(self, function: Callable[[], object]) -> AbandonWatch | None:
        """Have *function* called, at most once, when a limit passes whose caller leaves this thread.

        It is called in the caller's thread, while the policy is suspended here until the inner call returns. Call `end`
        of the watch when the policy goes on: False says that the function was called, and the outcome comes late. None
        where no such limit is around this call.
        """
        limit = thread_limit_here()
        if limit is None:
            return None
        return limit.watch(function)

    def fork(self, base: int, cancel_token: Abandoned | None = None) -> Call:
        """Return this call as another thread or task carries it on from the depth *base* inwards.

        Policies above that depth are suspended in this one. *cancel_token* says, in a thread, when its caller has left.
        """
        other = Call(self.target, self.function, self.arguments, self.keywords)
        other.base = base
        other.clock = self.clock
        other.due = self.due
        other.opener = self.opener
        other.stack = self.stack
        other.notes = self.notes
        other.forked_from = self
        other.cancel_token = cancel_token
        return other

    def take_permit(self, limiter: Limiter | None) -> Permit | None:
        """Return the permit that the fast path got from *limiter* for this call, once; None where it got none.

        A policy with a `Policy.fast_path_limiter` takes it when it begins to run, and has the limiter `leave` it when
        the call ends. A call that the fast path has `admitted` has none where a circuit inside has rejected it.
        """
        if limiter is None or not self.permits:
            return None
        return self.permits.pop(limiter, None)


_NO_KEYWORDS: Mapping[str, object] = {}
_NO_PERMITS: dict[Limiter, Permit] = {}


class Policy(abc.ABC):
    """A decision about calls, made once for sync and async by `run`.

    One object guards any number of functions and is used from threads and event loops at once. What all calls share
    is on the object, behind a lock where it is more than one step; what belongs to one call is local to `run`. The
    attributes say what a policy can guard, and what the fast path, the limits and the worst case need to know of it.
    Their defaults are safe: a policy that declares nothing is run for every call.
    """

    __slots__ = ()

    #: Whether a call that succeeds at once may leave this policy out: it needs no more than a look at its gate, a
    #: permit of its limiter, and its time limit kept. Opted into: a policy that says nothing of itself is asked about
    #: every call.
    fast_path: bool = False
    #: The state to look at before a call, if there is one.
    fast_path_gate: Gate | None = None
    #: What admits a call before it is made, if anything does.
    fast_path_limiter: Limiter | None = None
    #: What counts the calls that succeed at once, if anything does.
    success_counter: SuccessCounter | None = None
    #: Whether it asks how many retries had been exhausted when a failed call began: `Call.exhaustions_at_start`.
    tracks_exhaustion: bool = False
    #: Whether it can guard what is no generator: a call that has ended when it returns.
    supports_calls: bool = True
    #: Whether it can guard a function that is not async: it yields no `Race`.
    supports_sync: bool = True
    #: Why it cannot, for the error.
    needs_async: str = "nothing can end a copy"
    #: Whether it can guard a generator function: `Proceed` then answers when the items have ended or failed. It may be
    #: yielded again until the first item has been handed out and the call has `Call.streaming_started`.
    supports_generators: bool = False
    #: Seconds that each further item of a stream may take from the moment it is asked for. When they pass, `Proceed`
    #: answers with TIMED_OUT or DEADLINE_EXCEEDED, as for *time_limit*, which holds until the first item is there.
    item_timeout: float | None = None
    #: The timeout of its `Proceed`, in seconds, for the fast path and the worst case; None where it sets none.
    time_limit: float | None = None
    #: Whether the limit is a deadline: everything inside keeps it by itself, so a sync caller waits for what runs.
    is_deadline: bool = False
    #: Whether a sync call may be interrupted by a signal where it runs, in place of a thread that is abandoned.
    uses_signal: bool = False
    #: Whether it ends a call before the deadline around it, to have time left for an answer of its own: the fast path
    #: then leaves calls under a deadline to the runner.
    reserves_time: bool = False

    #: Which public methods of a class it guards; None: all of them, but local ones where it is not for those.
    methods: MethodSelection | None = None
    #: The kind of policy it is, by its place in a stack, for `lint`; None: any place may be right.
    place: Place | None = None
    #: Whether calls go through it. A function is guarded without a policy that is off the path, at no cost; it is
    #: still part of what `describe` and `lint` see. What changes it has the functions' wrappers made anew.
    on_path: bool = True

    def check_stack(self, target: str, function: Callable[..., object], stack: Sequence[Policy]) -> None:
        """Raise TypeError where this policy, as part of *stack*, must not guard *function*, which is called *target*.

        Called when the function is decorated, and again when further policies are put around it.
        """
        return

    #: Whether it guards methods of a class that make no request, such as ``close``, where they are not named. A policy
    #: that rejects, repeats or limits calls in time does not.
    guards_local_methods: bool = True

    def stopwatch(self, target: str) -> LatencyRecorder | None:
        """Return what times the calls of *target* on the fast path, if anything does."""
        return None

    @abc.abstractmethod
    def run(self, call: Call) -> Steps[Outcome]:
        """Take *call* through this policy: a generator that yields effects and returns the call's outcome.

        It is the same for sync, asyncio and trio. What it keeps of a call are its local variables. It is closed where
        the call has no outcome for it, on cancellation and Ctrl-C: `finally` then gives back what it took, and must not
        yield; `Call.cut_off` says what has ended the call. Where ``call.admitted`` is set the fast path has made the
        first attempt: `run` proceeds first, and is sent its outcome.
        """
        raise NotImplementedError

    def status(self, call: Call) -> str | None:
        """Return this policy's state in words, for the note of a failed call; None where there is nothing to say."""
        return None

    def rejects_for(self, call: Call) -> float:
        """Return for how many seconds from now it certainly rejects a call such as *call*; 0 where it may admit one.

        An enclosing retry does not begin a wait that is shorter: its next attempt would be rejected.
        """
        return 0.0

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return the worst case of a call through this policy, where *inside* is that of the next layer."""
        if self.time_limit is None:
            return inside
        return inside.within(self.time_limit)

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        """Return the user's functions this policy invokes, by parameter: none may be async around a sync call."""
        return {}


class PassThrough(Policy):
    """A policy that does nothing: it stands for the policy of a block or a loop while policies are switched off."""

    def run(self, call: Call) -> Steps[Outcome]:
        outcome: Outcome = yield PROCEED
        return outcome


NO_POLICIES: Sequence[Policy] = ()
"""The stack of a call while policies are switched off, and of the fetching of an item."""
