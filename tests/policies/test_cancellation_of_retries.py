"""Cancellation at every await of a retried call: no attempt follows, nothing is kept, no other call is affected."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
from collections.abc import Callable

import anyio
import pytest

from resilience import (
    CallReport,
    CircuitOpenError,
    RetryBudget,
    StopReason,
    circuit_breaker,
    deadline,
    last_call,
    remaining,
    retry_on_category,
    retrying,
    timeout,
)
from resilience.testing import no_waits
from tests.runners import Runner


class Cut:
    """Counts the awaits of a scenario, and cancels it at the *at*-th."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.seen = 0
        self.scope: anyio.CancelScope | None = None
        self.calls = 0
        self.after: list[str] = []

    def passed(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            self.scope.cancel()


def stepping(coroutine: object, cut: Cut) -> object:
    """Return an awaitable that runs *coroutine* and tells *cut* of every moment at which it lets others run."""

    class Stepping:
        def __await__(self):
            inner = coroutine.__await__()
            send, given, raised = inner.send, None, None
            while True:
                try:
                    yielded = send(given) if raised is None else inner.throw(raised)
                except StopIteration as done:
                    return done.value
                raised = None
                cut.passed()
                try:
                    given = yield yielded
                except BaseException as error:
                    raised = error

    return Stepping()


def awaits_of(backend: str, scenario: Callable[[Cut], object]) -> int:
    return run(backend, scenario, Cut()).seen


def run(backend: str, scenario: Callable[[Cut], object], cut: Cut) -> Cut:
    async def main() -> None:
        cut.scope = anyio.CancelScope()
        with cut.scope, no_waits():
            await stepping(scenario(cut), cut)
        cut.after.append("over")
        assert remaining() is None
        if backend == "asyncio":
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert not asyncio.current_task().cancelling()

    anyio.run(main, backend=backend)
    assert cut.after == ["over"]
    return cut


def failing(cut: Cut, failures: int) -> Callable:
    async def call(*args: object) -> str:
        if cut.scope is not None and cut.scope.cancel_called:
            cut.after.append("called")
        cut.calls += 1
        number = cut.calls
        await anyio.lowlevel.checkpoint()
        if number <= failures:
            raise ConnectionResetError
        return "ok"

    return call


async def slowly(*given: object) -> None:
    await anyio.lowlevel.checkpoint()


STACKS: dict[str, Callable[[], Callable]] = {
    "retry": lambda: retry_on_category(attempts=4),
    "callbacks": lambda: retry_on_category(
        attempts=4, on_retry=slowly, on_success=slowly, retry_if_result=slowly, retry_if=slowly, stop=slowly
    ),
    "deadline": lambda: lambda fn: deadline(90)(retry_on_category(attempts=4)(fn)),
    "limits": lambda: lambda fn: timeout(90)(retry_on_category(attempts=4)(timeout(80)(fn))),
    "nested": lambda: (
        lambda fn: retry_on_category(attempts=4, retry_exhausted=True)(retry_on_category(attempts=2)(deadline(90)(fn)))
    ),
}


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_cancelled_at_any_await_there_is_no_further_attempt(backend: str, stack: Callable):
    def scenario(cut: Cut) -> object:
        return stack()(failing(cut, 2))()

    whole = awaits_of(backend, scenario)
    assert whole >= 5  # three calls and two waits
    made = [run(backend, scenario, Cut(at)).calls for at in range(1, whole + 1)]
    assert made == sorted(made)
    assert made[0] == 1
    assert made[-1] == 3


@pytest.mark.parametrize("failures", [0, 1, 2, 9])
def test_cancelled_at_any_await_the_circuit_has_its_permit_back(backend: str, failures: int):
    def scenario(cut: Cut, circuit: object) -> object:
        return retry_on_category(attempts=3)(circuit(failing(cut, failures)))()

    async def to_the_end(coroutine: object) -> None:
        with contextlib.suppress(ConnectionResetError, CircuitOpenError):
            await coroutine

    def half_open() -> object:
        circuit = circuit_breaker("cancelled", failure_threshold=5, reset_timeout=900)
        circuit.half_open()
        return circuit

    def ended(cut: Cut, circuit: object) -> object:
        coroutine = scenario(cut, circuit)
        return to_the_end(coroutine) if failures else coroutine

    whole = awaits_of(backend, lambda cut: ended(cut, half_open()))
    for at in range(1, whole + 1):
        circuit = half_open()
        cut = run(backend, lambda cut, circuit=circuit: ended(cut, circuit), Cut(at))
        state = circuit.current_state
        if cut.calls == 1 and state == "half-open":  # the first attempt was cut short: the next probe is admitted
            again = Cut()
            assert anyio.run(circuit(failing(again, 0)), backend=backend) == "ok"
            assert circuit.current_state == "closed"
        assert circuit.probes_in_flight == 0


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_cancelled_at_any_await_the_budget_has_paid_for_no_more_than_the_retries(backend: str, failures: int):
    def scenario(cut: Cut, budget: RetryBudget) -> object:
        return retry_on_category(attempts=4, budget=budget)(failing(cut, failures))()

    whole = awaits_of(backend, lambda cut: scenario(cut, RetryBudget(tokens=100, reserve=0)))
    for at in range(1, whole + 1):
        budget = RetryBudget(tokens=100, reserve=0)
        cut = run(backend, lambda cut, budget=budget: scenario(cut, budget), Cut(at))
        assert 100 - 14 * failures <= budget.left() <= 100
        assert budget.left() <= 100 - 14 * (cut.calls - 1)


def test_a_cancelled_call_is_remembered_as_one(backend: str):
    seen: list[CallReport | None] = []

    async def work() -> None:
        seen.append(last_call())
        if len(seen) == 2:
            await anyio.sleep_forever()
        raise ConnectionResetError

    async def main() -> None:
        with anyio.move_on_after(0.02), no_waits():
            await retry_on_category(attempts=9)(work)()
        report = last_call()
        assert (report.reason, report.made) == (StopReason.CANCELLED, 1)
        assert "stopped: it was cancelled" in str(report)

    anyio.run(main, backend=backend)


def test_a_loop_cancelled_at_any_await_makes_no_further_attempt(backend: str):
    async def scenario(cut: Cut) -> None:
        call = failing(cut, 2)
        async for attempt in retrying(attempts=4, on_retry=slowly):
            with attempt:
                await call()

    whole = awaits_of(backend, scenario)
    made = [run(backend, scenario, Cut(at)).calls for at in range(1, whole + 1)]
    assert made == sorted(made)
    assert made[-1] == 3


def test_cancellation_leaves_nothing_to_the_garbage_collector(backend: str):
    guarded = retry_on_category(attempts=3, wait=0, on_success=slowly)

    async def one() -> None:
        cut = Cut(2)
        cut.scope = anyio.CancelScope()
        with cut.scope:
            await stepping(guarded(failing(cut, 1))(), cut)

    async def main() -> int:
        await one()
        gc.collect()
        before = len([each for each in gc.get_objects() if type(each).__name__ in ("RetryState", "Call")])
        for _ in range(20):
            await one()
        gc.collect()
        after = [each for each in gc.get_objects() if type(each).__name__ in ("RetryState", "Call")]
        return len(after) - before

    assert anyio.run(main, backend=backend) <= 1  # what `last_call` answers with


# -- many at once ---------------------------------------------------------------------------------------------------


def test_fifty_callers_of_one_function_never_see_each_others_state(backend: str):
    made: dict[int, int] = {}
    reports: dict[int, CallReport] = {}

    @retry_on_category(attempts=60, wait=0, retry_if_result=lambda value: value is None, on_success=lambda report: None)
    async def call(number: int) -> int | None:
        made[number] = made.get(number, 0) + 1
        for _ in range(number % 3):
            await anyio.lowlevel.checkpoint()
        if made[number] <= number:
            if made[number] % 2:
                return None
            raise ConnectionResetError if number % 4 else TimeoutError
        return number

    async def one(number: int) -> None:
        assert await call(number) == number
        reports[number] = last_call()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(one, number)

    contextvars.Context().run(anyio.run, main, backend=backend)
    assert made == {number: number + 1 for number in range(50)}
    assert reports[0] is None
    for number in range(1, 50):
        report = reports[number]
        assert report.made == number + 1
        kinds = {each.error for each in report.attempts} - {None}
        assert kinds <= {"ConnectionResetError" if number % 4 else "TimeoutError"}


def test_cancelling_one_of_fifty_leaves_the_others_alone(backend: str):
    made: dict[int, int] = {}

    @retry_on_category(attempts=5, base_delay=0)
    async def call(number: int) -> int:
        made[number] = made.get(number, 0) + 1
        await anyio.lowlevel.checkpoint()
        if made[number] < 4:
            raise ConnectionResetError
        return number

    answers: list[int] = []

    async def one(number: int) -> None:
        with anyio.CancelScope() as scope:
            if number % 5 == 0:
                scope.cancel()
            answers.append(await call(number))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(one, number)

    anyio.run(main, backend=backend)
    assert sorted(answers) == [number for number in range(50) if number % 5]
    assert all(made[number] == (1 if number % 5 == 0 else 4) for number in range(50))


def test_threads_that_share_a_function_have_each_their_own_report():
    import concurrent.futures

    @retry_on_category(attempts=60, base_delay=0)
    def call(number: int, made: list[int]) -> int:
        made.append(1)
        if len(made) <= number:
            raise ConnectionResetError
        return number

    def one(number: int) -> int:
        call(number, [])
        report = last_call()
        return report.made if report is not None else 1

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(contextvars.Context().run, functools.partial(one, number)) for number in range(50)]
        assert [job.result() for job in jobs] == [number + 1 for number in range(50)]
    assert Runner("sync").name == "sync"


def test_a_retry_that_is_cancelled_while_on_retry_runs_costs_nothing(backend: str):
    budget = RetryBudget(tokens=20, reserve=0)

    @retry_on_category(base_delay=0, budget=budget, on_retry=lambda event: anyio.sleep_forever())
    async def call() -> None:
        raise ConnectionResetError

    async def main() -> CallReport | None:
        with anyio.move_on_after(0.05):
            await call()
        return last_call()

    report = anyio.run(main, backend=backend)
    assert budget.left() == 20
    assert (report.reason, report.made) == (StopReason.CANCELLED, 1)


@pytest.mark.parametrize(("wait", "left"), [(60, 20), (0, 6)])
def test_a_retry_that_is_cancelled_before_it_is_made_costs_nothing(backend: str, wait: float, left: float):
    budget = RetryBudget(tokens=20, reserve=0)
    reached = 0

    @retry_on_category(attempts=2, base_delay=wait, budget=budget)
    async def call() -> None:
        nonlocal reached
        reached += 1
        if reached == 1:
            raise ConnectionResetError
        await anyio.sleep_forever()

    async def main() -> None:
        with anyio.move_on_after(0.05):
            await call()

    anyio.run(main, backend=backend)
    assert budget.left() == left
