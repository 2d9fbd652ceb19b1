from __future__ import annotations

import anyio
import pytest

from resilience import Pipeline, circuit_breaker, describe, fallback, retry_on_category, timeout
from tests.runners import Runner

down = ConnectionResetError("down")
stack = Pipeline(fallback(default="other"), retry_on_category(attempts=2, base_delay=0), timeout(5))


def test_a_pipeline_decorates_like_its_policies_stacked(runner: Runner):
    story = runner.play(stack, down, down, "never")
    assert story.answer == "other"
    assert story.reached == 2


def test_a_pipeline_calls_sync_functions():
    assert stack.call(int, "2a", base=16) == 42


def test_acall_awaits_async_functions_and_calls_sync_ones(backend: str):
    async def double(x: int) -> int:
        return 2 * x

    assert anyio.run(stack.acall, double, 21, backend=backend) == 42
    assert anyio.run(stack.acall, abs, -1, backend=backend) == 1
    assert anyio.run(stack.acall, lambda: double(4), backend=backend) == 8  # a sync function that returns an awaitable


def test_call_refuses_an_async_function_and_names_acall():
    async def fetch() -> None: ...

    with pytest.raises(TypeError, match=r"fetch\): it is async; use `await ... .acall"):
        stack.call(fetch)


def test_a_generator_function_is_not_called_through_policies_but_decorated():
    def pages():
        yield 1

    with pytest.raises(TypeError, match=r"pages\): its items come after the call has returned; decorate it instead"):
        retry_on_category().call(pages)
    with pytest.raises(TypeError, match=r"acall\(.*pages\): its items"):
        anyio.run(retry_on_category().acall, pages)


def test_the_errors_of_a_call_are_the_functions_own():
    error = ValueError("bug")

    def fail() -> None:
        raise error

    with pytest.raises(ValueError, match="bug") as caught:
        stack.call(fail)
    assert caught.value is error


def test_one_pipeline_guards_many_functions_which_then_share_its_circuit():
    shared = circuit_breaker("b", failure_threshold=2)
    guarded = Pipeline(shared)

    def fail() -> None:
        raise down

    one, two = guarded(fail), guarded(lambda: fail())
    for function in (one, two):
        with pytest.raises(ConnectionResetError):
            function()
    assert shared.current_state == "open"


def test_pipelines_nest():
    whole = Pipeline(Pipeline(fallback(default=1), retry_on_category()), timeout(2))
    assert [policy.partition("(")[0] for policy in describe(whole(lambda: None)).policies] == [
        "fallback",
        "retry_on_category",
        "timeout",
    ]


def test_single_policies_call_as_well(backend: str):
    assert retry_on_category(attempts=1).call(abs, -3) == 3

    async def one() -> int:
        return 1

    assert anyio.run(circuit_breaker("b").acall, one, backend=backend) == 1


@pytest.mark.parametrize("part", [3, "retry", lambda: None, None])
def test_an_object_that_is_no_policy_is_refused_where_it_is_written(part: object):
    with pytest.raises(TypeError, match="give policies, such as timeout"):
        Pipeline(part)


def test_an_empty_pipeline_is_refused():
    with pytest.raises(TypeError, match="give at least one policy"):
        Pipeline()
