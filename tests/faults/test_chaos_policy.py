"""chaos as a policy: what it injects, what it leaves alone, and that it is off the path of a call while it is off."""

from __future__ import annotations

import copy
import datetime
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest

from resilience import (
    CallTimeoutError,
    ErrorCategory,
    Pipeline,
    chaos,
    circuit_breaker,
    classify,
    describe,
    fallback,
    priority,
    report_of,
    retry_on_category,
    settings,
    timeout,
)
from resilience._runtime.decorate import guarded
from resilience.events import AttemptFailed, FaultInjected
from resilience.faults import Lognormal, Uniform, is_injected
from resilience.testing import record_events, virtual_time
from tests.runners import Runner

TIMED_OUT = "resilience: injected by chaos; the call was not made"


def test_a_call_fails_by_the_category_and_is_not_made(runner: Runner):
    story = runner.play(chaos(category="rate_limit"), "lamp")
    assert isinstance(story.answer, Exception)
    assert classify(story.answer) is ErrorCategory.RATE_LIMIT
    assert story.reached == 0
    assert TIMED_OUT in story.answer.__notes__


def test_the_policies_outside_meet_it_as_they_meet_a_real_failure(runner: Runner):
    policies = Pipeline(fallback(default="none"), retry_on_category(attempts=3), chaos(category="network"))
    story = runner.play(policies, "lamp")
    assert story.answer == "none"
    assert story.names.count("attempt.failed") == 3
    assert len(story.waits) == 2


def test_an_injected_failure_opens_a_circuit(runner: Runner):
    breaker = circuit_breaker(f"chaos opens {runner}", failure_threshold=2)
    policies = Pipeline(breaker, chaos(category="unavailable"))
    story = runner.play(policies, pauses=(0, 0))
    assert [type(answer).__name__ for answer in story.answers][-1] == "CircuitOpenError"
    assert story.reached == 0


def test_latency_takes_the_time_of_the_call(runner: Runner):
    story = runner.play(chaos(latency=2.5), "lamp")
    assert (story.answer, story.now, story.reached) == ("lamp", 2.5, 1)


def test_latency_is_ended_by_a_time_limit_outside(runner: Runner):
    story = runner.play(Pipeline(timeout(1), chaos(latency=30)), "lamp")
    assert isinstance(story.answer, CallTimeoutError)
    assert (story.now, story.reached) == (1, 0)


def test_a_failure_may_come_after_latency(runner: Runner):
    story = runner.play(chaos(category="timeout", latency=datetime.timedelta(seconds=3)))
    assert isinstance(story.answer, TimeoutError)
    assert story.now == 3


def test_a_result_stands_in_for_that_of_the_call(runner: Runner):
    story = runner.play(chaos(result="garbage"), "lamp")
    assert (story.answer, story.reached) == ("garbage", 0)


def test_a_function_changes_the_result_of_the_call(runner: Runner):
    story = runner.play(chaos(result=str.upper), "lamp")
    assert (story.answer, story.reached) == ("LAMP", 1)


def test_a_function_that_changes_results_may_fail_and_sees_no_failures(runner: Runner):
    story = runner.play(chaos(result=int), "lamp", ConnectionResetError(), pauses=(0,))
    assert [type(answer) for answer in story.answers] == [ValueError, ConnectionResetError]


def test_the_rate_is_the_share_of_the_calls(runner: Runner):
    story = runner.play(chaos(category="network", rate=0.3, seed=7), *["lamp"] * 400, pauses=(0,) * 399)
    failed = sum(isinstance(answer, ConnectionError) for answer in story.answers)
    assert 0.2 < failed / 400 < 0.4


def test_the_same_seed_gives_the_same_faults_sync_and_async():
    def faults(runner: Runner, seed: int | None) -> list[bool]:
        story = runner.play(chaos(category="network", rate=0.5, seed=seed), *["lamp"] * 40, pauses=(0,) * 39)
        return [isinstance(answer, ConnectionError) for answer in story.answers]

    runners = [Runner(name) for name in ("sync", "asyncio", "trio")]
    first, *others = [faults(runner, 7) for runner in runners]
    assert all(other == first for other in others)
    assert faults(runners[0], 8) != first
    assert faults(runners[0], None) == faults(runners[1], None)  # in virtual time chance is that of the clock


def test_without_a_rate_no_call_gets_a_fault(runner: Runner):
    story = runner.play(chaos(category="network", rate=0), *["lamp"] * 5, pauses=(0,) * 4)
    assert story.answers == ["lamp"] * 5


def test_of_a_group_each_leaf_comes(runner: Runner):
    story = runner.play(chaos(category="transient", seed=1), pauses=(0,) * 99)
    assert {classify(answer) for answer in story.answers} == set(ErrorCategory.TRANSIENT)


def test_latency_by_a_distribution_has_its_quantiles():
    latency = Lognormal(0.05, 0.5)
    policy = chaos(latency=latency, seed=3)
    took = []
    for _ in range(500):
        with virtual_time() as clock:
            policy.call(int)
            took.append(clock.now())
    took.sort()
    assert 0.04 < took[250] < 0.0625
    assert 0.3 < took[495] < 1.0
    assert all(1 <= Uniform(1, 3).quantile(share / 10) <= 3 for share in range(11))


@pytest.mark.parametrize(
    "library", ["httpx", httpx, httpx.Client, httpx.Client()], ids=["name", "module", "class", "client"]
)
def test_the_exception_is_one_of_the_client_that_is_given(library: object):
    with pytest.raises(httpx.ReadTimeout):
        chaos(category="timeout", client=library).call(int)


# -- events ------------------------------------------------------------------------------------------------------------


def test_a_fault_is_an_event_and_those_that_follow_say_injected(runner: Runner):
    story = runner.play(Pipeline(retry_on_category(attempts=2), chaos(category="timeout", latency=1, seed=1)), "lamp")
    injected = [event for event in story.events if isinstance(event, FaultInjected)]
    assert [(each.kind, each.category, each.seconds) for each in injected] == [("error", ErrorCategory.TIMEOUT, 1)] * 2
    assert all(event.fields()["injected"] is True for event in story.events)
    assert is_injected(story.answer)


def test_events_of_other_failures_do_not_say_injected(runner: Runner):
    story = runner.play(retry_on_category(attempts=2), TimeoutError(), TimeoutError())
    assert not any(event.injected or "injected" in event.fields() for event in story.events)


@pytest.mark.parametrize(("options", "kind"), [({"latency": 1}, "latency"), ({"result": 1}, "result")])
def test_the_event_says_what_was_injected(runner: Runner, options: dict[str, Any], kind: str):
    story = runner.play(chaos(**options), "lamp")
    assert [event.kind for event in story.events if isinstance(event, FaultInjected)] == [kind]


def test_the_report_of_the_call_has_the_injected_error(runner: Runner):
    story = runner.play(Pipeline(retry_on_category(attempts=2), chaos(category="network")))
    assert isinstance(story.answer, Exception)
    report = report_of(story.answer)
    assert report is not None
    assert report.made == 2


# -- conditions --------------------------------------------------------------------------------------------------------


def test_a_condition_is_asked_with_the_arguments_of_the_call():
    @chaos(category="network", when=lambda order, **_: order == "test")
    def charge(order: str, *, amount: int = 1) -> str:
        return f"{order} {amount}"

    assert charge("real", amount=2) == "real 2"
    with pytest.raises(ConnectionError):
        charge("test")


def test_chaos_for_one_tenant_leaves_the_others_alone():
    @chaos(category="network", tenant="acme")
    def charge() -> str:
        return "paid"

    assert charge() == "paid"
    with priority("normal", tenant="other"):
        assert charge() == "paid"
    with priority("normal", tenant="acme"), pytest.raises(ConnectionError):
        charge()


def test_a_switch_is_asked_at_each_call(runner: Runner):
    answers = iter([True, False, True])
    policy = chaos(category="network", enabled=lambda: next(answers))
    story = runner.play(policy, "lamp", pauses=(0, 0))
    assert [type(answer) for answer in story.answers] == [ConnectionResetError, str, ConnectionResetError]


@pytest.mark.parametrize("option", ["enabled", "when"])
def test_a_condition_that_fails_injects_nothing_and_is_logged_once(option: str, caplog: pytest.LogCaptureFixture):
    def broken(*_: object) -> bool:
        raise RuntimeError("secret")

    options: dict[str, Any] = {option: broken}
    story = Runner("sync").play(chaos(category="network", **options), "lamp", "lamp", pauses=(0,))
    assert story.answers == ["lamp", "lamp"]
    assert len(caplog.records) == 1


# -- switched off ------------------------------------------------------------------------------------------------------


def test_chaos_that_is_off_is_not_on_the_path():
    def dependency(item: str) -> str:
        return item

    bare = retry_on_category(attempts=2)(dependency)
    off = chaos(category="network", enabled=False)
    guarded_function = retry_on_category(attempts=2)(off(dependency))
    record = guarded(guarded_function)
    assert record is not None
    assert off in record.policies
    with virtual_time(), record_events() as events:
        assert guarded_function("lamp") == bare("lamp") == "lamp"
        assert events.names == []


def test_it_is_switched_while_the_program_runs(runner: Runner):
    policy = chaos(category="network", enabled=False)
    calls: list[Callable[[], object]] = [lambda: None, policy.enable, policy.enable, policy.disable]

    def switching(function: Callable[..., Any]) -> Callable[..., Any]:
        protected = retry_on_category(attempts=1)(policy(function))
        if runner.is_async:

            async def call_async() -> object:
                calls.pop(0)()
                return await protected()

            return call_async

        def call() -> object:
            calls.pop(0)()
            return protected()

        return call

    story = runner.play(switching, "one", "two", pauses=(0, 0, 0))
    assert [type(answer) for answer in story.answers] == [str, ConnectionResetError, ConnectionResetError, str]
    assert not policy.enabled


def test_it_is_switched_for_methods_of_a_class_and_for_streams():
    policy = chaos(category="network", enabled=False)

    @policy
    class Stock:
        def find(self, item: str) -> str:
            return item

    @policy
    def items() -> Iterator[int]:
        yield from (1, 2)

    @policy
    async def items_async() -> Any:
        yield 1

    async def first() -> object:
        return [item async for item in items_async()]

    assert (Stock().find("lamp"), list(items()), anyio.run(first)) == ("lamp", [1, 2], [1])
    policy.enable()
    for call in (lambda: Stock().find("lamp"), lambda: list(items()), lambda: anyio.run(first)):
        with pytest.raises(ConnectionError):
            call()
    policy.disable()
    assert (Stock().find("lamp"), list(items()), anyio.run(first)) == ("lamp", [1, 2], [1])


def test_a_function_that_shows_at_its_first_call_whether_it_is_async_is_switched_too():
    policy = chaos(category="network", enabled=False)

    def plain() -> str | Any:
        return "lamp"

    either = policy(plain)
    policy.enable()
    with pytest.raises(ConnectionError):
        either()
    policy.disable()
    assert either() == "lamp"


def test_switching_from_several_threads_leaves_the_last_state():
    policy = chaos(category="network", enabled=False)

    @policy
    def fetch() -> str:
        return "lamp"

    def switch() -> None:
        for _ in range(50):
            policy.enable()
            policy.disable()

    threads = [threading.Thread(target=switch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetch() == "lamp"
    policy.enable()
    with pytest.raises(ConnectionError):
        fetch()


def test_the_kill_switch_of_policies_is_one_for_chaos(runner: Runner):
    with settings.disabled(everywhere=True):
        story = runner.play(chaos(category="network"), "lamp")
    assert story.answer == "lamp"


# -- as decorator and block --------------------------------------------------------------------------------------------


def test_as_a_block_it_fails_before_the_block_begins():
    reached = []
    with pytest.raises(ConnectionError), chaos(category="network"):
        reached.append("body")
    assert reached == []


def test_a_stream_fails_before_its_first_item():
    @retry_on_category(attempts=2, base_delay=0)
    @chaos(category="network", rate=0.5, seed=2)
    def items() -> Iterator[int]:
        yield from (1, 2)

    results = []
    for _ in range(20):
        try:
            results.append(list(items()))
        except ConnectionError:
            results.append([])
    assert [1, 2] in results


def test_results_of_streams_cannot_be_changed():
    with pytest.raises(TypeError, match="items and no result"):

        @chaos(result=1)
        def items() -> Iterator[int]:
            yield 1


def test_describe_shows_it():
    @retry_on_category(attempts=2)
    @chaos(category="timeout", rate=0.1, enabled=False)
    def fetch() -> None: ...

    assert "chaos(category='timeout', rate=0.1, enabled=False)" in str(describe(fetch))
    assert "unknown" not in str(describe(fetch))


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({}, TypeError, "category=, latency= or result="),
        ({"category": "tiemout"}, ValueError, "did you mean 'timeout'"),
        ({"category": 3}, TypeError, "category=3"),
        ({"category": "timeout", "rate": 1.1}, ValueError, "rate=1.1"),
        ({"category": "timeout", "rate": -0.1}, ValueError, "rate=-0.1"),
        ({"category": "timeout", "rate": "0.1"}, TypeError, "rate='0.1'"),
        ({"latency": -1}, ValueError, "latency=-1"),
        ({"latency": "1"}, TypeError, "latency='1'"),
        ({"category": "timeout", "result": 1}, ValueError, "category= or result="),
        ({"latency": 1, "seed": 1.5}, TypeError, "seed=1.5"),
        ({"latency": 1, "enabled": 1}, TypeError, "enabled=1"),
        ({"latency": 1, "when": 1}, TypeError, "when=1"),
        ({"latency": 1, "tenant": 1}, TypeError, "tenant=1"),
        ({"latency": 1, "client": ""}, ValueError, "client=''"),
        ({"latency": 1, "client": object()}, ValueError, "client="),
        ({"latency": 1, "everywhere": True}, ValueError, "everywhere=True"),
        ({"latency": 1, "rates": 1}, TypeError, "did you mean 'rate'"),
    ],
    ids=lambda value: str(list(value)) + str(len(str(value))) if isinstance(value, dict) else "",
)
def test_invalid_options_are_refused(options: dict[str, Any], kind: type[Exception], says: str):
    with pytest.raises(kind, match=says):
        chaos(**copy.copy(options))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Lognormal(0, 1), "p50=0"),
        (lambda: Lognormal(2, 1), "p99=1"),
        (lambda: Uniform(-1, 1), "low=-1"),
        (lambda: Uniform(3, 1), "high=1"),
    ],
    ids=["p50", "p99", "low", "high"],
)
def test_invalid_distributions_are_refused(make: Callable[[], object], says: str):
    with pytest.raises(ValueError, match=says):
        make()


async def _flag() -> bool:
    return True


def test_an_async_switch_is_refused():
    with pytest.raises(TypeError, match="not awaited"):
        chaos(latency=1, enabled=_flag)  # type: ignore[arg-type]  # what is wrong with it


def test_failures_without_a_retry_are_reported_by_the_fault_alone(runner: Runner):
    story = runner.play(chaos(category="network"))
    assert story.names == ["fault.injected"]
    assert not any(isinstance(event, AttemptFailed) for event in story.events)
