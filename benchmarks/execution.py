"""Cost of executing code in a child process: ``python -m benchmarks.execution [--quick]``.

Ratios of medians, taken in turn, so that a busy machine is busy for both sides:

* ``1+1`` in a spare, to the round trip of a process that runs already: a pipe to a loop around `eval`, the least there
  can be. Beside it, without a limit, to `ProcessPoolExecutor` with one worker. Neither has limits, a policy or a
  report, and what one program leaves behind, the next one finds;
* ``import pandas`` and ``1+1`` in a spare that has pandas imported (``preload=["pandas"]``), to ``1+1`` in such a
  process;
* beside it, without a limit, a sum with pandas to the same in such a process, which has run pandas before: the first
  call of a function in a new process takes three times as long as the next ones;
* ``1+1`` awaited, to the same round trip awaited, by asyncio;
* ``1+1`` without a spare, to ``python -I -c 1``;
* a program that counts for a while, with all limits at level strict, to the same program in plain Python.

The exit status is 1 if a row is over its limit.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack

import anyio
import anyio.to_thread
from anyio.streams.buffered import BufferedByteReceiveStream

from resilience.execution import ExecutionRequest, SubprocessExecutor

__all__ = ["measured"]

LIMITS = {
    "a spare": 3.0,
    "a spare, with pandas": 3.0,
    "a spare, a sum with pandas": math.inf,
    "a spare, awaited": 3.0,
    "a spare, to a process pool": math.inf,
    "cold": 2.0,
    "counting": 1.1,
}
_ROUNDS = 100
_REST = 0.02
"""Seconds after which a process that was busy is idle: the state in which a call finds it."""
_COUNTING = """
def collatz(number):
    steps = 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps

most = 0
for number in range(1, {most}):
    steps = collatz(number)
    if steps > most:
        most = steps
"""
_CHILD = """
import json, sys
requests, answers = sys.stdin.buffer, sys.stdout.buffer
names = {name: __import__(name) for name in sys.argv[1:]}
while header := requests.read(4):
    request = json.loads(requests.read(int.from_bytes(header, "big")))
    value = eval(compile(request["code"], "<string>", "eval"), names)
    body = json.dumps({"success": True, "value": value}).encode()
    answers.write(len(body).to_bytes(4, "big") + body)
    answers.flush()
"""

_SUM = "int(pandas.DataFrame({'a': [1, 2, 3]}).a.sum())"
_PANDAS = ExecutionRequest("import pandas\n1+1", security_level="moderate")
_PANDAS_SUM = ExecutionRequest(f"import pandas\n{_SUM}", security_level="moderate")

Way = Callable[[], object]


class _Running:
    """A process that runs already."""

    def __init__(self, *modules: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CHILD, *modules], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def evaluate(self, code: str = "1+1") -> object:
        assert self._requests is not None
        assert self._answers is not None
        body = json.dumps({"code": code}).encode()
        self._requests.write(len(body).to_bytes(4, "big") + body)
        header = self._answers.read(4)
        return json.loads(self._answers.read(int.from_bytes(header, "big")))["value"]

    def close(self) -> None:
        assert self._requests is not None
        assert self._answers is not None
        self._requests.close()
        self._answers.close()
        self._process.wait()


def _medians(rounds: int, ready: Way, *ways: Way) -> list[float]:
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, times in zip(ways, taken, strict=True):
            ready()
            time.sleep(_REST)
            began = time.perf_counter()
            way()
            times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in taken]


async def _awaited(rounds: int) -> list[float]:
    async with SubprocessExecutor() as warm, await anyio.open_process([sys.executable, "-I", "-c", _CHILD]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, BufferedByteReceiveStream(process.stdout)

        async def in_a_spare() -> None:
            assert (await warm.execute("1+1")).execution_result.return_value == 2

        async def evaluate() -> None:
            body = json.dumps({"code": "1+1"}).encode()
            await requests.send(len(body).to_bytes(4, "big") + body)
            header = await answers.receive_exactly(4)
            assert json.loads(await answers.receive_exactly(int.from_bytes(header, "big")))["value"] == 2

        ways = (evaluate, in_a_spare)
        taken: list[list[float]] = [[] for _ in ways]
        await evaluate()
        for _ in range(rounds):
            for way, times in zip(ways, taken, strict=True):
                await anyio.to_thread.run_sync(warm.warm)
                await anyio.sleep(_REST)
                began = time.perf_counter()
                await way()
                times.append(time.perf_counter() - began)
        await requests.aclose()
    return [statistics.median(times) for times in taken]


def measured(rounds: int, most: int) -> dict[str, tuple[float, float]]:
    """Return the seconds and the ratio of each row."""
    source = _COUNTING.format(most=most)
    with ExitStack() as stack:
        warm = stack.enter_context(SubprocessExecutor())
        cold = stack.enter_context(SubprocessExecutor(spares=0))
        pool = stack.enter_context(ProcessPoolExecutor(1, multiprocessing.get_context("spawn")))
        library = stack.enter_context(SubprocessExecutor(preload=["pandas"]))
        running, beside_pandas = _Running(), _Running("pandas")
        stack.callback(running.close)
        stack.callback(beside_pandas.close)

        def in_the_pool() -> None:
            assert pool.submit(eval, "1+1").result() == 2

        def in_a_spare() -> None:
            assert warm.execute_sync("1+1").execution_result.return_value == 2

        def without() -> None:
            assert cold.execute_sync("1+1").success

        def plain(*code: str) -> None:
            subprocess.run([sys.executable, "-I", *code], stdin=subprocess.DEVNULL, check=True)

        def counting() -> None:
            assert warm.execute_sync(ExecutionRequest(source, timeout=300)).success

        def with_pandas() -> None:
            assert library.execute_sync(_PANDAS).execution_result.return_value == 2

        def summing() -> None:
            assert library.execute_sync(_PANDAS_SUM).execution_result.return_value == 6

        running.evaluate()
        beside_pandas.evaluate(_SUM)
        in_the_pool()
        pipe, spare = _medians(rounds, warm.warm, running.evaluate, in_a_spare)
        beside, imported = _medians(rounds, library.warm, beside_pandas.evaluate, with_pandas)
        bare_sum, summed = _medians(rounds, library.warm, lambda: beside_pandas.evaluate(_SUM), summing)
        trip, pooled = _medians(rounds, warm.warm, in_the_pool, in_a_spare)
        python, start = _medians(rounds, warm.warm, lambda: plain("-c", "1"), without)
        bare, guarded = _medians(max(rounds // 10, 1), warm.warm, lambda: plain("-c", source), counting)
    awaited_pipe, awaited = anyio.run(_awaited, rounds)
    return {
        "a spare": (spare, spare / pipe),
        "a spare, with pandas": (imported, imported / beside),
        "a spare, a sum with pandas": (summed, summed / bare_sum),
        "a spare, awaited": (awaited, awaited / awaited_pipe),
        "a spare, to a process pool": (pooled, pooled / trip),
        "cold": (start, start / python),
        "counting": (guarded, guarded / bare),
    }


def main() -> int:
    """Measure and print. Return 1 if a row is over its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.execution", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only see that everything works")
    quick = parser.parse_args().quick
    print(f"CPython {platform.python_version()}")
    ok = True
    for name, (seconds, ratio) in measured(2 if quick else _ROUNDS, 2000 if quick else 60_000).items():
        over = ratio > LIMITS[name]
        ok = ok and not over
        mark = "  over the limit" if over else ""
        limit = "" if LIMITS[name] == math.inf else f", limit {LIMITS[name]:.1f}x"
        print(f"  {name:<28} {1000 * seconds:9.3f} ms {ratio:6.2f}x{limit}{mark}")
    return 0 if ok or quick else 1


if __name__ == "__main__":
    sys.exit(main())
