"""`settings.disabled` and `testing.no_waits`: what is switched off, where, and that it comes back."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from resilience import (
    CallTimeoutError,
    CircuitOpenError,
    Pipeline,
    RetryBudget,
    circuit_breaker,
    deadline,
    describe,
    fallback,
    last_call,
    remaining,
    retry_on_category,
    retrying,
    settings,
    subscribe,
    timeout,
)
from resilience.errors import TooManyAbandonedError
from resilience.settings import ABANDONED_THREADS, DISABLED, NO_WAITS
from resilience.testing import no_waits
from tests.runners import Runner


class Dependency:
    """Fails *failures* times."""

    def __init__(self, failures: int = 10**9) -> None:
        self.calls = 0
        self.failures = failures

    def call(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise ConnectionResetError(f"call {self.calls}")
        return "ok"

    async def call_async(self) -> str:
        await anyio.lowlevel.checkpoint()
        return self.call()

    def through(self, runner: Runner, decorate: Callable) -> object:
        """Call it once, guarded; return what came of it."""
        try:
            return runner.run(decorate(self.call), decorate(self.call_async))
        except Exception as error:
            return error


def open_circuit() -> object:
    circuit = circuit_breaker("settings", failure_threshold=1, reset_timeout=999)
    with pytest.raises(ConnectionResetError):
        circuit(Dependency().call)()
    assert circuit.current_state == "open"
    return circuit


@pytest.fixture(params=[False, True], ids=["here", "everywhere"])
def everywhere(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(autouse=True)
def all_is_as_it_was():
    yield
    assert (DISABLED.active_count, NO_WAITS.active_count, DISABLED.is_on(), NO_WAITS.is_on()) == (0, 0, False, False)


# -- disabled: each policy -------------------------------------------------------------------------------------------

POLICIES = {
    "retry": lambda: retry_on_category(attempts=3, base_delay=60),
    "retry with strategies": lambda: retry_on_category(wait=60, on_success=lambda report: None),
    "fallback": lambda: fallback(default="substitute"),
    "circuit": lambda: circuit_breaker("settings", failure_threshold=1),
    "deadline": lambda: deadline(5),
    "timeout": lambda: timeout(5),
    "a stack": lambda: Pipeline(
        fallback(default=0), deadline(9), retry_on_category(base_delay=60), circuit_breaker("s"), timeout(5)
    ),
}


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
def test_a_call_reaches_the_function_once_and_its_error_the_caller_as_it_is(
    runner: Runner, make: Callable, everywhere: bool
):
    guard, dependency, heard = make(), Dependency(), []
    with subscribe(heard.append), settings.disabled(everywhere=everywhere):
        for number in (1, 2, 3):
            error = dependency.through(runner, guard)
            assert isinstance(error, ConnectionResetError)
            assert dependency.calls == number
            assert not hasattr(error, "__notes__")
            assert not hasattr(error, "resilience")
    assert heard == []
    assert Dependency(failures=0).through(runner, guard) == "ok"


def test_an_open_circuit_of_a_disabled_scope_admits_calls(runner: Runner, everywhere: bool):
    circuit = open_circuit()
    with settings.disabled(everywhere=everywhere):
        assert Dependency(failures=0).through(runner, circuit) == "ok"
        both = Pipeline(retry_on_category(), circuit)
        assert Dependency(failures=0).through(runner, both) == "ok"
    assert circuit.current_state == "open"
    assert isinstance(Dependency(failures=0).through(runner, circuit), CircuitOpenError)


def test_a_circuit_counts_nothing_meanwhile(runner: Runner):
    circuit = circuit_breaker("settings", failure_threshold=2)
    with settings.disabled():
        for _ in range(5):
            Dependency().through(runner, circuit)
    assert circuit.current_state == "closed"
    assert circuit.fail_counter == 0


def test_an_open_circuit_around_a_generator_in_a_disabled_scope_admits_calls():
    circuit = open_circuit()

    @circuit
    def items():
        yield 1

    with settings.disabled():
        assert list(items()) == [1]


@pytest.mark.parametrize("used_before", [False, True])
def test_a_disabled_limit_is_off_on_the_fast_path_too(used_before: bool, everywhere: bool):
    guard = timeout(0.01)

    @guard
    async def work(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "ok"

    async def main() -> None:
        if used_before:
            assert await work(0) == "ok"
            with pytest.raises(CallTimeoutError):
                await work(5)
        with settings.disabled(everywhere=everywhere):
            assert await work(0.03) == "ok"
            async with guard:
                await asyncio.sleep(0.03)
            assert remaining() is None
        with pytest.raises(CallTimeoutError):
            await work(5)

    asyncio.run(main())


def test_a_limit_of_a_sync_call_starts_no_thread(everywhere: bool):
    ask = timeout(5)(threading.get_ident)
    with settings.disabled(everywhere=everywhere):
        assert ask() == threading.get_ident()
    assert ask() != threading.get_ident()


def test_a_deadline_is_none(runner: Runner):
    seen: list[object] = []

    async def ask() -> None:
        seen.append(remaining())

    with settings.disabled():
        runner.run(deadline(5)(lambda: seen.append(remaining())), deadline(5)(ask))
        with deadline(5):
            seen.append(remaining())
    assert seen == [None, None]


def test_blocks_are_left_alone(backend: str):
    circuit = open_circuit()

    def sync() -> None:
        for block in (fallback(default=1), circuit):
            with pytest.raises(ConnectionResetError), block:
                raise ConnectionResetError
        with fallback(default=1) as result:
            result.value = 2
        assert result.value == 2

    async def main() -> None:
        for block in (fallback(default=1), circuit, deadline(5), timeout(5)):
            with pytest.raises(ConnectionResetError):
                async with block:
                    raise ConnectionResetError

    with settings.disabled():
        sync()
        anyio.run(main, backend=backend)


def test_a_block_begun_before_ends_as_it_began():
    with fallback(default=1) as result:
        switched = settings.disabled()
        switched.__enter__()
        try:
            raise ConnectionResetError
        finally:
            switched.__exit__(None, None, None)
    assert result.value == 1
    switched = settings.disabled()
    switched.__enter__()
    with pytest.raises(ConnectionResetError), fallback(default=1):
        switched.__exit__(None, None, None)
        raise ConnectionResetError


def test_loops_of_attempts_make_one(backend: str):
    made = []

    async def main() -> None:
        async for attempt in retrying(base_delay=60):
            with attempt:
                made.append(attempt.number)
                raise ConnectionResetError

    with settings.disabled():
        with pytest.raises(ConnectionResetError):
            for attempt in retrying(base_delay=60):
                with attempt:
                    made.append(attempt.number)
                    raise ConnectionResetError
        with pytest.raises(ConnectionResetError):
            anyio.run(main, backend=backend)
        for attempt in retrying():
            with attempt:
                made.append(attempt.number)
    assert made == [1, 1, 1]


def test_calls_through_a_pipeline_are_left_alone(backend: str):
    pipeline = Pipeline(fallback(default=0), retry_on_category(base_delay=60))
    dependency = Dependency()

    async def main() -> None:
        await pipeline.acall(dependency.call_async)

    with settings.disabled():
        with pytest.raises(ConnectionResetError):
            pipeline.call(dependency.call)
        with pytest.raises(ConnectionResetError):
            anyio.run(main, backend=backend)
    assert dependency.calls == 2


def test_no_budget_is_spent_and_no_call_remembered(runner: Runner):
    budget = RetryBudget(tokens=50)
    with settings.disabled():
        before = last_call()
        Dependency().through(runner, retry_on_category(budget=budget))
        assert last_call() == before
    assert budget.left() == 50


# -- where -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switch", [settings.disabled, no_waits])
def test_it_holds_in_its_own_context_only(switch: Callable):
    on = DISABLED if switch is settings.disabled else NO_WAITS
    seen: list[bool] = []
    with switch():
        thread = threading.Thread(target=lambda: seen.append(on.is_on()))
        thread.start()
        thread.join()
        assert on.is_on()
    with switch(everywhere=True):
        thread = threading.Thread(target=lambda: seen.append(on.is_on()))
        thread.start()
        thread.join()
    assert seen == [False, True]


@pytest.mark.parametrize("switch", [settings.disabled, no_waits])
def test_threads_that_take_the_context_along_have_it(switch: Callable):
    on = DISABLED if switch is settings.disabled else NO_WAITS

    async def main() -> bool:
        with switch():
            return await asyncio.to_thread(on.is_on)

    assert asyncio.run(main())


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("switch", [settings.disabled, no_waits])
def test_one_task_has_it_and_the_others_have_not(backend: str, switch: Callable, shared: bool):
    on = DISABLED if switch is settings.disabled else NO_WAITS
    one = switch()
    seen: list[tuple[int, bool]] = []

    async def task(number: int) -> None:
        for _ in range(number % 5):
            await anyio.lowlevel.checkpoint()
        if number % 2:
            with one if shared else switch():
                for _ in range(number % 7):
                    await anyio.lowlevel.checkpoint()
                seen.append((number, on.is_on()))
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(child, number)
        await anyio.lowlevel.checkpoint()
        seen.append((number, not on.is_on()))

    async def child(number: int) -> None:
        seen.append((number, on.is_on()))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(task, number)

    anyio.run(main, backend=backend)
    assert len(seen) == 20 + 2 * 10
    assert all(right for _, right in seen)


def test_concurrent_tasks_are_retried_or_not_each_for_itself(backend: str):
    calls: dict[int, int] = {}

    @retry_on_category(attempts=3, base_delay=0)
    async def fail(number: int) -> None:
        calls[number] = calls.get(number, 0) + 1
        await anyio.lowlevel.checkpoint()
        raise ConnectionResetError

    async def one(number: int) -> None:
        with pytest.raises(ConnectionResetError):
            if number % 2:
                with settings.disabled():
                    await fail(number)
            else:
                await fail(number)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(one, number)

    anyio.run(main, backend=backend)
    assert calls == {number: 1 if number % 2 else 3 for number in range(10)}


@pytest.mark.parametrize("switch", [settings.disabled, no_waits])
def test_blocks_may_be_nested_in_any_mixture(switch: Callable):
    on = DISABLED if switch is settings.disabled else NO_WAITS
    again = switch()
    with again, switch(everywhere=True):
        with again, switch():
            assert on.is_on()
        assert on.is_on()
    assert not on.is_on()
    one, two = switch(), switch(everywhere=True)
    one.__enter__()
    two.__enter__()
    one.__exit__()  # not the last to come is the first to go
    assert on.is_on()
    two.__exit__()
    assert not on.is_on()


def test_a_block_left_in_another_context_is_over_for_all_contexts():
    switched = settings.disabled()
    contextvars.copy_context().run(switched.__enter__)
    assert not DISABLED.is_on()
    switched.__exit__()
    assert DISABLED.active_count == 0
    with settings.disabled():
        assert DISABLED.is_on()


def test_everywhere_is_over_when_the_last_block_is():
    one, two = settings.disabled(everywhere=True), settings.disabled(everywhere=True)
    with one:
        with two:
            pass
        assert Dependency(2).through(Runner("sync"), retry_on_category(base_delay=0)).args == ("call 1",)
    assert Dependency(2).through(Runner("sync"), retry_on_category(base_delay=0)) == "ok"


@pytest.mark.parametrize("switch", [settings.disabled, no_waits])
@pytest.mark.parametrize("everywhere", [1, None, "yes"])
def test_everywhere_is_yes_or_no(switch: Callable, everywhere: object):
    with pytest.raises(TypeError, match=f"everywhere={everywhere!r}: give True or False"):
        switch(everywhere=everywhere)


# -- threads that callers have left ------------------------------------------------------------------------------------


def test_a_call_is_refused_when_as_many_threads_are_left_behind_as_may(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ABANDONED_THREADS, "limit", 256)
    assert settings.limit_abandoned_threads(1) == 256
    gate = threading.Event()
    with pytest.raises(CallTimeoutError):
        timeout(0.01)(gate.wait)()
    assert settings.abandoned_threads() == 1
    with pytest.raises(TooManyAbandonedError, match="1 call that exceeded its time limit still runs"):
        timeout(1)(list.copy)([])
    assert settings.limit_abandoned_threads(2) == 1
    assert timeout(1)(list.copy)([]) == []
    gate.set()


def test_each_target_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ABANDONED_THREADS, "limit_per_target", 64)
    assert settings.limit_abandoned_threads_per_target(1) == 64
    gate = threading.Event()

    def hang() -> None:  # a target of its own: the thread of another test may not have ended yet
        gate.wait()

    with pytest.raises(CallTimeoutError):
        timeout(0.01)(hang)()
    with pytest.raises(TooManyAbandonedError, match="1 call to it that exceeded its time limit still runs"):
        timeout(1)(hang)()
    assert timeout(1)(list.copy)([]) == []
    gate.set()


@pytest.mark.parametrize(
    ("number", "kind"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError), ("64", TypeError)]
)
def test_the_limit_of_threads_left_behind_is_a_whole_number(number: Any, kind: type[Exception]):
    for limit in (settings.limit_abandoned_threads, settings.limit_abandoned_threads_per_target):
        with pytest.raises(kind, match=f"number={number!r}: give a whole number of 1 or more"):
            limit(number)
    assert (ABANDONED_THREADS.limit, ABANDONED_THREADS.limit_per_target) == (256, 64)


# -- limit_attempts ---------------------------------------------------------------------------------------------------


def calls_through(runner: Runner, retry: Callable) -> int:
    dependency = Dependency()
    with no_waits():
        assert isinstance(dependency.through(runner, retry), ConnectionResetError)
    return dependency.calls


def test_attempts_are_limited_in_a_block_and_not_after_it(runner: Runner, everywhere: bool):
    retry = retry_on_category(attempts=5)
    for number, made in [(1, 1), (2, 2), (9, 5)]:
        with settings.limit_attempts(number, everywhere=everywhere):
            assert calls_through(runner, retry) == made
    assert calls_through(runner, retry) == 5


def test_of_several_limits_the_lowest_holds(runner: Runner):
    retry = retry_on_category(attempts=5)
    two, three = settings.limit_attempts(2), settings.limit_attempts(3, everywhere=True)
    with two, three, two:
        assert calls_through(runner, retry) == 2
    with three, settings.limit_attempts(4):
        assert calls_through(runner, retry) == 3


def test_a_limit_of_attempts_ends_retries_without_a_number(runner: Runner):
    with settings.limit_attempts(4):
        assert calls_through(runner, retry_on_category(attempts=None)) == 4


def test_nested_retries_are_limited_as_one(runner: Runner):
    with settings.limit_attempts(1):
        assert calls_through(runner, lambda fn: retry_on_category()(retry_on_category()(fn))) == 1
    with settings.limit_attempts(2):
        assert calls_through(runner, lambda fn: retry_on_category()(retry_on_category()(fn))) == 2


def test_a_loop_is_limited_and_circuits_and_fallbacks_work_on():
    made = []
    circuit = circuit_breaker("limited", failure_threshold=1)
    with settings.limit_attempts(1):
        with pytest.raises(ConnectionResetError):
            for attempt in retrying(base_delay=0):
                with attempt:
                    made.append(attempt.number)
                    raise ConnectionResetError
        assert fallback(default="other")(circuit(Dependency().call))() == "other"
    assert made == [1]
    assert circuit.current_state == "open"


def test_a_limit_of_attempts_holds_in_the_tasks_that_the_block_starts_and_in_no_other_thread(backend: str):
    made: list[int] = []

    async def call() -> None:
        made.append(calls_through(Runner("sync"), retry_on_category()))

    async def main() -> None:
        with settings.limit_attempts(1):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
            thread = threading.Thread(
                target=lambda: made.append(calls_through(Runner("sync"), retry_on_category())), **FRESH
            )
            thread.start()
            thread.join()

    anyio.run(main, backend=backend)
    assert made == [1, 3]


FRESH = {"context": contextvars.Context()} if sys.version_info >= (3, 14) else {}


def test_describe_counts_with_the_limit_in_force():
    guarded = retry_on_category(attempts=5)(Dependency().call)
    with settings.limit_attempts(2):
        assert describe(guarded).worst.calls == 2
    assert describe(guarded).worst.calls == 5


@pytest.mark.parametrize("wrong", [0, -1, True, None, "1", 1.0])
def test_a_limit_of_attempts_must_be_a_whole_number(wrong: object):
    with pytest.raises((TypeError, ValueError), match="number="):
        settings.limit_attempts(wrong)


PROGRAM = """
from resilience import retry_on_category
calls = 0
@retry_on_category(attempts=3, base_delay=0)
def down():
    global calls
    calls += 1
    raise ConnectionResetError
try:
    down()
except ConnectionResetError:
    print(calls)
"""


@pytest.mark.parametrize(("value", "made"), [("1", "1"), ("2", "2"), ("9", "3"), ("", "3")])
def test_the_environment_limits_the_attempts_of_a_process(value: str, made: str):
    assert run_program(RESILIENCE_MAX_ATTEMPTS=value).stdout.strip() == made


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5"])
def test_a_wrong_limit_in_the_environment_is_named(wrong: str):
    said = run_program(RESILIENCE_MAX_ATTEMPTS=wrong).stderr
    assert f"ValueError: RESILIENCE_MAX_ATTEMPTS={wrong!r}: give a whole number of 1 or more" in said


def run_program(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, env=os.environ | environment
    )
