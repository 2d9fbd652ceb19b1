from __future__ import annotations

import functools

import pytest

from resilience import CircuitOpenError, ErrorCategory, circuit_breaker, subscribe
from resilience.contrib.executor import ContainerConfigurationError, ContainerConnectivityError
from resilience.events import Event
from resilience.execution.events import StreamEvent
from resilience.execution.executor import ExecutionReport
from resilience.execution.fallback import FallbackExecutor
from resilience.execution.local import SubprocessExecutor
from resilience.execution.request import ExecutionRequest
from resilience.testing import virtual_time
from tests.execution.stand_ins import Known, refused, report
from tests.runners import Runner


def run(executor: FallbackExecutor, runner: Runner, request: ExecutionRequest | str = "1", **given: object) -> object:
    """Return the report or the error of an execution, in virtual time."""
    with virtual_time(patience=60):
        try:
            return runner.run(
                lambda: executor.execute_sync(request, **given), functools.partial(executor.execute, request, **given)
            )
        except Exception as error:
            return error


def test_only_the_remote_executor_runs_while_it_can_be_reached(runner: Runner):
    remote, local = Known(report("there")), Known()
    done = run(FallbackExecutor(remote, local), runner, ExecutionRequest("6 * 7", timeout=3))
    assert (done.execution_result.return_value, done.ran_on, done.tried) == ("there", "remote", ())
    assert remote.seen == [ExecutionRequest("6 * 7", timeout=3)]


def test_the_container_is_retried_before_the_fallback(runner: Runner):
    remote = Known(refused(), refused(), report("there"))
    done = run(FallbackExecutor(remote, Known()), runner)
    assert (done.execution_result.return_value, done.ran_on) == ("there", "remote")
    assert [each.category for each in done.tried] == [ErrorCategory.NETWORK] * 2
    assert [each.code for each in remote.seen] == ["1", "1", "1"]


def test_what_cannot_be_reached_is_stood_in_for(runner: Runner):
    remote, local = Known(refused(), refused()), Known(report("here"))
    events: list[Event] = []
    with subscribe(events.append):
        done = run(FallbackExecutor(remote, local, attempts=2), runner)
    assert (done.execution_result.return_value, done.ran_on) == ("here", "local")
    assert [each.error_type for each in done.tried] == ["ContainerConnectivityError"] * 2
    assert [event.name for event in events].count("fallback.used") == 1
    document = done.to_dict()
    assert document["ran_on"] == "local"
    assert [each["error_category"] for each in document["tried"]] == ["network", "network"]


def test_an_open_circuit_is_not_asked(runner: Runner):
    remote, local = Known(refused(), refused()), Known(report("a"), report("b"))
    circuit = circuit_breaker("container", failure_threshold=2)
    executor = FallbackExecutor(remote, local, circuit=circuit, attempts=2)
    with virtual_time(patience=60):
        run(executor, runner)
        done = run(executor, runner)
    assert executor.circuit is circuit
    assert (len(remote.seen), done.execution_result.return_value, done.ran_on) == (2, "b", "local")
    assert [each.category for each in done.tried] == [ErrorCategory.REJECTED]


def test_a_failure_of_the_code_is_no_failure_of_the_remote(runner: Runner):
    remote = Known(*[report(category="runtime_error")] * 7)
    executor = FallbackExecutor(remote, Known(), circuit=circuit_breaker("c", failure_threshold=2))
    for _ in range(7):
        done = run(executor, runner)
        assert (done.category, done.ran_on) == (ErrorCategory.RUNTIME, "remote")


def test_a_wrong_configuration_is_nothing_to_stand_in_for(runner: Runner):
    error = ContainerConfigurationError("no kernel is called 'x'")
    assert run(FallbackExecutor(Known(error), Known()), runner) is error


def test_where_both_fail_the_last_error_refers_to_the_first(runner: Runner):
    first, second = refused(), refused()
    error = run(FallbackExecutor(Known(first), Known(second), attempts=1), runner)
    assert error is second
    assert error.__context__ is first


def test_what_an_inner_one_has_tried_is_kept(runner: Runner):
    inner = FallbackExecutor(Known(refused()), Known(report("middle")), circuit="inner", attempts=1)
    outer = FallbackExecutor(Known(refused()), inner, circuit="outer", attempts=1)
    done = run(outer, runner)
    assert (done.ran_on, len(done.tried)) == ("local", 2)


def test_the_last_error_of_an_open_circuit_says_why():
    executor = FallbackExecutor(
        Known(refused()),
        Known(report(), report()),
        circuit=circuit_breaker("container", failure_threshold=1),
        attempts=2,
    )
    with virtual_time():
        first, second = executor.execute_sync("1"), executor.execute_sync("1")
    assert [each.error_type for each in first.tried] == [ContainerConnectivityError.__name__]
    assert [each.error_type for each in second.tried] == [CircuitOpenError.__name__]


def test_events_come_from_the_executor_that_runs(runner: Runner):
    events: list[StreamEvent] = []
    with SubprocessExecutor(spares=0) as here:
        executor = FallbackExecutor(Known(refused()), here, attempts=1)

        def sync() -> ExecutionReport:
            return executor.execute_sync("print('hello')", on_event=events.append)

        done = runner.run(sync, functools.partial(executor.execute, "print('hello')", on_event=events.append))
    assert (done.ran_on, done.execution_result.stdout) == ("local", "hello\n")
    assert list(dict.fromkeys(event.kind for event in events)) == ["start", "stdout", "result"]


@pytest.mark.parametrize(("given", "error"), [({"attempts": 0}, ValueError), ({"base_delay": -1}, ValueError)])
def test_wrong_parameters_are_refused(given: dict, error: type[Exception]):
    with pytest.raises(error):
        FallbackExecutor(Known(), Known(), **given)


def test_its_repr_names_the_circuit():
    assert repr(FallbackExecutor(Known(), Known(), circuit="box")) == (
        "<FallbackExecutor: <CircuitBreaker 'box' closed>>"
    )
