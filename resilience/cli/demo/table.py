"""The demo as a live table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from resilience.cli.demo.phases import PHASES
from resilience.cli.demo.stats import Board, Ending
from resilience.cli.demo.text import causes

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["table_of"]

_STATE: Final = {"closed": "bold green", "half_open": "bold yellow", "open": "bold red"}
_ENDING: Final = {Ending.SUCCEEDED: "green", Ending.DEGRADED: "yellow", Ending.FAILED: "red"}


def table_of(board: Board) -> RenderableType:
    """Return what the demo looks like at this moment; 80 columns are enough."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    seconds = board.settings.seconds
    now = board.now() if board.ended is None else board.ended
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(f"{min(now, 9999):5.1f} of {seconds:g} s"),
        ProgressBar(total=seconds, completed=seconds if board.ended is not None else min(now, seconds), width=30),
        Text("circuit "),
        Text(board.circuit.replace("_", "-"), style=_STATE[board.circuit]),
    )
    return Group(head, _phases(board), Text(causes(board)))


def _phases(board: Board) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("\nphase", min_width=21, no_wrap=True)
    heads = ["protected\nok", "\ndegr.", "\nfail", "\nsent", "\nreach", "bare\nok", "\nfail", "\nsent", "\nreach"]
    for head in heads:
        table.add_column(head, justify="right", min_width=7 if "bare" in head else 4, no_wrap=True)
    for index, phase in enumerate(PHASES):
        begun = index < len(board.entered)
        running = begun and index == board.phase and board.ended is None
        mark = "> " if running else "  "
        cells: list[Text] = [Text(mark + phase.name, style="bold" if running else "" if begun else "dim")]
        for side in board.sides:
            numbers = side.phases[index]
            for ending, style in _ENDING.items():
                if ending is Ending.DEGRADED and side is board.bare:
                    continue  # there is nothing that could answer in its place
                count = numbers.endings[ending]
                cells.append(Text(str(count) if begun else "", style=style if count else "dim"))
            cells += [Text(str(count) if begun else "") for count in (numbers.sent, board.reached(side, index))]
        table.add_row(*cells)
    return table
