"""The options of a circuit breaker, each written once: its name, type, default, check and meaning.

`CircuitBreakerConfig` alone knows all options. `circuit_breaker(...)` takes exactly its parameters, for callers, type
checkers and editors alike. To add an option, add a field and a sentence under ``Args``, and a row to
``docs/circuit-breaker.md``. Where an option decides something, the decision is a method here on plain numbers: the
states of the circuit ask, and need not know an option by name.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Callable, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY, field
from datetime import timedelta
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, cast

import pybreaker

from resilience._runtime.callables import is_async, name_of
from resilience._safe_access import safe_getattr
from resilience._validation import optional, parse_count, parse_duration, parse_number, require, require_bool
from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.policies._keyed import parse_key
from resilience.policies._shedding import MIN_CALLS, OPEN_AT, is_no_streak_of_chance
from resilience.policies._sliding_window import CountWindow, RecentCalls, TimeWindow, Window, WindowSnapshot
from resilience.policies.backoff import equal_jitter
from resilience.profiles import DerivedTable, Profile, changed_profiles

__all__ = ["IGNORED", "SUCCESS", "CircuitBreakerConfig", "SharesCircuits", "TripRates"]

SUCCESS: Final = 0
"""The weight of an outcome that is no failure: the dependency answered, if only to refuse."""

IGNORED: Final = -1
"""The weight of an outcome that says nothing about the dependency."""

_DEFAULT_WINDOW = 20
_DEFAULT_MIN_CALLS = 10
_MAX_DOUBLINGS = 64
_RECENT_CALLS, _RECENT_SECONDS = 200, 10.0  # by which a partial circuit knows the share that fails
_MAX_PARTIAL_RESET = 2.0  # a partial circuit probes at least as often

# -- checks of single options: given the name and a value that is not the default, they return the value to keep ------


def _parse_name(parameter: str, value: object) -> object:
    if callable(value):
        raise TypeError(f'@circuit_breaker without a name on {name_of(value)}: write @circuit_breaker("...")')
    require(isinstance(value, str), parameter, value, "the dependency's name as text, such as 'billing'", TypeError)
    require(bool(str(value).strip()), parameter, value, "the dependency's name, such as 'billing'")
    return value


def _parse_share(parameter: str, value: object, *, of: str = "calls") -> float:
    expected = f"a share of the {of}, more than 0 and at most 1, such as 0.5"
    share = parse_number(parameter, value, expected, least=0.0, above=True)
    require(share <= 1, parameter, value, expected)
    return share


def _parse_category(parameter: str, value: object) -> ErrorCategory:
    return combine(parameter, [value])


def _parse_failure_if(parameter: str, value: object) -> object:
    require(callable(value), parameter, value, "a function of a call's result that says True or False", TypeError)
    plain = "a plain function; what an async one says is not awaited"
    require(not is_async(value), parameter, value, plain, TypeError)
    return value


def _parse_storage(parameter: str, value: object) -> object:
    is_storage = isinstance(value, pybreaker.CircuitBreakerStorage)
    require(is_storage, parameter, value, "a pybreaker.CircuitBreakerStorage", TypeError)
    return value


def _parse_fleet(parameter: str, value: object) -> object:
    expected = "a fleet, made by resilience.fleet.Fleet('redis://cache:6379', name='shop')"
    require(callable(safe_getattr(value, "make_circuit")), parameter, value, expected, TypeError)
    return value


def _unchecked(_: str, value: object) -> object:
    """Keep an option as it is: it is checked where it is used, as the methods of a class are when it is decorated."""
    return value


_Parse: TypeAlias = Callable[[str, object], object]

_NAME = {"parse": _parse_name}
_THRESHOLD = {"parse": functools.partial(optional, parse_count)}
_COUNT = {"parse": parse_count}
_SHARE = {"parse": _parse_share}
_SHARE_OF_PROBES = {"parse": functools.partial(_parse_share, of="probes")}
_SECONDS = {"parse": parse_duration}
_SECONDS_OR_ZERO = {"parse": functools.partial(parse_duration, zero=True)}
_CATEGORY = {"parse": _parse_category}
_BOOL = {"parse": require_bool}


_RATES = ("failure_rate", "slow_call_rate")

_NEEDS: Mapping[str, Sequence[str]] = {
    "slow_call_rate": ("slow_call_seconds",),
    "slow_call_seconds": ("slow_call_rate",),
    "window": _RATES,
    "window_seconds": _RATES,
    "minimum_calls": _RATES,
    "max_keys": ("key",),
}
"""The options that mean nothing unless one of some others is given."""

_EXCLUDES = (
    (
        {"key", "per_instance"},
        "key=, per_instance=True: give one of them; key=lambda self, *_: self is a circuit for each",
    ),
    (
        {"storage", "key"},
        "storage=, key=: a storage holds the state of one circuit, so all would open together",
    ),
    (
        {"storage", "per_instance"},
        "storage=, per_instance=True: a storage holds the state of one circuit, so all would open together",
    ),
    (
        {"fleet", "storage"},
        "fleet=, storage=: both share the state between processes; a fleet has no need of a storage",
    ),
    (
        {"fleet", "per_instance"},
        "fleet=, per_instance=True: an object is in one process; give key= for what the fleet has in common",
    ),
    (
        {"fleet", "partial"},
        "fleet=, partial=True: each process sheds a share of its own calls; a fleet opens and closes",
    ),
    ({"storage", "partial"}, "storage=, partial=True: a storage holds no share of calls to shed"),
    *(
        ({option, "partial"}, f"{option}=, partial=True: a partial circuit measures the share of failures by itself")
        for option in ("failure_rate", "window", "window_seconds", "minimum_calls")
    ),
)
"""The options that cannot both be given, and why."""


class SharesCircuits(Protocol):
    """A fleet, as far as circuits know it: it makes the policy of a circuit that processes have in common."""

    def make_circuit(self, name: str, config: Any, methods: Any, key: Hashable) -> Any:
        """Return the policy of the circuit called *name*; with *key*, of the circuit of that key."""
        ...


class TripRates(NamedTuple):
    """The shares of failed and of slow calls from which on a circuit opens; infinite where there is none.

    A share of fewer than *min_calls* calls does not count: of one call that failed, all have failed.
    """

    failed: float
    slow: float
    min_calls: int

    def exceeded_by(self, window: WindowSnapshot) -> bool:
        """Whether the outcomes in *window* open the circuit.

        >>> TripRates(failed=0.5, slow=math.inf, min_calls=4).exceeded_by(WindowSnapshot(calls=4, failed=2, slow=0))
        True
        """
        calls = window.calls
        # Divided, not multiplied: 0.07 * 100 is more than 7.
        return calls >= self.min_calls and (window.failed / calls >= self.failed or window.slow / calls >= self.slow)


@dataclasses.dataclass(eq=False, slots=True)  # not frozen: filling that takes as long as all checks
class CircuitBreakerConfig:
    """The options of `circuit_breaker`, checked. One value, which never changes: circuits of all keys share it.

    A response with an error status is a success to the circuit: call ``response.raise_for_status()`` in the decorated
    function, or say with *failure_if* which results are failures.

    **It opens** after *failure_threshold* failures in a row, weighed by category; None switches that off. With
    *failure_rate* (0 to 1) also when that share of the last *window* calls (20), or of those of the last
    *window_seconds*, failed; with *slow_call_rate* when that share took *slow_call_seconds* or longer; both from
    *minimum_calls* on (10, or *window* where that is less). *trip_on* narrows which categories count, *failure_if* is
    asked whether a result is a failure. A failure with a category in *open_for* that says how long to stay away
    (Retry-After) opens it at once for exactly that long.

    **It rejects** calls with `CircuitOpenError` for *reset_timeout* seconds; with *max_reset_timeout* twice as long
    each further time in a row, up to that, with equal jitter: the *n*-th time for ``v * (0.5 + 0.5 r)`` seconds, where
    ``v = min(max_reset_timeout, reset_timeout * 2 ** (n - 1))`` and r is random in [0, 1).

    **It closes** after *success_threshold* successful probes, at most *probes* of them at a time, and opens again at
    the first failed one, or with *close_rate* once so many have failed that those successes would be a smaller share of
    all. A probe that has not come back after *probe_timeout* (else *reset_timeout*) may be replaced.
    For *ramp_up* seconds after that a growing share of the calls passes.

    **With** *partial* it does not turn a part of failures into an outage: while the share *d* of calls fails beyond the
    usual one, it sheds the share *d* / (1 - *d*) of them, at most 0.9. The usual share is 5 % at first, and learned up
    to 10 % while nothing is shed; a quarter of it on top is let pass. *d* is measured by the last 200 calls that were
    made, and not by failures older than 10 seconds. Shedding begins when more calls fail than chance explains, by three
    standard deviations. The circuit opens when 0.9 of the last calls failed, 10 at least, or after *failure_threshold*
    failures in a row or more whose probability, by the share failing before, is below 1e-6: 5 where 5 % fail, 9 where
    20 % do. Then it admits a probe every 2 seconds or sooner.

    With *key*, a function of the call's arguments, there is a circuit for each key, *max_keys* of them at most; with
    *per_instance*, for each object of a class. Of a class the public methods are guarded: those in *only*; else all but
    those in *exclude* and well-known ones that make no request, such as ``close`` and ``build_request``. The outermost
    guarded call decides: what it calls through the same circuit belongs to it and counts for nothing, also in the tasks
    that it starts and in threads with a copy of its context. A probe is such a call; the consumer of a guarded
    generator is another caller. Local methods are never rejected and count for nothing, nor does what they call.

    Durations are seconds, as numbers or timedeltas. Raises TypeError or ValueError for an invalid value,
    and for options that contradict each other.

    Args:
        name: The dependency, in errors, events and logs. Unless given, the first function or class it decorates.
        failure_threshold: Failures in a row, by weight, that open the circuit. None switches that off where a rate is
            given.
        failure_rate: The share of the calls in the window that open the circuit when they fail; more than 0, at most 1.
        slow_call_rate: The same for calls that succeed slowly. Goes with *slow_call_seconds*.
        slow_call_seconds: How long a slow call takes at least: the time of all below the breaker, and of a generator
            that of its consumer between the items, too.
        window: The number of last calls that the rates are shares of; 20 unless either window is given.
        window_seconds: The last seconds whose calls the rates are shares of, to a tenth of it. Where both are given,
            either opens the circuit.
        minimum_calls: The number of calls in the window below which rates say nothing; 10, or *window* where that is
            less.
        trip_on: The categories that count. Unless given, all whose row in the table has a weight.
        open_for: Categories that open the circuit at once where the failure carries a Retry-After, for exactly that
            long.
        failure_if: A function of a call's result: true if that is a failure, of weight 1. Not async.
        reset_timeout: How long the circuit stays open. With *partial* at most 2, and 2 unless given.
        max_reset_timeout: With it *reset_timeout* doubles each further time in a row, up to this, with equal jitter.
        probes: How many probes the half-open circuit admits at a time. Those in flight when it opens again keep their
            permits, and are among the probes of the next time, until they return or *probe_timeout* is over.
        success_threshold: The successful probes that close the circuit.
        close_rate: The share of the probes that must have succeeded when the circuit closes; more than 0, at most 1.
            With ``success_threshold=4, close_rate=0.8`` one probe of five may fail, whatever its weight.
        probe_timeout: How long a probe keeps its permit when it does not come back; *reset_timeout* unless given, and
            60 where *partial* sets that.
        ramp_up: How long a circuit that has closed admits a growing share of the calls instead of all.
        partial: Whether it sheds a share of the calls while a part of them fails, and opens only when nearly all do.
        profiles: Rows of the category table to read differently here, as `override_profiles` takes them.
        key: A function of a call's arguments that returns its key, something hashable: each key has a circuit of its
            own. Where it raises, the call is not made. Errors and events have the circuit's name and not the key, which
            may be a customer; snapshots have both.
        max_keys: The number of keys that are kept. The least recently used are evicted, closed circuits first.
        per_instance: Whether each object of the decorated class has a circuit of its own. Objects are kept weakly, by
            identity; static and class methods go through the circuit itself.
        only: The names of the methods of a decorated class that are guarded, and no others.
        exclude: The names of its methods that are not guarded, besides well-known ones that make no request.
        listeners: Listeners of pybreaker's, which are notified of calls and transitions.
        storage: A storage of pybreaker's, which shares the state between processes.
        fleet: The fleet of processes that have this circuit in common. See `resilience.fleet.Fleet`.
    """

    name: str | None = field(default=None, repr=False, metadata=_NAME)
    _: KW_ONLY
    failure_threshold: int | None = field(default=5, metadata=_THRESHOLD)
    failure_rate: float | None = field(default=None, metadata=_SHARE)
    slow_call_rate: float | None = field(default=None, metadata=_SHARE)
    slow_call_seconds: float | timedelta | None = field(default=None, metadata=_SECONDS)
    window: int | None = field(default=None, metadata=_COUNT)
    window_seconds: float | timedelta | None = field(default=None, metadata=_SECONDS)
    minimum_calls: int | None = field(default=None, metadata=_COUNT)
    trip_on: CategoryLike | None = field(default=None, metadata=_CATEGORY)
    open_for: CategoryLike | None = field(default=None, metadata=_CATEGORY)
    failure_if: Callable[..., object] | None = field(default=None, metadata={"parse": _parse_failure_if})
    reset_timeout: float | timedelta = field(default=60.0, metadata=_SECONDS)
    max_reset_timeout: float | timedelta | None = field(default=None, metadata=_SECONDS)
    probes: int = field(default=1, metadata=_COUNT)
    success_threshold: int = field(default=1, metadata=_COUNT)
    close_rate: float = field(default=1.0, metadata=_SHARE_OF_PROBES)
    probe_timeout: float | timedelta | None = field(default=None, metadata=_SECONDS)
    ramp_up: float | timedelta = field(default=0.0, metadata=_SECONDS_OR_ZERO)
    partial: bool = field(default=False, metadata=_BOOL)
    # Options that `describe` does not show have no repr.
    profiles: Mapping[CategoryLike, Mapping[str, object] | Profile] | None = field(default=None, repr=False)
    key: Callable[..., Hashable] | None = field(default=None, repr=False, metadata={"parse": parse_key})
    max_keys: int = field(default=1024, repr=False, metadata=_COUNT)
    per_instance: bool = field(default=False, repr=False)
    only: Sequence[str] | None = field(default=None, repr=False)
    exclude: Sequence[str] = field(default=(), repr=False)
    listeners: Sequence[pybreaker.CircuitBreakerListener] = field(default=(), repr=False)
    storage: pybreaker.CircuitBreakerStorage | None = field(
        default=None, repr=False, metadata={"parse": _parse_storage}
    )
    fleet: SharesCircuits | None = field(default=None, repr=False, metadata={"parse": _parse_fleet})

    #: What follows from the options, as numbers, for the state machine. Infinite: never.
    trip_failures: float = field(init=False, repr=False)
    rates: TripRates | None = field(init=False, repr=False)
    slow_seconds: float = field(init=False, repr=False)
    period: float | None = field(init=False, repr=False)
    reset_seconds: float = field(init=False, repr=False)
    lease_seconds: float = field(init=False, repr=False)
    ramp_up_seconds: float = field(init=False, repr=False)
    max_reset_seconds: float | None = field(init=False, repr=False)
    #: The bits of the categories in *open_for*.
    server_backoff: int = field(init=False, repr=False)
    #: The weight of a failure by category, or SUCCESS, or IGNORED.
    weights: DerivedTable[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parsers = self._parsers_of_given()
        self._check_combinations(parsers.keys())
        for option, parse in parsers.items():
            setattr(self, option, parse(option, getattr(self, option)))
        self._set_rates(parsers.keys())
        self._set_durations(parsers.keys())
        self._set_weights()

    def _parsers_of_given(self) -> Mapping[str, _Parse]:
        """Return the checks of the options that are not left at their defaults, by option."""
        parsers, defaults, values_of = _options()
        return dict(itertools.compress(parsers, map(operator.is_not, values_of(self), defaults)))

    # -- checks of several options -----------------------------------------------------------------------------------

    def _check_combinations(self, given: AbstractSet[str]) -> None:
        """Raise TypeError where one of the *given* options needs another one, or excludes it."""
        for option, needed in _NEEDS.items():
            if option in given and given.isdisjoint(needed):
                raise TypeError(f"{option}={getattr(self, option)!r}: give {' or '.join(needed)} with it")
        opens = self.failure_threshold is not None or not given.isdisjoint(("partial", *_RATES))
        expected = "failure_rate or slow_call_rate, or nothing opens the circuit"
        require(opens, "failure_threshold", self.failure_threshold, expected, TypeError)
        named = "fleet" not in given or "name" in given
        require(named, "name", self.name, "the dependency's name with fleet=: processes know it by that", TypeError)
        for options, problem in _EXCLUDES:
            if options <= given:
                raise TypeError(problem)

    # -- what follows from the options -------------------------------------------------------------------------------

    def _set_rates(self, given: AbstractSet[str]) -> None:
        self.trip_failures = _or_never(self.failure_threshold)
        self.slow_seconds = _or_never(self.slow_call_seconds)
        self.period = cast("float | None", self.window_seconds)
        self.rates = None
        if self.partial:
            self.trip_failures = math.inf  # it depends on what failed before: `streak_opens`
            self.rates = TripRates(OPEN_AT, _or_never(self.slow_call_rate), MIN_CALLS)
            return
        if given.isdisjoint(_RATES):
            return
        if given.isdisjoint(("window", "window_seconds")):
            self.window = _DEFAULT_WINDOW
        window = _or_never(self.window)
        min_calls = self.minimum_calls or int(min(_DEFAULT_MIN_CALLS, window))
        expected = f"at most window={window}, or the circuit would never open"
        require(min_calls <= window, "minimum_calls", min_calls, expected)
        self.rates = TripRates(_or_never(self.failure_rate), _or_never(self.slow_call_rate), min_calls)

    def _set_durations(self, given: AbstractSet[str]) -> None:
        self.lease_seconds = cast("float", self.probe_timeout or self.reset_timeout)
        if self.partial:
            self._set_partial_reset(given)
        self.reset_seconds = cast("float", self.reset_timeout)
        self.max_reset_seconds = cast("float | None", self.max_reset_timeout)
        self.ramp_up_seconds = cast("float", self.ramp_up)
        self.server_backoff = getattr(self.open_for, "value", 0)
        longest, reset = self.max_reset_seconds, self.reset_seconds
        require(longest is None or longest >= reset, "max_reset_timeout", longest, f"at least reset_timeout={reset:g}")

    def _set_partial_reset(self, given: AbstractSet[str]) -> None:
        """Have a partial circuit probe every 2 seconds, unless it is to probe more often."""
        if "reset_timeout" not in given:
            self.reset_timeout = _MAX_PARTIAL_RESET
        expected = f"at most {_MAX_PARTIAL_RESET:g} with partial=True, which probes at least as often"
        for option in ("reset_timeout", "max_reset_timeout"):
            seconds = getattr(self, option)
            require(seconds is None or seconds <= _MAX_PARTIAL_RESET, option, seconds, expected)

    def _set_weights(self) -> None:
        self.weights = _weights_of(self.trip_on)
        if self.profiles:
            own_rows = changed_profiles("profiles", self.profiles)
            self.weights = DerivedTable(functools.partial(_weight_of, self.trip_on), own_rows)
        if isinstance(self.trip_on, ErrorCategory) and not any(self.weights[leaf.value] > 0 for leaf in self.trip_on):
            raise ValueError(
                f"trip_on={self.trip_on.label!r}: failures of this category have weight 0 and would never open the"
                f" circuit; add a category that counts, or give it weight with profiles={{...: {{'weight': 1}}}}"
            )

    # -- decisions ---------------------------------------------------------------------------------------------------

    @property
    def needs_timing(self) -> bool:
        """Whether the circuit has to know when each call began or ended."""
        return self.period is not None or self.slow_seconds != math.inf

    def counts_like(self, other: CircuitBreakerConfig) -> bool:
        """Whether a closed circuit of these options counts the same calls as one of the *other* options."""
        return self._counted() == other._counted()

    def _counted(self) -> tuple[object, ...]:
        return self.rates is None, self.window, self.period, self.slow_seconds, self.failure_if, self.partial

    def new_windows(self) -> list[Window]:
        """Return the empty windows of a circuit with rates, that of calls first."""
        windows: list[Window] = []
        if self.partial:
            windows.append(RecentCalls(_RECENT_CALLS, _RECENT_SECONDS))
        if self.window is not None:
            windows.append(CountWindow(self.window))
        if self.period is not None:
            windows.append(TimeWindow(self.period))
        return windows

    def streak_opens(self, failures: int, failing: float) -> bool:
        """Whether so many *failures* in a row open a partial circuit, where the share *failing* had failed before.

        >>> config = CircuitBreakerConfig(partial=True)
        >>> [config.streak_opens(failures, failing=0.05) for failures in (4, 5)]
        [False, True]
        """
        return failures >= _or_never(self.failure_threshold) and is_no_streak_of_chance(failures, failing)

    def closes_after(self, successes: int) -> bool:
        """Whether so many successful probes close the half-open circuit."""
        return successes >= self.success_threshold

    def reopens_after(self, failures: int) -> bool:
        """Whether so many failed probes open the half-open circuit again.

        They do once the circuit could no longer close: *success_threshold* successes would be a smaller share than
        *close_rate* of all probes. With a *close_rate* of 1 the first failed probe is too many.

        >>> config = CircuitBreakerConfig(success_threshold=4, close_rate=0.8)
        >>> [config.reopens_after(failures) for failures in (1, 2)]
        [False, True]
        """
        return self.success_threshold / (self.success_threshold + failures) < self.close_rate

    def open_seconds(self, consecutive_opens: int, chance: float) -> float:
        """Return for how many seconds the circuit stays open; *chance* is uniform in [0, 1).

        ``min(max_reset_timeout, reset_timeout 2^(consecutive_opens - 1))`` with equal jitter, so that the clients of
        one dependency do not come back all at once. Without *max_reset_timeout* it is *reset_timeout*.
        """
        if self.max_reset_seconds is None:
            return self.reset_seconds
        grown = self.reset_seconds * 2.0 ** min(consecutive_opens - 1, _MAX_DOUBLINGS)
        return equal_jitter(min(self.max_reset_seconds, grown), chance)

    # -- description -------------------------------------------------------------------------------------------------

    def non_default_options(self) -> list[str]:
        """Return the options that differ from their defaults, as they would be written, and the two best known."""
        return [
            f"{option.name}={_text_of(given)}"
            for option in dataclasses.fields(self)
            if option.repr
            and ((given := getattr(self, option.name)) != option.default or option.name in _ALWAYS_DESCRIBED)
        ]


def _or_never(value: Any) -> Any:
    """Return a limit; infinity where there is none."""
    return value or math.inf


@functools.cache
def _options() -> tuple[Sequence[tuple[str, _Parse]], Sequence[object], Callable[[object], Sequence[object]]]:
    """Return the options with their checks, their defaults, and what reads their values, all in the same order."""
    options = [option for option in dataclasses.fields(CircuitBreakerConfig) if option.init]
    parsers = [(option.name, option.metadata.get("parse", _unchecked)) for option in options]
    values_of = operator.attrgetter(*[option.name for option in options])
    return parsers, [option.default for option in options], values_of


_ALWAYS_DESCRIBED = ("failure_threshold", "reset_timeout")


@functools.singledispatch
def _text_of(value: object) -> str:
    """Return an option as a description shows it: numbers and categories in full, of an object its name or type."""
    return str(getattr(value, "__qualname__", type(value).__name__))


_text_of.register(type(None), str)
_text_of.register(ErrorCategory, str)


_text_of.register(bool, str)


@_text_of.register(int)
@_text_of.register(float)
def _(value: float) -> str:
    return f"{value:g}"


def _weight_of(trip_on: Any, row: Profile) -> int:
    if row.weight and (trip_on is None or row.category in trip_on):
        return row.weight
    if row.category in ErrorCategory.CLIENT_ERROR:
        # The dependency answered, if only to refuse: nothing to a closed circuit, but a successful probe.
        return SUCCESS
    return IGNORED


@functools.cache
def _weights_of(trip_on: object) -> DerivedTable[int]:
    """Return the weights where the table alone decides: one object for all circuits that count the same categories."""
    return DerivedTable(functools.partial(_weight_of, trip_on), {})
