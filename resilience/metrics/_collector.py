"""The current values of all metrics, read when a scrape, a flush or an export asks for them.

`Collector` reads from five sources: the statistics of tracked calls, the counts of events, the snapshot of circuits,
the fleets and the retry budgets. It keeps nothing but the counts of events, and knows no exporter. Prometheus, the
files of several processes and OpenTelemetry each have one.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from resilience._metric import Metric
from resilience._validation import require
from resilience.events import RETRIES, REVISIONS
from resilience.metrics import _event_counters
from resilience.metrics._call_stats import CALL_STATS, CallStats, Durations
from resilience.metrics._event_counters import EventCounters
from resilience.metrics.definitions import (
    ATTEMPTS,
    BUDGET_LEFT,
    BUDGET_SIZE,
    CALLS,
    CANCELLED,
    CIRCUIT_MODE,
    CIRCUIT_STATE,
    ERRORS,
    FAILURE,
    FAILURE_RATE,
    FLEET_LOST,
    LIMIT,
    LIMIT_IN_FLIGHT,
    OTHER,
    SHED_SHARE,
    SLOW_RATE,
    SUCCESS,
    all_metrics,
    event_counters,
)
from resilience.metrics.tracking import BUDGETS, check_component
from resilience.policies.retry_budget import RetryBudget

if TYPE_CHECKING:
    from resilience.circuits._snapshot import CircuitSnapshot

__all__ = ["Collector", "Values"]

Values: TypeAlias = dict[tuple[str, ...], float]
"""The numbers of one metric by the values of its labels, in the order of `Metric.labels`."""


class Collector:
    """Reads the values of metrics.

    *component* is the label of errors of functions that name no component of their own; without it they get the first
    word of their module. *budgets* are reported beside those of tracked functions. Raises TypeError or ValueError for a
    component that is no name and for a budget without one.

    Each source is read as a whole: `read_all` looks at every circuit and every function once.
    """

    def __init__(self, component: str | None = None, budgets: Iterable[RetryBudget] = ()) -> None:
        check_component(component, "the name of your program, such as 'shop'; or None")
        self.component: str | None = component
        self._budgets = list(budgets)
        for budget in self._budgets:
            named = isinstance(budget, RetryBudget) and budget.name is not None
            require(named, "budgets", budget, "RetryBudgets that have a name", TypeError)
        #: The listener that counts events. The exporter subscribes it, alone or behind a listener of its own.
        self.events: EventCounters = EventCounters()
        self._sources: Mapping[Metric, Callable[[], Mapping[Metric, Values]]] = {
            **dict.fromkeys((CALLS, ATTEMPTS), self._read_calls),
            ERRORS: self._read_errors,
            **dict.fromkeys((CIRCUIT_STATE, CIRCUIT_MODE, FAILURE_RATE, SLOW_RATE, SHED_SHARE), _read_circuits),
            FLEET_LOST: _read_fleets,
            **dict.fromkeys((BUDGET_LEFT, BUDGET_SIZE), self._read_budgets),
            **dict.fromkeys((LIMIT, LIMIT_IN_FLIGHT), _read_limits),
        }

    def add_budgets(self, other: Collector) -> None:
        """Report the budgets of *other* too.

        An exporter that is installed twice in one place has one collector, and the budgets of both.
        """
        self._budgets += other._budgets

    def read(self, metric: Metric) -> Values:
        """Return the values of a counter or a gauge.

        It reads the whole source the metric belongs to, so an exporter that wants all metrics calls `read_all`.
        """
        source = self._sources.get(metric)
        if source is None:
            return self._read_events(metric)
        return source()[metric]

    def read_all(self) -> dict[Metric, Values]:
        """Return the values of all counters and gauges, in the order of `all_metrics`."""
        found: dict[Metric, Values] = {counter: self._read_events(counter) for counter in event_counters()}
        for source in dict.fromkeys(self._sources.values()):
            found.update(source())
        return {metric: found[metric] for metric in all_metrics() if metric in found}

    def durations(self) -> dict[tuple[str, ...], Durations]:
        """Return the values of the one histogram, `definitions.DURATION`, for functions that have been called.

        Functions of the same name with different components are one target: their calls are added up.
        """
        found: dict[tuple[str, ...], Durations] = {}
        for stats in CALL_STATS:
            totals = stats.totals()
            for outcome, durations in ((SUCCESS, totals.success), (FAILURE, totals.failure)):
                if durations.calls:
                    labels = stats.target, outcome
                    found[labels] = durations.merged(found.get(labels, Durations.none()))
        return found

    def component_of(self, stats: CallStats) -> str:
        """Return the component that the errors of a function are counted under.

        The decorator's comes before the program's. Without both it is the first word of the function's module.
        """
        return stats.component or self.component or stats.target.partition(".")[0]

    def _read_events(self, metric: Metric) -> Values:
        """Return the counts of the events whose classes declare *metric*."""
        return {labels: float(number) for labels, number in self.events.counts(metric).items()}

    def _read_calls(self) -> Mapping[Metric, Values]:
        """Return the values of `CALLS` and `ATTEMPTS`.

        Successes and failures of a tracked function are there from the start, as 0: a rate is the difference of two
        samples, and without the 0 it would miss the first call.
        """
        calls: Values = {}
        for stats in CALL_STATS:
            totals = stats.totals()
            _add(calls, (stats.target, SUCCESS), totals.success.calls)
            _add(calls, (stats.target, FAILURE), totals.failure.calls)
            if totals.cancelled:
                _add(calls, (stats.target, CANCELLED), totals.cancelled)
        return {CALLS: calls, ATTEMPTS: self._attempts(calls)}

    def _attempts(self, calls: Values) -> Values:
        """Return the attempts of tracked functions: one for each call, retry and revision.

        A retry's event has the name of the function it calls, which is that of the tracked function around it. Events
        of functions that are not tracked are left out: nothing counts the calls they belong to.
        """
        attempts: Values = {}
        for (target, _), number in calls.items():
            _add(attempts, (target,), number)
        for counter in (RETRIES, REVISIONS):
            for (target, *_), number in self.events.counts(counter).items():
                if (target,) in attempts:
                    _add(attempts, (target,), number)
        return attempts

    def _read_errors(self) -> Mapping[Metric, Values]:
        """Return the values of `ERRORS`: those of all functions together, by component."""
        errors: Values = {}
        for stats in CALL_STATS:
            component = self.component_of(stats)
            for (code, category), number in stats.totals().errors.items():
                _add(errors, (code, category, component), number)
        return {ERRORS: errors}

    def _read_budgets(self) -> Mapping[Metric, Values]:
        """Return the tokens and the size of each named budget. Of one name the last budget counts."""
        named = {(budget.name,): budget for budget in (*BUDGETS, *self._budgets) if budget.name is not None}
        return {
            BUDGET_LEFT: {labels: budget.left() for labels, budget in named.items()},
            BUDGET_SIZE: {labels: budget.tokens for labels, budget in named.items()},
        }


def _read_circuits() -> Mapping[Metric, Values]:
    """Return the values of the circuits' gauges by the name of the circuit.

    A circuit may be kept for each key or object. The key is a part of a call and is no label, so the circuits of one
    name are counted together, and of their rates the highest is reported. The first names have series of their own, as
    many as `MAX_SERIES` sets of labels allow; the circuits of all others are counted together as "other".
    """
    from resilience.policies.circuit_states import CircuitMode, CircuitState

    states: Values = {}
    modes: Values = {}
    failure_rates: Values = {}
    slow_rates: Values = {}
    shed: Values = {}
    names: set[str] = set()
    most = _event_counters.MAX_SERIES // max(len(CircuitState), len(CircuitMode))
    for circuit in _circuits():
        name = circuit["name"]
        if name not in names and len(names) >= most:
            name = OTHER
        names.add(name)
        _count_member(states, name, CircuitState, circuit["state"])
        _count_member(modes, name, CircuitMode, circuit["mode"])
        _keep_highest(failure_rates, name, circuit["failure_rate"])
        _keep_highest(slow_rates, name, circuit["slow_rate"])
        _keep_highest(shed, name, circuit["shed"])
    rates: Mapping[Metric, Values] = {FAILURE_RATE: failure_rates, SLOW_RATE: slow_rates, SHED_SHARE: shed}
    return {CIRCUIT_STATE: states, CIRCUIT_MODE: modes, **rates}


def _read_limits() -> Mapping[Metric, Values]:
    """Return the values of the adaptive limits' gauges, by name: the highest limit, and all calls in flight.

    A limit by key has one value for all its keys. Names beyond the bound of a metric's series are counted together.
    """
    limits: Values = {}
    in_flight: Values = {}
    if "resilience.policies.adaptive_limit" in sys.modules:  # else nothing can have made one
        from resilience.policies.adaptive_limit import adaptive_limits

        for each in adaptive_limits():
            name = each.name
            if (name,) not in limits and len(limits) >= _event_counters.MAX_SERIES:
                name = OTHER
            load = each.snapshot()
            _keep_highest(limits, name, load["limit"])
            _add(in_flight, (name,), load["in_flight"])
    return {LIMIT: limits, LIMIT_IN_FLIGHT: in_flight}


def _read_fleets() -> Mapping[Metric, Values]:
    """Return for each fleet of this process whether its store is lost. Of one name the worst counts.

    The value is 1 while the lane cannot reach the store, and 0 otherwise, so that an alert can sum it up.
    """
    lost: Values = {}
    if "resilience.fleet._lane" in sys.modules:  # else nothing can have made one
        from resilience.fleet._lane import lanes

        for lane in lanes():
            _keep_highest(lost, lane.fleet, float(lane.lost))
    return {FLEET_LOST: lost}


def _circuits() -> Iterator[CircuitSnapshot]:
    """Yield the circuits that calls go through: not the pattern from which a circuit for each key is made."""
    if "resilience.circuits" not in sys.modules:  # nothing can have made one
        return
    from resilience.circuits._snapshot import snapshot

    for circuit in snapshot():
        if circuit["pattern"] != "key":
            yield circuit


def _add(values: Values, labels: tuple[str, ...], number: float) -> None:
    """Add *number* to the value of one set of labels, which is 0 until then."""
    values[labels] = values.get(labels, 0.0) + number


def _count_member(values: Values, name: str, members: type[enum.Enum], current: str) -> None:
    """Count one circuit under its current state or mode, and none under each of the others.

    The 0 matters: where numbers are pushed, a series that is no longer reported keeps its last value.
    """
    for member in members:
        _add(values, (name, member.value), float(member.value == current))


def _keep_highest(values: Values, name: str, rate: float | None) -> None:
    """Report *rate* for the circuit unless another one of its name has a higher one; None is a circuit without."""
    if rate is not None:
        values[name,] = max(values.get((name,), 0.0), rate)
