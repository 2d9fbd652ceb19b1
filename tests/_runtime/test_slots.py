"""Slots across threads and event loops: first come, first served, and none is ever lost."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading

import anyio
import anyio.to_thread
import pytest

from resilience._outcome import Outcome
from resilience._runtime import sync_runner
from resilience._runtime.acquire import acquire
from resilience._runtime.slots import Waiter
from resilience._runtime.steps import resume
from resilience.policies import Acquire, Call, Policy, Proceed, Slots, Steps
from resilience.testing import virtual_time
from tests.interruptions import interruptions


class Limit(Policy):
    def __init__(self, limit: int = 1, wait: float | None = None, **queue: object) -> None:
        self.wait = wait
        self.slots = Slots(limit, **queue)

    def run(self, call: Call) -> Steps:
        if not (yield Acquire(self.slots, self.wait)):
            return Outcome.failed(BlockingIOError())
        try:
            return (yield Proceed())
        finally:
            self.slots.release()


def taken(limit: int = 1, **queue: object) -> Limit:
    policy = Limit(limit, **queue)
    for _ in range(limit):
        assert policy.slots.try_acquire()
    return policy


def wait_until_waiting(slots: Slots, number: int) -> None:
    for _ in range(5000):
        if slots.waiting == number:
            return
        threading.Event().wait(0.001)
    raise AssertionError(repr(slots))


def test_slots_are_counted_and_more_than_were_taken_cannot_be_released():
    slots = Slots(2)
    assert [slots.try_acquire() for _ in range(3)] == [True, True, False]
    assert repr(slots) == "<Slots 2 of 2 taken, 0 waiting>"
    slots.release()
    slots.release()
    with pytest.raises(RuntimeError, match="a slot is released that was not acquired"):
        slots.release()
    assert slots.free == 2


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None])
def test_an_invalid_number_of_slots_is_refused(limit: object):
    with pytest.raises((TypeError, ValueError), match="limit="):
        Slots(limit)


def test_threads_are_served_in_the_order_they_came():
    policy = taken()
    served: list[int] = []
    threads: list[threading.Thread] = []
    for number in range(5):
        thread = threading.Thread(target=policy.call, args=(served.append, number))
        thread.start()
        threads.append(thread)
        wait_until_waiting(policy.slots, number + 1)
    policy.slots.release()
    for thread in threads:
        thread.join(5)
    assert served == [0, 1, 2, 3, 4]
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)


def test_tasks_are_served_in_the_order_they_came(backend: str):
    policy = taken()
    served: list[int] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(policy.acall, served.append, number)
                await anyio.wait_all_tasks_blocked()
            policy.slots.release()

    anyio.run(main, backend=backend)
    assert served == [0, 1, 2, 3, 4]
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)


@pytest.mark.parametrize(
    ("order", "stands_for", "expected"),
    [
        ("newest", 0.0, [3, 2, 1, 0]),
        ("adaptive", 0.05, [0, 1, 2, 3]),
        ("adaptive", 0.2, [3, 2, 1, 0]),
    ],
)
def test_the_newest_is_served_first_where_the_order_says_so_or_the_queue_has_stood_for_100_ms(
    backend: str, order: str, stands_for: float, expected: list[int]
):
    policy = taken(order=order)
    served: list[int] = []

    async def serve(number: int) -> None:
        served.append(number)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(policy.acall, serve, number)
                await anyio.wait_all_tasks_blocked()
            clock.advance(stands_for)
            policy.slots.release()

    with virtual_time() as clock:
        anyio.run(main, backend=backend)
    assert served == expected
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)


def test_a_queue_shorter_than_the_slots_are_many_serves_the_oldest_first_however_long_it_stands(backend: str):
    policy = taken(3, order="adaptive")
    served: list[int] = []

    async def serve(number: int) -> None:
        served.append(number)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(policy.acall, serve, number)
                await anyio.wait_all_tasks_blocked()
            clock.advance(1)
            policy.slots.release()

    with virtual_time() as clock:
        anyio.run(main, backend=backend)
    assert served == [3, 2, 0, 1]


def test_a_queue_that_has_drained_meanwhile_serves_the_oldest_first_again(backend: str):
    policy = taken(order="adaptive")

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(policy.acall, anyio.sleep, 0)
            await anyio.wait_all_tasks_blocked()
            clock.advance(60)
            assert policy.slots.newest_first
            policy.slots.release()
        assert policy.slots.try_acquire()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(policy.acall, anyio.sleep, 0)
            await anyio.wait_all_tasks_blocked()
            assert not policy.slots.newest_first
            policy.slots.release()

    with virtual_time() as clock:
        anyio.run(main, backend=backend)


@pytest.mark.parametrize(
    ("order", "served_in_the_end", "refused_at_once"), [("oldest", [0, 1], [2, 3]), ("newest", [3, 2], [0, 1])]
)
def test_a_full_queue_refuses_the_call_that_comes_or_the_oldest_where_the_newest_are_served_first(
    backend: str, order: str, served_in_the_end: list[int], refused_at_once: list[int]
):
    policy = taken(max_queue=2, order=order)
    served: list[int] = []
    refused: list[int] = []

    async def serve(number: int) -> None:
        served.append(number)

    async def call(number: int) -> None:
        try:
            await policy.acall(serve, number)
        except BlockingIOError:
            refused.append(number)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(call, number)
                await anyio.wait_all_tasks_blocked()
            assert refused == refused_at_once
            policy.slots.release()

    anyio.run(main, backend=backend)
    assert served == served_in_the_end
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)


def test_threads_leave_a_full_queue_as_tasks_do():
    policy = taken(max_queue=1, order="newest")
    answers: list[object] = []

    def call(number: int) -> None:
        try:
            answers.append(policy.call(abs, number))
        except BlockingIOError as error:
            answers.append(type(error))

    threads = [threading.Thread(target=call, args=(number,)) for number in (1, 2)]
    threads[0].start()
    wait_until_waiting(policy.slots, 1)
    threads[1].start()
    threads[0].join(5)
    assert answers == [BlockingIOError]
    policy.slots.release()
    threads[1].join(5)
    assert answers == [BlockingIOError, 2]


def test_without_a_queue_a_call_that_finds_no_slot_is_refused_at_once():
    policy = taken(max_queue=0)
    with pytest.raises(BlockingIOError):
        policy.call(abs, 1)


@pytest.mark.parametrize(
    ("options", "expected"), [({"order": "lifo"}, "order='lifo'"), ({"max_queue": -1}, "max_queue=-1")]
)
def test_a_queue_that_cannot_be_meant_is_refused(options: dict[str, object], expected: str):
    with pytest.raises(ValueError, match=expected):
        Slots(1, **options)


def test_a_thread_releases_and_tasks_of_other_loops_go_on():
    policy = taken()
    served: list[str] = []

    def loop(name: str) -> None:
        async def main() -> None:
            with anyio.fail_after(5):
                await policy.acall(served.append, name)

        anyio.run(main, backend=name)

    threads = [threading.Thread(target=loop, args=(name,)) for name in ("asyncio", "trio")]
    threads.append(threading.Thread(target=policy.call, args=(served.append, "sync")))
    for number, thread in enumerate(threads):
        thread.start()
        wait_until_waiting(policy.slots, number + 1)
    releasing = threading.Thread(target=policy.slots.release)
    releasing.start()
    for thread in [releasing, *threads]:
        thread.join(5)
    assert served == ["asyncio", "trio", "sync"]
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)


def test_many_threads_and_loops_never_exceed_the_limit():
    policy = Limit(3)
    inside: list[int] = []
    most = 0
    calls = 0

    def work() -> None:
        nonlocal most, calls
        inside.append(1)
        most = max(most, len(inside))
        inside.pop()
        calls += 1

    def sync() -> None:
        for _ in range(100):
            policy.call(work)

    def loop(backend: str) -> None:
        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(100):
                    tasks.start_soon(policy.acall, asynchronous)

        async def asynchronous() -> None:
            inside.append(1)
            await anyio.sleep(0)
            inside.pop()
            work()

        anyio.run(main, backend=backend)

    threads = [threading.Thread(target=sync) for _ in range(4)]
    threads += [threading.Thread(target=loop, args=(backend,)) for backend in ("asyncio", "trio")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (policy.slots.free, policy.slots.waiting) == (3, 0)
    assert most <= 3
    assert not inside


def test_a_waiter_that_is_cancelled_as_it_is_granted_a_slot_passes_it_on(backend: str):
    policy = taken()
    served: list[str] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()

            async def cancelled() -> None:
                with scope:
                    await policy.acall(served.append, "cancelled")

            tasks.start_soon(cancelled)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(policy.acall, served.append, "next")
            await anyio.wait_all_tasks_blocked()
            policy.slots.release()  # granted to the first
            scope.cancel()  # before that could run

    anyio.run(main, backend=backend)
    assert served in (["next"], ["cancelled", "next"])
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)


def test_an_asyncio_task_that_is_cancelled_as_it_is_granted_a_slot_passes_it_on():
    policy = taken()

    async def main() -> None:
        task = asyncio.create_task(policy.acall(int))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert policy.slots.waiting == 1
        policy.slots.release()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)


def test_a_slot_that_comes_as_the_wait_ends_is_taken_or_passed_on(backend: str):
    policy = Limit(wait=2)
    policy.slots.try_acquire()
    served: list[str] = []

    async def hold(clock) -> None:
        await clock.sleep_async(2)
        policy.slots.release()

    async def main() -> None:
        with virtual_time(patience=0.1) as clock:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hold, clock)
                for name in "ab":
                    tasks.start_soon(served_or_not, name)

    async def served_or_not(name: str) -> None:
        with contextlib.suppress(BlockingIOError):
            await policy.acall(served.append, name)

    anyio.run(main, backend=backend)
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)


def test_a_waiter_whose_loop_was_closed_loses_no_slot():
    policy = taken()
    loop = asyncio.new_event_loop()
    coroutine = policy.acall(int)
    task = loop.create_task(coroutine)
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    loop.close()
    assert policy.slots.waiting == 1
    policy.slots.release()  # goes to the dead one, and comes back
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)
    assert policy.call(int) == 0
    coroutine.close()  # it gives up what it was granted, once
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)
    task._log_destroy_pending = False
    del task, coroutine
    gc.collect()
    assert policy.slots.free == 1


def test_a_slot_that_has_been_granted_to_a_call_which_is_still_to_wake_is_released_for_no_other():
    slots = Slots(3)
    early, waiting, late, last = Waiter(), Waiter(), Waiter(), Waiter()
    assert slots.grant(early)
    assert slots.grant(Waiter())
    assert slots.grant(Waiter())
    assert slots.queue_up(waiting)
    for _ in range(3):
        slots.release()
    assert waiting.granted  # its task has been woken, and runs after these:
    assert slots.grant(late)
    assert slots.grant(last)
    slots.release()
    slots.release()
    assert slots.stop_waiting(waiting)
    assert slots.free == 2
    slots.release()
    assert slots.free == 3


def test_a_slot_is_released_by_another_thread_than_took_it():
    slots = Slots(2)
    assert slots.grant(Waiter())
    done = threading.Thread(target=slots.release)
    done.start()
    done.join()
    assert slots.free == 2


def test_a_thousand_waiters_of_a_closed_loop_are_passed_over_by_one_release():
    policy = taken()
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(policy.acall(int)) for _ in range(2000)]
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    loop.close()
    assert policy.slots.waiting == 2000
    policy.slots.release()
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)
    for task in tasks:
        task._log_destroy_pending = False
        task.get_coro().close()
    assert policy.slots.free == 1


def test_a_task_waits_where_trio_is_a_guest_of_asyncio():
    import trio

    policy = taken()

    async def main() -> str:
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        async def guest() -> int:
            return await policy.acall(int, "7")

        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
            done_callback=done.set_result,
        )
        while not policy.slots.waiting:
            await asyncio.sleep(0.001)
        policy.slots.release()
        return (await asyncio.wait_for(done, 5)).unwrap()

    assert asyncio.run(main()) == 7
    assert policy.slots.free == 1


def test_without_a_timeout_and_a_deadline_a_call_waits_without_limit(runner):
    policy = taken()
    served: list[float] = []

    def main() -> None:
        with virtual_time(patience=0.2) as clock:
            timer = threading.Timer(0.2, policy.slots.release)
            timer.start()
            policy.call(lambda: served.append(clock.now()))
            timer.join()

    async def main_async() -> None:
        with virtual_time(patience=0.2) as clock:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(policy.acall, lambda: served.append(clock.now()))
                await clock.sleep_async(1e6)
                policy.slots.release()

    runner.run(main, main_async)
    assert served == [1e6 if runner.is_async else 0]


def test_a_slot_released_by_a_destructor_while_the_lock_is_held_reaches_a_waiting_call():
    slots = Slots(1)
    slots.try_acquire()
    with slots._lock:  # as the collector may run in the middle of `queue_up`
        slots.release()
    assert slots.free == 1


class Timely(Policy):
    """A limit that protects its slot at once, by a function of its own for what comes before."""

    def __init__(self) -> None:
        self.slots = Slots(1)

    def run(self, call: Call) -> Steps:
        if not (yield from self.acquired()):
            return Outcome.failed(BlockingIOError())
        try:
            return (yield Proceed())
        finally:
            self.slots.release()

    def acquired(self) -> Steps[bool]:
        return (yield Acquire(self.slots))


@pytest.mark.parametrize("way", ["call", "block"])
def test_wherever_ctrl_c_comes_between_a_slot_and_the_try_of_its_policy_the_slot_is_given_back(way: str):
    limit = Timely()

    def block() -> str:
        with limit:
            return "value"

    call = block if way == "block" else limit(lambda: "value")
    functions = (acquire, Timely.acquired, sync_runner.drive, sync_runner.advance, sync_runner.perform, resume)
    for _ in interruptions(call, {function.__code__ for function in functions}):
        assert limit.slots.free == 1
        assert call() == "value"


FORKING = """
import os, threading
from resilience.policies import Slots
from resilience._runtime.slots import Waiter
slots = Slots(2)
assert slots.try_acquire() and slots.try_acquire()
slots.queue_up(Waiter(lambda: None))  # of a thread that the child does not have
held, gate = threading.Event(), threading.Event()
def hold():
    with slots._lock:
        held.set()
        gate.wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if not child:
    slots.release()
    os._exit(0 if (slots.free, slots.waiting) == (1, 0) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_forked_child_waits_for_no_lock_of_its_parents_and_grants_no_slot_to_its_threads():
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "0\n", done.stderr
