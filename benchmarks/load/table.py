"""The interface of a table: how it is found, shown, drawn, and what it has to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from matplotlib.figure import Figure

__all__ = ["Progress", "Result", "Table", "markdown"]

#: Told what is simulated now.
Progress: TypeAlias = Callable[[str], None]
#: A document of JSON.
Result: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A table of simulations."""

    #: The name of its module, of its results and of its markers on the page.
    name: str
    title: str
    #: Simulates everything.
    find: Callable[[Progress], Result]
    #: The head and the rows, as text.
    rows: Callable[[Result], tuple[Sequence[str], Sequence[Sequence[str]]]]
    #: What ours has to show and does not: nothing, if all is well.
    complaints: Callable[[Result], Sequence[str]]
    #: The picture, if there is one.
    draw: Callable[[Result], Figure] | None = None


def markdown(table: Table, found: Result) -> str:
    """Return the table as it stands on the page."""
    head, rows = table.rows(found)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
