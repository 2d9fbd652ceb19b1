"""The grid on which the analytic screen and the simulation are compared: `python -m benchmarks.simulation.grid`.

Calls a second along one axis, time limits along the other, from a server that has little to do to one that has no
capacity left; three attempts, no budget, and half the speed for some seconds.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from resilience import retry_on_category, timeout
from resilience.simulation import Latency, Scenario, Slowdown
from resilience.simulation._axes import Axis
from resilience.simulation._map import PlanMap
from resilience.simulation._sweep import sweep

__all__ = ["compare"]

_SCENARIO = Scenario(
    rps=40,
    capacity=80,
    latency=Latency(p50=0.040, p99=0.200),
    clients=4,
    duration=60.0,
    events=(Slowdown(at=10, lasts=20, speed=0.5),),
    seed=1,
)
_LEAST_AGREEMENT = 0.95


@retry_on_category(attempts=3)
@timeout(1.0)
async def request() -> None:
    """Make a request to the simulated server, as every service does that has retries and a time limit."""


def compare(size: int, jobs: int | None = None, *, shown: bool = False) -> PlanMap:
    """Return the map of *size* times *size* cells, each judged by both."""
    rates = tuple(round(4 + (76 - 4) * step / (size - 1), 1) for step in range(size))
    limits = tuple(round(0.3 + (2.2 - 0.3) * step / (size - 1), 3) for step in range(size))
    progress = None
    if shown:
        progress = _show
    return sweep(request, _SCENARIO, (Axis("rps", rates), Axis("timeout", limits)), jobs=jobs, progress=progress)


def _show(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done} of {total} cells")


def main() -> None:
    """Print where the two disagree, and the share of cells on which they agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=20, help="cells along each axis")
    parser.add_argument("--jobs", type=int, help="processes")
    arguments = parser.parse_args()
    plan = compare(arguments.size, arguments.jobs, shown=True)
    sys.stderr.write("\n")
    for cell in plan.cells:
        if cell.verdict != cell.screened:
            print(f"{dict(cell.options)}: simulation {cell.verdict}, screen {cell.screened}")
    print(dict(Counter(cell.verdict for cell in plan.cells)))
    print(f"agreement: {plan.agreement:.1%} of {len(plan.cells)} cells")
    if plan.agreement < _LEAST_AGREEMENT:
        sys.exit(1)


if __name__ == "__main__":
    from benchmarks.simulation import grid

    grid.main()  # by the name under which the processes of a sweep import it
