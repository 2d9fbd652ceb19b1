"""A model of the circuit that predicts: every answer, event and number of generated programs of overlapping calls.

The model and what plays programs to it are in `tests.circuit_model`. Each program has two circuits of different
options. A call is made in one of four ways: by the policy alone, in a block of ``calling()``, in a generator that is
suspended in a ``with`` block, by a permit by hand. It begins independently of the others, or within one of them, to any
depth and through either circuit, in the same context or in a copy, as a task has. It ends in 14 ways, or is cut off by
a limit of ours or a foreign cancellation, interrupted, or lost; in its own context, in another one, or in another
thread. Meanwhile time passes, the clock is set back, and the circuits are opened and closed by hand.

Played are 208 programs of 300 steps: 18 000 calls are admitted, 4 700 of them stand in others, up to five deep, and 700
are parts of a probe or of a call from a ramp. The deep run has 4 160; and Hypothesis makes up 780 short ones.

`tests.circuit_faults` has 43 faults that circuit breakers have had, and 16 that a partial one might. Each is put into
ours: the model has to find it.
"""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.circuit_faults import FAULTS, FAULTS_OF_SHEDDING
from tests.circuit_model import (
    CONFIGS,
    CUTS,
    ENDS,
    INSIDE,
    ORDERS,
    WAYS,
    WHERE,
    Config,
    Player,
    Step,
    busy_program,
    long_program,
)

PARTIAL = [name for name, config in CONFIGS.items() if config.partial]

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


@pytest.mark.slow  # seconds; shorter programs are played in each run
@pytest.mark.parametrize("name", CONFIGS)
def test_long_programs_go_as_the_model_predicts(name: str):
    for seed in range(8):
        Player(*pair(name, seed)).play(long_program(random.Random(f"{name} {seed}"), 300))


@pytest.mark.parametrize("name", PARTIAL)
def test_partial_circuits_shed_as_the_model_predicts(name: str):
    for seed in range(12):
        Player(CONFIGS[name], CONFIGS["in a row"]).play(busy_program(random.Random(f"{name} {seed}"), 500))


@pytest.mark.slow  # 0.6 million steps, which no interpreter takes in another way
@pytest.mark.parametrize("name", CONFIGS)
def test_many_more_long_programs_go_as_the_model_predicts(name: str):
    for seed in range(80):
        Player(*pair(name, seed)).play(long_program(random.Random(f"{name} more {seed}"), 300))


@pytest.mark.slow  # about the model, not the circuit: once is enough
@pytest.mark.parametrize("fault", FAULTS_OF_SHEDDING)
def test_the_model_finds_each_fault_of_partial_circuits(fault: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(*FAULTS_OF_SHEDDING[fault])
    for seed, name in itertools.product(range(20), PARTIAL):
        try:
            Player(CONFIGS[name], CONFIGS["in a row"]).play(busy_program(random.Random(f"{name} {seed}"), 500))
        except (AssertionError, AttributeError):  # a ramp's end, asked of what is none
            return
    raise AssertionError("the model has not found it")


@pytest.mark.slow  # about the model, not the circuit: once is enough
@pytest.mark.parametrize("fault", FAULTS)
def test_the_model_finds_each_fault_that_circuits_have_had(fault: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(*FAULTS[fault])
    for seed, name in itertools.product(range(40), CONFIGS):
        try:
            Player(*pair(name, seed)).play(long_program(random.Random(f"{name} {seed}"), 150, nested=bool(seed % 2)))
        except (AssertionError, AttributeError, RuntimeError, ValueError, LookupError):  # of a number, a state, a block
            return
    raise AssertionError("the model has not found it")
