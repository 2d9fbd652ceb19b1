"""`testing.Faults`: failures injected below the policies of guarded functions, and circuits opened by hand."""

from __future__ import annotations

import functools
import gc
import threading
import time
import weakref
from collections.abc import Awaitable

import anyio
import pytest

from resilience import (
    CircuitOpenError,
    ErrorCategory,
    Pipeline,
    bulkhead,
    circuit_breaker,
    circuits,
    classify,
    fallback,
    retry_on_category,
    settings,
    timeout,
)
from resilience.errors import ResilienceError
from resilience.testing import Faults, record_events, virtual_time

once = retry_on_category(attempts=1)


@pytest.fixture
def faults():
    with Faults() as faults:
        yield faults


def guarded_by(*policies):
    """Return a guarded function and the list of its calls."""
    calls: list[str] = []

    @Pipeline(*policies)
    def fetch(item: str = "lamp", *, times: int = 1) -> str:
        calls.append(item)
        return item * times

    return fetch, calls


def test_the_next_attempt_fails_and_the_one_after_it_reaches_the_function(faults):
    fetch, calls = guarded_by(retry_on_category(attempts=2, base_delay=7, jitter="none"))
    faults.fail_next(fetch, ConnectionResetError("gone"))
    with virtual_time() as clock, record_events() as events:
        assert fetch("shade", times=2) == "shadeshade"
    assert (calls, clock.now()) == (["shade"], 7)
    assert events.names == ["attempt.failed", "retry.scheduled"]


@pytest.mark.parametrize(
    "policies", [(once,), (circuit_breaker("any"),), (timeout(5), fallback(default=1, on="network"))]
)
def test_with_any_policies_the_function_is_not_called_while_it_fails(faults, policies):
    fetch, calls = guarded_by(*policies)
    assert fetch() == "lamp"
    faults.fail_next(fetch, ZeroDivisionError, times=2)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fetch()
    assert fetch() == "lamp"
    assert calls == ["lamp"] * 2


@pytest.mark.parametrize("category", ["network", ErrorCategory.RATE_LIMIT, "rejected", "unknown", "cancelled"])
def test_a_category_becomes_an_exception_of_that_category(faults, category):
    fetch, _ = guarded_by(once)
    faults.fail_next(fetch, category)
    with pytest.raises(ResilienceError, match="injected by a test") as raised:
        fetch()
    assert classify(raised.value) is ErrorCategory(classify(raised.value))
    assert classify(raised.value).label == getattr(category, "label", category)


def test_an_exception_is_raised_as_the_same_object_and_a_class_as_a_new_one_each_time(faults):
    fetch, _ = guarded_by(once)
    gone = ConnectionResetError("gone")
    faults.fail_next(fetch, gone, times=2)
    faults.fail_next(fetch, TimeoutError, times=2)
    seen = []
    for _ in range(4):
        with pytest.raises(OSError) as raised:
            fetch()
        seen.append(raised.value)
    assert seen[0] is seen[1] is gone
    assert type(seen[2]) is type(seen[3]) is TimeoutError
    assert seen[2] is not seen[3]


def test_failures_come_in_the_order_in_which_they_were_planned(faults):
    fetch, calls = guarded_by(fallback(factory=classify))
    faults.fail_next(fetch, "network")
    faults.fail_next(fetch, "rate_limit", times=2)
    faults.fail_next(fetch, "timeout")
    assert [fetch() if number == 4 else fetch().label for number in range(5)] == [
        "network",
        "rate_limit",
        "rate_limit",
        "timeout",
        "lamp",
    ]
    assert calls == ["lamp"]


def test_without_a_number_of_times_every_attempt_fails_until_the_end():
    fetch, calls = guarded_by(retry_on_category(attempts=3, base_delay=0))
    with Faults() as faults:
        faults.fail_next(fetch, "network", times=None)
        for _ in range(5):
            with pytest.raises(ResilienceError):
                fetch()
    assert calls == []
    assert fetch() == "lamp"


def test_faults_that_were_not_used_are_taken_back_and_taking_them_back_twice_is_fine():
    fetch, calls = guarded_by(once)
    faults = Faults()
    faults.fail_next(fetch, "network", times=5)
    faults()
    faults()
    assert fetch() == "lamp"
    assert calls == ["lamp"]


def test_two_faults_of_one_function_are_taken_back_in_any_order():
    fetch, _ = guarded_by(fallback(factory=classify))
    first, second = Faults(), Faults()
    first.fail_next(fetch, "network", times=5)
    second.fail_next(fetch, "timeout", times=5)
    assert fetch() is ErrorCategory.NETWORK
    first()
    assert fetch() is ErrorCategory.TIMEOUT
    second()
    assert fetch() == "lamp"


def test_functions_of_every_kind_fail(faults, backend):
    @once
    async def coroutine() -> str:
        return "done"

    @once
    def items():
        yield "done"

    @once
    async def async_items():
        yield "done"

    @once
    class Client:
        async def get(self) -> str:
            return "done"

        def close_all(self) -> str:
            return "done"

        @staticmethod
        def parse() -> str:
            return "done"

        @classmethod
        def make(cls) -> str:
            return "done"

    partial = once(functools.partial(int, "7"))
    client = Client()

    async def result_of(call):
        value = call()
        if isinstance(value, Awaitable):
            return await value
        if hasattr(value, "__aiter__"):
            return [item async for item in value]
        return list(value) if hasattr(value, "__next__") else value

    async def main():
        for call in (coroutine, items, async_items, client.get, Client.parse, Client.make, client.close_all, partial):
            assert await result_of(call) in ("done", ["done"], 7)
            faults.fail_next(call, ConnectionResetError)
            with pytest.raises(ConnectionResetError):
                await result_of(call)
            assert await result_of(call) in ("done", ["done"], 7)

    anyio.run(main, backend=backend)


def test_an_async_function_below_a_sync_wrapper_fails_before_and_after_its_first_call(faults, backend):
    async def fetch() -> str:
        return "done"

    def fresh():
        @retry_on_category(attempts=2, base_delay=0)
        @functools.wraps(fetch)
        def outer():
            return fetch()

        return outer

    async def main():
        for called_before in (False, True):
            outer = fresh()
            if called_before:
                assert await outer() == "done"
            faults.fail_next(outer, "network")
            with record_events() as events:
                assert await outer() == "done"
            assert events.names == ["attempt.failed", "retry.scheduled"]
            faults.fail_next(outer, "network", times=2)
            with pytest.raises(ResilienceError):
                await outer()
            faults()
            assert await outer() == "done"

    anyio.run(main, backend=backend)


def test_a_method_fails_for_all_objects_of_its_class(faults):
    @once
    class Client:
        def get(self) -> str:
            return "done"

    faults.fail_next(Client().get, "network")
    faults.fail_next(Client.get, "timeout")
    with pytest.raises(ResilienceError, match="network"):
        Client().get()
    with pytest.raises(ResilienceError, match="timeout"):
        Client().get()


def test_of_a_function_around_a_guarded_one_that_one_fails(faults):
    fetch, _ = guarded_by(retry_on_category(attempts=2, base_delay=0))

    @functools.lru_cache
    @functools.wraps(fetch)
    def cached() -> str:
        return fetch()

    faults.fail_next(cached, "network")
    with record_events() as events:
        assert cached() == "lamp"
    assert len(events) == 2


def test_failures_are_counted_by_circuits_as_any_other(faults):
    circuit = circuit_breaker("counted", failure_threshold=2)
    fetch, _ = guarded_by(circuit, bulkhead("counted", 1))
    faults.fail_next(fetch, "unavailable", times=2)
    for _ in range(2):
        with pytest.raises(ResilienceError):
            fetch()
    assert circuit.current_state == "open"


def test_with_policies_switched_off_the_function_fails_all_the_same(faults):
    fetch, _ = guarded_by(retry_on_category(attempts=3))
    faults.fail_next(fetch, "network")
    with settings.disabled(), pytest.raises(ResilienceError):
        fetch()
    assert fetch() == "lamp"


def test_among_threads_exactly_as_many_attempts_fail_as_were_planned(faults):
    fetch, calls = guarded_by(fallback(default="substitute"))
    faults.fail_next(fetch, "network", times=100)
    answers: list[str] = []

    def work() -> None:
        for _ in range(50):
            answers.append(fetch())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers.count("substitute"), len(calls)) == (100, 300)


def test_a_call_that_passes_through_is_still_cut_off_by_its_time_limit(faults):
    @timeout(0.05)
    def hang() -> None:
        time.sleep(30)

    faults.fail_next(hang, "network")
    with pytest.raises(ResilienceError, match="injected"):
        hang()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        hang()
    assert time.monotonic() - began < 20


def test_a_function_is_freed_though_it_has_failed():
    def plan():
        fetch, _ = guarded_by(once)
        with Faults() as faults:
            faults.fail_next(fetch, "network")
        return weakref.ref(fetch)

    reference = plan()
    gc.collect()
    assert reference() is None


def test_the_warning_about_an_unfinished_result_comes_after_the_faults_too(faults):
    async def fetch() -> str:
        return "done"

    @once
    def forgotten():
        return fetch()

    faults.fail_next(forgotten, "network")
    with pytest.raises(ResilienceError):
        forgotten()
    faults()
    with pytest.warns(RuntimeWarning, match="returned a coroutine"):
        forgotten().close()


@pytest.mark.parametrize(
    ("function", "failure", "times", "error", "said"),
    [
        (len, "network", 1, TypeError, "give a function that a policy guards; monkeypatch replaces any other"),
        (int, "network", 1, TypeError, "give a method of it, such as int.get"),
        (None, "conection", 1, ValueError, "failure: 'conection' is not an ErrorCategory"),
        (None, ErrorCategory.TRANSIENT, 1, ValueError, "failure='transient': give one leaf"),
        (None, KeyboardInterrupt, 1, TypeError, "failure=<class 'KeyboardInterrupt'>: give an exception, a class"),
        (None, KeyboardInterrupt(), 1, TypeError, "failure=KeyboardInterrupt(): give an exception, a class"),
        (None, 503, 1, TypeError, "failure=503: give"),
        (None, UnicodeDecodeError, 1, TypeError, "failure=<class 'UnicodeDecodeError'>: it takes arguments; give an"),
        (None, "network", 0, ValueError, "times=0: give a whole number of 1 or more"),
        (None, "network", 1.5, TypeError, "times=1.5: give a whole number of 1 or more"),
    ],
    ids=str,
)
def test_bad_input_fails_where_it_is_written(faults, function, failure, times, error, said):
    fetch, _ = guarded_by(once)
    with pytest.raises(error) as raised:
        faults.fail_next(function or fetch, failure, times=times)
    assert said in str(raised.value)
    assert fetch() == "lamp"


# -- circuits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["object", "name", "function"])
def test_an_open_circuit_rejects_admits_a_probe_in_time_and_is_reset_at_the_end(how):
    circuit = circuit_breaker(f"open by {how}", reset_timeout=30)
    fetch, calls = guarded_by(fallback(default="substitute", on="rejected"), circuit)
    with virtual_time() as clock:
        with Faults() as faults:
            faults.open({"object": circuit, "name": circuit.name, "function": fetch}[how])
            assert (fetch(), calls) == ("substitute", [])
            clock.advance(30)
            assert fetch() == "lamp"
            faults.open(circuit)
            assert fetch() == "substitute"
        assert fetch() == "lamp"
    assert circuit.current_state == "closed"


def test_a_method_s_circuit_is_opened_by_the_method(faults):
    @circuit_breaker("of a class")
    class Client:
        def get(self) -> str:
            return "done"

    faults.open(Client().get)
    with pytest.raises(CircuitOpenError):
        Client().get()


def test_of_a_circuit_per_key_the_circuit_of_one_key_is_opened(faults):
    hosts = circuit_breaker("hosts", key=lambda host: host)

    @hosts
    def get(host: str) -> str:
        return host

    with pytest.raises(TypeError, match=r"a circuit for each key: give that of one, such as circuit.of\(key\)"):
        faults.open(hosts)
    faults.open(hosts.of("a"))
    with pytest.raises(CircuitOpenError):
        get("a")
    assert get("b") == "b"


def test_a_circuit_that_is_not_there_is_an_error(faults):
    fetch, _ = guarded_by(once)
    with pytest.raises(LookupError, match="no circuit is called 'nowhere'"):
        faults.open("nowhere")
    with pytest.raises(TypeError, match=r"no circuit guards \S+fetch"):
        faults.open(fetch)
    assert "nowhere" not in [circuit.name for circuit in circuits.all_circuits()]
