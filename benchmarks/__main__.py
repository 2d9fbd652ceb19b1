"""The command: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from collections.abc import Sequence

from benchmarks import results, table
from benchmarks.cases import CASES, Case
from benchmarks.measure import Settings
from benchmarks.outcome import CaseResult, Row

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for. Return 0, or 2 when nothing of that name exists."""
    options = _parser().parse_args(arguments)
    cases = [case for case in CASES if _wanted(case, options.case)]
    if not cases:
        print(f"no case named {', '.join(options.case)}; --list shows them", file=sys.stderr)
        return 2
    if options.list:
        width = max(len(case.name) for case in cases)
        print("\n".join(f"{case.name:{width}}  {case.title}" for case in cases))
        return 0
    settings = Settings.quick() if options.quick else Settings()
    complete = not options.quick and not options.case
    found = results.document(_run(cases, settings), settings, complete=complete)
    if complete:  # part of a run, or a quick one, must not pass for a result
        results.write(found)
        table.write_docs(results.load_all())
    print(json.dumps(found, indent=1) if options.json else table.markdown(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure guarded calls against peers, in one run, as ratios. A complete run writes"
        " benchmarks/results/ and docs/benchmarks.md.",
    )
    parser.add_argument("--quick", action="store_true", help="few rounds: see that it works; writes no files")
    parser.add_argument(
        "--case",
        action="append",
        metavar="NAME",
        default=[],
        help="only this case, or a pattern such as 'sync-*'; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, and nothing else, on stdout")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    return parser


def _wanted(case: Case, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(case.name, pattern) for pattern in patterns)


def _run(cases: Sequence[Case], settings: Settings) -> list[CaseResult]:
    found = []
    for number, case in enumerate(cases, 1):

        def progress(what: str, place: str = f"[{number}/{len(cases)}] {case.name}") -> None:
            _show(f"{place}: {what}")

        try:
            found.append(case.run(settings, progress))
        except Exception as error:  # the other cases are still worth having
            reason = f"failed: {type(error).__name__}: {error}"
            found.append(CaseResult(case.name, case.title, "", "", [Row("resilience", reason, reason=reason)]))
    _show("")
    return found


def _show(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text[:110]}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
