"""The command: ``python -m benchmarks.load``."""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import benchmarks.load
from benchmarks.load import page
from benchmarks.load.picture import svg
from benchmarks.load.table import Table, markdown

__all__ = ["main", "tables"]


def tables() -> list[Table]:
    """Return the table of each module of this package that has one, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.load.__path__))
    modules = [importlib.import_module(f"benchmarks.load.{name}") for name in names if not name.startswith("_")]
    return [found for module in modules if isinstance(found := getattr(module, "TABLE", None), Table)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 1 where ours does not show what it has to, 2 where no table has such a name."""
    found = tables()
    options = _parser([table.name for table in found]).parse_args(arguments)
    chosen = [table for table in found if not options.table or table.name in options.table]
    results = {}
    for table in chosen:
        results[table.name] = table.find(functools.partial(_show, f"{table.title}: "))
    _show("", "")
    for table in chosen:
        if options.write:
            page.write(table, results[table.name])
        if options.plot and table.draw is not None:
            path = Path(options.plot) / f"load-{table.name}.svg"
            path.write_text(svg(table.draw(results[table.name]), table.name), encoding="utf-8")
        if not options.json:
            print(f"## {table.title}\n\n{markdown(table, results[table.name])}")
    if options.json:
        print(json.dumps(results))
    complaints = [complaint for table in chosen for complaint in table.complaints(results[table.name])]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description="Simulate load in virtual time: queues, rates, hedges. The same results in each run.",
    )
    parser.add_argument("--table", action="append", choices=names, default=[], help="only this table; repeatable")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout in place of the tables")
    parser.add_argument("--plot", metavar="DIRECTORY", help="draw load-NAME.svg there")
    parser.add_argument(
        "--write", action="store_true", help="write docs/benchmarks/load.md, its pictures and the results"
    )
    return parser


def _show(title: str, what: str) -> None:
    """Show what is simulated now: a terminal has one line that changes, a log a line for each."""
    text = f"{title}{what}"
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text[:110]}")
        sys.stderr.flush()
    elif text:
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
