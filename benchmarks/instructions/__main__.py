"""The command: ``python -m benchmarks.instructions``."""

from __future__ import annotations

import argparse
import fnmatch
import json
import math
import operator
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.instructions import limits, report
from benchmarks.instructions.cases import CASES, Case
from benchmarks.instructions.counting import Count, CountingError, ValgrindMissingError, count, valgrind_version
from benchmarks.instructions.profiling import profile

__all__ = ["main"]

_ADVICE = (
    "Compare with the profile of the commit before. If a call has to take more, set the limits anew, and say why in the"
    " commit:\n  python -m benchmarks.instructions --write-limits PYTHON..."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked for. Return 0, 1 when a limit is exceeded or a case fails, 2 when nothing can be counted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.write_limits is not None and options.case:
        parser.error("--write-limits is for all cases")
    cases = [case for case in CASES if _wanted(case, options.case)]
    if not cases:
        print(f"no case named {', '.join(options.case)}; --list shows them", file=sys.stderr)
        return 2
    if options.list:
        width = max(len(case.name) for case in cases)
        print("\n".join(f"{case.name:{width}}  {case.title}, against: {case.against}" for case in cases))
        return 0
    if options.profile:
        print("\n".join(profile(case) for case in cases))
        return 0
    try:
        if options.write_limits is not None:
            return _write_limits(options.write_limits or [sys.executable])
        return _count(cases, as_json=options.json, check=options.check)
    except ValgrindMissingError as error:
        print(error, file=sys.stderr)
        return 2
    except CountingError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions",
        description="Count the instructions of guarded calls under valgrind, and divide by those of a reference.",
    )
    parser.add_argument(
        "--case",
        action="append",
        metavar="NAME",
        default=[],
        help="only this case, or a pattern such as 'sync-*'; repeatable",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="fail when a ratio is beyond its limit in limits.json")
    what.add_argument("--list", action="store_true", help="print the names of the cases")
    what.add_argument("--profile", action="store_true", help="no counting: show where the time of ours goes")
    what.add_argument(
        "--write-limits",
        nargs="*",
        metavar="PYTHON",
        help="write limits.json, from counts with each of these interpreters (default: this one)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, and nothing else, on stdout")
    return parser


def _wanted(case: Case, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(case.name, pattern) for pattern in patterns)


def _count(cases: Sequence[Case], *, as_json: bool, check: bool) -> int:
    version = valgrind_version()
    allowed = limits.load()
    try:
        counts = count(cases, _show)
        if check:
            counts = _counted_again(counts, allowed)
    finally:
        _show("")
    print(json.dumps(report.document(counts, allowed, version), indent=1) if as_json else report.table(counts, allowed))
    complaints = limits.exceeded(counts, allowed) if check else []
    if complaints:
        print("", *complaints, _ADVICE, sep="\n", file=sys.stderr)
    return 1 if complaints else 0


def _counted_again(counts: Sequence[Count], allowed: Mapping[str, float]) -> list[Count]:
    """Count those beyond their limit twice more, with other seeds; return of each case the count of the least ratio.

    Code that takes more instructions does so wherever its objects lie in memory.
    """
    least = {each.case.name: each for each in counts}
    for seed in (1, 2):
        beyond = [each.case for each in least.values() if each.ratio > allowed.get(each.case.name, math.inf)]
        for each in count(beyond, _show, seed=seed) if beyond else []:
            least[each.case.name] = min(least[each.case.name], each, key=operator.attrgetter("ratio"))
    return list(least.values())


def _write_limits(interpreters: Sequence[str]) -> int:
    measured: dict[str, dict[str, float]] = {}
    for interpreter in interpreters:
        command = [interpreter, "-m", "benchmarks.instructions", "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=Path(__file__).parents[2])
        if done.returncode:
            print(f"{interpreter}: not counted, nothing is written", file=sys.stderr)
            return done.returncode
        found = json.loads(done.stdout)
        measured[found["interpreter"]] = {case["name"]: case["ratio"] for case in found["cases"]}
    limits.write(measured)
    print(f"{limits.FILE.name}: written, from {', '.join(measured)}")
    return 0


def _show(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text[:110]}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
