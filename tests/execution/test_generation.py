from __future__ import annotations

import functools
import itertools
import logging
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import anyio
import pytest

import resilience._callback_errors
from examples.generate_and_repair import DRAFTS, Model, generate_and_repair
from resilience import CircuitOpenError, ErrorCategory, circuit_breaker, deadline, retry_on_category, subscribe
from resilience.contrib.executor import (
    CodeGenerationError,
    CodeRuntimeError,
    CodeSyntaxError,
    ContainerConfigurationError,
    ContainerConnectivityError,
    ExecutionTimeoutError,
    MaxAttemptsExceededError,
    PythonExecutorException,
    WorkflowError,
)
from resilience.events import RetryScheduled
from resilience.execution._jupyter import JupyterExecutor
from resilience.execution.events import StreamEvent
from resilience.execution.executor import Executor
from resilience.execution.fallback import FallbackExecutor
from resilience.execution.generation import Feedback, GeneratedRun, run_generated, run_generated_sync
from resilience.execution.history import ErrorHistory
from resilience.execution.local import SubprocessExecutor
from resilience.execution.request import ExecutionRequest
from resilience.testing import virtual_time
from tests.execution.gateway import TOKEN, serving
from tests.execution.stand_ins import Known, refused, report
from tests.runners import Runner

ROOT = pathlib.Path(__file__).parents[2]


class Generator:
    """Returns the drafts of a script, and keeps the feedback it gets; an exception in the script is raised."""

    def __init__(self, *drafts: object) -> None:
        self._drafts = list(drafts)
        self.received: list[Feedback] = []

    def __call__(self, feedback: Feedback) -> object:
        self.received.append(feedback)
        draft = self._drafts.pop(0)
        if isinstance(draft, Exception):
            raise draft
        return draft

    async def asynchronously(self, feedback: Feedback) -> object:
        await anyio.lowlevel.checkpoint()
        return self(feedback)


def run(runner: Runner, generator: Generator, executor: Executor, **given: object) -> object:
    """Return the run or the error of a generation, in virtual time."""
    with virtual_time(patience=60):
        try:
            return runner.run(
                lambda: run_generated_sync(generator, executor, **given),
                functools.partial(run_generated, generator.asynchronously, executor, **given),
            )
        except Exception as error:
            return error


# -- what comes after a failure -------------------------------------------------------------------------------------


def test_code_that_works_is_written_once_and_executed_once(runner: Runner):
    generator, executor = Generator("```python\n6 * 7\n```"), Known(report(42))
    done = run(runner, generator, executor, request=ExecutionRequest("", timeout=3, security_level="moderate"))
    assert isinstance(done, GeneratedRun)
    assert (done.code, done.generations, done.executions, done.reports) == ("6 * 7\n", 1, 1, ())
    assert done.report.execution_result.return_value == 42
    assert executor.seen == [ExecutionRequest("6 * 7\n", timeout=3, security_level="moderate")]
    assert generator.received == [Feedback(generation=1)]


def test_infrastructure_has_the_same_code_executed_again_after_a_pause(runner: Runner):
    generator, executor = Generator("1", "2"), Known(refused(), refused(), report(1))
    waits: list[float] = []

    def note(event: object) -> None:
        if isinstance(event, RetryScheduled):
            waits.append(event.wait)

    with subscribe(note):
        done = run(runner, generator, executor, base_delay=1)
    assert [each.code for each in executor.seen] == ["1", "1", "1"]
    assert (done.generations, done.executions) == (1, 1)
    assert [each.category for each in done.reports] == [ErrorCategory.NETWORK] * 2
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2


@pytest.mark.parametrize("category", [leaf.label for leaf in ErrorCategory.CODE_RELATED | ErrorCategory.SECURITY])
def test_code_with_an_error_of_its_own_is_generated_anew(runner: Runner, category: str):
    generator, executor = Generator("1", "2"), Known(report(category=category), report(2))
    done = run(runner, generator, executor)
    assert [each.code for each in executor.seen] == ["1", "2"]
    assert (done.generations, done.executions) == (2, 2)
    assert [each.category.label for each in done.reports] == [category]
    first, second = generator.received
    assert (second.generation, second.code, second.reports) == (2, "1", done.reports)
    assert (first.reports, first.code) == ((), "")


def test_what_the_source_shows_is_not_even_executed(runner: Runner):
    generator, executor = Generator("1 +", "import os", "3"), Known(report(3))
    done = run(runner, generator, executor)
    assert [each.code for each in executor.seen] == ["3"]
    assert (done.generations, done.executions) == (3, 1)
    assert [each.category.label for each in done.reports] == ["syntax_error", "security_error"]
    assert done.error_chain == (
        "SyntaxError on line 1: invalid syntax",
        "SecurityViolation on line 1: Attempted to access restricted module 'os'",
    )


def test_an_answer_without_code_is_asked_for_again(runner: Runner):
    generator = Generator("```python\n```", "  \n", "3")
    done = run(runner, generator, Known(report(3)))
    assert (done.generations, done.executions) == (3, 1)
    assert done.error_chain[0].startswith("CodeGenerationError")


@pytest.mark.parametrize("answer", ["<think>First I need to", "```python\nprint('a"])
def test_the_feedback_says_that_an_answer_was_cut_off(runner: Runner, answer: str):
    generator = Generator(answer, "3")
    done = run(runner, generator, Known(report(3)))
    assert (done.generations, done.executions) == (2, 1)
    assert "the answer was cut off" in generator.received[1].reports[0].error_message


def test_a_generator_that_reports_a_failure_is_asked_again(runner: Runner):
    error = CodeGenerationError("the model refused", 1, [])
    generator = Generator(error, "2")
    done = run(runner, generator, Known(report(2)))
    assert done.generations == 2
    assert generator.received[1].reports[0].error_message == "the model refused"


def test_a_generator_that_cannot_be_reached_is_asked_the_same_again(runner: Runner):
    generator = Generator(ConnectionResetError("the model is away"), "2")
    done = run(runner, generator, Known(report(2)))
    assert (done.generations, [each.category for each in done.reports]) == (1, [ErrorCategory.NETWORK])
    assert [each.generation for each in generator.received] == [1, 1]


def test_pauses_and_revisions_do_not_count_for_each_other(runner: Runner):
    executor = Known(refused(), report(category="runtime_error"), refused(), report(category="memory_error"), report(3))
    done = run(runner, Generator("1", "2", "3"), executor)
    assert [each.code for each in executor.seen] == ["1", "1", "2", "2", "3"]
    labels = ["network", "runtime_error", "network", "memory_error"]
    assert [each.category.label for each in done.reports] == labels


STOPS = {
    "timeout_error": ExecutionTimeoutError,
    "internal": WorkflowError,
    "approval": PythonExecutorException,
    "configuration": PythonExecutorException,
}


@pytest.mark.parametrize(("category", "kind"), STOPS.items())
def test_a_failure_that_needs_a_person_stops_the_loop_and_is_reported_once(
    runner: Runner, category: str, kind: type[Exception]
):
    stops: list[tuple[Exception, GeneratedRun]] = []
    generator = Generator("1", "2")
    error = run(runner, generator, Known(report(category=category)), on_stop=lambda *given: stops.append(given))
    assert isinstance(error, kind)
    assert error.category.label == category
    ((received, so_far),) = stops
    assert received is error
    assert (so_far.code, so_far.generations, so_far.executions) == ("1", 1, 1)
    assert [each.category.label for each in so_far.reports] == [category]
    assert len(generator.received) == 1


def test_errors_that_have_a_category_reach_the_caller_as_they_are(runner: Runner):
    for error in (
        ContainerConfigurationError("no kernel"),
        PermissionError("not you"),
        WorkflowError("?", "execution"),
    ):
        assert run(runner, Generator("1"), Known(error)) is error
        assert run(runner, Generator(error), Known()) is error


@pytest.mark.parametrize("bug", [NameError("oops"), ValueError("oops"), ImportError("oops"), KeyError("oops")])
def test_a_bug_is_a_workflow_error_that_says_where(runner: Runner, bug: Exception):
    for generator, executor, stage in (
        (Generator(bug), Known(), "code_generation"),
        (Generator("1"), Known(bug), "execution"),
    ):
        error = run(runner, generator, executor)
        assert isinstance(error, WorkflowError)
        assert (error.stage, error.original_exception, error.__cause__) == (stage, bug, bug)


def test_a_bug_of_the_analysis_is_one_too(runner: Runner, monkeypatch: pytest.MonkeyPatch):
    def broken(request: ExecutionRequest) -> None:
        raise IndexError("ours")

    monkeypatch.setattr("resilience.execution.generation_state.precheck", broken)
    error = run(runner, Generator("1"), Known())
    assert (error.stage, str(error.__cause__)) == ("static_analysis", "ours")


def test_a_generator_that_returns_anything_else_has_a_bug(runner: Runner):
    error = run(runner, Generator(None), Known())
    assert isinstance(error, WorkflowError)
    assert "generate() returned NoneType: give the source as str" in str(error.__cause__)


# -- limits ---------------------------------------------------------------------------------------------------------


def test_too_many_generations(runner: Runner):
    error = run(runner, Generator("1 +", "2 +", "3 +", "4"), Known())
    assert isinstance(error, MaxAttemptsExceededError)
    assert str(error) == "Maximum code_generation attempts (3) exceeded"
    assert (error.operation_type, error.max_attempts) == ("code_generation", 3)
    assert error.error_chain == ["SyntaxError on line 1: invalid syntax"] * 3
    assert isinstance(error.__cause__, CodeSyntaxError)


def test_too_many_executions(runner: Runner):
    failures = [report(category="runtime_error", message=word) for word in ("one", "two")]
    error = run(runner, Generator("1", "2", "3"), Known(*failures), max_generations=9, max_executions=2)
    assert (error.operation_type, error.max_attempts) == ("execution", 2)
    assert error.error_chain == ["Failed: one", "Failed: two"]
    assert isinstance(error.__cause__, CodeRuntimeError)
    assert error.__cause__.execution_attempt == 2


def test_too_many_failed_connections(runner: Runner):
    errors = [refused() for _ in range(4)]
    error = run(runner, Generator("1"), Known(*errors), max_connections=4)
    assert (error.operation_type, error.max_attempts, len(error.error_chain)) == ("connectivity", 4, 4)
    assert error.__cause__ is errors[3]


def test_one_of_each_is_a_limit_as_well(runner: Runner):
    one = {"max_generations": 1, "max_executions": 1, "max_connections": 1}
    assert run(runner, Generator("1"), Known(report(1)), **one).generations == 1
    assert run(runner, Generator("1 +"), Known(), **one).operation_type == "code_generation"
    assert run(runner, Generator("1"), Known(report(category="runtime_error")), **one).operation_type == "execution"
    assert run(runner, Generator("1"), Known(refused()), **one).operation_type == "connectivity"


def test_generators_that_never_come_up_with_code_are_asked_as_often_as_others(runner: Runner):
    errors = [CodeGenerationError(f"no {number}", number, []) for number in range(3)]
    generator = Generator(*errors)
    error = run(runner, generator, Known())
    assert (error.operation_type, error.__cause__) == ("code_generation", errors[2])
    assert [each.generation for each in generator.received] == [1, 2, 3]


def test_failures_that_look_the_same_are_no_limit_of_their_own(runner: Runner):
    same = [report(category="runtime_error")] * 4
    done = run(runner, Generator(*"12345"), Known(*same, report(5)), max_generations=5, max_executions=5)
    assert done.report.execution_result.return_value == 5


def test_an_exhausted_limit_is_reported_like_any_stop(runner: Runner):
    stops: list[Exception] = []
    error = run(runner, Generator("1 +"), Known(), max_generations=1, on_stop=lambda error, run: stops.append(error))
    assert stops == [error]


def test_where_remote_and_local_cannot_be_reached_both_are_tried_again(runner: Runner):
    remote, local = Known(*[refused() for _ in range(5)]), Known(*[refused() for _ in range(3)])
    circuit = circuit_breaker("remote", failure_threshold=5)
    error = run(runner, Generator("1"), FallbackExecutor(remote, local, circuit=circuit))
    assert isinstance(error, MaxAttemptsExceededError)
    assert (error.operation_type, error.max_attempts) == ("connectivity", 3)
    assert (len(remote.seen), len(local.seen)) == (5, 3)


def test_an_error_that_a_nested_retry_has_exhausted_is_not_retried(runner: Runner):
    errors = [ConnectionResetError("the model is away") for _ in range(2)]
    generator = Generator(*errors)
    guard = retry_on_category("network", attempts=2)

    def sync() -> object:
        return run_generated_sync(guard(generator), Known())

    async def asynchronous() -> object:
        return await run_generated(guard(generator.asynchronously), Known())

    with virtual_time(patience=60), pytest.raises(MaxAttemptsExceededError) as raised:
        runner.run(sync, asynchronous)
    assert (raised.value.operation_type, raised.value.max_attempts) == ("connectivity", 2)
    assert raised.value.__cause__ is errors[1]


def test_a_deadline_ends_it_with_the_last_failure(runner: Runner):
    errors = [refused() for _ in range(9)]

    def sync() -> object:
        with deadline(5):
            return run_generated_sync(Generator("1"), Known(*errors), max_connections=9, base_delay=4)

    async def asynchronous() -> object:
        async with deadline(5):
            generate = Generator("1").asynchronously
            return await run_generated(generate, Known(*errors), max_connections=9, base_delay=4)

    with virtual_time(patience=60), pytest.raises(ContainerConnectivityError) as raised:
        runner.run(sync, asynchronous)
    assert raised.value.resilience.reason.value == "deadline"


@pytest.mark.parametrize("name", ["max_generations", "max_executions", "max_connections"])
def test_limits_are_counts(runner: Runner, name: str):
    error = run(runner, Generator("1"), Known(), **{name: 0})
    assert isinstance(error, ValueError)
    assert f"{name}=0" in str(error)


# -- the feedback to the generator ----------------------------------------------------------------------------------


def test_the_feedback_has_the_last_three_failures_of_the_code_alone(runner: Runner):
    words = ["one", "two", "three", "four"]
    script: list[object] = [refused()]
    for word in words:
        script.append(report(category="runtime_error", message=word))
    generator = Generator(*"12345")
    run(runner, generator, Known(*script, report(5)), max_generations=5, max_executions=5)
    assert [each.errors for each in generator.received] == [
        (),
        ("Failed: one",),
        ("Failed: one", "Failed: two"),
        ("Failed: one", "Failed: two", "Failed: three"),
        ("Failed: two", "Failed: three", "Failed: four"),
    ]
    prompt = generator.received[-1].to_llm()
    assert prompt.startswith("Failed: four")
    assert prompt.endswith("Before that:\n- Failed: two\n- Failed: three")
    assert generator.received[0].to_llm() == ""


def test_the_feedback_keeps_to_its_token_limit():
    from resilience.report._llm import estimated_tokens

    error = report(category="runtime_error", message="word " * 1000).error
    feedback = Feedback(generation=4, code="1", reports=(error,) * 3)
    for most in (30, 100, 400):
        assert estimated_tokens(feedback.to_llm(most)) <= most


def test_failures_are_kept_in_the_history_and_earlier_resolutions_are_in_the_feedback(runner: Runner):
    history = ErrorHistory()
    history.record(report(category="runtime_error", message="list index 3 out of range").error, "before")
    history.resolve("before", "checked the length first", "lists may be empty")
    generator = Generator("1", "import os", "3")
    executor = Known(report(category="runtime_error", message="list index 9 out of range", number=7), report(3))
    run(runner, generator, executor, history=history)
    assert [each.resolution for each in generator.received[1].advice] == ["checked the length first"]
    assert "- checked the length first (lists may be empty)" in generator.received[1].to_llm()
    assert generator.received[2].advice == ()
    assert [each.execution_id for each in history.entries()][:2] == ["before", "exec_7"]
    assert len(history) == 3


# -- the end --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draft", ["1", "1 +", NameError("bug")])
def test_cleaning_up_is_done_however_it_ends(runner: Runner, draft: object):
    cleaned: list[str] = []
    run(runner, Generator(draft), Known(report(1)), max_generations=1, cleanup=lambda: cleaned.append("up"))
    assert cleaned == ["up"]


def test_a_cancelled_run_cleans_up_and_does_not_call_on_stop(backend: str):
    cleaned: list[str] = []
    stops: list[object] = []

    class Hanging(Known):
        async def execute(self, request: object, *, on_event: object = None) -> object:
            tasks.cancel_scope.cancel()
            await anyio.sleep_forever()

    async def clean() -> None:
        await anyio.lowlevel.checkpoint()
        cleaned.append("up")

    async def main() -> None:
        nonlocal tasks
        async with anyio.create_task_group() as tasks:
            await run_generated(
                Generator("1"), Hanging(), cleanup=clean, on_stop=lambda error, run: stops.append(error)
            )

    tasks: anyio.abc.TaskGroup
    anyio.run(main, backend=backend)
    assert (cleaned, stops) == (["up"], [])


def test_callbacks_may_be_async(backend: str):
    received: list[str] = []

    async def stop(error: Exception, so_far: GeneratedRun) -> None:
        await anyio.lowlevel.checkpoint()
        received.append(type(error).__name__)

    run(Runner(backend), Generator("1 +"), Known(), max_generations=1, on_stop=stop)
    assert received == ["MaxAttemptsExceededError"]


def test_callbacks_that_raise_are_reported_and_change_nothing(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(resilience._callback_errors, "_logged", set())

    def broken(*given: object) -> None:
        raise RuntimeError("not my day")

    with caplog.at_level(logging.WARNING, "resilience"):
        error = run(runner, Generator("1 +"), Known(), max_generations=1, on_stop=broken, cleanup=broken)
    assert isinstance(error, MaxAttemptsExceededError)
    assert [record.message.split(" ")[0] for record in caplog.records] == ["on_stop", "cleanup"]


async def asynchronous(*given: object) -> str:
    return "1"


@pytest.mark.parametrize("name", ["generate", "on_stop", "cleanup"])
def test_an_async_callback_of_a_sync_run_is_rejected(name: str):
    given: dict[str, Callable] = {"generate": Generator("1"), name: asynchronous}
    with pytest.raises(TypeError, match=f"{name}=.* is async; use run_generated"):
        run_generated_sync(executor=Known(), **given)


# -- for real -------------------------------------------------------------------------------------------------------


def test_events_while_code_runs_reach_the_listener(runner: Runner):
    events: list[StreamEvent] = []
    with SubprocessExecutor(spares=0) as executor:
        given = {"on_event": events.append}
        generator = Generator("print('a')\nfoo", "print('b')")
        done = runner.run(
            lambda: run_generated_sync(generator, executor, **given),
            functools.partial(run_generated, generator, executor, **given),
        )
    assert done.report.execution_result.stdout == "b\n"
    # The traceback goes to stderr when it can, and texts come in pieces.
    received = [kind for kind, _ in itertools.groupby(event.kind for event in events if event.kind != "stderr")]
    assert received == ["start", "stdout", "error", "start", "stdout", "result"]


@pytest.mark.slow  # starts kernels
def test_a_remote_that_refuses_twice_and_a_generator_that_is_wrong_twice(runner: Runner):
    """Two refusals of a real server, a NameError in its kernel, a blocked import: and then the right result there."""
    with serving() as (url, server), JupyterExecutor(gateway_url=url, token=TOKEN) as executor:
        server.failing = 2
        generator = Generator(*DRAFTS)
        given = {"base_delay": 0.01}
        done = runner.run(
            lambda: run_generated_sync(generator, executor, **given),
            functools.partial(run_generated, generator.asynchronously, executor, **given),
        )
    assert done.report.execution_result.return_value == 18.0
    assert (done.generations, done.executions) == (3, 2)
    labels = ["unavailable", "unavailable", "runtime_error", "security_error"]
    assert [each.category.label for each in done.reports] in (labels, ["network", "network", *labels[2:]])


def test_the_example_ends_with_the_right_result_after_three_generations_and_five_failures(backend: str):
    model = Model()
    done = anyio.run(generate_and_repair, model, backend=backend)
    assert done.report.execution_result.return_value == 18.0
    assert done.report.ran_on == "local"
    assert (done.generations, done.executions, done.code) == (3, 2, DRAFTS[2].removeprefix("```python\n")[:-3])
    assert [each.category.label for each in done.reports] == [
        "network",
        "network",
        "runtime_error",
        "security_error",
        "rejected",
    ]
    assert [each.error_type for each in done.reports] == [
        "ContainerConnectivityError",
        "ContainerConnectivityError",
        "NameError",
        "SecurityViolation",
        CircuitOpenError.__name__,
    ]
    assert [prompt.partition("\n")[0] for prompt in model.prompts] == [
        "",
        "NameError on line 3: undefined variable",
        "SecurityViolation on line 1: Attempted to access restricted module 'os'",
    ]


def test_the_example_can_be_run_by_anyone():
    command = [sys.executable, "-m", "examples.generate_and_repair"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("--- result: 18.0\n")
