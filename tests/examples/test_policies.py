"""The example policies on every way to call: functions, methods, classes, generators, blocks, pipelines."""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import itertools
import pathlib
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import pytest

import resilience.settings
from examples.policies.concurrency_limit import ConcurrencyLimit, TooBusyError
from examples.policies.deny_all import DeniedError, DenyAll
from examples.policies.gcra import RateLimit, RateLimitedError
from examples.policies.hedger import Hedger
from examples.policies.recorder import Recorder
from resilience import (
    ErrorCategory,
    Pipeline,
    circuit_breaker,
    classify,
    deadline,
    describe,
    fallback,
    retry_on_category,
    timeout,
)
from resilience.policies import Policy, Proceed
from resilience.testing import virtual_time
from tests.runners import Runner, Takes

FOLDER = pathlib.Path(__file__).parents[2] / "examples" / "policies"
NAMES = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def taken() -> ConcurrencyLimit:
    """Return a limit whose only slot is taken."""
    limit = ConcurrencyLimit(1)
    assert limit.slots.try_acquire()
    return limit


def spent() -> RateLimit:
    """Return a rate limit whose next turn is an hour away."""
    limit = RateLimit(1 / 3600, max_wait=1)
    limit.call(int)
    return limit


REJECTING: dict[str, tuple[Callable[[], Policy], type[Exception]]] = {
    "deny_all": (DenyAll, DeniedError),
    "concurrency_limit": (taken, TooBusyError),
    "gcra": (spent, RateLimitedError),
}
ADMITTING: dict[str, Callable[[], Policy]] = {
    "concurrency_limit": lambda: ConcurrencyLimit(1, wait=5),
    "gcra": lambda: RateLimit(rate=10, burst=5),
    "recorder": Recorder,
}


@pytest.mark.parametrize("name", NAMES)
def test_the_example_in_the_docstring_runs(name: str):
    module = importlib.import_module(f"examples.policies.{name}")
    done = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert done.attempted > 0
    assert done.failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_under_40_lines_of_code(name: str):
    source = (FOLDER / f"{name}.py").read_text()
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    code = [line for number, line in enumerate(source.splitlines(), 1) if line.strip() and number not in docstrings]
    assert len(code) < 40


# -- every way to call ---------------------------------------------------------------------------------------------


def made_calls(policy: Policy, reached: list[str]) -> Iterator[Callable[[], object]]:
    """Yield each way to make a sync call."""

    @policy
    def function() -> str:
        reached.append("function")
        return "answer"

    @policy
    class Client:
        def method(self) -> str:
            reached.append("method")
            return "answer"

        @staticmethod
        def static() -> str:
            reached.append("static")
            return "answer"

        @classmethod
        def of_class(cls) -> str:
            reached.append("class")
            return "answer"

    class Other:
        @policy
        def method(self) -> str:
            reached.append("other")
            return "answer"

    @policy
    def items() -> Iterator[str]:
        reached.append("items")
        yield "answer"

    def block() -> str:
        with policy:
            reached.append("block")
            return "answer"

    yield function
    yield Client().method
    yield Client.static
    yield Client.of_class
    yield Other().method
    yield lambda: "".join(items())
    yield block
    yield lambda: policy.call(Other.method.__wrapped__, Other())
    yield Pipeline(policy)(Other.method.__wrapped__).__get__(Other())


def made_async_calls(policy: Policy, reached: list[str]) -> Iterator[Callable[[], object]]:
    @policy
    async def function() -> str:
        reached.append("function")
        await anyio.sleep(0)
        return "answer"

    @policy
    class Client:
        async def method(self) -> str:
            reached.append("method")
            return "answer"

    class Other:
        @policy
        async def method(self) -> str:
            reached.append("other")
            return "answer"

    @policy
    async def items() -> AsyncIterator[str]:
        reached.append("items")
        await anyio.sleep(0)
        yield "answer"

    async def read() -> str:
        return "".join([item async for item in items()])

    async def block() -> str:
        async with policy:
            reached.append("block")
            return "answer"

    yield function
    yield Client().method
    yield Other().method
    yield read
    yield block
    yield lambda: policy.acall(Other.method.__wrapped__, Other())
    yield Pipeline(policy)(Other.method.__wrapped__).__get__(Other())


@pytest.mark.parametrize("name", REJECTING)
def test_a_policy_that_rejects_keeps_every_kind_of_call_from_being_made(runner: Runner, name: str):
    make, rejects = REJECTING[name]
    reached: list[str] = []

    def main() -> None:
        with virtual_time():
            for call in made_calls(make(), reached):
                with pytest.raises(rejects):
                    call()

    async def main_async() -> None:
        with virtual_time():
            for call in made_async_calls(make(), reached):
                with pytest.raises(rejects):
                    await call()

    runner.run(main, main_async)
    assert reached == []


@pytest.mark.parametrize("name", ADMITTING)
def test_a_policy_that_admits_makes_every_kind_of_call_once(runner: Runner, name: str):
    reached: list[str] = []
    policy = ADMITTING[name]()
    calls = 0

    def main() -> None:
        nonlocal calls
        with virtual_time():
            for call in made_calls(policy, reached):
                assert call() == "answer"
                calls += 1

    async def main_async() -> None:
        nonlocal calls
        with virtual_time():
            for call in made_async_calls(policy, reached):
                assert await call() == "answer"
                calls += 1

    runner.run(main, main_async)
    assert len(reached) == calls == (7 if runner.is_async else 9)
    if isinstance(policy, ConcurrencyLimit):
        assert policy.slots.free == 1
    if isinstance(policy, Recorder):
        assert [how for _, how in policy.recorded] == ["ok"] * calls


@pytest.mark.parametrize("name", REJECTING)
def test_switched_off_a_policy_is_not_asked(runner: Runner, name: str):
    make, _ = REJECTING[name]
    reached: list[str] = []
    policy = make()

    def main() -> None:
        with virtual_time(), resilience.settings.disabled():
            assert {call() for call in made_calls(policy, reached)} == {"answer"}

    async def main_async() -> None:
        with virtual_time(), resilience.settings.disabled():
            assert {await call() for call in made_async_calls(policy, reached)} == {"answer"}

    runner.run(main, main_async)


def test_a_rejection_is_one_to_every_policy(runner: Runner):
    for make, kind in REJECTING.values():
        breaker = circuit_breaker("outside", failure_threshold=1)
        policy = make()
        retry = retry_on_category(attempts=3, base_delay=0)
        story = runner.play(Pipeline(fallback(default="stale"), breaker, retry, policy), "never")
        assert (story.answer, story.reached, breaker.current_state) == ("stale", 0, "closed")
        rejected = runner.play(make(), "never").answer
        assert type(rejected) is kind
        assert classify(rejected) is ErrorCategory.REJECTED


# -- in stacks -----------------------------------------------------------------------------------------------------

BUILT_IN = {
    "retry": lambda: retry_on_category(attempts=3, base_delay=1, jitter="none"),
    "breaker": lambda: circuit_breaker("b", failure_threshold=10),
    "fallback": lambda: fallback(default="stale"),
    "timeout": lambda: timeout(60),
}
ORDERS = ["-".join(order) for order in itertools.permutations([*BUILT_IN, "policy"])]


@pytest.mark.parametrize("order", ORDERS)
def test_in_a_pipeline_in_any_order_a_policy_is_asked_about_each_call_that_reaches_it(runner: Runner, order: str):
    parts = order.split("-")
    recorder, limit = Recorder(), ConcurrencyLimit(1)
    both = Pipeline(limit, recorder)
    stack = Pipeline(*(both if part == "policy" else BUILT_IN[part]() for part in parts))
    down = ConnectionResetError("down")
    story = runner.play(stack, down, down, "late", down, down, down, pauses=(0,))
    asked_each_time = parts.index("policy") > parts.index("retry")
    # Where the fallback is inside the retry, or the policy outside of it, it hears of the substitute.
    sees = "ok" if parts.index("policy") < parts.index("fallback") else "ConnectionResetError"
    if parts.index("fallback") > parts.index("retry"):
        assert (story.answers, story.reached) == (["stale", "stale"], 2)
        expected = [sees, sees]
    else:
        assert (story.answers, story.reached) == (["late", "stale"], 6)
        failures = ["ConnectionResetError"] * 2
        expected = [*failures, "ok", *failures, "ConnectionResetError"] if asked_each_time else ["ok", sees]
    assert [how for _, how in recorder.recorded] == expected
    assert limit.slots.free == 1


def test_a_policy_outside_of_a_retry_holds_its_slot_while_that_waits(runner: Runner):
    limit = ConcurrencyLimit(1)
    free: list[int] = []
    retry = retry_on_category(attempts=2, base_delay=1, on_retry=lambda event: free.append(limit.slots.free))
    assert runner.play(Pipeline(limit, retry), TimeoutError(), "ok").answer == "ok"
    assert runner.play(Pipeline(retry, limit), TimeoutError(), "ok").answer == "ok"
    assert free == [0, 1]


# -- waiting -------------------------------------------------------------------------------------------------------


def test_the_rate_is_kept_by_waiting(runner: Runner):
    began: list[float] = []
    limit = RateLimit(rate=2, burst=3)

    def main() -> None:
        with virtual_time() as clock:
            for _ in range(6):
                limit.call(lambda: began.append(clock.now()))

    async def main_async() -> None:
        with virtual_time() as clock:
            async with anyio.create_task_group() as tasks:
                for _ in range(6):
                    tasks.start_soon(limit.acall, lambda: began.append(clock.now()))

    runner.run(main, main_async)
    assert began == [0, 0, 0, 0.5, 1, 1.5]


def test_a_call_whose_turn_is_far_away_is_rejected_at_once_with_retry_after(runner: Runner):
    limit = RateLimit(rate=0.1, max_wait=5)
    story = runner.play(limit, "first", "never", pauses=(0, 4, 1))
    first, second, third, fourth = story.answers
    assert first == "first"
    assert [type(second), second.retry_after] == [RateLimitedError, 10]
    assert [type(third), third.retry_after] == [RateLimitedError, 6]
    assert (fourth, story.now) == ("never", 10)


def test_a_turn_after_the_deadline_is_rejected_at_once(runner: Runner):
    limit = RateLimit(rate=0.1)
    story = runner.play(Pipeline(deadline(8), limit), "first", "never", pauses=(0,))
    assert story.answers[0] == "first"
    assert isinstance(story.answers[1], RateLimitedError)
    assert (story.now, story.reached) == (0, 1)


def test_waiting_for_a_slot_ends_with_the_wait_or_with_the_deadline(runner: Runner):
    for wait, by, ends in ((2, 5, 2), (9, 5, 5)):
        limit = ConcurrencyLimit(1, wait)
        limit.slots.try_acquire()
        story = runner.play(Pipeline(fallback(default="none"), deadline(by), limit), "never", patience=0.05)
        assert (story.answer, story.now, story.reached) == ("none", ends, 0)
        assert (limit.slots.free, limit.slots.waiting) == (0, 0)


def test_a_deadline_in_force_outside_ends_a_wait_for_a_slot(runner: Runner):
    limit = ConcurrencyLimit(1, wait=100)
    limit.slots.try_acquire()
    caught: list[Exception] = []

    def main() -> None:
        with virtual_time(patience=0.2) as clock:
            with contextlib.suppress(TooBusyError), deadline(5):
                limit.call(int)
            assert clock.now() == 5

    async def main_async() -> None:
        with virtual_time(patience=0.2) as clock:
            try:
                async with deadline(5):
                    await limit.acall(int)
            except Exception as error:
                caught.append(error)
            assert clock.now() == 5

    runner.run(main, main_async)
    assert (limit.slots.free, limit.slots.waiting) == (0, 0)


def test_a_wait_that_a_policy_begins_is_ended_by_the_limit_around_it(runner: Runner):
    limit = RateLimit(rate=0.01)
    limit_ends = Pipeline(fallback(default="late"), timeout(5), NoDeadline(), limit)
    story = runner.play(limit_ends, "first", "never", pauses=(0,))
    assert story.answers == ["first", "late"]
    assert (story.now, story.reached) == (5, 1)


class NoDeadline(Policy):
    """Hide the deadline from the inner calls."""

    def run(self, call):
        due, call.due = call.due, float("inf")
        try:
            return (yield Proceed())
        finally:
            call.due = due


def test_a_call_that_takes_its_time_holds_its_slot(runner: Runner):
    limit = ConcurrencyLimit(1, wait=3)
    story = runner.play(Pipeline(limit, timeout(10)), Takes(4), "next", pauses=(0,))
    assert story.answers == ["done", "next"]


# -- as shown ------------------------------------------------------------------------------------------------------


def test_describe_shows_the_options_that_differ_and_that_nothing_is_known_of_the_worst_case():
    @retry_on_category(attempts=2, base_delay=1, jitter="none")
    @ConcurrencyLimit(10, wait=0.5)
    def search() -> None: ...

    assert str(describe(search)).splitlines() == [
        "retry_on_category(transient, attempts=2, base_delay=1, max_delay=60, jitter=none)",
        "  ConcurrencyLimit(limit=10, wait=0.5)",
        f"    {describe(search).target}",
        "worst case: unknown (ConcurrencyLimit does not say)",
    ]
    assert describe(search).worst.unknown == ("ConcurrencyLimit",)


def test_two_policies_without_a_worst_case_are_named_and_an_outer_limit_holds():
    guarded = timeout(4)(DenyAll()(retry_on_category(ConcurrencyLimit(1)(RateLimit(2)(Recorder()(lambda: None))))))
    worst = describe(guarded).worst
    assert str(worst) == "worst case: unknown (DenyAll and ConcurrencyLimit and RateLimit do not say), 4 s in all"
    assert worst.seconds == 4


def test_a_policy_with_a_worst_case_is_counted():
    async def search() -> None: ...

    assert str(describe(Recorder()(search)).worst) == "worst case: 1 call, 0 s of waiting and what the calls take"
    hedged = Hedger(0.5, copies=2)(timeout(2)(search))
    assert str(describe(hedged).worst) == "worst case: 3 calls, 3 s"


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        (DenyAll(), "DenyAll()"),
        (DenyAll("moving"), "DenyAll(reason='moving')"),
        (ConcurrencyLimit(3), "ConcurrencyLimit(limit=3)"),
        (RateLimit(2, 1), "RateLimit(rate=2)"),
        (Hedger(0.25, copies=3), "Hedger(delay=0.25, copies=3)"),
    ],
)
def test_a_policy_is_shown_as_it_would_be_written(policy: Policy, shown: str):
    assert str(policy) == shown
    assert repr(policy) == f"<{shown}>"
