"""The command: ``python -m benchmarks.simulation``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.simulation import grid
from benchmarks.simulation.theory import QUEUES, compare
from benchmarks.simulation.verdicts import KNOWN
from resilience import retry_on_category, standard, timeout
from resilience.simulation import Scenario, Slowdown, simulate

__all__ = ["main"]

_MAX_ERROR = 0.03
_MAX_SECONDS_OF_A_MINUTE, _MAX_SECONDS_OF_A_MILLION = 5.0, 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 1 where a figure is not what it has to be."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulation",
        description="Compare the simulator with queueing theory and known verdicts, and measure what it costs.",
    )
    parser.add_argument("--calls", type=int, default=200_000, help="calls for each queue (default: 200000)")
    parser.add_argument("--grid", type=int, nargs="?", const=20, metavar="SIZE", help="compare with the screen instead")
    options = parser.parse_args(arguments)
    if options.grid is not None:
        return grid.report(options.grid)
    found = [*_queues(options.calls), *_verdicts(), *_costs()]
    return int(not all(found))


def _queues(calls: int) -> Iterator[bool]:
    print("| queue | mean time, theory | simulated | refused, theory | simulated | error |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for queue in QUEUES:
        found = compare(queue, calls)
        (time_expected, refused_expected), (took, refused) = found.expected, found.found
        times = f"{1000 * time_expected:.1f} ms | {1000 * took:.1f} ms"
        print(f"| {queue.name} | {times} | {refused_expected:.2%} | {refused:.2%} | {found.error:.1%} |", flush=True)
        yield found.error < _MAX_ERROR


def _verdicts() -> Iterator[bool]:
    print("\n| scenario | expected | found |")
    print("| --- | --- | --- |")
    for known in KNOWN:
        result = known.simulate()
        expected = "never" if known.back_within is None else f"back within {known.back_within:g} s"
        recovery = "never" if result.recovery is None else f"back after {result.recovery:g} s"
        print(f"| {known.name} | {expected} | {recovery}: {result.verdict} |", flush=True)
        yield known.holds(result)


@standard("the server of the benchmark")
def _with_the_standard_stack() -> None:
    """Stand for a request."""


@retry_on_category(attempts=3)
@timeout(0.5)
def _with_three_attempts() -> None:
    """Stand for a request."""


def _costs() -> Iterator[bool]:
    minute = Scenario(rps=1000, capacity=2400, clients=20, duration=60)
    storm = Scenario(rps=1000, capacity=1400, duration=60, events=(Slowdown(at=10, lasts=20),))
    million = Scenario(rps=1e6, capacity=2.4e6, clients=10**6, duration=60, events=(Slowdown(at=10, lasts=20),))
    print("\n| a simulated minute | calls simulated | requests | processor time |")
    print("| --- | ---: | ---: | ---: |")
    for name, function, scenario, most in (
        ("1,000 calls/s through the standard stack", _with_the_standard_stack, minute, _MAX_SECONDS_OF_A_MINUTE),
        ("1,000 calls/s with three attempts, healthy", _with_three_attempts, minute, _MAX_SECONDS_OF_A_MINUTE),
        ("1,000 calls/s with three attempts, in a storm", _with_three_attempts, storm, _MAX_SECONDS_OF_A_MILLION),
        ("10^6 clients, 10^6 calls/s, standard", _with_the_standard_stack, million, _MAX_SECONDS_OF_A_MILLION),
    ):
        began = time.process_time()
        result = simulate(function, scenario)
        took = time.process_time() - began
        batch = scenario.batch or 1
        calls, requests = (sum(counts) // batch for counts in (result.series.arrivals, result.series.sent))
        print(f"| {name} | {calls:,} | {requests:,} | {took:.1f} s |", flush=True)
        yield took <= most


if __name__ == "__main__":
    sys.exit(main())
