"""Cost of classifying an error and of turning it into a document: ``python -m benchmarks.errors [--quick]``.

In microseconds, medians. The exit status is 1 if a row is over its limit.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
from collections.abc import Callable
from time import perf_counter

import httpx

from benchmarks.measure import Sampler, Settings, sample_in_turn
from resilience import classify
from resilience.contrib.service import DatabaseError, RateLimitError, TaskNotFoundError

__all__ = ["measured"]

_KNOWN = (ConnectionResetError(), TimeoutError(), KeyError("lamp"), httpx.ReadTimeout("late"), RateLimitError(5, 60, 2))
_OURS = (RateLimitError(5, 60, 2), TaskNotFoundError("t-17"), DatabaseError("query", KeyError("lamp")))
_REQUEST = httpx.Request("GET", "http://localhost/")
_RESPONSE_ERROR = httpx.HTTPStatusError("503", request=_REQUEST, response=httpx.Response(503, request=_REQUEST))

#: The function of each row, and its limit in microseconds.
_CASES: dict[str, tuple[Callable[[], object], float | None]] = {
    **{f"classify({type(error).__name__})": (lambda error=error: classify(error), 1.0) for error in _KNOWN},  # type: ignore[misc]
    "classify(HTTPStatusError), by the status of its response": (lambda: classify(_RESPONSE_ERROR), None),
    **{f"{type(error).__name__}.to_dict()": (error.to_dict, 5.0) for error in _OURS},
    **{f"{type(error).__name__}.to_problem()": (error.to_problem, None) for error in _OURS},
}


def _sampler(work: Callable[[], object], times: int) -> Sampler:
    def sample() -> float:
        began = perf_counter()
        for _ in range(times):
            work()
        return (perf_counter() - began) / times * 1e6

    return sample


def measured(settings: Settings) -> dict[str, float]:
    """Return the microseconds of each case, less those of calling an empty function."""
    times = max(1, round(settings.loop / 2e-6))
    empty = "nothing"
    samples = {empty: _sampler(lambda: None, times)} | {
        name: _sampler(work, times) for name, (work, _) in _CASES.items()
    }
    measurements, failed = sample_in_turn(samples, empty, settings.rounds, lambda _: None)
    if failed:
        raise RuntimeError(f"failed: {failed}")
    nothing = statistics.median(measurements[empty].samples)
    return {name: max(0.0, measurements[name].value - nothing) for name in _CASES}


def main() -> int:
    """Measure and print. Return 1 if a row is over its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.errors", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only see that everything works")
    settings = Settings.quick() if parser.parse_args().quick else Settings()
    print(f"CPython {platform.python_version()}; microseconds")
    ok = True
    for name, microseconds in measured(settings).items():
        limit = _CASES[name][1]
        over = limit is not None and microseconds > limit
        ok = ok and not over
        print(
            f"  {name:<56} {microseconds:6.2f}{'' if limit is None else f'  limit {limit:g}'}{', over' if over else ''}"
        )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
