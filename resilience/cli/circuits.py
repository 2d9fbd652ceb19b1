"""`resilience circuits`: the circuits an application comes with."""

from __future__ import annotations

import argparse
import datetime
import gc
import importlib.util
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from resilience._runtime.callables import under_descriptor
from resilience._runtime.decorate import guarded
from resilience._runtime.guard import public_methods
from resilience.cli.application import imported
from resilience.cli.output import ExitCode, print_json

if TYPE_CHECKING:
    from resilience.circuits import CircuitBreaker, CircuitSnapshot

__all__ = ["run_circuits"]

_NOTE = (
    "These are the states of this process, which has just imported the application; a running service has its own.",
    "To see those, let the service return resilience.circuits.snapshot() at a health endpoint.",
)
_STYLE = {"closed": "green", "half-open": "yellow", "open": "red"}


def run_circuits(arguments: argparse.Namespace) -> int:
    """Import an application and print its circuits."""
    module, value = imported(arguments.application)
    gc.collect()  # what nobody holds is not the application's
    breakers, only = _circuits_of(value)
    found = _entries(breakers)
    if arguments.json:
        print_json(
            {
                "application": arguments.application,
                "note": " ".join(_NOTE),
                "circuits": [entry | {"parameters": parameters} for entry, parameters in found],
            }
        )
    elif not found:
        sys.stdout.write(
            f"{module.__name__} defines no circuits: nothing it makes when it is imported is guarded by a"
            " circuit_breaker.\nCircuits that are made later, in a function or at the first request, are not here.\n"
        )
    else:
        number = "1 circuit" if len(breakers) == 1 else f"{len(breakers)} circuits"
        sys.stdout.write(f"{number} {'of' if only else 'after importing'} {arguments.application}\n\n")
        _show(found)
    return ExitCode.OK


# -- which ------------------------------------------------------------------------------------------------------------


def _circuits_of(value: object) -> tuple[list[CircuitBreaker], bool]:
    """Return the circuits that guard *value*, or all there are where it is an application; and whether these only."""
    from resilience.circuits.breaker import REGISTRY

    own = list(dict.fromkeys(_guarding(value)))
    return (own, True) if own else (list(REGISTRY), False)


def _guarding(value: object) -> Iterator[CircuitBreaker]:
    from resilience._runtime.pipeline import Pipeline
    from resilience.circuits import CircuitBreaker

    if isinstance(value, CircuitBreaker):
        yield value
        return
    if isinstance(value, type):
        for _, method in public_methods(value):
            yield from _guarding(method)
        return
    known = guarded(under_descriptor(value))
    policies = value.policies() if isinstance(value, Pipeline) else known.policies if known is not None else ()
    for policy in policies:
        owner = getattr(policy, "owner", None)
        if isinstance(owner, CircuitBreaker):
            yield owner


def _entries(breakers: Iterable[CircuitBreaker]) -> list[tuple[CircuitSnapshot, str]]:
    from resilience.circuits._snapshot import snapshot_of

    found = [(entry, _parameters(breaker)) for breaker in breakers for entry in snapshot_of(breaker)]
    return sorted(found, key=lambda each: (each[0]["name"], each[0]["key"] or ""))


def _parameters(breaker: CircuitBreaker) -> str:
    return ", ".join(breaker.circuit.config.non_default_options())


# -- how it looks -----------------------------------------------------------------------------------------------------


def _show(found: Sequence[tuple[CircuitSnapshot, str]]) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    rows = [_cells(entry) for entry, _ in found]
    # A column that is empty in all rows says nothing, and a terminal is narrow.
    columns = {
        column: max(len(column), *(len(row[column]) for row in rows))
        for column in rows[0]
        if any(row[column] for row in rows)
    }
    if width is not None and sum(columns.values()) + 3 * len(columns) > width:
        _print_blocks(rows, [parameters for _, parameters in found], width)
    else:
        if width is not None and importlib.util.find_spec("rich") is not None:
            _print_rich(list(columns), rows)
        else:
            _print_plain(columns, rows)
        names = max(len(entry["name"]) for entry, _ in found)
        for entry, parameters in found:
            if entry["key"] is None:  # a key's are its pattern's
                _print_wrapped(f"{entry['name']:<{names}}  ", parameters, width)
    sys.stdout.write("\n")
    for sentence in _NOTE:
        _print_wrapped("", sentence, width)


def _cells(entry: CircuitSnapshot) -> dict[str, str]:
    """Return what is shown of a circuit, by column; nothing where there is nothing to say."""
    calls, rate, wait = entry["calls"], entry["failure_rate"], entry["next_probe"]
    slow = f", {entry['slow_rate']:.0%} slow" if entry["slow"] and entry["slow_rate"] is not None else ""
    out = f"{entry['probes']} out" if entry["probes"] else ""
    return {
        "name": entry["name"],
        # A key may hold anything; a line break or an escape sequence is no part of a table.
        "key": "".join(character if character.isprintable() else "?" for character in entry["key"])
        if entry["key"] is not None
        else f"(each {entry['pattern']})"
        if entry["pattern"]
        else "",
        "state": entry["state"].replace("_", "-"),
        "mode": "" if entry["mode"] == "normal" else entry["mode"],
        "since": _when(entry["since"]),
        "failed in a row": str(entry["failures_in_a_row"]),
        "failed of last": "" if calls is None else "no calls" if rate is None else f"{rate:.0%} of {calls}{slow}",
        "last": entry["last_category"] or "",
        "next probe": out if wait is None else f"in {wait:.1f} s",
    }


def _when(since: float) -> str:
    there = datetime.datetime.fromtimestamp(since, datetime.UTC).astimezone()
    today = datetime.datetime.now(datetime.UTC).astimezone().date()
    return there.strftime("%H:%M:%S" if there.date() == today else "%Y-%m-%d %H:%M:%S")


def _print_blocks(rows: Sequence[dict[str, str]], parameters: Sequence[str], width: int) -> None:
    for row, given in zip(rows, parameters, strict=True):
        name = row.pop("name")
        key = row.pop("key")
        sys.stdout.write(f"{name}{' ' + key if key else ''}\n")
        for column, cell in (*row.items(), ("set to", given)):
            if cell:
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


def _print_plain(columns: Mapping[str, int], rows: Sequence[dict[str, str]]) -> None:
    for row in ({column: column for column in columns}, *rows):
        sys.stdout.write("  ".join(f"{row[column]:<{width}}" for column, width in columns.items()).rstrip() + "\n")
    sys.stdout.write("\n")


def _print_rich(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        style = _STYLE.get(row["state"], "")
        table.add_row(*(Text(row[column], style=style if column == "state" else "") for column in columns))
    Console(file=sys.stdout).print(table)
