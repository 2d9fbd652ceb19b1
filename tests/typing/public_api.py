"""The types that checkers must infer. Checked by mypy and pyright, never run; each wrong use has its error code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import assert_type

from resilience import (
    AdaptiveLimit,
    Arguments,
    Bulkhead,
    CallReport,
    CircuitBreaker,
    Degraded,
    ErrorCategory,
    GatheredResults,
    Pipeline,
    ResilienceError,
    RetryBudget,
    Severity,
    StaleEntry,
    adaptive_limit,
    bulkhead,
    by_method,
    circuit_breaker,
    classify,
    deadline,
    fallback,
    gather_results,
    gather_results_async,
    last_call,
    override_profiles,
    priority,
    register_library,
    remaining,
    retry_on_category,
    retrying,
    subscribe,
    timeout,
    track_errors,
    translating,
)
from resilience._runtime.context_manager import BlockResult
from resilience.classification import ClientLibrary, Registration
from resilience.classification.tables import classes
from resilience.events import Counter, Event, RetryScheduled, event_type
from resilience.policies.deadline import Deadline
from resilience.policies.timeout import Timeout
from resilience.settings import disabled
from resilience.testing import Faults, no_waits, record_events, virtual_time


@retry_on_category
def bare(a: int, *, b: str = "") -> bytes:
    return b""


@fallback(default=b"")
@retry_on_category(ErrorCategory.TRANSIENT, attempts=3)
@circuit_breaker("typed")
@timeout(2.0)
def stacked(a: int, *, b: str = "") -> bytes:
    return b""


@retry_on_category("timeout", max_retries=2)
async def awaited(a: int) -> str:
    return ""


def rewritten(call: Arguments, report: CallReport) -> dict[str, object]:
    return {"a": 1}


@track_errors(component="typed")
@translating({KeyError: ResilienceError})
@deadline(5)
@retry_on_category(budget=RetryBudget(), idempotent=by_method, waits={"timeout": 1}, revise=rewritten)
def everything(a: int) -> bytes:
    return b""


@retry_on_category
@timeout(first_item=1, idle=0.5)
def items(a: int) -> Iterator[int]:
    yield a


@retry_on_category
async def async_items(a: int) -> AsyncIterator[int]:
    yield a


@circuit_breaker("client")
class Client:
    def __init__(self, url: str) -> None:
        self.url = url

    @retry_on_category(attempts=2)
    def get(self, path: str) -> bytes:
        return b""

    @retry_on_category
    @staticmethod
    def parse(text: str) -> int:
        return 0

    @timeout(1)
    @classmethod
    def make(cls) -> Client:
        return cls("")


def right() -> None:
    assert_type(bare(1, b=""), bytes)
    assert_type(stacked(1, b=""), bytes)
    assert_type(Client("").get(""), bytes)
    assert_type(Client.parse(""), int)
    assert_type(Client.make(), Client)
    assert_type(classify(ValueError()), ErrorCategory)
    acme = ClientLibrary({"Busy": "unavailable", "Lost": ErrorCategory.NETWORK, "Odd": lambda exc: None})
    assert_type(register_library("acme", acme), Registration)
    ClientLibrary(classes(ErrorCategory.TIMEOUT, "Late Later"), never_sent={**classes(True, "Refused"), "Odd": ("a",)})
    assert_type(circuit_breaker("b"), CircuitBreaker)
    assert_type(everything(1), bytes)
    assert_type(next(items(1)), int)
    assert_type(async_items(1), AsyncIterator[int])
    assert_type(remaining(), float | None)
    assert_type(last_call(), CallReport | None)
    assert_type(gather_results([lambda: len("")]), GatheredResults[int])


async def right_async() -> None:
    assert_type(await gather_results_async([lambda: awaited(1)]), GatheredResults[str])


def wrong() -> None:
    everything("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    items("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    register_library("acme", {"Busy": "timeout"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ClientLibrary({"Busy": 5})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    deadline("5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    retry_on_category(budget=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    bare("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    stacked(1, c="")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    awaited()  # type: ignore[call-arg,unused-coroutine]  # pyright: ignore[reportCallIssue, reportUnusedCoroutine]
    Client("").get(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    retry_on_category(attempts="3")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    timeout("2")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    circuit_breaker(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    circuit_breaker("b", failure_threshold="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    circuit_breaker("b", failure_treshold=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    fallback()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def blocks() -> None:
    with fallback(default=[1]) as result:
        result.value = [2]
        result.value = "no"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    assert_type(result.value, list[int] | None)
    with fallback(factory=lambda: 3) as made:
        ...
    assert_type(made.value, int | None)
    with fallback(factory=lambda error: str(error)) as made_of_error:
        ...
    assert_type(made_of_error.value, str | None)
    for attempt in retrying("network"):
        with attempt:
            assert_type(attempt.number, int)


def returned_in_a_circuit() -> int:
    with circuit_breaker("b"):
        return 1


def returned_in_one_block() -> int:
    with circuit_breaker("b").calling():
        return 1


def returned_in_a_deadline() -> int:
    with deadline(3), track_errors(component="shop"):
        return 1


def assigned_in_a_circuit() -> int:
    with circuit_breaker("b"), subscribe(print), disabled(), override_profiles({"timeout": {"base": 1}}):
        answer = 1
    return answer


def returned_in_a_translation() -> int:
    with translating({TimeoutError: ResilienceError}):
        return 1


def returned_in_virtual_time() -> int:
    with virtual_time(), no_waits():
        return 1


async def returned_in_a_limit() -> int:
    async with timeout(1), deadline(3), circuit_breaker("b"), track_errors(component="shop"):
        return 1


async def returned_in_an_async_block() -> int:
    async with circuit_breaker("b").calling():
        return 1


def not_returned_from_a_fallback() -> int:  # type: ignore[return]  # pyright: ignore[reportReturnType]
    with fallback(default=1):
        return 1


async def entered() -> None:
    with circuit_breaker("b") as circuit, circuit.calling() as same, deadline(3) as limit, bulkhead("b", 5) as slots:
        assert_type(circuit, CircuitBreaker)
        assert_type(same, CircuitBreaker)
        assert_type(limit, Deadline)
        assert_type(slots, Bulkhead)
    async with timeout(1) as time_limit, fallback(default="") as result:
        assert_type(time_limit, Timeout)
        assert_type(result, BlockResult[str])


def limited() -> int:
    with priority("critical", tenant="acme"), adaptive_limit("a", most=50) as limit:
        assert_type(limit, AdaptiveLimit)
    priority("urgent")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    adaptive_limit("a", start="20")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return adaptive_limit("a").call(int, "7")


def returned_in_a_bulkhead() -> int:
    with bulkhead("b", 5):
        return 1


def returned_in_a_loop() -> int:
    for attempt in retrying():
        with attempt:
            return 1
    raise AssertionError  # for checkers, which take any `for` loop for one that may end


# -- substitutes -----------------------------------------------------------------------------------------------------


@fallback(default=None)
def name_of(item: int) -> str:
    return ""


@fallback(default=None)
async def name_soon(item: int) -> str:
    return ""


@fallback(default=())
def tags(item: int) -> tuple[str, ...]:
    return ()


@fallback(default=[])
@retry_on_category
def names(item: int) -> list[str]:
    return []


async def looked_up(error: Exception) -> None:
    return None


@fallback(factory=looked_up)
async def name_by_factory(item: int) -> str:
    return ""


@fallback(stale={}, max_age=60)
def kept(item: int) -> str:
    return ""


@fallback(chain={"timeout": len}, stale={}, default=0.5)
def length(text: str) -> int:
    return 0


@fallback(default=None, degraded=True)
def marked(item: int) -> str:
    return ""


@fallback(stale={}, degraded=True)
async def kept_and_marked(item: int) -> str:
    return ""


class Shop:
    @fallback(default=None)
    def price(self, item: int) -> float:
        return 1.0

    @fallback(default=None)
    @classmethod
    def open(cls, name: str) -> str:
        return name

    @fallback(default=None)
    @staticmethod
    def parse(text: str) -> int:
        return 0


@fallback(default=None)
class Remote:
    def get(self) -> int:
        return 0


async def substitutes() -> None:
    assert_type(name_of(1), str | None)
    assert_type(await name_soon(1), str | None)
    assert_type(tags(1), tuple[str, ...])
    assert_type(names(1), list[str])
    assert_type(await name_by_factory(1), str | None)
    assert_type(kept(1), str)
    assert_type(length("a"), int | float)
    assert_type(marked(1), str | Degraded[str | None])
    assert_type(await kept_and_marked(1), str | Degraded[str])
    assert_type(Shop().price(1), float | None)
    assert_type(Shop.open(""), str | None)
    assert_type(Shop.parse(""), int | None)
    assert_type(Remote().get(), int)  # its methods are not typed anew
    assert_type(fallback(default=None).call(len, ""), int | None)
    assert_type(await fallback(default=None).acall(awaited, 1), str | None)
    assert_type(StaleEntry(1.5, 0.0).value, float)
    name_of("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def calls(pipeline: Pipeline, fetch: Callable[[int], Awaitable[str]]) -> None:
    assert_type(await awaited(1), str)
    assert_type(pipeline.call(len, "abc"), int)
    assert_type(await pipeline.acall(fetch, 1), str)
    async for attempt in retrying():
        with attempt:
            pass
    async with circuit_breaker("b"), timeout(2):
        pass


def events() -> None:
    @event_type("order.lost", Severity.ERROR, counter=Counter("shop.orders.lost", "Orders lost.", ("target",)))
    class OrderLost(Event):
        shelf: str
        customers: int = 1

    lost = OrderLost(target="shop.order", policy="stock", shelf="A 7")
    assert_type(lost, OrderLost)
    assert_type(lost.shelf, str)
    assert_type(OrderLost.counter, Counter | None)
    OrderLost(target="shop.order", policy="stock")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    lost.shelf = "B"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    event_type("order.lost", Severity.INFO)(int)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]


def tests_of_a_program() -> None:
    with Faults() as faults, record_events() as events, virtual_time() as clock:
        faults.fail_next(bare, "network")
        faults.fail_next(bare, ErrorCategory.TIMEOUT, times=None)
        faults.fail_next(bare, KeyError, times=2)
        faults.fail_next(bare, KeyError("x"))
        faults.fail_next(bare, KeyboardInterrupt())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        faults.fail_next(bare, "network", times="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        faults.open("billing")
        faults.open(circuit_breaker("b"))
        faults.open(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert_type(events.names, list[str])
        assert_type(events[0], Event)
        assert_type([event.wait for event in events.of(RetryScheduled)], list[float])
        assert_type(clock.now(), float)
