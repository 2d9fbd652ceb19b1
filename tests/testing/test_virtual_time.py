from __future__ import annotations

import threading
import time

import anyio
import pytest

from resilience import CallTimeoutError, retry_on_category, timeout
from resilience.clock import current_clock
from resilience.testing import virtual_time


@retry_on_category(attempts=4, base_delay=3600, max_delay=86_400, jitter="none")
def down_for_hours() -> None:
    raise ConnectionRefusedError


def test_hours_pass_at_once():
    began = time.monotonic()
    with virtual_time() as clock, pytest.raises(ConnectionRefusedError):
        down_for_hours()
    assert clock.now() == 3600 + 7200 + 14_400
    assert time.monotonic() - began < 5


def test_time_starts_at_zero_and_moves_by_hand():
    with virtual_time() as clock:
        assert clock.now() == 0
        clock.advance(2.5)
        assert clock.now() == 2.5
        before = clock.wall()
        clock.advance(1)
        assert clock.wall() - before == 1


@pytest.mark.parametrize("seconds", [-1, float("nan"), "1"])
def test_time_does_not_move_back(seconds: object):
    with virtual_time() as clock, pytest.raises((ValueError, TypeError), match="seconds="):
        clock.advance(seconds)


def test_patience_must_be_a_duration():
    with pytest.raises(ValueError, match="patience=0"), virtual_time(patience=0):
        pass


def test_outside_of_the_block_time_is_real_again():
    real = current_clock()
    with virtual_time():
        assert current_clock() is not real
    assert current_clock() is real


def test_another_thread_keeps_its_own_time():
    seen = []
    with virtual_time() as clock:
        thread = threading.Thread(target=lambda: seen.append(current_clock()))
        thread.start()
        thread.join()
    assert seen[0] is not clock


def test_the_worker_of_a_time_limit_has_the_callers_time():
    with virtual_time() as clock:
        assert timeout(5)(current_clock)() is clock


def test_tasks_that_sleep_wake_in_the_order_of_their_time(backend: str):
    order = []

    async def main() -> None:
        with virtual_time() as clock:

            async def sleeper(seconds: float) -> None:
                await clock.sleep_async(seconds)
                order.append((seconds, clock.now()))

            async with anyio.create_task_group() as tasks:
                for seconds in (3, 1, 2, 2.5, 0):
                    tasks.start_soon(sleeper, seconds)

    anyio.run(main, backend=backend)
    assert order == [(0, 0), (1, 1), (2, 2), (2.5, 2.5), (3, 3)]


def test_tasks_of_two_clocks_do_not_meet(backend: str):
    async def count_down(seconds: float, ended: dict) -> None:
        with virtual_time() as clock:
            await clock.sleep_async(seconds)
            ended[seconds] = clock.now()

    async def main() -> dict:
        ended: dict[float, float] = {}
        async with anyio.create_task_group() as tasks:
            for seconds in (5.0, 7.0):
                tasks.start_soon(count_down, seconds, ended)
        return ended

    assert anyio.run(main, backend=backend) == {5.0: 5.0, 7.0: 7.0}


def test_a_limit_ends_at_its_own_time_and_not_at_the_sleepers(backend: str):
    async def main() -> float:
        with virtual_time() as clock:
            with pytest.raises(CallTimeoutError):
                async with timeout(2):
                    await clock.sleep_async(1000)
            return clock.now()

    assert anyio.run(main, backend=backend) == 2


def test_a_call_that_waits_in_real_time_counts_as_hung_after_the_patience(backend: str):
    async def main() -> float:
        with virtual_time(patience=0.01) as clock:
            with pytest.raises(CallTimeoutError):
                async with timeout(30):
                    await anyio.sleep_forever()
            return clock.now()

    assert anyio.run(main, backend=backend) == 30


def test_of_two_hung_limits_the_earlier_one_ends(backend: str):
    async def main() -> float:
        with virtual_time(patience=0.01) as clock:
            with pytest.raises(CallTimeoutError, match="took longer than 5 s"):
                async with timeout(30), timeout(5):
                    await anyio.sleep_forever()
            return clock.now()

    assert anyio.run(main, backend=backend) == 5


def test_a_sync_call_that_hangs_fails_after_the_patience():
    gate = threading.Event()
    with virtual_time(patience=0.01) as clock:
        with pytest.raises(CallTimeoutError):
            timeout(30)(gate.wait)()
        assert clock.now() == 30
    gate.set()


def test_a_wait_that_would_end_after_a_sync_limit_is_not_begun():
    with virtual_time() as clock:
        with pytest.raises(ConnectionRefusedError):
            timeout(5000)(down_for_hours)()
        assert clock.now() == 3600


def test_advancing_the_clock_wakes_sleepers_that_are_due(backend: str):
    async def main() -> None:
        with virtual_time(patience=60) as clock:
            ended = anyio.Event()

            async def limited() -> None:
                with pytest.raises(CallTimeoutError):
                    async with timeout(30):
                        await anyio.sleep_forever()
                ended.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(limited)
                await anyio.wait_all_tasks_blocked()
                clock.advance(29)
                await anyio.wait_all_tasks_blocked()
                assert not ended.is_set()
                clock.advance(1)
                await ended.wait()

    anyio.run(main, backend=backend)


def test_real_work_under_a_limit_takes_no_virtual_time(backend: str):
    async def main() -> float:
        with virtual_time(patience=60) as clock:
            async with timeout(1):
                await anyio.to_thread.run_sync(sum, range(100_000))
            return clock.now()

    assert anyio.run(main, backend=backend) == 0
