"""`last_call`, and that what a call leaves behind keeps nothing else alive."""

from __future__ import annotations

import contextlib
import contextvars
import gc
import weakref
from collections.abc import Callable

import pytest
import tenacity

from resilience import (
    CallReport,
    ErrorCategory,
    Pipeline,
    StopReason,
    deadline,
    last_call,
    retry_on_category,
    retrying,
    timeout,
)
from resilience.testing import no_waits, virtual_time
from tests.runners import Runner

down, slow = ConnectionResetError("down"), TimeoutError("slow")
NETWORK, TIMEOUT = ErrorCategory.NETWORK, ErrorCategory.TIMEOUT


# -- last_call ------------------------------------------------------------------------------------------------------


def after(runner: Runner, decorate: Callable, *script: object) -> CallReport | None:
    """Return `last_call` right after a call, in the same task."""
    found: list[CallReport | None] = []
    steps = iter(script)

    def step() -> object:
        what = next(steps)
        if isinstance(what, Exception):
            raise what
        return what

    def sync() -> None:
        with virtual_time():
            try:
                decorate(lambda: step())()
            except Exception:
                pass
            found.append(last_call())

    async def asynchronous() -> None:
        async def fn() -> object:
            return step()

        with virtual_time():
            try:
                await decorate(fn)()
            except Exception:
                pass
            found.append(last_call())

    contextvars.Context().run(runner.run, sync, asynchronous)
    return found[0]


def test_last_call_reports_a_success_after_failures_and_a_failure(runner: Runner):
    policy = retry_on_category(base_delay=1, jitter="none")
    report = after(runner, policy, down, slow, "ok")
    assert (report.reason, report.made, report.categories) == (StopReason.SUCCESS, 3, (NETWORK, TIMEOUT))
    assert after(runner, policy, ValueError()).reason is StopReason.NOT_RETRYABLE
    assert after(runner, policy, "ok") is None


def test_last_call_reports_a_retry_under_a_time_limit(runner: Runner):
    report = after(runner, lambda fn: timeout(60)(retry_on_category(base_delay=1)(fn)), down, "ok")
    assert report.made == 2


# -- garbage --------------------------------------------------------------------------------------------------------

STACKS = {
    "retry": lambda: retry_on_category(attempts=3),
    "wrapped": lambda: retry_on_category(attempts=3, on_exhausted="wrap"),
    "strategies": lambda: retry_on_category(wait=tenacity.wait_fixed(1), stop=tenacity.stop_after_attempt(3)),
    "results": lambda: retry_on_category(retry_if_result=lambda value: value, on_success=lambda report: None),
    "no progress": lambda: retry_on_category(no_progress=2, on_retry=lambda event: None),
    "deadline": lambda: deadline(60),
    "limit": lambda: timeout(60),
    "limits and retries": lambda: Pipeline(deadline(60), timeout(60), retry_on_category(), timeout(60)),
}


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_a_failed_call_leaves_nothing_to_the_garbage_collector(runner: Runner, stack: Callable):
    def fail() -> None:
        raise ConnectionResetError("down")

    async def fail_async() -> None:
        raise ConnectionResetError("down")

    guarded, guarded_async = stack()(fail), stack()(fail_async)

    def call() -> int:
        for number in range(20):
            if number == 3:
                gc.collect()  # what the first calls alone leave
            try:
                guarded()
            except Exception:
                pass
        return gc.collect()

    async def call_async() -> int:
        for number in range(20):
            if number == 3:
                gc.collect()
            try:
                await guarded_async()
            except Exception:
                pass
        return gc.collect()

    gc.disable()
    try:
        with no_waits():
            assert runner.run(call, call_async) == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("options", [{}, {"on_retry": lambda event: None}, {"wait": 0}])
def test_a_loop_that_fails_leaves_nothing_to_the_garbage_collector(options: dict):
    def work() -> None:
        for attempt in retrying(attempts=3, **options):
            with attempt:
                raise ConnectionResetError

    def call() -> None:
        try:
            work()
        except ConnectionResetError:
            pass

    gc.disable()
    try:
        with no_waits():
            call()
            gc.collect()
            for _ in range(10):
                call()
            assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_a_base_exception_is_reported_as_a_cancellation(runner: Runner, raised: type[BaseException]):
    def play(script: list) -> CallReport | None:
        def step() -> None:
            raise script.pop(0)

        async def step_async() -> None:
            step()

        async def call() -> None:
            try:
                await retry_on_category(base_delay=0)(step_async)()
            except BaseException as error:
                assert type(error) is raised
            seen.append(last_call())

        def call_sync() -> None:
            with pytest.raises(raised):
                retry_on_category(base_delay=0)(step)()
            seen.append(last_call())

        seen: list[CallReport | None] = []
        contextvars.Context().run(runner.run, call_sync, call)
        return seen[0]

    report = play([down, raised()])
    assert (report.reason, report.made) == (StopReason.CANCELLED, 1)
    assert play([raised()]) is None


def test_a_loop_left_by_ctrl_c_is_reported_as_cancelled_and_makes_no_further_attempt():
    loop = iter(retrying(base_delay=0))
    with pytest.raises(KeyboardInterrupt):
        for attempt in loop:
            with attempt:
                raise down if attempt.number == 1 else KeyboardInterrupt
    assert (last_call().reason, last_call().made) == (StopReason.CANCELLED, 1)
    assert list(loop) == []


class Argument:
    """Something a call is made with, and its errors hold."""


@pytest.mark.parametrize("end", [None, ValueError, KeyboardInterrupt])
def test_the_report_of_a_call_keeps_no_argument_or_error_alive(runner: Runner, end: type[BaseException] | None):
    seen: list[weakref.ref] = []

    def step(given: Argument) -> None:
        seen.append(weakref.ref(given))
        if len(seen) == 1:
            raise ConnectionResetError(given)
        if end is not None:
            raise end(given)

    async def step_async(given: Argument) -> None:
        step(given)

    policy = retry_on_category(wait=0, retry_if=lambda state: False, no_progress=9)

    def sync() -> CallReport | None:
        with contextlib.suppress(ValueError, KeyboardInterrupt):
            policy(step)(Argument())
        return last_call()

    async def asynchronous() -> CallReport | None:
        with contextlib.suppress(ValueError, KeyboardInterrupt):
            await policy(step_async)(Argument())
        return last_call()

    report = contextvars.Context().run(runner.run, sync, asynchronous)
    gc.collect()
    assert report.made == (1 if end is KeyboardInterrupt else 2)
    assert [each() for each in seen] == [None, None]
