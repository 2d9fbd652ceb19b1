from __future__ import annotations

import functools

import anyio
import pytest

from resilience import ErrorCategory, circuit_breaker, classify, fallback
from tests.runners import Runner

down = ConnectionResetError("down")


def test_a_success_is_returned_as_it_is(runner: Runner):
    assert runner.play(fallback(default="other"), "ok").answer == "ok"


def test_the_default_replaces_an_infrastructure_failure(runner: Runner):
    story = runner.play(fallback(default=None), down)
    assert story.answer is None
    assert story.names == ["fallback.used"]
    assert story.events[0].category is ErrorCategory.NETWORK


def test_the_default_replaces_a_rejected_call(runner: Runner):
    breaker = circuit_breaker("b")
    breaker.open()
    story = runner.play(lambda fn: fallback(default="other")(breaker(fn)), "never")
    assert story.answer == "other"
    assert story.reached == 0


def test_a_failure_of_another_category_reaches_the_caller(runner: Runner):
    error = ValueError("bug")
    assert runner.play(fallback(default="other"), error).answer is error


def test_on_chooses_the_categories(runner: Runner):
    assert runner.play(fallback(default="other", on="unknown"), ValueError()).answer == "other"
    assert runner.play(fallback(default="other", on="unknown"), down).answer is down


def test_an_exception_group_needs_every_member_in_on(runner: Runner):
    both = ExceptionGroup("both", [ConnectionResetError(), TimeoutError()])
    assert runner.play(fallback(default="other"), both).answer == "other"
    for on in ("network", "timeout"):  # whichever of the two stands for the group
        assert runner.play(fallback(default="other", on=on), both).answer is both


def test_the_factory_is_given_the_error(runner: Runner):
    assert runner.play(fallback(factory=lambda error: ("instead of", error)), down).answer == ("instead of", down)


@pytest.mark.parametrize(
    ("factory", "substitute"),
    [(list, []), (dict, {}), (int, 0), (lambda: "none", "none"), (lambda *, why="none": why, "none")],
)
def test_a_factory_that_takes_no_error_is_called_without_it(runner: Runner, factory, substitute):
    assert runner.play(fallback(factory=factory), down).answer == substitute


@pytest.mark.parametrize(
    "factory", [str, classify, functools.partial(print, end=""), lambda error=None: error, lambda *errors: errors]
)
def test_a_factory_that_can_take_the_error_gets_it(runner: Runner, factory):
    assert runner.play(fallback(factory=factory), down).answer == factory(down)


def test_the_factory_may_be_async_where_the_function_is(backend: str):
    async def replica(error: Exception) -> str:
        await anyio.lowlevel.checkpoint()
        return "from the replica"

    assert Runner(backend).play(fallback(factory=replica), down).answer == "from the replica"


def test_an_async_factory_around_a_sync_function_is_refused_where_it_is_written():
    async def replica(error: Exception) -> str: ...

    with pytest.raises(TypeError, match="factory=.*is not async"):
        fallback(factory=replica)(lambda: None)


def test_an_async_factory_in_a_sync_block_or_call_is_an_error_and_no_coroutine_left_behind():
    async def replica(error: Exception) -> str: ...

    def fail() -> None:
        raise down

    with pytest.raises(TypeError, match="is async and the call is not"), fallback(factory=replica):
        fail()
    with pytest.raises(TypeError, match="is async and the call is not"):
        fallback(factory=replica).call(fail)


def test_when_the_factory_fails_too_both_errors_are_kept(runner: Runner):
    second = KeyError("no replica either")

    def replica(error: Exception) -> str:
        raise second

    story = runner.play(fallback(factory=replica), ConnectionResetError("first"))
    assert story.answer is second
    assert str(second.__context__) == "first"


def test_a_factory_that_raises_the_same_error_makes_no_circular_context(runner: Runner):
    def give_up(error: Exception) -> str:
        raise error

    error = ConnectionResetError()
    assert runner.play(fallback(factory=give_up), error).answer is error
    assert error.__context__ is None


def test_a_block_that_succeeds_has_the_value_it_set():
    with fallback(default=[]) as result:
        result.value = [1]
    assert (result.value, result.degraded, result.error) == ([1], False, None)


def test_a_block_gets_the_default_and_is_degraded():
    with fallback(default=[]) as result:
        result.value = [1]
        raise down
    assert (result.value, result.degraded, result.error) == ([], True, down)


def test_a_failure_that_is_not_covered_leaves_the_block():
    with pytest.raises(ValueError, match="bug"), fallback(default=[]):
        raise ValueError("bug")


def test_the_factory_of_an_async_block_is_awaited(backend: str):
    async def replica(error: Exception) -> str:
        await anyio.lowlevel.checkpoint()
        return "from the replica"

    async def main() -> None:
        async with fallback(factory=replica) as result:
            raise down
        assert result.value == "from the replica"
        assert result.degraded

    anyio.run(main, backend=backend)


def test_neither_a_default_nor_its_value_is_shown_in_a_description():
    assert "secret" not in repr(fallback(default="secret"))


def test_a_substitute_is_handed_out_as_it_is_unless_told_otherwise():
    from resilience.policies.fallback import Fallback

    def down() -> int:
        raise ConnectionResetError

    assert Fallback(default=0).call(down) == 0
