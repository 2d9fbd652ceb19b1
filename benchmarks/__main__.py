"""The command: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from collections.abc import Sequence

from benchmarks import interpreters, results, table
from benchmarks.candidate import OURS
from benchmarks.cases import CASES, Case
from benchmarks.measure import Settings
from benchmarks.outcome import CaseResult, rows

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 1 if an interpreter failed, 2 if no case has such a name."""
    options = _parser().parse_args(arguments)
    cases = [case for case in CASES if _is_selected(case, options.case)]
    if not cases:
        print(f"no case named {', '.join(options.case)}; --list shows them", file=sys.stderr)
        return 2
    if options.list:
        width = max(len(case.name) for case in cases)
        print("\n".join(f"{case.name:{width}}  {case.group}: {case.label}" for case in cases))
        return 0
    complete = not options.quick and not options.case
    if options.python or options.everywhere or (complete and not options.here):
        return interpreters.run(options.python or interpreters.VERSIONS, _arguments_for(options))
    return _measure_here(cases, options, complete=complete)


def _measure_here(cases: Sequence[Case], options: argparse.Namespace, *, complete: bool) -> int:
    settings = Settings.quick() if options.quick else Settings()
    document = results.document(_run(cases, settings), settings, complete=complete)
    if complete:  # a quick or partial run is no result
        from benchmarks import page  # imports matplotlib, which takes a second

        results.write(document)
        page.write(results.load_all())
    print(json.dumps(document, indent=1) if options.json else table.markdown(document))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure guarded calls against peers, in one run, as ratios. A complete run measures on every"
        " interpreter found and writes benchmarks/results/ and docs/benchmarks.*; --quick and --case write no files"
        " and measure on this interpreter.",
    )
    parser.add_argument("--quick", action="store_true", help="few rounds and small numbers: see that it works")
    parser.add_argument(
        "--case",
        action="append",
        metavar="NAME",
        default=[],
        help="only this case, or a pattern such as 'sync-*'; repeatable",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--here", action="store_true", help="only on the interpreter this runs on")
    where.add_argument("--everywhere", action="store_true", help="on every interpreter found, whatever is measured")
    where.add_argument(
        "--python", action="append", metavar="VERSION", default=[], help="on this one, such as 3.13; repeatable"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document for each interpreter, and nothing else, on stdout"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    return parser


def _arguments_for(options: argparse.Namespace) -> list[str]:
    """Return the arguments with which another interpreter runs the same cases on itself."""
    flags = [f"--{flag}" for flag in ("quick", "json") if getattr(options, flag)]
    return ["--here", *flags, *(f"--case={name}" for name in options.case)]


def _is_selected(case: Case, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(case.name, pattern) for pattern in patterns)


def _run(cases: Sequence[Case], settings: Settings) -> list[CaseResult]:
    measured: list[CaseResult] = []
    for number, case in enumerate(cases, 1):
        place = f"[{number}/{len(cases)}] {case.name}"
        if not sys.stderr.isatty():  # a log gets a line for each case; on a terminal one line changes
            print(place, file=sys.stderr, flush=True)

        def progress(step: str, place: str = place) -> None:
            _show_progress(f"{place}: {step}")

        try:
            measured += case.run(settings, progress)
        except Exception as error:  # the other cases still run
            failed = {OURS: f"{type(error).__name__}: {error}"}
            measured.append(CaseResult(case.name, case.group, case.label, "", "", rows(case.name, {}, failed)))
    _show_progress("")
    return measured


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text[:110]}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
