"""Faulty programs, run for real: each diagnosis names what is wrong, and each correction corrects it."""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Iterator

import pytest

from resilience.report._diagnosis import diagnose
from resilience.report._diagnosis.context import FailureContext
from tests.report.faulty import Faulty, agents, failure_of, names, raised_by, reworded, runtime, syntax

CORPUS = [
    pytest.param(each, id=f"{corpus.__name__.rpartition('.')[2]}-{each.name}")
    for corpus in (names, syntax, runtime, reworded, agents)
    for each in corpus.CORPUS
    if each.runs_here
]
OF_NAMES = ("import ", "from ")


@pytest.fixture(autouse=True)
def quiet(request: pytest.FixtureRequest) -> Iterator[None]:
    """Faulty programs make Python warn, too, and those of asyncio leave coroutines that nothing awaits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        faulty = request.node.callspec.params["faulty"] if hasattr(request.node, "callspec") else None
        if faulty is not None and "async " in faulty.code:
            gc.collect()


def test_there_are_many_different_ones():
    assert len(CORPUS) >= 250
    assert len({each.id for each in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("faulty", CORPUS)
def test_the_diagnosis_names_what_is_wrong_and_what_to_do(faulty: Faulty):
    failure = failure_of(faulty.code)
    diagnosis = diagnose(failure)
    assert faulty.cause in diagnosis.immediate_cause
    for words in faulty.tips:
        assert any(words in tip for tip in diagnosis.suggestions), diagnosis.suggestions
    for words in faulty.factors:
        assert any(words in factor for factor in diagnosis.contributing_factors), diagnosis.contributing_factors
    if faulty.fix != "?":
        assert diagnosis.suggested_fix == faulty.fix
    if faulty.line != "?":
        assert FailureContext(failure).line == faulty.line


@pytest.mark.parametrize("faulty", CORPUS)
def test_no_sentence_has_a_hole_in_it(faulty: Faulty):
    diagnosis = diagnose(failure_of(faulty.code))
    sentences = [diagnosis.immediate_cause, diagnosis.context, *diagnosis.contributing_factors, *diagnosis.suggestions]
    assert 1 <= len(diagnosis.suggestions) <= 5
    assert len(set(diagnosis.suggestions)) == len(diagnosis.suggestions)
    for sentence in sentences:
        assert sentence.strip(), sentences
        assert len(sentence) < 460
        # A place of a template that nothing filled, or a value of ours that slipped in.
        assert not re.search(r"<(?:a )?(?:target|index|left|right|marked|code|line|kind|got|name|path|what)>", sentence)
        assert "line None" not in sentence


@pytest.mark.parametrize("faulty", CORPUS)
def test_a_correction_lets_the_program_get_past_its_failure(faulty: Faulty):
    failure = failure_of(faulty.code)
    diagnosis = diagnose(failure)
    if diagnosis.suggested_fix is None:
        return
    again = raised_by(applied(faulty.code, diagnosis.suggested_fix, str(diagnosis.specifics["fix_applies_to"])))
    if again is None:
        return
    before, line = (failure.error_type, failure.message), FailureContext(failure).line
    after = failure_of(applied(faulty.code, diagnosis.suggested_fix, str(diagnosis.specifics["fix_applies_to"])))
    # What is not installed is another matter; and a program with two faults shows the second one.
    assert (after.error_type, after.message) != before or (FailureContext(after).line or 0) > (line or 0)


def applied(code: str, fix: str, where: str) -> str:
    if where == "a new line at the top":
        return f"{fix}\n{code}"
    lines = code.split("\n")
    if where.startswith("a new line before line "):
        lines.insert(int(where.removeprefix("a new line before line ")) - 1, fix)
        return "\n".join(lines)
    lines[int(where.removeprefix("line ")) - 1] = fix
    return "\n".join(lines)
