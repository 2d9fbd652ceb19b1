"""A call that finds its tokens takes them without a runner, once for each attempt, whatever ends it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience import (
    BulkheadFullError,
    CallTimeoutError,
    CircuitOpenError,
    ErrorCategory,
    Pipeline,
    RateLimitedError,
    bulkhead,
    circuit_breaker,
    fallback,
    rate_limit,
    retry_on_category,
    settings,
    subscribe,
    timeout,
    track_errors,
)
from resilience._outcome import Outcome
from resilience._runtime.protocol import Call, Steps
from resilience.clock import current_clock
from resilience.events import Event, RateLimitHeld
from resilience.policies._rate_limiting import RateLimiting
from resilience.policies._token_bucket import Bucket, FreeTokens
from resilience.testing import no_waits, virtual_time
from tests.interruptions import functions_of, interruptions
from tests.runners import Runner


class Unasked(rate_limit):
    """A rate limit whose `run` must not be asked: of a call on the fast path."""

    def run(self, call: Call) -> Steps[Outcome]:
        raise AssertionError(f"{call.target} is not on the fast path")
        yield


class TooMany(Exception):
    """A server's 429."""

    category = ErrorCategory.RATE_LIMIT

    def __init__(self, retry_after: float) -> None:
        super().__init__("429")
        self.retry_after = retry_after


def left(policy: rate_limit) -> float:
    """Return how many whole tokens are there."""
    return policy.snapshot()["available"] // 1


def hourly(burst: int, kind: type[rate_limit] = rate_limit, **options: object) -> rate_limit:
    """Return a limit that gets no new token during a test."""
    return kind("api", "1/hour", burst=burst, **options)


# -- which calls ------------------------------------------------------------------------------------------------------


def test_a_call_that_finds_its_token_needs_no_runner(runner: Runner):
    api = hourly(9, Unasked)

    @api
    def sync() -> float:
        return left(api)

    class Client:
        @api
        def method(self) -> float:
            return left(api)

    @api
    class Whole:
        def method(self) -> float:
            return left(api)

    @api
    async def asynchronous() -> float:
        await anyio.lowlevel.checkpoint()
        return left(api)

    def main() -> None:
        assert [sync(), Client().method(), Whole().method()] == [8, 7, 6]

    async def main_async() -> None:
        assert [await asynchronous(), await asynchronous()] == [8, 7]

    runner.run(main, main_async)


@pytest.mark.parametrize(
    "stack",
    [
        lambda api: Pipeline(fallback(default=0), retry_on_category(attempts=2), circuit_breaker("fast a"), api),
        lambda api: Pipeline(api, circuit_breaker("fast b"), retry_on_category(attempts=2)),
        lambda api: Pipeline(track_errors(component="api"), api, bulkhead("beside", 3)),
    ],
    ids=["innermost", "outermost", "with a bulkhead"],
)
def test_it_needs_none_between_other_policies_of_the_fast_path(stack: Callable[[rate_limit], Pipeline]):
    api = hourly(9, Unasked)
    call = stack(api)(lambda: left(api))
    assert [call(), call()] == [8, 7]


def test_a_call_in_an_asyncio_time_limit_needs_none():
    api = hourly(9, Unasked)

    @timeout(5)
    @api
    @timeout(3)
    async def call() -> float:
        await asyncio.sleep(0)
        return left(api)

    assert asyncio.run(call()) == 8


def test_a_call_with_a_constant_cost_takes_that_many():
    api = hourly(9, Unasked, cost=2.5)
    call = api(lambda: left(api))
    assert [call(), call(), call()] == [6, 4, 1]
    with pytest.raises(AssertionError, match="is not on the fast path"):
        call()


@pytest.mark.parametrize("options", [{"key": lambda: "key"}, {"cost": lambda: 1}], ids=["keys", "costs by arguments"])
def test_with_keys_or_costs_by_arguments_each_call_is_run(options: dict[str, object]):
    with pytest.raises(AssertionError, match="is not on the fast path"):
        hourly(9, Unasked, **options)(lambda: None)()


def test_streams_and_blocks_are_run_and_pay_once(backend: str):
    api = hourly(9)

    @api
    def items() -> Iterator[float]:
        yield left(api)
        yield left(api)

    @api
    async def items_async() -> AsyncIterator[float]:
        yield left(api)
        yield left(api)

    async def main() -> None:
        assert [item async for item in items_async()] == [7, 7]
        async with api:
            assert left(api) == 6

    assert [*items()] == [8, 8]
    anyio.run(main, backend=backend)
    with api:
        assert left(api) == 5


def test_two_limits_in_one_stack_and_one_that_stands_there_twice_are_run_and_take_of_each():
    one, other = hourly(9), hourly(9, cost=2)
    Pipeline(one, other, one)(lambda: None)()
    assert (left(one), left(other)) == (7, 7)


def test_several_limits_taken_together_are_run_and_take_all_or_none():
    many, few = rate_limit("many", "1/hour", burst=9), rate_limit("few", "1/hour", burst=1, max_wait=0)
    both = rate_limit.all_of(many, few)(lambda: None)
    both()
    with pytest.raises(RateLimitedError):
        both()
    assert (left(many), left(few)) == (8, 0)


def test_while_policies_are_switched_off_no_token_is_taken():
    api = hourly(1)
    call = api(lambda: left(api))
    with settings.disabled():
        assert [call(), call()] == [1, 1]
    assert call() == 0


def test_by_another_clock_the_bucket_begins_anew():
    api = hourly(2)
    call = api(lambda: left(api))
    assert call() == 1
    for _ in range(2):
        with virtual_time():
            assert [call(), call()] == [1, 0]


# -- those that find none ---------------------------------------------------------------------------------------------


def test_a_call_that_finds_none_waits_for_it(runner: Runner):
    api = rate_limit("api", "1/s", burst=2)

    @api
    def call() -> float:
        return current_clock().now()

    @api
    async def call_async() -> float:
        return current_clock().now()

    async def main_async() -> list[float]:
        return [await call_async() for _ in range(4)]

    with virtual_time():
        assert runner.run(lambda: [call() for _ in range(4)], main_async) == [0, 0, 1, 2]


def test_a_call_that_finds_none_and_may_not_wait_is_refused():
    api = hourly(1, max_wait=0)
    call = api(lambda: "made")
    assert call() == "made"
    with pytest.raises(RateLimitedError) as refused:
        call()
    assert refused.value.retry_after == pytest.approx(3600, abs=1)
    assert api.snapshot()["rejected"] == 1


def test_under_no_waits_a_call_that_finds_none_goes_at_once():
    api = hourly(1)
    call = api(lambda: left(api))
    with no_waits():
        assert [call(), call(), call()] == [0, 0, 0]


def test_a_token_that_is_there_is_not_taken_by_a_call_that_comes_while_others_wait(backend: str):
    api, slow = rate_limit("api", "1/s", burst=5), rate_limit("slow", "1/10s", burst=1)
    made: dict[str, float] = {}

    async def note(name: str) -> None:
        made[name] = current_clock().now()

    async def main() -> None:
        assert slow.try_acquire()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rate_limit.all_of(api, slow)(note), "of both")
            while not api.snapshot()["queued"]:
                await anyio.lowlevel.checkpoint()
            assert left(api) == 5
            tasks.start_soon(api(note), "of one")

    with virtual_time():
        anyio.run(main, backend=backend)
    assert made == {"of both": 10, "of one": 10}


def test_calls_in_four_threads_take_each_token_once():
    api = hourly(10_000, max_wait=0)
    call = api(lambda: 1)

    def calls(_: int) -> int:
        made = 0
        for _ in range(4_000):
            try:
                made += call()
            except RateLimitedError:
                continue
        return made

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(calls, range(4))) == 10_000


# -- calls that fail --------------------------------------------------------------------------------------------------


def test_a_call_that_fails_has_taken_one_token(runner: Runner):
    api = hourly(9)
    story = runner.play(api, ValueError(), "ok", ConnectionResetError(), pauses=(0, 0))
    assert [type(answer) for answer in story.answers] == [ValueError, str, ConnectionResetError]
    assert left(api) == 6


def test_a_retry_outside_takes_a_token_for_each_attempt_and_one_inside_one_for_the_call(runner: Runner):
    outside, inside = hourly(9), hourly(9)
    retry = retry_on_category(attempts=3, base_delay=0)
    for api, stack, expected in ((outside, Pipeline(retry, outside), 6), (inside, Pipeline(inside, retry), 8)):
        story = runner.play(stack, ConnectionResetError(), ConnectionResetError(), "ok")
        assert (story.answer, left(api)) == ("ok", expected)


def test_a_retry_outside_whose_next_attempt_finds_no_token_waits_for_it(runner: Runner):
    story = runner.play(
        Pipeline(retry_on_category(attempts=2, base_delay=0), rate_limit("api", "1/10s", burst=1)),
        ConnectionResetError(),
        "ok",
    )
    assert (story.answer, story.now) == ("ok", pytest.approx(10))


def test_a_429_holds_all_calls_until_its_retry_after(runner: Runner):
    api = rate_limit("api", "10/s", burst=9, max_wait=0)
    story = runner.play(api, TooMany(5), "never", pauses=(4.9,))
    failed, refused = story.answers
    assert isinstance(failed, TooMany)
    assert isinstance(refused, RateLimitedError)
    assert story.reached == 1
    assert [event.wait for event in story.events if isinstance(event, RateLimitHeld)] == [5]


def test_after_a_hold_calls_go_one_after_the_other_at_the_rate():
    api = rate_limit("api", "10/s", burst=9)
    call = api(lambda: current_clock().now())
    with virtual_time():
        with pytest.raises(TooMany):
            api(fail_by_429)()
        first, *others = [call() for _ in range(4)]
    assert 5 <= first <= 5.1
    assert [round(each - first, 6) for each in others] == [0.1, 0.2, 0.3]


def fail_by_429() -> None:
    raise TooMany(5)


def test_a_429_under_a_retry_inside_holds_once_it_has_ended_the_call():
    api = rate_limit("api", "10/s", burst=9)
    events: list[Event] = []
    with virtual_time(), subscribe(events.append), pytest.raises(TooMany):
        Pipeline(api, retry_on_category(attempts=2))(fail_by_429)()
    assert [event.wait for event in events if isinstance(event, RateLimitHeld)] == [5]


@pytest.mark.parametrize("order", ["outside", "inside"])
def test_a_time_limit_that_passes_has_cost_one_token_for_each_attempt(order: str):
    api = hourly(9)
    limits = [api, timeout(0.01)]

    @Pipeline(retry_on_category(attempts=2, base_delay=1), *(limits if order == "outside" else limits[::-1]))
    async def hang() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        with no_waits(), pytest.raises(CallTimeoutError):
            await hang()

    asyncio.run(main())
    assert left(api) == 7


@pytest.mark.parametrize("order", ["outside", "inside"])
def test_a_value_that_comes_after_the_time_limit_has_cost_one_token(order: str):
    api = hourly(9)
    limits = [api, timeout(0.01)]

    @Pipeline(*(limits if order == "outside" else limits[::-1]))
    async def late() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "late"
        return "never"

    async def main() -> None:
        assert await late() == "late"

    asyncio.run(main())
    assert left(api) == 8


@pytest.mark.parametrize("order", ["outside", "inside"])
def test_a_call_that_an_open_circuit_rejects_takes_no_token(runner: Runner, order: str):
    api, breaker = hourly(9), circuit_breaker(f"fast {order}", failure_threshold=1)
    stack = Pipeline(*([api, breaker] if order == "outside" else [breaker, api]))

    @stack
    def call() -> None: ...

    @stack
    async def call_async() -> None: ...

    def main() -> None:
        with pytest.raises(CircuitOpenError):
            call()

    async def main_async() -> None:
        with pytest.raises(CircuitOpenError):
            await call_async()

    breaker.open()
    runner.run(main, main_async)
    assert left(api) == 9


@pytest.mark.parametrize("order", ["outside", "inside"])
def test_a_call_that_finds_no_slot_beside_it_takes_no_token_on_the_fast_path(order: str):
    api, slots = hourly(9, Unasked), bulkhead("slots", 1, max_queue=0)
    call = Pipeline(*([api, slots] if order == "outside" else [slots, api]))(lambda: left(api))
    assert call() == 8
    with slots, pytest.raises((BulkheadFullError, AssertionError)):
        call()
    assert call() == 7


# -- whatever ends the call -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [KeyboardInterrupt, GeneratorExit, SystemExit])
def test_a_call_that_is_interrupted_has_spent_its_token(ends: type[BaseException]):
    api = hourly(9)

    @api
    def call() -> None:
        raise ends

    for expected in (8, 7):
        with pytest.raises(ends):
            call()
        assert left(api) == expected


def test_a_call_that_is_cancelled_has_spent_its_token(backend: str):
    api = hourly(9)

    @api
    async def hang() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        for expected in (8, 7):
            with anyio.move_on_after(0.01) as scope:
                await hang()
            assert scope.cancelled_caught
            assert left(api) == expected

    anyio.run(main, backend=backend)


def test_a_coroutine_that_is_never_awaited_takes_no_token():
    api = hourly(9)

    @api
    async def call() -> None: ...

    call().close()
    assert left(api) == 9


@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_wherever_ctrl_c_comes_at_most_one_token_is_spent_and_no_lock_stays_taken(fails: bool):
    api, made = hourly(10_000), 0

    @fallback(default="default")
    @api
    def call() -> str:
        nonlocal made
        made += 1
        if fails:
            raise ConnectionResetError
        return "value"

    def other_thread() -> None:
        answers.append(call())

    expected, interrupted = call(), 0
    inside = {call.__code__, RateLimiting.run.__code__, *functions_of(FreeTokens)}
    for _ in interruptions(call, inside):
        interrupted += 1
        answers: list[str] = []
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join(10)
        assert answers == [expected]
        assert not api.snapshot()["queued"]
        assert made <= 10_000 - left(api) <= made + interrupted


# -- the limiter itself -----------------------------------------------------------------------------------------------


@given(
    moments=st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0, 5.0]), max_size=40),
    cost=st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 4.0]),
)
def test_it_admits_what_the_bucket_admits(moments: list[float], cost: float):
    with virtual_time() as clock:  # of times that are exact in binary: the last bit is rounded otherwise
        bucket, twin = (Bucket(0.25, 4, threading.RLock(), clock=clock) for _ in range(2))
        tokens = FreeTokens(bucket, cost)
        for moment in moments:
            clock.advance(moment)
            assert tokens.try_enter([None]) == twin.try_acquire(cost)
            assert (bucket.tat, bucket.epoch) == (twin.tat, twin.epoch)


def test_a_reservation_from_before_the_bucket_was_full_is_not_paid_back():
    api = rate_limit("api", "1/s", burst=2)
    with virtual_time() as clock:
        reservation = api.reserve(1)
        clock.advance(60)
        assert api(lambda: left(api))() == 1
        reservation.settle(0)
        assert left(api) == 1
