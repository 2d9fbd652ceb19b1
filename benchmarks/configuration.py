"""The cost of policies by configuration: ``uv run python -m benchmarks.configuration``.

Three questions are answered:

* A file with 200 policies is loaded and, with all of them in use, read again: milliseconds of the processor.
* A function is guarded by a configuration, and another one by the same policies in code. Both are called in turns; the
  median of the ratios of their times says what the configuration adds to the path of a call.
* Threads and tasks call a function while its file alternates between two plans. Each call has to see the attempts and
  the substitute of one of them.

``--check`` ends with 1 where loading takes more than 20 ms, the ratio is above 1.05, or a call has seen a mixed plan.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from resilience import Pipeline, circuit_breaker, retry_on_category
from resilience.config import Policies

__all__ = ["main"]

_LOAD_LIMIT = 20.0  # milliseconds
_RATIO_LIMIT = 1.05
_BASE = """[policies.base]
retry = {on = "transient", attempts = 3, budget = false}
circuit = {failure_rate = 0.5, window = 20, reset_timeout = "30s"}
timeout = 2.0
"""
_PLANS = tuple(
    f'retry = {{attempts = {number}, base_delay = "1ms", budget = false}}\nfallback = "{number}"\n' for number in (2, 3)
)


def main(argv: list[str] | None = None) -> int:
    """Print the three answers; return 1 where one is above its limit and *argv* has ``--check``."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.configuration", description="The cost of policies by configuration."
    )
    parser.add_argument("--check", action="store_true", help="1 where a figure is above its limit")
    parser.add_argument("--seconds", type=float, default=3.0, help="of the calls beside reloads")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "resilience.toml")
        load, reload = _loading(file)
        print(
            f"200 policies, milliseconds of the processor: load {load:.1f}, reload with all of them in use {reload:.1f}"
        )
        ratio = _ratio()
        print(f"a call guarded by a configuration takes {ratio:.3f} of one guarded in code")
        seen, reloads = _seen_beside_reloads(file, arguments.seconds)
    mixed = sum(number for plan, number in seen.items() if len(set(plan)) > 1)
    print(f"{sum(seen.values())} calls of threads and tasks beside {reloads} reloads: {mixed} saw a mixed plan")
    failed = load > _LOAD_LIMIT or ratio > _RATIO_LIMIT or mixed > 0
    return int(arguments.check and failed)


def _loading(file: Path) -> tuple[float, float]:
    """Return the milliseconds in which 200 policies are loaded, and read again while all of them are in use."""
    entries = [f'[policies.p{number}]\nbase = "base"\ntimeout = "{100 + number}ms"\n' for number in range(199)]
    file.write_text(_BASE + "".join(entries))
    load = _median(lambda: Policies.load(file, environment={}))
    policies = Policies.load(file, environment={})
    kept = [policies[name](_answer) for name in policies]
    return load, _median(policies.reload) if kept else 0.0


def _median(call: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(15):
        begin = time.process_time()
        call()
        times.append(1000 * (time.process_time() - begin))
    return statistics.median(times)


def _answer() -> str:
    return "answer"


def _ratio() -> float:
    """Return the time of a call guarded by a configuration, divided by that of one guarded in code."""
    tree = {"policies": {"shop": {"retry": {"attempts": 3, "budget": False}, "circuit": {"failure_rate": 0.5}}}}
    configured = Policies.load(tree, environment={})["shop"](_answer)
    written = Pipeline(retry_on_category(attempts=3), circuit_breaker("written shop", failure_rate=0.5))(_answer)
    ratios: list[float] = []
    for _ in range(301):
        ratios.append(_seconds(configured) / _seconds(written))
    return statistics.median(ratios)


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    for _ in range(1000):
        call()
    return time.perf_counter() - begin


def _seen_beside_reloads(file: Path, seconds: float) -> tuple[Counter[tuple[str, str]], int]:
    """Return the plans that calls have seen, by their attempts and by their substitute, and the number of reloads."""
    file.write_text(f"[policies.shop]\n{_PLANS[0]}")
    policies = Policies.load(file, environment={})
    seen: Counter[tuple[str, str]] = Counter()
    done = threading.Event()

    def in_thread() -> None:
        attempts: list[int] = []

        @policies["shop"]
        def call() -> str:
            attempts.append(1)
            raise ConnectionResetError

        while not done.is_set():
            attempts.clear()
            answer = call()
            seen[str(len(attempts)), answer] += 1

    def in_tasks() -> None:
        async def caller() -> None:
            attempts: list[int] = []

            @policies["shop"]
            async def call() -> str:
                attempts.append(1)
                raise ConnectionResetError

            while not done.is_set():
                attempts.clear()
                answer = await call()
                seen[str(len(attempts)), answer] += 1

        async def main() -> None:
            await asyncio.gather(*(caller() for _ in range(10)))

        asyncio.run(main())

    callers = [threading.Thread(target=target) for target in (in_thread, in_thread, in_tasks)]
    for each in callers:
        each.start()
    reloads, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        file.write_text(f"[policies.shop]\n{_PLANS[(reloads + 1) % 2]}")
        policies.reload()
        reloads += 1
    done.set()
    for each in callers:
        each.join()
    return seen, reloads


if __name__ == "__main__":
    sys.exit(main())
