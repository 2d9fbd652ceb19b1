"""Priorities: who has which, how far it reaches, and whom the load that is shed falls on."""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience import (
    AdaptiveLimitError,
    BulkheadFullError,
    CircuitOpenError,
    ErrorCategory,
    ThrottledError,
    adaptive_limit,
    bulkhead,
    circuit_breaker,
    hedge,
    priority,
    throttle,
    timeout,
)
from resilience._priority_context import LEVELS, Rank, current_rank
from resilience._runtime import waiting_order
from resilience._runtime.waiting_order import Turns, place_to_evict, place_to_serve, waiting_before
from resilience.policies import _priority_mix
from resilience.policies._priority_mix import PriorityMix, fair_quota
from resilience.testing import virtual_time
from tests.runners import Runner

LOW, MIDDLE, HIGH = range(3)


def here() -> tuple[int, str | None]:
    rank = current_rank()
    return rank.level, rank.tenant


# -- the block ---------------------------------------------------------------------------------------------------------


def test_outside_of_any_block_a_call_is_normal_and_of_no_tenant():
    assert here() == (MIDDLE, None)


def test_the_innermost_block_counts_and_the_enclosing_one_after_it():
    with priority("critical", tenant="acme"):
        assert here() == (HIGH, "acme")
        with priority("sheddable"):
            assert here() == (LOW, "acme")
            with priority("normal", tenant="other"):
                assert here() == (MIDDLE, "other")
        assert here() == (HIGH, "acme")
    assert here() == (MIDDLE, None)


def test_it_ends_with_the_block_that_fails():
    with suppress(KeyError), priority("critical"):
        raise KeyError
    assert here() == (MIDDLE, None)


def test_one_object_may_be_entered_again_and_by_many_tasks(backend: str):
    batch = priority("sheddable", tenant="batch")
    found: list[tuple[int, str | None]] = []

    async def task(first: anyio.Event, then: anyio.Event) -> None:
        with batch, batch:
            first.set()
            await then.wait()
        found.append(here())

    async def main() -> None:
        one, other = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(task, one, other)
            await one.wait()
            tasks.start_soon(task, other, one)

    anyio.run(main, backend=backend)
    assert found == [(MIDDLE, None)] * 2


def test_tasks_and_threads_that_it_starts_have_it(backend: str):
    found: list[tuple[int, str | None]] = []

    async def note() -> None:
        found.append(here())

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            with priority("critical", tenant="acme"):
                tasks.start_soon(note)
                await anyio.to_thread.run_sync(lambda: found.append(here()))
                context = contextvars.copy_context()
                await timeout(5).acall(note)
        thread = threading.Thread(target=context.run, args=(lambda: found.append(here()),))
        thread.start()
        thread.join(30)

    anyio.run(main, backend=backend)
    assert found == [(HIGH, "acme")] * 4


def test_a_call_in_a_thread_of_a_time_limit_or_of_a_hedge_has_it():
    found: list[tuple[int, str | None]] = []
    with priority("critical", tenant="acme"):
        timeout(5).call(lambda: found.append(here()))
        hedge(5, to_threads=True).call(lambda: found.append(here()))
    assert found == [(HIGH, "acme")] * 2


def test_with_asyncio_alone_it_reaches_tasks_and_threads():
    async def main() -> list[tuple[int, str | None]]:
        async def note() -> tuple[int, str | None]:
            return here()

        with priority("sheddable"):
            task = asyncio.create_task(note())
            return [await task, await asyncio.to_thread(here), here()]

    assert asyncio.run(main()) == [(LOW, None)] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "urgent"}, "level='urgent': give"),
        ({"level": 1}, "level=1: give"),
        ({"level": "normal", "tenant": 5}, "tenant=5: give the tenant's name as text"),
    ],
    ids=str,
)
def test_a_wrong_argument_fails_where_it_is_written(arguments: dict[str, object], message: str):
    with pytest.raises((TypeError, ValueError), match=message):
        priority(**arguments)


def test_it_is_shown_as_it_is_written():
    assert repr(priority("critical", tenant="acme")) == "priority('critical', tenant='acme')"
    assert repr(priority("normal")) == "priority('normal')"


# -- the order of a queue ----------------------------------------------------------------------------------------------


class Waiting:
    def __init__(self, level: int, tenant: str | None = None) -> None:
        self.rank = Rank(level, tenant)


def queue(*calls: tuple[int, str | None] | int) -> list[Waiting]:
    return [Waiting(*((call,) if isinstance(call, int) else call)) for call in calls]


@pytest.mark.parametrize(("newest_first", "place"), [(False, 1), (True, 3)])
def test_of_the_highest_level_the_first_or_the_last_is_served(newest_first: bool, place: int):
    calls = queue(LOW, HIGH, MIDDLE, HIGH, LOW)
    assert place_to_serve(calls, Turns(), newest_first=newest_first) == place


def test_tenants_of_a_level_take_turns():
    calls, turns, served = queue(*[(LOW, "a")] * 6, *[(LOW, "b")] * 3, (LOW, None)), Turns(), []
    while calls:
        call = calls.pop(place_to_serve(calls, turns, newest_first=False))
        turns.note(call.rank.tenant)
        served.append(call.rank.tenant)
    assert served == [None, "a", "b", "a", "b", "a", "b", "a", "a", "a"]


def test_of_many_tenants_those_that_were_served_last_are_known(monkeypatch: pytest.MonkeyPatch):
    assert waiting_order._MAX_TENANTS == 1024
    monkeypatch.setattr(waiting_order, "_MAX_TENANTS", 3)
    turns = Turns()
    for tenant in "abcd":
        turns.note(tenant)
    assert len(turns._served) == 3
    assert turns.next_of({"b", "c", "a"}) == "a"
    assert turns.next_of({"b", "c", "d"}) == "b"


@pytest.mark.parametrize(
    ("calls", "newcomer", "oldest_first", "newest_first"),
    [
        # A lower level leaves: the one that would be served last.
        ([HIGH, LOW, LOW], (MIDDLE, None), 2, 1),
        # The newcomer is the lowest: it is refused.
        ([HIGH, HIGH], (MIDDLE, None), None, None),
        # All alike: newest first the oldest leaves.
        ([MIDDLE, MIDDLE], (MIDDLE, None), None, 0),
        # A tenant with two calls more than the newcomer's gives one up.
        ([(LOW, "a"), (LOW, "b"), (LOW, "a"), (LOW, "a")], (LOW, "b"), 3, 0),
        ([(LOW, "b"), (LOW, "a"), (LOW, "a")], (LOW, "b"), None, 0),
        ([(LOW, "a"), (LOW, "a")], (LOW, "b"), 1, 0),
        # With as many as the others it replaces one of its own, or the oldest of its level.
        ([(LOW, "a"), (LOW, "b")], (LOW, "b"), None, 1),
        ([(LOW, "a"), (HIGH, "a")], (LOW, "b"), None, 0),
    ],
)
def test_of_a_full_queue_the_lowest_leaves(
    calls: list[tuple[int, str | None] | int],
    newcomer: tuple[int, str | None],
    oldest_first: int | None,
    newest_first: int | None,
):
    found = [place_to_evict(queue(*calls), Rank(*newcomer), newest_first=newest) for newest in (False, True)]
    assert found == [oldest_first, newest_first]


def test_those_are_served_before_a_newcomer_that_are_of_a_higher_level_or_older():
    calls = queue(LOW, MIDDLE, MIDDLE, HIGH)
    assert [waiting_before(calls, Rank(level), newest_first=False) for level in range(3)] == [4, 3, 1]
    assert [waiting_before(calls, Rank(level), newest_first=True) for level in range(3)] == [3, 1, 0]


class Crowd:
    """Tasks that call through a policy, and in which order they were served, or refused."""

    def __init__(self, limit: bulkhead | adaptive_limit) -> None:
        self.limit = limit
        self.served: list[str] = []
        self.refused: list[str] = []

    async def call(self, name: str, level: str, tenant: str | None = None) -> None:
        with priority(level, tenant=tenant):
            try:
                await self.limit.acall(self.serve, name)
            except (AdaptiveLimitError, BulkheadFullError):
                self.refused.append(name)

    async def serve(self, name: str) -> None:
        self.served.append(name)

    def play(self, backend: str, *calls: tuple[str, ...]) -> None:
        async def main() -> None:
            slots = self.limit._compartment.slots
            assert slots.try_acquire()
            async with anyio.create_task_group() as tasks:
                for call in calls:
                    tasks.start_soon(self.call, *call)
                    for _ in range(20):
                        await anyio.lowlevel.checkpoint()
                slots.release()

        with virtual_time():
            anyio.run(main, backend=backend)


LIMITS: list[Callable[[int], bulkhead | adaptive_limit]] = [
    lambda queue: bulkhead("prioritized", 1, max_queue=queue),
    lambda queue: adaptive_limit("prioritized", start=1, least=1, max_queue=queue),
]


@pytest.mark.parametrize("make", LIMITS, ids=["bulkhead", "adaptive_limit"])
def test_waiting_calls_are_served_by_their_level(make: Callable[[int], bulkhead], backend: str):
    crowd = Crowd(make(10))
    crowd.play(backend, ("a", "sheddable"), ("b", "normal"), ("c", "critical"), ("d", "normal"), ("e", "critical"))
    assert crowd.served == ["c", "e", "b", "d", "a"]
    assert crowd.limit.snapshot()["in_flight"] == crowd.limit.snapshot()["queued"] == 0


@pytest.mark.parametrize("make", LIMITS, ids=["bulkhead", "adaptive_limit"])
def test_a_full_queue_refuses_the_lowest(make: Callable[[int], bulkhead], backend: str):
    crowd = Crowd(make(2))
    crowd.play(backend, ("a", "sheddable"), ("b", "sheddable"), ("c", "critical"), ("d", "normal"), ("e", "sheddable"))
    assert crowd.refused == ["b", "a", "e"]
    assert crowd.served == ["c", "d"]
    assert crowd.limit.snapshot()["rejected"] == 3


def test_tenants_of_a_level_share_the_slots(backend: str):
    crowd = Crowd(bulkhead("prioritized", 1, max_queue=10))
    calls = [(f"a{number}", "sheddable", "a") for number in range(4)]
    crowd.play(backend, *calls, ("b0", "sheddable", "b"), ("b1", "sheddable", "b"))
    assert crowd.served == ["a0", "b0", "a1", "b1", "a2", "a3"]


def test_threads_are_served_by_their_level_too():
    slots = bulkhead("prioritized", 1, max_queue=10)
    served: list[str] = []

    def call(level: str) -> None:
        with priority(level):
            slots.call(served.append, level)

    assert slots._compartment.slots.try_acquire()
    threads = []
    for number, level in enumerate(LEVELS):
        threads.append(threading.Thread(target=call, args=(level,)))
        threads[-1].start()
        while slots.snapshot()["queued"] <= number:
            threading.Event().wait(0.001)
    slots._compartment.slots.release()
    for thread in threads:
        thread.join(30)
    assert served == ["critical", "normal", "sheddable"]


def test_a_critical_call_does_not_expect_to_wait_for_sheddable_ones():
    slots = bulkhead("prioritized", 1, max_queue=10, max_wait=1)
    slots._compartment.slots.durations.extend([0.4] * 3)
    with virtual_time():

        async def main() -> None:
            assert slots._compartment.slots.try_acquire()
            async with anyio.create_task_group() as tasks:
                with priority("sheddable"):
                    tasks.start_soon(slots.acall, anyio.lowlevel.checkpoint)
                    for _ in range(20):
                        await anyio.lowlevel.checkpoint()
                    assert slots._compartment.expected_wait() == pytest.approx(0.8)
                with priority("critical"):
                    assert slots._compartment.expected_wait() == pytest.approx(0.4)
                slots._compartment.slots.release()

        anyio.run(main)


# -- shares ------------------------------------------------------------------------------------------------------------


def shares(calls: dict[Rank, int], share: float) -> dict[tuple[int, str | None], float]:
    """Return the share of each rank, where so many calls of each come in turn."""
    mix, found = PriorityMix(), {}
    for _ in range(200):
        for rank, number in calls.items():
            for _ in range(number):
                found[rank.level, rank.tenant] = mix.share_for(rank, share)
    return found


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, (0, 0, 0)), (0.2, (0.4, 0, 0)), (0.5, (1, 0, 0)), (0.65, (1, 0.5, 0)), (0.9, (1, 1, 0.5)), (1.0, (1, 1, 1))],
)
def test_the_share_is_taken_from_the_lowest_level_first(share: float, expected: tuple[float, ...]):
    found = shares({Rank(LOW): 5, Rank(MIDDLE): 3, Rank(HIGH): 2}, share)
    assert tuple(found.values()) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("level", range(3))
def test_where_all_are_alike_each_bears_the_share_itself(level: int):
    mix = PriorityMix()
    assert {mix.share_for(Rank(level), 0.3) for _ in range(2000)} == {0.3}


def test_of_the_tenants_of_a_level_those_with_the_most_calls_bear_the_most():
    found = shares({Rank(LOW, "a"): 16, Rank(LOW, "b"): 3, Rank(LOW): 1}, 0.4)
    assert tuple(found.values()) == pytest.approx((0.5, 0, 0), abs=0.06)


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=20), st.floats(0, 1))
def test_a_fair_quota_admits_what_is_to_be_admitted(demands: list[float], share: float):
    admitted = share * sum(demands)
    quota = fair_quota(demands, admitted)
    assert sum(min(demand, quota) for demand in demands) == pytest.approx(admitted)


def test_counts_are_bounded_and_the_last_ones_count_most(monkeypatch: pytest.MonkeyPatch):
    assert (_priority_mix._MAX_CALLS, _priority_mix._MAX_TENANTS) == (1000, 1024)
    monkeypatch.setattr(_priority_mix, "_MAX_TENANTS", 50)
    mix = PriorityMix()
    for number in range(5000):
        mix.share_for(Rank(LOW, str(number)), 0.5)
    assert len(mix._levels[LOW].tenants) <= 50
    for _ in range(5000):
        mix.share_for(Rank(HIGH), 0.5)
    assert mix._levels[LOW].calls == 0
    assert mix._levels[HIGH].calls <= 1000


class Down(Exception):
    category = ErrorCategory.UNAVAILABLE


def call_in_turn(call: Callable[[], object], rounds: int) -> None:
    """Make calls of each level in turn."""
    for _ in range(rounds):
        for level in LEVELS:
            with priority(level), suppress(CircuitOpenError, ThrottledError, Down, ConnectionResetError):
                call()


def test_a_partial_circuit_sheds_calls_of_the_lowest_level():
    circuit, made, chance, failing = circuit_breaker("prioritized", partial=True), Counter[int](), random.Random(1), 0.0

    @circuit
    def call() -> None:
        made[current_rank().level] += 1
        if chance.random() < failing:
            raise Down

    with virtual_time(seed=1):
        call_in_turn(call, 60)
        failing = 0.25  # it sheds 23 % of all calls
        call_in_turn(call, 60)
        made.clear()
        call_in_turn(call, 300)
    assert made[LOW] < 200
    assert (made[MIDDLE], made[HIGH]) == (300, 300)


def test_a_throttle_rejects_calls_of_the_lowest_level():
    guard, made = throttle("prioritized", k=1.5), Counter[int]()

    @guard
    def call() -> None:
        made[current_rank().level] += 1
        raise ConnectionResetError  # says nothing of the load

    with virtual_time(seed=1):
        for accepted in [True, False] * 15:
            guard._traffic.record(0.0, accepted=accepted)
        assert guard.snapshot()["share"] == pytest.approx(0.24, abs=0.01)
        call_in_turn(call, 12)
    assert made[LOW] < 6
    assert (made[MIDDLE], made[HIGH]) == (12, 12)


def test_a_runner_keeps_the_priority_of_its_caller():
    slots = bulkhead("prioritized", 1)
    for name in ("sync", "asyncio", "trio"):
        with priority("critical"):
            story = Runner(name).play(slots, "ok")
        assert story.answers == ["ok"]
