"""Chaos as a policy: the innermost of a stack, it makes some calls fail, slow, or answer something else.

It stands where the dependency would be, so that all others meet the fault as they would meet a real one. A `Chaos` is
not part of the wrappers of the functions that it guards, so that it costs nothing while it is off. While it is on, a
stand-in takes the place of each function (`_interception`). One with a switch that is asked at each call is part of the
wrappers.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import weakref
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal, TypeAlias, cast

from resilience._callback_errors import log_callback_error
from resilience._event_type import Event
from resilience._forks import fork_safe
from resilience._keywords import answers_unknown_keywords
from resilience._outcome import Outcome
from resilience._priority_context import current_rank
from resilience._runtime.callables import is_async, is_generator
from resilience._runtime.decorate import Guarded, Keeper
from resilience._runtime.method_selection import MethodSelection, select_methods
from resilience._runtime.place import Place
from resilience._runtime.protocol import PROCEED, Call, Effect, Sleep
from resilience._runtime.protocol import Policy as BasePolicy
from resilience._runtime.worst_case import WorstCase
from resilience._validation import given_options, parse_number, require
from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.clock import seeded_random
from resilience.faults._errors.detection import client_of_call
from resilience.faults._errors.factory import error_for
from resilience.faults._interception import Interceptor
from resilience.faults._latency import LatencyLike, parse_latency
from resilience.faults._real_errors import parse_client
from resilience.faults._receiver import received
from resilience.policies._announce import announce
from resilience.policies.base import Policy, Steps
from resilience.settings import DISABLED

__all__ = ["Chaos", "Enabled", "Strike", "announce_strike"]

Enabled: TypeAlias = bool | Callable[[], bool]
"""Whether chaos is on: a bool, or a function that is asked at each call, such as `flag` and `header` return."""

Kind: TypeAlias = Literal["error", "latency", "result"]

_RATE = "a share of the calls, from 0 to 1, such as 0.3"


@dataclasses.dataclass(frozen=True, slots=True)
class Strike:
    """The faults of one call: an error of the leaf *category*, *seconds* of latency, or both."""

    category: ErrorCategory | None
    seconds: float


class Chaos(Policy):
    """Inject faults into a share of the calls: `chaos` makes one, and documents the parameters.

    It keeps no state of calls, and one object may guard any number of functions. `enable` and `disable` switch it while
    the program runs.

    >>> from resilience import chaos
    >>> chaos(category="timeout", rate=0.3)
    <chaos(category='timeout', rate=0.3)>
    """

    place: Place | None = Place.CHAOS
    supports_generators = True
    guards_local_methods = False
    replaces = False

    @answers_unknown_keywords("chaos")
    def __init__(
        self,
        *,
        category: CategoryLike | None = None,
        rate: float = 1.0,
        latency: LatencyLike | None = None,
        result: object = None,
        enabled: Enabled = True,
        seed: int | None = None,
        client: object = None,
        when: Callable[..., object] | None = None,
        tenant: str | None = None,
        only: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        given = given_options(category=category, latency=latency, result=result)
        require(bool(given), "chaos", None, "category=, latency= or result=: without one it injects nothing", TypeError)
        both = category is not None and result is not None
        require(not both, "result", result, "category= or result=: a call that fails has none")
        require(seed is None or type(seed) is int, "seed", seed, "a whole number, or None", TypeError)
        require(isinstance(tenant, str | None), "tenant", tenant, "the name that priority(tenant=) has", TypeError)
        self.category: ErrorCategory | None = None
        if category is not None:
            self.category = combine("category", [category])
        self.rate: float = parse_number("rate", rate, _RATE, least=0.0)
        require(self.rate <= 1.0, "rate", rate, _RATE)
        self.latency: LatencyLike | None = latency
        self.result: object = result
        self.seed: int | None = seed
        self.client: str | None = parse_client(client)
        self.when: Callable[..., object] | None = _parse_switch("when", when)
        self.tenant: str | None = tenant
        self.methods: MethodSelection | None = select_methods(only, exclude)
        self._seconds: Callable[[float], float] | None = None
        if latency is not None:
            self._seconds = parse_latency("latency", latency)
        self._draw: Callable[[], float] | None = None
        if seed is not None:
            self._draw = seeded_random(seed)
        self._switch: Callable[..., object] | None = None
        self._enabled = enabled is not False
        if not isinstance(enabled, bool):
            self._switch = _parse_switch("enabled", enabled)
        #: A switch has to be asked at each call. Otherwise a stand-in of the function injects, while it is enabled.
        self.on_path: bool = self._switch is not None
        #: The functions that it guards, and what takes the stand-in of each back.
        self._records: weakref.WeakKeyDictionary[Guarded, Callable[[], None] | None] = weakref.WeakKeyDictionary()
        self._lock = fork_safe(threading.RLock())

    # -- switching -----------------------------------------------------------------------------------------------

    @property
    def enabled(self) -> bool:
        """Whether it is on; with a function as its switch, whether that is asked."""
        return self._enabled

    def enable(self) -> None:
        """Switch it on, for all functions that it guards, from their next call on. Doing it twice is fine."""
        with self._lock:
            self._enabled = True
            for record in [record for record, release in self._records.items() if release is None]:
                self._records[record] = Interceptor.install(record, self)

    def disable(self) -> None:
        """Switch it off: calls no longer go through it, and it costs nothing. Doing it twice is fine."""
        with self._lock:
            self._enabled = False
            installed = {record: release for record, release in self._records.items() if release is not None}
            for record, release in installed.items():
                self._records[record] = None
                release()

    def keepers(self) -> tuple[Keeper, ...]:
        """Return this object, which has to know the functions that it guards; none where it is on their path itself."""
        if self.on_path:
            return ()
        return (self,)

    def keep(self, record: Guarded, /) -> None:
        """Remember a function that it guards, and inject into its calls while it is on."""
        with self._lock:
            self._records[record] = None
            if self._enabled:
                self._records[record] = Interceptor.install(record, self)

    # -- the call ------------------------------------------------------------------------------------------------

    def run(self, call: Call) -> Steps:
        """Make *call*, or inject what chance says."""
        strike = self.strike(call)
        if strike is None:
            outcome: Outcome = yield PROCEED
            return outcome
        yield from announce_strike(call.target, self._kind, strike)
        if strike.seconds > 0:
            yield Sleep(strike.seconds)
        if strike.category is not None:
            library = self.client or client_of_call(call.function, call.arguments, call.keywords)
            return Outcome.failed(received(error_for(strike.category, library), call))
        if self.result is not None and not callable(self.result):
            return Outcome(self.result)
        outcome = yield PROCEED
        if self.result is None or outcome.error is not None:
            return outcome
        return self._changed(outcome)

    @property
    def _kind(self) -> Kind:
        if self.category is not None:
            return "error"
        return "latency" if self.result is None else "result"

    def strike(self, call: Call) -> Strike | None:
        """Return the faults of *call*; None where it goes through as it is."""
        if not self._enabled or DISABLED.is_on() or not self._is_for(call):
            return None
        draw = self._draw or call.clock.random
        if self.rate < 1.0 and draw() >= self.rate:
            return None
        seconds, category = 0.0, self.category
        if self._seconds is not None:
            seconds = self._seconds(draw())
        if category is not None and not category.is_leaf:
            leaves = list(category)
            category = leaves[math.floor(draw() * len(leaves))]
        return Strike(category, seconds)

    def _is_for(self, call: Call) -> bool:
        """Whether the conditions for *call* hold. A function of the user's that fails counts as one that says no."""
        if self.tenant is not None and current_rank().tenant != self.tenant:
            return False
        if self._switch is not None and not _answer("enabled switch", self._switch):
            return False
        return self.when is None or _answer("when condition", self.when, call)

    def _changed(self, outcome: Outcome) -> Outcome:
        """Return the outcome of a call with the result that *result* makes of its own; what that raises, it raises."""
        change = cast("Callable[[object], object]", self.result)
        try:
            return Outcome(change(outcome.value))
        except Exception as error:
            return Outcome.failed(error)

    # -- what is known of it -------------------------------------------------------------------------------------

    def check_stack(self, target: str, function: Callable[..., object], stack: Sequence[BasePolicy]) -> None:
        """Raise TypeError for a generator function where results are changed: it has items in place of a result."""
        if self.result is not None and is_generator(function):
            raise TypeError(f"chaos(result=...): {target} has items and no result; give category= or latency=")

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside*: what it injects takes the place of the call."""
        return inside

    def __str__(self) -> str:
        label = None if self.category is None else self.category.label
        options = given_options(
            category=label, latency=self.latency, result=self.result, client=self.client, tenant=self.tenant
        )
        shown = [f"{name}={value!r}" for name, value in options.items()]
        if self.rate != 1.0:
            shown.append(f"rate={self.rate:g}")
        if not self._enabled:
            shown.append("enabled=False")
        return f"chaos({', '.join(shown)})"


def announce_strike(target: str, kind: Kind, strike: Strike) -> Generator[Effect, Any, None]:
    """Emit the event of a fault, where something listens."""
    yield from announce(_injected, target, kind, strike)


def _injected(target: str, kind: Kind, strike: Strike) -> Event:
    from resilience.events import FaultInjected

    return FaultInjected(target=target, policy="chaos", kind=kind, category=strike.category, seconds=strike.seconds)


def _answer(role: str, function: Callable[..., object], call: Call | None = None) -> bool:
    """Return the answer of a user's function, which is given the arguments of *call*; False where it fails."""
    try:
        if call is None:
            return bool(function())
        return bool(function(*call.arguments, **call.keywords))
    except Exception as error:
        log_callback_error(role, function, error)
        return False


def _parse_switch(parameter: str, function: Any) -> Any:
    """Return a plain function. Raises TypeError for what cannot be called, and for an async one."""
    expected = "True, False, or a function such as flag('chaos.payments')"
    if parameter == "when":
        expected = "a function of the call's arguments, such as lambda order: order.test"
    require(function is None or callable(function), parameter, function, expected, TypeError)
    require(not is_async(function), parameter, function, "a plain function; an async one is not awaited", TypeError)
    return function
