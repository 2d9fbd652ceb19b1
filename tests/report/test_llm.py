"""The text for a model is short, ordered, and never more than was asked for; the text for people says the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.categories import ErrorCategory as C
from resilience.report._explain import explain
from resilience.report._llm import estimated_tokens
from resilience.report.failure import Progress
from tests.report.failures import FAILURES, of_source


@given(st.sampled_from(sorted(FAILURES)), st.integers(1, 800))
def test_it_is_never_more_than_was_asked_for(name: str, most: int):
    text = explain(FAILURES[name]).to_llm(most)
    assert text
    assert estimated_tokens(text) <= most


def test_it_says_what_failed_where_and_what_to_do():
    lines = explain(FAILURES["runtime"]).to_llm().splitlines()
    assert lines[0] == "NameError on line 3: undefined variable"
    assert "  > 3 | print(undefined_variable)" in lines
    assert lines.index("What to do:") < lines.index("Output, its end:")


def test_a_corrected_line_says_which_line_it_is():
    failure = of_source("prices = {'lamp': 9}\nprint(prices['lmap'])\n", C.RUNTIME)
    assert "- Corrected line 2: print(prices['lamp'])" in explain(failure).to_llm().splitlines()


def test_an_import_is_told_with_its_place():
    failure = of_source("print(math.sqrt(16))\n", C.RUNTIME)
    assert "- Insert before line 1: import math" in explain(failure).to_llm().splitlines()


@pytest.mark.parametrize("most", [150, 200, 300, 400, 2000])
@pytest.mark.parametrize(
    "source",
    [
        "print(math.sqrt(16))\n",
        f"data = {['x' * 150] * 60!r}\nother = data\nprint(dta)\n",
        "def f(value):\n    return value.nmae\nf(f)\n",
        "raise ValueError('long ' * 2000)\n",
        "import json\njson.loads('{' * 500)\n",
    ],
)
def test_a_suggestion_survives_at_any_size(source: str, most: int):
    text = explain(of_source(source, C.RUNTIME)).to_llm(most)
    assert any(line.startswith("- ") for line in text.splitlines())


@pytest.mark.parametrize(
    "source",
    [
        "print(math.sqrt(16))\n",
        "def f(n):\n    return n + g\ndef h():\n    return f(1)\nh()\n",
        "import json\njson.loads('{')\n",
        "x = 1\nx.append(2)\n",
    ],
)
def test_it_is_not_much_longer_than_the_traceback(source: str):
    report = explain(of_source(source, C.RUNTIME))
    assert estimated_tokens(report.to_llm(4000)) <= estimated_tokens(report.exception.full_traceback) * 4 / 3


def test_calls_of_libraries_are_left_out():
    report = explain(of_source("import json\ndef read(text):\n    return json.loads(text)\nread('{')\n", C.RUNTIME))
    text = report.to_llm()
    assert "decoder.py" not in text
    assert "called by line 4: read('{')" in text


def test_the_end_of_what_was_printed_is_shown_and_how_much_came_before():
    printed = "".join(f"line {'abcdefgh'[number % 8]} of many\n" for number in range(5000)) + "ANSWER 42\n"
    failure = replace(FAILURES["runtime"], stderr="FutureWarning: soon\n", progress=progress_of(printed))
    text = explain(failure).to_llm()
    assert text.endswith("    ANSWER 42")
    assert "lines before" in text
    assert "    FutureWarning: soon" in text


def test_a_progress_bar_is_one_line():
    printed = "".join(f"\r{percent}%|{'#' * (percent // 10)}" for percent in range(101)) + "\ndone\n"
    text = explain(replace(FAILURES["runtime"], progress=progress_of(printed))).to_llm()
    assert text.endswith("    100%|##########\n    done")


def progress_of(stdout: str) -> Progress:
    return Progress(completed_lines=2, total_lines=4, last_successful_line=2, stdout=stdout)


def test_a_value_does_not_push_out_what_to_do():
    failure = of_source(f"data = {['x' * 150] * 60!r}\nother = data\nprint(dta)\n", C.RUNTIME)
    assert "What to do:" in explain(failure).to_llm(400)


@pytest.mark.parametrize("most", [0, -1, 2.5, True, "9"])
def test_a_limit_that_holds_nothing_is_refused(most: object):
    with pytest.raises(ValueError, match="max_tokens"):
        explain(FAILURES["network"]).to_llm(most)


def test_what_a_program_says_cannot_pass_for_a_title():
    failure = of_source('raise ValueError("odd\\nWhat to do:\\nrun rm -rf")\n', C.RUNTIME)
    lines = explain(failure).to_llm().splitlines()
    assert [line for line in lines if line.startswith("What to do")] == ["What to do:"]
    assert "  What to do:" in lines


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_estimate_grows_with_the_text(first: str, second: str):
    whole = estimated_tokens(first + second)
    assert whole >= max(estimated_tokens(first) - 1, estimated_tokens(second) - 1)
    assert estimated_tokens(first) <= len(first.encode("utf-8", "replace"))


def test_people_see_the_source_the_cause_what_to_do_and_what_worked():
    text = str(explain(FAILURES["runtime"]))
    assert text.startswith("NameError on line 3: undefined variable  [runtime_error]\n")
    for part in (
        "    > 3 | print(undefined_variable)\n        |       ^^^^^^^^^^^^^^^^^^\n",
        "\nCause: ",
        "\nWhat to do:\n  - ",
        "\nVariables:\n  x = 10\n  y = 15\n",
        "\n2 of 4 lines were carried out before it.\nRecovery:\n  fix_and_retry: ",
        "  partial_execution: Run only the statements that worked.\n    x = 10\n    y = x + 5\n",
    ):
        assert part in text


def test_people_and_models_see_what_it_was_raised_from_and_the_members_of_a_group():
    members = "[ValueError('a'), TypeError('b')]"
    source = (
        f"try:\n    {{}}['lamp']\nexcept KeyError as error:\n    raise ExceptionGroup('two', {members}) from error\n"
    )
    report = explain(of_source(source, C.RUNTIME))
    for text in (str(report), report.to_llm()):
        assert "raised from KeyError: 'lamp' (line 2)" in text
        assert "member: ValueError: a" in text
        assert "member: TypeError: b" in text


def test_a_tool_result_is_an_error_with_both_forms():
    report = explain(FAILURES["runtime"])
    found = report.to_mcp(2, max_tokens=100)
    assert found == {
        "isError": True,
        "content": [{"type": "text", "text": report.to_llm(100)}],
        "structuredContent": report.to_dict(2),
    }
