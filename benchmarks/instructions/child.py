"""The process that is counted, as `benchmarks.instructions.counting` starts it.

It imports everything once and forks for each side of each case, so that none inherits what another has warmed. Between
the loops it marks where valgrind has to write its counts down. It reports each step as a line of JSON.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import random
import sys
from collections.abc import Callable, Sequence

from benchmarks.instructions.cases import CASES, SIDES, Case, Side
from benchmarks.instructions.driving import looped
from benchmarks.instructions.verify import expect, verify

__all__ = ["main"]

#: Calls before anything is counted: the interpreter specialises its bytecode, caches fill.
_WARM = 200
#: Calls of the shorter of the two loops. What they have in common beside the calls is taken away with it.
_FEW = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Count each side, or only verify that it does what its case says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(arguments)
    # pybreaker imports redis where it is installed, and that takes longer than everything else together.
    sys.modules["redis"] = None  # type: ignore[assignment]  # how Python says: not to be found
    gc.disable()
    random.seed(0)
    cases = [case for case in CASES if case.name in options.names]
    if options.verify:
        for case in cases:
            _tell(case, "both", functools.partial(verify, case))
        return 0
    _import_everything(cases)
    _fork([(case, side) for case in cases for side in SIDES], options.jobs)
    return 0


def _import_everything(cases: Sequence[Case]) -> None:
    """Use each side of each case once: what is imported at the first use is not imported again in every fork."""
    for case in cases:
        for side in SIDES:
            with looped(case.drive, case.made(side)) as loop:
                loop(1)


def _fork(work: Sequence[tuple[Case, Side]], jobs: int) -> None:
    running = 0
    for case, side in work:
        if running >= jobs:
            os.wait()
            running -= 1
        if os.fork() == 0:
            try:
                _tell(case, side, functools.partial(_count, case, side))
            finally:
                os._exit(0)
        running += 1
    for _ in range(running):
        os.wait()


def _count(case: Case, side: Side) -> None:
    with looped(case.drive, case.made(side)) as loop:
        loop(_WARM)
        _mark()
        loop(_FEW)
        _mark()
        answer = loop(_FEW + case.calls)
        _mark()
    expect(case, side, answer)


def _mark() -> None:
    os.getppid()  # called nowhere else: before it, valgrind writes its counts down and begins again


def _tell(case: Case, side: str, work: Callable[[], None]) -> None:
    try:
        work()
        problem = None
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    line = json.dumps({"case": case.name, "side": side, "pid": os.getpid(), "problem": problem})
    os.write(sys.stdout.fileno(), f"{line}\n".encode())  # in one piece, though other processes write, too


if __name__ == "__main__":
    sys.exit(main())
