"""The text of a traceback is CPython's own."""

from __future__ import annotations

import asyncio
import traceback

import pytest

from resilience.report._capture import capture
from resilience.report._tracebacks import MAX_TEXT, traceback_text
from tests.report.failing import raised, taken


def chained():
    try:
        {}["lamp"]
    except KeyError as error:
        raise ValueError("no price") from error


def handled(chars: str = "abc"):
    try:
        {}["lamp"]
    except KeyError:
        [1, 2][len(chars)] + 4


def grouped():
    errors = [taken(ValueError("one")), taken(TypeError("two")), taken(ExceptionGroup("inner", [KeyError(3)]))]
    raise ExceptionGroup("several", errors)


def recursive(depth: int = 0):
    return recursive(depth + 1)


def parsed():
    compile("x = (1,\ny = 2\n", "<string>", "exec")


def noted():
    error = ValueError("with notes")
    error.add_note("first\nsecond")
    raise error


def misspelt():
    return len([]).bit_lenght()


def unknown():
    return prnt("hello")  # noqa: F821


def multiline():
    return (
        1
        + 2
        / 0
    )  # fmt: skip


def in_a_library():
    asyncio.run(None)


@pytest.mark.parametrize(
    "fail",
    [chained, handled, grouped, recursive, parsed, noted, misspelt, unknown, multiline, in_a_library],
    ids=lambda fail: fail.__name__,
)
def test_it_is_what_cpython_prints(fail: object):
    try:
        fail()
    except Exception as error:
        expected = "".join(traceback.format_exception(error))
        assert traceback_text(error) == expected
        assert capture(error)["traceback"] == expected
    else:
        raise AssertionError


def test_the_lines_of_a_program_that_came_from_no_file_are_underlined():
    source = 'data = {"a": 1}\nprint(data["b"] + 1)\n'
    assert capture(raised(source), source=source)["traceback"] == (
        "Traceback (most recent call last):\n"
        '  File "<string>", line 2, in <module>\n'
        '    print(data["b"] + 1)\n'
        "          ~~~~^^^^^\n"
        "KeyError: 'b'\n"
    )


def test_a_very_long_text_loses_its_middle():
    text = traceback_text(taken(ValueError("x" * 1_000_000)))
    assert len(text) < MAX_TEXT + 100
    assert text.startswith("Traceback (most recent call last):\n")
    assert "more characters" in text
    assert text.endswith("xxx\n")


def test_functions_that_call_each_other_lose_the_calls_in_the_middle():
    error = raised("def a():\n    b()\n\ndef b():\n    a()\n\na()\n")
    text = traceback_text(error)
    assert "more calls]" in text
    assert text.count("File") == 100
    assert text.endswith("RecursionError: maximum recursion depth exceeded\n")


def test_an_object_with_endless_attributes_does_not_hold_it_up():
    class Endless:
        def __dir__(self):
            while True:
                pass

        def __getattr__(self, name):
            while True:
                pass

    error = taken(AttributeError("none", name="widht", obj=Endless()))
    assert "AttributeError" in traceback_text(error)
