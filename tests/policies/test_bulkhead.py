"""Bulkhead: so many calls at a time, a short queue, and a refusal at once of what cannot be done in time."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import anyio
import pytest

from resilience import (
    BulkheadFullError,
    ErrorCategory,
    Pipeline,
    bulkhead,
    circuit_breaker,
    classify,
    deadline,
    describe,
    fallback,
    retry_on_category,
    subscribe,
    timeout,
)
from resilience.clock import current_clock
from resilience.events import CallRejected
from resilience.testing import virtual_time


async def sleep(seconds: float) -> None:
    await current_clock().sleep_async(seconds)


async def settle() -> None:
    """Let all tasks go on until they wait: virtual time would pass if this one waited as well."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


class Crowd:
    """Tasks that call through a policy, one after the other, and what came of them: a moment, or an error."""

    def __init__(self, policy: Pipeline | bulkhead, function: Callable[..., object] = sleep) -> None:
        self.policy = policy
        self.function = function
        self.ended: list[tuple[int, object]] = []

    async def call(self, number: int, *arguments: object) -> None:
        try:
            await self.policy.acall(self.function, *arguments)
        except BulkheadFullError as error:
            self.ended.append((number, error.reason))
        else:
            self.ended.append((number, round(current_clock().now(), 3)))


def in_virtual_time(main: Callable[[], object], backend: str) -> None:
    with virtual_time():
        anyio.run(main, backend=backend)


def full(**options: object) -> bulkhead:
    """Return a bulkhead of one slot, which is taken."""
    policy = bulkhead("stock", 1, **options)
    assert policy._compartment.slots.try_acquire()
    return policy


# -- the limit, and the queue -----------------------------------------------------------------------------------------


def test_as_many_calls_as_the_limit_run_at_a_time_and_others_wait_their_turn(backend: str):
    stock = bulkhead("stock", 2)
    in_flight: list[int] = []

    async def main() -> None:
        done = anyio.Event()

        async def call() -> None:
            in_flight.append(stock.snapshot()["in_flight"])
            await done.wait()

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(stock.acall, call)
            await settle()
            assert stock.snapshot() == {"limit": 2, "in_flight": 2, "queued": 4, "rejected": 0}
            done.set()

    anyio.run(main, backend=backend)
    assert (len(in_flight), max(in_flight)) == (6, 2)
    assert stock.snapshot() == {"limit": 2, "in_flight": 0, "queued": 0, "rejected": 0}


def test_threads_and_event_loops_share_the_slots_of_one_object():
    stock = bulkhead("stock", 3, max_queue=20)
    lock = threading.Lock()
    running: list[int] = []
    most = 0

    def call() -> None:
        nonlocal most
        with lock:
            running.append(1)
            most = max(most, len(running))
        threading.Event().wait(0.001)
        with lock:
            running.pop()

    async def call_async() -> None:
        call()

    async def loop() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(stock.acall, call_async)

    threads = [threading.Thread(target=stock.call, args=(call,)) for _ in range(4)]
    threads += [
        threading.Thread(target=anyio.run, args=(loop,), kwargs={"backend": name}) for name in ("asyncio", "trio")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 1 <= most <= 3
    assert stock.snapshot() == {"limit": 3, "in_flight": 0, "queued": 0, "rejected": 0}


@pytest.mark.parametrize(("limit", "queue"), [(1, 10), (5, 10), (20, 40)])
def test_the_queue_is_twice_as_long_as_the_limit_and_at_least_ten_unless_it_is_given(limit: int, queue: int):
    assert bulkhead("stock", limit)._compartment.slots.max_queue == queue
    assert bulkhead("stock", limit, max_queue=3)._compartment.slots.max_queue == 3


def test_a_call_that_finds_the_queue_full_is_refused_at_once_and_counted():
    stock = full(max_queue=0)
    with pytest.raises(BulkheadFullError) as caught:
        stock.call(abs, 1)
    assert str(caught.value) == "bulkhead 'stock' is full: its queue is full (1 call in flight, 0 queued)"
    assert caught.value.retry_after is None
    assert caught.value.details == {"bulkhead": "stock", "limit": 1, "queued": 0, "reason": "its queue is full"}
    assert stock.snapshot()["rejected"] == 1


def test_once_the_queue_has_stood_for_100_ms_the_newest_is_served_and_the_oldest_refused(backend: str):
    crowd = Crowd(full(max_queue=2))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(crowd.call, 1, 0)
            await settle()
            tasks.start_soon(crowd.call, 2, 0)
            await settle()
            await sleep(0.2)
            tasks.start_soon(crowd.call, 3, 0)
            await settle()
            assert crowd.ended == [(1, "its queue is full")]
            crowd.policy._compartment.slots.release()
        assert crowd.ended == [(1, "its queue is full"), (3, 0.2), (2, 0.2)]

    in_virtual_time(main, backend)


def test_a_wait_ends_after_max_wait(backend: str):
    crowd = Crowd(full(max_wait=timedelta(seconds=2)))

    async def main() -> None:
        await crowd.call(1, 0)
        assert crowd.ended == [(1, "no slot became free in time")]
        assert current_clock().now() == 2

    in_virtual_time(main, backend)


def test_a_sync_call_waits_and_ends_its_wait_as_an_async_one_does():
    stock = full(max_wait=2)
    with virtual_time(patience=0.02) as clock:
        with pytest.raises(BulkheadFullError, match="no slot became free in time"):
            stock.call(abs, 1)
        assert clock.now() == 2
        stock._compartment.slots.release()
        assert stock.call(abs, -1) == 1


# -- what cannot be done in time --------------------------------------------------------------------------------------


def measured(seconds: float, **options: object) -> bulkhead:
    """Return a bulkhead whose one slot is taken, and whose calls have taken so many seconds of late."""
    stock = full(**options)
    stock._compartment.slots.durations.extend([seconds] * 3)
    return stock


def test_a_call_that_cannot_end_by_its_deadline_is_refused_before_it_waits(backend: str):
    stock = measured(1.0)

    async def main() -> None:
        with pytest.raises(BulkheadFullError) as caught:
            await Pipeline(deadline(1.5), stock).acall(sleep, 1)
        assert caught.value.reason == "a slot would come too late"
        assert caught.value.retry_after == 1.0
        assert str(caught.value).endswith("; a slot is expected in 1 s")
        assert current_clock().now() == 0

    in_virtual_time(main, backend)


def test_a_call_with_time_enough_waits_for_its_slot(backend: str):
    stock = measured(1.0)
    crowd = Crowd(Pipeline(deadline(2.5), stock))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(crowd.call, 1, 1)
            await sleep(1)
            stock._compartment.slots.release()
        assert crowd.ended == [(1, 2.0)]

    in_virtual_time(main, backend)


@pytest.mark.parametrize(("order", "expected"), [("oldest", 3.0), ("newest", 1.0)])
def test_those_that_are_served_before_it_count_in_the_expected_wait(backend: str, order: str, expected: float):
    stock = measured(1.0, order=order)
    crowd = Crowd(stock)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in (1, 2):
                tasks.start_soon(crowd.call, number, 0)
                await settle()
            assert stock._compartment.expected_wait() == expected
            with pytest.raises(BulkheadFullError, match="a slot would come too late"):
                await Pipeline(deadline(expected + 0.5), stock).acall(sleep, 1)
            stock._compartment.slots.release()

    in_virtual_time(main, backend)


def test_how_long_calls_take_is_learned_from_those_that_end_whatever_their_outcome(backend: str):
    stock = bulkhead("stock", 1)

    async def fail() -> None:
        await sleep(3)
        raise ConnectionResetError

    async def main() -> None:
        await stock.acall(sleep, 1)
        with pytest.raises(ConnectionResetError):
            await stock.acall(fail)
        assert stock._compartment.expected_wait() == 2.0

    in_virtual_time(main, backend)


# -- with other policies ----------------------------------------------------------------------------------------------


def test_a_refusal_is_no_failure_of_the_dependency_and_is_not_retried_at_once():
    stock = full(max_queue=0)
    breaker = circuit_breaker("stock", failure_threshold=1)
    stack = Pipeline(fallback(default="later"), retry_on_category(attempts=3), breaker, stock)
    assert stack.call(abs, 1) == "later"
    assert breaker.current_state == "closed"
    assert stock.snapshot()["rejected"] == 1
    assert classify(BulkheadFullError("stock", 1, 0, "its queue is full")) is ErrorCategory.REJECTED


def test_waiting_does_not_count_against_the_time_limit_inside(backend: str):
    stock = full()
    crowd = Crowd(Pipeline(stock, timeout(1.0)))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(crowd.call, 1, 0.5)
            await sleep(30)
            stock._compartment.slots.release()
        assert crowd.ended == [(1, 30.5)]

    in_virtual_time(main, backend)


def test_a_call_within_a_call_takes_a_free_slot_and_never_waits_for_its_own():
    stock = bulkhead("stock", 2)

    @stock
    def countdown(number: int) -> int:
        return countdown(number - 1) if number else 0

    assert countdown(1) == 0
    with pytest.raises(BulkheadFullError, match="the call already has a slot, and no other is free"):
        countdown(2)
    assert stock.snapshot() == {"limit": 2, "in_flight": 0, "queued": 0, "rejected": 1}


def test_tasks_that_a_call_leaves_behind_wait_as_any_do(backend: str):
    stock = bulkhead("stock", 1)
    crowd = Crowd(stock)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:

            async def leave_tasks_behind() -> None:
                tasks.start_soon(wait_a_while_and_call, 1)
                tasks.start_soon(wait_a_while_and_call, 2)

            async def wait_a_while_and_call(number: int) -> None:
                await sleep(1)
                await crowd.call(number, 1)

            await stock.acall(leave_tasks_behind)
        assert sorted(moment for _, moment in crowd.ended) == [2.0, 3.0]

    in_virtual_time(main, backend)


def test_a_cancelled_wait_and_a_cancelled_call_give_back_what_they_took(backend: str):
    stock = bulkhead("stock", 1)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(stock.acall, anyio.sleep_forever)
            await settle()
            assert stock.snapshot()["queued"] == 2
            tasks.cancel_scope.cancel()
        assert stock.snapshot() == {"limit": 1, "in_flight": 0, "queued": 0, "rejected": 0}

    anyio.run(main, backend=backend)


# -- streams, blocks, classes -----------------------------------------------------------------------------------------


def test_a_stream_holds_its_slot_until_its_items_have_ended_or_it_is_closed(backend: str):
    stock = bulkhead("stock", 2)

    @stock
    def items() -> Iterator[int]:
        yield from range(3)

    @stock
    async def items_async() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    for _ in items():
        assert stock.snapshot()["in_flight"] == 1
    opened = items()
    next(opened)
    opened.close()
    assert stock.snapshot()["in_flight"] == 0

    async def main() -> None:
        async for _ in items_async():
            assert stock.snapshot()["in_flight"] == 1
        assert stock.snapshot()["in_flight"] == 0

    anyio.run(main, backend=backend)


def test_the_consumer_of_a_stream_is_no_part_of_it_and_may_wait(backend: str):
    stock = bulkhead("stock", 1)
    waited: list[object] = []

    @stock
    async def items() -> AsyncIterator[int]:
        yield 1

    async def main() -> None:
        opened = items()
        await anext(opened)
        async with anyio.create_task_group() as tasks:
            crowd = Crowd(stock)
            tasks.start_soon(crowd.call, 1, 0)
            await settle()
            waited.append(stock.snapshot()["queued"])
            await opened.aclose()
        assert waited == [1]
        assert len(crowd.ended) == 1

    anyio.run(main, backend=backend)


def test_a_block_is_a_call(backend: str):
    stock = bulkhead("stock", 1, max_queue=0)
    with stock:
        assert stock.snapshot()["in_flight"] == 1

    async def main() -> None:
        async with stock:
            assert stock.snapshot()["in_flight"] == 1

    anyio.run(main, backend=backend)
    assert stock.snapshot()["in_flight"] == 0


# -- keys -------------------------------------------------------------------------------------------------------------


def test_each_key_has_slots_and_a_queue_of_its_own():
    stock = bulkhead("stock", 1, key=lambda shelf, *_: shelf, max_queue=0)

    @stock
    def count(shelf: str, *others: str) -> int:
        return 1 + (count(*others) if others else 0)

    assert count("a", "b", "c") == 3
    with pytest.raises(BulkheadFullError):
        count("a", "b", "a")
    assert stock.snapshot() == {"limit": 1, "in_flight": 0, "queued": 0, "rejected": 1}


def test_of_many_keys_an_idle_one_is_dropped_and_never_one_with_calls_in_flight():
    stock = bulkhead("stock", 1, key=lambda shelf: shelf, max_keys=2, max_queue=0)

    @stock
    def visit(shelf: str) -> None:
        if shelf == "a":
            for other in "bcd":
                visit(other)
            with pytest.raises(BulkheadFullError):
                visit("a")

    visit("a")
    assert [key for key, _ in stock._keyed.items()] == ["d", "a"]


def test_a_key_that_cannot_be_derived_reaches_the_caller_with_a_note():
    stock = bulkhead("stock", 1, key=lambda shelf: shelf.name)
    with pytest.raises(AttributeError) as caught:
        stock.call(len, "a")
    assert caught.value.__notes__ == ["resilience: raised by key= of bulkhead 'stock'; the call was not made"]


# -- what is said of it -----------------------------------------------------------------------------------------------


def test_a_refusal_is_an_event_with_the_time_after_which_a_slot_is_expected():
    stock = measured(1.0, max_queue=0)
    seen: list[object] = []
    with subscribe(seen.append), pytest.raises(BulkheadFullError):
        stock.call(abs, 1)
    assert seen == [CallRejected(target="builtins.abs", policy="stock", retry_after=1.0)]


def test_describe_shows_the_options_that_were_given_and_the_longest_wait():
    @bulkhead("stock", 20, max_wait=2, order="oldest")
    def stock() -> None: ...

    shown = str(describe(stock))
    assert shown.startswith("bulkhead('stock', 20, max_wait=2, order='oldest')")
    assert shown.endswith("worst case: 1 call, 2 s of waiting and what the calls take")
    assert "no limit to the waiting" in str(describe(bulkhead("stock", 20)(lambda: None)))
    assert repr(bulkhead("stock", 5, key=len, max_queue=7)) == "<bulkhead('stock', 5, max_queue=7) per key>"


def test_the_note_of_a_failed_call_has_the_load():
    @retry_on_category(attempts=2, base_delay=0)
    @bulkhead("stock", 20)
    def stock() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError) as caught:
        stock()
    assert "bulkhead 'stock' 0 of 20 in flight, 0 queued" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        ((len, 3), {}, "name=<built-in function len>: give the dependency's name as text"),
        ((" ", 3), {}, "name=' ': give the dependency's name"),
        (("stock", 0), {}, "limit=0: give a whole number of 1 or more"),
        (("stock", 2.5), {}, "limit=2.5: give a whole number of 1 or more"),
        (("stock", 2), {"max_queue": -1}, "max_queue=-1: give a whole number of 0 or more"),
        (("stock", 2), {"max_wait": 0}, "max_wait=0: give seconds"),
        (("stock", 2), {"order": "lifo"}, "order='lifo': give"),
        (("stock", 2), {"key": "shelf"}, "key='shelf': give a function of the call's arguments"),
        (("stock", 2), {"key": sleep}, "an async one is not awaited"),
        (("stock", 2), {"max_keys": 0}, "max_keys=0: give a whole number of 1 or more"),
    ],
)
def test_bad_options_are_refused_where_they_are_written(
    arguments: tuple[object, ...], options: dict[str, object], expected: str
):
    with pytest.raises((TypeError, ValueError)) as caught:
        bulkhead(*arguments, **options)
    assert expected in str(caught.value)
