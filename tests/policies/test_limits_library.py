"""Rate limits in the storages of the real library ``limits``: waits, refusals, keys, async strategies."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import limits
import pytest
from limits.aio import strategies as aio_strategies
from limits.aio.storage import MemoryStorage as AsyncMemoryStorage
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

from resilience import Pipeline, RateLimitedError, deadline, describe, rate_limit, subscribe
from resilience.clock import current_clock
from resilience.events import CallRejected
from resilience.testing import VirtualClock, virtual_time

STRATEGIES = [FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualClock]:
    """Virtual time, which ``limits`` reads as well."""
    with virtual_time() as clock:
        monkeypatch.setattr("time.time", clock.wall)
        yield clock


async def now() -> float:
    return current_clock().now()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_calls_wait_for_the_end_of_the_window(strategy: type, clock: VirtualClock):
    api = rate_limit.from_limits(strategy(MemoryStorage()), "2/10second")
    moments = [api.call(clock.now) for _ in range(4)]
    assert moments[:2] == [0, 0]
    assert moments == sorted(moments)
    assert moments[2] == pytest.approx(10, abs=6)
    for begin in range(2):
        assert strategy is SlidingWindowCounterRateLimiter or moments[begin + 2] - moments[begin] >= 10


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_call_asks_a_sync_storage_in_a_worker_thread(backend: str, clock: VirtualClock):
    api = rate_limit.from_limits(MovingWindowRateLimiter(MemoryStorage()), "1/10second")

    async def main() -> list[float]:
        return [await api.acall(now) for _ in range(2)]

    assert anyio.run(main, backend=backend) == pytest.approx([0, 10], abs=0.02)


def test_a_strategy_of_limits_aio_guards_async_functions_and_no_others(clock: VirtualClock):
    api = rate_limit.from_limits(
        aio_strategies.MovingWindowRateLimiter(AsyncMemoryStorage()), limits.parse("1/10second"), max_wait=5
    )

    async def main() -> None:
        assert await api.acall(now) == 0
        with pytest.raises(RateLimitedError):
            await api.acall(now)

    anyio.run(main)
    with pytest.raises(TypeError):
        api(int)


def test_a_call_that_would_be_too_late_is_refused_at_once_and_is_an_event(clock: VirtualClock):
    api = rate_limit.from_limits(MovingWindowRateLimiter(MemoryStorage()), "1/minute", name="api", max_wait=0)
    seen: list[object] = []
    assert api.call(abs, -1) == 1
    with subscribe(seen.append), pytest.raises(RateLimitedError) as caught:
        api.call(abs, -1)
    assert str(caught.value) == "rate limit 'api' of 1 per 1 minute refused the call: its turn is in 60 s"
    assert seen == [CallRejected(target="builtins.abs", policy="api", retry_after=60.0)]
    patient = rate_limit.from_limits(MovingWindowRateLimiter(MemoryStorage()), "1/minute")
    assert patient.call(int) == 0
    with pytest.raises(RateLimitedError):
        Pipeline(deadline(30), patient).call(int)
    assert clock.now() == 0


def test_each_key_has_a_limit_of_its_own_and_calls_take_their_cost(clock: VirtualClock):
    limiter = MovingWindowRateLimiter(MemoryStorage())
    api = rate_limit.from_limits(limiter, "4/minute", name="api", cost=2, max_wait=0, key=lambda tenant: tenant)
    for tenant in ("ada", "ada", "bob"):
        assert api.call(str, tenant) == tenant
    with pytest.raises(RateLimitedError):
        api.call(str, "ada")
    assert limiter.get_window_stats(limits.parse("4/minute"), "api", "bob").remaining == 2
    with pytest.raises(AttributeError) as caught:
        rate_limit.from_limits(limiter, "4/minute", key=lambda tenant: tenant.name).call(str, "ada")
    assert caught.value.__notes__ == ["resilience: raised by key= of rate limit 'limits'; the call was not made"]


def test_an_error_of_the_storage_is_that_of_the_call():
    class Broken(MemoryStorage):
        def incr(self, *arguments: object, **keywords: object) -> int:
            raise ConnectionRefusedError("no storage")

    api = rate_limit.from_limits(FixedWindowRateLimiter(Broken()), "4/minute")
    with pytest.raises(ConnectionRefusedError, match="no storage"):
        api.call(int)


def test_describe_shows_strategy_and_rate():
    api = rate_limit.from_limits(FixedWindowRateLimiter(MemoryStorage()), "4/minute", max_wait=3)
    assert str(api) == "rate_limit.from_limits(FixedWindowRateLimiter, '4 per 1 minute')"
    assert "3 s of waiting" in str(describe(api(len)))


@pytest.mark.parametrize(
    ("limiter", "rate", "options", "says"),
    [
        (MemoryStorage(), "1/s", {}, "give a strategy of limits, such as limits.strategies.MovingWindowRateLimiter"),
        (FixedWindowRateLimiter(MemoryStorage()), "4/mn", {}, "rate='4/mn': give a limit as text, such as '10/minute'"),
        (FixedWindowRateLimiter(MemoryStorage()), 4, {}, "rate=4: give a limit as text, such as '10/minute'"),
        (FixedWindowRateLimiter(MemoryStorage()), "4/minute", {"cost": 0}, "cost=0: give a whole number of 1 or more"),
        (FixedWindowRateLimiter(MemoryStorage()), "4/minute", {"name": ""}, "name='': give the dependency's name"),
        (FixedWindowRateLimiter(MemoryStorage()), "4/minute", {"max_wait": -1}, "max_wait=-1: give seconds"),
        (FixedWindowRateLimiter(MemoryStorage()), "4/minute", {"key": 1}, "key=1: give a function"),
    ],
)
def test_bad_options_are_refused_where_they_are_written(limiter: object, rate: object, options: dict, says: str):
    with pytest.raises((TypeError, ValueError)) as caught:
        rate_limit.from_limits(limiter, rate, **options)
    assert says in str(caught.value)
