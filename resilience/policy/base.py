"""What a policy is: it is asked before a call and after it, and says what should happen, never how."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from resilience.clock import Clock, Waitable, current_clock
from resilience.due import due_by
from resilience.outcome import Outcome
from resilience.policy.circuit_context import Admitted
from resilience.policy.give_ups import GIVE_UPS

if TYPE_CHECKING:
    from resilience.events import Event
    from resilience.policy.class_methods import MethodSelection
    from resilience.policy.worst import WorstCase

__all__ = [
    "NOBODY",
    "Abandoned",
    "Admission",
    "Call",
    "Effect",
    "Emit",
    "Gate",
    "Invoke",
    "Policy",
    "Steps",
    "Stopwatch",
    "Tally",
    "Telling",
    "abandon",
]

T = TypeVar("T")


class Emit:
    """Hand *event* to those who listen."""

    __slots__ = ("event",)

    def __init__(self, event: Event) -> None:
        self.event: Event = event


class Invoke:
    """Call the user's *function*, which may be async where the call is, and answer with its outcome.

    With a *role* it is a bystander: an error of its own is reported under that name, as that of *hook* where *function*
    is only its adapter, and answered as if it had returned. *blocking* work (a shared store) leaves the event loop's
    thread.
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


Effect: TypeAlias = Emit | Invoke
Steps: TypeAlias = Generator[Effect, Outcome, T]
"""What a policy wants done on the way to its answer, which it returns: it yields effects and is sent their outcomes."""


class Admission:
    """A gate's state at the moment a call came in: results are recorded on it and on no other.

    A *quiet* state lets everybody through and wants to hear no more of a success than that there was one.
    """

    __slots__ = ("failures", "passed", "passes", "quiet")

    def __init__(self, quiet: bool, failures: int = 0) -> None:
        self.quiet: bool = quiet
        #: Whether a call succeeded since somebody looked last.
        self.passed: bool = False
        #: How many calls ended, where the gate counts them.
        self.passes: int = 0
        self.failures: int = failures


class Telling(enum.Enum):
    """What a gate wants to know of a call that succeeds."""

    MARK = "mark"
    """That there was one: `Admission.passed`."""
    COUNT = "count"
    """How many there were: `Admission.passes`."""
    CALL = "call"
    """Each of them: `Gate.ended`."""


class Gate(Protocol):
    """A policy's state that has to be looked at before a call."""

    @property
    def state(self) -> Admission:
        """The present state; replaced, never changed, by a transition."""
        ...

    #: How the happy path tells of a success.
    telling: Telling

    def ended(self, state: Admission, began: float, clock: Clock) -> object:
        """Hear of a success, where it is told, of a call that *began* then."""
        ...

    def refuse(self, clock: Clock) -> Exception | None:
        """Return the error of a call that is surely not let through, where nobody wants to be told of it."""
        ...

    @property
    def nests(self) -> bool:
        """Whether calls nest, as those of a class whose methods call each other.

        Then `state_here` is looked at in place of `state`, and the function runs between `enter` and `leave`.
        """
        ...

    @property
    def state_here(self) -> Admission:
        """The present state; or, within a call that was admitted by it, a quiet one that records nothing."""
        ...

    def enter(self, state: Admission, /) -> Admitted:
        """Note that a call admitted by *state* runs."""
        ...

    def leave(self, call: Admitted, /) -> None:
        """Note that *call* has ended."""
        ...


class Tally(Protocol):
    """Counts the calls that succeed at once: on the happy path by hand, `passes` one more."""

    passes: int


class Stopwatch(Protocol):
    """Counts and times calls. On the happy path those that succeed, by hand, where they took up to *quick_up_to*.

    The policy it belongs to is told of any other by the driver: it finds when the call began in `Call.held`.
    """

    quick: int
    quick_seconds: float
    quick_up_to: float
    #: Whether threads may count by hand.
    alone: bool

    def slow(self, took: float) -> None:
        """Count a success."""
        ...

    def cancelled(self, took: float) -> None:
        """Count a call that nobody wanted any more."""
        ...


class Abandoned(Waitable, Protocol):
    """Whether the caller of a thread has *left*; to be waited for."""

    left: bool


class Call:
    """One call on its way through a stack of policies."""

    __slots__ = (
        "abandoned",
        "admission",
        "arguments",
        "clock",
        "committed",
        "cut",
        "due",
        "enclosing",
        "first",
        "function",
        "held",
        "keywords",
        "opener",
        "since",
        "stack",
        "target",
    )

    def __init__(
        self,
        target: str,
        function: Callable[..., object],
        arguments: tuple[object, ...] = (),
        keywords: Mapping[str, object] | None = None,
        admission: Admission | None = None,
        since: int | None = None,
    ) -> None:
        self.target: str = target
        self.function: Callable[..., object] = function
        self.arguments: tuple[object, ...] = arguments
        self.keywords: Mapping[str, object] = keywords or _NO_KEYWORDS
        #: The state of the stack's only gate when the happy path went through it.
        self.admission: Admission | None = admission
        self.clock: Clock = current_clock()
        #: When it must be over, by its clock: what the deadlines and limits around it come to.
        self.due: float = due_by(self.clock)
        #: What had been given up when it began, see `give_ups`.
        self.since: int = GIVE_UPS.count if since is None else since
        #: What calls the function in its place where that is a generator function: it fetches the first item, too.
        self.opener: Callable[..., object] | None = None
        #: Of a stream: the calls that its consumer's code belongs to, see `circuit_context`.
        self.enclosing: tuple[Admitted, ...] = ()
        #: The policies around it, as far as a driver knows them.
        self.stack: Sequence[Policy] = ()
        #: What was raised where a limit cut it short: its traceback says where it hung.
        self.cut: BaseException | None = None
        #: Whether a part of its result has reached the caller: then nothing can be made undone by running it again.
        self.committed: bool = False
        #: The outcome the happy path came to, for whoever takes over from it.
        self.first: Outcome | None = None
        #: What each policy keeps of this call, by its depth in the stack.
        self.held: dict[int, object] = {}
        #: Set when the caller stopped waiting for this thread.
        self.abandoned: Abandoned | None = None

    def fork(self, abandoned: Abandoned) -> Call:
        """Return this call as another thread carries it on, who is told by *abandoned* to stop."""
        other = Call(self.target, self.function, self.arguments, self.keywords)
        other.clock = self.clock
        other.due = self.due
        other.opener = self.opener
        other.stack = self.stack
        other.abandoned = abandoned
        return other


_NO_KEYWORDS: Mapping[str, object] = {}


class Policy:
    """A decision about calls, made once for sync and async.

    A policy whose answer needs something done first, a user's function called or an event emitted, answers with
    `Steps`. Code in their ``finally`` runs on cancellation and Ctrl-C as well, and must not yield.
    """

    __slots__ = ()

    #: Whether a call that succeeds at once may leave this policy out: it needs no more than a look at its gate, and its
    #: limit kept. Opted into: a policy that says nothing of itself is asked about every call.
    fast_path: bool = False
    #: The state to look at before a call, if there is one.
    gate: Gate | None = None
    #: What counts the calls that succeed at once, if anything does.
    tally: Tally | None = None
    #: Whether it wants to know, of a call that fails, what had been given up when that began: `Call.since`.
    dated: bool = False
    #: Whether it can guard what is no generator: a call that has ended when it returns.
    calls: bool = True
    #: Whether it can guard a generator: a call that has not ended when its first item comes. One that fails before is
    #: told to `after` as any call is, and may be run again; else its end is, when the call is `committed`.
    streams: bool = False
    #: Seconds that each further item of a stream may take from the moment it is asked for. When they pass, `after` is
    #: told as for *limit*, which covers what comes before the first one is there.
    idle: float | None = None
    #: Seconds that what is inside may take, each time it is run. When they pass, `after` is told EXPIRED, or OVERDUE
    #: when a deadline around it leaves fewer.
    limit: float | None = None
    #: Whether the limit is a deadline: everything inside keeps it by itself, so a sync caller waits for what runs.
    cooperative: bool = False
    #: Whether a sync call may be interrupted by a signal where it runs, in place of a thread that is abandoned.
    interrupts: bool = False

    #: Which public methods of a class it guards; None: all of them.
    methods: MethodSelection | None = None

    def stopwatch(self, target: str) -> Stopwatch | None:
        """Return what times the calls of *target* on the happy path, if anything does."""
        return None

    def before(self, call: Call, at: int) -> Outcome | Steps[Outcome | None] | None:
        """Let the call in, by None; or answer it. *at* is this policy's depth in the stack, its key to `call.held`."""
        return None

    def after(self, call: Call, at: int, outcome: Outcome) -> Outcome | float | Steps[Outcome | float]:
        """Say what the outcome of what is inside means to whoever is outside; or, by a float, to run it again then.

        Only a call that was let in comes here.
        """
        return outcome

    def resumed(self, call: Call, at: int) -> None:
        """Hear that the wait this policy asked for is over."""

    def status(self, call: Call, at: int) -> str | None:
        """Return what whoever reads why a call failed should know of this policy's state, if anything."""
        return None

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return what a call can come to at worst, when *inside* is what it comes to further in."""
        return inside if self.limit is None else inside.within(self.limit)

    def release(self, call: Call, at: int) -> None:
        """Give back what a call took that was let in and will have no outcome: cancellation, Ctrl-C."""

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        """Return the user's functions this policy invokes, by parameter: none may be async around a sync call."""
        return {}


NOBODY: Sequence[Policy] = ()
"""The stack of a call while policies are switched off."""


def abandon(stack: Sequence[Policy], call: Call, at: int, depth: int = 0) -> None:
    """Have the policies of *stack* between *depth* and *at*, innermost first, give back what *call* took."""
    while at > depth:
        at -= 1
        stack[at].release(call, at)
