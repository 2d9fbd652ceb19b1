"""chaos(target) and fail_next: which calls get faults, where these are in force, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import math
import threading
import weakref
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from resilience import (
    CallTimeoutError,
    ErrorCategory,
    chaos,
    circuit_breaker,
    circuits,
    classify,
    fail_next,
    fallback,
    retry_on_category,
    settings,
    timeout,
)
from resilience.clients import protect
from resilience.faults import is_injected
from resilience.faults._interception import _everywhere, entries_here
from resilience.testing import Faults, Rehearsal, record_events, virtual_time
from tests.runners import Runner


def guarded(*policies: Any, answer: str = "lamp") -> Callable[..., Any]:
    def fetch() -> str:
        return answer

    for policy in reversed(policies):
        fetch = policy(fetch)
    return fetch


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Any:
    yield
    assert entries_here() == ()
    assert _everywhere == []


# -- targets -----------------------------------------------------------------------------------------------------------


def test_in_the_block_a_guarded_function_gets_faults_below_its_policies(runner: Runner):
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        fetch = retry_on_category(attempts=3)(function)
        block = chaos(fetch, category="network", rate=0.5, seed=3)
        if runner.is_async:

            async def call_async() -> object:
                with block:
                    return await fetch()

            return call_async

        def call() -> object:
            with block:
                return fetch()

        return call

    story = runner.play(decorate, *["lamp"] * 30, pauses=(0,) * 9)
    assert story.answers.count("lamp") >= 5
    assert "retry.scheduled" in story.names
    assert story.reached == story.answers.count("lamp")


def test_latency_in_the_block_is_ended_by_the_limit_of_the_function(runner: Runner):
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        fetch = timeout(1)(function)
        if runner.is_async:

            async def call_async() -> object:
                with chaos(fetch, latency=60):
                    return await fetch()

            return call_async

        def call() -> object:
            with chaos(fetch, latency=60):
                return fetch()

        return call

    story = runner.play(decorate, "lamp")
    assert isinstance(story.answer, CallTimeoutError)
    assert (story.now, story.reached) == (1, 0)


def test_a_function_around_the_guarded_one_is_a_target_too():
    import functools

    fetch = guarded(fallback(default="none"))

    @functools.wraps(fetch)
    def outer() -> str:
        return str(fetch())

    with chaos(outer, category="network"):
        assert outer() == "none"


def test_all_functions_of_a_circuit_are_a_target_by_its_name_also_those_decorated_later():
    breaker = circuit_breaker("chaos by name", failure_threshold=1000)
    first = guarded(fallback(default="none"), breaker)
    other = guarded(fallback(default="none"), circuit_breaker("chaos of another name"))
    with chaos("chaos by name", category="unavailable"):
        later = guarded(fallback(default="none"), breaker, answer="later")
        assert (first(), later(), other()) == ("none", "none", "lamp")
    assert (first(), later()) == ("lamp", "later")


def test_a_circuit_is_a_target_as_the_object():
    breaker = circuit_breaker("chaos by object", failure_threshold=2)
    fetch = guarded(fallback(default="none"), breaker)
    with chaos(breaker, category="timeout"):
        fetch()
        fetch()
    assert breaker.current_state == "open"


def test_of_a_circuit_per_key_one_key_is_a_target():
    breaker = circuit_breaker("chaos per key", key=lambda host: host, failure_threshold=1000)

    @breaker
    def ask(host: str) -> str:
        return host

    with chaos(breaker.of("eu"), category="network"):
        assert ask("us") == "us"
        with pytest.raises(ConnectionError):
            ask("eu")
    with chaos(breaker, category="network"):
        for host in ("eu", "us"):
            with pytest.raises(ConnectionError):
                ask(host)
    assert ask("eu") == "eu"


def test_the_methods_of_a_class_are_a_target():
    @retry_on_category(attempts=1)
    class Stock:
        def find(self) -> str:
            return "lamp"

        def close(self) -> str:
            return "closed"

    with chaos(Stock, category="network"):
        with pytest.raises(ConnectionError):
            Stock().find()
        assert Stock().close() == "closed"
    with fail_next(Stock.find, 1, "timeout"), pytest.raises(TimeoutError):
        Stock().find()


def test_streams_get_faults_before_their_first_item(backend: str):
    @retry_on_category(attempts=1)
    async def items() -> Any:
        yield 1
        yield 2

    @retry_on_category(attempts=1)
    def sync_items() -> Any:
        yield 1
        yield 2

    async def main() -> list[int]:
        with chaos(items, category="network"), pytest.raises(ConnectionError):
            [item async for item in items()]
        with chaos(items, latency=5), virtual_time() as clock:
            assert [item async for item in items()] == [1, 2]
            assert clock.now() == 5
        return [item async for item in items()]

    assert anyio.run(main, backend=backend) == [1, 2]
    with chaos(sync_items, category="network"), pytest.raises(ConnectionError):
        list(sync_items())
    assert list(sync_items()) == [1, 2]


@pytest.mark.parametrize(
    ("target", "kind", "says"),
    [
        (len, TypeError, "a function that a policy guards"),
        (object(), TypeError, "target="),
        (3, TypeError, "target=3"),
        (int, TypeError, "no policy guards a method"),
        ("no such circuit at all", LookupError, "no such circuit"),
    ],
    ids=["function", "object", "number", "class", "name"],
)
def test_what_no_policy_guards_is_no_target(target: Any, kind: type[Exception], says: str):
    with pytest.raises(kind, match=says):
        chaos(target, category="timeout")
    with pytest.raises(kind, match=says):
        fail_next(target, 1, "timeout")


def test_a_block_has_no_options_of_a_policy():
    fetch = guarded(retry_on_category(attempts=1))
    options: dict[str, Any] = {"only": ["find"], "category": "timeout"}
    with pytest.raises(TypeError, match="only"):
        chaos(fetch, **options)


# -- protected clients -------------------------------------------------------------------------------------------------


def test_the_calls_of_a_protected_client_get_faults_of_its_library():
    breaker = circuit_breaker("chaos of a client", failure_threshold=1000)
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text="lamp"))
    client = protect(httpx.Client(transport=transport), breaker)
    with chaos(breaker, category="timeout"), pytest.raises(httpx.ReadTimeout) as raised:
        client.get("http://shop.invalid/")
    assert is_injected(raised.value)
    assert client.get("http://shop.invalid/").text == "lamp"


def test_a_status_reaches_the_caller_of_a_protected_client_as_a_response():
    breaker = circuit_breaker("chaos of a status", failure_threshold=1000)
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text="lamp"))
    client = protect(httpx.Client(transport=transport), breaker)
    with chaos(breaker, category="unavailable"):
        response = client.get("http://shop.invalid/")
    assert response.status_code == 503


# -- contexts ----------------------------------------------------------------------------------------------------------


def test_other_threads_see_nothing_of_a_block_and_those_of_the_toolkit_and_of_asyncio_do():
    fetch = guarded(fallback(default="none"), timeout(5))
    with chaos(fetch, category="network"), concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(fetch).result() == "lamp"
        assert pool.submit(contextvars.copy_context().run, fetch).result() == "none"

        async def main() -> object:
            return await asyncio.to_thread(fetch)

        assert asyncio.run(main()) == "none"


def test_everywhere_all_threads_get_the_faults():
    fetch = guarded(fallback(default="none"))
    with chaos(fetch, category="network", everywhere=True), concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(fetch).result() == "none"
    assert fetch() == "lamp"


def test_tasks_of_one_loop_have_faults_of_their_own(backend: str):
    @fallback(default="none")
    async def fetch() -> str:
        await anyio.sleep(0)
        return "lamp"

    answers: dict[int, list[str]] = {}

    async def task(number: int) -> None:
        if number % 2:
            with chaos(fetch, category="network"):
                answers[number] = [await fetch(), await fetch()]
        else:
            answers[number] = [await fetch(), await fetch()]

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(task, number)

    anyio.run(main, backend=backend)
    assert all(answers[number] == ["none" if number % 2 else "lamp"] * 2 for number in range(40))


def test_a_task_that_outlives_the_block_is_free_of_it(backend: str):
    @fallback(default="none")
    async def fetch() -> str:
        return "lamp"

    answers = []

    async def outlives(over: anyio.Event) -> None:
        answers.append(await fetch())
        await over.wait()
        answers.append(await fetch())

    async def main() -> None:
        over = anyio.Event()
        async with anyio.create_task_group() as group:
            with chaos(fetch, category="network"):
                group.start_soon(outlives, over)
                await anyio.wait_all_tasks_blocked()
            over.set()

    anyio.run(main, backend=backend)
    assert answers == ["none", "lamp"]


def test_one_block_is_entered_by_several_threads_at_once():
    fetch = guarded(fallback(default="none"))
    block = chaos(fetch, category="network")
    barrier = threading.Barrier(8)

    def work() -> list[str]:
        barrier.wait(30)
        answers = []
        for _ in range(20):
            with block:
                answers.append(fetch())
            answers.append(fetch())
        return answers

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = [pool.submit(work) for _ in range(8)]
    assert all(result.result() == ["none", "lamp"] * 20 for result in results)


def test_a_thousand_tests_in_parallel_do_not_meet():
    """Each has faults of its own for functions and a circuit that all share."""
    breaker = circuit_breaker("a thousand tests", failure_threshold=10**9)
    fetch = retry_on_category(attempts=4, base_delay=0, jitter="none")(guarded(breaker))
    leaves = ["timeout", "network", "unavailable", "not_found"]

    def test(number: int) -> tuple[str, int]:
        with virtual_time(), Rehearsal() as rehearsal:
            if number % 4 == 3:
                with rehearsal.chaos("a thousand tests", category="not_found"):
                    try:
                        fetch()
                    except Exception as error:
                        return classify(error).label, 0
            planned = rehearsal.fail_next(fetch, number % 3 + 1, ErrorCategory(leaves[number % 4]))
            return fetch(), int(planned.left)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(test, range(1000)))
    assert answers == [("not_found", 0) if number % 4 == 3 else ("lamp", 0) for number in range(1000)]
    assert fetch() == "lamp"


def test_a_block_may_end_in_another_context_than_it_began_in():
    fetch = guarded(fallback(default="none"))
    block = chaos(fetch, category="network")
    context = contextvars.copy_context()
    context.run(block.__enter__)
    assert context.run(fetch) == "none"
    block.__exit__(None, None, None)
    assert context.run(fetch) == "lamp"


def test_blocks_nest_and_the_inner_one_ends_first():
    fetch = guarded(fallback(default="none"))
    with chaos(fetch, latency=1), virtual_time() as clock:
        with chaos(fetch, category="network"):
            assert fetch() == "none"
        assert clock.now() == 1
        assert fetch() == "lamp"
        assert clock.now() == 2


def test_without_a_block_the_function_itself_is_called_again():
    calls: list[object] = []

    def fetch() -> str:
        import sys

        calls.append(sys._getframe(1).f_code.co_filename)
        return "lamp"

    protected = retry_on_category(attempts=2)(fetch)
    protected()  # the first call looks at what it returns
    calls.clear()
    protected()
    with chaos(protected, latency=0.0001):
        protected()
    protected()
    assert calls[0] == calls[2] != calls[1]


def test_a_function_is_collected_after_its_faults():
    fetch = guarded(retry_on_category(attempts=1))
    with chaos(fetch, category="network"), pytest.raises(ConnectionError):
        fetch()
    gone = weakref.ref(fetch)
    del fetch
    gc.collect()
    assert gone() is None


# -- fail_next ---------------------------------------------------------------------------------------------------------


def test_so_many_attempts_fail_and_then_none(runner: Runner):
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        fetch = retry_on_category(attempts=3, base_delay=1, jitter="none")(function)
        if runner.is_async:

            async def call_async() -> object:
                with fail_next(fetch, 2, "timeout"):
                    return await fetch()

            return call_async

        def call() -> object:
            with fail_next(fetch, 2, "timeout"):
                return fetch()

        return call

    story = runner.play(decorate, "lamp")
    assert (story.answer, story.reached) == ("lamp", 1)
    assert story.waits == [1, 2]
    assert story.names.count("fault.injected") == 2


def test_failures_that_are_planned_one_after_the_other_come_in_that_order():
    fetch = guarded(retry_on_category(attempts=1))
    lost = ConnectionResetError("lost")
    with fail_next(fetch, 1, lost), fail_next(fetch, 1, TimeoutError), fail_next(fetch, None, "not_found") as rest:
        with pytest.raises(ConnectionResetError) as raised:
            fetch()
        assert raised.value is lost
        with pytest.raises(TimeoutError):
            fetch()
        for _ in range(3):
            with pytest.raises(FileNotFoundError):
                fetch()
        assert rest.left == math.inf
    assert fetch() == "lamp"


def test_planned_failures_are_dropped_by_a_call_once():
    fetch = guarded(retry_on_category(attempts=1))
    planned = fail_next(fetch, 5, "network")
    assert planned.left == 5
    planned()
    planned()
    assert fetch() == "lamp"


def test_planned_failures_hold_for_a_circuit():
    breaker = circuit_breaker("planned by name")
    fetch = guarded(breaker)
    with fail_next("planned by name", 1, "network"):
        with pytest.raises(ConnectionError):
            fetch()
        assert fetch() == "lamp"


def test_faults_of_all_kinds_work_on_one_function_and_are_taken_back_in_any_order():
    fetch = guarded(retry_on_category(attempts=1))
    everywhere = Faults()
    everywhere.fail_next(fetch, "network")
    planned = fail_next(fetch, 2, "timeout")
    with pytest.raises(Exception, match="network, injected by a test"):
        fetch()
    everywhere()
    with pytest.raises(TimeoutError):
        fetch()
    planned()
    assert fetch() == "lamp"


def test_where_policies_are_switched_off_planned_failures_come_all_the_same():
    fetch = guarded(retry_on_category(attempts=3))
    with fail_next(fetch, 1, "network"), settings.disabled(), pytest.raises(ConnectionError):
        fetch()


@pytest.mark.parametrize(
    ("times", "failure", "kind", "says"),
    [
        (0, "timeout", ValueError, "times=0"),
        (1.5, "timeout", TypeError, "times=1.5"),
        (1, "transient", ValueError, "one leaf"),
        (1, KeyboardInterrupt, TypeError, "failure="),
        (1, int, TypeError, "failure="),
        (1, UnicodeDecodeError, TypeError, "takes arguments"),
        (1, 3, TypeError, "failure=3"),
    ],
    ids=["0", "1.5", "group", "interrupt", "class", "arguments", "number"],
)
def test_invalid_plans_are_refused(times: Any, failure: Any, kind: type[Exception], says: str):
    fetch = guarded(retry_on_category(attempts=1))
    with pytest.raises(kind, match=says):
        fail_next(fetch, times, failure)
    assert fetch() == "lamp"


# -- the fixture -------------------------------------------------------------------------------------------------------


def test_the_fixture_injects_fails_and_opens(resilience: Rehearsal, virtual_clock: Any):
    breaker = circuit_breaker("chaos of a fixture", reset_timeout=60)
    fetch = guarded(fallback(default="none", on="rejected"), retry_on_category(attempts=3), breaker)
    with resilience.chaos(fetch, latency=2), record_events() as events:
        assert fetch() == "lamp"
        assert events.names == ["fault.injected"]
    assert virtual_clock.now() == 2
    planned = resilience.fail_next(fetch, 2, "timeout")
    assert fetch() == "lamp"
    assert planned.left == 0
    resilience.open(breaker)
    assert fetch() == "none"
    assert circuits.get("chaos of a fixture").current_state == "open"


def test_at_the_end_of_the_test_all_is_taken_back():
    breaker = circuit_breaker("chaos taken back", reset_timeout=60)
    fetch = guarded(breaker)
    with Rehearsal() as rehearsal:
        rehearsal.fail_next(fetch, None, "network")
        rehearsal.open(breaker)
    assert fetch() == "lamp"


@pytest.mark.anyio
async def test_the_fixture_is_one_for_async_tests(resilience: Rehearsal, virtual_clock: Any):
    @retry_on_category(attempts=3, base_delay=1, jitter="none")
    async def fetch() -> str:
        return "lamp"

    resilience.fail_next(fetch, 2, "network")
    assert await fetch() == "lamp"
    assert virtual_clock.now() == 3
