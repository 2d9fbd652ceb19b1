"""What the demo found, as plain values."""

from __future__ import annotations

from resilience.cli.demo.phases import CIRCUIT, DOWN, PHASES
from resilience.cli.demo.server_process import Child
from resilience.cli.demo.stats import Board, Ending, Numbers, Side

__all__ = ["document_of"]


def document_of(board: Board, child: Child) -> dict[str, object]:
    """Return the demo's document. Times are seconds; `at` and `started_at` count from the beginning."""
    return {
        **{side.name: _side(board, side) for side in board.sides},
        "circuit": {
            "name": CIRCUIT,
            "state": board.circuit,
            "transitions": [{"at": round(t.at, 3), "from": t.old, "to": t.new} for t in board.transitions],
        },
        "phases": [
            {
                "name": phase.name,
                "mode": phase.mode,
                "started_at": round(board.entered[index], 3),
                "seconds": round(board.lasted(index), 3),
                **{side.name: _numbers(side.phases[index], board.reached(side, index)) for side in board.sides},
            }
            for index, phase in enumerate(PHASES)
        ],
        "settings": board.settings.document(),
        "server": {"port": child.port, "pids": child.pids},
    }


def _side(board: Board, side: Side) -> dict[str, object]:
    return {
        **_numbers(side.total, board.reached(side)),
        "sent_while_down": side.phases[DOWN].sent,
        "time_to_recover": _rounded(board.time_to_recover(side)),
        "attempts_by_category": dict(side.failed_attempts.most_common()),
    }


def _numbers(numbers: Numbers, reached: int) -> dict[str, object]:
    return {
        "calls": numbers.calls,
        "success_rate": _rounded(numbers.success_rate),
        **{ending.value: numbers.endings[ending] for ending in Ending},
        "sent": numbers.sent,
        "reached": reached,
        "p50": _rounded(numbers.percentile(50)),
        "p99": _rounded(numbers.percentile(99)),
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 4)
