"""The command: ``python -m benchmarks.storm``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from benchmarks.storm import page
from benchmarks.storm.runs import find
from benchmarks.storm.strategies import BUDGET

__all__ = ["main"]

#: The limits of ours: the peak load of a second per call begun, and all requests per call by the share that fails.
_PEAK, _MAX_LOAD = 1.1, {0.3: 1.2, 0.6: 1.1, 1.0: 1.02}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 1 if ours sends more than its limits, or another strategy recovers earlier."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.storm",
        description="Simulate retries against a dependency in trouble: two to three minutes.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout in place of the tables")
    parser.add_argument(
        "--write", action="store_true", help="write docs/benchmarks/storm.md, docs/benchmarks/storm.svg and the results"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many simulations run at a time")
    options = parser.parse_args(arguments)
    found = find(options.jobs)
    if options.write:
        page.write(found)
    if options.json:
        print(json.dumps(found))
    elif sys.stdout.isatty():
        _print_tables(found)
    else:
        print(page.markdown(found), end="")
    return _exit_status(found)


def _print_tables(found: page.Document) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for title, head, rows in page.tables(found):
        table = Table(title=title, title_justify="left", title_style="bold")
        for place, name in enumerate(head):
            table.add_column(name, justify="right" if place else "left", no_wrap=not place)
        for row in rows:
            table.add_row(*row, style="bold" if row[0] == BUDGET.name else "")
        console.print(table)


def _exit_status(found: page.Document) -> int:
    bad = []
    for name, scene in found["scenes"].items():
        ours = next(row for row in scene["rows"] if row["name"] == BUDGET.name)
        if ours["peak"] > _PEAK:
            bad.append(f"{name}: ours sends {ours['peak']:g} requests per call in a second, more than {_PEAK:g}x")
        recoveries = [row["recovery"] for row in scene["rows"] if row["recovery"] is not None]
        if ours["recovery"] is None or ours["recovery"] > min(recoveries):
            bad.append(f"{name}: ours is not the first to recover")
    for row in found["random"]:
        most = _MAX_LOAD[row["failing"]]
        load = row["requests"] / row["calls"]
        if row["name"] == BUDGET.name and row["failure"] == "ConnectionResetError" and load >= most:
            bad.append(f"{row['failing']:.0%} failures: ours sends {load:.3f} requests per call, {most:g} or more")
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
