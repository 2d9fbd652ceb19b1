"""Limits on trio: a cancel scope with a deadline is the model. Time jumps."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.loops import Body, Limited, by_block, by_function, by_stack, pass_time, run_trio


async def by_scope(seconds: float, body: Body) -> Any:
    with anyio.fail_after(seconds):
        return await body()


@pytest.fixture(params=[by_scope, by_block, by_function, by_stack])
def in_trio(request: pytest.FixtureRequest) -> Limited:
    return request.param


def test_what_takes_too_long_ends_on_time(in_trio: Limited):
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await in_trio(2, anyio.sleep_forever)
        assert anyio.current_time() == 2
        await anyio.sleep(1)

    run_trio(main)


def test_what_ends_in_time_is_not_cancelled_later(in_trio: Limited):
    async def main() -> None:
        await in_trio(2, lambda: anyio.sleep(1))
        await anyio.sleep(5)

    run_trio(main)


def test_an_error_of_the_bodys_own_and_one_raised_while_cancelled_pass(in_trio: Limited):
    async def fail() -> None:
        raise KeyError

    async def fail_late() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(KeyError):
            await in_trio(2, fail)
        with pytest.raises(ZeroDivisionError):
            await in_trio(2, fail_late)
        await anyio.sleep(5)

    run_trio(main)


def test_code_that_blocks_past_the_limit_and_never_waits_again_returns(in_trio: Limited):
    async def body() -> str:
        pass_time(10)
        return "late"

    async def main() -> None:
        assert await in_trio(2, body) == "late"
        await anyio.sleep(1)

    run_trio(main)


def test_code_that_blocks_past_the_limit_is_cancelled_where_it_waits_next(in_trio: Limited):
    async def body() -> None:
        pass_time(10)
        await anyio.sleep(1)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await in_trio(2, body)
        assert anyio.current_time() == 10

    run_trio(main)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"), [(5, 2, ["inner", 2, "outer", 5]), (2, 5, ["outer", 2]), (2, 2, ["outer", 2])]
)
def test_limits_inside_limits(in_trio: Limited, outer: float, inner: float, expected: list[object]):
    said: list[object] = []

    async def body() -> None:
        try:
            await in_trio(inner, anyio.sleep_forever)
        except TimeoutError:
            said.extend(["inner", anyio.current_time()])
        await anyio.sleep(100)

    async def main() -> None:
        try:
            await in_trio(outer, body)
        except TimeoutError:
            said.extend(["outer", anyio.current_time()])

    run_trio(main)
    assert said == expected


def test_a_value_from_a_shielded_clean_up_is_returned(in_trio: Limited):
    async def body() -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
        return "all the same"

    async def main() -> None:
        assert await in_trio(2, body) == "all the same"
        assert anyio.current_time() == 5

    run_trio(main)


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_a_cancellation_from_outside_passes_unchanged(in_trio: Limited, moment: float):
    async def main() -> None:
        with anyio.move_on_after(moment) as scope:
            await in_trio(2, anyio.sleep_forever)
        assert scope.cancelled_caught
        assert anyio.current_time() == moment
        await anyio.sleep(5)

    run_trio(main)


def test_the_tasks_of_a_nursery_inside_a_limit_are_cancelled_with_it(in_trio: Limited):
    async def body() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(anyio.sleep_forever)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await in_trio(2, body)

    run_trio(main)


def test_a_limit_that_passes_in_a_nursery_is_that_tasks_error(in_trio: Limited):
    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(in_trio, 2, anyio.sleep_forever)
                tasks.start_soon(in_trio, 5, anyio.sleep_forever)
        assert [isinstance(error, TimeoutError) for error in caught.value.exceptions] == [True]

    run_trio(main)
