"""The grid on which the analytic screen and the simulation are compared: `python -m benchmarks.simulation --grid`.

Calls a second along one axis, time limits along the other, from a server that has little to do to one that has no
capacity left; three attempts, no budget, and half the speed for some seconds. The minute before shows whether calls
fail without any trouble.
"""

from __future__ import annotations

import sys
from collections import Counter

from resilience import retry_on_category, timeout
from resilience.simulation import Latency, Scenario, Slowdown
from resilience.simulation._axes import Axis
from resilience.simulation._map import PlanMap
from resilience.simulation._sweep import sweep

__all__ = ["compare", "report"]

_SCENARIO = Scenario(
    rps=40,
    capacity=80,
    latency=Latency(p50=0.040, p99=0.200),
    clients=4,
    duration=110.0,
    events=(Slowdown(at=60, lasts=20, speed=0.5),),
    seed=1,
)
_LEAST_AGREEMENT = 0.95


@retry_on_category(attempts=3)
@timeout(1.0)
async def request() -> None:
    """Make a request to the simulated server, as every service does that has retries and a time limit."""


def compare(size: int, jobs: int | None = None, *, shown: bool = False) -> PlanMap:
    """Return the map of *size* times *size* cells, each judged by both."""
    rates = tuple(round(6 + (74 - 6) * step / (size - 1), 1) for step in range(size))
    limits = tuple(round(0.3 + (2.2 - 0.3) * step / (size - 1), 3) for step in range(size))
    progress = None
    if shown:
        progress = _show
    return sweep(request, _SCENARIO, (Axis("rps", rates), Axis("timeout", limits)), jobs=jobs, progress=progress)


def _show(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done} of {total} cells")


def report(size: int, jobs: int | None = None) -> int:
    """Print where the two disagree, and the share of cells on which they agree; return 1 where that is too low."""
    plan = compare(size, jobs, shown=True)
    sys.stderr.write("\n")
    for cell in plan.cells:
        if cell.verdict != cell.screened:
            print(f"{dict(cell.options)}: simulation {cell.verdict}, screen {cell.screened}")
    print(dict(Counter(cell.verdict for cell in plan.cells)))
    print(f"agreement: {plan.agreement:.1%} of {len(plan.cells)} cells")
    return int(plan.agreement < _LEAST_AGREEMENT)
