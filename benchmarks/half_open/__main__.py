"""The command: ``python -m benchmarks.half_open``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.half_open import page
from benchmarks.half_open.bugs import BUGS
from benchmarks.half_open.libraries import load
from benchmarks.half_open.more_bugs import MORE_BUGS
from benchmarks.half_open.scenarios import ERROR, RIGHT, WRONG, Scenario
from benchmarks.half_open.terms import Library

__all__ = ["GROUPS", "LIBRARIES", "OURS", "UNSUPPORTED", "run_all", "main"]

LIBRARIES, UNSUPPORTED = load()
OURS: Library = LIBRARIES[-1]
GROUPS: Mapping[str, tuple[Scenario, ...]] = {"The eight": BUGS, "More bugs": MORE_BUGS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 1 where ours is wrong, or a scenario has no verdict."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.half_open",
        description="Run each bug of circuit breakers against each library, and write the table: right or wrong.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout; writes no files")
    parser.add_argument("--list", action="store_true", help="show the scenarios, and what a right circuit does in each")
    options = parser.parse_args(arguments)
    if options.list:
        for group, scenarios in GROUPS.items():
            print(f"{group}:")
            print("\n".join(f"  {scenario.name}\n    {scenario.expected}" for scenario in scenarios))
        return 0
    found = run_all()
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        _write(found)
        print(page.markdown(found), page.reasons(found), sep="\n", end="")
    return _exit_status(found)


def run_all(libraries: Sequence[Library] = LIBRARIES) -> dict[str, Any]:
    """Run every scenario against each of *libraries*."""
    with _logging_disabled():
        cells = {
            group: {scenario: [scenario.run(library) for library in libraries] for scenario in scenarios}
            for group, scenarios in GROUPS.items()
        }
    return page.document(libraries, cells)


def _write(found: Mapping[str, Any]) -> None:
    """Write results and page, unless a library does not run here: its column would be lost."""
    if not UNSUPPORTED:
        page.write(found)
        return
    missing = ", ".join(f"{name} {reason}" for name, reason in UNSUPPORTED.items())
    print(f"writes no files: {missing}", file=sys.stderr)


@contextmanager
def _logging_disabled() -> Generator[None]:
    """Log nothing: some libraries log an opened circuit, or a listener that raises."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


def _exit_status(found: Mapping[str, Any]) -> int:
    rows = [row for rows in found["groups"].values() for row in rows]
    bad = [
        f"{row['title']}: {name}: {finding['reason']}"
        for row in rows
        for name, cell in row["cells"].items()
        for finding in cell["findings"]
        if finding["verdict"] == ERROR or (name == OURS.NAME and finding["verdict"] == WRONG)
    ]
    ours_right = all(row["cells"][OURS.NAME]["verdict"] == RIGHT for row in rows)
    for line in bad:
        print(line, file=sys.stderr)
    return 0 if ours_right and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
