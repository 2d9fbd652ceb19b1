"""Time of a report on an error: ``python -m benchmarks.report [--quick]``.

In milliseconds, from the exception to the JSON of level 3 and the text for a model, suggestions included. The first
report of a process imports the diagnosers, and has a row of its own. The exit status is 1 if a row is over the limit.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from resilience.report import ErrorReport

__all__ = ["LIMIT", "PROGRAMS", "measured"]

LIMIT = 30.0
"""The median of a report, in milliseconds, at most."""
PROGRAMS: dict[str, str] = {
    "undefined name": "total = 10\ncount = 3\nprint(totl / count)\n",
    "missing key in a function": (
        "prices = {'lamp': 9.5, 'sofa': 120}\n"
        "def price(name):\n    return prices[name]\n"
        "def order(names):\n    return sum(price(name) for name in names)\n"
        "order(['lamp', 'soffa'])\n"
    ),
    "syntax error": "compile('if x = 5:\\n    pass\\n', '<string>', 'exec')\n",
    "missing module": "import numpyy\n",
    "raised from another": "try:\n    int('x')\nexcept ValueError as error:\n    raise RuntimeError('no') from error\n",
    "a thousand calls": "def down(n):\n    return down(n + 1)\ndown(0)\n",
}
_FIRST = (
    "import time; from resilience.report import ErrorReport\n"
    "try: print(totl)\n"
    "except NameError as error: caught = error\n"
    "began = time.perf_counter(); ErrorReport.from_exception(caught).to_json()\n"
    "print((time.perf_counter() - began) * 1000)\n"
)


def measured(rounds: int) -> dict[str, float]:
    """Return the median time of each program's report, in milliseconds."""
    return {name: _median(_reporting(source), rounds) for name, source in PROGRAMS.items()}


def first(rounds: int) -> float:
    """Return the median time of the first report of a process, in milliseconds."""
    found = [
        float(subprocess.run([sys.executable, "-c", _FIRST], capture_output=True, text=True, check=True).stdout)
        for _ in range(rounds)
    ]
    return statistics.median(found)


def _reporting(source: str) -> Callable[[], object]:
    try:
        exec(compile(source, "<string>", "exec"), {"__name__": "__main__"})
    except Exception as error:
        caught = error

        def report() -> None:
            made = ErrorReport.from_exception(caught, source=source)
            made.to_json()
            made.to_llm()

        return report
    raise AssertionError(f"does not fail: {source}")


def _median(function: Callable[[], object], rounds: int) -> float:
    function()
    milliseconds: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        function()
        milliseconds.append((time.perf_counter() - began) * 1000)
    return statistics.median(milliseconds)


def main() -> int:
    """Measure and print. Return 1 if a row is over the limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only see that everything works")
    quick = parser.parse_args().quick
    print(f"CPython {platform.python_version()}; milliseconds, the median; limit {LIMIT:g} ms")
    found = measured(3 if quick else 100)
    for name, took in found.items():
        print(f"  {name:<32} {took:8.2f}{'  over the limit' if took > LIMIT else ''}")
    print(f"  {'the first of a process':<32} {first(1 if quick else 9):8.2f}  with imports")
    return 0 if max(found.values()) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
