"""Race: copies of an async call, of which the first success counts."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from examples.policies.concurrency_limit import ConcurrencyLimit
from examples.policies.hedger import Hedger
from examples.policies.recorder import Recorder
from resilience import Pipeline, circuit_breaker, last_call, retry_on_category, timeout
from resilience.policies import Call, Outcome, Policy, Proceed, Race, Steps
from resilience.testing import VirtualClock, virtual_time


class Service:
    """Does one step of a script for each call: takes so many seconds, then raises or returns."""

    def __init__(self, *script: tuple[float, object]) -> None:
        self.script = list(script)
        self.begun: list[float] = []
        self.cancelled = 0
        self.clock: VirtualClock

    async def __call__(self) -> object:
        self.begun.append(self.clock.now())
        seconds, what = self.script.pop(0)
        try:
            if seconds:
                await self.clock.sleep_async(seconds)
        except BaseException:
            self.cancelled += 1
            raise
        if isinstance(what, BaseException):
            raise what
        return what

    def run(self, policy: object, backend: str) -> tuple[object, float]:
        """Return the answer and when it came."""
        call = policy(self.function())
        answer: list[object] = []

        async def main() -> None:
            with virtual_time(patience=0.05) as self.clock:
                try:
                    answer.append(await call())
                except Exception as error:
                    answer.append(error)
                answer.append(self.clock.now())

        anyio.run(main, backend=backend)
        return tuple(answer)

    def function(self):
        async def dependency() -> object:
            return await self()

        return dependency


down, also_down = ConnectionResetError("first"), ConnectionResetError("second")


def test_a_quick_answer_is_the_only_call(backend: str):
    service = Service((0.2, "quick"))
    assert service.run(Hedger(0.5), backend) == ("quick", 0.2)
    assert service.begun == [0]


def test_the_first_success_wins_and_the_others_are_cancelled(backend: str):
    service = Service((60, "slow"), (60, "slow too"), (1, "third"))
    assert service.run(Hedger(0.5, copies=2), backend) == ("third", 2)
    assert (service.begun, service.cancelled) == ([0, 0.5, 1], 2)


def test_the_first_call_may_win_although_another_one_was_made(backend: str):
    service = Service((0.75, "first"), (60, "second"))
    assert service.run(Hedger(0.5), backend) == ("first", 0.75)
    assert (service.begun, service.cancelled) == ([0, 0.5], 1)


def test_a_failure_waits_for_the_other_copy(backend: str):
    assert Service((1, down), (1, "second")).run(Hedger(0.5), backend) == ("second", 1.5)
    assert Service((2, "first"), (0.5, down)).run(Hedger(0.5), backend) == ("first", 2)


def test_when_all_have_failed_the_last_failure_counts(backend: str):
    assert Service((1, down), (1, also_down)).run(Hedger(0.5), backend) == (also_down, 1.5)


def test_a_failure_before_the_delay_counts_at_once(backend: str):
    service = Service((0.2, down))
    assert service.run(Hedger(0.5, copies=3), backend) == (down, 0.2)
    assert service.begun == [0]


def test_under_a_retry_each_attempt_is_a_race(backend: str):
    service = Service((60, "never"), (0.2, down), (60, "never"), (1, "fourth"))
    service.script[0] = (1, also_down)
    retry = retry_on_category(attempts=2, base_delay=1, jitter="none")
    assert service.run(Pipeline(retry, Hedger(0.5)), backend) == ("fourth", 3.5)
    assert service.begun == [0, 0.5, 2, 2.5]


def test_each_copy_is_a_call_of_an_inner_circuit_and_a_cancelled_copy_counts_for_nothing(backend: str):
    breaker = circuit_breaker("b", failure_threshold=3)
    service = Service((0.75, down), (60, "slow"), (1, "third"))
    assert service.run(Pipeline(Hedger(0.5, copies=2), breaker), backend) == ("third", 2)
    assert breaker.fail_counter == 0
    assert breaker.current_state == "closed"


def test_a_probe_of_a_copy_that_is_cancelled_gives_its_permit_back(backend: str):
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=1)

    @Hedger(0)
    @breaker
    async def hang() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        with virtual_time() as clock:
            breaker.open()
            clock.advance(1)
            with anyio.move_on_after(0.05):
                await hang()
            with breaker:
                pass

    anyio.run(main, backend=backend)
    assert breaker.current_state == "closed"


def test_races_in_races(backend: str):
    service = Service(*[(60, "slow")] * 3, (0.1, "fourth"))
    answer, now = service.run(Pipeline(Hedger(2), Hedger(0.5)), backend)
    assert (answer, now, service.cancelled) == ("fourth", 2.6, 3)


def test_a_guarded_function_may_race_within_itself(backend: str):
    clock: VirtualClock

    @Hedger(1)
    async def countdown(number: int) -> int:
        await clock.sleep_async(0.5)
        return 0 if number == 0 else 1 + await countdown(number - 1)

    async def main() -> None:
        nonlocal clock
        with virtual_time(patience=0.05) as clock:
            assert await countdown(3) == 3

    anyio.run(main, backend=backend)


def test_an_inner_limit_holds_for_each_copy_and_an_outer_one_for_all(backend: str):
    inside = Pipeline(Hedger(0.5), timeout(1))
    answer, now = Service((60, "slow"), (60, "slow")).run(inside, backend)
    assert (type(answer).__name__, now) == ("CallTimeoutError", 1.5)
    service = Service((60, "slow"), (60, "slow"))
    answer, now = service.run(Pipeline(timeout(1), Hedger(0.5)), backend)
    assert (type(answer).__name__, now, service.cancelled) == ("CallTimeoutError", 1, 2)


def test_inner_policies_end_with_their_copies(backend: str):
    limit, recorder = ConcurrencyLimit(2), Recorder()
    Service((60, "slow"), (1, "second")).run(Pipeline(Hedger(0.5), limit, recorder), backend)
    assert limit.slots.free == 2
    assert sorted(how for _, how in recorder.recorded) == ["cancelled", "ok"]


def test_last_call_is_the_report_of_the_copy_that_won(backend: str):
    service = Service((60, "slow"), (0.1, down), (0.1, "third"))
    made: list[int] = []

    async def main() -> None:
        with virtual_time(patience=0.05) as service.clock:
            guarded = Pipeline(Hedger(0.5), retry_on_category(attempts=2, base_delay=0))(service.function())
            assert await guarded() == "third"
            made.append(last_call().made)

    anyio.run(main, backend=backend)
    assert made == [2]


def test_ctrl_c_in_a_copy_is_raised_as_it_is():
    class Stop(BaseException):
        pass

    for backend in ("asyncio", "trio"):
        with pytest.raises(Stop):
            Service((0, Stop())).run(Hedger(0.5), backend)


def test_the_error_of_a_race_that_is_lost_is_not_left_to_the_collector(backend: str):
    class Error(ConnectionResetError):
        pass

    errors: list[weakref.ref[Error]] = []

    @Hedger(0)
    async def fail() -> None:
        await anyio.sleep(0.001)
        error = Error()
        errors.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    async def main() -> list[bool]:
        try:
            await fail()
        except Error:
            pass
        await anyio.sleep(0)
        return [error() is None for error in errors]

    gc.collect()
    gc.disable()
    try:
        assert anyio.run(main, backend=backend) == [True, True]
    finally:
        gc.enable()


# -- where it cannot stand -----------------------------------------------------------------------------------------


class Careless(Policy):
    """Races, and does not say so."""

    def run(self, call: Call) -> Steps:
        return (yield Race(0.01))


class Guarded:
    def function(self) -> None: ...

    def items(self) -> Iterator[int]:
        yield 1

    async def async_items(self) -> AsyncIterator[int]:
        yield 1


@pytest.mark.parametrize("name", ["function", "items", "async_items"])
def test_a_function_that_cannot_race_is_refused_where_it_is_decorated(name: str):
    with pytest.raises(TypeError, match=rf"cannot guard .*Guarded\.{name} by Hedger\(delay=0\.5\)|the generator funct"):
        Hedger(0.5)(getattr(Guarded, name))


def test_a_class_with_a_method_that_is_not_async_is_refused_as_a_whole():
    class Client:
        async def get(self) -> str:
            return "plain"

        def close(self) -> None: ...

    get = Client.get
    with pytest.raises(TypeError, match="it is not async, and nothing can end a copy"):
        Hedger(0.5)(Client)
    assert Client.get is get


def test_a_race_of_an_undeclared_policy_is_refused_when_it_is_yielded(backend: str):
    with pytest.raises(TypeError, match="is not async: Race cannot end a sync copy"):
        Careless().call(int)
    with pytest.raises(TypeError, match="is not async: Race cannot end a sync copy"), Careless():
        pytest.fail("the block runs")

    async def main() -> None:
        with pytest.raises(TypeError, match="is a block: Race cannot run it twice"):
            async with Careless():
                pytest.fail("the block runs")

    with pytest.raises(TypeError, match="Race cannot"):
        next(Careless()(Guarded.items)(None))
    anyio.run(main, backend=backend)


def test_the_copies_of_a_stream_race_for_its_first_item(backend: str):
    closed: list[int] = []
    delays = iter([60, 0])

    async def items(count: int) -> AsyncIterator[int]:
        delay = next(delays)
        try:
            await anyio.sleep(delay)
            for number in range(count):
                yield number
        finally:
            closed.append(delay)

    async def main() -> None:
        async with contextlib.aclosing(Careless()(items)(3)) as stream:
            assert await anext(stream) == 0
            assert closed == [60]
            assert [number async for number in stream] == [1, 2]
        assert closed == [60, 0]

    anyio.run(main, backend=backend)


def test_a_function_that_may_be_async_may_race(backend: str):
    import functools

    async def answer() -> str:
        return "yes"

    @functools.wraps(answer)
    def wrapped():
        return answer()

    async def main() -> None:
        assert await Hedger(0.5)(wrapped)() == "yes"

    anyio.run(main, backend=backend)


def test_an_inner_policy_that_breaks_the_protocol_raises_no_exception_group(backend: str):
    class Wrong(Policy):
        def run(self, call: Call) -> Steps:
            yield Proceed()

    async def main() -> None:
        with pytest.raises(TypeError, match=r"Wrong\.run returned None: return an Outcome"):
            await Pipeline(Hedger(0.5), Wrong()).acall(anyio.sleep, 0)

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("arguments", [(-1,), (None,), (1, 0), (1, 1.5)])
def test_a_race_with_invalid_numbers_is_refused(arguments: tuple[object, ...]):
    with pytest.raises((TypeError, ValueError), match="delay=|copies="):
        Race(*arguments)


def test_a_race_answers_with_an_outcome(backend: str):
    class Second(Policy):
        supports_sync = False

        def run(self, call: Call) -> Steps:
            outcome = yield Race(0)
            assert isinstance(outcome, Outcome)
            return Outcome((outcome.value, type(outcome.error).__name__))

    async def main() -> None:
        assert await Second().acall(anyio.sleep, 0) == (None, "NoneType")

    anyio.run(main, backend=backend)
