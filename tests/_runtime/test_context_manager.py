from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from resilience import (
    CallTimeoutError,
    CircuitOpenError,
    circuit_breaker,
    fallback,
    retry_on_category,
    retrying,
    subscribe,
    timeout,
)
from resilience.testing import virtual_time

down = ConnectionResetError("down")


def test_a_block_that_fails_counts_and_its_error_leaves_it():
    breaker = circuit_breaker("b", failure_threshold=1)
    with pytest.raises(ConnectionResetError) as caught, breaker as entered:
        raise down
    assert entered is breaker
    assert caught.value is down
    assert breaker.current_state == "open"


def test_an_open_circuit_rejects_a_block_at_its_entry():
    breaker = circuit_breaker("b")
    breaker.open()
    with pytest.raises(CircuitOpenError), breaker:
        raise AssertionError("must not run")


def test_an_async_block_counts_as_well(backend: str):
    breaker = circuit_breaker("b", failure_threshold=1)

    async def main() -> None:
        with pytest.raises(ConnectionResetError):
            async with breaker:
                raise down
        with pytest.raises(CircuitOpenError):
            async with breaker:
                raise AssertionError("must not run")

    anyio.run(main, backend=backend)


def test_blocks_of_one_circuit_may_be_nested():
    breaker = circuit_breaker("b", failure_threshold=2)
    with pytest.raises(ConnectionResetError), breaker, breaker:
        raise down
    assert breaker.fail_counter == 2
    assert breaker.current_state == "open"


def test_many_threads_and_tasks_may_be_in_blocks_of_one_object_at_once(backend: str):
    shared = fallback(default="other")
    everyone_inside = threading.Barrier(4, timeout=5)

    def in_thread(number: int) -> object:
        with shared as result:
            everyone_inside.wait()
            if number % 2:
                raise down
            result.value = number
        return result.value

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(in_thread, range(4))) == [0, "other", 2, "other"]

    answers = {}

    async def in_task(number: int) -> None:
        async with shared as result:
            await anyio.wait_all_tasks_blocked()
            if number % 2:
                raise down
            result.value = number
        answers[number] = result.value

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(in_task, number)

    anyio.run(main, backend=backend)
    assert answers == {0: 0, 1: "other", 2: 2, 3: "other"}


def test_leaving_a_block_that_was_not_entered_is_an_error_that_says_so():
    breaker = circuit_breaker("b")
    with pytest.raises(RuntimeError, match="is left, but was not entered, or left already"):
        breaker.__exit__(None, None, None)


def test_a_block_is_named_after_the_function_it_stands_in():
    heard = []
    with subscribe(heard.append), fallback(default=1):
        raise down
    assert (
        heard[0].target == "tests._runtime.test_context_manager.test_a_block_is_named_after_the_function_it_stands_in"
    )


def test_ctrl_c_leaves_a_block_and_counts_for_nothing():
    breaker = circuit_breaker("b", failure_threshold=1)
    with pytest.raises(KeyboardInterrupt), breaker:
        raise KeyboardInterrupt
    assert breaker.current_state == "closed"


def test_blocks_nest_like_decorators(backend: str):
    breaker = circuit_breaker("b", failure_threshold=1)

    async def main() -> None:
        with virtual_time() as clock:
            async with fallback(default="other") as result, breaker, timeout(2):
                await clock.sleep_async(5)
            assert isinstance(result.error, CallTimeoutError)
            assert result.value == "other"
            assert breaker.current_state == "open"

    anyio.run(main, backend=backend)


# -- retrying -------------------------------------------------------------------------------------------------------


def test_a_loop_tries_again_until_an_attempt_succeeds():
    numbers = []
    with virtual_time() as clock:
        for attempt in retrying(base_delay=1, jitter="none"):
            with attempt:
                numbers.append(attempt.number)
                if attempt.number < 3:
                    raise down
        assert clock.now() == 3
    assert numbers == [1, 2, 3]


def test_the_last_error_leaves_its_own_block_as_the_same_object():
    tries, error = 0, ConnectionResetError()
    with pytest.raises(ConnectionResetError) as caught:
        for attempt in retrying(base_delay=0):
            with attempt:
                tries += 1
                raise error
    assert caught.value is error
    assert tries == 3
    assert "failed 3 times" in error.__notes__[0]


def test_another_category_leaves_the_loop_at_once():
    tries = 0
    with pytest.raises(ValueError, match="bug"):
        for attempt in retrying(base_delay=0):
            with attempt:
                tries += 1
                raise ValueError("bug")
    assert tries == 1


def test_an_async_loop_waits_without_blocking(backend: str):
    async def main() -> None:
        numbers = []
        with virtual_time() as clock:
            async for attempt in retrying(base_delay=1, jitter="none"):
                with attempt:
                    numbers.append(attempt.number)
                    if attempt.number < 3:
                        raise down
            assert clock.now() == 3
        assert numbers == [1, 2, 3]

    anyio.run(main, backend=backend)


def test_an_async_loop_awaits_its_callback(backend: str):
    heard = []

    async def hear(event: object) -> None:
        await anyio.lowlevel.checkpoint()
        heard.append(event.attempt)

    async def main() -> None:
        async for attempt in retrying(base_delay=0, on_retry=hear):
            with attempt:
                if attempt.number < 3:
                    raise down

    anyio.run(main, backend=backend)
    assert heard == [1, 2]


def test_a_loop_may_be_left_with_break_and_begun_anew():
    loop = retrying(base_delay=0)
    for _ in range(2):
        for attempt in loop:
            with attempt:
                assert attempt.number == 1
                break


def test_a_loop_emits_the_events_of_a_decorator():
    heard = []
    with subscribe(heard.append):
        for attempt in retrying(base_delay=0, attempts=2):
            try:
                with attempt:
                    raise down
            except ConnectionResetError:
                pass
    assert [event.name for event in heard] == ["attempt.failed", "retry.scheduled", "attempt.failed", "retry.exhausted"]
    assert heard[0].target.endswith("test_a_loop_emits_the_events_of_a_decorator")


def test_an_attempt_that_is_not_used_as_a_block_is_an_error_and_no_endless_loop():
    with pytest.raises(RuntimeError, match="put the work in `with attempt:` inside the loop"):
        for _ in retrying():
            pass


def test_ctrl_c_leaves_a_loop():
    with pytest.raises(KeyboardInterrupt):
        for attempt in retrying(base_delay=0):
            with attempt:
                raise KeyboardInterrupt


def test_a_stop_strategy_ends_a_loop_with_the_last_error():
    import tenacity

    with virtual_time(), pytest.raises(ConnectionResetError):
        for attempt in retrying(wait=1, stop=tenacity.stop_after_attempt(2)):
            with attempt:
                raise ConnectionResetError
    assert attempt.number == 2


def test_a_retry_is_no_block_and_says_what_to_write_instead(backend: str):
    with pytest.raises(TypeError, match=r"a block cannot run twice; use `for attempt in retrying\(\.\.\.\)`"):
        with retry_on_category("timeout"):
            pytest.fail("the block runs")

    async def main() -> None:
        async with retry_on_category("timeout"):
            pytest.fail("the block runs")

    with pytest.raises(TypeError, match="a block cannot run twice"):
        anyio.run(main, backend=backend)
