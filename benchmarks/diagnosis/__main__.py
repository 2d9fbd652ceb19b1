"""The command: ``python -m benchmarks.diagnosis``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from benchmarks.diagnosis import judging, page
from benchmarks.diagnosis.corpus import programs

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 1 where our reports miss a target."""
    options = _parser().parse_args(arguments)
    os.environ["MPLBACKEND"] = "Agg"
    chosen = [
        each
        for each in programs("holdout" if options.hold_out else "programs")
        if each.runs_here and (not options.standard or each.is_standard) and options.program in each.name
    ]
    results = judging.judge(chosen, options.tool)
    if options.program:
        print("\n\n".join(judging.shown(each, options.text) for each in results))
        return 0
    document = judging.document(results)
    if options.loop:
        from benchmarks.diagnosis import generations

        document["generations"] = generations.compare(chosen)
    if options.json:
        json.dump(document, sys.stdout, indent=1)
    else:
        print(page.markdown(document))
    missed = judging.missed(document)
    print("\n".join(missed), file=sys.stderr)
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--standard", action="store_true", help="only programs that need no third-party library")
    parser.add_argument("--hold-out", action="store_true", help="the programs that no rule was written from")
    parser.add_argument("--program", default="", metavar="NAME", help="show the programs whose names have this in it")
    parser.add_argument("--text", action="store_true", help="with --program: show each text, too")
    parser.add_argument("--tool", action="append", metavar="NAME", help="only this tool; may be repeated")
    parser.add_argument("--loop", action="store_true", help="compare generations to success, too: takes minutes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
