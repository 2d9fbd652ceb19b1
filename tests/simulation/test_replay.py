"""Traces of calls, and their replay through the same and through other policies."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from resilience import circuit_breaker, fallback, retry_on_category, timeout
from resilience.clock import using_clock
from resilience.simulation._replay import replay
from resilience.simulation._trace import CallTrace, TracedCall, read_trace
from resilience.simulation._variants import record_of, variant
from resilience.simulation._virtual_loop import VirtualLoop, VirtualLoopClock
from resilience.testing import virtual_time

CALLS, EVERY = 300, 0.05


def recorded(path: Path, seed: int = 3) -> tuple[Callable[..., object], list[TracedCall]]:
    """Return a function with a whole stack, and a trace of calls of it to a service that fails half of the time."""
    chance = random.Random(seed)

    @fallback(default=None, on="rejected")
    @retry_on_category(attempts=3)
    @circuit_breaker(f"replayed {path.name}", failure_threshold=5, reset_timeout=2)
    @timeout(0.5)
    async def search() -> int:
        await asyncio.sleep(chance.expovariate(5))
        if chance.random() < 0.5:
            raise ConnectionResetError("secret")
        return 1

    async def call(at: float) -> None:
        await asyncio.sleep(at)
        try:
            await traced()
        except (ConnectionError, TimeoutError):
            return

    async def main() -> None:
        await asyncio.gather(*(call(number * EVERY) for number in range(CALLS)))

    loop = VirtualLoop()
    with CallTrace(path) as trace, using_clock(VirtualLoopClock(loop, random.Random(seed))):
        traced = trace(search)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main())
    return traced, read_trace(path)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_recorded_trace_replays_to_the_same_decisions(tmp_path: Path, seed: int) -> None:
    function, calls = recorded(tmp_path / f"same {seed}.jsonl", seed)
    result = replay(function, calls)
    assert len(calls) == CALLS
    kinds = {str(event["event"]) for call in calls for event in call.events}
    assert {"retry.scheduled", "circuit.opened", "call.timed_out", "call.rejected", "fallback.used"} <= kinds
    assert [call.decisions for call in result.replayed] == [call.decisions for call in calls]
    assert result.differing == []
    assert result.conclusion.startswith(f"The policies decide the same about all {CALLS} calls")


def test_the_replayed_calls_take_as_long_as_the_recorded_ones(tmp_path: Path) -> None:
    function, calls = recorded(tmp_path / "durations.jsonl")
    replayed = replay(function, calls).replayed
    assert [call.seconds for call in replayed] == pytest.approx([call.seconds for call in calls])


def test_other_policies_decide_otherwise(tmp_path: Path) -> None:
    function, calls = recorded(tmp_path / "other.jsonl")
    result = replay(function, calls, record_of(variant(function, {"attempts": 1})).policies)
    assert result.differing
    assert max(len(call.attempts) for call in result.replayed) == 1
    assert "retry.scheduled" not in {event["event"] for call in result.replayed for event in call.events}
    assert "attempts instead of" in result.conclusion


def test_the_same_seed_gives_the_same_replay(tmp_path: Path) -> None:
    function, calls = recorded(tmp_path / "seed.jsonl")
    other = record_of(variant(function, {"attempts": 2})).policies
    assert replay(function, calls, other).to_dict() == replay(function, calls, other).to_dict()


def test_a_replay_leaves_the_circuit_of_the_function_alone(tmp_path: Path) -> None:
    function, calls = recorded(tmp_path / "untouched.jsonl")
    before = str(record_of(function).policies[3])
    replay(function, calls)
    assert str(record_of(function).policies[3]) == before


def test_a_trace_has_no_messages_arguments_or_results(tmp_path: Path) -> None:
    path = tmp_path / "secrets.jsonl"
    with CallTrace(path) as trace, virtual_time():

        @trace
        @retry_on_category(attempts=2)
        def search(query: str) -> str:
            raise ConnectionResetError(query)

        with pytest.raises(ConnectionResetError):
            search("canary")
    (line,) = path.read_text().splitlines()
    assert "canary" not in line
    document = json.loads(line)
    assert [attempt["error"] for attempt in document["attempts"]] == ["ConnectionResetError"] * 2
    assert document["outcome"] == "network"


def test_an_attempt_that_a_limit_ends_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await search()

    loop = VirtualLoop()
    with CallTrace(path) as trace, using_clock(VirtualLoopClock(loop, random.Random(1))):

        @trace
        @timeout(2.0)
        async def search() -> None:
            await asyncio.sleep(60)

        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main())
    (call,) = read_trace(path)
    assert [(attempt.outcome, attempt.seconds) for attempt in call.attempts] == [("cut off", 2.0)]
    assert call.outcome == "timeout"


def test_a_closed_trace_writes_nothing_and_changes_no_call(tmp_path: Path) -> None:
    trace = CallTrace(tmp_path / "closed.jsonl")

    @trace
    @retry_on_category(attempts=2)
    def search() -> int:
        return 1

    trace.close()
    trace.close()
    assert search() == 1
    assert read_trace(tmp_path / "closed.jsonl") == []


def test_a_line_that_is_none_of_a_trace_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"event": "retry.scheduled"}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl, line 1: .* is no line of a trace"):
        read_trace(path)


def test_a_trace_of_another_function_is_refused(tmp_path: Path) -> None:
    _, calls = recorded(tmp_path / "another.jsonl")

    @retry_on_category(attempts=2)
    def other() -> None: ...

    with pytest.raises(ValueError, match=r"the trace has no call of .*other; it has .*search"):
        replay(other, calls)
