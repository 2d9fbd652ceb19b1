"""The live table of the demo, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from resilience.cli.demo.phases import PHASES
from resilience.cli.demo.stats import DemoStats, Outcome
from resilience.cli.demo.text import causes

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["table_of"]

_WIDTHS: Final = {"bare\nok": 7}
_STATE: Final = {"closed": "bold green", "half_open": "bold yellow", "open": "bold red"}
_OUTCOME: Final = {Outcome.SUCCEEDED: "green", Outcome.DEGRADED: "yellow", Outcome.FAILED: "red"}


def table_of(stats: DemoStats) -> RenderableType:
    """Return the table as it is at this moment; it fits 80 columns."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    seconds = stats.settings.seconds
    completed = min(stats.elapsed, seconds)
    if stats.ended_at is not None:
        completed = seconds
    header = Table.grid(padding=(0, 2))
    header.add_row(
        Text(f"{min(stats.elapsed, 9999):5.1f} of {seconds:g} s"),
        ProgressBar(total=seconds, completed=completed, width=30),
        Text("circuit "),
        Text(stats.circuit.replace("_", "-"), style=_STATE[stats.circuit]),
    )
    return Group(header, _phases(stats), Text(causes(stats)))


def _phases(stats: DemoStats) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("\nphase", min_width=21, no_wrap=True)
    headings = ["protected\nok", "\ndegr.", "\nfail", "\nsent", "\nreach", "bare\nok", "\nfail", "\nsent", "\nreach"]
    for header in headings:
        table.add_column(header, justify="right", min_width=_WIDTHS.get(header, 4), no_wrap=True)
    for index in range(len(PHASES)):
        table.add_row(*_row(stats, index))
    return table


def _row(stats: DemoStats, index: int) -> list[Text]:
    from rich.text import Text

    name = PHASES[index].name
    if index >= len(stats.phase_starts):
        return [Text(f"  {name}", style="dim")]
    cells = [Text(f"  {name}")]
    if index == stats.phase and stats.ended_at is None:
        cells = [Text(f"> {name}", style="bold")]
    for client in stats.clients:
        counts = client.phases[index]
        for outcome, style in _OUTCOME.items():
            if outcome is not Outcome.DEGRADED or client is stats.protected:  # the bare client has no fallback
                cells.append(_number(counts.outcomes[outcome], style))
        cells += [Text(str(counts.sent)), Text(str(stats.requests_reached(client, index)))]
    return cells


def _number(count: int, style: str) -> Text:
    from rich.text import Text

    return Text(str(count), style=style if count else "dim")
