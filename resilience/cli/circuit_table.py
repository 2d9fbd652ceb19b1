"""Circuits as a table: plain in a pipe, by rich on a terminal, and as blocks of lines on a narrow one.

A terminal may be narrow: columns that are empty in all rows are left out, and where the table still does not fit, each
circuit is a block of lines. Keys are escaped, since they may hold anything.
"""

from __future__ import annotations

import datetime
import importlib.util
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from resilience.circuits import CircuitSnapshot

__all__ = ["print_circuits"]

Row = Mapping[str, str]

_STYLE = {"closed": "green", "half-open": "yellow", "open": "red"}
_GAP = 3


def print_circuits(found: Sequence[tuple[CircuitSnapshot, str]], note: Iterable[str]) -> None:
    """Print circuits, each with its parameters, and below them the sentences of *note*."""
    width: int | None = None
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    rows = [_cells(entry) for entry, _ in found]
    columns = _columns(rows)
    if width is not None and sum(columns.values()) + _GAP * len(columns) > width:
        _print_blocks(rows, [parameters for _, parameters in found], width)
    else:
        if width is not None and importlib.util.find_spec("rich") is not None:
            _print_rich(list(columns), rows)
        else:
            _print_plain(columns, rows)
        _print_parameters(found, width)
    sys.stdout.write("\n")
    for sentence in note:
        _print_wrapped("", sentence, width)


def _columns(rows: Sequence[Row]) -> dict[str, int]:
    """Return the columns with their widths. A column that is empty in all rows is left out: terminals are narrow."""
    widths = {column: max(len(row[column]) for row in rows) for column in rows[0]}
    return {column: max(len(column), width) for column, width in widths.items() if width}


# -- cells ------------------------------------------------------------------------------------------------------------


def _cells(entry: CircuitSnapshot) -> dict[str, str]:
    """Return the cells of a circuit by column; empty where there is nothing to say."""
    return {
        "name": entry["name"],
        "key": _key(entry),
        "state": entry["state"].replace("_", "-"),
        "mode": entry["mode"].replace("normal", ""),
        "since": _time_of_day(entry["since"]),
        "failed in a row": str(entry["failures_in_a_row"]),
        "failed of last": _rates(entry),
        "last": entry["last_category"] or "",
        "sheds": _shed(entry),
        "next probe": _next_probe(entry),
        "by hand": _by_hand(entry),
    }


def _key(entry: CircuitSnapshot) -> str:
    if entry["key"] is not None:
        return _printable(entry["key"])  # it may hold anything
    if entry["pattern"]:
        return f"(each {entry['pattern']})"
    return ""


def _rates(entry: CircuitSnapshot) -> str:
    if entry["calls"] is None:
        return ""
    if entry["failure_rate"] is None:
        return "no calls"
    text = f"{entry['failure_rate']:.0%} of {entry['calls']}"
    if entry["slow"] and entry["slow_rate"] is not None:
        text += f", {entry['slow_rate']:.0%} slow"
    return text


def _shed(entry: CircuitSnapshot) -> str:
    if not entry["shed"] or entry["state"] != "closed":  # an open circuit rejects all
        return ""
    return f"{entry['shed']:.0%}"


def _next_probe(entry: CircuitSnapshot) -> str:
    if entry["next_probe"] is not None:
        return f"in {entry['next_probe']:.1f} s"
    if entry["probes"]:
        return f"{entry['probes']} in flight"
    return ""


def _by_hand(entry: CircuitSnapshot) -> str:
    """Return what an admin application says of who has set the circuit by hand, until when and why."""
    hold = cast("Mapping[str, Any] | None", entry.get("hold"))
    if hold is None:
        return ""
    until = "" if hold["until"] is None else f" until {_time_of_day(hold['until'])}"
    return _printable(f"{hold['action']} by {hold['by']}{until}: {hold['why']}")


def _printable(text: str) -> str:
    """Return text in which a line break or an escape sequence cannot spoil the table."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _time_of_day(since: float) -> str:
    local = datetime.datetime.fromtimestamp(since, datetime.UTC).astimezone()
    if local.date() == datetime.datetime.now(datetime.UTC).astimezone().date():
        return local.strftime("%H:%M:%S")
    return local.strftime("%Y-%m-%d %H:%M:%S")


# -- output -----------------------------------------------------------------------------------------------------------


def _print_parameters(found: Sequence[tuple[CircuitSnapshot, str]], width: int | None) -> None:
    names = max(len(entry["name"]) for entry, _ in found)
    for entry, parameters in found:
        if entry["key"] is None and parameters:  # a circuit of a key has the parameters of its pattern
            _print_wrapped(f"{entry['name']:<{names}}  ", parameters, width)


def _print_blocks(rows: Sequence[Row], parameters: Sequence[str], width: int) -> None:
    for row, given in zip(rows, parameters, strict=True):
        sys.stdout.write(f"{row['name']} {row['key']}".rstrip() + "\n")
        for column, cell in (*row.items(), ("set to", given)):
            if cell and column not in ("name", "key"):
                _print_wrapped(f"  {column:<17}", cell, width)


def _print_wrapped(head: str, text: str, width: int | None) -> None:
    if width is None:
        sys.stdout.write(f"{head}{text}\n")
    else:
        indent = " " * len(head)
        sys.stdout.write(
            textwrap.fill(
                text, max(width, len(head) + 20), initial_indent=head, subsequent_indent=indent, break_long_words=False
            )
            + "\n"
        )


def _print_plain(columns: Mapping[str, int], rows: Sequence[Row]) -> None:
    for row in ({column: column for column in columns}, *rows):
        sys.stdout.write("  ".join(f"{row[column]:<{width}}" for column, width in columns.items()).rstrip() + "\n")
    sys.stdout.write("\n")


def _print_rich(columns: Sequence[str], rows: Sequence[Row]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        styles = {"state": _STYLE.get(row["state"], "")}
        table.add_row(*(Text(row[column], style=styles.get(column, "")) for column in columns))
    Console(file=sys.stdout).print(table)
