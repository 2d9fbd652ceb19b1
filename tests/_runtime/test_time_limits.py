"""An exception from a signal handler, wherever it comes, leaves no limit behind."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator

import pytest

from resilience import _deadline_context as due_module
from resilience import deadline, remaining, retry_on_category, timeout
from resilience._deadline_context import (
    ActiveDeadline,
    DeadlineScope,
    current_deadline_any_clock,
    pop_deadline,
    push_deadline,
)
from resilience._runtime import context_manager as blocks
from resilience._runtime import generators as streams
from resilience._runtime import time_limits as limits
from resilience.testing import VirtualClock, virtual_time
from tests.interruptions import functions_of, interruptions

LIMITS = functions_of(due_module, limits)


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    with virtual_time() as clock:
        yield clock


def calls_go_on(clock: VirtualClock, call: Callable[[], object]) -> bool:
    """Whether, long after, what is guarded works as if nothing had been."""
    before = current_deadline_any_clock()
    clock.advance(100)
    return (
        remaining() is None
        and call() == "value"
        and current_deadline_any_clock() == before == ActiveDeadline(float("inf"), clock)
    )


def value() -> str:
    return "value"


async def async_value() -> str:
    await asyncio.sleep(0)
    return "value"


@pytest.mark.parametrize(
    "call",
    [
        deadline(5)(value),
        timeout(5)(value),
        retry_on_category(attempts=2)(deadline(5)(timeout(3)(value))),
    ],
    ids=["deadline", "timeout", "both"],
)
def test_the_next_call_works_after_ctrl_c_anywhere_in_a_limit(clock: VirtualClock, call: Callable[[], object]):
    for _ in interruptions(call, LIMITS):
        assert calls_go_on(clock, call)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine:RuntimeWarning")
def test_the_deadline_is_withdrawn_after_ctrl_c_anywhere_in_an_async_limit(clock: VirtualClock):
    """The rest of the task is the event loop's to end, the cancel scope of the limit included."""

    @deadline(5)
    async def call() -> str:
        return await async_value()

    async def main() -> None:
        def by_hand() -> object:
            coroutine = call()
            try:
                while True:
                    coroutine.send(None)
            except StopIteration as done:
                return done.value
            finally:
                coroutine.close()

        before = current_deadline_any_clock()
        for _ in interruptions(by_hand, LIMITS):
            assert current_deadline_any_clock() is before

    asyncio.run(main())


def test_the_next_block_works_after_ctrl_c_anywhere_in_a_limited_block(clock: VirtualClock):
    limit = deadline(5)

    def block() -> str:
        with limit:
            return "value"

    for _ in interruptions(block, LIMITS):
        assert calls_go_on(clock, block)


def test_the_outer_deadline_is_in_force_after_ctrl_c_anywhere_in_a_block(clock: VirtualClock):
    limit = deadline(5)

    def block() -> str:
        with limit:
            return "value"

    open_block = blocks._ActiveBlock
    stages = (open_block.enter, open_block._admit, open_block.close, blocks._register, blocks._find, blocks._unregister)
    inside = LIMITS | {stage.__code__ for stage in stages}
    for _ in interruptions(block, inside):
        assert calls_go_on(clock, block)


def test_the_next_stream_works_after_ctrl_c_anywhere_in_a_limited_stream(clock: VirtualClock):
    @timeout(idle=5)
    def stream() -> Iterator[str]:
        yield "value"

    def read() -> object:
        return next(iter(list(stream())))

    inside = LIMITS | {streams._with_deadline.__code__}
    for _ in interruptions(read, inside):
        assert calls_go_on(clock, read)


def test_a_deadline_is_withdrawn_once_and_the_previous_one_is_in_force_again():
    outer = ActiveDeadline(7.0, VirtualClock())
    token = push_deadline(outer)
    announcement = DeadlineScope(ActiveDeadline(5.0, VirtualClock()))
    announcement.end()  # before it began
    assert current_deadline_any_clock() is outer
    announcement.begin()
    announcement.end()
    assert current_deadline_any_clock() is outer
    announcement.end()
    assert current_deadline_any_clock() is outer
    pop_deadline(token)
    assert current_deadline_any_clock() is None


def test_a_scope_of_the_deadline_in_force_leaves_it_in_force():
    due = ActiveDeadline(7.0, VirtualClock())
    token = push_deadline(due)
    announcement = DeadlineScope(due)
    announcement.begin()
    announcement.end()
    announcement.end()
    assert current_deadline_any_clock() is due
    pop_deadline(token)


def test_to_withdraw_a_deadline_in_another_context_is_an_error():
    announcement = DeadlineScope(ActiveDeadline(5.0, VirtualClock()))
    announcement.begin()
    with pytest.raises(ValueError, match="different Context"):
        contextvars.copy_context().run(announcement.end)
    announcement.end()
    assert current_deadline_any_clock() is None
