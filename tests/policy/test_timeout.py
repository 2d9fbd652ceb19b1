from __future__ import annotations

import threading
from contextvars import ContextVar
from datetime import timedelta

import anyio
import pytest

from resilience import CallTimeoutError, ErrorCategory, classify, retry_on_category, timeout
from resilience.clock import current_clock
from resilience.testing import virtual_time
from tests.roads import Road, Takes


def test_a_call_within_its_time_returns_what_it_returns(road: Road):
    story = road.play(timeout(2), Takes(1, "ok"))
    assert story.answer == "ok"
    assert story.events == []


def test_a_call_that_takes_too_long_is_given_up(road: Road):
    story = road.play(timeout(2), Takes(10))
    assert isinstance(story.answer, CallTimeoutError)
    assert isinstance(story.answer, TimeoutError)
    assert classify(story.answer) is ErrorCategory.TIMEOUT
    assert str(story.answer).endswith("dependency took longer than 2 s")
    assert story.names == ["call.timed_out"]
    assert story.events[0].limit == 2


def test_a_timeout_error_of_the_functions_own_passes_as_it_is(road: Road):
    own = TimeoutError("mine")
    story = road.play(timeout(2), own)
    assert story.answer is own
    assert story.events == []


def test_a_limit_around_retries_covers_the_waits_as_well(road: Road):
    story = road.play(
        lambda fn: timeout(10)(retry_on_category(attempts=9, base_delay=4, jitter="none")(fn)),
        *[ConnectionResetError()] * 9,
    )
    assert isinstance(story.answer, CallTimeoutError)
    assert story.reached == 2  # at 0 and 4; the third would begin at 12
    assert story.now == 10


def test_a_limit_inside_retries_is_each_attempts_own(road: Road):
    story = road.play(
        lambda fn: retry_on_category(attempts=3, base_delay=1, jitter="none")(timeout(5)(fn)), Takes(9), Takes(9), "ok"
    )
    assert story.answer == "ok"
    assert [event.category.label for event in story.events if event.name == "retry.scheduled"] == ["timeout", "timeout"]


def test_durations_may_be_timedeltas(road: Road):
    assert road.play(timeout(timedelta(seconds=3)), Takes(1, "ok")).answer == "ok"


def test_an_async_block_has_a_limit(backend: str):
    async def main() -> None:
        with virtual_time() as clock:
            with pytest.raises(CallTimeoutError, match="took longer than 2 s"):
                async with timeout(2):
                    await clock.sleep_async(5)
            assert clock.now() == 2
            async with timeout(2):
                await clock.sleep_async(1)

    anyio.run(main, backend=backend)


def test_a_sync_block_cannot_have_a_limit_and_says_what_can():
    with pytest.raises(TypeError, match="decorate a function, or use `async with`"), timeout(2):
        pass


def test_a_cancelled_caller_is_cancelled_and_not_timed_out(backend: str):
    async def main() -> None:
        with anyio.CancelScope() as scope:
            async with timeout(1000):
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught

    anyio.run(main, backend=backend)


# -- sync: a worker thread ------------------------------------------------------------------------------------------


def test_a_sync_call_sees_the_callers_context_variables():
    request: ContextVar[str] = ContextVar("request")
    request.set("r-1")
    assert timeout(5)(request.get)() == "r-1"


def test_the_caller_leaves_on_time_although_the_call_hangs():
    gate = threading.Event()
    came_back = threading.Event()

    @timeout(2)
    def hang() -> None:
        current_clock().advance(2)
        gate.wait()
        came_back.set()

    with virtual_time(), pytest.raises(CallTimeoutError):
        hang()
    gate.set()
    assert came_back.wait(5)


def test_the_worker_is_a_daemon_so_that_a_hung_call_cannot_keep_the_process():
    assert timeout(5)(lambda: threading.current_thread().daemon)() is True


def test_an_abandoned_worker_begins_no_further_attempt():
    gate, calls = threading.Event(), []
    over = threading.Event()

    @timeout(2)
    @retry_on_category(attempts=9, base_delay=0)
    def flaky() -> None:
        calls.append(threading.current_thread())
        current_clock().advance(2)
        gate.wait()
        over.set()
        raise ConnectionResetError

    with virtual_time(), pytest.raises(CallTimeoutError):
        flaky()
    gate.set()
    assert over.wait(5)
    calls[0].join(5)
    assert not calls[0].is_alive()
    assert len(calls) == 1


def test_an_abandoned_worker_inside_another_limit_stops_too():
    gate, calls = threading.Event(), []

    @timeout(2)
    @retry_on_category(attempts=9, base_delay=0)
    @timeout(1000)
    def flaky() -> None:
        calls.append(threading.current_thread())
        current_clock().advance(2)
        gate.wait()
        raise ConnectionResetError

    with virtual_time(), pytest.raises(CallTimeoutError):
        flaky()
    gate.set()
    calls[0].join(5)
    assert not calls[0].is_alive()
    assert len(calls) == 1


def test_what_is_no_exception_reaches_the_caller_from_the_worker():
    class Stop(BaseException):
        pass

    @timeout(5)
    def leave() -> None:
        raise Stop

    with pytest.raises(Stop):
        leave()
