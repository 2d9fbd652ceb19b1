"""The demo in plain text: a line for each phase, and the summary."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.cli.demo.phases import DOWN, PHASES
from resilience.cli.demo.stats import Board, Ending, Side

__all__ = ["causes", "phase_line", "summary"]


def phase_line(board: Board, index: int) -> str:
    """Return what happened in one phase, on one line."""
    protected, bare = (side.phases[index] for side in board.sides)
    reached_protected, reached_bare = (board.reached(side, index) for side in board.sides)
    return (
        f"{PHASES[index].name:<20}{board.lasted(index):5.1f} s | "
        f"protected {protected.endings[Ending.SUCCEEDED]:4} ok {protected.endings[Ending.DEGRADED]:4} degraded"
        f" {protected.endings[Ending.FAILED]:4} failed {protected.sent:4} sent {reached_protected:4} reached | "
        f"bare {bare.endings[Ending.SUCCEEDED]:4} ok {bare.endings[Ending.FAILED]:4} failed"
        f" {bare.sent:4} sent {reached_bare:4} reached | circuit {board.circuit}"
    )


def summary(board: Board) -> str:
    """Return the numbers that count, side by side."""
    columns = [_column(board, side) for side in board.sides]
    lines = [f"{'':<22}" + "".join(f"{side.name:>12}" for side in board.sides)]
    lines += [f"{name:<22}" + "".join(f"{column[name]:>12}" for column in columns) for name in columns[0]]
    lines += ["(p50 and p99 are of every call, degraded and failed ones included)"]
    return "\n".join(["", *lines, ""])


def causes(board: Board) -> str:
    """Return why attempts failed, and what became of the circuit. What is `rejected` was never sent."""
    lines = [f"  {side.name:<11}{_by_category(side.failed_attempts)}" for side in board.sides]
    return "\n".join(["failed attempts by category", *lines, f"circuit: {_circuit_story(board)}"])


def _column(board: Board, side: Side) -> dict[str, str]:
    total = side.total
    return {
        "calls": str(total.calls),
        "success": _percent(total.success_rate),
        "  direct": str(total.endings[Ending.SUCCEEDED]),
        "  degraded": str(total.endings[Ending.DEGRADED]),
        "failed": str(total.endings[Ending.FAILED]),
        "p50": _milliseconds(total.percentile(50)),
        "p99": _milliseconds(total.percentile(99)),
        "requests sent": str(total.sent),
        "  while down": str(side.phases[DOWN].sent),
        "  reached the server": str(board.reached(side)),
        "time to recover": _milliseconds(board.time_to_recover(side)),
    }


def _by_category(counts: Mapping[str, int]) -> str:
    """Return attempts by category on one line, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{label} {count}" for label, count in ordered) or "none"


def _circuit_story(board: Board) -> str:
    """Return what became of the circuit, its probes counted and not told one by one."""
    story: list[str] = []
    probes = 0
    for move in board.transitions:
        if move.new == "half_open":
            probes += 1
        elif move.old == "closed" or move.new == "closed":
            if probes:
                story.append(_probes(probes))
            story.append(f"{move.new} at {move.at:.1f} s")
            probes = 0
    return ", ".join([*story, *([_probes(probes)] if probes else [])]) or "closed all the time"


def _probes(number: int) -> str:
    return "1 probe" if number == 1 else f"{number} probes"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.{1 if seconds < 0.01 else 0}f} ms"
