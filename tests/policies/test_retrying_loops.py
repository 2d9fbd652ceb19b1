"""``for attempt in retrying(...)``: strategies and callbacks between the attempts, and the ends of a loop."""

from __future__ import annotations

import re
from collections.abc import Callable

import anyio
import pytest

import resilience._callback_errors
from resilience import RetriesExhaustedError, StopReason, circuit_breaker, retry_on_category, retrying, subscribe
from resilience.testing import virtual_time
from tests.runners import Runner


def loop(runner: Runner, script: list, **options: object) -> tuple[object, int, float]:
    """Run the steps of *script* in a loop: return the outcome, the attempts, and the time."""
    made = []

    def step() -> object:
        made.append(1)
        what = script[len(made) - 1]
        if isinstance(what, BaseException):
            raise what
        return what

    if "wait" not in options:
        options = {"base_delay": 1, "jitter": "none"} | options

    def sync() -> object:
        for attempt in retrying(**options):
            with attempt:
                return step()
        return "loop over"

    async def asynchronous() -> object:
        async for attempt in retrying(**options):
            with attempt:
                await anyio.lowlevel.checkpoint()
                return step()
        return "loop over"

    with virtual_time() as clock:
        try:
            answer = runner.run(sync, asynchronous)
        except Exception as error:
            answer = error
    return answer, len(made), clock.now()


def errors(number: int) -> list[Exception]:
    return [ConnectionResetError(str(each)) for each in range(number)]


def test_a_failure_ends_with_its_block_until_one_succeeds(runner: Runner):
    assert loop(runner, [*errors(2), "ok"]) == ("ok", 3, 3)


def test_the_last_failure_leaves_its_block_with_its_report(runner: Runner):
    script = errors(3)
    assert loop(runner, script) == (script[2], 3, 3)
    assert script[2].resilience.reason is StopReason.ATTEMPTS
    assert script[2].resilience.made == 3
    assert script[2].resilience.target.endswith(("sync", "asynchronous"))
    assert script[2].__context__ is None


ASKING: dict[str, Callable[[], dict]] = {
    "stop": lambda: {"stop": lambda state: state.attempt_number == 3},
    "wait": lambda: {"wait": lambda state: 1.5},
    "retry_if": lambda: {"retry_if": lambda state: True},
    "on_retry": lambda: {"on_retry": lambda event: None},
}


@pytest.mark.parametrize("options", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("has_listeners", [False, True])
def test_the_last_failure_is_the_same_object_after_a_strategy_was_asked(
    runner: Runner, options: Callable[[], dict], has_listeners: bool
):
    heard: list[object] = []
    script = errors(3)
    if has_listeners:
        with subscribe(heard.append):
            answer, made, _ = loop(runner, script, **options())
        assert [event.name for event in heard][-1] == "retry.exhausted"
    else:
        answer, made, _ = loop(runner, script, **options())
    assert answer is script[2]
    assert made == 3
    assert answer.__context__ is None
    assert len(answer.__notes__) == 1


@pytest.mark.parametrize("parameter", ["stop", "wait", "retry_if", "on_retry"])
def test_strategies_may_be_async_in_an_async_loop(backend: str, parameter: str):
    asked: list[int] = []

    async def ask(given: object) -> object:
        await anyio.lowlevel.checkpoint()
        asked.append(1)
        return {"wait": 2.0, "retry_if": True}.get(parameter)

    script: list = [ValueError() if parameter == "retry_if" else ConnectionResetError(), "ok"]
    assert loop(Runner(backend), script, **{parameter: ask})[:2] == ("ok", 2)
    assert asked == [1]


def test_an_error_is_wrapped_after_a_strategy_was_asked(runner: Runner):
    script = errors(2)
    answer, made, _ = loop(runner, script, stop=lambda state: state.attempt_number == 2, on_exhausted="wrap")
    assert isinstance(answer, RetriesExhaustedError)
    assert answer.__cause__ is script[1]
    assert made == 2


def test_a_loop_around_retried_calls_does_not_multiply_them(runner: Runner):
    made = []

    def fail() -> None:
        made.append(1)
        raise ConnectionResetError

    async def fail_async() -> None:
        fail()

    inner, inner_async = (retry_on_category(attempts=3, base_delay=0)(each) for each in (fail, fail_async))

    def sync() -> None:
        for attempt in retrying(attempts=4, base_delay=0):
            with attempt:
                inner()

    async def asynchronous() -> None:
        async for attempt in retrying(attempts=4, base_delay=0):
            with attempt:
                await inner_async()

    with pytest.raises(ConnectionResetError):
        runner.run(sync, asynchronous)
    assert len(made) == 3


def test_each_iteration_over_one_retrying_object_is_a_new_loop():
    attempts = retrying(attempts=2, base_delay=0)
    for _ in range(3):
        numbers = []
        with pytest.raises(ConnectionResetError):
            for attempt in attempts:
                with attempt:
                    numbers.append(attempt.number)
                    raise ConnectionResetError
        assert numbers == [1, 2]


def test_an_attempt_that_is_not_used_as_a_block_is_an_error(backend: str):
    says = re.escape("an attempt was not used: put the work in `with attempt:` inside the loop")
    with pytest.raises(RuntimeError, match=says):
        for _ in retrying():
            pass

    async def main() -> None:
        with pytest.raises(RuntimeError, match=says):
            async for _ in retrying():
                pass

    anyio.run(main, backend=backend)


def test_a_circuit_inside_a_loop_is_asked_for_each_attempt():
    circuit = circuit_breaker("loop", failure_threshold=2)
    with virtual_time(), pytest.raises(Exception, match="circuit 'loop' is open"):
        for attempt in retrying(attempts=5, base_delay=1):
            with attempt, circuit:
                raise ConnectionResetError


def test_on_success_of_a_loop_is_a_plain_function_since_an_attempt_is_a_plain_block(backend: str, caplog, monkeypatch):
    monkeypatch.setattr(resilience._callback_errors, "_logged", set())

    async def hear(report: object) -> None: ...

    hear.__qualname__ = f"hear_on_{backend}"  # an error is logged once for each name
    loop(Runner(backend), ["ok"], on_success=hear)
    assert "on_success" in caplog.text
