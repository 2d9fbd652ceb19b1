"""The result of a simulation in words: one sentence of conclusion, the scenario, and a table with units.

The numbers are those of `Simulation`, so that the text, the picture and the JSON document agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resilience.simulation._scenario import Disturbance, Outage, Pause, Resize, Slowdown, Surge

if TYPE_CHECKING:
    from resilience.simulation._result import Simulation

__all__ = ["conclusion", "describe_event", "rate", "seconds", "text"]

_WASTE = 0.1
_OPTIONAL = {"answered too late", "substitutes", "rejected by a policy"}


def seconds(number: float | None) -> str:
    """Return a duration with its unit.

    >>> seconds(0.042), seconds(1.5), seconds(90), seconds(None)
    ('42 ms', '1.5 s', '90 s', '-')
    """
    if number is None:
        return "-"
    if number == math.inf:
        return "any time"
    if number < 0.9995:
        return f"{1000 * number:.3g} ms"
    return f"{number:.3g} s"


def rate(number: float) -> str:
    """Return a number a second, with three digits at least.

    >>> rate(1234.6), rate(12.34)
    ('1,235/s', '12.3/s')
    """
    if number >= 100:
        return f"{number:,.0f}/s"
    return f"{number:.3g}/s"


def describe_event(event: Disturbance) -> str:
    """Return a disturbance in words.

    >>> describe_event(Slowdown(at=30, lasts=30, speed=0.5))
    'from 30 s to 60 s the server works at 0.5x its speed'
    """
    when = f"from {seconds(event.at)} to {seconds(event.at + event.lasts)}"
    if event.lasts == math.inf:
        when = f"from {seconds(event.at)} on"
    if isinstance(event, Pause):
        again = "" if event.every is None else f", and again every {seconds(event.every)}"
        return f"at {seconds(event.at)} the server stands still for {seconds(event.lasts)}{again}"
    return f"{when} {_happens(event)}"


def _happens(event: Disturbance) -> str:
    """Return the words for what the server or the callers do during *event*."""
    if isinstance(event, Outage):
        ways = {"refuse": "refuses connections", "hang": "takes requests and answers none"}
        return f"the server is down: it {ways[event.mode]}"
    if isinstance(event, Slowdown):
        return f"the server works at {event.speed:g}x its speed"
    if isinstance(event, Resize):
        return f"the server has {event.workers:g}x its workers"
    if isinstance(event, Surge):
        return f"{event.times:g}x as many calls come"
    return type(event).__name__.lower()


def conclusion(result: Simulation) -> str:
    """Return the one sentence that says whether the function comes back.

    It begins with the verdict, and gives the one or two numbers that prove it.
    """
    before, _, after = result.parts()
    if result.verdict == "overloaded":
        return (
            f"Overloaded: even without trouble only {before.answered:.0%} of the calls are answered in time, of"
            f" {rate(result.scenario.rps)} offered to a server that can do {rate(result.scenario.capacity or 0.0)}."
        )
    if not (result.scenario.events or result.scenario.elsewhere):
        return f"Safe without trouble: {before.answered:.1%} of the calls are answered in time."
    if result.verdict == "metastable":
        left = len(result.series) - result.trouble_ends
        return (
            f"Metastable: it never comes back. In the {left} s after the trouble {after.answered:.0%} of the calls are"
            f" answered in time, while the server gets {after.amplification:.2g} requests for each call."
        )
    if result.verdict == "vulnerable":
        return (
            f"Vulnerable: it comes back, {seconds(result.recovery)} after the trouble has ended; the server got up to"
            f" {result.peak_amplification:.2g} requests for each call."
        )
    return f"Safe: calls are answered again {_soon(result.recovery)} the trouble has ended."


def _soon(recovery: float | None) -> str:
    """Return the time until calls came back, as a preposition or with its seconds."""
    if not recovery:
        return "as soon as"
    return f"{seconds(recovery)} after"


def text(result: Simulation) -> str:
    """Return the whole result for a terminal.

    Wasted work is mentioned where it is more than a tenth of the requests: then the server is busy with requests whose
    callers have left, which is how an overload lasts.
    """
    scenario = result.scenario
    shape = scenario.latency
    bound = "any number may wait" if scenario.queue is None else f"{scenario.queue:,} may wait"
    lines = [
        f"{result.target}",
        conclusion(result),
        "",
        f"  policies  {' > '.join(result.stack) or 'none'}",
        f"  calls     {rate(scenario.rps)} for {seconds(scenario.duration)} from {_clients(result)}",
        f"  server    {rate(scenario.capacity or 0.0)}: {scenario.workers:,} requests at a time; {bound}",
        f"  latency   p50 {seconds(shape.p50)}, p99 {seconds(shape.p99)} ({shape.shape})",
        f"  in time   within {seconds(scenario.in_time)} of the call",
    ]
    for number, event in enumerate(scenario.events):
        lines.append(f"  {'trouble ' * (not number):8}  {describe_event(event)}")
    amplified, peak = result.amplification, result.peak_amplification
    lines += ["", *_table(result), ""]
    lines += [
        f"  Answered calls took {seconds(result.p50)} in the median, and 99 of 100 up to {seconds(result.p99)}.",
        f"  Goodput {rate(result.goodput)}: calls answered in time.",
        f"  Amplification {amplified:.3g}x: requests for each call; {peak:.3g}x in the worst second.",
    ]
    if result.wasted > _WASTE * sum(result.series.sent):
        lines.append(f"  {result.wasted:,} requests were worked on for callers that had left.")
    return "\n".join(lines)


def _clients(result: Simulation) -> str:
    """Return the number of clients, and of how many one stands for."""
    scenario = result.scenario
    noun = "client" if scenario.clients == 1 else "clients"
    batch = "" if scenario.batch == 1 else f" (simulated {scenario.batch:,} as one)"
    return f"{scenario.clients:,} {noun}{batch}"


def _table(result: Simulation) -> Sequence[str]:
    """Return the lines of the table: what happened before, during and after the trouble."""
    parts = [part for part in result.parts() if part.seconds]
    rows: list[tuple[str, list[str]]] = [
        ("", [f"{part.name}" for part in parts]),
        ("", [f"{part.begin}-{part.end} s" for part in parts]),
        ("calls", [rate(part.calls) for part in parts]),
        ("answered in time", [f"{part.answered:.1%}" for part in parts]),
        ("answered too late", [f"{part.late:.1%}" for part in parts]),
        ("substitutes", [f"{part.substituted:.1%}" for part in parts]),
        ("failed", [f"{part.failed:.1%}" for part in parts]),
        ("rejected by a policy", [f"{part.rejected:.1%}" for part in parts]),
        ("requests per call", [f"{part.amplification:.2f}x" for part in parts]),
        ("queue at the end", [f"{part.queue:,}" for part in parts]),
    ]
    return [f"  {name:20}{_cells(cells)}" for name, cells in rows if name not in _OPTIONAL or set(cells) != {"0.0%"}]


def _cells(cells: Sequence[str]) -> str:
    """Return one line of the table, its columns aligned to the right."""
    return "".join(cell.rjust(14) for cell in cells)
