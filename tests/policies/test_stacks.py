"""A policy in any stack of decorators, in any order: one wrapper, and the policy is asked about every call."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.policies.concurrency_limit import ConcurrencyLimit
from examples.policies.recorder import Recorder
from resilience import Pipeline, circuit_breaker, deadline, describe, fallback, retry_on_category, timeout, track_errors
from resilience._runtime.decorate import guarded
from tests.runners import RUNNERS, Runner

PARTS: dict[str, Callable[[], object]] = {
    "retry": lambda: retry_on_category(attempts=2, base_delay=0),
    "breaker": lambda: circuit_breaker("b", failure_threshold=100),
    "fallback": lambda: fallback(default="stale"),
    "timeout": lambda: timeout(60),
    "deadline": lambda: deadline(60),
    "track": lambda: track_errors(component="shop"),
}
POLICY = "policy"


def stacked(names: tuple[str, ...], recorders: list[Recorder]) -> Callable[[Callable[..., object]], object]:
    """Return what decorates by all of *names*, the innermost last, one decorator after the other."""

    def decorate(function: Callable[..., object]) -> object:
        for name in reversed(names):
            if name == POLICY:
                recorders.append(Recorder())
                function = recorders[-1](function)
            else:
                function = PARTS[name]()(function)
        return function

    return decorate


def test_a_policy_is_run_for_a_success_in_every_order_of_three_policies(runner: Runner):
    for others in itertools.permutations(PARTS, 2):
        for place in range(3):
            names = (*others[:place], POLICY, *others[place:])
            recorders: list[Recorder] = []
            assert runner.play(stacked(names, recorders), "ok", "ok", pauses=(0,)).answers == ["ok", "ok"], names
            (recorder,) = recorders
            assert [how for _, how in recorder.recorded] == ["ok", "ok"], names


@pytest.mark.parametrize("name", RUNNERS)
def test_in_any_stack_each_policy_is_run_for_each_call_that_reaches_it(name: str):
    stacks = st.lists(st.sampled_from([*PARTS, POLICY, POLICY]), min_size=1, max_size=7)
    scripts = st.lists(st.sampled_from(["ok", "down"]), min_size=1, max_size=4)

    @settings(max_examples=60)
    @given(stacks, scripts, st.booleans())
    def check(names: list[str], script: list[str], in_a_pipeline: bool) -> None:
        names = [part for at, part in enumerate(names) if part == POLICY or part not in names[:at]]
        recorders: list[Recorder] = []
        steps = [ConnectionResetError() if step == "down" else step for step in script]
        if in_a_pipeline:
            parts = [Recorder() if part == POLICY else PARTS[part]() for part in names]
            recorders = [part for part in parts if isinstance(part, Recorder)][::-1]
            decorate = Pipeline(*parts)
        else:
            decorate = stacked(tuple(names), recorders)
        found: list[object] = []

        def keep(function: Callable[..., object]) -> object:
            found.append(decorate(function))
            assert guarded(found[0]).function is function  # one wrapper over the original
            assert len(describe(found[0])) == len(names)
            return found[0]

        story = Runner(name).play(keep, *steps)
        at = iter(recorders)
        for depth in reversed([depth for depth, part in enumerate(names) if part == POLICY]):
            recorder = next(at)
            retried = "retry" in names[:depth] and "fallback" not in names[depth:]
            if "retry" in names[:depth]:
                # A policy inside the retry is run for each attempt.
                expected = story.reached if retried and "retry" not in names[depth:] else len(recorder.recorded)
                assert len(recorder.recorded) == expected >= 1
            else:
                assert len(recorder.recorded) == 1

    check()


def test_two_policies_and_their_order_are_shown_as_they_stand():
    @ConcurrencyLimit(2)
    @retry_on_category(attempts=2)
    @Recorder()
    def search() -> None: ...

    assert [str(policy).partition("(")[0] for policy in describe(search)] == [
        "ConcurrencyLimit",
        "retry_on_category",
        "Recorder",
    ]
    assert guarded(search).function is not search
    assert not hasattr(guarded(search).function, "__wrapped__")
