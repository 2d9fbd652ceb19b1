"""Policies that are replaced while the function is in use, as a configuration does that is read again."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

from resilience import Pipeline, ResilienceError, circuit_breaker, describe, fallback, hedge, retry_on_category, timeout
from resilience._runtime.decorate import Guarded, guarded
from resilience._runtime.pipeline import Decorator
from resilience.testing import Faults
from tests.runners import Runner


class Kept(Pipeline):
    """A pipeline whose policies may be replaced: it knows the functions that it guards."""

    __slots__ = ("records",)

    def __init__(self, *policies: Decorator) -> None:
        super().__init__(*policies)
        self.records: list[Guarded] = []

    def keepers(self) -> tuple[Kept, ...]:
        return (self,)

    @property
    def replaces(self) -> bool:
        return True

    def keep(self, record: Guarded) -> None:
        self.records.append(record)

    def replace(self, *policies: Decorator) -> None:
        for record in self.records:
            stack = tuple(policy for part in policies for policy in part.policies(record.function))
            record.replacing(stack)()


def attempts(number: int) -> Decorator:
    return retry_on_category(attempts=number, base_delay=0)


def failing(made: list[int]) -> Callable[[int], int]:
    def fail(x: int) -> int:
        made.append(x)
        raise ConnectionResetError

    return fail


def calls_of(call: Callable[[int], object], made: list[int]) -> int:
    made.clear()
    with pytest.raises(ConnectionResetError):
        call(1)
    return len(made)


def test_the_next_call_goes_through_the_new_policies():
    made: list[int] = []
    kept = Kept(attempts(2))
    call = kept(failing(made))
    assert calls_of(call, made) == 2
    kept.replace(attempts(5))
    assert calls_of(call, made) == 5
    assert "attempts=5" in str(describe(call))


def test_it_stays_the_same_function_with_its_name_signature_and_defaults():
    kept = Kept(attempts(2))

    @kept
    def search(query: str, /, limit: int = 10, *, exact: bool = False) -> tuple[str, int, bool]:
        """Search."""
        return query, limit, exact

    before, signature = search, inspect.signature(search)
    kept.replace(fallback(default=None), attempts(3), circuit_breaker("replaced signature"))
    assert search is before
    assert (search.__name__, search.__doc__, inspect.signature(search)) == ("search", "Search.", signature)
    assert search("lamp") == ("lamp", 10, False)
    assert search("lamp", 3, exact=True) == ("lamp", 3, True)


def test_policies_may_come_and_go(runner: Runner):
    kept = Kept(attempts(2))
    made: list[int] = []
    fail = failing(made)

    async def fail_async(x: int) -> int:
        return fail(x)

    call: Callable[[int], object] = kept(fail_async if runner.is_async else fail)

    def play() -> object:
        return runner.run(lambda: call(1), functools.partial(call, 1))

    with pytest.raises(ConnectionResetError):
        play()
    kept.replace(fallback(default="none"), attempts(3), circuit_breaker("come and go"), timeout(5))
    made.clear()
    assert (play(), len(made)) == ("none", 3)
    kept.replace(fallback(default="none"))
    made.clear()
    assert (play(), len(made)) == ("none", 1)


def test_a_call_that_runs_ends_as_it_began():
    kept = Kept(attempts(2))
    inside, go_on = threading.Event(), threading.Event()
    made: list[int] = []

    @kept
    def call(x: int) -> int:
        made.append(x)
        inside.set()
        go_on.wait(10)
        raise ConnectionResetError

    def run() -> None:
        with pytest.raises(ConnectionResetError):
            call(1)

    thread = threading.Thread(target=run)
    thread.start()
    assert inside.wait(10)
    kept.replace(attempts(7))
    go_on.set()
    thread.join()
    assert len(made) == 2
    assert calls_of(call, made) == 7


def test_an_async_call_that_runs_ends_as_it_began(backend: str):
    kept = Kept(attempts(2), timeout(60))
    made: list[int] = []

    async def main() -> None:
        inside, go_on = anyio.Event(), anyio.Event()

        @kept
        async def call(x: int) -> int:
            made.append(x)
            inside.set()
            await go_on.wait()
            raise ConnectionResetError

        async def run() -> None:
            with pytest.raises(ConnectionResetError):
                await call(1)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await inside.wait()
            kept.replace(attempts(4))
            go_on.set()
        assert len(made) == 2
        made.clear()
        await run()
        assert len(made) == 4

    anyio.run(main, backend=backend)


def test_no_call_sees_some_policies_of_each():
    """A reader calls without a pause, while two plans are put in turns; each call makes the attempts of one of them."""
    plans = [(fallback(default="one"), attempts(2)), (fallback(default="two"), attempts(3))]
    kept = Kept(*plans[0])
    made = threading.local()

    @kept
    def call() -> str:
        made.count += 1
        raise ConnectionResetError

    done = threading.Event()
    seen: set[tuple[str, int]] = set()

    def read() -> None:
        while not done.is_set():
            made.count = 0
            answer = call()
            seen.add((answer, made.count))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(200):
        kept.replace(*plans[turn % 2])
    done.set()
    for thread in threads:
        thread.join()
    assert seen <= {("one", 2), ("two", 3)}


def test_a_decorator_around_it_keeps_its_own_policies():
    made: list[int] = []
    kept = Kept(attempts(2))
    call = fallback(default="none")(kept(failing(made)))
    assert (call(1), len(made)) == ("none", 2)
    record = guarded(call)
    assert record is not None
    assert record in kept.records


def test_generators_get_new_policies_too():
    kept = Kept(attempts(2))
    opened: list[int] = []

    @kept
    def items() -> Iterator[int]:
        opened.append(1)
        if len(opened) < 4:
            raise ConnectionResetError
        yield from (1, 2)

    with pytest.raises(ConnectionResetError):
        list(items())
    kept.replace(attempts(3))
    assert list(items()) == [1, 2]


def test_async_generators_get_new_policies_too(backend: str):
    kept = Kept(attempts(2))
    opened: list[int] = []

    @kept
    async def items() -> AsyncIterator[int]:
        opened.append(1)
        if len(opened) < 4:
            raise ConnectionResetError
        yield 1

    async def main() -> list[int]:
        with pytest.raises(ConnectionResetError):
            [item async for item in items()]
        kept.replace(attempts(3))
        return [item async for item in items()]

    assert anyio.run(main, backend=backend) == [1]


def either(function: Callable[..., object]) -> Callable[..., object]:
    """A wrapper that does not say whether it is async, as SDKs have them."""

    @functools.wraps(function)
    def call(*args: object) -> object:
        return function(*args)

    return call


def test_a_function_that_may_be_async_gets_new_policies_too():
    kept = Kept(attempts(2))
    made: list[int] = []

    async def fail(x: int) -> None:
        made.append(x)
        raise ConnectionResetError

    call: Callable[..., Any] = kept(either(fail))
    for number in (2, 4, 3):
        kept.replace(attempts(number))
        made.clear()
        with pytest.raises(ConnectionResetError):
            asyncio.run(call(1))
        assert len(made) == number


def test_a_policy_that_cannot_guard_the_function_is_refused_and_nothing_changes():
    made: list[int] = []
    kept = Kept(attempts(2))
    call = kept(failing(made))
    with pytest.raises(TypeError, match="it is not async"):
        kept.replace(attempts(4), hedge(after=1.0))
    assert calls_of(call, made) == 2


def test_faults_of_a_test_go_on_until_the_policies_are_replaced():
    kept = Kept(attempts(2))

    @kept
    def call() -> str:
        return "answer"

    with Faults() as faults:
        faults.fail_next(call, "network")
        assert call() == "answer"  # at the second attempt
        faults.fail_next(call, "network", times=3)
        with pytest.raises(ResilienceError):
            call()
    assert call() == "answer"


def test_it_is_freed_with_its_policies_without_the_garbage_collector():
    kept = Kept(attempts(2))
    call = kept(lambda: "answer")
    call()
    kept.replace(attempts(3))
    call()
    freed = weakref.ref(call)
    gc.disable()
    try:
        kept.records.clear()
        del call
        assert freed() is None
    finally:
        gc.enable()


def test_methods_of_a_class_get_new_policies():
    made: list[int] = []
    kept = Kept(attempts(2))

    @kept
    class Client:
        def get(self, x: int) -> int:
            made.append(x)
            raise ConnectionResetError

    assert calls_of(Client().get, made) == 2
    kept.replace(attempts(4))
    assert calls_of(Client().get, made) == 4
