"""A call that finds a free slot takes it without a runner, and gives it back whatever ends it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from resilience import (
    BulkheadFullError,
    CallTimeoutError,
    CircuitOpenError,
    Pipeline,
    bulkhead,
    circuit_breaker,
    fallback,
    retry_on_category,
    settings,
    timeout,
    track_errors,
)
from resilience._runtime import sync_runner
from resilience._runtime.acquire import acquire
from resilience._runtime.circuit_context import calls_here, innermost_permit, is_part_of, still_running
from resilience._runtime.limiters import LimiterChain
from resilience._runtime.protocol import Call, Limiter, Steps
from resilience._runtime.slots import Slots
from resilience._runtime.steps import resume
from resilience.clock import current_clock
from resilience.metrics._call_stats import CALL_STATS
from resilience.policies import Outcome, Policy, Proceed
from resilience.testing import no_waits, virtual_time
from tests.interruptions import functions_of, interruptions
from tests.runners import Runner


class Unasked(bulkhead):
    """A bulkhead whose `run` must not be asked: of a call on the fast path."""

    def run(self, call: Call) -> Steps[Outcome]:
        raise AssertionError(f"{call.target} is not on the fast path")
        yield


def in_flight(policy: bulkhead) -> int:
    return policy.snapshot()["in_flight"]


async def sleep(seconds: float) -> None:
    await current_clock().sleep_async(seconds)


# -- which calls ------------------------------------------------------------------------------------------------------


def test_a_call_that_finds_a_free_slot_needs_no_runner(runner: Runner):
    stock = Unasked("stock", 2)

    @stock
    def sync(number: int) -> int:
        return number + in_flight(stock)

    class Client:
        @stock
        def method(self, number: int) -> int:
            return number + in_flight(stock)

    @stock
    class Whole:
        def method(self, number: int) -> int:
            return number + in_flight(stock)

    @stock
    async def asynchronous(number: int) -> int:
        await anyio.lowlevel.checkpoint()
        return number + in_flight(stock)

    def main() -> None:
        assert [sync(1), Client().method(1), Whole().method(1)] == [2, 2, 2]

    async def main_async() -> None:
        assert await asynchronous(1) == 2

    runner.run(main, main_async)
    assert in_flight(stock) == 0


@pytest.mark.parametrize(
    "stack",
    [
        lambda stock: Pipeline(fallback(default=0), retry_on_category(attempts=2), circuit_breaker("a"), stock),
        lambda stock: Pipeline(stock, circuit_breaker("b"), retry_on_category(attempts=2)),
        lambda stock: Pipeline(track_errors(component="stock"), stock),
    ],
    ids=["innermost", "outermost", "tracked"],
)
def test_it_needs_none_between_other_policies_of_the_fast_path(stack: Callable[[bulkhead], Pipeline]):
    stock = Unasked("stock", 2)

    def call() -> int:
        return in_flight(stock)

    assert stack(stock)(call)() == 1
    assert in_flight(stock) == 0


def test_a_call_in_an_asyncio_time_limit_needs_none():
    stock = Unasked("stock", 2)

    @timeout(5)
    @stock
    @timeout(3)
    async def call() -> int:
        await asyncio.sleep(0)
        return in_flight(stock)

    assert asyncio.run(call()) == 1
    assert in_flight(stock) == 0


def test_a_call_that_finds_none_is_taken_to_run():
    stock = Unasked("stock", 1, max_queue=0)

    @stock
    def outer() -> None:
        with pytest.raises(AssertionError, match="is not on the fast path"):
            outer()

    outer()
    assert in_flight(stock) == 0


def test_several_policies_that_admit_are_asked_together(runner: Runner):
    one, other = Unasked("one", 1, max_queue=0), Unasked("other", 2, max_queue=0)
    allowance = Allowance(2)
    stack = Pipeline(allowance, one, retry_on_category(attempts=2), other)

    def call() -> list[int]:
        return [in_flight(policy) for policy in (one, other)]

    async def call_async() -> list[int]:
        await anyio.lowlevel.checkpoint()
        return call()

    def main() -> None:
        guarded = stack(call)
        assert [guarded(), guarded()] == [[1, 1]] * 2
        with pytest.raises(PermissionError):
            guarded()

    async def main_async() -> None:
        guarded = stack(call_async)
        assert [await guarded(), await guarded()] == [[1, 1]] * 2
        with pytest.raises(PermissionError):
            await guarded()

    runner.run(main, main_async)
    assert [in_flight(policy) for policy in (one, other)] == [0, 0]


def test_what_one_of_several_declines_is_given_back_to_the_others():
    one, other = bulkhead("one", 5), bulkhead("other", 1, max_queue=0)
    allowance = Allowance(1)
    guarded = Pipeline(one, other, allowance)(lambda: "made")
    assert other._compartment.slots.try_acquire()
    for _ in range(3):
        with pytest.raises(BulkheadFullError):
            guarded()
    assert in_flight(one) == 0
    other._compartment.slots.release()
    assert guarded() == "made"


def test_a_call_that_one_of_several_declines_is_not_timed_as_one():
    free, full = Slots(1), Slots(1)
    assert full.try_acquire()
    chain = LimiterChain([free, full])
    assert not chain.try_enter([None, None, None])
    assert (free.free, full.free, [*free.durations]) == (1, 0, [])


def test_of_several_each_is_given_back_by_its_own_policy_when_a_call_has_failed(runner: Runner):
    held: list[list[int]] = []
    outer, inner = bulkhead("outer", 1), bulkhead("inner", 1)
    retry = retry_on_category(
        attempts=2, base_delay=1, on_retry=lambda *_: held.append([in_flight(outer), in_flight(inner)])
    )
    story = runner.play(Pipeline(outer, retry, inner), ConnectionResetError(), "ok")
    assert (story.answer, held) == ("ok", [[1, 0]])
    assert (in_flight(outer), in_flight(inner)) == (0, 0)


def test_a_policy_that_stands_twice_in_a_stack_and_one_with_keys_are_run_for_each_call():
    twice = bulkhead("twice", 2, max_queue=0)

    @twice
    @twice
    def call() -> int:
        return in_flight(twice)

    assert call() == 2
    assert in_flight(twice) == 0
    with pytest.raises(AssertionError):
        Unasked("stock", 2, key=lambda: "key")(lambda: None)()


def test_while_policies_are_switched_off_no_slot_is_taken():
    stock = bulkhead("stock", 1, max_queue=0)

    @stock
    def call(depth: int) -> int:
        return call(depth - 1) if depth else in_flight(stock)

    with settings.disabled():
        assert call(3) == 0
    assert call(0) == 1


# -- whatever ends the call -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_call_that_raises_gives_its_slot_back(ends: type[BaseException]):
    stock = bulkhead("stock", 1)

    @stock
    def call() -> None:
        assert in_flight(stock) == 1
        raise ends

    for _ in range(2):
        with pytest.raises(ends):
            call()
        assert in_flight(stock) == 0


def test_a_call_that_is_cancelled_or_collected_gives_its_slot_back(backend: str):
    stock = bulkhead("stock", 1)

    @stock
    async def hang() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        with anyio.move_on_after(0):
            await hang()
        assert in_flight(stock) == 0

    anyio.run(main, backend=backend)
    coroutine = hang()
    with pytest.raises(BaseException):  # noqa: B017, PT011  # whatever a loop that is not there raises
        coroutine.send(None)
    del coroutine
    gc.collect()
    assert in_flight(stock) == 0


def test_a_coroutine_that_is_dropped_in_the_midst_of_its_call_gives_its_slot_back():
    stock = bulkhead("stock", 1)

    class Forever:
        def __await__(self) -> Iterator[None]:
            yield

    @stock
    async def hang() -> None:
        await Forever()

    coroutine = hang()
    coroutine.send(None)
    assert in_flight(stock) == 1
    del coroutine
    gc.collect()
    assert in_flight(stock) == 0


def test_a_retry_inside_keeps_the_slot_and_one_outside_lets_it_go_between_the_attempts(runner: Runner):
    held: list[int] = []
    inside, outside = bulkhead("inside", 1), bulkhead("outside", 1)
    retry = retry_on_category(attempts=3, base_delay=1, on_retry=lambda *_: held.append(in_flight(policy)))

    for policy, stack, expected in ((inside, Pipeline(inside, retry), 1), (outside, Pipeline(retry, outside), 0)):
        held.clear()
        story = runner.play(stack, ConnectionResetError(), ConnectionResetError(), "ok")
        assert story.answer == "ok"
        assert held == [expected] * 2
        assert in_flight(policy) == 0


@pytest.mark.parametrize("order", ["outside", "inside"])
def test_a_time_limit_that_passes_gives_the_slot_back_before_the_call_is_made_again(order: str):
    stock = bulkhead("stock", 1)
    held: list[int] = []
    retry = retry_on_category(attempts=2, base_delay=1, on_retry=lambda *_: held.append(in_flight(stock)))
    limits = [stock, timeout(0.01)]

    @Pipeline(retry, *(limits if order == "outside" else limits[::-1]))
    async def hang() -> None:
        held.append(in_flight(stock))
        await asyncio.sleep(60)

    async def main() -> None:
        with no_waits(), pytest.raises(CallTimeoutError):
            await hang()

    asyncio.run(main())
    assert held == [1, 0, 1]
    assert in_flight(stock) == 0


@pytest.mark.parametrize("order", ["outside", "inside"])
def test_a_call_that_an_open_circuit_rejects_takes_no_slot(runner: Runner, order: str):
    stock, breaker = bulkhead("stock", 1, max_queue=0), circuit_breaker("stock", failure_threshold=1)
    seen: list[int] = []
    parts = [stock, breaker] if order == "outside" else [breaker, stock]
    stack = Pipeline(fallback(factory=lambda error: seen.append(in_flight(stock))), *parts)
    breaker.open()
    for _ in range(2):
        story = runner.play(stack, "never")
        assert story.reached == 0
    assert seen == [0, 0]
    story = runner.play(Pipeline(*parts), "never")
    assert isinstance(story.answer, CircuitOpenError)


def test_calls_are_counted_by_what_tracks_them_whether_they_succeed_fail_or_find_no_slot():
    stock = bulkhead("stock", 1, max_queue=0)

    @track_errors(component="limiters")
    @stock
    def call(what: str) -> None:
        if what == "fail":
            raise ConnectionResetError
        if what == "nested":
            call("never")

    call("ok")
    with pytest.raises(ConnectionResetError):
        call("fail")
    with pytest.raises(BulkheadFullError):
        call("nested")
    totals = CALL_STATS.for_target(call.__resilience__.target, "limiters").totals()
    assert totals.success.calls == 1
    assert {error: number for (error, _), number in totals.errors.items()} == {
        "ConnectionResetError": 1,
        BulkheadFullError.code: 2,
    }


# -- calls within calls -----------------------------------------------------------------------------------------------


def test_a_task_and_a_thread_of_a_call_that_has_a_slot_do_not_wait_for_it(backend: str):
    stock = bulkhead("stock", 1)
    refused: list[str] = []

    async def inner() -> None:
        try:
            await stock.acall(anyio.lowlevel.checkpoint)
        except BulkheadFullError as error:
            refused.append(error.reason)

    @stock
    async def outer() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inner)
        await anyio.to_thread.run_sync(lambda: pytest.raises(BulkheadFullError, stock.call, int))

    anyio.run(outer, backend=backend)
    assert refused == ["the call already has a slot, and no other is free"]


def test_a_call_beside_one_that_has_a_slot_waits_for_it(backend: str):
    stock = bulkhead("stock", 1)

    @stock
    async def call() -> int:
        await anyio.lowlevel.checkpoint()
        return in_flight(stock)

    async def main() -> None:
        found: list[int] = []

        async def one() -> None:
            found.append(await call())

        await call()  # and what it has left in the context has ended
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(one)
        assert found == [1, 1, 1]

    anyio.run(main, backend=backend)


def test_a_thread_that_outlives_the_call_that_started_it_waits_as_any_does():
    stock = bulkhead("stock", 1)

    @stock
    def leave() -> contextvars.Context:
        return contextvars.copy_context()

    @stock
    def call() -> str:
        return "made"

    context = leave()
    assert stock._compartment.slots.try_acquire()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(context.run, call)
        while not stock.snapshot()["queued"]:
            threading.Event().wait(0.001)
        stock._compartment.slots.release()
        assert waiting.result(5) == "made"


def permits_in(context: contextvars.Context) -> list[object]:
    """Return the permits that lead from one to the other in *context*, the innermost first."""
    found, permit = [], context.get(innermost_permit)
    while permit is not None:
        found.append(permit)
        permit = permit[1]
    return found


def test_permits_of_ended_calls_do_not_pile_up_in_contexts_that_were_copied_one_from_another():
    stock = bulkhead("stock", 3)

    @stock
    def call(depth: int) -> contextvars.Context:
        if depth:
            return call(depth - 1)
        return contextvars.copy_context()

    context = contextvars.copy_context()
    for _ in range(20):
        context = context.run(call, 2)
    assert len(permits_in(context)) == 3
    context.run(call, 0)
    assert len(permits_in(context)) == 1


def test_they_do_not_where_each_call_starts_a_task_that_outlives_it(backend: str):
    stock = bulkhead("stock", 3)
    longest = 0

    async def main() -> None:
        async with anyio.create_task_group() as tasks:

            @stock
            async def call(left: int) -> None:
                nonlocal longest
                longest = max(longest, len(permits_in(contextvars.copy_context())))
                if left:
                    tasks.start_soon(call, left - 1)
                    await anyio.lowlevel.checkpoint()
                    await anyio.lowlevel.checkpoint()

            await call(50)

    anyio.run(main, backend=backend)
    assert 1 <= longest <= 3


def test_many_calls_within_each_other_have_a_slot_each():
    stock = bulkhead("stock", 150, max_queue=0)

    @stock
    def call(depth: int) -> int:
        return call(depth - 1) if depth else in_flight(stock)

    assert call(149) == 150
    with pytest.raises(BulkheadFullError):
        call(150)
    assert in_flight(stock) == 0


# -- how long calls take ----------------------------------------------------------------------------------------------


def test_each_call_of_a_millisecond_or_more_is_timed_and_of_shorter_ones_one_in_sixteen():
    stock = bulkhead("stock", 1)
    with virtual_time() as clock:

        @stock
        def call(seconds: float) -> None:
            clock.advance(seconds)

        for _ in range(3):
            call(0.5)
        assert [*stock._compartment.slots.durations] == [0.5] * 3
        for _ in range(33):
            call(0.0001)
        assert len(stock._compartment.slots.durations) == 6
        for _ in range(16):
            call(2)
        assert stock._compartment.slots.durations[-1] == pytest.approx(2)


def test_a_failed_call_is_timed_once():
    stock = bulkhead("stock", 1)
    with virtual_time() as clock:

        @stock
        def call() -> None:
            clock.advance(3)
            raise ValueError

        with pytest.raises(ValueError):
            call()
    assert [*stock._compartment.slots.durations] == [3]


# -- Ctrl-C -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_wherever_ctrl_c_comes_the_slot_is_given_back_once(fails: bool):
    stock = bulkhead("stock", 1)

    @fallback(default="default")
    @stock
    def call() -> str:
        if fails:
            raise ConnectionResetError
        return "value"

    expected = call()
    inside = {call.__code__, *functions_of(Slots)}
    for _ in interruptions(call, inside, after_calls=True):
        assert in_flight(stock) == 0
        assert not is_part_of(stock._compartment.slots)
        assert call() == expected


@pytest.mark.parametrize("way", ["call", "block", "stream"])
def test_wherever_ctrl_c_comes_to_a_call_that_a_runner_makes_the_slot_is_given_back_once(way: str):
    stock = bulkhead("stock", 1)

    @stock
    def items() -> Iterator[int]:
        yield 1

    def block() -> None:
        with stock:
            pass

    call = {"call": lambda: stock.call(int), "block": block, "stream": lambda: [*items()]}[way]
    functions = (acquire, bulkhead.run, sync_runner.drive, sync_runner.advance, sync_runner.perform, resume)
    inside = {*(function.__code__ for function in functions), *functions_of(Slots)}
    for _ in interruptions(call, inside, after_calls=True):
        gc.collect()
        assert in_flight(stock) == 0
        assert not still_running(calls_here())
        call()


def test_ctrl_c_as_a_slot_is_given_back_still_wakes_the_call_that_waits():
    stock = bulkhead("stock", 1)
    served: list[str] = []

    def interrupted() -> None:
        waiting = threading.Thread(target=stock.call, args=(served.append, "served"), daemon=True)

        @stock
        def call() -> None:
            waiting.start()
            while not stock.snapshot()["queued"]:
                threading.Event().wait(0.001)

        try:
            call()
        finally:
            waiting.join(5)

    functions = (Slots.leave, Slots._serve, Slots._grant, Slots._lend)
    for _ in interruptions(interrupted, {function.__code__ for function in functions}, after_calls=True):
        assert served.pop() == "served"
        assert in_flight(stock) == 0


# -- of others --------------------------------------------------------------------------------------------------------


class Tokens:
    """A limiter of so many calls in all."""

    leaves = False

    def __init__(self, number: int) -> None:
        self.left = number

    def try_enter(self, permit: list[object], /) -> bool:
        if not self.left:
            return False
        self.left -= 1
        return True

    def leave(self, permit: list[object], /) -> None:
        raise AssertionError("it takes nothing back")


class Allowance(Policy):
    """So many calls, and an error from then on."""

    fast_path = True

    def __init__(self, number: int) -> None:
        self.fast_path_limiter: Limiter = Tokens(number)
        self.failures: list[Exception | None] = []

    def run(self, call: Call) -> Steps[Outcome]:
        if not call.admitted and not self.fast_path_limiter.try_enter([None, None, None]):
            return Outcome.failed(PermissionError(call.target))
        outcome = yield Proceed()
        self.failures.append(outcome.error)
        return outcome


def test_a_policy_from_outside_may_have_a_limiter_that_takes_nothing_back(runner: Runner):
    allowance = Allowance(3)

    def call(fails: bool) -> str:
        if fails:
            raise ConnectionResetError
        return "ok"

    async def call_async(fails: bool) -> str:
        return call(fails)

    retry = retry_on_category(attempts=2, base_delay=0)

    def main() -> None:
        guarded = retry(allowance(call))
        assert guarded(False) == "ok"
        with pytest.raises(ConnectionResetError):
            guarded(True)
        with pytest.raises(PermissionError):
            guarded(False)

    async def main_async() -> None:
        guarded = retry(allowance(call_async))
        assert await guarded(False) == "ok"
        with pytest.raises(ConnectionResetError):
            await guarded(True)
        with pytest.raises(PermissionError):
            await guarded(False)

    runner.run(main, main_async)
    assert [type(error) for error in allowance.failures] == [ConnectionResetError] * 2
