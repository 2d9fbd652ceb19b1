"""A captured exception is true, plain JSON, bounded and without secrets, whatever the exception does."""

from __future__ import annotations

import json
import linecache
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import resilience
from resilience.report._capture import capture
from tests.report.failing import captured, raised, taken
from tests.report.hostile import ERRORS

ROOT = Path(resilience.__file__).parent


def test_lines_columns_and_variables_are_those_of_the_failing_call():
    found = captured(
        """
        numbers = [10, 20, 30, 40]
        total = sum(numbers)

        def average(of, count):
            size = count
            return of / size

        average(total, 0)
        """
    )
    outer, inner = found["frames"]
    assert (outer["function"], outer["line"], outer["code"]) == ("<module>", 8, "average(total, 0)")
    assert inner == {
        "filename": "<string>",
        "function": "average",
        "line": 6,
        "end_line": 6,
        "column": 11,
        "end_column": 20,
        "code": "return of / size",
        "locals": {"of": 100, "count": 0, "size": 0},
    }
    assert found["globals"] == {"numbers": "[10, 20, 30, 40]", "total": 100}
    assert (found["type"], found["message"], found["relation"]) == ("ZeroDivisionError", "division by zero", "raised")
    assert found["bases"][:2] == ["builtins.ZeroDivisionError", "builtins.ArithmeticError"]


def test_columns_count_characters_and_not_bytes():
    (frame,) = captured('größe = {"ä": 1}; größe["ö"]')["frames"]
    assert (frame["column"], frame["end_column"]) == (18, 28)


def test_an_expression_over_several_lines_has_both_ends():
    (frame,) = captured("x = (1 +\n     2 /\n  0)\n")["frames"]
    assert (frame["line"], frame["end_line"]) == (2, 3)


def test_a_thousand_calls_of_one_function_are_shortened_with_the_number_left_out():
    found = captured("def down(n):\n    return down(n + 1)\n\ndown(0)\n")
    assert found["type"] == "RecursionError"
    assert [frame["function"] for frame in found["frames"]] == ["<module>", "down", "down", "down"]
    assert found["frames"][1]["locals"] == {"n": 0}
    assert found["frames"][-1]["locals"]["n"] > 800
    assert found["frames_dropped"] > 800
    assert "[Previous line repeated" in found["traceback"]


def test_functions_that_call_each_other_without_end_are_bounded_too():
    found = captured("def a(n):\n    return b(n)\n\ndef b(n):\n    return a(n)\n\na(0)\n")
    assert len(found["frames"]) == 40
    assert len(found["traceback"]) < 20_100


def test_what_it_was_raised_from_comes_along():
    found = captured(
        """
        try:
            {}["lamp"]
        except KeyError as error:
            raise RuntimeError("no price") from error
        """
    )
    cause = found["cause"]
    assert cause is not None
    assert (cause["type"], cause["relation"], cause["frames"][0]["line"]) == ("KeyError", "cause", 2)
    assert cause["cause"] is None


def test_what_was_being_handled_comes_along_unless_it_is_suppressed():
    source = """
    try:
        {}["lamp"]
    except KeyError:
        raise RuntimeError("no price")"""
    cause = captured(source)["cause"]
    assert cause is not None
    assert cause["relation"] == "context"
    assert captured(f"{source} from None")["cause"] is None


def test_causes_that_go_round_in_a_ring_end():
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    found = capture(first)
    assert found["cause"] is not None
    assert found["cause"]["message"] == "second"
    assert found["cause"]["cause"] is None


def test_a_group_has_its_members_and_no_end_of_them():
    found = capture(taken(ExceptionGroup("many", [taken(ValueError(str(i))) for i in range(100)])))
    assert [member["message"] for member in found["members"]] == [str(i) for i in range(10)]
    assert {member["relation"] for member in found["members"]} == {"member"}
    json.dumps(found)


def test_a_chain_of_hundreds_is_bounded():
    error = ValueError("0")
    for number in range(1, 500):
        following = ValueError(str(number))
        following.__cause__ = error
        error = following
    found = capture(error)
    assert found["message"] == "499"
    assert len(json.dumps(found)) < 60_000


def test_a_syntax_error_has_its_place():
    with pytest.raises(SyntaxError) as caught:
        compile("x = 1\nif x = 5:\n    pass\n", "<string>", "exec")
    found = capture(caught.value)
    assert found["syntax"] == {
        "filename": "<string>",
        "line": 2,
        "end_line": 2,
        "column": 3,
        "end_column": 8,
        "code": "if x = 5:",
    }
    assert found["message"].startswith("invalid syntax")
    assert "line 2" not in found["message"]


def test_notes_codes_and_categories_that_an_exception_declares_are_kept():
    class Declared(Exception):
        code = "SHOP-E001"
        category = "validation"

    error = Declared("no")
    error.add_note("while closing the till")
    found = capture(error)
    assert (found["code"], found["category"]) == ("SHOP-E001", "validation")
    assert found["notes"] == ["while closing the till"]


@pytest.mark.parametrize("name", ERRORS)
def test_no_exception_breaks_it(name: str):
    error = ERRORS[name]()
    for each in (error, taken(error)):
        found = capture(each)
        assert found["type"] == type(error).__name__
        assert len(json.dumps(found)) < 60_000
        assert found["traceback"]


def test_a_signal_that_is_no_exception_passes():
    class TimeLimit(BaseException):
        pass

    class Interrupted(Exception):
        def __str__(self):
            raise TimeLimit

    with pytest.raises(TimeLimit):
        capture(Interrupted())


def test_calls_in_hidden_files_are_left_out_everywhere():
    source = (
        "def f():\n    1 / 0\n\ntry:\n    f()\nexcept ZeroDivisionError as error:\n    raise KeyError(1) from error\n"
    )
    try:
        exec(compile(source, "<string>", "exec"), {})
    except KeyError as error:
        found = capture(error, source=source, hidden=lambda filename: filename == __file__)
    assert [frame["filename"] for frame in found["frames"]] == ["<string>"]
    assert __file__ not in json.dumps(found)


def test_the_source_is_shown_and_not_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(linecache.cache, "<string>", raising=False)
    captured("1 / 0")
    assert "<string>" not in linecache.cache


def test_secrets_are_nowhere_in_what_leaves_the_process():
    found = captured(
        """
        api_key = "canary-12345"
        settings = {"db": {"password": "canary-67890"}}

        class Client:
            def __repr__(self):
                return "Client(canary-12345)"

        client = Client()
        message = "logging in with canary-12345 failed"
        raise RuntimeError("cannot use canary-67890")
        """
    )
    text = json.dumps({**found, "frames": [{**frame, "code": ""} for frame in found["frames"]]})
    assert "canary" not in text
    assert found["message"] == "cannot use [redacted]"


def test_it_takes_nothing_but_the_standard_library_and_little_of_that():
    program = textwrap.dedent(
        f"""
        import sys, types
        before = set(sys.modules)
        for name, path in (("resilience", ""), ("resilience.report", "/report"), ("resilience.errors", "/errors")):
            stand_in = types.ModuleType(name)
            stand_in.__path__ = [{str(ROOT)!r} + path]
            sys.modules[name] = stand_in
        from resilience.report._capture import capture
        print(sorted(name for name in set(sys.modules) - before if not name.startswith("resilience")))
        try:
            {{"a": 1}}["b"]
        except KeyError as error:
            found = capture(error)
        print(found["message"], sorted(name for name in sys.modules if name.startswith("resilience")))
        """
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    first, second = done.stdout.splitlines()
    assert set(eval(first)) <= {"__future__", "itertools", "types"}
    assert second == str(
        "'b' "
        + repr(
            [
                "resilience",
                "resilience.errors",
                "resilience.errors._secrets",
                "resilience.report",
                *(
                    f"resilience.report.{name}"
                    for name in (
                        "_call_hints",
                        "_capture",
                        "_frames",
                        "_hints",
                        "_path_redaction",
                        "_safe_repr",
                        "_static_introspection",
                        "_step_limit",
                        "_tracebacks",
                    )
                ),
            ]
        )
    )


def test_an_exception_that_was_never_raised_has_no_calls():
    found = capture(ValueError("quiet"))
    assert (found["frames"], found["globals"], found["hints"]) == ([], {}, {})
    assert found["traceback"] == "ValueError: quiet\n"


def test_what_is_raised_in_a_library_keeps_its_own_calls():
    frames = capture(raised("import json\njson.loads('{')\n"))["frames"]
    assert frames[0]["filename"] == "<string>"
    assert frames[-1]["filename"].endswith("decoder.py")
