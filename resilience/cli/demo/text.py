"""The plain text of the demo: a line for each phase, and the summary with its legend."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.cli.demo.phases import DOWN, PHASES, Settings
from resilience.cli.demo.stats import ClientStats, DemoStats, Outcome
from resilience.cli.output import counted

__all__ = ["causes", "phase_line", "summary"]


def phase_line(stats: DemoStats, index: int) -> str:
    """Return the numbers of one phase on one line."""
    protected, bare = (client.phases[index] for client in stats.clients)
    reached_protected, reached_bare = (stats.requests_reached(client, index) for client in stats.clients)
    return (
        f"{PHASES[index].name:<20}{stats.duration(index):5.1f} s | "
        f"protected {protected.outcomes[Outcome.SUCCEEDED]:4} ok {protected.outcomes[Outcome.DEGRADED]:4} degraded"
        f" {protected.outcomes[Outcome.FAILED]:4} failed {protected.sent:4} sent {reached_protected:4} reached | "
        f"bare {bare.outcomes[Outcome.SUCCEEDED]:4} ok {bare.outcomes[Outcome.FAILED]:4} failed"
        f" {bare.sent:4} sent {reached_bare:4} reached | circuit {stats.circuit}"
    )


def summary(stats: DemoStats) -> str:
    """Return the totals of both clients, and a legend of the words in them."""
    columns = [_column(stats, client) for client in stats.clients]
    lines = [f"{'':<22}" + "".join(f"{client.name:>12}" for client in stats.clients)]
    lines += [f"{name:<22}" + "".join(f"{column[name]:>12}" for column in columns) for name in columns[0]]
    return "\n".join(["", *lines, "", *_legend(stats.settings), ""])


def _legend(settings: Settings) -> list[str]:
    attempts = f"{settings.attempts} attempts of {settings.time_limit:g} s"
    return [
        "degraded   the fallback answered: the caller got a default value in place of an error",
        "p50, p99   duration of half of the calls, and of 99 in 100; degraded and failed calls included.",
        f"           A protected call makes up to {attempts} and waits between them,",
        "           1 s where the server sends Retry-After; a bare call fails at its first error.",
    ]


def causes(stats: DemoStats) -> str:
    """Return why attempts failed, and the transitions of the circuit. A `rejected` attempt was never sent."""
    lines = [f"  {client.name:<11}{_by_category(client.failed_attempts)}" for client in stats.clients]
    return "\n".join(
        [
            "failed attempts by category (rejected: by the open circuit, not sent)",
            *lines,
            f"circuit: {_circuit_story(stats)}",
        ]
    )


def _column(stats: DemoStats, client: ClientStats) -> dict[str, str]:
    total = client.total
    return {
        "calls": str(total.calls),
        "success": _percent(total.success_rate),
        "  direct": str(total.outcomes[Outcome.SUCCEEDED]),
        "  degraded": str(total.outcomes[Outcome.DEGRADED]),
        "failed": str(total.outcomes[Outcome.FAILED]),
        "p50": _milliseconds(total.percentile(50)),
        "p99": _milliseconds(total.percentile(99)),
        "requests sent": str(total.sent),
        "  while down": str(client.phases[DOWN].sent),
        "  reached the server": str(stats.requests_reached(client)),
        "time to recover": _milliseconds(stats.time_to_recover(client)),
    }


def _by_category(counts: Mapping[str, int]) -> str:
    """Return attempts by category on one line, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{label} {count}" for label, count in ordered) or "none"


def _circuit_story(stats: DemoStats) -> str:
    """Return the transitions of the circuit; probes are counted, not listed."""
    story: list[str] = []
    probes = 0
    for move in stats.transitions:
        if move.new == "half_open":
            probes += 1
        elif move.old == "closed" or move.new == "closed":
            if probes:
                story.append(counted(probes, "probe"))
            story.append(f"{move.new} at {move.at:.1f} s")
            probes = 0
    if probes:
        story.append(counted(probes, "probe"))
    return ", ".join(story) or "closed all the time"


def _percent(share: float | None) -> str:
    if share is None:
        return "-"
    return f"{100 * share:.1f} %"


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 0.01:
        return f"{1000 * seconds:.1f} ms"
    return f"{1000 * seconds:.0f} ms"
