"""Rate limits that a fleet shares, in virtual time, with a store in memory."""

from __future__ import annotations

import itertools
import random

import pytest

from resilience import RateLimitedError, bulkhead, rate_limit
from resilience.fleet import Fleet
from resilience.fleet._memory_store import MemoryStore, shared_memory
from resilience.testing import virtual_time
from tests.runners import Runner

_numbers = itertools.count()


def limits(count: int, rate: str = "10/s", **options: object):
    """Return the limits of *count* processes that are one fleet."""
    name = f"quota fleet {next(_numbers)}"
    return [rate_limit("model", rate, fleet=Fleet("memory://", name=name), **options) for _ in range(count)]


def lose(limit, *, lost: bool = True) -> None:
    limit._bucket._lane.lost = lost


def test_all_processes_together_take_no_more_than_the_burst():
    with virtual_time():
        found = limits(4, burst=10)
        taken = [limit.try_acquire() for limit in found for _ in range(10)]
        assert sum(taken) <= 10
        assert sum(taken) >= 8  # what another one has leased ahead


@pytest.mark.parametrize(("nodes", "rate", "per_second"), [(1, "50/s", 50), (10, "50/s", 50), (50, "250/s", 250)])
def test_the_rate_of_all_is_the_rate(nodes: int, rate: str, per_second: int):
    seconds, burst = 10, per_second // 10
    with virtual_time() as clock:
        found = limits(nodes, rate)
        chance = random.Random(nodes)
        made = dict.fromkeys(range(nodes), 0)
        for _ in range(seconds * 200):
            clock.advance(1 / 200)
            for number in chance.sample(range(nodes), nodes):
                made[number] += found[number].try_acquire()
        total = sum(made.values())
        assert total <= (per_second * seconds + burst) * 1.05
        assert total >= per_second * seconds * 0.95
        share = total / nodes
        assert all(abs(count - share) <= max(0.1 * share, 2) for count in made.values()), sorted(made.values())


def test_a_call_waits_for_its_tokens(runner: Runner):
    def decorate(function):
        return limits(1, "10/s", burst=1)[0](function)

    story = runner.play(decorate, *range(5), pauses=(0,) * 4)
    assert story.answers == list(range(5))
    assert 0.39 <= story.now <= 0.6


def test_a_call_that_would_wait_for_too_long_is_refused(runner: Runner):
    def decorate(function):
        limit = limits(1, "1/min", burst=1, max_wait=5)[0]
        assert limit.try_acquire()
        return limit(function)

    story = runner.play(decorate, "never")
    assert story.reached == 0
    assert isinstance(story.answer, RateLimitedError)
    assert 50 <= story.answer.retry_after <= 61


def test_what_is_not_spent_is_given_back():
    with virtual_time() as clock:
        one, two = limits(2, "10/s", burst=20)
        for _ in range(20):
            clock.advance(0.01)
            one.try_acquire()
        assert one._bucket.leased > 0
        clock.advance(2)
        one._bucket._lane.pump()
        assert one._bucket.leased < 1
        clock.advance(2)
        assert sum(two.try_acquire() for _ in range(30)) == 20


def test_a_process_that_is_cut_off_spends_a_safe_share():
    with virtual_time() as clock:
        found = limits(5, "50/s")
        for limit in found:
            limit.try_acquire()
        clock.advance(2)
        for limit in found:
            limit._bucket._lane.pump()
        assert found[0]._bucket._lane.nodes == 5
        for limit in found:
            lose(limit)
            limit._bucket._lane._beat_at = clock.now() + 40
        made = [0] * 5
        for _ in range(2000):
            clock.advance(0.01)
            for number, limit in enumerate(found):
                made[number] += limit.try_acquire()
        assert all(180 <= count <= 215 for count in made), made


def test_the_costs_of_calls_are_tokens():
    with virtual_time():
        one, two = limits(2, "60/min", burst=30)
        reservation = one.reserve(20)
        assert not two.try_acquire(20)
        reservation.settle(5)
        assert one.try_acquire(15)
        with pytest.raises(RateLimitedError):
            two.reserve(20)


def test_a_servers_retry_after_holds_the_calls_of_this_process():
    with virtual_time() as clock:
        (limit,) = limits(1, "10/s")
        assert limit.try_acquire()
        limit._hold(limit._bucket, 5.0)
        clock.advance(4.9)
        assert not limit.try_acquire()
        clock.advance(0.3)
        assert limit.try_acquire() or limit.try_acquire()


def test_a_limit_with_keys_is_refused():
    with pytest.raises(TypeError, match="a fleet shares one quota"):
        limits(1, key=lambda user: user)


def test_what_is_no_fleet_is_refused():
    with pytest.raises(TypeError, match="fleet='redis://cache': give a fleet"):
        rate_limit("model", "10/s", fleet="redis://cache")


def test_two_urls_of_one_name_are_one_store():
    assert isinstance(shared_memory("one"), MemoryStore)
    assert shared_memory("one") is shared_memory("one")


def test_a_bulkhead_takes_no_fleet_and_says_what_to_do_instead():
    with pytest.raises(TypeError, match=r"bulkhead\(fleet=...\): a bulkhead counts the calls of its own process; give"):
        bulkhead("stock", 20, fleet=Fleet("memory://", name="shop"))
