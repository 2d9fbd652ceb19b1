"""A call that is cancelled, at whichever effect: what it took comes back, and nothing is left waiting."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import pytest

from examples.policies.concurrency_limit import ConcurrencyLimit
from examples.policies.gcra import RateLimit
from examples.policies.hedger import Hedger
from examples.policies.recorder import Recorder
from resilience import CallTimeoutError, Pipeline, retry_on_category, timeout
from resilience._runtime.thread_timeout import abandoned
from resilience.clock import current_clock
from resilience.policies import Acquire, Call, Policy, Proceed, Run, Sleep, Slots, Steps
from resilience.testing import virtual_time

EFFECTS = ["before", "acquire", "sleep", "proceed", "run", "after"]


class Everything(Policy):
    """Yields one effect after the other, with a slot in its hands, and says where it was closed."""

    def __init__(self, hangs: str) -> None:
        self.hangs = hangs
        self.slots = Slots(1)
        self.full = Slots(1)
        self.full.try_acquire()
        self.seen: list[str] = []
        self.reached = threading.Event()

    def run(self, call: Call) -> Steps:
        assert (yield Acquire(self.slots))
        try:
            for effect in EFFECTS:
                self.seen.append(effect)
                if effect == "before" and self.hangs == effect:
                    self.reached.set()
                    yield Sleep(3600)
                elif effect == "acquire" and self.hangs == effect:
                    self.reached.set()
                    assert (yield Acquire(self.full))
                elif effect == "sleep" and self.hangs == effect:
                    self.reached.set()
                    yield Sleep(3600)
                elif effect == "proceed":
                    outcome = yield Proceed()
                elif effect == "run" and self.hangs == effect:
                    yield Run(self.hang if self.is_sync else self.hang_async)
                elif effect == "after" and self.hangs == effect:
                    self.reached.set()
                    yield Acquire(self.full)
            return outcome
        finally:
            self.slots.release()
            self.seen.append("released")

    is_sync = False

    def hang(self) -> None:
        self.reached.set()
        raise KeyboardInterrupt

    async def hang_async(self) -> None:
        self.reached.set()
        await anyio.sleep_forever()


def expected(effect: str) -> list[str]:
    return [*EFFECTS[: EFFECTS.index(effect) + 1], "released"]


def guarded_calls(policy: Everything) -> dict[str, Callable[[], object]]:
    @policy
    async def function() -> None:
        if policy.hangs == "proceed":
            await anyio.sleep_forever()

    @policy
    async def items() -> AsyncIterator[int]:
        yield 1
        if policy.hangs == "proceed":
            await anyio.sleep_forever()

    async def read() -> None:
        async with contextlib.aclosing(items()) as each:
            async for _ in each:
                pass

    async def block() -> None:
        async with policy:
            if policy.hangs == "proceed":
                await anyio.sleep_forever()

    return {
        "function": function,
        "stream": read,
        "block": block,
        "inside a retry": retry_on_category(base_delay=0)(function),
        "inside a limit": timeout(3600)(function),
        "raced": Hedger(3600)(function),
    }


@pytest.mark.parametrize("kind", guarded_calls(Everything("")))
@pytest.mark.parametrize("effect", EFFECTS)
def test_an_async_call_is_cancelled_at_an_effect(backend: str, effect: str, kind: str):
    policy = Everything(effect)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(guarded_calls(policy)[kind])
            await anyio.wait_all_tasks_blocked()
            assert policy.slots.free == 0
            tasks.cancel_scope.cancel()
        # At once, not when something is collected.
        assert policy.seen == expected(effect)
        assert (policy.slots.free, policy.slots.waiting) == (1, 0)
        assert (policy.full.free, policy.full.waiting) == (0, 0)

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_async_call_is_ended_at_an_effect_by_a_limit_around_it(backend: str, effect: str):
    policy = Everything(effect)

    async def main() -> object:
        with virtual_time(patience=0.2) as clock:
            try:
                answer = await timeout(5)(guarded_calls(policy)["function"])()
            except Exception as error:
                answer = type(error)
            assert clock.now() == 5
            return answer

    # At one and the same moment the wait for a slot ends, and so does the limit.
    assert anyio.run(main, backend=backend) is CallTimeoutError
    assert policy.seen == expected(effect)
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)
    assert (policy.full.free, policy.full.waiting) == (0, 0)


class Interrupted:
    """A clock that is interrupted by Ctrl-C where it would wait."""

    def __init__(self, clock: object, policy: Everything) -> None:
        self.clock, self.policy = clock, policy

    def __getattr__(self, name: str) -> object:
        return getattr(self.clock, name)

    def sleep(self, seconds: float, wake: object = None) -> None:
        raise KeyboardInterrupt

    def run_and_wait(self, begin: object, done: object, seconds: float) -> bool:
        raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["function", "stream", "block"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_ctrl_c_at_an_effect_of_a_sync_call(effect: str, kind: str):
    from resilience.clock import using_clock

    policy = Everything(effect)
    policy.is_sync = True

    @policy
    def function() -> None:
        if effect == "proceed":
            raise KeyboardInterrupt

    @policy
    def items() -> Iterator[int]:
        yield 1
        if effect == "proceed":
            raise KeyboardInterrupt

    def block() -> None:
        with policy:
            if effect == "proceed":
                raise KeyboardInterrupt

    call = {"function": function, "stream": lambda: list(items()), "block": block}[kind]
    with using_clock(Interrupted(current_clock(), policy)), pytest.raises(KeyboardInterrupt):
        call()
    assert policy.seen == expected(effect)
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)
    assert (policy.full.free, policy.full.waiting) == (0, 0)


@pytest.mark.parametrize("effect", ["before", "acquire", "sleep", "after"])
def test_a_thread_whose_caller_has_left_stops_waiting(effect: str):
    policy = Everything(effect)
    ended = threading.Event()

    class Ended(Policy):
        def run(self, call: Call) -> Steps:
            try:
                return (yield Proceed())
            finally:
                ended.set()

    with virtual_time(patience=0.2), pytest.raises(CallTimeoutError):
        Pipeline(timeout(5), Ended(), policy).call(int)
    assert ended.wait(5)
    assert policy.seen == expected(effect)
    assert (policy.slots.free, policy.slots.waiting) == (1, 0)
    assert (policy.full.free, policy.full.waiting) == (0, 0)
    assert abandoned() == 0


def test_a_policy_that_sleeps_again_and_again_ends_when_its_caller_has_left():
    turns: list[int] = []
    ended = threading.Event()

    class Poll(Policy):
        def run(self, call: Call) -> Steps:
            try:
                while len(turns) < 1000:
                    turns.append(1)
                    yield Sleep(2)
                raise AssertionError("never asked to stop")
            finally:
                ended.set()

    with virtual_time(patience=0.2), pytest.raises(CallTimeoutError):
        Pipeline(timeout(5), Poll()).call(int)
    assert ended.wait(5)
    assert len(turns) == 3


def test_a_turn_of_the_rate_limit_that_a_cancelled_call_did_not_use_is_given_back(backend: str):
    limit = RateLimit(rate=1)
    recorder = Recorder()

    async def main() -> None:
        with virtual_time() as clock:
            await limit.acall(int)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(Pipeline(recorder, limit).acall, int)
                await anyio.sleep(0)
                tasks.cancel_scope.cancel()
            before = clock.now()
            await limit.acall(int)
            assert (before, clock.now()) == (0, 1)

    anyio.run(main, backend=backend)
    assert [how for _, how in recorder.recorded] == ["cancelled"]


def test_a_stream_gives_back_what_it_holds_when_its_consumer_leaves(backend: str):
    limit = ConcurrencyLimit(1)

    @limit
    def items() -> Iterator[int]:
        yield 1
        yield 2

    for _ in items():
        assert limit.slots.free == 0
        break
    assert limit.slots.free == 1
    unfinished = items()
    next(unfinished)
    unfinished.close()
    assert limit.slots.free == 1
    del unfinished

    @limit
    async def async_items() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def main() -> None:
        async with contextlib.aclosing(async_items()) as each:
            await anext(each)
            assert limit.slots.free == 0
        assert limit.slots.free == 1

    anyio.run(main, backend=backend)
