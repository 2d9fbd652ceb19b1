"""Shielded cancel scopes inside a limit, and limits inside a shield: the same on both event loops."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio import CancelScope

from resilience import CallTimeoutError, DeadlineExceededError, deadline, remaining, retry_on_category, timeout
from resilience import _shields as shields_module
from resilience._asyncio_timeout import finish_timeout, shared_timeout
from tests.loops import (
    Body,
    Limited,
    by_asyncio,
    by_block,
    by_function,
    by_stack,
    forever,
    pass_time,
    run,
    run_trio,
)

Said = list[object]


async def by_deadline(seconds: float, body: Body) -> Any:
    async with deadline(seconds):
        return await body()


async def by_retry_around(seconds: float, body: Body) -> Any:
    """A stack that the driver carries out."""

    @timeout(seconds)
    @retry_on_category(attempts=3)
    @timeout(1000)
    async def call() -> Any:
        return await body()

    return await call()


@pytest.fixture(params=[by_block, by_function, by_stack, by_deadline, by_retry_around])
def limited(request: pytest.FixtureRequest) -> Limited:
    return request.param


def on(backend: str, main: Callable[[], Awaitable[Any]]) -> Any:
    """Run *main* where time jumps to whatever is due next."""

    async def checked() -> Any:
        result = await main()
        if backend == "asyncio":
            assert asyncio.current_task().cancelling() == 0
        return result

    return run(checked()) if backend == "asyncio" else run_trio(checked)


async def timed(said: Said, what: str, seconds: float) -> None:
    """Say when something of so many seconds begins and ends, and if it does not."""
    begin = anyio.current_time()
    said.append(what)
    try:
        await anyio.sleep(seconds)
    except BaseException:
        said.append(f"{what} cut after {anyio.current_time() - begin:g}")
        raise
    said.append(f"{what} done")


async def ends(limited: Limited, seconds: float, body: Body) -> float:
    """Return after how many seconds a limit ends *body*."""
    begin = anyio.current_time()
    with pytest.raises((CallTimeoutError, DeadlineExceededError)):
        await limited(seconds, body)
    return anyio.current_time() - begin


def test_what_is_shielded_runs_to_its_end_and_the_limit_acts_at_the_first_checkpoint_after_it(
    limited: Limited, backend: str
):
    said: Said = []

    async def body() -> None:
        with CancelScope(shield=True):
            await timed(said, "shielded", 5)
        said.append("after")
        await anyio.sleep(0)
        said.append("never")

    assert on(backend, lambda: ends(limited, 2, body)) == 5
    assert said == ["shielded", "shielded done", "after"]


def test_a_shielded_clean_up_after_the_limit_runs_to_its_end(limited: Limited, backend: str):
    said: Said = []

    async def body() -> None:
        try:
            await timed(said, "body", 60)
        finally:
            with CancelScope(shield=True):
                await timed(said, "clean-up", 5)

    assert on(backend, lambda: ends(limited, 2, body)) == 7
    assert said == ["body", "body cut after 2", "clean-up", "clean-up done"]


def test_an_outer_limit_that_expires_during_a_shielded_clean_up_waits_for_its_end(limited: Limited, backend: str):
    said: Said = []

    async def body() -> None:
        try:
            await timed(said, "body", 60)
        finally:
            with CancelScope(shield=True):
                await timed(said, "clean-up", 5)

    async def main() -> None:
        async def inner() -> None:
            await timeout(2)(body)()

        with pytest.raises((CallTimeoutError, DeadlineExceededError)) as raised:
            await limited(3, inner)
        # The outer one's: it has passed as well, and the inner one's error would be handled inside it.
        assert "2 s" not in str(raised.value)
        assert raised.value.limit == 3

    on(backend, main)
    assert said == ["body", "body cut after 2", "clean-up", "clean-up done"]


def test_both_of_two_limits_that_expire_in_one_shield_wait_for_it(limited: Limited, backend: str):
    said: Said = []

    async def body() -> None:
        with CancelScope(shield=True):
            await timed(said, "shielded", 5)
        await timed(said, "rest", 60)

    async def main() -> None:
        for first, second in ((2, 3), (3, 2)):
            begin = anyio.current_time()
            with pytest.raises((CallTimeoutError, DeadlineExceededError)) as raised:
                await limited(first, lambda: timeout(second)(body)())  # noqa: B023  # awaited at once
            assert raised.value.limit == first
            assert anyio.current_time() - begin == 5

    on(backend, main)
    assert said == ["shielded", "shielded done", "rest", "rest cut after 0"] * 2


def test_a_limit_inside_the_shield_acts_at_its_own_time(limited: Limited, backend: str):
    said: Said = []

    async def main() -> float:
        with CancelScope(shield=True):
            return await ends(limited, 2, lambda: timed(said, "body", 60))

    assert on(backend, main) == 2
    assert said == ["body", "body cut after 2"]


def test_a_limit_inside_the_shield_acts_while_one_outside_has_expired(limited: Limited, backend: str):
    said: Said = []

    async def body() -> None:
        with CancelScope(shield=True):
            said.append(await ends(by_block, 4, lambda: timed(said, "inside", 60)))
            await timed(said, "more", 1)
        await anyio.sleep(0)

    assert on(backend, lambda: ends(limited, 2, body)) == 5
    assert said == ["inside", "inside cut after 4", 4, "more", "more done"]


def test_shields_in_one_another_and_one_after_another_hold_the_limit_off(limited: Limited, backend: str):
    said: Said = []

    async def body() -> None:
        with CancelScope(shield=True):
            with CancelScope(shield=True):
                await timed(said, "a", 3)
            await timed(said, "b", 3)
        with CancelScope(shield=True):  # no checkpoint in between
            await timed(said, "c", 3)
        await timed(said, "d", 3)

    assert on(backend, lambda: ends(limited, 2, body)) == 9
    assert said == ["a", "a done", "b", "b done", "c", "c done", "d", "d cut after 0"]


def test_a_scope_inside_the_shield_does_not_open_it(limited: Limited, backend: str):
    said: Said = []

    async def body() -> None:
        with CancelScope(shield=True), CancelScope():
            await timed(said, "shielded", 5)
        await anyio.sleep(0)

    assert on(backend, lambda: ends(limited, 2, body)) == 5
    assert said == ["shielded", "shielded done"]


def test_a_shield_with_a_time_of_its_own_keeps_that(limited: Limited, backend: str):
    said: Said = []

    async def body() -> None:
        with anyio.move_on_after(3, shield=True) as scope:
            await timed(said, "shielded", 60)
        said.append(scope.cancelled_caught)
        await timed(said, "rest", 60)

    assert on(backend, lambda: ends(limited, 2, body)) == 3
    assert said == ["shielded", "shielded cut after 3", True, "rest", "rest cut after 0"]


def test_a_shield_entered_when_the_limit_has_expired_holds_it_off(limited: Limited, backend: str):
    said: Said = []

    async def body() -> None:
        pass_time(3)  # code that blocks the event loop
        with CancelScope(shield=True):
            await timed(said, "shielded", 1)
        await timed(said, "rest", 1)

    assert on(backend, lambda: ends(limited, 2, body)) == 4
    assert said == ["shielded", "shielded done", "rest", "rest cut after 0"]


def test_an_expired_limit_cancels_as_soon_as_the_shield_is_removed(limited: Limited, backend: str):
    said: Said = []

    async def take_down(shield: CancelScope) -> None:
        await anyio.sleep(5)
        shield.shield = False

    async def main() -> float:
        async with anyio.create_task_group() as tasks:

            async def body() -> None:
                with CancelScope(shield=True) as shield:
                    tasks.start_soon(take_down, shield)
                    await timed(said, "shielded", 60)

            return await ends(limited, 2, body)

    assert on(backend, main) == 5
    assert said == ["shielded", "shielded cut after 5"]


def test_a_task_in_a_group_is_cancelled_at_once_while_the_one_that_started_it_is_shielded(
    limited: Limited, backend: str
):
    said: Said = []

    async def body() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(timed, said, "child", 60)
            with CancelScope(shield=True):
                await timed(said, "parent", 5)
            await anyio.sleep(0)
            said.append("never")

    assert on(backend, lambda: ends(limited, 2, body)) == 5
    assert sorted(map(str, said)) == ["child", "child cut after 2", "parent", "parent done"]


def test_a_shield_in_a_task_of_a_group_holds_off_the_limit_around_the_group(limited: Limited, backend: str):
    said: Said = []

    async def child() -> None:
        with CancelScope(shield=True):
            await timed(said, "child", 5)
        await timed(said, "rest", 60)

    async def body() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
            await timed(said, "parent", 60)

    assert on(backend, lambda: ends(limited, 2, body)) == 5
    assert sorted(map(str, said)) == [
        "child",
        "child done",
        "parent",
        "parent cut after 2",
        "rest",
        "rest cut after 0",
    ]


def test_a_limit_on_a_task_of_a_group_acts_within_its_shield_alone(limited: Limited, backend: str):
    said: Said = []

    async def child() -> None:
        async def body() -> None:
            with CancelScope(shield=True):
                await timed(said, "child", 5)
            await timed(said, "rest", 60)

        said.append(await ends(limited, 2, body))

    async def main() -> None:
        with CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(child)
                await timed(said, "parent", 4)

    on(backend, main)
    assert sorted(map(str, said)) == ["5.0", "child", "child done", "parent", "parent done", "rest", "rest cut after 0"]


def test_a_limit_in_a_task_that_a_group_waits_for_to_start_acts(limited: Limited, backend: str):
    said: Said = []

    async def child(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        async def body() -> None:
            task_status.started()
            with CancelScope(shield=True):
                await timed(said, "child", 5)
            await anyio.sleep(0)

        said.append(await ends(limited, 2, body))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(child)

    on(backend, main)
    assert said == ["child", "child done", 5]


def test_a_task_that_never_waits_outside_of_shielded_checkpoints_is_ended(limited: Limited, backend: str):
    """As anyio's streams do: each `send` that does not have to wait ends in a shielded checkpoint."""
    rounds: Said = []

    async def body() -> None:
        send, receive = anyio.create_memory_object_stream[int](1)
        with send, receive:
            while True:
                await send.send(1)
                rounds.append(await receive.receive())
                pass_time(0.1)

    async def main() -> None:
        with pytest.raises((CallTimeoutError, DeadlineExceededError)):
            await limited(2, body)

    on(backend, main)
    assert 15 < len(rounds) < 25


def test_a_guarded_clean_up_in_a_shield_has_its_own_time_and_attempts(limited: Limited, backend: str):
    said: Said = []

    @timeout(20)
    @retry_on_category(attempts=3, base_delay=2, jitter="none")
    @timeout(4)
    async def close() -> None:
        said.append(f"close {anyio.current_time() - begin:g}")
        if len(said) == 2:
            raise ConnectionResetError
        await anyio.sleep(60 if len(said) == 3 else 1)

    async def body() -> None:
        nonlocal begin
        begin = anyio.current_time()
        try:
            await timed([], "body", 60)
        finally:
            said.append("clean-up")
            with CancelScope(shield=True):
                await close()

    begin = 0.0
    assert on(backend, lambda: ends(limited, 2, body)) == pytest.approx(2 + 2 + 4 + 4 + 1)
    assert said == ["clean-up", "close 2", "close 4", "close 12"]


def test_remaining_is_none_inside_a_shield(limited: Limited, backend: str):
    async def body() -> None:
        assert remaining() is not None
        with CancelScope(shield=True):
            assert remaining() is None
            async with timeout(50):
                assert 49 < (remaining() or 0) <= 50
                async with timeout(1000):
                    assert 49 < (remaining() or 0) <= 50
                    with CancelScope(shield=True):
                        assert remaining() is None
            await anyio.sleep(5)
            assert remaining() is None
        await anyio.sleep(0)

    assert on(backend, lambda: ends(limited, 2, body)) == 5


def test_what_is_returned_from_a_shield_is_returned_although_the_limit_has_passed(limited: Limited, backend: str):
    async def body() -> str:
        with CancelScope(shield=True):
            await anyio.sleep(5)
            return "value"

    async def main() -> None:
        assert await limited(2, body) == "value"
        await anyio.sleep(0)  # no cancellation is left over

    on(backend, main)


def test_an_error_of_what_is_shielded_is_the_callers_although_the_limit_has_passed(limited: Limited, backend: str):
    error = LookupError("from the clean-up")

    async def body() -> None:
        with CancelScope(shield=True):
            await anyio.sleep(5)
            raise error

    async def main() -> None:
        with pytest.raises(LookupError) as raised:
            await limited(2, body)
        assert raised.value is error
        await anyio.sleep(0)

    on(backend, main)


def test_the_cancel_scopes_around_the_limit_are_left_alone(limited: Limited, backend: str):
    async def body() -> None:
        with CancelScope(shield=True):
            await anyio.sleep(5)
        await anyio.sleep(60)

    async def main() -> None:
        with CancelScope() as outer, CancelScope() as around:
            assert await ends(limited, 2, body) == 5
            await anyio.sleep(1)
        assert not (outer.cancel_called or around.cancel_called)
        with anyio.move_on_after(3) as around:
            await limited(9, body)
        assert around.cancelled_caught
        with anyio.move_on_after(3) as around:  # both expire in the shield
            await limited(2, body)
        assert around.cancelled_caught

    on(backend, main)


def test_a_cancellation_from_outside_wins_over_a_limit_that_was_held_off(limited: Limited):
    """Of asyncio alone: on trio only scopes cancel. anyio's shields do not stop it."""
    said: Said = []

    async def body() -> None:
        with CancelScope(shield=True):
            await timed(said, "shielded", 60)

    async def main() -> None:
        task = asyncio.create_task(limited(2, body))
        asyncio.get_running_loop().call_later(3, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert said == ["shielded", "shielded cut after 3"]


def test_the_standard_librarys_own_limit_goes_through_a_shield_of_anyio():
    """Why ours asks anyio: a plain `Task.cancel` is delivered inside of any shield."""
    said: Said = []

    async def body() -> None:
        with CancelScope(shield=True):
            await timed(said, "shielded", 5)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await by_asyncio(2, body)

    run(main())
    assert said == ["shielded", "shielded cut after 2"]


def test_what_asyncio_shields_goes_on_and_the_waiting_for_it_is_cancelled(limited: Limited):
    said: Said = []

    async def main() -> None:
        child = asyncio.create_task(timed(said, "child", 5))
        assert await ends(limited, 2, lambda: asyncio.shield(child)) == 2
        await child

    run(main())
    assert said == ["child", "child done"]


def test_the_task_is_cancelled_again_and_again_after_a_shield(limited: Limited, backend: str):
    """As a cancel scope does, and not once as without a shield on asyncio: nothing else is left to wait for there."""
    said: Said = []

    async def body() -> None:
        with CancelScope(shield=True):
            await anyio.sleep(5)
        try:
            await timed(said, "rest", 60)
        finally:
            await timed(said, "clean-up without a shield", 1)

    assert on(backend, lambda: ends(limited, 2, body)) == 5
    assert said == [
        "rest",
        "rest cut after 0",
        "clean-up without a shield",
        "clean-up without a shield cut after 0",
    ]


def test_an_event_loop_does_not_turn_while_a_shield_holds_a_limit_off():
    async def body() -> None:
        with CancelScope(shield=True):
            await anyio.sleep(5)
        await anyio.sleep(60)

    async def main() -> int:
        loop = asyncio.get_running_loop()
        turns = 0
        select = loop.selector.select

        def count(timeout: float | None = None) -> Any:
            nonlocal turns
            turns += 1
            return select(timeout)

        loop.selector.select = count
        assert await ends(by_function, 2, body) == 5
        return turns

    assert run(main()) < 15


def test_a_coroutine_that_is_closed_from_outside_takes_its_limit_along():
    async def main() -> None:
        async def body() -> None:
            with CancelScope(shield=True):
                await forever()

        with CancelScope() as around:
            coroutine = by_function(2, body)
            coroutine.send(None)
            await asyncio.sleep(0)
            pass_time(3)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            coroutine.close()
            gc.collect()
            await asyncio.sleep(0)
        assert not around.cancel_called

    run(main())


def test_the_installed_anyio_has_what_a_shield_needs():
    import anyio._backends._asyncio as backend

    assert shields_module.BACKEND in sys.modules
    assert shields_module._substitute_class(backend) is not None


def test_with_an_anyio_that_is_built_otherwise_the_limit_cancels_the_task_as_ever(
    monkeypatch: pytest.MonkeyPatch, limited: Limited
):
    """It fails safe: a limit that goes through a shield is better than one that never acts."""
    said: Said = []
    monkeypatch.setattr(shields_module, "_substitute_class", lambda backend: None)

    async def body() -> None:
        with CancelScope(shield=True):
            await timed(said, "shielded", 5)

    assert run(ends(limited, 2, body)) == 2
    assert said == ["shielded", "shielded cut after 2"]


def test_a_call_that_began_before_anyio_was_in_use_is_held_off_as_well():
    """The first shield of a program may be inside the first limit."""

    async def main() -> None:
        watch = shared_timeout(2.0).start()
        assert watch is not None
        assert getattr(watch, "outside", None) is None
        with CancelScope(shield=True):
            await asyncio.sleep(5)
        error = None
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as cut:
            error = cut
        assert finish_timeout(watch, error)

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks that start at once came with 3.12")
def test_a_task_that_starts_at_once_is_shielded_alike(limited: Limited):
    said: Said = []

    async def body() -> None:
        with CancelScope(shield=True):
            await timed(said, "shielded", 5)
        await anyio.sleep(0)

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        assert await asyncio.create_task(ends(limited, 2, body)) == 5

    run(main())
    assert said == ["shielded", "shielded done"]
