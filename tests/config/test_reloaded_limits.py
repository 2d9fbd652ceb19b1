"""Limits whose options change while calls are in flight: what they know goes on under the new options."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from resilience import RateLimitedError, ThrottledError
from resilience.config import ConfiguredPolicies, Policies
from resilience.errors import AdaptiveLimitError, BulkheadFullError
from resilience.testing import virtual_time

PATIENCE = 60


def policies_with(**shop: object) -> Policies:
    return Policies.load({"policies": {"shop": shop}}, environment={})


@contextmanager
def in_flight(shop: ConfiguredPolicies, calls: int) -> Iterator[None]:
    """Have so many calls in flight, and those that come beyond the limit in the queue."""
    release, begun = threading.Event(), threading.Semaphore(0)

    @shop
    def call() -> None:
        begun.release()
        assert release.wait(PATIENCE)

    callers = [threading.Thread(target=call) for _ in range(calls)]
    for caller in callers:
        caller.start()
    for _ in callers:
        assert begun.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        release.set()
        for caller in callers:
            caller.join()


def answer() -> str:
    return "answer"


def test_calls_in_flight_count_against_a_bulkhead_that_has_shrunk():
    policies = policies_with(bulkhead={"limit": 3, "max_queue": 0})
    shop = policies["shop"]
    guarded = shop(answer)
    with in_flight(shop, 2):
        assert guarded() == "answer"
        policies.set("shop", "bulkhead.limit", 2)
        with pytest.raises(BulkheadFullError, match="2"):
            guarded()
        policies.set("shop", "bulkhead.limit", 3)
        assert guarded() == "answer"
    policies.set("shop", "bulkhead.limit", 1)
    assert guarded() == "answer"


def test_calls_that_wait_get_the_slots_of_a_bulkhead_that_has_grown():
    policies = policies_with(bulkhead={"limit": 1, "max_queue": 5})
    shop = policies["shop"]
    waited: list[str] = []
    guarded = shop(answer)
    with in_flight(shop, 1):
        waiting = threading.Thread(target=lambda: waited.append(guarded()))
        waiting.start()
        bulkhead = shop.plan.parts["bulkhead"]
        while bulkhead.snapshot()["queued"] == 0:  # type: ignore[attr-defined]
            assert waiting.is_alive()
        policies.set("shop", "bulkhead.limit", 2)
        waiting.join(PATIENCE)
        assert waited == ["answer"]


def test_an_adaptive_limit_keeps_its_calls_within_the_new_bounds():
    policies = policies_with(adaptive_limit={"start": 3, "least": 1, "most": 10, "max_queue": 0})
    shop = policies["shop"]
    guarded = shop(answer)
    with in_flight(shop, 2):
        assert guarded() == "answer"
        policies.set("shop", "adaptive_limit.start", 2)  # of a new limit; this one has begun
        assert guarded() == "answer"
        policies.set("shop", "adaptive_limit.most", 2)
        with pytest.raises(AdaptiveLimitError):
            guarded()


@pytest.mark.parametrize(("rate", "wait"), [("5/s", 0.2), ("20/s", 0.05)])
def test_tokens_that_are_gone_stay_gone_at_another_rate(rate: str, wait: float):
    policies = policies_with(rate_limit={"rate": "10/s", "burst": 4, "max_wait": 0})
    guarded = policies["shop"](answer)
    with virtual_time() as clock:
        for _ in range(4):
            assert guarded() == "answer"
        policies.set("shop", "rate_limit.rate", rate)
        with pytest.raises(RateLimitedError) as caught:
            guarded()
        assert caught.value.retry_after == pytest.approx(wait)
        clock.advance(wait + 1e-6)
        assert guarded() == "answer"
        with pytest.raises(RateLimitedError):
            guarded()


def test_a_rate_limit_with_tokens_left_has_as_many_under_a_larger_burst():
    policies = policies_with(rate_limit={"rate": "10/s", "burst": 4, "max_wait": 0})
    guarded = policies["shop"](answer)
    with virtual_time():
        guarded()
        policies.set("shop", "rate_limit.burst", 6)
        for _ in range(5):
            assert guarded() == "answer"
        with pytest.raises(RateLimitedError):
            guarded()


def test_a_hold_of_the_server_lasts_as_long_as_it_did():
    policies = policies_with(rate_limit={"rate": "10/s", "max_wait": 0})
    guarded = policies["shop"](answer)
    with virtual_time() as clock:
        limit = policies["shop"].plan.parts["rate_limit"]
        limit.observe({"Retry-After": "30"})  # type: ignore[attr-defined]
        policies.set("shop", "rate_limit.rate", "1000/s")
        clock.advance(29)
        with pytest.raises(RateLimitedError):
            guarded()
        clock.advance(2)
        assert guarded() == "answer"


def test_a_throttle_keeps_what_it_has_counted():
    policies = policies_with(throttle={"k": 2.0})

    @policies["shop"]
    def call() -> None:
        raise TimeoutError

    def rejected() -> int:
        count = 0
        for _ in range(100):
            try:
                call()
            except ThrottledError:
                count += 1
            except TimeoutError:
                pass
        return count

    with virtual_time():
        assert rejected() > 50
        policies.set("shop", "throttle.k", 1.5)
        assert rejected() > 95
