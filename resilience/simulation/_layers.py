"""`simulate_layers`: a service that calls another one, which calls a third: each with its own policies and server.

Retries multiply: three attempts on each of three layers are 27 requests at the last server for one call. A server that
waits for the next one keeps a worker meanwhile, so a slow back makes the front slow too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from resilience._validation import require
from resilience.simulation._engine import Arguments, Layer, Progress, Run, layer_of
from resilience.simulation._result import Simulation, Verdict
from resilience.simulation._scenario import Scenario, Surge
from resilience.simulation._text import rate, seconds
from resilience.simulation._virtual_loop import in_own_context

__all__ = ["LayeredSimulation", "simulate_layers"]

_COMMON = ("rps", "duration", "seed", "arrivals", "think")


@dataclass(frozen=True)
class LayeredSimulation:
    """The result of `simulate_layers`; `str` of it is a text for people.

    Attributes:
        layers: The result of each layer, that of the first one first. Its calls are those of the servers before it.
    """

    layers: tuple[Simulation, ...]

    @property
    def verdict(self) -> Verdict:
        """The state that the first layer shows, after the trouble of all."""
        return self.layers[0].verdict

    @property
    def recovery(self) -> float | None:
        """The seconds after the trouble from which on calls of the first layer are answered in time; None: never."""
        return self.layers[0].recovery

    @property
    def amplification(self) -> float:
        """Requests at the last server for each call of the first function: 1 without any retry."""
        return self._amplification(0, len(self.layers[0].series))

    @property
    def amplification_in_trouble(self) -> float:
        """The same for the time of the trouble; 1 without any."""
        during = self.layers[0].parts()[1]
        return self._amplification(during.begin, during.end)

    def _amplification(self, begin: int, end: int) -> float:
        return self.layers[0].series.share(self.layers[-1].series.sent, begin, end)

    def __str__(self) -> str:
        first = self.layers[0]
        lines = [" > ".join(layer.target for layer in self.layers), first.conclusion, ""]
        header = ("calls", "requests per call", "in trouble", "answered in time", "99 of 100 within")
        lines.append(f"  {'':30}{_cells(header)}")
        for layer in self.layers:
            whole, during = layer.series, layer.parts()[1]
            cells = (
                rate(sum(whole.arrivals) / len(whole)),
                f"{layer.amplification:.2f}x",
                f"{during.amplification:.2f}x",
                f"{whole.share(whole.answered, 0, len(whole)):.1%}",
                seconds(layer.p99),
            )
            lines.append(f"  {layer.target:30}{_cells(cells)}")
        lines += ["", f"  The last server gets {self.amplification:.3g} requests for each call of the first function,"]
        lines.append(f"  and {self.amplification_in_trouble:.3g} during the trouble.")
        return "\n".join(lines)


def _cells(cells: Sequence[str]) -> str:
    return "".join(cell.rjust(20) for cell in cells)


def simulate_layers(
    functions: Sequence[Callable[..., object]],
    scenarios: Sequence[Scenario],
    *,
    deadlines: bool = False,
    arguments: Arguments | None = None,
    progress: Progress | None = None,
) -> LayeredSimulation:
    """Simulate *functions* of which each is called by the server of the one before it.

    The server of a function works on a request, and then calls the next function through that one's policies, which
    keeps the worker until it has an answer. When that call fails, the request fails with ``Failures.below``.

    Args:
        functions: The first one is called by the users.
        scenarios: The server of each function, its disturbances, and by *clients* the number of processes that call it.
            The calls are those of the first: *rps*, *duration*, *seed*, *arrivals* and *think* are the same in all.
        deadlines: Whether requests carry the deadline of their caller, as `resilience.integrations.deadlines` has them
            do: a server then works only on requests whose deadline has not passed, and ends its own calls with it.
        arguments: Returns the positional arguments of a call of any of them, for policies that have a ``key=``.
        progress: Called each simulated second with the share of the run that is done.

    Raises ValueError for scenarios that do not fit, and else what `simulate` raises.

    >>> from resilience import retry_on_category
    >>> from resilience.simulation import Outage
    >>> @retry_on_category(attempts=3, base_delay=0.01)
    ... def order() -> None: ...
    >>> @retry_on_category(attempts=3, base_delay=0.01)
    ... def price() -> None: ...
    >>> healthy = Scenario(rps=10, capacity=200, duration=30)
    >>> down = Scenario(rps=10, capacity=200, duration=30, events=(Outage(at=10, lasts=10),))
    >>> round(simulate_layers([order, price], [healthy, down]).amplification_in_trouble)
    9
    """
    fitting = _fitting(functions, scenarios)
    layers: list[Layer] = []
    below: Layer | None = None
    for depth in reversed(range(len(fitting))):
        below = layer_of(
            functions[depth], fitting[depth], arguments=arguments, below=below, depth=depth, deadlines=deadlines
        )
        layers.insert(0, below)
    return LayeredSimulation(in_own_context(Run(layers, progress).run))


def _fitting(functions: Sequence[object], scenarios: Sequence[Scenario]) -> Sequence[Scenario]:
    """Return *scenarios* with one batch for all, and in each the disturbances of the others."""
    number = len(functions)
    require(number > 0, "functions", functions, "one function or more, the one that users call first")
    require(len(scenarios) == number, "scenarios", len(scenarios), f"{number}, one for each function")
    for name in _COMMON:
        for scenario in scenarios[1:]:
            own, first = getattr(scenario, name), getattr(scenarios[0], name)
            require(own == first, name, own, f"{first!r}, as in the first scenario: only that one makes calls")
    for event in (event for scenario in scenarios[1:] for event in scenario.events):
        require(not isinstance(event, Surge), "events", event, "a Surge in the first scenario: it makes the calls")
    batch = min(scenario.batch or 1 for scenario in scenarios)
    fitting: list[Scenario] = []
    for scenario in scenarios:
        others = tuple(event for other in scenarios if other is not scenario for event in other.events)
        fitting.append(replace(scenario, batch=batch, elsewhere=others))
    return fitting
