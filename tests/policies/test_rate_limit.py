"""Rate limit: so many calls in a time, the others in turn, a refusal at once of what would be too late, and holds."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import anyio
import httpx
import pytest

from resilience import (
    ErrorCategory,
    Pipeline,
    RateLimitedError,
    circuit_breaker,
    classify,
    deadline,
    describe,
    fallback,
    rate_limit,
    retry_on_category,
    subscribe,
    timeout,
)
from resilience.clock import current_clock
from resilience.events import CallRejected, RateLimitHeld
from resilience.policies._rate import parse_rate
from resilience.policies._rate_limiting import RateLimiting
from resilience.policies._token_bucket import Ticket
from resilience.policies.rate_limit import CombinedRateLimit
from resilience.testing import no_waits, virtual_time
from tests.interruptions import functions_of, interruptions


async def now() -> float:
    return round(current_clock().now(), 6)


async def sleep(seconds: float) -> None:
    await current_clock().sleep_async(seconds)


async def settle() -> None:
    """Let all tasks go on until they wait, for fewer rounds than virtual time needs to jump."""
    for _ in range(8):
        await anyio.lowlevel.checkpoint()


class TooMany(Exception):
    """A server's 429."""

    category = ErrorCategory.RATE_LIMIT

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__("429")
        self.retry_after = retry_after


class Crowd:
    """Tasks that call through a policy, and what came of them: the moment they went, or the seconds to their turn."""

    def __init__(
        self, policy: Pipeline | rate_limit | CombinedRateLimit, function: Callable[..., object] = now
    ) -> None:
        self.policy = policy
        self.function = function
        self.ended: list[tuple[int, object]] = []

    async def call(self, number: int, *arguments: object) -> None:
        try:
            self.ended.append((number, await self.policy.acall(self.function, *arguments)))
        except RateLimitedError as error:
            self.ended.append((number, f"refused: {error.retry_after:g} s"))

    async def calls(self, *arguments: tuple[object, ...]) -> None:
        """Begin a call with each of *arguments*, in this order."""
        async with anyio.create_task_group() as tasks:
            for number, each in enumerate(arguments):
                tasks.start_soon(self.call, number, *each)
                await settle()  # trio begins tasks in any order


def in_virtual_time(main: Callable[[], object], backend: str) -> None:
    with virtual_time():
        anyio.run(main, backend=backend)


def spent(rate: str = "1/s", **options: object) -> rate_limit:
    """Return a limit whose tokens have been taken, by the clock in force."""
    policy = rate_limit("api", rate, **options)
    for _ in range(policy.burst):
        assert policy.try_acquire()
    return policy


# -- the rate, and the queue ------------------------------------------------------------------------------------------


def test_the_burst_goes_at_once_and_further_calls_at_the_rate_in_their_order(backend: str):
    crowd = Crowd(rate_limit("api", "2/s", burst=2))

    async def main() -> None:
        await crowd.calls(*[()] * 6)
        assert sorted(crowd.ended) == [(0, 0.0), (1, 0.0), (2, 0.5), (3, 1.0), (4, 1.5), (5, 2.0)]

    in_virtual_time(main, backend)


def test_sync_calls_wait_as_async_ones_do():
    api = rate_limit("api", "2/s", burst=2, max_wait=0.5)
    with virtual_time() as clock:
        moments = [api.call(clock.now) for _ in range(5)]
    assert moments == [0.0, 0.0, 0.5, 1.0, 1.5]


def test_a_pause_brings_the_burst_back_and_no_more():
    api = spent("2/s", burst=3)
    with virtual_time() as clock:
        assert [api.try_acquire() for _ in range(4)] == [True, True, True, False]
        clock.advance(0.5)
        assert [api.try_acquire() for _ in range(2)] == [True, False]
        clock.advance(60)
        assert [api.try_acquire() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(("rate", "burst"), [("500/min", 50), ("10/s", 1), ("5/10s", 1), ("99/hour", 9)])
def test_a_tenth_of_the_rate_goes_at_once_and_at_least_one_call_unless_it_is_given(rate: str, burst: int):
    assert rate_limit("api", rate).burst == burst
    assert rate_limit("api", rate, burst=7).burst == 7


def test_a_large_request_is_served_at_its_turn_however_many_small_ones_come(backend: str):
    crowd = Crowd(rate_limit("api", "10/s", burst=10, cost=lambda cost=1: cost), now_whatever)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(crowd.call, number)
            await sleep(0.05)
            for number in range(10, 40):
                if number == 20:
                    tasks.start_soon(crowd.call, 1000, 10)
                    await settle()
                tasks.start_soon(crowd.call, number)
                await sleep(0.1)
        served = dict(crowd.ended)
        assert served[1000] <= served[19] + 10 / 10 + 1e-6
        assert served[21] > served[1000]

    in_virtual_time(main, backend)


async def now_whatever(_cost: int = 1) -> float:
    return await now()


def test_threads_and_event_loops_share_the_tokens_of_one_object():
    rate, burst = 2000, 20
    api = rate_limit("api", f"{rate}/s", burst=burst)
    began = time.monotonic()

    async def call_async() -> None: ...

    async def loop() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(api.acall, call_async)

    def calls() -> None:
        for _ in range(50):
            api.call(int)

    threads = [threading.Thread(target=calls) for _ in range(4)]
    threads += [
        threading.Thread(target=anyio.run, args=(loop,), kwargs={"backend": name})
        for name in ("asyncio", "asyncio", "trio")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert time.monotonic() - began >= (350 - burst) / rate
    assert api.snapshot()["queued"] == 0


def test_a_call_of_a_thread_is_not_kept_from_its_turn_by_a_loop_that_is_busy():
    api = rate_limit("api", "50/s", burst=1)
    assert api.try_acquire()
    waits, done = threading.Event(), threading.Event()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(api.acall, now)
            await settle()
            waits.set()
            assert done.wait(30)  # blocks the loop, whose call is the first in the queue

    loop = threading.Thread(target=anyio.run, args=(main,))
    loop.start()
    assert waits.wait(30)
    api.call(int)
    done.set()
    loop.join(30)
    assert api.snapshot()["queued"] == 0


# -- what would be too late -------------------------------------------------------------------------------------------


def test_a_call_whose_turn_comes_after_max_wait_is_refused_at_once(backend: str):
    crowd = Crowd(rate_limit("api", "1/s", max_wait=timedelta(seconds=2)))

    async def main() -> None:
        await crowd.calls(*[()] * 5)
        refused = [(number, came) for number, came in crowd.ended if isinstance(came, str)]
        assert crowd.ended[0] == (0, 0.0)
        assert len(refused) == 2
        assert {came for _, came in refused} == {"refused: 3 s"}
        assert max(came for _, came in crowd.ended if isinstance(came, float)) == 2.0

    in_virtual_time(main, backend)


def test_with_max_wait_zero_no_call_waits():
    with virtual_time() as clock:
        api = spent(max_wait=0)
        with pytest.raises(RateLimitedError) as caught:
            api.call(abs, 1)
        assert str(caught.value) == "rate limit 'api' of 1/s refused the call: its turn is in 1 s"
        assert caught.value.details == {"rate_limit": "api", "rate": "1/s", "cost": 1}
        assert clock.now() == 0
        assert api.snapshot()["rejected"] == 1


def test_a_call_whose_turn_comes_at_its_deadline_or_later_is_refused_at_once(backend: str):
    async def main() -> None:
        api = spent()
        with pytest.raises(RateLimitedError):
            await Pipeline(deadline(1.0), api).acall(now)
        assert current_clock().now() == 0
        assert await Pipeline(deadline(1.5), api).acall(now) == 1.0

    in_virtual_time(main, backend)


def test_waiting_does_not_count_against_the_time_limit_inside(backend: str):
    async def main() -> None:
        assert await Pipeline(spent("1/min"), timeout(1.0)).acall(now) == 60.0

    in_virtual_time(main, backend)


def test_calls_that_wait_are_refused_as_soon_as_a_hold_makes_them_too_late(backend: str):
    async def main() -> None:
        api = spent("1/s", max_wait=5)
        crowd = Crowd(api)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(crowd.call, 1)
            await settle()
            api.observe(httpx.Response(429, headers={"Retry-After": "30"}))
            await settle()
            assert [number for number, _ in crowd.ended] == [1]
            assert current_clock().now() < 1
        assert str(crowd.ended[0][1]).startswith("refused: 30")

    in_virtual_time(main, backend)


# -- what is not used is given back -----------------------------------------------------------------------------------


def test_a_call_that_is_cancelled_while_it_waits_takes_no_token(backend: str):
    async def main() -> None:
        api = spent("1/s")
        crowd = Crowd(api)
        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as cancelled:
                cancelled.start_soon(crowd.call, 1)
                await settle()
                tasks.start_soon(crowd.call, 2)
                await settle()
                assert api.snapshot()["queued"] == 2
                cancelled.cancel_scope.cancel()
        assert crowd.ended == [(2, 1.0)]
        assert api.snapshot()["queued"] == 0

    in_virtual_time(main, backend)


def test_a_call_that_is_cancelled_as_it_gets_its_token_gives_it_back(backend: str):
    async def main() -> None:
        api = spent("20/s")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(api.acall, anyio.sleep_forever)
            await settle()
            (ticket,) = api._bucket.queue
            while not ticket.claim(current_clock().now()):  # as a call of another thread does for those ahead of it
                time.sleep(0.01)
            tasks.cancel_scope.cancel()
        assert api.snapshot()["available"] > 0.5

    anyio.run(main, backend=backend)


@pytest.mark.slow  # a hundred thousand tasks
def test_a_hundred_thousand_cancelled_calls_leave_nothing_behind(backend: str):
    api = rate_limit("api", "1/day")
    assert api.try_acquire()

    async def main() -> None:
        for _ in range(100):
            async with anyio.create_task_group() as tasks:
                for _ in range(1000):
                    tasks.start_soon(api.acall, now)
                await settle()
                assert api.snapshot()["queued"] == 1000
                tasks.cancel_scope.cancel()
            assert api.snapshot()["queued"] == 0

    anyio.run(main, backend=backend)
    assert (api._bucket.queued, api._bucket.available(time.monotonic()) < 1) == (0.0, True)


def test_a_sync_call_that_its_caller_leaves_while_it_waits_takes_no_token():
    api = rate_limit("api", "1/hour")
    assert api.try_acquire()
    with pytest.raises(TimeoutError):
        Pipeline(timeout(0.05), Uncapped(), api).call(int)
    for _ in range(1000):
        if not api.snapshot()["queued"]:
            break
        time.sleep(0.005)
    assert api.snapshot()["queued"] == 0


@pytest.mark.parametrize("several", [False, True])
def test_ctrl_c_at_any_instruction_leaves_no_place_in_the_queue_and_no_lock_taken(several: bool):
    first, second = rate_limit("a", "1/s"), rate_limit("b", "1/s")
    policy = rate_limit.all_of(first, second) if several else first

    def call() -> None:
        with virtual_time():
            assert first.try_acquire()
            policy.call(int)

    def other_thread() -> None:
        with virtual_time():
            taken.append((first.try_acquire(), second.try_acquire()))

    inside = {RateLimiting.run.__code__, RateLimiting._admit.__code__, *functions_of(Ticket)}
    for _ in interruptions(call, inside):
        assert [each.snapshot()["queued"] for each in (first, second)] == [0, 0]
        taken: list[object] = []
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join(10)
        assert taken == [(True, True)]


class Uncapped(rate_limit):
    """Hides the limit outside from the call's deadline, so that it waits and is left."""

    def __init__(self) -> None:
        super().__init__("uncapped", "1/s")

    def run(self, call):
        call.due = float("inf")
        return (yield from super().run(call))


def test_a_reservation_pays_back_what_was_not_used_and_charges_what_was_not_reserved():
    api = rate_limit("model", "600/min", burst=100)
    with virtual_time() as clock:
        lease = api.reserve(80)
        assert api.snapshot()["available"] == 20
        lease.settle(50)
        assert api.snapshot()["available"] == 50
        lease.settle(130)
        assert api.snapshot()["available"] == 0
        assert api.snapshot()["wait"] == pytest.approx(3.1)
        clock.advance(4)
        assert api.snapshot()["available"] == 10
        assert repr(lease) == "<Reservation of 130>"


def test_a_reservation_that_cannot_be_had_at_once_is_refused_with_the_time():
    with virtual_time():
        api = rate_limit("model", "60/min", burst=10)
        api.reserve(8)
        with pytest.raises(RateLimitedError, match="refused a call that costs 5: its turn is in 3 s"):
            api.reserve(5)
        assert api.snapshot()["rejected"] == 1


def test_tokens_that_are_paid_back_wake_a_call_that_waits_for_them(backend: str):
    async def main() -> None:
        api = rate_limit("model", "60/min", burst=60)
        lease = api.reserve(60)
        crowd = Crowd(api)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(crowd.call, 1)
            await settle()
            lease.settle(10)
        assert crowd.ended == [(1, 0.0)]

    in_virtual_time(main, backend)


@pytest.mark.parametrize(
    ("used", "kind"), [((), TypeError), ((1, 2), TypeError), ((-1,), ValueError), (("1",), TypeError)]
)
def test_a_reservation_is_settled_by_one_number_of_zero_or_more(used: tuple, kind: type[Exception]):
    with pytest.raises(kind, match="used="):
        rate_limit("model", "10/s").reserve().settle(*used)


# -- costs ------------------------------------------------------------------------------------------------------------


def test_each_call_takes_its_cost():
    with virtual_time() as clock:
        api = rate_limit("api", "10/s", burst=10, cost=5)
        assert [api.call(clock.now) for _ in range(4)] == [0.0, 0.0, 0.5, 1.0]


def test_a_function_says_the_cost_of_a_call_by_its_arguments():
    api = rate_limit("model", "10/s", burst=10, cost=lambda prompt, **_: len(prompt), max_wait=0)
    with virtual_time():
        assert api.call(str, "12345678") == "12345678"
        assert api.snapshot()["available"] == pytest.approx(2)
        with pytest.raises(RateLimitedError, match="costs 3"):
            api.call(str, "123")
        assert api.call(str, "") == ""  # what costs nothing is not limited


@pytest.mark.parametrize(
    ("cost", "kind", "says"),
    [
        (11, ValueError, "cost=11: give at most burst=10, or a larger burst: a call that costs more could never go"),
        (-1, ValueError, "cost=-1: give a number of 0 or more"),
        ("3", TypeError, "cost='3': give a number of 0 or more"),
        (float("nan"), ValueError, "cost=nan: give a number of 0 or more"),
    ],
)
def test_a_cost_that_cannot_be_is_the_error_of_the_call_with_a_note(cost: object, kind: type[Exception], says: str):
    api = rate_limit("model", "10/s", burst=10, cost=lambda: cost)
    reached: list[int] = []
    with pytest.raises(kind) as caught:
        api.call(lambda: reached.append(1))
    assert says in str(caught.value)
    assert caught.value.__notes__ == ["resilience: raised by cost= of rate limit 'model'; the call was not made"]
    assert reached == []


def test_an_error_of_the_cost_function_is_the_error_of_the_call_with_a_note():
    api = rate_limit("model", "10/s", cost=lambda prompt: prompt.tokens)
    with pytest.raises(AttributeError) as caught:
        api.call(len, "a")
    assert caught.value.__notes__ == ["resilience: raised by cost= of rate limit 'model'; the call was not made"]


@pytest.mark.parametrize("by_hand", ["try_acquire", "reserve"])
def test_by_hand_a_cost_above_the_burst_is_refused_in_words(by_hand: str):
    api = rate_limit("model", "10/s", burst=10)
    with pytest.raises(ValueError, match="cost=30: give at most burst=10"):
        getattr(api, by_hand)(30)
    with pytest.raises(ValueError, match="cost=0: give a number of more than 0"):
        getattr(api, by_hand)(0)


# -- holds ------------------------------------------------------------------------------------------------------------


def test_of_eight_workers_after_one_429_none_goes_inside_the_wait_and_then_they_go_at_the_rate(backend: str):
    api = rate_limit("api", "10/s", burst=10)
    went: list[float] = []

    async def request() -> None:
        went.append(current_clock().now())
        if len(went) == 1:
            raise TooMany(retry_after=5)

    async def worker() -> None:
        for _ in range(3):
            try:
                await api.acall(request)
            except TooMany:
                pass

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(worker)

    in_virtual_time(main, backend)
    inside = [moment for moment in went if moment < 5.0]
    after = [moment for moment in went if moment >= 5.0]
    assert inside == [0.0]
    assert after[0] <= 5.1  # a part of an interval at random, so that processes do not come back together
    assert [later - earlier for earlier, later in zip(after, after[1:], strict=False)] == pytest.approx([0.1] * 22)


def test_a_hold_brings_no_burst_with_it_and_takes_the_one_that_was_there():
    with virtual_time() as clock:
        api = rate_limit("api", "1/s", burst=5, max_wait=0)
        with pytest.raises(TooMany):
            api.call(fail_with, TooMany(20))
        assert api.snapshot()["available"] == 0
        clock.advance(21)
        assert 1 <= api.snapshot()["available"] < 2


def fail_with(error: Exception) -> None:
    raise error


def test_a_hold_lasts_at_most_max_hold_and_is_switched_off_by_zero():
    with virtual_time():
        api = rate_limit("api", "10/s", max_hold=3)
        with pytest.raises(TooMany):
            api.call(fail_with, TooMany(3600))
        assert 3 <= api.snapshot()["wait"] <= 3.1
        never = rate_limit("api", "10/s", burst=2, max_hold=0)
        with pytest.raises(TooMany):
            never.call(fail_with, TooMany(3600))
        assert never.try_acquire()


def test_without_a_hint_the_hold_is_the_base_wait_of_the_category():
    with virtual_time():
        api = rate_limit("api", "10/s")
        with pytest.raises(TooMany):
            api.call(fail_with, TooMany())
        assert 1 <= api.snapshot()["wait"] <= 1.1


@pytest.mark.parametrize("error", [ConnectionResetError(), ValueError(), TimeoutError()])
def test_other_failures_hold_nothing(error: Exception):
    api = rate_limit("api", "10/s", burst=2)
    with pytest.raises(type(error)):
        api.call(fail_with, error)
    assert api.try_acquire()


def test_a_hold_of_one_key_is_none_of_another():
    api = rate_limit("api", "10/s", key=lambda tenant, *_: tenant, max_wait=0)

    def call(_tenant: str, error: Exception | None = None) -> str:
        if error is not None:
            raise error
        return "done"

    with virtual_time() as clock:
        with pytest.raises(TooMany):
            api.call(call, "ada", TooMany(30))
        with pytest.raises(RateLimitedError):
            api.call(call, "ada")
        assert api.call(call, "bob") == "done"
        clock.advance(30.2)
        assert api.call(call, "ada") == "done"


def test_a_retry_outside_waits_for_the_hint_and_comes_back_after_the_hold(runner):
    api = rate_limit("api", "10/s")
    story = runner.play(Pipeline(retry_on_category(attempts=2), api), TooMany(4), "done")
    assert story.answer == "done"
    assert story.now >= 4
    assert "rate_limit.held" in story.names


# -- what a server says -----------------------------------------------------------------------------------------------


def response(**headers: str) -> httpx.Response:
    return httpx.Response(200, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (response(Retry_After="7"), 7),
        (response(X_RateLimit_Remaining="0", X_RateLimit_Reset="30"), 30),
        (response(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="6s"), 6),
        (response(RateLimit='"burst";r=0;t=9', RateLimit_Policy='"burst";q=100;w=60'), 9),
        (response(RateLimit='"burst";r=0', RateLimit_Policy='"burst";q=100;w=50'), 50),
        (response(RateLimit='"burst";r=0;t=9', Retry_After="12"), 12),
        (response(Retry_After="3600"), 60),
        (response(Retry_After="soon"), 0),
        (response(RateLimit='"burst";r=5;t=9'), 0),
        (response(Retry_After="7", Age="3"), 0),
        (object(), 0),
    ],
)
def test_what_a_server_asks_to_wait_holds_all_calls(answer: object, wait: float):
    with virtual_time():
        api = rate_limit("api", "10/s", burst=10)
        api.observe(answer)
        assert wait <= api.snapshot()["wait"] <= wait + 0.1


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        (response(X_RateLimit_Remaining="3", X_RateLimit_Reset="30"), 3),
        (response(x_ratelimit_remaining_requests="2", x_ratelimit_remaining_tokens="1"), 2),
        (response(anthropic_ratelimit_requests_remaining="4"), 4),
        (response(RateLimit='"a";r=8;t=9, "b";r=6;t=1'), 6),
        (response(RateLimit="limit=100, remaining=7, reset=30"), 7),
        (response(RateLimit='"b";r=1;t=1', RateLimit_Policy='"b";q=9;qu="content-bytes";w=1'), 10),
        (response(X_RateLimit_Remaining="900"), 10),
        (response(X_RateLimit_Remaining="-1"), 10),
        (response(X_RateLimit_Remaining="few"), 10),
        (response(X_RateLimit_Remaining="1", Age="0"), 10),
    ],
)
def test_no_more_tokens_are_left_than_a_server_has_requests_left(answer: object, left: float):
    with virtual_time():
        api = rate_limit("api", "10/s", burst=10)
        api.observe(answer)
        assert api.snapshot()["available"] == pytest.approx(left)


def test_requests_that_are_left_say_nothing_where_calls_cost_something_else():
    with virtual_time():
        api = rate_limit("model", "10/s", burst=10, cost=5)
        api.observe(response(X_RateLimit_Remaining="3"))
        assert api.snapshot()["available"] == 10


def test_an_observed_hold_is_an_event_too():
    seen: list[object] = []
    with virtual_time(), subscribe(seen.append):
        rate_limit("api", "10/s").observe(response(Retry_After="7"))
    assert seen == [RateLimitHeld(target="api", policy="api", wait=7.0)]


# -- several limits ---------------------------------------------------------------------------------------------------


def test_several_limits_are_taken_together_all_or_none(backend: str):
    fast, slow = rate_limit("seconds", "10/s", burst=2), rate_limit("minutes", "60/min", burst=3)
    crowd = Crowd(rate_limit.all_of(fast, slow))

    async def main() -> None:
        await crowd.calls(*[()] * 5)
        assert sorted(crowd.ended) == [(0, 0.0), (1, 0.0), (2, 0.1), (3, 1.0), (4, 2.0)]
        assert fast.snapshot()["available"] == pytest.approx(1)  # it was not taken while the other was waited for

    in_virtual_time(main, backend)


def test_a_refusal_of_several_names_the_one_that_would_take_longest_and_takes_of_none():
    with virtual_time():
        fast, slow = rate_limit("seconds", "10/s", burst=5), spent("1/min", max_wait=3)
        both = rate_limit.all_of(fast, slow)
        with pytest.raises(RateLimitedError, match="rate limit 'api' of 1/min refused the call: its turn is in 60 s"):
            both.call(int)
        assert fast.snapshot() == {
            "rate": "10/s",
            "burst": 5,
            "available": 5.0,
            "wait": 0.0,
            "queued": 0,
            "rejected": 0,
        }
        assert both.snapshot()["api"]["rejected"] == 1


def test_a_call_that_is_cancelled_while_it_waits_for_several_takes_of_none(backend: str):
    async def main() -> None:
        fast, slow = rate_limit("seconds", "10/s"), spent("1/min")
        both = rate_limit.all_of(fast, slow)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(both.acall, now)
            await settle()
            assert not fast.try_acquire()  # calls of one limit alone wait behind
            tasks.cancel_scope.cancel()
        assert fast.try_acquire()
        assert both.snapshot()["api"]["queued"] == 0

    in_virtual_time(main, backend)


def test_each_of_several_limits_has_its_own_cost_and_key():
    requests = rate_limit("requests", "10/s", burst=2, key=lambda tenant, _: tenant)
    tokens = rate_limit("tokens", "1000/s", burst=1000, cost=lambda _, prompt: len(prompt))
    both = rate_limit.all_of(requests, tokens)
    with virtual_time():
        assert both.call(lambda _, prompt: prompt, "ada", "12345") == "12345"
        assert tokens.snapshot()["available"] == pytest.approx(995)
        assert both.try_acquire(1, 95, key="ada")
        assert not both.try_acquire(1, 1, key="ada")
        assert both.try_acquire(1, 1, key="bob")
        lease = both.reserve(1, 500, key="bob")
        lease.settle(1, 100)
        assert tokens.snapshot()["available"] == pytest.approx(799)


def test_a_429_behind_several_limits_holds_the_fastest_and_so_all():
    fast, slow = rate_limit("seconds", "10/s", burst=5), rate_limit("days", "1000/day")
    both = rate_limit.all_of(fast, slow)
    with virtual_time() as clock:
        with pytest.raises(TooMany):
            both.call(fail_with, TooMany(5))
        assert not both.try_acquire()
        assert slow.snapshot()["available"] == pytest.approx(99)
        clock.advance(5.1)
        assert both.try_acquire()
        both.observe(response(Retry_After="9"))
        assert not both.try_acquire()


@pytest.mark.parametrize(
    ("limits", "kind", "says"),
    [
        ((), ValueError, "limits=[]: give two or more"),
        ((rate_limit("a", "1/s"),), ValueError, "limits=['a']: give two or more"),
        ((rate_limit("a", "1/s"), rate_limit("a", "9/s")), ValueError, "each with a name of its own"),
        ((rate_limit("a", "1/s"), "9/s"), TypeError, "limits='9/s': give rate limits, such as rate_limit("),
        (
            (rate_limit("a", "1/s"), rate_limit("b", "1/s", only=["get"])),
            TypeError,
            "limits=<rate_limit('b', '1/s')>: give a limit without only=",
        ),
    ],
)
def test_what_cannot_be_taken_together_is_refused(limits: tuple, kind: type[Exception], says: str):
    with pytest.raises(kind) as caught:
        rate_limit.all_of(*limits)
    assert says in str(caught.value)


def test_several_limits_by_hand_take_a_number_for_each():
    both = rate_limit.all_of(rate_limit("a", "1/s"), rate_limit("b", "1/s"))
    with pytest.raises(TypeError, match=r"costs=\(1,\): give 2 numbers, one for each limit"):
        both.try_acquire(1)
    assert str(both) == "rate_limit.all_of(rate_limit('a', '1/s'), rate_limit('b', '1/s'))"
    assert "no limit to the waiting" in str(describe(both(now)))


# -- with other policies ----------------------------------------------------------------------------------------------


def test_a_refusal_is_no_failure_of_the_dependency_and_is_not_retried_at_once():
    with virtual_time():
        api = spent(max_wait=0)
        breaker = circuit_breaker("api", failure_threshold=1)
        stack = Pipeline(fallback(default="later"), retry_on_category(attempts=3), breaker, api)
        assert stack.call(abs, 1) == "later"
        assert breaker.current_state == "closed"
        assert api.snapshot()["rejected"] == 1
        assert classify(RateLimitedError("api", "1/s")) is ErrorCategory.REJECTED


def test_no_waits_lets_calls_go_that_would_wait_and_refuses_those_that_would_be_refused(backend: str):
    api = rate_limit("api", "1/hour", max_wait=7200)
    with no_waits():
        assert [api.call(abs, -1) for _ in range(5)] == [1] * 5
        assert anyio.run(api.acall, now, backend=backend) > 0
        with pytest.raises(RateLimitedError):
            Pipeline(deadline(5), api).call(int)
    assert api.snapshot()["queued"] == 0


# -- streams, blocks, classes -----------------------------------------------------------------------------------------


def test_a_stream_pays_once(backend: str):
    with virtual_time():
        api = rate_limit("api", "1/s", burst=2)

        @api
        def items() -> Iterator[int]:
            yield from range(3)

        @api
        async def items_async() -> AsyncIterator[int]:
            for number in range(3):
                yield number

        async def main() -> None:
            assert [number async for number in items_async()] == [0, 1, 2]

        assert list(items()) == [0, 1, 2]
        assert api.snapshot()["available"] == 1
        anyio.run(main, backend=backend)
        assert api.snapshot()["available"] == 0


def test_a_stream_that_fails_by_a_429_holds_all_calls():
    with virtual_time():
        api = rate_limit("api", "10/s", burst=5)

        @api
        def items() -> Iterator[int]:
            yield 1
            raise TooMany(8)

        with pytest.raises(TooMany):
            list(items())
        assert 8 <= api.snapshot()["wait"] <= 8.1


def test_a_block_is_a_call(backend: str):
    async def main() -> None:
        api = rate_limit("api", "1/s")
        with api:
            assert current_clock().now() == 0
        async with api:
            assert current_clock().now() == 1
        with pytest.raises(TooMany):
            async with api:
                raise TooMany(6)
        async with api:
            assert current_clock().now() >= 8

    in_virtual_time(main, backend)


# -- keys -------------------------------------------------------------------------------------------------------------


def test_each_key_has_tokens_and_a_queue_of_its_own(backend: str):
    api = rate_limit("api", "1/s", key=lambda tenant: tenant)
    crowd = Crowd(api, now_whatever)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(crowd.calls, *[(tenant,) for tenant in ("ada", "bob", "ada", "bob", "ada")])
            for _ in range(4):
                await settle()
            await settle()
            assert api.snapshot()["queued"] == 3
        assert sorted(crowd.ended) == [(0, 0.0), (1, 0.0), (2, 1.0), (3, 1.0), (4, 2.0)]

    in_virtual_time(main, backend)


def test_the_tokens_of_a_key_are_remembered_between_calls():
    with virtual_time() as clock:
        api = rate_limit("api", "1/s", key=lambda tenant: tenant, max_wait=0)
        assert api.call(str, "ada") == "ada"
        assert not api.try_acquire(key="ada")
        assert api.try_acquire(key="bob")
        clock.advance(1)
        assert api.try_acquire(key="ada")


def test_a_key_that_cannot_be_derived_reaches_the_caller_with_a_note():
    api = rate_limit("api", "1/s", key=lambda tenant: tenant.name)
    with pytest.raises(AttributeError) as caught:
        api.call(len, "a")
    assert caught.value.__notes__ == ["resilience: raised by key= of rate limit 'api'; the call was not made"]
    with pytest.raises(TypeError, match="rate limit 'api': key= gave a list, which cannot be a dict's key"):
        rate_limit("api", "1/s", key=lambda tenant: [tenant]).call(len, "a")


def test_by_hand_a_key_is_given_where_there_are_keys_and_only_there():
    with pytest.raises(TypeError, match="key=None: give the key of a bucket, rate limit 'api' has one for each"):
        rate_limit("api", "1/s", key=len).try_acquire()
    with pytest.raises(TypeError, match="key='ada': give none, rate limit 'api' has no key="):
        rate_limit("api", "1/s").observe(response(), key="ada")


# -- what is said of it -----------------------------------------------------------------------------------------------


def test_refusals_and_holds_are_events():
    seen: list[object] = []
    with virtual_time(), subscribe(seen.append):
        api = rate_limit("api", "1/s", max_wait=0)
        with pytest.raises(TooMany):
            api.call(fail_with, TooMany(5))
        with pytest.raises(RateLimitedError) as caught:
            api.call(abs, 1)
    hold, refusal = seen
    assert hold == RateLimitHeld(target="tests.policies.test_rate_limit.fail_with", policy="api", wait=5.0)
    assert refusal == CallRejected(target="builtins.abs", policy="api", retry_after=caught.value.retry_after)


def test_describe_shows_the_options_that_were_given_and_the_longest_wait():
    @rate_limit("api", "500/min", burst=20, max_wait=2, cost=3, max_hold=10)
    def search() -> None: ...

    shown = str(describe(search))
    assert shown.startswith("rate_limit('api', '500/min', burst=20, cost=3, max_wait=2, max_hold=10)")
    assert shown.endswith("worst case: 1 call, 2 s of waiting and what the calls take")
    assert "no limit to the waiting" in str(describe(rate_limit("api", "1/s")(lambda: None)))
    assert repr(rate_limit("api", "1/s", key=len, cost=len)) == "<rate_limit('api', '1/s', cost=len) per key>"


def test_the_note_of_a_failed_call_has_the_load_of_each_of_several_limits():
    both = rate_limit.all_of(rate_limit("per second", "1/s", burst=5), rate_limit("per day", "100/day", burst=3))

    @retry_on_category(attempts=2, base_delay=0)
    @both
    def call() -> None:
        raise ConnectionResetError

    with virtual_time(), pytest.raises(ConnectionResetError) as caught:
        call()
    (note,) = caught.value.__notes__
    expected = "rate limit 'per second' 3 of 5 tokens, 0 queued, rate limit 'per day' 1 of 3 tokens, 0 queued"
    assert expected in note


def test_the_note_of_a_failed_call_has_the_load():
    with virtual_time():

        @retry_on_category(attempts=2, base_delay=0)
        @rate_limit("api", "10/s", burst=5)
        def search() -> None:
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError) as caught:
            search()
        assert "rate limit 'api' 3 of 5 tokens, 0 queued" in "\n".join(caught.value.__notes__)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "calls", "seconds"),
    [
        ("10/s", 10, 1),
        ("500/min", 500, 60),
        ("1000/hour", 1000, 3600),
        ("5/10s", 5, 10),
        (" 5 / 2 Hours ", 5, 7200),
        ("1/day", 1, 86400),
        ("30/seconds", 30, 1),
    ],
)
def test_a_rate_is_a_number_per_unit_of_time(text: str, calls: int, seconds: int):
    assert parse_rate("rate", text) == (calls, seconds, text.strip())


RATE = "rate={!r}: give a number of calls per unit of time as text, such as '10/s', '500/min', '1000/hour' or '5/10s'"


@pytest.mark.parametrize(
    ("rate", "kind", "says"),
    [
        ("500/mn", ValueError, "rate='500/mn': give a unit of s, min, hour or day; did you mean 'min'?"),
        ("500/m", ValueError, "rate='500/m': give a unit of s, min, hour or day"),
        ("500/month", ValueError, "rate='500/month': give a unit of s, min, hour or day"),
        ("0/min", ValueError, "rate='0/min': give numbers of 1 or more"),
        ("5/0s", ValueError, "rate='5/0s': give numbers of 1 or more"),
        ("-5/min", ValueError, RATE.format("-5/min")),
        ("0.5/s", ValueError, RATE.format("0.5/s")),
        ("500", ValueError, RATE.format("500")),
        ("/min", ValueError, RATE.format("/min")),
        ("", ValueError, RATE.format("")),
        ("٣/s", ValueError, RATE.format("٣/s")),
        (500, TypeError, RATE.format(500)),
        ((500, 60.0), TypeError, RATE.format((500, 60.0))),
        (None, TypeError, RATE.format(None)),
    ],
)
def test_a_rate_that_cannot_be_meant_is_refused(rate: object, kind: type[Exception], says: str):
    with pytest.raises(kind) as caught:
        rate_limit("api", rate)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"name": len}, "name=<built-in function len>: give the dependency's name as text"),
        ({"name": " "}, "name=' ': give the dependency's name"),
        ({"burst": 0}, "burst=0: give a whole number of 1 or more"),
        ({"burst": 0.5}, "burst=0.5: give a whole number of 1 or more"),
        ({"cost": 0}, "cost=0: give a number of more than 0, or a function of the call's arguments"),
        ({"cost": -1}, "cost=-1: give a number of more than 0"),
        ({"cost": "2"}, "cost='2': give a number of more than 0"),
        ({"cost": 11}, "cost=11: give at most burst=1, or a larger burst: a call that costs more could never go"),
        ({"cost": sleep}, "an async one is not awaited"),
        ({"max_wait": -1}, "max_wait=-1: give seconds (a number or a timedelta) of 0 or more"),
        ({"max_hold": -1}, "max_hold=-1: give seconds (a number or a timedelta) of 0 or more"),
        ({"key": "tenant"}, "key='tenant': give a function of the call's arguments"),
        ({"key": sleep}, "an async one is not awaited"),
        ({"max_keys": 0}, "max_keys=0: give a whole number of 1 or more"),
    ],
)
def test_bad_options_are_refused_where_they_are_written(options: dict[str, object], expected: str):
    with pytest.raises((TypeError, ValueError)) as caught:
        rate_limit(**{"name": "api", "rate": "10/s", **options})
    assert expected in str(caught.value)
