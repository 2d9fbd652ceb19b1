"""Document C's circuit, clause by clause, and by a copy of it that predicts every program of calls."""

from __future__ import annotations

import datetime
import inspect
import logging

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import resilience.circuits
from resilience import CircuitOpenError, ErrorCategory, classify
from resilience.contrib import service
from resilience.contrib.legacy.service import CircuitBreaker, CircuitState
from resilience.integrations.logging import log_events
from resilience.testing import virtual_time

CLOSED, OPEN, HALF_OPEN = CircuitState


class Down(Exception):
    category = ErrorCategory.UNAVAILABLE


class Refused(Exception):
    category = ErrorCategory.VALIDATION


STEPS: dict[str, Exception | None] = {"ok": None, "down": Down("down"), "refused": Refused(), "bug": KeyError("bug")}
SHORT = {"c": CLOSED, "o": OPEN, "h": HALF_OPEN}


def do(step: str) -> str:
    error = STEPS[step]
    if error is not None:
        raise error
    return step


async def answer(breaker: CircuitBreaker, step: str) -> str:
    """Call; return the step when the function was reached and its own answer came back, or what came instead."""
    reached = []

    async def dependency() -> str:
        reached.append(step)
        return do(step)

    try:
        assert await breaker.call(dependency) == "ok"
    except CircuitOpenError as error:
        assert not reached
        return f"retry after {error.retry_after:g}"
    except Exception as error:
        assert error is STEPS[step]
    assert reached == [step]
    return step


def play(program: str, backend: str = "asyncio", **parameters: object) -> list[str]:
    """Run a program of steps and pauses in seconds; return each answer with state and count after it."""
    shown: list[str] = []

    async def main() -> None:
        breaker = CircuitBreaker(**{"failure_threshold": 3, "timeout": 10, "expected_exception": Down} | parameters)
        for word in program.split():
            if word[0].isdigit():
                clock.advance(float(word))
            else:
                said = await answer(breaker, word)
                shown.append(f"{said}: {breaker.state.value} {breaker.failure_count}")

    with virtual_time(patience=5) as clock:
        anyio.run(main, backend=backend)
    return shown


# -- clause by clause -------------------------------------------------------------------------------------------------


def test_the_states_are_spelled_as_in_the_document():
    assert {state.name: state.value for state in CircuitState} == {
        "CLOSED": "closed",
        "OPEN": "open",
        "HALF_OPEN": "half_open",
    }


def test_its_parameters_and_defaults_are_the_documents():
    parameters = inspect.signature(CircuitBreaker).parameters
    assert [(name, parameters[name].default) for name in list(parameters)[:3]] == [
        ("failure_threshold", 5),
        ("timeout", 60),
        ("expected_exception", Exception),
    ]
    assert inspect.iscoroutinefunction(CircuitBreaker.call)
    breaker = CircuitBreaker()
    assert (breaker.failure_threshold, breaker.timeout, breaker.expected_exception) == (5, 60, Exception)


def test_it_starts_closed_with_nothing_counted():
    breaker = CircuitBreaker()
    assert (breaker.state, breaker.failure_count, breaker.last_failure_time) == (CLOSED, 0, None)


@pytest.mark.parametrize(
    ("program", "answers"),
    [
        pytest.param("ok ok", ["ok: closed 0", "ok: closed 0"], id="success"),
        pytest.param(
            "bug refused bug refused", ["bug: closed 0", "refused: closed 0"] * 2, id="other exceptions are not counted"
        ),
        pytest.param(
            "down down bug down",
            ["down: closed 1", "down: closed 2", "bug: closed 2", "down: open 3"],
            id="other exceptions reset nothing",
        ),
        pytest.param(
            "down down ok down",
            ["down: closed 1", "down: closed 2", "ok: closed 0", "down: closed 1"],
            id="success resets",
        ),
        pytest.param(
            "down down down ok 4 ok",
            ["down: closed 1", "down: closed 2", "down: open 3", "retry after 10: open 3", "retry after 6: open 3"],
            id="open rejects and says what is left",
        ),
        pytest.param(
            "down 5 down 5 down 9 ok 1 ok",
            ["down: closed 1", "down: closed 2", "down: open 3", "retry after 1: open 3", "ok: closed 0"],
            id="the time runs from the last failure, and a success closes",
        ),
        pytest.param(
            "down down down 10 down 9.5 ok 0.5 down ok",
            [
                *("down: closed 1", "down: closed 2", "down: open 3", "down: open 4"),
                *("retry after 0.5: open 4", "down: open 5", "retry after 10: open 5"),
            ],
            id="a failed probe opens it with a fresh time",
        ),
        pytest.param(
            "down down down 10 ok down down down",
            [
                *("down: closed 1", "down: closed 2", "down: open 3"),
                *("ok: closed 0", "down: closed 1", "down: closed 2", "down: open 3"),
            ],
            id="after closing it counts anew",
        ),
        pytest.param(
            "down down down 10 refused ok",
            ["down: closed 1", "down: closed 2", "down: open 3", "refused: closed 0", "ok: closed 0"],
            id="a probe that is refused has been answered",
        ),
        pytest.param(
            "down down down 10 bug bug ok",
            [
                *("down: closed 1", "down: closed 2", "down: open 3"),
                *("bug: half_open 3", "bug: half_open 3", "ok: closed 0"),
            ],
            id="after a probe of which nothing can be said the next call probes",
        ),
    ],
)
def test_the_scenarios_of_the_document(program: str, answers: list[str], backend: str):
    assert play(program, backend) == answers


def test_by_default_every_exception_counts_whatever_its_category():
    answers = play("refused bug down", expected_exception=Exception)
    assert answers == ["refused: closed 1", "bug: closed 2", "down: open 3"]


def test_several_classes_may_be_expected():
    answers = play("bug down refused", expected_exception=(KeyError, Down))
    assert answers == ["bug: closed 1", "down: closed 2", "refused: closed 2"]


def test_a_failure_that_the_toolkit_gives_another_weight_counts_once():
    breaker = CircuitBreaker(2)

    async def main() -> None:
        for error in (service.RateLimitError(10, 60, 5), service.TimeoutError("plan", 30)):
            assert breaker.state is CLOSED
            with pytest.raises(type(error)):
                await breaker.call(_raise, error)

    anyio.run(main)
    assert breaker.state is OPEN


def _raise(error: BaseException) -> None:
    raise error


def test_arguments_are_passed_and_sync_functions_too(backend: str):
    async def divide(dividend: int, *, by: int) -> float:
        return dividend / by

    async def main() -> list[object]:
        breaker = CircuitBreaker()
        return [await breaker.call(divide, 6, by=4), await breaker.call(pow, 2, exp=3)]

    assert anyio.run(main, backend=backend) == [1.5, 8]


def test_the_rejection_is_an_error_of_its_own_with_code_category_and_what_is_left():
    async def main() -> CircuitOpenError:
        breaker = CircuitBreaker(1, 60, name="planner")
        with pytest.raises(Down):
            await breaker.call(_raise, Down("down"))
        clock.advance(47.6)
        with pytest.raises(CircuitOpenError) as caught:
            await breaker.call(do, "ok")
        return caught.value

    with virtual_time() as clock:
        error = anyio.run(main)
    assert str(error) == "circuit 'planner' is open after 1 failure (last: Down); next probe in 12.4 s"
    assert error.retry_after == pytest.approx(12.4)
    assert (error.code, classify(error), error.last_error_type) == ("RES-E005", ErrorCategory.REJECTED, "Down")


def test_the_last_failure_has_a_date_that_a_success_leaves(backend: str):
    async def main() -> None:
        breaker = CircuitBreaker(5, expected_exception=Down)
        clock.advance(30)
        await answer(breaker, "down")
        clock.advance(30)
        await answer(breaker, "bug")
        await answer(breaker, "ok")
        assert breaker.last_failure_time == datetime.datetime(2000, 1, 1, 0, 0, 30, tzinfo=datetime.UTC)

    with virtual_time() as clock:
        anyio.run(main, backend=backend)


def test_half_open_admits_one_call_at_a_time(backend: str):
    answers: list[str] = []

    async def main() -> None:
        breaker = CircuitBreaker(1, 10)
        ready = anyio.Event()

        async def slow() -> str:
            await ready.wait()
            return "ok"

        async def probe() -> None:
            answers.append(await breaker.call(slow))

        await answer(breaker, "down")
        clock.advance(10)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(probe)
            await anyio.wait_all_tasks_blocked()
            assert breaker.state is HALF_OPEN
            answers.append(await answer(breaker, "ok"))
            ready.set()
        answers.append(await answer(breaker, "ok"))

    with virtual_time(patience=5) as clock:
        anyio.run(main, backend=backend)
    assert answers == ["retry after 10", "ok", "ok"]


def test_a_cancelled_call_counts_for_nothing(backend: str):
    async def main() -> None:
        breaker = CircuitBreaker(1)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await breaker.call(anyio.sleep_forever)
        assert (breaker.state, breaker.failure_count) == (CLOSED, 0)

    anyio.run(main, backend=backend)


def test_opening_is_logged_as_a_warning_and_probing_and_closing_are_logged(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG, "resilience"), log_events(level="debug"):
        play("down down down 10 ok", name="logged planner")
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [(level, text.partition(" ")[0]) for level, text in lines] == [
        ("WARNING", "circuit.opened"),
        ("DEBUG", "circuit.half_opened"),
        ("INFO", "circuit.closed"),
    ]
    assert "circuit='logged planner' failures=3 retry_after=10" in lines[0][1]


def test_one_for_each_dependency_is_shared_by_all_its_callers(backend: str):
    async def main() -> None:
        shared, other = CircuitBreaker(2), CircuitBreaker(2)

        async def caller() -> None:
            await answer(shared, "down")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(caller)
            tasks.start_soon(caller)
        assert (shared.state, other.state) == (OPEN, CLOSED)

    anyio.run(main, backend=backend)


def test_the_circuit_underneath_is_found_by_its_name_and_obeys():
    breaker = CircuitBreaker(name="found by its name")
    found = resilience.circuits.get("found by its name")
    assert found is breaker.circuit
    found.open()
    assert breaker.state is OPEN
    assert repr(breaker) == "<CircuitBreaker 'found by its name' open>"


def test_listeners_of_the_inner_circuit_are_notified_of_what_counts():
    import pybreaker

    heard: list[str] = []

    class Ear(pybreaker.CircuitBreakerListener):
        def failure(self, cb, exc):
            heard.append(type(exc).__name__)

        def success(self, cb):
            heard.append("success")

    async def main() -> None:
        breaker = CircuitBreaker(expected_exception=KeyError)
        breaker.circuit.add_listener(Ear())
        assert breaker.circuit.is_system_error(KeyError()) and not breaker.circuit.is_system_error(Down())
        for step in ("down", "bug", "ok"):
            await answer(breaker, step)

    anyio.run(main)
    assert heard == ["KeyError", "success"]


@pytest.mark.parametrize(
    ("parameters", "kind", "says"),
    [
        ({"failure_threshold": 0}, ValueError, "failure_threshold=0: give a whole number of 1 or more"),
        ({"timeout": 0}, ValueError, "timeout=0: give seconds"),
        ({"timeout": "60"}, TypeError, "timeout='60': give seconds"),
        ({"expected_exception": BaseException}, TypeError, "expected_exception=<class 'BaseException'>: give an"),
        ({"expected_exception": ()}, ValueError, "expected_exception=(): give an"),
        ({"name": ""}, ValueError, "name='': give the dependency's name"),
    ],
    ids=str,
)
def test_invalid_options_are_refused(parameters: dict[str, object], kind: type[Exception], says: str):
    with pytest.raises(kind) as caught:
        CircuitBreaker(**parameters)
    assert str(caught.value).startswith(says)


def test_what_cannot_be_called_is_refused(backend: str):
    async def main() -> None:
        with pytest.raises(TypeError, match="func=None: give a function, and its arguments after it"):
            await CircuitBreaker().call(None)

    anyio.run(main, backend=backend)


# -- a copy of the document that predicts -----------------------------------------------------------------------------


class Document:
    """The document's breaker as it is written, with what was decided otherwise: the two lines marked."""

    def __init__(self, failure_threshold: int, timeout: float) -> None:
        self.failure_threshold, self.timeout = failure_threshold, timeout
        self.failure_count, self.last_failure_time, self.state = 0, None, CLOSED

    def call(self, now: float, step: str) -> str:
        if self.state is OPEN:
            if now - self.last_failure_time >= self.timeout:  # not `>`: who waits for retry_after must be let in
                self.state = HALF_OPEN
            else:
                return f"retry after {self.timeout - (now - self.last_failure_time):g}"  # not the whole timeout
        if step == "down":
            self.failure_count += 1
            self.last_failure_time = now
            if self.failure_count >= self.failure_threshold:
                self.state = OPEN
        elif step == "ok" or (step == "refused" and self.state is HALF_OPEN):  # it answered
            self.failure_count, self.state = 0, CLOSED
        return step


@given(
    threshold=st.integers(1, 4),
    timeout=st.integers(1, 6),
    program=st.lists(st.sampled_from([*STEPS, "down", "down", "1", "2", "5"]), max_size=25),
)
def test_every_program_of_calls_has_the_outcome_of_the_document(threshold: int, timeout: int, program: list[str]):
    document, now, answers = Document(threshold, timeout), 0, []
    for word in program:
        if word.isdigit():
            now += int(word)
        else:
            said = document.call(now, word)
            answers.append(f"{said}: {document.state.value} {document.failure_count}")
    assert play(" ".join(program), failure_threshold=threshold, timeout=timeout) == answers
