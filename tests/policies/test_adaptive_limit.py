"""Adaptive limit: what it measures, how it follows, that it never admits more than its limit, and what it tells."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import resilience
from resilience import (
    AdaptiveLimitError,
    CircuitOpenError,
    ErrorCategory,
    Pipeline,
    ResilienceError,
    adaptive_limit,
    bulkhead,
    circuit_breaker,
    deadline,
    describe,
    fallback,
    lint,
    retry_on_category,
    subscribe,
    timeout,
)
from resilience._outcome import Outcome
from resilience._runtime.cut_off import CutOff
from resilience._runtime.protocol import Call, Proceed
from resilience._runtime.sync_runner import advance
from resilience.clock import current_clock
from resilience.events import CallRejected, Event, LimitChanged
from resilience.policies._capacity_estimate import CapacityEstimate
from resilience.policies.base import Steps
from resilience.testing import VirtualClock, virtual_time
from tests.manual_call import ManualCall
from tests.runners import Runner, Takes

PRESSURE = ("timeout", "rate_limit", "unavailable", "capacity")
ANSWERS = ("validation", "not_found", "conflict", "authentication", "authorization")


DONE = Outcome(None)


class Failed(Exception):
    def __init__(self, label: str) -> None:
        self.category = ErrorCategory(label)


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    with virtual_time() as clock:
        yield clock


class Recorded(CapacityEstimate):
    """An estimate that keeps what is recorded, and changes nothing."""

    __slots__ = ("calls",)

    def record(self, began: float, now: float, *, in_flight: int, dropped: bool, waiting: bool) -> bool:
        self.calls: list[tuple[float, int, bool, bool]]
        self.calls.append((round(now - began, 6), in_flight, dropped, waiting))
        return False


def recorded(limit: adaptive_limit) -> list[tuple[float, int, bool, bool]]:
    """Return the list of what *limit* records from now on: seconds, calls in flight, dropped, waiting."""
    slots = limit._compartment.slots
    slots.estimate = Recorded(limit.start, limit.least, limit.most)
    slots.estimate.calls = []
    return slots.estimate.calls


def end(limit: adaptive_limit, clock: VirtualClock, seconds: float, label: str | None = None) -> None:
    """Make a call that takes so long, and fails with a category."""
    with suppress(Failed), limit:
        clock.advance(seconds)
        if label is not None:
            raise Failed(label)


# -- what is measured --------------------------------------------------------------------------------------------------


def test_a_call_that_succeeds_is_measured(clock: VirtualClock):
    limit = adaptive_limit("l")
    calls = recorded(limit)
    end(limit, clock, 0.25)
    assert calls == [(0.25, 1, False, False)]


@pytest.mark.parametrize("label", ANSWERS)
def test_an_answer_is_measured_whatever_it_says(label: str, clock: VirtualClock):
    limit = adaptive_limit("l")
    calls = recorded(limit)
    end(limit, clock, 0.25, label)
    assert calls == [(0.25, 1, False, False)]


@pytest.mark.parametrize("label", PRESSURE)
def test_an_overload_is_a_dropped_call(label: str, clock: VirtualClock):
    limit = adaptive_limit("l")
    calls = recorded(limit)
    end(limit, clock, 0.25, label)
    assert calls == [(0.25, 1, True, False)]


OTHERS = sorted({leaf.label for leaf in ErrorCategory} - {*PRESSURE, *ANSWERS})


@pytest.mark.parametrize("label", [label for label in OTHERS if ErrorCategory(label) not in ErrorCategory.CLIENT_ERROR])
def test_other_failures_say_nothing_of_the_load(label: str, clock: VirtualClock):
    limit = adaptive_limit("l")
    calls = recorded(limit)
    end(limit, clock, 0.25, label)
    assert calls == []


def test_rejections_of_policies_inside_are_not_measured(clock: VirtualClock):
    limit, breaker = adaptive_limit("l"), circuit_breaker("inside an adaptive limit")
    calls = recorded(limit)
    breaker.isolate()

    @limit
    @breaker
    def call() -> None: ...

    for _ in range(10):
        with pytest.raises(CircuitOpenError):
            call()
    assert calls == []


@pytest.mark.parametrize(("by", "dropped"), [(CutOff.TIMED_OUT, 1), (CutOff.CANCELLED, 0)])
def test_a_call_that_a_limit_of_ours_cuts_off_is_dropped(by: CutOff, dropped: int):
    limit = adaptive_limit("l")
    calls = recorded(limit)
    ManualCall(limit).cut_off(by)
    assert [dropped for _, _, dropped, _ in calls] == [True] * dropped


@pytest.mark.parametrize("name", ["asyncio", "trio"])
@pytest.mark.parametrize("around", [timeout, deadline])
def test_a_task_that_a_limit_cancels_is_dropped(name: str, around: Callable[[float], object]):
    limit = adaptive_limit("l")
    calls = recorded(limit)
    story = Runner(name).play(lambda function: around(1)(limit(function)), "ok", Takes(5, "late"), pauses=(1.0,))
    assert isinstance(story.answers[1], TimeoutError)
    assert [(took, dropped) for took, _, dropped, _ in calls] == [(0.0, False), (1.0, True)]


def on_the_machine_s_clock(guarded: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Call an async function where the timer of the wrapper keeps its limits: not under a test's clock."""
    asyncio.run(guarded())


@pytest.mark.parametrize("around", [timeout, deadline])
def test_a_limit_outside_on_the_fast_path_drops_the_call(around: Callable[[float], Any]):
    limit = adaptive_limit("l")
    calls = recorded(limit)

    @around(0.01)
    @limit
    async def hang() -> None:
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        on_the_machine_s_clock(hang)
    assert [dropped for _, _, dropped, _ in calls] == [True]
    assert limit.snapshot()["in_flight"] == 0


def test_a_limit_of_the_caller_drops_the_call_on_the_fast_path():
    limit = adaptive_limit("l")
    calls = recorded(limit)

    @limit
    async def hang() -> None:
        await asyncio.sleep(60)

    @timeout(0.01)
    async def caller() -> None:
        await hang()

    with pytest.raises(TimeoutError):
        on_the_machine_s_clock(caller)
    assert [dropped for _, _, dropped, _ in calls] == [True]
    assert limit.snapshot()["in_flight"] == 0


def test_a_cancellation_of_others_on_the_fast_path_says_nothing():
    limit = adaptive_limit("l")
    calls = recorded(limit)

    @limit
    async def hang() -> None:
        await asyncio.sleep(60)

    async def cancelled() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(hang(), 0.01)

    on_the_machine_s_clock(cancelled)
    assert calls == []
    assert limit.snapshot()["in_flight"] == 0


def test_a_success_within_an_exception_handler_is_a_success():
    limit = adaptive_limit("l")
    calls = recorded(limit)
    call = limit(lambda: None)
    try:
        raise TimeoutError
    except TimeoutError:
        call()
    assert [dropped for _, _, dropped, _ in calls] == [False]


def test_a_thread_that_a_limit_leaves_is_dropped_whatever_it_comes_back_with():
    limit, answer, ended = adaptive_limit("l"), threading.Event(), threading.Event()
    calls = recorded(limit)

    @timeout(1)
    def limited() -> None:
        try:
            limit.call(answer.wait, 30)
        finally:
            ended.set()

    with virtual_time(patience=0.02), pytest.raises(TimeoutError):
        limited()
    assert [dropped for _, _, dropped, _ in calls] == [True]
    answer.set()
    assert ended.wait(30)
    assert [dropped for _, _, dropped, _ in calls] == [True]


@pytest.mark.parametrize("name", ["sync", "asyncio", "trio"])
def test_a_stream_is_measured_to_its_last_item(name: str):
    limit = adaptive_limit("l")
    calls = recorded(limit)

    def items() -> Iterator[int]:
        current_clock().sleep(1)
        yield 1
        current_clock().sleep(2)
        yield 2

    async def async_items() -> AsyncIterator[int]:
        await current_clock().sleep_async(1)
        yield 1
        await current_clock().sleep_async(2)
        yield 2

    async def consume() -> None:
        assert [item async for item in limit(async_items)()] == [1, 2]

    with virtual_time():
        if name == "sync":
            assert list(limit(items)()) == [1, 2]
        else:
            anyio.run(consume, backend=name)
    assert [(took, dropped) for took, _, dropped, _ in calls] == [(3.0, False)]


def test_of_short_calls_on_the_fast_path_one_in_sixteen_is_measured_and_the_next_after_a_dropped_one(
    clock: VirtualClock,
):
    limit = adaptive_limit("l")
    calls = recorded(limit)
    call = limit(lambda: None)
    for _ in range(33):
        call()
    assert len(calls) == 3
    end(limit, clock, 0, "unavailable")
    calls.clear()
    call()
    assert len(calls) == 1


# -- how it follows ----------------------------------------------------------------------------------------------------


def load(
    limit: adaptive_limit, clock: VirtualClock, seconds: float, windows: int = 1, label: str | None = None
) -> None:
    """Make as many calls at a time as the limit admits, each of which takes so long, for some windows of the law."""
    outcome = DONE
    if label is not None:
        outcome = Outcome.failed(Failed(label))
    for _ in range(windows):
        before = clock.now()
        while clock.now() - before < max(0.25, 2 * seconds):
            permits = [ManualCall(limit) for _ in range(limit.limit)]
            clock.advance(seconds)
            for permit in permits:
                permit.end(outcome)


def test_it_grows_while_calls_take_no_longer_and_shrinks_when_they_do(clock: VirtualClock):
    limit = adaptive_limit("l")
    load(limit, clock, 0.05, windows=4)
    grown = limit.limit
    assert grown > 30
    load(limit, clock, 0.3, windows=2)
    assert limit.limit <= grown / 2
    assert limit.snapshot()["baseline"] == pytest.approx(0.05)


def test_it_shrinks_while_calls_are_dropped_and_stays_within_its_bounds(clock: VirtualClock):
    limit = adaptive_limit("l", start=20, least=3, most=40)
    load(limit, clock, 0.05, windows=12)
    assert limit.limit == 40
    load(limit, clock, 0.05, windows=12, label="unavailable")
    assert limit.limit == 3


def test_it_never_admits_a_call_while_more_are_in_flight_than_the_limit_has_become(clock: VirtualClock):
    limit = adaptive_limit("l", start=20, max_queue=0)
    running = [ManualCall(limit) for _ in range(20)]
    slots = limit._compartment.slots
    slots.estimate._shrink(0.5)
    slots.resize(slots.estimate.limit)
    assert limit.snapshot()["in_flight"] == 20
    for call in running[:10]:
        with pytest.raises(AdaptiveLimitError):
            limit.call(len, "")
        call.end(DONE)
    with pytest.raises(AdaptiveLimitError):
        limit.call(len, "")
    running[10].end(DONE)
    limit.call(len, "")


def begin(limit: adaptive_limit) -> tuple[Steps, Call] | None:
    """Begin a call by an independent caller; None where it is refused."""
    call = Call("in flight", len)
    steps = limit.run(call)
    step = contextvars.copy_context().run(advance, steps, None, call)
    if isinstance(step, Proceed):
        return steps, call
    return None


WHAT = st.sampled_from(["begin", "end", "drop", "cancel", "wait"])


@settings(max_examples=60)
@given(st.lists(st.tuples(WHAT, st.integers(0, 50)), max_size=300))
def test_as_many_calls_are_in_flight_as_a_list_of_them_says_and_none_is_admitted_beyond_the_limit(
    program: list[tuple[str, int]],
):
    limit = adaptive_limit("l", start=4, least=2, most=12, max_queue=0)
    running: list[tuple[Steps, Call]] = []
    with virtual_time() as clock:
        for what, number in program:
            if what == "wait":
                clock.advance(number / 50)
            elif what == "begin":
                is_free = len(running) < limit.limit
                begun = begin(limit)
                assert (begun is not None) == is_free
                running += filter(None, [begun])
            elif running:
                steps, call = running.pop(number % len(running))
                if what == "cancel":
                    call.ended_by = CutOff.CANCELLED
                    steps.close()
                else:
                    advance(steps, {"end": DONE, "drop": Outcome.failed(Failed("timeout"))}[what], call)
            assert limit.snapshot()["in_flight"] == len(running)
            assert 2 <= limit.limit <= 12
    for steps, _ in running:
        steps.close()
    assert limit.snapshot()["in_flight"] == 0


def test_calls_that_wait_go_on_as_soon_as_the_limit_has_grown(backend: str):
    limit = adaptive_limit("l", start=1, least=1)
    slots = limit._compartment.slots
    done: list[int] = []

    async def main() -> None:
        held = slots.try_acquire()
        assert held
        async with anyio.create_task_group() as tasks:
            for number in range(2):
                tasks.start_soon(limit.acall, _async(lambda number=number: done.append(number)))
            while limit.snapshot()["queued"] < 2:
                await anyio.lowlevel.checkpoint()
            slots.resize(3)
        assert sorted(done) == [0, 1]
        slots.release()

    with virtual_time():
        anyio.run(main, backend=backend)


def _async(function: Callable[[], object]) -> Callable[[], Coroutine[Any, Any, None]]:
    async def call() -> None:
        function()

    return call


def test_the_queue_is_in_proportion_to_the_limit_unless_it_is_given(clock: VirtualClock):
    limit, given = adaptive_limit("l"), adaptive_limit("l", max_queue=7)
    for each in (limit, given):
        load(each, clock, 0.05, windows=4)
    assert limit._compartment.slots.max_queue == 2 * limit.limit > 40
    assert given._compartment.slots.max_queue == 7


def test_each_key_has_a_limit_of_its_own(clock: VirtualClock):
    limit = adaptive_limit("l", key=lambda host: host)

    @limit
    def call(host: str) -> None:
        clock.advance(0.05)
        if host == "b":
            raise Failed("unavailable")

    for host in "ab":
        for _ in range(40):
            with suppress(Failed):
                call(host)
    limits = {key: compartment.slots.limit for key, compartment in limit._keyed.items()}
    assert limits == {"a": 20, "b": 10}
    assert limit.snapshot() == {
        "limit": 20,
        "in_flight": 0,
        "queued": 0,
        "rejected": 0,
        "baseline": pytest.approx(0.05),
    }


# -- refusals, and what it tells ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sync", "asyncio", "trio"])
def test_a_call_that_finds_limit_and_queue_full_is_refused(name: str):
    limit = adaptive_limit("l", start=2, max_queue=0)
    with virtual_time():
        limit._compartment.slots.durations.append(0.5)
        held = [ManualCall(limit), ManualCall(limit)]
        story = Runner(name).play(limit, "ok")
        for call in held:
            call.end(DONE)
    (error,) = story.answers
    assert isinstance(error, AdaptiveLimitError)
    assert isinstance(error, ResilienceError)
    assert (error.code, error.category, error.limit, error.queued) == ("RES-E011", ErrorCategory.REJECTED, 2, 0)
    assert error.retry_after == pytest.approx(0.25)
    assert limit.snapshot()["rejected"] == 1
    (event,) = [event for event in story.events if isinstance(event, CallRejected)]
    assert event.fields()["policy"] == "adaptive_limit"
    assert event.fields()["adaptive_limit"] == "l"


def test_no_circuit_counts_a_refusal_and_a_fallback_covers_it():
    limit, breaker = adaptive_limit("l", start=2, max_queue=0), circuit_breaker("around a limit", failure_threshold=1)
    held = [ManualCall(limit), ManualCall(limit)]
    guarded = Pipeline(fallback(default="default"), retry_on_category(attempts=3), breaker, limit)
    assert guarded.call(str, 1) == "default"
    assert breaker.current_state == "closed"
    for call in held:
        call.end(DONE)
    assert guarded.call(str, 1) == "1"


def test_it_says_when_the_limit_has_changed_by_half_and_not_before(clock: VirtualClock):
    limit = adaptive_limit("l")
    events: list[Event] = []
    with subscribe(events.append):
        load(limit, clock, 0.05, windows=2)
        assert events == []
        load(limit, clock, 0.05, windows=1)
        (event,) = events
        assert event == LimitChanged(target="l", policy="l", limit=limit.limit, before=20)
        assert event.fields() == {
            "target": "l",
            "policy": "adaptive_limit",
            "adaptive_limit": "l",
            "limit": limit.limit,
            "before": 20,
        }


def test_the_note_of_a_failed_call_says_how_far_the_limit_is_used(clock: VirtualClock):
    limit = adaptive_limit("l")

    @retry_on_category(attempts=2)
    @limit
    def call() -> None:
        raise Failed("unavailable")

    with pytest.raises(Failed) as caught:
        call()
    assert "adaptive limit 'l' 0 of 20 in flight, 0 queued" in "".join(caught.value.__notes__)


def test_it_is_described_as_it_is_written():
    limit = adaptive_limit("l", most=50, max_queue=5, max_wait=0.5, key=lambda host: host)
    assert str(limit) == "adaptive_limit('l', most=50, max_queue=5, max_wait=0.5) per key"
    assert str(adaptive_limit("l")) == "adaptive_limit('l')"
    assert str(describe(adaptive_limit("l", max_wait=0.5)(len))).splitlines() == [
        "adaptive_limit('l', max_wait=0.5)",
        "  builtins.len",
        "worst case: 1 call, 0.5 s of waiting and what the calls take",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 0}, "start=0: give"),
        ({"least": 0}, "least=0: give"),
        ({"least": 30}, "start=20: give a number from 30 to 200"),
        ({"most": 10}, "start=20: give a number from 2 to 10"),
        ({"least": 9, "most": 5}, "least=9: give at most 5"),
        ({"start": 2.5}, "start=2.5"),
        ({"max_queue": -1}, "max_queue=-1"),
        ({"max_wait": 0}, "max_wait=0"),
        ({"key": 5}, "key=5"),
        ({"limit": 5}, "limit"),
    ],
    ids=str,
)
def test_a_wrong_option_fails_where_it_is_written(options: dict[str, Any], message: str):
    with pytest.raises((TypeError, ValueError), match=message):
        adaptive_limit("l", **options)


def test_lint_knows_its_place_as_that_of_a_bulkhead():
    limit = adaptive_limit("l")
    assert lint(Pipeline(retry_on_category(attempts=2), circuit_breaker("linted"), limit, timeout(1))) == ()
    assert lint(Pipeline(bulkhead("l", 200), limit)) == ()
    found = [finding.rule for finding in lint(Pipeline(limit, retry_on_category(attempts=2)))]
    assert found == ["retry-inside-bulkhead"]
    found = [
        finding.rule
        for finding in lint(Pipeline(resilience.hedge(after=1), adaptive_limit("l", start=1, least=1, most=1)))
    ]
    assert "bulkhead-under-hedge" in found


def test_metrics_show_the_limit_of_each_name():
    from resilience.metrics._collector import Collector
    from resilience.metrics.definitions import LIMIT, LIMIT_IN_FLIGHT

    limit = adaptive_limit("shown in metrics", start=7)
    call = ManualCall(limit)
    found = Collector().read_all()
    assert found[LIMIT]["shown in metrics",] == 7
    assert found[LIMIT_IN_FLIGHT]["shown in metrics",] == 1
    call.end(DONE)
    del limit, call
    gc.collect()
    assert ("shown in metrics",) not in Collector().read_all()[LIMIT]


# -- many at once ------------------------------------------------------------------------------------------------------


def test_threads_and_event_loops_share_one_limit_and_leak_no_slot():
    limit = adaptive_limit("l", start=3, least=3, most=3, max_queue=50)
    lock = threading.Lock()
    running = most = done = 0

    def call() -> None:
        nonlocal running, most, done
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.001)
        with lock:
            running -= 1
            done += 1

    async def loop() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(limit.acall, _async(call))

    guarded = limit(call)
    threads = [threading.Thread(target=lambda: [guarded() for _ in range(5)]) for _ in range(4)]
    threads += [
        threading.Thread(target=anyio.run, args=(loop,), kwargs={"backend": name}) for name in ("asyncio", "trio")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 1 <= most <= 3
    assert done == 36
    assert (limit.snapshot()["in_flight"], limit.snapshot()["queued"]) == (0, 0)


def test_a_call_that_is_cancelled_while_it_waits_leaks_no_slot(backend: str):
    limit = adaptive_limit("l", start=1, least=1)
    calls = recorded(limit)

    async def main() -> None:
        slots = limit._compartment.slots
        assert slots.try_acquire()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(limit.acall, anyio.sleep, 0)
            while not limit.snapshot()["queued"]:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        slots.release()
        assert (limit.snapshot()["in_flight"], limit.snapshot()["queued"]) == (0, 0)
        await limit.acall(anyio.sleep, 0)

    anyio.run(main, backend=backend)
    assert len(calls) == 1  # a call that was not made says nothing
