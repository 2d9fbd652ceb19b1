"""`standard`: the stack for the calls of one dependency is right without any parameter."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import timedelta

import anyio
import httpx
import pytest

import resilience.circuits
from resilience import (
    BulkheadFullError,
    CallTimeoutError,
    CircuitOpenError,
    DeadlineExceededError,
    Pipeline,
    RetryBudget,
    circuit_breaker,
    deadline,
    describe,
    fallback,
    remaining,
    standard,
    subscribe,
)
from resilience.clock import current_clock
from resilience.testing import no_waits, virtual_time
from tests.runners import Runner, Takes


def lost(times: int) -> list[Exception]:
    return [ConnectionResetError("down") for _ in range(times)]


def test_it_is_a_pipeline_that_describe_shows():
    assert isinstance(standard("catalogue"), Pipeline)
    assert str(describe(standard("catalogue"))) == (
        "deadline(10)\n"
        "  retry_on_category(transient, attempts=3, base_delay=by category, max_delay=2, jitter=equal,"
        " budget=catalogue, idempotent=unless_post)\n"
        "    circuit_breaker('catalogue', failure_threshold=10, failure_rate=0.5, window_seconds=30, minimum_calls=20,"
        " reset_timeout=5, max_reset_timeout=60, probe_timeout=10)\n"
        "      bulkhead('catalogue', 100)\n"
        "        timeout(3)\n"
        "          a function\n"
        "worst case: 3 calls, 10 s (up to 2.2 s per wait if the server sends Retry-After)"
    )


# -- what it does without any parameter --------------------------------------------------------------------------------


def test_a_success_passes(runner: Runner):
    story = runner.play(standard("catalogue"), "lamp")
    assert (story.answer, story.reached, story.events) == ("lamp", 1, [])


def test_a_lost_connection_is_retried(runner: Runner):
    assert runner.play(standard("catalogue"), *lost(2), "lamp").answer == "lamp"


def test_three_attempts_are_made(runner: Runner):
    errors = lost(5)
    story = runner.play(standard("catalogue"), *errors)
    assert (story.answer, story.reached) == (errors[2], 3)


def test_an_attempt_that_hangs_is_cut_off_and_not_repeated_as_nothing_says_what_it_did(runner: Runner):
    story = runner.play(standard("catalogue"), Takes(99), "never")
    assert isinstance(story.answer, CallTimeoutError)
    assert (story.answer.limit, story.reached) == (3, 1)
    assert story.now == 3 or not runner.is_async


def test_the_call_with_all_retries_ends_by_the_deadline(backend: str):
    story = Runner(backend).play(standard("catalogue", timeout=9, deadline=10), Takes(6, *lost(1)), Takes(99))
    assert isinstance(story.answer, DeadlineExceededError)
    assert story.now == 10


def test_a_long_retry_after_is_not_waited_for(runner: Runner):
    busy = httpx.HTTPStatusError(
        "busy",
        request=httpx.Request("GET", "http://catalogue"),
        response=httpx.Response(429, headers={"Retry-After": "30"}),
    )
    story = runner.play(standard("catalogue"), busy, "never")
    assert (story.answer, story.reached, story.now) == (busy, 1, 0)
    assert busy.resilience.reason.value == "pushback"


@pytest.mark.parametrize(("method", "sent"), [("GET", 3), ("PUT", 3), ("DELETE", 3), ("POST", 1), ("PATCH", 1)])
def test_a_post_is_sent_once_and_a_get_three_times(method: str, sent: int):
    requests = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request.method)
        return httpx.Response(503)

    client = httpx.Client(transport=httpx.MockTransport(answer))

    @standard("orders")
    def order() -> None:
        client.request(method, "http://orders/").raise_for_status()

    with no_waits(), pytest.raises(httpx.HTTPStatusError):
        order()
    assert requests == [method] * sent


def test_a_post_is_repeated_where_that_is_said():
    requests = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request.method)
        return httpx.Response(503)

    client = httpx.Client(transport=httpx.MockTransport(answer))

    @standard("orders", idempotent=True)
    def order() -> None:
        client.post("http://orders/").raise_for_status()

    with no_waits(), pytest.raises(httpx.HTTPStatusError):
        order()
    assert requests == ["POST"] * 3


def test_the_circuit_opens_after_ten_failed_attempts_in_a_row(runner: Runner):
    catalogue = standard("catalogue")
    story = runner.play(catalogue, *lost(20), pauses=(0,) * 5)
    assert story.reached == 10
    assert isinstance(story.answers[-1], CircuitOpenError)


def test_the_circuit_opens_where_every_second_call_fails(runner: Runner):
    script = [step for error in lost(20) for step in ("ok", ValueError(str(error)))]
    story = runner.play(standard("catalogue"), *script, pauses=(0,) * 30)
    assert story.reached == 20
    assert isinstance(story.answers[-1], CircuitOpenError)


def test_a_fifth_of_failures_opens_no_circuit(runner: Runner):
    script = [step for error in lost(40) for step in (error, "ok", "ok", "ok", "ok")]
    story = runner.play(standard("catalogue"), *script, pauses=(0,) * 159)
    assert set(story.answers) == {"ok"}


def test_an_open_circuit_is_probed_after_five_seconds_at_most(runner: Runner):
    script = [*lost(10), "ok", "ok", "ok"]
    story = runner.play(standard("catalogue"), *script, pauses=(0, 0, 0, 5))
    assert story.answers[-1] == "ok"


def test_retries_are_paid_for_by_a_budget():
    catalogue = standard("catalogue", circuit=circuit_breaker("calm", failure_threshold=10_000))
    calls = []

    @catalogue
    def search() -> None:
        calls.append(1)
        raise ConnectionResetError

    with virtual_time():
        for _ in range(200):
            with pytest.raises(ConnectionResetError):
                search()
    assert 200 < len(calls) < 200 + 45  # 500 tokens are 35 retries after a lost connection, and there is the reserve


def test_more_calls_than_the_limit_wait_and_a_queue_that_is_full_rejects(backend: str):
    async def main() -> tuple[int, int]:
        catalogue, done = standard("catalogue", limit=2), anyio.Event()
        in_flight = most = rejected = 0

        @catalogue
        async def search() -> None:
            nonlocal in_flight, most
            in_flight += 1
            most = max(most, in_flight)
            await done.wait()
            in_flight -= 1

        async def call() -> None:
            nonlocal rejected
            try:
                await search()
            except BulkheadFullError:
                rejected += 1

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            done.set()
        return most, rejected

    assert anyio.run(main, backend=backend) == (2, 8)


# -- where it stands ---------------------------------------------------------------------------------------------------


def test_a_fallback_stands_on_top(runner: Runner):
    def decorate(function: Callable) -> Callable:
        return fallback(default=())(standard("catalogue")(function))

    assert runner.play(decorate, *lost(3)).answer == ()


def test_under_the_deadline_of_a_request_the_fallback_on_top_answers_in_time(runner: Runner):
    def decorate(function: Callable) -> Callable:
        guarded = fallback(default="yesterday")(standard("catalogue")(function))

        def handle() -> object:
            return guarded()

        async def handle_async() -> object:
            return await guarded()

        return deadline(2)(handle_async if runner.is_async else handle)

    story = runner.play(decorate, Takes(99))
    assert story.answer == "yesterday"
    assert story.now == pytest.approx(1.9) or not runner.is_async


def test_a_class_is_guarded_by_one_circuit_and_closes_while_that_is_open():
    catalogue = standard("catalogue")

    @catalogue
    class Client:
        def get(self) -> str:
            raise ConnectionResetError

        async def stock(self) -> str:
            return "4"

        def close(self) -> str:
            return "closed"

    client = Client()
    catalogue.circuit.open()
    with pytest.raises(CircuitOpenError):
        client.get()
    with pytest.raises(CircuitOpenError):
        anyio.run(client.stock)
    assert client.close() == "closed"
    described = describe(Client)
    assert {name: len(policies) for name, policies in described.methods.items()} == {"get": 5, "stock": 5}
    assert described.unguarded == ("close",)


def test_methods_of_a_class_are_chosen():
    @standard("catalogue", only=("get",))
    class Client:
        def get(self) -> None: ...

        def sign(self) -> None: ...

    assert len(describe(Client.get)) == 5
    assert len(describe(Client.sign)) == 0


def test_of_a_generator_function_the_first_item_is_limited(runner: Runner):
    def items() -> object:
        yield 1
        yield 2

    async def items_async() -> object:
        yield 1
        yield 2

    guarded = standard("catalogue")(items_async if runner.is_async else items)
    assert "timeout(first_item=3)" in describe(guarded).policies

    async def collected() -> list[object]:
        return [item async for item in guarded()]

    assert runner.run(lambda: [*guarded()], collected) == [1, 2]


def test_calls_are_made_without_decorating(backend: str):
    catalogue = standard("catalogue")
    assert catalogue.call(len, "lamp") == 4

    async def main() -> int:
        return await catalogue.acall(len, "lamp")

    assert anyio.run(main, backend=backend) == 4


def test_one_object_is_one_circuit_and_two_are_two():
    one, other = standard("first"), standard("second")
    one.circuit.open()
    with pytest.raises(CircuitOpenError):
        one(len)("lamp")
    assert other(len)("lamp") == 4
    assert resilience.circuits.get("first") is one.circuit


def test_the_circuit_belongs_to_the_module_that_has_made_the_stack():
    assert standard("catalogue").circuit.module == __name__


# -- a block is a loop -------------------------------------------------------------------------------------------------


def test_a_block_is_retried_in_a_loop():
    catalogue, calls = standard("catalogue"), []

    def work() -> float | None:
        for attempt in catalogue.retrying():
            with attempt:
                calls.append(remaining())
                if attempt.number < 3:
                    raise ConnectionResetError
                return current_clock().now()
        return None

    with virtual_time():
        assert work() < 1
        assert remaining() is None
    assert calls == [pytest.approx(3)] * 3
    assert catalogue.bulkhead.snapshot()["in_flight"] == 0


def test_an_async_block_is_cut_off_by_the_time_limit(backend: str):
    catalogue, seen = standard("catalogue"), []

    async def main() -> None:
        with virtual_time(patience=0.05) as clock, subscribe(seen.append):
            with pytest.raises(CallTimeoutError):
                async for attempt in catalogue.retrying():
                    async with attempt:
                        await clock.sleep_async(99)
            assert clock.now() == 3
            assert remaining() is None

    anyio.run(main, backend=backend)
    assert catalogue.bulkhead.snapshot()["in_flight"] == 0
    assert {event.target for event in seen} == {f"{__name__}.{main.__qualname__}"}


def test_the_deadline_ends_a_loop(backend: str):
    catalogue = standard("catalogue", timeout=6, deadline=10)

    async def main() -> None:
        with virtual_time(patience=0.05) as clock:
            with pytest.raises(DeadlineExceededError):
                async for attempt in catalogue.retrying():
                    async with attempt:
                        await clock.sleep_async(5.9)
                        raise ConnectionResetError
            assert clock.now() == 10

    anyio.run(main, backend=backend)


def test_no_attempt_of_a_loop_begins_after_the_deadline():
    began = []
    with virtual_time() as clock, pytest.raises(ConnectionResetError) as caught:
        for attempt in standard("catalogue").retrying():
            with attempt:
                began.append(clock.now())
                clock.advance(5.5)
                raise ConnectionResetError
    assert len(began) == 2
    assert caught.value.resilience.reason.value == "deadline"


def test_an_open_circuit_rejects_a_loop_at_once(runner: Runner):
    catalogue, bodies = standard("catalogue"), []
    catalogue.circuit.open()

    def sync() -> None:
        for attempt in catalogue.retrying():
            with attempt:
                bodies.append(1)

    async def asynchronous() -> None:
        async for attempt in catalogue.retrying():
            async with attempt:
                bodies.append(1)

    with pytest.raises(CircuitOpenError):
        runner.run(sync, asynchronous)
    assert bodies == []
    assert catalogue.bulkhead.snapshot()["in_flight"] == 0


def test_failures_of_a_loop_open_the_circuit():
    catalogue = standard("catalogue")

    def work() -> None:
        for attempt in catalogue.retrying():
            with attempt:
                raise ConnectionResetError

    with virtual_time():
        for _ in range(3):
            with pytest.raises(ConnectionResetError):
                work()
        with pytest.raises((ConnectionResetError, CircuitOpenError)):
            work()
        assert catalogue.circuit.current_state == "open"


def test_a_loop_that_is_left_by_break_and_one_that_is_cancelled_give_all_back(backend: str):
    catalogue = standard("catalogue")

    async def main() -> None:
        async for attempt in catalogue.retrying():
            async with attempt:
                break
        with anyio.move_on_after(0.01):
            async for attempt in catalogue.retrying():
                async with attempt:
                    await anyio.sleep_forever()
        assert remaining() is None

    anyio.run(main, backend=backend)
    assert catalogue.bulkhead.snapshot()["in_flight"] == 0


def test_a_block_has_no_key():
    with pytest.raises(TypeError, match="has a circuit for each key, and a block has no arguments"):
        standard("hosts", key=lambda host: host).retrying()


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "deadline", "timeout"),
    [
        ({}, 10, 3),
        ({"timeout": 1}, 10, 1),
        ({"timeout": 60}, 180, 60),
        ({"timeout": 60, "attempts": 1}, 60, 60),
        ({"deadline": 2}, 2, 2),
        ({"deadline": timedelta(minutes=1)}, 60, 3),
        ({"deadline": 8, "timeout": 8}, 8, 8),
        ({"deadline": None}, None, 3),
        ({"timeout": None}, 10, None),
        ({"timeout": None, "deadline": None}, None, None),
    ],
)
def test_the_two_times_follow_each_other(options: dict, deadline: float | None, timeout: float | None):
    catalogue = standard("catalogue", **options)
    assert (catalogue.deadline and catalogue.deadline.seconds) == deadline
    assert (catalogue.timeout and catalogue.timeout.time_limit) == timeout


def test_parts_are_left_out():
    assert len(standard("catalogue", deadline=None, timeout=None, limit=None).policies()) == 2


def test_a_key_makes_circuits_and_bulkheads_of_their_own():
    hosts = standard("hosts", key=lambda host: host)

    @hosts
    def page(host: str) -> str:
        if host == "b":
            raise ValueError
        return host

    for _ in range(10):
        with pytest.raises(ValueError, match="^$"):
            page("b")
    with pytest.raises(CircuitOpenError):
        page("b")
    assert page("a") == "a"


def test_a_budget_and_a_circuit_are_shared():
    budget, circuit = RetryBudget("shared"), circuit_breaker("shared circuit")
    one, other = (standard(name, budget=budget, circuit=circuit) for name in ("one", "other"))
    assert one.retry.budget is other.retry.budget is budget
    assert one.circuit is other.circuit is circuit


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"name": 3}, TypeError, "name=3: give the dependency's name as text, such as 'catalogue'"),
        ({"name": " "}, ValueError, "name=' ': give the dependency's name"),
        ({"name": len}, TypeError, "give the dependency's name as text"),
        ({"timeout": 20, "deadline": 10}, ValueError, "timeout=20: give at most the deadline of 10 s"),
        ({"timeout": 0}, ValueError, "timeout=0: give seconds"),
        ({"deadline": -1}, ValueError, "deadline=-1: give seconds"),
        ({"attempts": 0}, ValueError, "attempts=0: give a whole number of 1 or more"),
        ({"attempts": None}, TypeError, "attempts=None: give a whole number"),
        ({"limit": 0}, ValueError, "limit=0: give a whole number of 1 or more"),
        ({"budget": 3}, TypeError, "budget=3: give"),
        ({"circuit": "billing"}, TypeError, "circuit='billing': give a circuit"),
        ({"circuit": circuit_breaker("own"), "key": len}, TypeError, "give it to the circuit as well"),
        ({"circuit": circuit_breaker("own"), "only": ("get",)}, TypeError, "give it to the circuit as well"),
        ({"idempotent": "GET"}, TypeError, "idempotent='GET': give True, False"),
        ({"only": ("a",), "exclude": ("b",)}, TypeError, "give one of them"),
    ],
)
def test_bad_options_fail_where_they_are_written(options: dict, kind: type[Exception], says: str):
    with pytest.raises(kind, match=re.escape(says)):
        standard(**{"name": "catalogue", **options})


def test_infinite_times_are_refused():
    with pytest.raises(ValueError, match="deadline=inf"):
        standard("catalogue", deadline=math.inf)


def test_without_a_name_it_is_refused():
    with pytest.raises(TypeError, match="name"):
        standard()
