"""Hedge: a call that is later than most is made again, and the first success counts."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest

from resilience import (
    CallTimeoutError,
    ErrorCategory,
    Pipeline,
    RetryBudget,
    bulkhead,
    by_method,
    circuit_breaker,
    classify,
    describe,
    hedge,
    last_call,
    retry_on_category,
    settings,
    subscribe,
    timeout,
)
from resilience.clock import current_clock
from resilience.errors import ResilienceError
from resilience.events import Event, HedgePaused, HedgeStarted, HedgeWon
from resilience.policies._extra_calls import ExtraCalls
from resilience.policies._hedge_state import HedgeState
from resilience.policies._latency_quantile import LatencyQuantile
from resilience.testing import no_waits, virtual_time
from tests import loops

Script = tuple[float, object]
"""How long a call takes, and what it then returns or raises."""


class Service:
    """Does one step of a script for each call, and notes when calls begin, and which of them were cancelled."""

    def __init__(self, *script: Script) -> None:
        self.script = list(script)
        self.begun: list[float] = []
        self.cancelled: list[object] = []

    async def __call__(self, *args: object, **kwargs: object) -> object:
        self.begun.append(current_clock().now())
        seconds, what = self.script.pop(0)
        try:
            if seconds:
                await current_clock().sleep_async(seconds)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()  # it takes its time to end
            self.cancelled.append(what)
            raise
        if isinstance(what, BaseException):
            raise what
        return what


def play(policy: Any, *script: Script, backend: str = "asyncio", calls: int = 1) -> tuple[list[object], Service, float]:
    """Call a scripted service through *policy*; return the answers or errors, the service, and when all was over."""
    service = Service(*script)
    answers: list[object] = []

    async def dependency() -> object:
        return await service()

    async def main() -> float:
        call = policy(dependency)
        with virtual_time(patience=0.05) as clock:
            for _ in range(calls):
                try:
                    answers.append(await call())
                except Exception as error:
                    answers.append(error)
            return clock.now()

    return answers, service, anyio.run(main, backend=backend)


class Failed(ResilienceError):
    """A failure of a category."""

    def __init__(self, category: str, retry_after: float | None = None) -> None:
        super().__init__(category, category=category, retry_after=retry_after)


# -- the race ---------------------------------------------------------------------------------------------------------


def test_a_call_that_is_answered_in_time_is_made_once(backend: str):
    answers, service, now = play(hedge(0.5), (0.2, "quick"), backend=backend)
    assert (answers, service.begun, now) == (["quick"], [0], 0.2)


def test_a_late_call_is_made_again_and_the_first_success_counts(backend: str):
    answers, service, now = play(hedge(timedelta(seconds=0.5)), (60, "slow"), (1, "copy"), backend=backend)
    assert (answers, service.begun, now) == (["copy"], [0, 0.5], 1.5)
    assert service.cancelled == ["slow"]  # and awaited: it has ended


def test_the_first_call_may_win_although_a_copy_was_made(backend: str):
    policy = hedge(0.5)
    answers, service, now = play(policy, (0.75, "first"), (60, "copy"), backend=backend)
    assert (answers, service.cancelled, now) == (["first"], ["copy"], 0.75)
    assert policy.snapshot() == {"delay": 0.5, "calls": 1, "copies": 1, "won": 0, "paused": False}


def test_several_copies_begin_one_delay_after_the_other(backend: str):
    answers, service, _ = play(hedge(0.5, copies=2, budget=2), (60, 1), (60, 2), (1, 3), backend=backend)
    assert (answers, service.begun) == ([3], [0, 0.5, 1.0])
    assert sorted(service.cancelled) == [1, 2]


def test_a_copy_may_begin_at_once(backend: str):
    answers, service, now = play(hedge(0), (60, "slow"), (1, "copy"), backend=backend)
    assert (answers, service.begun, now) == (["copy"], [0, 0], 1)


def test_when_all_copies_have_failed_the_last_failure_is_raised(backend: str):
    first, second = TimeoutError("first"), TimeoutError("second")
    assert play(hedge(0.5), (1, first), (1, second), backend=backend)[0] == [second]


class InRealTime:
    """A hedge by the clock of the system, in an event loop whose time jumps: the alarm of asyncio, a task on trio."""

    @staticmethod
    def run(backend: str, main: Callable[[], Any]) -> Any:
        if backend == "trio":
            return loops.run_trio(main)
        return loops.run(main())


def hanging(ended: list[str], delays: Iterator[float]) -> Callable[[], Any]:
    async def dependency() -> float:
        delay = next(delays)
        try:
            await anyio.sleep(delay)
            return delay
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            ended.append(f"{delay:g}")

    return dependency


def test_in_real_time_the_losers_have_ended_when_the_call_returns(backend: str):
    ended: list[str] = []
    call = hedge(0.5)(hanging(ended, iter([60, 1])))

    async def main() -> None:
        began = anyio.current_time()
        assert await call() == 1
        assert ended == ["1", "60"]
        assert anyio.current_time() - began == pytest.approx(1.5)

    InRealTime.run(backend, main)


def test_a_call_that_is_answered_in_time_makes_no_task():
    async def tasks() -> int:
        await asyncio.sleep(0.1)
        return len(asyncio.all_tasks())

    assert loops.run(hedge(0.5)(tasks)()) == 1


def test_a_caller_that_is_cancelled_leaves_no_copy_behind(backend: str):
    ended: list[str] = []
    call = hedge(0.5, copies=2, budget=2)(hanging(ended, iter([60, 70, 80])))

    async def main() -> None:
        with anyio.move_on_after(0.75):
            await call()
        assert sorted(ended) == ["60", "70"]
        if backend == "asyncio":
            assert len(asyncio.all_tasks()) == 1

    InRealTime.run(backend, main)


def test_a_caller_that_is_cancelled_before_the_delay_makes_no_copy(backend: str):
    ended: list[str] = []
    call = hedge(0.5)(hanging(ended, iter([60, 70])))

    async def main() -> None:
        with anyio.move_on_after(0.25):
            await call()
        await anyio.sleep(1)
        assert ended == ["60"]

    InRealTime.run(backend, main)


def test_a_native_cancellation_of_asyncio_ends_all_copies_and_is_raised():
    ended: list[str] = []
    call = hedge(0.5)(hanging(ended, iter([60, 70])))

    async def main() -> None:
        task = asyncio.create_task(call())
        await asyncio.sleep(0.75)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(ended) == ["60", "70"]
        assert len(asyncio.all_tasks()) == 1

    loops.run(main())


def test_a_cancellation_at_the_moment_at_which_a_copy_wins_is_not_lost():
    ended: list[str] = []
    call = hedge(0.5)(hanging(ended, iter([60, 0.5])))

    async def main() -> None:
        task = asyncio.create_task(call())
        asyncio.get_running_loop().call_later(1.0, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert sorted(ended) == ["0.5", "60"]
        assert len(asyncio.all_tasks()) == 1

    loops.run(main())


def test_a_caller_cancelled_again_and_again_waits_until_the_copies_have_ended():
    ended: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(5)
            ended.append("ended")

    async def main() -> None:
        task = asyncio.create_task(hedge(0.5)(stubborn)())
        for _ in range(3):
            await asyncio.sleep(1)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "ended" in ended  # the copy has: the first one was cancelled again in its own end
        assert len(asyncio.all_tasks()) == 1

    loops.run(main())


def test_the_task_is_as_it_was_when_its_first_copy_was_cancelled():
    call = hedge(0.5)(hanging([], iter([60, 1, 60, 1])))

    async def main() -> None:
        await call()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        async with asyncio.timeout(30):
            await asyncio.sleep(1)

    loops.run(main())


def test_ctrl_c_in_a_copy_is_raised_as_it_is(backend: str):
    class Stop(BaseException):
        pass

    steps: Iterator[object] = iter([None, Stop()])

    async def dependency() -> None:
        step = next(steps)
        if isinstance(step, BaseException):
            raise step
        await anyio.sleep(60)

    async def main() -> None:
        with pytest.raises(Stop):
            await hedge(0.5)(dependency)()

    InRealTime.run(backend, main)


def test_without_waits_the_delay_is_as_long_as_ever(backend: str):
    ended: list[str] = []
    call = hedge(0.5)(hanging(ended, iter([0.25])))

    async def main() -> None:
        with no_waits():
            assert await call() == 0.25

    InRealTime.run(backend, main)


def test_during_a_shutdown_no_copy_is_made(backend: str):
    with settings.begin_shutdown():
        answers, service, _ = play(hedge(0.5), (2, "slow"), backend=backend)
    assert (answers, len(service.begun)) == (["slow"], 1)


def test_an_alarm_is_no_time_limit_for_the_code_inside():
    from resilience import remaining

    async def left() -> float | None:
        return remaining()

    assert loops.run(hedge(0.5)(left)()) is None


def test_what_a_loser_was_cut_off_by_does_not_count_as_a_failure_of_its_circuit():
    circuit = circuit_breaker("losers", failure_threshold=1)
    call = Pipeline(hedge(0.5), circuit)(hanging([], iter([60, 1])))
    assert loops.run(call()) == 1
    assert circuit.current_state == "closed"


def test_a_limit_inside_holds_for_each_copy_and_one_around_for_all(backend: str):
    (error,), _, now = play(Pipeline(hedge(0.5), timeout(1)), (60, 1), (60, 2), backend=backend)
    assert (type(error), now) == (CallTimeoutError, 1.5)
    (error,), service, now = play(Pipeline(timeout(1), hedge(0.5)), (60, 1), (60, 2), backend=backend)
    assert (type(error), now, sorted(service.cancelled)) == (CallTimeoutError, 1, [1, 2])


# -- context variables ------------------------------------------------------------------------------------------------

seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")
trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace")


@pytest.mark.parametrize(("delays", "winner"), [([60, 1], "copy"), ([0.75, 60], "first")])
def test_the_caller_has_what_the_winner_has_set_and_nothing_of_the_losers(
    backend: str, delays: list[float], winner: str
):
    steps = iter(zip(["first", "copy"], delays, strict=True))

    async def dependency() -> str:
        name, delay = next(steps)
        assert trace.get() == "of the caller"
        trace.set(f"of {name}")
        if name == winner:
            seen.set(name)
        await anyio.sleep(delay)
        return name

    async def main() -> None:
        trace.set("of the caller")
        assert await hedge(0.5)(dependency)() == winner
        assert (trace.get(), seen.get()) == (f"of {winner}", winner)

    InRealTime.run(backend, main)


def test_last_call_is_the_report_of_the_copy_that_won(backend: str):
    made: list[int] = []

    async def main() -> None:
        service = Service((60, "slow"), (0.1, ConnectionResetError()), (0.1, "third"))
        guarded = Pipeline(hedge(0.5), retry_on_category(attempts=2, base_delay=0))
        with virtual_time(patience=0.05):
            assert await guarded.acall(service) == "third"
            report = last_call()
            assert report is not None
            made.append(report.made)

    anyio.run(main, backend=backend)
    assert made == [2]


# -- the delay --------------------------------------------------------------------------------------------------------


def test_the_delay_is_learned_from_twenty_calls(backend: str):
    policy = hedge("p95")
    answers, service, _ = play(policy, *[(1.0, "usual")] * 20, (60, "slow"), (1, "copy"), backend=backend, calls=21)
    assert answers[-1] == "copy"
    assert len(service.begun) == 22
    delay = policy.snapshot()["delay"]
    assert delay is not None
    assert 1.0 < delay < 1.03
    assert service.begun[-1] - service.begun[-2] == pytest.approx(delay)


def test_calls_that_all_take_as_long_are_not_hedged(backend: str):
    policy = hedge("p95", budget=1)
    play(policy, *[(1.0, "usual")] * 60, backend=backend, calls=60)
    assert policy.snapshot()["copies"] == 0


def test_until_then_no_call_is_hedged(backend: str):
    policy = hedge("p95")
    answers, service, _ = play(policy, *[(1.0, 1)] * 19, (60, "slow"), backend=backend, calls=20)
    assert (answers[-1], len(service.begun)) == ("slow", 20)
    assert hedge("p95").snapshot()["delay"] is None


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
def test_the_estimate_comes_near_the_quantile(share: float):
    import random

    chance, learned = random.Random(2), LatencyQuantile(share)
    estimates: list[float] = []
    for _ in range(20_000):
        learned.observe(chance.expovariate(1.0))
        estimates.append(learned.estimate or 0.0)
    mean = sum(estimates[5000:]) / 15_000
    assert mean == pytest.approx(-math.log(1 - share), rel=0.06)


def test_the_estimate_follows_a_dependency_that_changes():
    learned = LatencyQuantile(0.9)
    for seconds in [0.1, 0.2] * 500 + [1.0, 2.0] * 2000:
        learned.observe(seconds)
    assert learned.estimate == pytest.approx(2.0, rel=0.1)


def test_a_call_that_hung_for_an_hour_moves_the_estimate_by_a_step():
    learned = LatencyQuantile(0.95)
    for _ in range(100):
        learned.observe(0.1)
    learned.observe(3600)
    assert learned.estimate == pytest.approx(0.1, rel=0.01)


def test_failures_are_not_learned_from(backend: str):
    policy = hedge("p95")
    play(policy, *[(0.001, TimeoutError())] * 50, backend=backend, calls=50)
    assert policy.snapshot()["delay"] is None


def test_each_key_has_a_delay_of_its_own(backend: str):
    policy = hedge("p95", key=lambda host: host)

    async def fetch(host: str) -> None:
        await current_clock().sleep_async({"near": 0.1, "far": 5.0}[host])

    async def main() -> None:
        call = policy(fetch)
        with virtual_time(patience=0.05):
            for _ in range(20):
                await call("near")
                await call("far")

    anyio.run(main, backend=backend)
    delays = {key: state.delay for key, state in policy._keyed.items()}
    assert delays == pytest.approx({"near": 0.1, "far": 5.0}, rel=0.03)
    assert policy.snapshot()["delay"] == pytest.approx(5.0, rel=0.03)


def test_an_error_of_the_key_function_fails_the_call(backend: str):
    (error,), service, _ = play(hedge(1, key=lambda: 1 / 0), (0, "made"), backend=backend)
    assert isinstance(error, ZeroDivisionError)
    assert error.__notes__ == ["resilience: raised by key= of hedge(1) per key; the call was not made"]
    assert service.begun == []


# -- the budget -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("calls", [1, 7, 100, 1001])
def test_of_all_calls_at_most_the_share_rounded_up_are_extra(share: float, calls: int):
    extra, taken = ExtraCalls(share), 0
    for _ in range(calls):
        extra.calls += 1
        taken += extra.take()
    assert taken in (math.ceil(share * calls), math.floor(share * calls))


def test_quiet_times_save_up_ten_extra_calls():
    extra = ExtraCalls(0.05)
    extra.calls += 10_000
    assert [extra.take() for _ in range(12)] == [True] * 10 + [False] * 2


def test_slow_calls_beyond_the_budget_are_made_once(backend: str):
    policy = hedge(0.5, budget=0.1)
    play(policy, *[(1.0, "slow")] * 60, backend=backend, calls=40)
    assert policy.snapshot()["copies"] == 4


def test_a_copy_that_the_budget_did_not_allow_is_made_later_when_it_does(backend: str):
    policy = hedge(4, budget=0.5)

    async def main() -> None:
        durations = iter([8, 1, 60, 0.1, 0.1, 0.1, 0.1, 0.1, 1])
        begun: list[float] = []

        async def dependency() -> None:
            begun.append(current_clock().now())
            await current_clock().sleep_async(next(durations))

        call = policy(dependency)
        with virtual_time(patience=0.05) as clock:
            await call()  # spends what there is
            policy.extra_calls.take()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await clock.sleep_async(4.5)
                policy.extra_calls.calls += 2
            assert begun[-1] - begun[2] == 5  # a quarter of the delay after it

    anyio.run(main, backend=backend)


def test_a_shared_budget_pays_for_copies_as_for_retries(backend: str):
    tokens = RetryBudget(tokens=20, reserve=0)
    policy = hedge(0.5, budget=tokens)
    policy.extra_calls.calls += 1000
    answers, _, _ = play(policy, (60, "slow"), (1, "copy"), (2, "once"), (2, "again"), backend=backend, calls=2)
    assert answers == ["copy", "once"]
    assert tokens.left() == 7  # 14 for the copy; the second call, of which none could be made, pays one back


def test_a_success_pays_a_shared_budget_once_beside_a_retry(backend: str):
    tokens = RetryBudget(tokens=20, reserve=0)
    tokens.spend(10, now=0)
    play(Pipeline(retry_on_category(budget=tokens), hedge(0.5, budget=tokens)), (0.1, "quick"), backend=backend)
    assert tokens.left() == 11


# -- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ConnectionRefusedError(), Failed("network"), Failed("unavailable")])
def test_where_a_server_was_not_reached_the_next_copy_begins_at_once(backend: str, error: Exception):
    answers, service, now = play(hedge(10), (0.5, error), (1, "copy"), backend=backend)
    assert (answers, service.begun, now) == (["copy"], [0, 0.5], 1.5)


def test_that_copy_runs_in_the_callers_own_task():
    tasks: list[object] = []
    steps: Iterator[object] = iter([ConnectionRefusedError(), "copy"])

    async def dependency() -> object:
        tasks.append(asyncio.current_task())
        step = next(steps)
        if isinstance(step, Exception):
            raise step
        return step

    assert loops.run(hedge(10)(dependency)()) == "copy"
    assert tasks[0] is tasks[1]


def test_before_the_delay_is_learned_the_next_copy_begins_as_well(backend: str):
    answers, service, _ = play(hedge("p95"), (0.5, ConnectionResetError()), (1, "copy"), backend=backend)
    assert (answers, service.begun) == (["copy"], [0, 0.5])


def test_a_copy_that_fails_while_others_are_in_flight_is_replaced(backend: str):
    policy = hedge(1, copies=2, budget=2)
    answers, service, _ = play(policy, (60, 1), (0.5, ConnectionResetError()), (1, 3), backend=backend)
    assert (answers, service.begun) == ([3], [0, 1, 1.5])


def test_without_a_budget_left_the_failure_is_raised(backend: str):
    error = ConnectionResetError()
    answers, service, _ = play(hedge(10), (0, ConnectionResetError()), (0, 1), (0, error), backend=backend, calls=2)
    assert answers == [1, error]


@pytest.mark.parametrize("category", ["rate_limit", "capacity", "rejected"])
def test_failures_that_ask_for_fewer_calls_pause_the_hedge(backend: str, category: str):
    policy = hedge(0.5, budget=1)
    error = Failed(category)
    script = [(0.1, error), (5, "slow"), (4.9, "slow too"), (60, "slowest"), (1, "copy")]
    answers, service, _ = play(policy, *script, backend=backend, calls=4)
    assert answers == [error, "slow", "slow too", "copy"]
    assert len(service.begun) == 5


def test_a_pause_is_seen_in_the_snapshot():
    policy = hedge(0.5)
    with virtual_time() as clock:
        policy._state.pause(clock.now(), 0.0)
        assert policy.snapshot()["paused"]
        clock.advance(10)
        assert not policy.snapshot()["paused"]


def test_the_pause_is_as_long_as_the_server_says_and_at_most_a_minute():
    state = HedgeState(None, 1.0)
    assert [state.pause(0.0, seconds) for seconds in (0.0, 30.0, 3600.0)] == [10.0, 30.0, 60.0]
    assert state.paused_until == 60


def test_an_unavailable_server_that_says_when_to_come_back_is_not_asked_at_once(backend: str):
    error = Failed("unavailable", retry_after=20)
    answers, service, _ = play(hedge(0.5, budget=1), (0.1, error), (15, "slow"), backend=backend, calls=2)
    assert (answers, len(service.begun)) == ([error, "slow"], 2)


def test_a_copy_in_flight_goes_on_when_another_is_refused(backend: str):
    answers, service, now = play(hedge(0.5), (2, "first"), (0.1, Failed("rate_limit")), backend=backend)
    assert (answers, now) == (["first"], 2)


@pytest.mark.parametrize("error", [Failed("validation"), Failed("not_found"), Failed("authentication"), KeyError("x")])
def test_a_failure_of_the_call_itself_ends_all_copies(backend: str, error: Exception):
    answers, service, now = play(hedge(0.5), (60, "first"), (0.1, error), backend=backend)
    assert (answers, service.cancelled, now) == ([error], ["first"], 0.6)


@pytest.mark.parametrize("error", [TimeoutError(), Failed("server_error"), Failed("dependency")])
def test_other_failures_leave_the_copies_in_flight_their_chance(backend: str, error: Exception):
    answers, _, now = play(hedge(0.5), (2, "first"), (0.1, error), backend=backend)
    assert (answers, now) == (["first"], 2)
    answers, service, _ = play(hedge(0.5), (0.1, error), backend=backend)
    assert (answers, len(service.begun)) == ([error], 1)


# -- when a hedge does not help ---------------------------------------------------------------------------------------


def test_a_hedge_whose_copies_do_not_win_pauses_for_ten_seconds(backend: str):
    policy = hedge(0.5, budget=1)
    losing = [(0.75, "first"), (60, "copy")] * 20
    events: list[Event] = []
    with subscribe(events.append):
        play(policy, *losing, (2, "paused"), (60, "slow"), (1, "copy"), backend=backend, calls=21)
    assert policy.snapshot()["copies"] == 20
    assert [(event.reason, event.seconds) for event in events if isinstance(event, HedgePaused)] == [("no_gain", 10.0)]


def test_a_tenth_of_the_races_won_is_enough():
    state = HedgeState(None, 1.0)
    assert not any(state.record_race(won=number < 2) for number in range(20))
    assert [state.record_race(won=number < 1) for number in range(20)][-1]


def test_no_copy_is_made_while_all_calls_are_slower_than_they_were():
    state = HedgeState(0.95, math.inf)
    for number in range(400):
        state.observe(1.0 + number % 7 / 10, now=float(number))
    assert not state.lacks_capacity
    for number in range(400):
        state.observe(3.0 + number % 7 / 10, now=400.0 + number)
    assert state.lacks_capacity
    for number in range(60):  # a dependency that stays slower is taken as it is
        state.observe(3.0 + number % 7 / 10, now=800.0 + 120 * number)
    assert not state.lacks_capacity


def test_a_bulkhead_inside_with_calls_that_wait_pauses_the_hedge(backend: str):
    policy, slots = hedge(0.5, budget=1), bulkhead("stock", 1)
    begun: list[float] = []

    async def dependency() -> None:
        begun.append(current_clock().now())
        await current_clock().sleep_async(3)

    async def main() -> None:
        call = Pipeline(policy, slots)(dependency)
        with virtual_time(patience=0.05):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                tasks.start_soon(call)

    anyio.run(main, backend=backend)
    assert (begun, policy.snapshot()["copies"]) == ([0, 3], 0)


# -- calls that must not be made twice --------------------------------------------------------------------------------


async def charge(card: str) -> str:
    return card


@pytest.mark.parametrize(
    "decorate",
    [
        lambda: Pipeline(hedge(1), retry_on_category(idempotent=False))(charge),
        lambda: Pipeline(retry_on_category(idempotent=False), hedge(1))(charge),
        lambda: hedge(1)(retry_on_category(idempotent=False)(charge)),
        lambda: retry_on_category(idempotent=False)(timeout(5)(hedge(1)(charge))),
    ],
)
def test_a_hedge_beside_a_retry_that_is_not_idempotent_is_refused_where_it_is_written(decorate: Callable[[], object]):
    with pytest.raises(TypeError, match=r"cannot guard .*charge by hedge\(1\): retry_on_category\(.*must not be call"):
        decorate()


def late(policy: Any, function: Callable[..., object], *arguments: object, **keywords: object) -> int:
    """Return how many times a call that takes longer than its hedge is made."""
    service = Service((5, "first"), (1, "copy"))

    async def main() -> None:
        with virtual_time(patience=0.05):
            await policy(function(service))(*arguments, **keywords)

    anyio.run(main)
    return len(service.begun)


def requesting(service: Service) -> Any:
    async def request(method: str, url: str, headers: object = None) -> object:
        return await service()

    return request


def test_a_post_is_not_hedged_unless_something_says_that_it_may_happen_twice():
    post = ("POST", "https://example.com")
    assert late(hedge(1), requesting, "GET", "https://example.com") == 2
    assert late(hedge(1), requesting, *post) == 1
    assert late(hedge(1), requesting, *post, headers={"Idempotency-Key": "8e03978e"}) == 2
    assert late(Pipeline(retry_on_category(idempotent=True), hedge(1)), requesting, *post) == 2
    before = settings.repeat_posts(True)
    try:
        assert late(hedge(1), requesting, *post) == 2
    finally:
        settings.repeat_posts(before)


def test_a_retry_beside_the_hedge_says_which_calls_may_happen_twice():
    by_url = Pipeline(retry_on_category(idempotent=lambda _method, url, *_: "/safe" in url), hedge(1))
    assert late(by_url, requesting, "POST", "/safe") == 2
    assert late(by_url, requesting, "GET", "/other") == 1
    assert late(Pipeline(hedge(1), retry_on_category(idempotent=by_method)), requesting, "DELETE", "/x") == 2
    assert late(Pipeline(hedge(1), retry_on_category(idempotent=by_method)), requesting, "PATCH", "/x") == 1


def test_a_post_that_may_have_been_processed_is_not_sent_to_another_server(backend: str):
    def failed(method: str) -> Exception:
        return httpx.ReadError("lost", request=httpx.Request(method, "https://example.com"))

    answers, service, _ = play(hedge(1), (0, failed("POST")), (0, "copy"), backend=backend)
    assert (len(answers), len(service.begun)) == (1, 1)
    answers, _, _ = play(hedge(1), (0, failed("GET")), (0, "copy"), backend=backend)
    assert answers == ["copy"]


# -- other functions --------------------------------------------------------------------------------------------------


def test_further_copies_call_the_replicas_in_turn(backend: str):
    called: list[str] = []

    def server(name: str, delay: float) -> Any:
        async def fetch(item: str) -> str:
            called.append(f"{name} {item}")
            await current_clock().sleep_async(delay)
            return name

        return fetch

    policy = hedge(1, copies=3, budget=3, to=(server("b", 60), server("c", 60)))

    async def main() -> str:
        with virtual_time(patience=0.05), anyio.move_on_after(0.5):
            return str(await policy(server("a", 3.5))("lamp"))
        return "late"

    assert anyio.run(main, backend=backend) == "a"
    assert called == ["a lamp", "b lamp", "c lamp", "b lamp"]


def test_a_replica_of_another_kind_is_refused_where_it_is_written():
    def plain(card: str) -> str:
        return card

    async def items(card: str) -> AsyncIterator[str]:
        yield card

    for other in (plain, items):
        with pytest.raises(TypeError, match=f"to=.*{other.__name__}: give a function of the same kind"):
            hedge(1, to=other)(charge)


# -- streams ----------------------------------------------------------------------------------------------------------


def stream(closed: list[float], delays: Iterator[float]) -> Any:
    async def items(count: int) -> AsyncIterator[int]:
        delay = next(delays)
        try:
            await current_clock().sleep_async(delay)
            for number in range(count):
                yield number
        finally:
            closed.append(delay)

    return items


def test_the_copies_of_a_stream_race_for_its_first_item(backend: str):
    closed: list[float] = []
    slots = bulkhead("streams", 5)
    guarded = Pipeline(hedge(0.5), slots)(stream(closed, iter([60, 1])))

    async def main() -> None:
        with virtual_time(patience=0.05) as clock:
            async with contextlib.aclosing(guarded(3)) as items:
                assert await anext(items) == 0
                assert (clock.now(), closed, slots.snapshot()["in_flight"]) == (1.5, [60], 1)
                await clock.sleep_async(50)  # the time of the consumer makes no copy
                assert [item async for item in items] == [1, 2]
        assert closed == [60, 1]
        assert slots.snapshot()["in_flight"] == 0

    anyio.run(main, backend=backend)


def test_a_stream_teaches_the_time_to_its_first_item(backend: str):
    policy = hedge("p95")
    guarded = policy(stream([], iter([1.0] * 20)))

    async def main() -> None:
        with virtual_time(patience=0.05) as clock:
            for _ in range(20):
                async for _ in guarded(2):
                    await clock.sleep_async(7)

    anyio.run(main, backend=backend)
    assert policy.snapshot()["delay"] == pytest.approx(1.0, rel=0.03)


def test_a_stream_that_has_begun_is_not_retried_by_a_retry_inside_either(backend: str):
    begun: list[int] = []

    async def items() -> AsyncIterator[int]:
        begun.append(len(begun))
        if len(begun) == 1:
            await current_clock().sleep_async(60)
        yield 1
        raise ConnectionResetError

    async def main() -> None:
        guarded = Pipeline(hedge(0.5), retry_on_category(attempts=3))(items)
        got: list[int] = []
        with virtual_time(patience=0.05), pytest.raises(ConnectionResetError):
            async for item in guarded():
                got.append(item)
        assert (got, begun) == ([1], [0, 1])

    anyio.run(main, backend=backend)


def test_a_stream_that_opens_although_it_was_cancelled_is_closed(backend: str):
    closed: list[str] = []
    slots = bulkhead("streams", 5)
    names = iter(["stubborn", "winner"])

    async def items() -> AsyncIterator[str]:
        name = next(names)
        try:
            with contextlib.suppress(anyio.get_cancelled_exc_class()):
                await current_clock().sleep_async({"stubborn": 60.0, "winner": 1.0}[name])
            yield name
        finally:
            closed.append(name)

    async def main() -> None:
        guarded = Pipeline(hedge(0.5), slots)(items)
        with virtual_time(patience=0.05):
            async with contextlib.aclosing(guarded()) as stream:
                assert await anext(stream) == "winner"
                assert closed == ["stubborn"]
                assert slots.snapshot()["in_flight"] == 1
        assert slots.snapshot()["in_flight"] == 0

    anyio.run(main, backend=backend)


def test_a_replica_of_a_stream_is_a_stream(backend: str):
    closed: list[float] = []
    guarded = hedge(0.5, to=stream(closed, iter([1])))(stream(closed, iter([60])))

    async def main() -> None:
        with virtual_time(patience=0.05):
            assert [item async for item in guarded(2)] == [0, 1]
        assert closed == [60, 1]

    anyio.run(main, backend=backend)


# -- sync functions ---------------------------------------------------------------------------------------------------


def test_a_sync_function_is_refused_where_it_is_decorated_unless_its_copies_run_in_threads():
    with pytest.raises(TypeError, match="it is not async, and nothing can end a copy; give to_threads=True"):
        hedge(1)(str.upper)

    class Client:
        def get(self) -> None: ...

    with pytest.raises(TypeError, match=r"Client\.get by hedge\(1\): it is not async"):
        hedge(1)(Client)


def test_in_threads_the_first_success_counts_and_the_loser_is_left():
    release = threading.Event()
    ended: list[str] = []
    steps = iter(["slow", "copy"])

    def dependency() -> str:
        step = next(steps)
        if step == "slow":
            release.wait(10)
        ended.append(step)
        return step

    policy = hedge(0.25, to_threads=True)  # long enough for a busy machine to start the first thread
    assert policy(dependency)() == "copy"
    assert ended == ["copy"]
    release.set()
    assert policy.snapshot() == {"delay": 0.25, "calls": 1, "copies": 1, "won": 1, "paused": False}


def test_in_threads_a_call_in_time_is_made_once_and_has_the_callers_context():
    seen.set("of the caller")
    policy = hedge(30, to_threads=True)
    assert policy(lambda: seen.get())() == "of the caller"
    assert policy.snapshot()["copies"] == 0


@pytest.mark.parametrize(
    ("error", "answer"),
    [(ConnectionRefusedError(), "copy"), (Failed("validation"), None), (TimeoutError(), None)],
)
def test_in_threads_failures_decide_as_in_tasks(error: Exception, answer: object):
    steps: Iterator[object] = iter([error, "copy"])

    def dependency() -> object:
        step = next(steps)
        if isinstance(step, Exception):
            raise step
        return step

    call = hedge(30, to_threads=True)(dependency)
    if answer is None:
        with pytest.raises(type(error)) as caught:
            call()
        assert caught.value is error
    else:
        assert call() == answer


def test_in_threads_what_is_no_exception_is_raised_in_the_caller():
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        hedge(30, to_threads=True)(leave)()


def test_in_threads_a_limit_around_leaves_all_copies():
    release = threading.Event()
    call = Pipeline(timeout(0.05), hedge(0.01, to_threads=True))(lambda: release.wait(10))
    with pytest.raises(CallTimeoutError):
        call()
    release.set()


def test_in_threads_a_limit_by_a_signal_interrupts_the_wait_for_the_copies():
    release = threading.Event()
    call = Pipeline(timeout(0.05, mode="signal"), hedge(0.01, to_threads=True))(lambda: release.wait(5))
    with pytest.raises(CallTimeoutError):
        call()
    assert not release.is_set()
    release.set()


def test_in_threads_virtual_time_passes():
    release = threading.Event()
    steps = iter([lambda: release.wait(10), lambda: "copy"])
    with virtual_time(patience=0.05) as clock:
        assert hedge(30, to_threads=True)(lambda: next(steps)())() == "copy"
        assert clock.now() == 30
    release.set()


def test_with_to_threads_an_async_function_still_runs_in_tasks(backend: str):
    answers, _, now = play(hedge(0.5, to_threads=True), (60, "slow"), (1, "copy"), backend=backend)
    assert (answers, now) == (["copy"], 1.5)


def test_a_sync_generator_function_is_refused():
    def items() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="cannot guard the generator function .*items"):
        hedge(1, to_threads=True)(items)
    with pytest.raises(TypeError, match="it is not async"):
        hedge(1)(items)


# -- as a decorator, and what is known of it --------------------------------------------------------------------------


def test_a_block_is_refused():
    with pytest.raises(TypeError, match=r"with hedge\(p95\): a block cannot run twice; decorate a function"), hedge():
        pytest.fail("the block runs")


def test_of_a_class_the_selected_methods_are_hedged():
    @hedge(1, exclude=("put",))
    class Client:
        async def get(self) -> None: ...

        async def put(self) -> None: ...

    assert [str(policy) for policy in describe(Client.get)] == ["hedge(1)"]
    assert list(describe(Client.put)) == []


def replica() -> None: ...


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (hedge(), "hedge(p95)"),
        (hedge("p99.9", copies=2, budget=0.1), "hedge(p99.9, copies=2, budget=0.1)"),
        (hedge(timedelta(seconds=2), key=lambda *_: 1), "hedge(2) per key"),
        (hedge(1, budget=RetryBudget()), "hedge(1, budget=RetryBudget)"),
        (hedge(1, to=replica, to_threads=True), f"hedge(1, to={__name__}.replica, to_threads=True)"),
    ],
)
def test_it_is_described_as_it_is_written(policy: hedge, text: str):
    assert (str(policy), repr(policy)) == (text, f"<{text}>")


def test_the_worst_case_counts_the_copies():
    guarded = Pipeline(
        retry_on_category("timeout", attempts=2, base_delay=0, jitter="none"), hedge(1, copies=2), timeout(3)
    )
    worst = describe(guarded(charge)).worst
    assert (worst.calls, worst.seconds) == (6, 18)
    assert describe(hedge(1)(timeout(3)(charge))).worst.seconds == 6


def test_events_say_which_copies_were_made_and_why(backend: str):
    events: list[Event] = []
    with subscribe(events.append):
        play(hedge(0.5), (60, "slow"), (1, "copy"), backend=backend)
        play(hedge(0.5), (0.1, ConnectionResetError()), (0.1, "copy"), backend=backend)
    assert [type(event) for event in events] == [HedgeStarted, HedgeWon] * 2
    slow, won, failed, _ = [event.fields() for event in events]
    assert {"copy": 1, "reason": "slow", "delay": 0.5, "policy": "hedge"}.items() <= slow.items()
    assert {"copy": 1, "seconds": 1.5}.items() <= won.items()
    assert {"copy": 1, "reason": "failed", "delay": 0.1}.items() <= failed.items()
    assert slow["target"].endswith("dependency")


def test_the_note_of_a_failed_call_says_what_the_hedge_does():
    (error,), _, _ = play(Pipeline(retry_on_category(attempts=2, base_delay=0), hedge(5)), *[(0, TimeoutError())] * 2)
    assert isinstance(error, TimeoutError)
    assert "hedge after 5 s, 0 copies of 2 calls" in "".join(error.__notes__)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"after": "p101"}, "after='p101': give a quantile between p1 and p99.9, such as 'p95', or seconds"),
        ({"after": "p0"}, "after='p0': give a quantile"),
        ({"after": "95"}, "after='95': give a quantile"),
        ({"after": -1}, "after=-1: give seconds"),
        ({"after": math.inf}, "after=inf: give seconds"),
        ({"after": None}, "after=None: give a quantile such as 'p95', or seconds"),
        ({"after": True}, "after=True: give a quantile such as 'p95', or seconds"),
        ({"copies": 0}, "copies=0: give a whole number of 1 or more"),
        ({"copies": 1.5}, r"copies=1\.5: give a whole number"),
        ({"budget": 0}, "budget=0: give a share of the calls of more than 0, such as 0.05, or a RetryBudget"),
        ({"budget": 5}, "budget=5: give at most copies=1: 0.05 is one copy in 20 calls"),
        ({"budget": "5%"}, "budget='5%': give a share"),
        ({"to": "replica"}, "to='replica': give a function, or a tuple of functions"),
        ({"to": (1,)}, "to=1: give a function, or a tuple"),
        ({"to": dict}, "to=<class 'dict'>: give a function"),
        ({"key": "host"}, "key='host': give a function of the call's arguments"),
        ({"to_threads": 1}, "to_threads=1: give True or False"),
        ({"only": ("get",), "exclude": ("put",)}, "only"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_where_they_are_written(options: dict[str, Any], message: str):
    with pytest.raises((TypeError, ValueError), match=message):
        hedge(**options)


def test_a_hedge_without_brackets_is_refused():
    with pytest.raises(TypeError, match="give a quantile such as 'p95', or seconds"):
        hedge(charge)  # type: ignore[arg-type]


def test_failures_of_a_stack_below_keep_their_category():
    (error,), _, _ = play(hedge(1), (0, Failed("validation")))
    assert classify(error) is ErrorCategory.VALIDATION  # type: ignore[arg-type]


def test_what_is_known_of_keys_that_are_used_no_more_is_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("resilience.policies.hedge._MAX_KEYS", 8)
    policy = hedge(after=1.0, key=lambda key: key)

    @policy
    async def call(key: int) -> int:
        return key

    async def main() -> None:
        for key in range(50):
            assert await call(key) == key

    anyio.run(main)
    assert len(policy._keyed.items()) <= 8
