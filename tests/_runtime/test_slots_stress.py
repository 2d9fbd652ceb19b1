"""Slots under many threads and event loops at once: never more calls than slots, and none lost."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from resilience import BulkheadFullError, bulkhead

LIMIT = 3


class Meter:
    """Counts the calls in flight by itself, and remembers the most there were.

    `inside` is a list: appending and counting are atomic, with and without the GIL.
    """

    def __init__(self) -> None:
        self.inside: list[None] = []
        self.most = 0
        self.made = 0
        self._lock = threading.Lock()

    def enter(self) -> None:
        self.inside.append(None)
        most = len(self.inside)
        if most > self.most:
            self.most = most

    def leave(self) -> None:
        self.inside.pop()
        with self._lock:
            self.made += 1


def crowd(stock: bulkhead, meter: Meter, calls: int) -> tuple[list[threading.Thread], list[BaseException]]:
    """Return four threads, two asyncio loops and a trio loop that make so many calls each; and what went wrong."""
    wrong: list[BaseException] = []

    @stock
    def call(number: int) -> None:
        meter.enter()
        if number % 50 == 0:
            time.sleep(0)  # others get to run
        meter.leave()

    @stock
    async def call_async(number: int) -> None:
        meter.enter()
        if number % 50 == 0:
            await anyio.lowlevel.checkpoint()
        meter.leave()

    def again(made: Callable[[], None]) -> Callable[[], None]:
        def work() -> None:
            try:
                made()
            except BaseException as error:  # noqa: BLE001  # else it would be lost with its thread
                wrong.append(error)

        return work

    def sync() -> None:
        for number in range(calls):
            call(number)

    def loop(backend: str) -> Callable[[], None]:
        async def several() -> None:
            for number in range(calls // 4):
                await call_async(number)

        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(several)

        return lambda: anyio.run(main, backend=backend)

    work = [sync] * 4 + [loop("asyncio"), loop("asyncio"), loop("trio")]
    return [threading.Thread(target=again(each), daemon=True) for each in work], wrong


def run(calls: int, seconds: float, order: str = "adaptive") -> None:
    stock, meter = bulkhead("stock", LIMIT, max_queue=100, order=order), Meter()
    threads, wrong = crowd(stock, meter, calls)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads are switched a hundred times as often as usual
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds)
    finally:
        sys.setswitchinterval(before)
    assert wrong == []
    assert not any(thread.is_alive() for thread in threads)
    assert meter.made == 4 * calls + 3 * (calls // 4 * 4)
    assert 1 < meter.most <= LIMIT
    assert stock.snapshot() == {"limit": LIMIT, "in_flight": 0, "queued": 0, "rejected": 0}
    slots = stock._compartment.slots
    assert (slots.free, slots._lent, slots._unwoken) == (LIMIT, {}, [])


@pytest.mark.parametrize("order", ["oldest", "newest", "adaptive"])
def test_threads_and_loops_never_have_more_calls_in_flight_than_slots_and_lose_none(order: str):
    run(400, 60, order)


@pytest.mark.slow
def test_they_have_not_in_a_million_calls():
    run(143_000, 1800)


# -- calls that wait and leave ----------------------------------------------------------------------------------------


def leave_the_queue(calls: int, backend: str) -> None:
    """Have so many calls wait and be cancelled, a part of them just as they are granted a slot."""
    stock = bulkhead("stock", 2, max_queue=1000)
    served = 0

    async def serve() -> None:
        nonlocal served
        served += 1

    async def main() -> None:
        nonlocal served
        for number in range(calls // 100):
            assert stock._compartment.slots.try_acquire()
            assert stock._compartment.slots.try_acquire()
            async with anyio.create_task_group() as tasks:
                for _ in range(100):
                    tasks.start_soon(stock.acall, serve)
                await anyio.wait_all_tasks_blocked()
                assert stock.snapshot()["queued"] == 100
                stock._compartment.slots.release()
                if number % 2:
                    stock._compartment.slots.release()
                tasks.cancel_scope.cancel()
            if not number % 2:
                stock._compartment.slots.release()
            assert stock.snapshot() == {"limit": 2, "in_flight": 0, "queued": 0, "rejected": 0}

    anyio.run(main, backend=backend)
    slots = stock._compartment.slots
    assert (slots._held, slots._lent, slots._unwoken) == ({}, {}, [])


def test_waiters_that_are_cancelled_as_they_are_granted_a_slot_leave_nothing_behind(backend: str):
    leave_the_queue(1000, backend)


@pytest.mark.slow
def test_a_hundred_thousand_of_them_leave_nothing_behind(backend: str):
    leave_the_queue(100_000, backend)


def test_waiters_in_threads_that_run_out_of_time_as_slots_are_released_leave_nothing_behind():
    stock = bulkhead("stock", 1, max_queue=100, max_wait=0.002)
    refused = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal refused
        for _ in range(50):
            try:
                stock.call(time.sleep, 0.001)
            except BulkheadFullError:
                with lock:
                    refused += 1

    threads = [threading.Thread(target=work, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    slots = stock._compartment.slots
    assert (slots.free, slots._held, slots._lent, slots._unwoken, slots.waiting) == (1, {}, {}, [], 0)
    assert stock.snapshot()["rejected"] == refused


def test_one_release_wakes_one_call(backend: str):
    stock = bulkhead("stock", 1, max_queue=1000, order="oldest")
    woken: list[anyio.Event] = []

    async def hold() -> None:
        woken.append(anyio.Event())
        await woken[-1].wait()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(stock.acall, hold)
            for number in range(10):
                for _ in range(20):  # the slot comes by way of the event loop
                    await anyio.lowlevel.checkpoint()
                assert len(woken) == number + 1
                assert stock.snapshot() == {"limit": 1, "in_flight": 1, "queued": 99 - number, "rejected": 0}
                woken[-1].set()
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert stock._compartment.slots.free == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_forked_child_keeps_the_slot_of_the_call_that_forks_and_gives_it_back():
    stock = bulkhead("stock", 1, max_queue=0)

    @stock
    def fork() -> int:
        child = os.fork()
        if not child:
            os._exit(10 + stock.snapshot()["in_flight"])
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert fork() == 11
    assert stock.snapshot()["in_flight"] == 0
