"""Wherever it stands among other policies, the clock in the wrapper comes to what the driver would."""

from __future__ import annotations

import itertools

import anyio
import pytest

from resilience import ErrorCategory, circuit_breaker, deadline, fallback, retry_on_category, timeout
from resilience.metrics import track_errors
from resilience.metrics._call_stats import CALL_STATS
from resilience.metrics.tracking import Tracked
from resilience.testing import virtual_time
from tests.runners import Runner, Takes

KINDS = ("circuit", "fallback", "limit", "retry", "tracked")
SLOW = Takes(3, "late")
STORIES = {
    "successes": lambda: ("ok", Takes(0.2, "ok"), "ok"),
    "a failure between": lambda: ("ok", KeyError("lamp"), "ok"),
    "retried": lambda: (ConnectionResetError(), "ok", ConnectionResetError(), ConnectionResetError(), "ok"),
    "given up, then rejected": lambda: tuple(ConnectionResetError(number) for number in range(6)),
    "too slow": lambda: (SLOW, "ok", Takes(3, KeyError("late"))),
    "substituted": lambda: (SyntaxError("bad"), "ok", SyntaxError("worse")),
}


def stack_of(kinds: tuple[str, ...], function):
    for kind in reversed(kinds):
        make = {
            "circuit": lambda: circuit_breaker("dependency", failure_threshold=2, reset_timeout=1000),
            "fallback": lambda: fallback(default="other", on=ErrorCategory.SYNTAX | ErrorCategory.REJECTED),
            "limit": lambda: timeout(1),
            "retry": lambda: retry_on_category("network", attempts=2, base_delay=0),
            "tracked": lambda: track_errors,
        }[kind]
        function = make()(function)
    return function


def counted(runner: Runner, kinds: tuple[str, ...], script: tuple[object, ...]) -> object:
    CALL_STATS._stats.clear()
    made = []

    def decorate(function):
        made.append(stack_of(kinds, function))
        return made[0]

    story = runner.play(decorate, *script, pauses=(0, 0))
    (record,) = CALL_STATS
    totals = record.totals()
    shape = totals.success.counts, totals.failure.counts, totals.cancelled, totals.errors
    seconds = totals.success.seconds, totals.failure.seconds
    return [str(answer) for answer in story.answers], shape, [round(part, 1) for part in seconds], made[0]


def check(runner: Runner, stack: tuple[str, ...], script, monkeypatch: pytest.MonkeyPatch) -> None:
    *fast, wrapper = counted(runner, stack, script())
    assert ".recorder" in wrapper.__code__.co_freevars
    with monkeypatch.context() as patch:
        patch.setattr(Tracked, "fast_path", False)
        *driven, wrapper = counted(runner, stack, script())
    assert ".recorder" not in wrapper.__code__.co_freevars
    assert fast == driven, stack


@pytest.mark.parametrize("script", STORIES.values(), ids=STORIES)
@pytest.mark.parametrize("around", range(4), ids=lambda number: f"below {number}")
def test_it_counts_the_same_wherever_it_stands(runner: Runner, around, script, monkeypatch: pytest.MonkeyPatch):
    kinds = KINDS if runner.is_async else tuple(kind for kind in KINDS if kind != "limit")  # sync limits are driven
    for others in itertools.permutations(kinds[:-1], min(3, len(kinds) - 1)):
        check(runner, (*others[:around], "tracked", *others[around:]), script, monkeypatch)


@pytest.mark.parametrize(
    "limits",
    [
        (None, 0.005),
        (0.005, None),
        (None, 0.005, 60),
        (None, 60, 0.005),
        (0.005, None, 60),
        (60, None, 0.005),
        (60, 0.005, None),
        (0.005, 60, None),
    ],
    ids=str,
)
def test_a_call_that_a_limit_of_ours_cuts_off_is_a_failure_wherever_the_limit_stands(backend: str, limits):
    # In real time: a virtual clock leaves limits to the driver.
    async def hang() -> None:
        await anyio.sleep_forever()

    for seconds in reversed(limits):
        hang = track_errors(hang) if seconds is None else timeout(seconds)(hang)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await hang()

    anyio.run(main, backend=backend)
    (record,) = CALL_STATS
    totals = record.totals()
    assert (totals.failure.calls, totals.cancelled) == (1, 0)
    assert totals.success.calls == 0


def test_what_a_deadline_cuts_off_below_a_fallback_is_a_failure_and_the_substitute_a_success(backend: str):
    @track_errors
    async def hang() -> str:
        await anyio.sleep_forever()
        return "today"

    @track_errors
    @fallback(default="yesterday")
    async def prices() -> str:
        return await hang()

    @deadline(3)
    async def handle() -> str:
        return await prices()

    async def main() -> str:
        with virtual_time(patience=0.05):
            return await handle()

    assert anyio.run(main, backend=backend) == "yesterday"
    totals = [record.totals() for record in CALL_STATS]
    assert sorted((each.success.calls, each.failure.calls, each.cancelled) for each in totals) == [(0, 1, 0), (1, 0, 0)]
