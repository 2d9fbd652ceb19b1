"""What a policy is: a generator that says what should happen next and is told how it went."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from resilience.clock import Clock, current_clock
from resilience.outcome import Outcome

if TYPE_CHECKING:
    import threading

    from resilience.events import Event

__all__ = ["CALL", "Admission", "Call", "Effect", "Emit", "Gate", "Invoke", "Policy", "Proceed", "Sleep", "Steps"]


class Proceed:
    """Run whatever is inside this policy; answer with its outcome, or EXPIRED when *limit* seconds passed first."""

    __slots__ = ("limit",)

    def __init__(self, limit: float | None = None) -> None:
        self.limit: float | None = limit


CALL: Final = Proceed()


class Sleep:
    """Wait *seconds*."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds


class Emit:
    """Hand *event* to those who listen."""

    __slots__ = ("event",)

    def __init__(self, event: Event) -> None:
        self.event: Event = event


class Invoke:
    """Call the user's *function*, which may be async where the call is, and answer with its outcome.

    With a *role* it is a bystander: an error of its own is reported under that name and answered as if it had
    returned. *blocking* work (a shared store) leaves the event loop's thread.
    """

    __slots__ = ("arguments", "blocking", "function", "role")

    def __init__(
        self, function: Callable[..., object], *arguments: object, role: str | None = None, blocking: bool = False
    ) -> None:
        self.function: Callable[..., object] = function
        self.arguments: tuple[object, ...] = arguments
        self.role: str | None = role
        self.blocking: bool = blocking


Effect: TypeAlias = Proceed | Sleep | Emit | Invoke
Steps: TypeAlias = Generator[Effect, Outcome, Outcome]


class Admission:
    """A gate's state at the moment a call came in: results are recorded on it and on no other.

    A *quiet* state lets everybody through and does not want to hear of successes.
    """

    __slots__ = ("failures", "quiet")

    def __init__(self, quiet: bool, failures: int = 0) -> None:
        self.quiet: bool = quiet
        self.failures: int = failures


class Gate(Protocol):
    """A policy's state that has to be looked at before a call."""

    @property
    def state(self) -> Admission:
        """The present state; replaced, never changed, by a transition."""
        ...

    def refuse(self, call: Call) -> Outcome | None:
        """Return the outcome of a call that is surely not let through, where nobody wants to be told of it."""
        ...


class Call:
    """One call on its way through a stack of policies."""

    __slots__ = ("abandoned", "admission", "arguments", "clock", "first", "first_at", "function", "keywords", "target")

    def __init__(
        self,
        target: str,
        function: Callable[..., object],
        arguments: tuple[object, ...] = (),
        keywords: Mapping[str, object] | None = None,
        *,
        first: Outcome | None = None,
        first_at: int = -1,
        admission: Admission | None = None,
    ) -> None:
        self.target: str = target
        self.function: Callable[..., object] = function
        self.arguments: tuple[object, ...] = arguments
        self.keywords: Mapping[str, object] = keywords or {}
        self.clock: Clock = current_clock()
        #: The outcome the happy path came to, and the depth in the stack that answers with it, once.
        self.first: Outcome | None = first
        self.first_at: int = -1 if first is None else first_at
        #: The state of the stack's only gate when the happy path went through it.
        self.admission: Admission | None = admission
        #: Set when the caller stopped waiting for this thread.
        self.abandoned: threading.Event | None = None

    def fork(self, abandoned: threading.Event) -> Call:
        """Return this call as another thread carries it on, who is told by *abandoned* to stop."""
        other = Call(self.target, self.function, self.arguments, self.keywords)
        other.clock = self.clock
        other.abandoned = abandoned
        return other


class Policy:
    """A decision about calls, made once for sync and async.

    `run` yields effects and is sent their outcomes; what it returns is what the caller, or the policy outside
    it, gets. Code in its ``finally`` runs on cancellation and Ctrl-C as well, and must not yield.
    """

    #: Whether a call that succeeds needs nothing of this policy (but a look at its gate).
    plain: bool = True
    #: The state to look at before a call, if there is one.
    gate: Gate | None = None

    def run(self, call: Call) -> Steps:
        """Guard one call."""
        raise NotImplementedError

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        """Return the user's functions this policy invokes, by parameter: none may be async around a sync call."""
        return {}
