"""Everything there is to be shown, read at the moment somebody asks: for a scrape, a flush or an export."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from resilience._validation import need
from resilience.metrics import names
from resilience.metrics.counting import EventCounts
from resilience.metrics.names import CANCELLED, FAILURE, SUCCESS, Metric
from resilience.metrics.records import RECORDS, Durations, Record
from resilience.metrics.tracking import BUDGETS
from resilience.policies.retry_budget import RetryBudget

__all__ = ["Reader"]

Values = dict[tuple[str, ...], float]


class Reader:
    """Reads numbers by the values of their labels, in the order of `Metric.labels`."""

    def __init__(self, component: str | None = None, budgets: Iterable[RetryBudget] = ()) -> None:
        right = "the name of your program, such as 'shop'; or None"
        need(component is None or isinstance(component, str), "component", component, right, TypeError)
        need(component != "", "component", component, right)
        self.component: str | None = component
        self._budgets = list(budgets)
        for budget in self._budgets:
            right = "RetryBudgets that have a name"
            need(isinstance(budget, RetryBudget) and budget.name is not None, "budgets", budget, right, TypeError)
        #: To be subscribed by whoever made this.
        self.counts: EventCounts = EventCounts()
        self._readings: Mapping[Metric, Callable[[], Values]] = {
            names.CALLS: self._calls,
            names.ERRORS: self._errors,
            names.ATTEMPTS: lambda: self._attempts(self._calls()),
            names.CIRCUIT_STATE: lambda: _circuits()[names.CIRCUIT_STATE],
            names.CIRCUIT_MODE: lambda: _circuits()[names.CIRCUIT_MODE],
            names.FAILURE_RATE: lambda: _circuits()[names.FAILURE_RATE],
            names.SLOW_RATE: lambda: _circuits()[names.SLOW_RATE],
            names.BUDGET_LEFT: lambda: {(name,): budget.left() for name, budget in self._named_budgets().items()},
            names.BUDGET_SIZE: lambda: {(name,): budget.tokens for name, budget in self._named_budgets().items()},
        }

    def add_budgets(self, other: Reader) -> None:
        """Show the budgets of *other*, too."""
        self._budgets += other._budgets

    def read(self, metric: Metric) -> Values:
        """Return the numbers of a counter or a gauge."""
        reading = self._readings.get(metric)
        if reading is None:
            return {labels: float(number) for labels, number in self.counts.of(metric).items()}
        return reading()

    def read_all(self) -> dict[Metric, Values]:
        """Return the numbers of all counters and gauges, with one look at each circuit and call."""
        found = _circuits()
        calls = found[names.CALLS] = self._calls()
        found[names.ATTEMPTS] = self._attempts(calls)
        return {
            metric: found[metric] if metric in found else self.read(metric)
            for metric in names.METRICS
            if metric.kind != "histogram"
        }

    def durations(self) -> dict[tuple[str, ...], Durations]:
        """Return the buckets of `names.DURATION`."""
        found: dict[tuple[str, ...], Durations] = {}
        for record in RECORDS:
            totals = record.totals()
            for outcome, durations in ((SUCCESS, totals.success), (FAILURE, totals.failure)):
                if durations.calls:
                    key = record.target, outcome
                    found[key] = _sum(found[key], durations) if key in found else durations
        return found

    def component_of(self, record: Record) -> str:
        """Return the component that the errors of a function belong to."""
        return record.component or self.component or record.target.partition(".")[0]

    def _calls(self) -> Values:
        found: Values = {}
        for record in RECORDS:
            totals = record.totals()
            for outcome, calls in (
                (SUCCESS, totals.success.calls),
                (FAILURE, totals.failure.calls),
                (CANCELLED, totals.cancelled),
            ):
                # Successes and failures from the start, so that a rate sees the first of them.
                if calls or outcome != CANCELLED:
                    key = record.target, outcome
                    found[key] = found.get(key, 0.0) + calls
        return found

    def _attempts(self, calls: Values) -> Values:
        found: Values = {}
        for (target, _), number in calls.items():
            found[target,] = found.get((target,), 0.0) + number
        for metric in (names.RETRIES, names.REVISIONS):
            for labels, number in self.counts.of(metric).items():
                if labels[:1] in found:
                    found[labels[:1]] += number
        return found

    def _errors(self) -> Values:
        found: Values = {}
        for record in RECORDS:
            component = self.component_of(record)
            for (code, category), number in record.totals().errors.items():
                key = code, category, component
                found[key] = found.get(key, 0.0) + number
        return found

    def _named_budgets(self) -> dict[str, RetryBudget]:
        return {budget.name: budget for budget in (*BUDGETS, *self._budgets) if budget.name is not None}


def _sum(one: Durations, other: Durations) -> Durations:
    counts = [mine + theirs for mine, theirs in zip(one.counts, other.counts, strict=True)]
    return Durations(counts, one.seconds + other.seconds)


def _circuits() -> dict[Metric, Values]:
    # By name: a key is a part of a call, and there may be any number of them. Who has not imported circuits has none.
    import sys

    found: dict[Metric, Values] = {
        names.CIRCUIT_STATE: {},
        names.CIRCUIT_MODE: {},
        names.FAILURE_RATE: {},
        names.SLOW_RATE: {},
    }
    if "resilience.circuits" not in sys.modules:
        return found
    from resilience.circuits.snapshot import snapshot
    from resilience.policies.circuit_states import CircuitMode, CircuitState

    for circuit in snapshot():
        if circuit["pattern"] == "key":  # nobody calls through that one
            continue
        name = circuit["name"]
        states, modes = found[names.CIRCUIT_STATE], found[names.CIRCUIT_MODE]
        for state in CircuitState:  # 0 as well: what goes away in between would be taken to be as it was
            states[name, state.value] = states.get((name, state.value), 0.0) + (circuit["state"] == state.value)
        for mode in CircuitMode:
            modes[name, mode.value] = modes.get((name, mode.value), 0.0) + (circuit["mode"] == mode.value)
        for metric, rate in (
            (names.FAILURE_RATE, circuit["failure_rate"]),
            (names.SLOW_RATE, circuit["slow_rate"]),
        ):
            if rate is not None:
                found[metric][name,] = max(found[metric].get((name,), 0.0), rate)
    return found
