"""A model of the circuit that predicts: every answer, event and number of generated programs of overlapping calls.

The model and what plays programs to it are in `tests.circuit_model`. Each program has two circuits of different
options. A call is made in one of four ways: by the policy alone, in a block of ``calling()``, in a generator that is
suspended in a ``with`` block, by a permit by hand. It begins independently of the others, or within one of them, to any
depth and through either circuit, in the same context or in a copy, as a task has. It ends in 14 ways, or is cut off by
a limit of ours or a foreign cancellation, interrupted, or lost; in its own context, in another one, or in another
thread. Meanwhile time passes, the clock is set back, and the circuits are opened and closed by hand.

`FAULTS` are faults that circuit breakers have had, put into ours one by one: the model has to find each.
"""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilience._runtime.cut_off import CutOff
from tests.circuit_faults import FAULTS
from tests.circuit_model import CONFIGS, ENDS, WAYS, Config, Player, Step

ORDERS = ("open", "close", "half_open", "isolate", "disable", "shadow", "reset")
INSIDE = ("", "context", "copy")
WHERE = ("in its context", "elsewhere", "thread")
CUTS = tuple(by.value for by in CutOff)

chances = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.875])
which = st.integers(0, 7)
ends = st.sampled_from(["ok", "ok", "network", "network", *ENDS])
where = st.sampled_from(WHERE)
seconds = st.sampled_from([0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0])


def steps(kind: str, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    return st.builds(Step, kind=st.just(kind), chance=chances, **fields)


begun = {
    "number": which,
    "circuit": st.integers(0, 1),
    "way": st.sampled_from([*WAYS]),
    "inside": st.sampled_from(INSIDE),
}
program_steps = st.one_of(
    steps("begin", **begun),
    steps("begin", **begun),
    steps("call", what=ends, where=where, **begun),
    steps("call", what=ends, where=where, **begun),
    steps("end", number=which, what=ends, where=where),
    steps("end", number=which, what=ends, where=where),
    steps("cancel", number=which, where=where),
    steps("cut", number=which, what=st.sampled_from(CUTS), where=where),
    steps("lose", number=which),
    steps("wait", seconds=seconds),
    steps("wait", seconds=seconds),
    steps("set_back", seconds=seconds),
    steps("order", what=st.sampled_from([*ORDERS, "reset"]), circuit=st.integers(0, 1)),
)


def pair(name: str, by: int = 1) -> tuple[Config, Config]:
    """Return the options of that name, and those that stand so many below."""
    names = [*CONFIGS]
    return CONFIGS[name], CONFIGS[names[(names.index(name) + by) % len(names)]]


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=30)
@given(program=st.lists(program_steps, min_size=5, max_size=60))
def test_every_answer_event_and_number_is_the_one_the_model_predicts(name: str, program: list[Step]):
    Player(*pair(name)).play(program)


@pytest.mark.parametrize("name", CONFIGS)
def test_long_programs_go_as_the_model_predicts(name: str):
    for seed in range(8):
        Player(*pair(name, seed)).play(long_program(random.Random(f"{name} {seed}"), 300))


@pytest.mark.slow  # 1.2 million steps, which no interpreter takes in another way
@pytest.mark.parametrize("name", CONFIGS)
def test_many_more_long_programs_go_as_the_model_predicts(name: str):
    for seed in range(160):
        Player(*pair(name, seed)).play(long_program(random.Random(f"{name} more {seed}"), 300))


def long_program(chance: random.Random, length: int, *, nested: bool = True) -> list[Step]:
    """Make up a program that spends most of its time in normal mode, with a few calls in flight."""
    program: list[Step] = []
    reset_in = [math.inf, math.inf]
    for _ in range(length):
        reset_in = [left - 1 for left in reset_in]
        for circuit, left in enumerate(reset_in):
            if left <= 0:
                program.append(Step("order", what="reset", circuit=circuit))
                reset_in[circuit] = math.inf
        step = some_step(chance, INSIDE if nested else ("",))
        if step.kind == "order":
            limit = {"isolate": 10, "disable": 10, "shadow": 60}.get(step.what)
            reset_in[step.circuit] = limit or reset_in[step.circuit]
        program.append(step)
    return program


def some_step(chance: random.Random, inside: tuple[str, ...]) -> Step:
    kinds = {
        "begin": 20,
        "call": 25,
        "end": 25,
        "cancel": 2,
        "cut": 4,
        "lose": 1,
        "wait": 20,
        "set_back": 1,
        "order": 2,
    }
    kind = chance.choices([*kinds], [*kinds.values()])[0]
    what = {
        "order": ORDERS,
        "cut": CUTS,
    }.get(kind, ["ok"] * 5 + ["bad"] + ["network", "unavailable"] * 2 + [*ENDS])
    return Step(
        kind,
        chance=chance.choice([0.0, 0.25, 0.5, 0.875]),
        number=chance.choice([-1, -1, *range(8)]),  # -1 is the last that has begun
        what=chance.choice(what),
        circuit=chance.choice([0, 0, 1]),
        way=chance.choice(["policy", *WAYS]),
        inside=chance.choice(inside),
        where=chance.choice([*["in its context", "elsewhere"] * 4, "thread"]),
        seconds=chance.choice([0.5, 0.5, 1.0, 1.0, 2.0, 5.0, 10.0]),
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_the_model_finds_each_fault_that_circuits_have_had(fault: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(*FAULTS[fault])
    for seed, name in itertools.product(range(40), CONFIGS):
        try:
            Player(*pair(name, seed)).play(long_program(random.Random(f"{name} {seed}"), 150, nested=bool(seed % 2)))
        except (AssertionError, AttributeError, RuntimeError, ValueError, LookupError):  # of a number, a state, a block
            return
    raise AssertionError("the model has not found it")
