"""Policies from outside of the package are run for every call, wherever in a stack they are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import anyio
import pytest

from resilience import Pipeline, circuit_breaker, fallback, retry_on_category, timeout, track_errors
from resilience._outcome import Outcome
from resilience._runtime.context_manager import Block
from resilience._runtime.pipeline import Decorator
from resilience._runtime.protocol import Call, Policy, Proceed, Steps
from tests.runners import Runner


class DenyAll(Policy):
    """Says no, and nothing else of itself."""

    def run(self, call: Call) -> Steps[Outcome]:
        return Outcome.failed(PermissionError(call.target))
        yield


class Recorder(Policy):
    """Records its steps around each call."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def run(self, call: Call) -> Steps[Outcome]:
        self.steps.append("before")
        try:
            outcome = yield Proceed()
        except GeneratorExit:
            self.steps.append("release")
            raise
        self.steps.append("after" if outcome.error is None else type(outcome.error).__name__)
        return outcome


class Foreign(Decorator, Block):
    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        return (self.policy,)

    def _policy(self) -> Policy:
        return self.policy


STACKS: dict[str, Callable[[Decorator], Decorator]] = {
    "alone": lambda foreign: foreign,
    "outside": lambda foreign: Pipeline(foreign, retry_on_category(attempts=2, base_delay=0), circuit_breaker("b")),
    "inside": lambda foreign: Pipeline(retry_on_category(attempts=2, base_delay=0), circuit_breaker("b"), foreign),
    "between": lambda foreign: Pipeline(track_errors(component="x"), foreign, circuit_breaker("b"), timeout(5)),
}


@pytest.mark.parametrize("stack", STACKS)
def test_a_policy_that_answers_before_the_call_keeps_it_from_being_made(runner: Runner, stack: str):
    story = runner.play(STACKS[stack](Foreign(DenyAll())), "never")
    assert type(story.answer) is PermissionError
    assert story.reached == 0


@pytest.mark.parametrize("stack", STACKS)
def test_a_foreign_policy_is_run_for_calls_that_succeed_at_once(runner: Runner, stack: str):
    recorder = Recorder()
    story = runner.play(STACKS[stack](Foreign(recorder)), "ok", pauses=(0,))
    assert story.answers == ["ok", "script over"]
    assert recorder.steps == ["before", "after"] * 2


def test_a_foreign_policy_inside_a_retry_is_run_for_each_attempt(runner: Runner):
    recorder = Recorder()
    story = runner.play(STACKS["inside"](Foreign(recorder)), TimeoutError(), "ok")
    assert story.answer == "ok"
    assert recorder.steps == ["before", "TimeoutError", "before", "after"]


def test_a_foreign_policy_answers_before_methods_classes_and_plain_calls_too(runner: Runner):
    deny = Foreign(DenyAll())

    @deny
    class Client:
        def get(self) -> str:
            return "never"

        @staticmethod
        def static() -> str:
            return "never"

        @classmethod
        def klass(cls) -> str:
            return "never"

        async def get_async(self) -> str:
            return "never"

    client = Client()

    def main() -> None:
        for call in (client.get, client.static, client.klass, lambda: deny.call(len, "abc")):
            with pytest.raises(PermissionError):
                call()
        with pytest.raises(PermissionError), deny:
            pytest.fail("the block runs")

    async def main_async() -> None:
        with pytest.raises(PermissionError):
            await client.get_async()
        with pytest.raises(PermissionError):
            await deny.acall(anyio.sleep, 0)
        with pytest.raises(PermissionError):
            async with deny:
                pytest.fail("the block runs")

    runner.run(main, main_async)


def test_a_generator_function_is_refused_by_a_policy_without_supports_generators():
    def items():
        yield 1

    with pytest.raises(TypeError, match="cannot guard the generator function"):
        Foreign(DenyAll())(items)


def test_a_cancelled_call_is_released(backend: str):
    recorder = Recorder()

    @Foreign(recorder)
    async def hang() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        with anyio.move_on_after(0):
            await hang()

    anyio.run(main, backend=backend)
    assert recorder.steps == ["before", "release"]


def test_an_outer_fallback_covers_the_errors_of_a_foreign_policy(runner: Runner):
    class Reject(Policy):
        def run(self, call: Call) -> Steps[Outcome]:
            return Outcome.failed(TimeoutError())
            yield

    story = runner.play(Pipeline(fallback(default="stale"), Foreign(Reject())), "never")
    assert (story.answer, story.reached) == ("stale", 0)


def test_ctrl_c_in_a_call_releases_a_foreign_policy():
    recorder = Recorder()

    @Foreign(recorder)
    def interrupted() -> None:
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        interrupted()
    assert recorder.steps == ["before", "release"]
