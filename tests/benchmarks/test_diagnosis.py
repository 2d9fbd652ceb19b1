"""The corpus of faulty programs keeps its rules, and our reports of it their targets."""

from __future__ import annotations

import gc
import os
import warnings

import pytest

from benchmarks.diagnosis import judging, page
from benchmarks.diagnosis.corpus import Program, programs
from benchmarks.diagnosis.reader import obeyed, read
from benchmarks.diagnosis.verdicts import leads_away, verdict


@pytest.fixture(scope="module")
def standard() -> list[judging.Result]:
    """The part of the corpus that needs the standard library alone."""
    chosen = [each for each in programs() if each.is_standard]
    return judging.judge(chosen, ["resilience", "traceback"])


def test_the_corpus_is_large_and_a_good_half_of_it_uses_libraries():
    assert len(programs()) >= 150
    assert len([each for each in programs() if not each.is_standard]) >= 70


def test_programs_that_are_held_out_are_others_than_those_of_the_corpus():
    held, known = programs("holdout"), programs()
    assert len(held) >= 60
    assert not {each.name for each in held} & {each.name for each in known}
    assert not {each.code for each in held} & {each.code for each in known}


@pytest.mark.slow  # runs two hundred programs
@pytest.mark.filterwarnings("ignore")
def test_reports_of_the_standard_part_keep_the_targets(standard: list[judging.Result]):
    assert judging.missed(judging.document(standard)) == []


@pytest.mark.slow  # runs two hundred programs
@pytest.mark.filterwarnings("ignore")
def test_no_report_of_it_is_longer_than_the_traceback_plus_a_third(standard: list[judging.Result]):
    # By the estimate, where no tokenizer is installed.
    assert [each.program.name for each in standard if each.tokens["resilience"] > 1.4 * each.tokens["traceback"]] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_reports_of_all_that_is_installed_keep_the_targets():
    pytest.importorskip("pandas")
    os.environ["MPLBACKEND"] = "Agg"
    chosen = [each for each in programs() if each.runs_here]
    found = judging.document(judging.judge(chosen, ["resilience", "traceback"]))
    assert judging.missed(found) == []
    assert "| resilience |" in page.markdown(found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_report_of_a_program_that_is_held_out_leads_away():
    pytest.importorskip("pandas")
    os.environ["MPLBACKEND"] = "Agg"
    chosen = [each for each in programs("holdout") if each.runs_here]
    results = judging.judge(chosen, ["resilience"])
    assert [each.program.name for each in results if each.verdicts["resilience"] == "away"] == []


def test_what_a_program_has_not_awaited_is_collected_before_another_test_begins():
    (left,) = [each for each in programs() if each.name == "asyncio-not-awaited"]
    judging.judge([left], ["resilience"])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        gc.collect()
    assert [each.message for each in seen] == []


def program(**given: object) -> Program:
    return Program(
        **{
            "name": "one",
            "group": "standard",
            "code": "print(totl)\n",
            "corrected": "print(total)\n",
            "lines": frozenset({1}),
            "new_words": frozenset({"total"}),
            "fix": "",
            "evidence": "",
            "away": "",
            **given,
        }
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write total instead of totl.", "fix"),
        ("  > 1 | print(totl)\n  total = 3", "fix"),
        ("NameError: name 'totl' is not defined", "nothing"),
        ("Did you mean: 'tool'?", "away"),
        ("Install it: pip install totl", "away"),
    ],
)
def test_a_verdict_follows_from_the_text_alone(text: str, expected: str):
    assert verdict(program(), text) == expected


def test_a_program_that_is_repeated_names_nothing():
    given = program(code="total = 3\nprint(totl)\n")
    assert verdict(given, "  1 | total = 3\n> 2 | print(totl)") == "evidence"


def test_a_forbidden_word_leads_away():
    assert list(leads_away(program(away="remove"), "remove it")) == ["says 'remove'"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- Corrected line 2: b = 3", "a = 1\nb = 3\n"),
        ("- Insert before line 1: import math", "import math\na = 1\nb = 2\n"),
        ("X on line 2: y\n- Write c instead of b.", "a = 1\nc = 2\n"),
        ("X on line 2: y\n- Look at it.", None),
    ],
)
def test_a_reader_does_what_the_first_suggestion_says(text: str, expected: str | None):
    assert obeyed("a = 1\nb = 2\n", text) == expected


@pytest.mark.filterwarnings("ignore")
def test_a_reader_that_is_sent_round_in_circles_is_found_out():
    texts = iter(["- Corrected line 1: print(b)", "- Corrected line 1: print(a)"])
    found = read("print(a)\n", "", lambda _: next(texts))
    assert found.loops
    assert not found.works
