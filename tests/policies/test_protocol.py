"""The protocol: what a policy may do, and a clear error for what it may not."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import pytest

from resilience import CallTimeoutError, Pipeline, describe, retry_on_category, subscribe, timeout
from resilience.policies import Call, Emit, Outcome, Policy, Proceed, Run, Sleep, Steps
from resilience.testing import virtual_time
from tests.runners import Runner

down = ConnectionResetError("down")


class Twice(Policy):
    """Proceeds once more after a failure."""

    def run(self, call: Call) -> Steps:
        outcome = yield Proceed()
        if outcome.error is not None:
            outcome = yield Proceed()
        return outcome


def test_a_policy_may_proceed_twice(runner: Runner):
    story = runner.play(Twice(), down, "second")
    assert (story.answer, story.reached) == ("second", 2)
    story = runner.play(Pipeline(Twice(), Twice()), down, down, down, "fourth")
    assert (story.answer, story.reached) == ("fourth", 4)


def test_a_policy_around_a_method_or_an_unstarted_stream_may_proceed_twice(runner: Runner):
    failures = [down]

    class Shop:
        @Twice()
        def items(self) -> Iterator[str]:
            if failures:
                raise failures.pop()
            yield "lamp"

        @Twice()
        async def async_items(self) -> AsyncIterator[str]:
            if failures:
                raise failures.pop()
            yield "lamp"

    async def main_async() -> None:
        assert [item async for item in Shop().async_items()] == ["lamp"]

    runner.run(lambda: list(Shop().items()), main_async)
    assert failures == []


def test_a_policy_cannot_proceed_again_once_items_are_streaming(runner: Runner):
    @Twice()
    def items() -> Iterator[int]:
        yield 1
        raise down

    @Twice()
    async def async_items() -> AsyncIterator[int]:
        yield 1
        raise down

    got: list[int] = []

    def main() -> None:
        for item in items():
            got.append(item)

    async def main_async() -> None:
        async for item in async_items():
            got.append(item)

    with pytest.raises(RuntimeError, match="items cannot run again: its first items were handed out"):
        runner.run(main, main_async)
    assert got == [1]


def test_a_block_cannot_run_twice(runner: Runner):
    def main() -> None:
        with Twice():
            raise down

    async def main_async() -> None:
        async with Twice():
            raise down

    with pytest.raises(RuntimeError, match="calls more than once cannot guard a block"):
        runner.run(main, main_async)


def test_an_error_ends_with_its_block_where_the_policy_returns_a_value(runner: Runner):
    class Swallow(Policy):
        def run(self, call: Call) -> Steps:
            yield Proceed()
            return Outcome("fine")

    def main() -> None:
        assert Swallow().call(int, "many") == "fine"
        with Swallow():
            raise down
        after.append(True)

    async def main_async() -> None:
        async with Swallow():
            raise down
        after.append(True)

    after: list[bool] = []
    runner.run(main, main_async)
    assert after == [True]


def test_an_error_that_a_policy_makes_of_another_leaves_a_block(runner: Runner):
    class Translate(Policy):
        def run(self, call: Call) -> Steps:
            outcome = yield Proceed()
            return outcome if outcome.error is None else Outcome.failed(LookupError())

    def main() -> None:
        with Translate():
            raise down

    async def main_async() -> None:
        async with Translate():
            raise down

    with pytest.raises(LookupError):
        runner.run(main, main_async)


# -- limits --------------------------------------------------------------------------------------------------------


class Limited(Policy):
    def __init__(self, seconds: float, cooperative: bool = False) -> None:
        self.seconds, self.cooperative = seconds, cooperative
        self.seen: list[str] = []

    def run(self, call: Call) -> Steps:
        outcome = yield Proceed(timeout=self.seconds, cooperative=self.cooperative)
        self.seen.append(type(outcome.error).__name__)
        return outcome


def test_a_policy_may_limit_the_time_of_the_inner_call(runner: Runner):
    from tests.runners import Takes

    policy = Limited(2)
    story = runner.play(policy, Takes(5), "quick", pauses=(0,))
    assert type(story.answers[0]) is CallTimeoutError
    assert story.answers[1] == "quick"
    assert policy.seen == ["CallTimeoutError", "NoneType"]


def test_a_sync_block_is_refused_by_a_policy_that_would_have_to_interrupt_it():
    with pytest.raises(TypeError, match="nothing interrupts a sync block"), Limited(2):
        pytest.fail("the block runs")
    with virtual_time() as clock, Limited(2, cooperative=True):
        clock.advance(1)


def test_a_stream_limited_by_a_policy_keeps_its_context_variables_whatever_thread_it_runs_in():
    variable = contextvars.ContextVar("variable", default=0)

    @Limited(5)
    def items() -> Iterator[int]:
        token = variable.set(1)
        yield variable.get()
        variable.reset(token)  # in the same context, or it fails
        yield variable.get()

    assert list(items()) == [1, 0]
    assert variable.get() == 0


# -- other effects -------------------------------------------------------------------------------------------------


def test_the_effects_run_and_emit_call_the_users_functions_and_listeners(runner: Runner):
    from resilience.events import Event

    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class Noted(Event):
        name = "noted"

    heard: list[object] = []

    def fail() -> None:
        raise down

    async def fail_async() -> None:
        await anyio.sleep(0)
        raise down

    class Asks(Policy):
        def run(self, call: Call) -> Steps:
            outcome = yield Run(fail_async if runner.is_async else fail)
            assert outcome.error is down
            outcome = yield Run(int, "42")
            yield Emit(event)
            yield Proceed()
            return outcome

    event = object()
    with subscribe(heard.append):
        assert runner.play(Asks(), "ignored").answer == 42
    assert event in heard


def test_an_async_function_that_a_sync_call_would_have_to_await_is_an_error():
    async def hook() -> None: ...

    class Asks(Policy):
        def run(self, call: Call) -> Steps:
            return (yield Run(hook))

    with pytest.raises(TypeError, match="is async and the call is not"):
        Asks().call(int)


# -- what it may not -----------------------------------------------------------------------------------------------


class ReturnsNothing(Policy):
    def run(self, call: Call) -> Steps:
        yield Proceed()


class ReturnsAValue(Policy):
    def run(self, call: Call) -> Steps:
        outcome = yield Proceed()
        return outcome.value


class YieldsAValue(Policy):
    def run(self, call: Call) -> Steps:
        yield 0.5
        return Outcome()


class YieldsTheClass(Policy):
    def run(self, call: Call) -> Steps:
        return (yield Proceed)


class IsNoGenerator(Policy):
    def run(self, call: Call) -> Steps:
        return Outcome()


class Delegates(Policy):
    """All right: what it returns is a generator."""

    def run(self, call: Call) -> Steps:
        return self._run()

    def _run(self) -> Steps:
        return (yield Proceed())


WRONG = {
    ReturnsNothing: r"ReturnsNothing\.run returned None: return an Outcome",
    ReturnsAValue: r"ReturnsAValue\.run returned .*: return an Outcome",
    YieldsAValue: r"yielded 0\.5: yield a Proceed, Sleep, Acquire, Run, Emit or Race",
    YieldsTheClass: r"yielded <class 'resilience\._runtime\.protocol\.Proceed'>: yield a Proceed",
    IsNoGenerator: r"a policy's run\(\) returned <Outcome value>: make it a generator, by a yield",
}


@pytest.mark.parametrize("policy", WRONG)
@pytest.mark.parametrize("around", [lambda policy: policy, lambda policy: Pipeline(retry_on_category(), policy)])
def test_a_wrong_run_is_a_type_error_that_no_policy_takes_for_a_failure(
    runner: Runner, policy: type[Policy], around: Callable[[Policy], Policy]
):
    story = runner.play(around(policy()), "value", "again")
    assert type(story.answer) is TypeError
    assert story.reached <= 1
    with pytest.raises(TypeError, match=WRONG[policy]):
        raise story.answer


def test_a_wrong_run_is_a_type_error_of_blocks_too(runner: Runner):
    for policy, message in WRONG.items():
        if policy is ReturnsAValue:
            continue  # a block has none

        def main(policy: type[Policy] = policy) -> None:
            with policy():
                pass

        async def main_async(policy: type[Policy] = policy) -> None:
            async with policy():
                pass

        with pytest.raises(TypeError, match=message.replace("YieldsAValue.run ", "")):
            runner.run(main, main_async)


def test_a_run_may_return_the_generator_of_another_method(runner: Runner):
    assert runner.play(Delegates(), "value").answer == "value"


def test_a_policy_without_run_cannot_be_made():
    class Nothing(Policy):
        pass

    with pytest.raises(TypeError, match=r"Can't instantiate abstract class Nothing with.*run"):
        Nothing()


def test_an_async_run_is_refused_where_it_is_written():
    with pytest.raises(TypeError, match=r"Wrong\.run is async: write a plain generator that yields effects"):

        class Wrong(Policy):
            async def run(self, call: Call) -> Steps: ...

    with pytest.raises(TypeError, match=r"AlsoWrong\.run is async"):

        class AlsoWrong(Policy):
            async def run(self, call: Call) -> Steps:
                yield Proceed()


class YieldsWhileClosed(Policy):
    def run(self, call: Call) -> Steps:
        try:
            return (yield Proceed())
        finally:
            yield Sleep(1)


def test_a_policy_that_yields_while_it_is_closed_is_an_error_that_says_so(backend: str):
    message = r"YieldsWhileClosed\.run yields while it is closed: a call that is cancelled has no effects left"

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(RuntimeError, match=message):
        YieldsWhileClosed().call(interrupted)
    with pytest.raises(RuntimeError, match=message), YieldsWhileClosed():
        raise KeyboardInterrupt

    async def main() -> None:
        with anyio.move_on_after(0.01):
            try:
                await YieldsWhileClosed().acall(anyio.sleep_forever)
            except RuntimeError as error:
                caught.append(error)

    caught: list[RuntimeError] = []
    anyio.run(main, backend=backend)
    assert message.split(" ")[1] in str(caught[0])
    caught.clear()
    gc.collect()


def test_a_policys_own_error_in_finally_is_raised_as_it_is():
    class Fails(Policy):
        def run(self, call: Call) -> Steps:
            try:
                return (yield Proceed())
            finally:
                raise RuntimeError("a slot is released that was not acquired")

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(RuntimeError, match="a slot is released"):
        Fails().call(interrupted)


def test_the_policies_outside_of_one_that_breaks_the_protocol_give_back_what_they_took(runner: Runner):
    from examples.policies.concurrency_limit import ConcurrencyLimit

    limit = ConcurrencyLimit(1)
    assert type(runner.play(Pipeline(limit, ReturnsNothing()), "value").answer) is TypeError
    assert limit.slots.free == 1


def test_on_the_fast_path_a_policy_must_proceed_first():
    class Hasty(Policy):
        fast_path = True

        def run(self, call: Call) -> Steps:
            return Outcome()
            yield

    @Hasty()
    def fail() -> None:
        raise down

    with pytest.raises(TypeError, match="is on the fast path, but does not proceed first"):
        fail()


def test_a_policy_on_the_fast_path_is_run_for_failures_alone(runner: Runner):
    class Failures(Policy):
        fast_path = True

        def __init__(self) -> None:
            self.heard: list[object] = []

        def run(self, call: Call) -> Steps:
            outcome = yield Proceed()
            self.heard.append(outcome.error or outcome.value)
            return outcome

    policy = Failures()
    retry = retry_on_category(attempts=2, base_delay=0)
    assert runner.play(policy, "at once").answer == "at once"
    assert runner.play(Pipeline(policy, retry), down, "later").answer == "later"
    assert runner.play(Pipeline(retry, policy), down, "later").answer == "later"
    assert policy.heard == ["later", down, "later"]


# -- names ---------------------------------------------------------------------------------------------------------


def test_a_description_shows_options_kept_with_or_without_an_underscore():
    @dataclasses.dataclass
    class Data(Policy):
        limit: int
        window: float = 1.0
        names: list[str] = dataclasses.field(default_factory=list)

        def run(self, call: Call) -> Steps:
            return (yield Proceed())

    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError("ask me later")

        __hash__ = None

        def __repr__(self) -> str:
            raise ValueError("nor this")

    class Private(Policy):
        def __init__(self, limit: object = 0, *others: object, key: object = len, **options: object) -> None:
            self._limit = limit
            self.key = key
            self.others, self.options = others, options

        run = Data.run

    assert str(Data(3)) == "Data(limit=3, names=[])"
    assert str(Private()) == "Private()"
    assert str(Private(5, key=sorted)) == "Private(limit=5, key=sorted)"
    assert str(Private(Odd(), key=dict)) == "Private(limit=Odd, key=dict)"
    assert Data(3).call(int, "7") == 7
    with Data(3):
        pass


def test_options_may_have_any_name_outside_of_the_protocol(runner: Runner):
    names = (
        "limit rate burst wait delay timeout seconds key name size window on category clock events target function"
        " attempts threshold interval tokens capacity result value error policy before after release resumed held"
    ).split()

    class Options(Policy):
        def __init__(self) -> None:
            for name in names:
                setattr(self, name, 7)

        def run(self, call: Call) -> Steps:
            return (yield Proceed())

    @Options()
    class Client:
        def get(self) -> int:
            return 1

    assert Client().get() == 1
    assert runner.play(Pipeline(timeout(5), Options(), retry_on_category()), "ok").answer == "ok"
    assert str(describe(Client.get).worst) == "worst case: unknown (Options does not say)"


@pytest.mark.parametrize("name", ["methods", "status", "worst", "hooks", "call", "policies"])
def test_an_option_that_is_kept_under_a_name_of_the_protocol_is_refused_before_a_call_is_made(name: str):
    class Option(Policy):
        def __init__(self) -> None:
            setattr(self, name, ("GET", "PUT"))

        def run(self, call: Call) -> Steps:
            return (yield Proceed())

    option = Option()
    message = rf"Option.{name} is an option, and a name of the protocol: keep it as _{name}"
    if name != "policies":
        with pytest.raises(TypeError, match=message):
            option(int)
        with pytest.raises(TypeError, match=message):
            Pipeline(option)(int)
    with pytest.raises(TypeError, match=message), option:
        pytest.fail("the block runs")


def test_overlapping_calls_keep_their_own_local_variables(backend: str):
    seen: list[tuple[object, object]] = []

    class Remember(Policy):
        def run(self, call: Call) -> Steps:
            mine = call.arguments
            yield Sleep(0.001)
            outcome = yield Proceed()
            seen.append((mine, outcome.value))
            return outcome

    guarded = Remember()(lambda number: number)
    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(Remember().acall, lambda number: number, number)

    anyio.run(main, backend=backend)
    assert sorted(seen) == sorted([((number,), number) for number in range(20)] * 2)


def test_blocks_of_one_policy_may_overlap():
    events: list[str] = []

    class Notes(Policy):
        def run(self, call: Call) -> Steps:
            events.append("in")
            try:
                return (yield Proceed())
            finally:
                events.append("out")

    notes = Notes()
    with notes, notes:
        assert events == ["in", "in"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(notes)
        stack.enter_context(notes)
    assert events == ["in", "in", "out", "out"] * 2
