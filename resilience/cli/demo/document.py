"""The result of the demo as a JSON document."""

from __future__ import annotations

from resilience.cli.demo.phases import CIRCUIT, DOWN, PHASES
from resilience.cli.demo.server_process import ServerProcess
from resilience.cli.demo.stats import ClientStats, DemoStats, Outcome, PhaseStats

__all__ = ["document_of"]


def document_of(stats: DemoStats, server: ServerProcess) -> dict[str, object]:
    """Return the demo's document. Times are seconds; `at` and `started_at` count from the beginning."""
    return {
        **{client.name: _client(stats, client) for client in stats.clients},
        "circuit": {
            "name": CIRCUIT,
            "state": stats.circuit,
            "transitions": [{"at": round(t.at, 3), "from": t.old, "to": t.new} for t in stats.transitions],
        },
        "phases": [
            {
                "name": phase.name,
                "mode": phase.mode,
                "started_at": round(stats.phase_starts[index], 3),
                "seconds": round(stats.duration(index), 3),
                **{
                    client.name: _counts(client.phases[index], stats.requests_reached(client, index))
                    for client in stats.clients
                },
            }
            for index, phase in enumerate(PHASES)
        ],
        "settings": stats.settings.document(),
        "server": {"port": server.port, "pids": server.pids},
    }


def _client(stats: DemoStats, client: ClientStats) -> dict[str, object]:
    return {
        **_counts(client.total, stats.requests_reached(client)),
        "sent_while_down": client.phases[DOWN].sent,
        "time_to_recover": _round_optional(stats.time_to_recover(client)),
        "attempts_by_category": dict(client.failed_attempts.most_common()),
    }


def _counts(counts: PhaseStats, reached: int) -> dict[str, object]:
    return {
        "calls": counts.calls,
        "success_rate": _round_optional(counts.success_rate),
        **{outcome.value: counts.outcomes[outcome] for outcome in Outcome},
        "sent": counts.sent,
        "reached": reached,
        "p50": _round_optional(counts.percentile(50)),
        "p99": _round_optional(counts.percentile(99)),
    }


def _round_optional(number: float | None) -> float | None:
    if number is None:
        return None
    return round(number, 4)
