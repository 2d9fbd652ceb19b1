"""Cost of counting for a call that succeeds: ``python -m benchmarks.metrics [--quick]``.

As ratios to an empty decorator, with Prometheus installed; `prometheus_client` used by hand is measured beside ours.
The exit status is 1 if a row of ours is over the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import platform
import sys
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from benchmarks import ours, references, subjects
from benchmarks.measure import Sampler, Settings, async_loop, calibrated, sample_in_turn, sync_loop
from benchmarks.terms import ARGUMENT, Function, Wrap
from resilience.integrations.prometheus import install
from resilience.metrics import track_errors

__all__ = ["LIMIT", "measured"]

LIMIT = 2.5
_EMPTY = "empty decorator"
_STACK = "fallback + retry + breaker"
_TRACKED = "track_errors"
_TRACKED_STACK = f"{_TRACKED} + {_STACK}"
_BELOW = f"retry + {_TRACKED}, the other way round"
_BY_HAND = "a Counter and a Histogram by hand"
_OURS = (_STACK, _TRACKED, _TRACKED_STACK, _BELOW)


def _tracked_stack(function: Function) -> Function:
    tracked: Function = track_errors(ours.stack(function))
    return tracked


def _below(function: Function) -> Function:
    return ours.retry(track_errors(function))


def _by_hand() -> Wrap:
    registry = CollectorRegistry()
    calls = Counter("calls", "Calls.", ["target", "outcome"], registry=registry).labels("f", "success")
    seconds = Histogram("seconds", "Durations.", ["target"], registry=registry).labels("f")

    def decorate(function: Function) -> Function:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            began = time.monotonic()
            value = function(*args, **kwargs)
            seconds.observe(time.monotonic() - began)
            calls.inc()
            return value

        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            began = time.monotonic()
            value = await function(*args, **kwargs)
            seconds.observe(time.monotonic() - began)
            calls.inc()
            return value

        return async_wrapper if inspect.iscoroutinefunction(function) else wrapper

    return decorate


def measured(shape: str, settings: Settings) -> dict[str, float]:
    """Return the ratio of each decorator, for functions of one *shape*, to the empty decorator."""
    decorators: dict[str, Wrap] = {
        _EMPTY: references.empty,
        _STACK: ours.stack,
        _TRACKED: track_errors,
        _TRACKED_STACK: _tracked_stack,
        _BELOW: _below,
        _BY_HAND: _by_hand(),
    }
    with asyncio.Runner() as runner, install(CollectorRegistry()):

        def sample(wrap: Wrap) -> Sampler:
            guarded = wrap(subjects.of_shape("answer", shape))
            loop = async_loop(runner, guarded, ARGUMENT) if shape == "async" else sync_loop(guarded, ARGUMENT)
            return calibrated(loop, settings.loop)

        samples = {name: sample(wrap) for name, wrap in decorators.items()}
        measurements, _ = sample_in_turn(samples, _EMPTY, settings.rounds, lambda _: None)
    return {name: found.ratio for name, found in measurements.items()}


def main() -> int:
    """Measure and print. Return 1 if a row of ours is over the limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only see that everything works")
    settings = Settings.quick() if parser.parse_args().quick else Settings()
    print(f"CPython {platform.python_version()}; a call that succeeds, times {_EMPTY}; limit {LIMIT}x")
    ok = True
    for shape in ("sync", "async"):
        print(shape)
        for name, ratio in measured(shape, settings).items():
            over = name in _OURS and ratio > LIMIT
            ok = ok and not over
            print(f"  {name:<48} {ratio:6.2f}{'  over the limit' if over else ''}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
