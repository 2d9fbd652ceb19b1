from __future__ import annotations

import os
import subprocess
import sys
import threading
import traceback
from contextvars import ContextVar
from datetime import timedelta

import anyio
import pytest

from resilience import CallTimeoutError, ErrorCategory, StopReason, classify, retry_on_category, timeout
from resilience.clock import current_clock
from resilience.testing import virtual_time
from tests.runners import Runner, Takes


def test_a_call_within_its_limit_returns_its_result(runner: Runner):
    story = runner.play(timeout(2), Takes(1, "ok"))
    assert story.answer == "ok"
    assert story.events == []


def test_a_call_that_takes_too_long_times_out(runner: Runner):
    story = runner.play(timeout(2), Takes(10))
    assert isinstance(story.answer, CallTimeoutError)
    assert isinstance(story.answer, TimeoutError)
    assert classify(story.answer) is ErrorCategory.TIMEOUT
    assert str(story.answer).endswith("dependency took longer than 2 s")
    assert story.names == ["call.timed_out"]
    assert story.events[0].limit == 2


def test_a_timeout_error_of_the_function_itself_reaches_the_caller_unchanged(runner: Runner):
    own = TimeoutError("mine")
    story = runner.play(timeout(2), own)
    assert story.answer is own
    assert story.events == []


def test_a_limit_around_retries_covers_the_waits_as_well(runner: Runner):
    story = runner.play(
        lambda fn: timeout(10)(retry_on_category(attempts=9, base_delay=4, jitter="none")(fn)),
        *[ConnectionResetError()] * 9,
    )
    assert isinstance(story.answer, ConnectionResetError)
    assert story.reached == 2  # at 0 and 4; the third would begin at 12, after the limit
    assert story.now == 4
    assert story.answer.resilience.reason is StopReason.DEADLINE
    assert "too little time left for another attempt; the last failure took 0 s; 6 s" in story.answer.__notes__[0]


def test_a_limit_inside_retries_is_each_attempts_own(runner: Runner):
    story = runner.play(
        lambda fn: retry_on_category(attempts=3, base_delay=1, jitter="none")(timeout(5)(fn)), Takes(9), Takes(9), "ok"
    )
    assert story.answer == "ok"
    assert [event.category.label for event in story.events if event.name == "retry.scheduled"] == ["timeout", "timeout"]


def test_durations_may_be_timedeltas(runner: Runner):
    assert runner.play(timeout(timedelta(seconds=3)), Takes(1, "ok")).answer == "ok"


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


def test_a_limit_on_a_sync_block_is_refused_with_the_alternatives():
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


def has_nothing_to_do(worker: threading.Thread) -> bool:
    """Wait, by polling, until a worker is idle or has ended."""
    for _ in range(5000):
        if worker.name == "resilience idle" or not worker.is_alive():
            return True
        threading.Event().wait(0.001)
    return False


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
    assert has_nothing_to_do(calls[0])
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
    assert has_nothing_to_do(calls[0])
    assert len(calls) == 1


def test_a_base_exception_reaches_the_caller_from_the_worker():
    class Stop(BaseException):
        pass

    @timeout(5)
    def leave() -> None:
        raise Stop

    with pytest.raises(Stop):
        leave()


def test_a_worker_is_used_again_and_keeps_nothing_of_the_call_before():
    import gc
    import weakref

    class Argument:
        pass

    which = timeout(5)(lambda argument: threading.current_thread())
    argument = Argument()
    first = which(argument)
    assert has_nothing_to_do(first)
    held = weakref.ref(argument)
    del argument
    gc.collect()
    assert held() is None
    assert which(None) is first


def test_a_worker_that_hangs_is_not_used_again():
    gate = threading.Event()

    @timeout(2)
    def hang() -> None:
        current_clock().advance(2)
        gate.wait()

    with virtual_time(), pytest.raises(CallTimeoutError):
        hang()
    assert timeout(5)(lambda: "ok")() == "ok"
    gate.set()


def test_calls_at_the_same_time_have_a_worker_each():
    together = threading.Barrier(4, timeout=5)
    meet = timeout(5)(together.wait)
    threads = [threading.Thread(target=meet) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_a_worker_with_nothing_to_do_ends_after_a_while(monkeypatch: pytest.MonkeyPatch):
    from resilience._runtime import worker_threads as worker

    monkeypatch.setattr(worker, "_IDLE", 0.001)
    monkeypatch.setattr(worker, "_idle", type(worker._idle)())
    thread = timeout(5)(threading.current_thread)()
    thread.join(5)
    assert not thread.is_alive()
    assert not worker._idle
    assert timeout(5)(lambda: "a new one")() == "a new one"


def test_work_that_comes_as_a_worker_is_about_to_end_is_done(monkeypatch: pytest.MonkeyPatch):
    from resilience._runtime import worker_threads as worker

    monkeypatch.setattr(worker, "_IDLE", 0.0)
    answer = timeout(5)(lambda: "ok")
    assert [answer() for _ in range(500)] == ["ok"] * 500


def test_a_thread_that_cannot_be_started_is_a_rejection_for_outer_policies(monkeypatch: pytest.MonkeyPatch):
    from resilience import ThreadNotStartedError, fallback
    from resilience._runtime import worker_threads as worker

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(worker, "_idle", type(worker._idle)())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    guarded = timeout(5)(lambda: "ok")
    with pytest.raises(ThreadNotStartedError, match="can't start new thread"):
        guarded()
    assert fallback(default="other", on="rejected")(guarded)() == "other"


FORKS = """
import os
from resilience import timeout
answer = timeout(10)(lambda: "ok")
assert answer() == "ok"
child = os.fork()
if not child:
    os._exit(0 if answer() == "ok" else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert answer() == "ok"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_forked_child_has_workers_of_its_own():
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], check=True, timeout=60)


def test_a_hung_call_does_not_keep_the_process_from_ending():
    program = """
import threading
from resilience import timeout
try:
    timeout(0.01)(threading.Event().wait)()
except TimeoutError:
    print("left")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "left\n"


def test_the_error_of_an_async_limit_shows_where_the_call_waited(backend: str):
    async def wait_for_ever() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        with pytest.raises(TimeoutError) as caught:
            await timeout(0.005)(wait_for_ever)()
        assert caught.value.__cause__ is not None
        assert "in wait_for_ever" in "".join(traceback.format_exception(caught.value))

    anyio.run(main, backend=backend)
