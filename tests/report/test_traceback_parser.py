"""Tracebacks as they are found: in files, logs, terminals, notebooks."""

from __future__ import annotations

import importlib.util
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilience.categories import ErrorCategory
from resilience.report._traceback_parser import parse_traceback, report_of_text
from resilience.report.captured_exception import Captured

CHAIN = """
def find(prices, name):
    return prices[name]

def count(number):
    return count(number + 1)

try:
    try:
        find({"lamp": 9.5}, "lmap")
    except KeyError as error:
        raise ValueError("no price") from error
except ValueError as error:
    error.add_note("the shop is closed")
    try:
        count(1)
    except RecursionError:
        {NAMED}
"""
GROUP = 'raise ExceptionGroup("both", [ValueError("a"), ExceptionGroup("inner", [KeyError("k"), OSError(2, "gone")])])'


def printed(code: str, *options: str, **environment: str) -> str:
    """Run a program in a Python of its own; return what it prints of its failure."""
    done = subprocess.run(
        [sys.executable, "-I", *options, "-"],
        input=code,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    assert done.returncode == 1
    return done.stderr


def outline(raised: Captured) -> list[object]:
    """What hangs on what."""
    found: list[object] = [raised["relation"], raised["type"], raised["message"]]
    if raised["members"]:
        found.append([outline(member) for member in raised["members"]])
    if raised["cause"] is not None:
        found.append(outline(raised["cause"]))
    return found


@pytest.fixture(scope="module")
def chained() -> str:
    return printed(CHAIN.replace("{NAMED}", 'raise OSError(2, "no shop") from None'))


@pytest.fixture(scope="module")
def whole(chained: str) -> str:
    return printed(CHAIN.replace("{NAMED}", GROUP))


def test_a_real_traceback_is_read_with_all_that_led_to_it(whole: str):
    raised = parse_traceback(whole)
    assert outline(raised) == [
        "raised",
        "ExceptionGroup",
        "both (2 sub-exceptions)",
        [
            ["member", "ValueError", "a"],
            [
                "member",
                "ExceptionGroup",
                "inner (2 sub-exceptions)",
                [["member", "KeyError", "'k'"], ["member", "FileNotFoundError", "[Errno 2] gone"]],
            ],
        ],
        [
            "context",
            "RecursionError",
            "maximum recursion depth exceeded",
            ["context", "ValueError", "no price", ["cause", "KeyError", "'lmap'"]],
        ],
    ]
    recursion = raised["cause"]
    assert recursion["frames_dropped"] > 900
    assert recursion["cause"]["notes"] == ["the shop is closed"]
    assert [frame["function"] for frame in recursion["cause"]["cause"]["frames"]] == ["<module>", "find"]


def test_the_report_names_the_place_the_cause_and_what_to_do():
    code = "prices = {'lamp': 9.5}\ndef find(name):\n    return prices[name]\nfind('lmap')\n"
    text = in_a_file(code)
    report = report_of_text(text)
    assert (report.error_type, report.error_message, report.line_number) == ("KeyError", "'lmap'", 3)
    assert report.function_name == "find"
    assert report.code_line == "return prices[name]"
    assert "prices has no key 'lmap'" in report.immediate_cause
    assert report.suggestions
    assert "called from line 4" in report.context


def in_a_file(code: str) -> str:
    """What a program prints that has a file, with its lines and marks."""
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, "shop.py")
        file.write_text(code)
        done = subprocess.run([sys.executable, "-I", file], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done.stderr


def test_the_marks_of_a_traceback_show_the_failed_part_of_the_line():
    report = report_of_text(in_a_file("a = b = 4\nzero = 0\nx = (a / b) + (b / zero)\n"))
    assert "zero is 0 in b / zero" in report.immediate_cause


def test_what_python_proposes_itself_is_the_correction():
    report = report_of_text(in_a_file("total = 5\nprint(totl)\n"))
    assert report.suggested_fix == "print(total)"


@pytest.mark.parametrize(
    "prefix",
    ["    ", "\t", "2024-05-01 12:00:00,123 ERROR shop: ", "[worker-1] ", "web-1  | ", "E   ", "> ", "# ", "12:00 "],
)
def test_what_stands_in_front_of_each_line_is_taken_off(whole: str, prefix: str):
    text = "".join(f"{prefix}{line}\n" for line in whole.splitlines())
    assert outline(parse_traceback(f"all is well\n{text}all is well again\n")) == outline(parse_traceback(whole))


def test_times_in_front_of_the_lines_may_differ(chained: str):
    text = "".join(f"2024-05-01T12:00:{n % 60:02}Z {line}\n" for n, line in enumerate(chained.splitlines()))
    assert outline(parse_traceback(text)) == outline(parse_traceback(chained))


def test_a_logger_that_stands_in_front_of_the_first_line_only(capsys):
    logger, handler = logging.getLogger("saved"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    try:
        try:
            int("x")
        except ValueError:
            logger.exception("no number")
            logger.warning("going on")
    finally:
        logger.removeHandler(handler)
    raised = parse_traceback(capsys.readouterr().err)
    assert outline(raised) == ["raised", "ValueError", "invalid literal for int() with base 10: 'x'"]
    assert raised["notes"] == []


def test_lines_end_as_on_windows(chained: str):
    assert outline(parse_traceback(chained.replace("\n", "\r\n"))) == outline(parse_traceback(chained))


def test_a_log_of_json_documents(chained: str):
    text = json.dumps({"level": "error", "message": chained})
    assert outline(parse_traceback(text))[:2] == ["raised", "FileNotFoundError"]


def test_the_last_of_several_tracebacks_is_the_one(chained: str):
    text = f"{printed('1/0')}\nretrying\n{printed('[][0]')}"
    assert outline(parse_traceback(text)) == ["raised", "IndexError", "list index out of range"]


def test_what_python_only_mentions_of_a_destructor_is_not_the_failure():
    text = printed("class A:\n    def __del__(self): [][0]\na = A()\n1/0")
    assert text.index("ZeroDivisionError") < text.index("Exception ignored") < text.index("IndexError")
    assert parse_traceback(text)["type"] == "ZeroDivisionError"


def test_a_syntax_error_needs_no_header():
    report = report_of_text(printed("x = 1\nif x = 5:\n    pass\n"))
    assert (report.category, report.line_number, report.suggested_fix) == (ErrorCategory.SYNTAX, 2, "if x == 5:")


def test_a_syntax_error_of_another_file_is_placed_there():
    text = (
        'Traceback (most recent call last):\n  File "main.py", line 1, in <module>\n    import shop\n'
        '  File "shop.py", line 2\n    print "a"\n    ^^^^^^^^^\n'
        "SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)?\n"
    )
    report = report_of_text(text)
    assert (report.filename, report.line_number, report.suggested_fix) == ("shop.py", 2, 'print("a")')


@pytest.mark.skipif(sys.version_info < (3, 13), reason="colours came with 3.13")
def test_colours_are_taken_off():
    text = printed("1/0", FORCE_COLOR="1").replace("-I", "")
    assert outline(parse_traceback(text))[:2] == ["raised", "ZeroDivisionError"]


def test_colours_as_3_13_prints_them():
    text = (
        "Traceback (most recent call last):\n"
        '  File \x1b[35m"p.py"\x1b[0m, line \x1b[35m8\x1b[0m, in \x1b[35mrec\x1b[0m\n'
        "    return \x1b[31mrec\x1b[0m\x1b[1;31m(n+1)\x1b[0m\n"
        "           \x1b[31m~~~\x1b[0m\x1b[1;31m^^^^^\x1b[0m\n"
        "\x1b[1;35mTypeError\x1b[0m: \x1b[35mno\x1b[0m\n"
    )
    raised = parse_traceback(text)
    assert (raised["type"], raised["frames"][0]["line"], raised["hints"]["marked"]) == ("TypeError", 8, "rec(n+1)")


def test_as_python_3_8_printed_it():
    text = (
        "Traceback (most recent call last):\n"
        '  File "shop.py", line 9, in <module>\n'
        "    main()\n"
        '  File "shop.py", line 5, in main\n'
        "    print(total)\n"
        "UnboundLocalError: local variable 'total' referenced before assignment\n"
    )
    report = report_of_text(text)
    assert "'total'" in report.immediate_cause
    assert report.line_number == 5


def test_code_over_several_lines_as_3_13_shows_it():
    text = (
        "Traceback (most recent call last):\n"
        '  File "shop.py", line 1, in <module>\n'
        "    x = f(\n        1,\n    ...<2 lines>...\n        y / 0,\n    )\n"
        "ZeroDivisionError: division by zero\n"
    )
    raised = parse_traceback(text)
    assert raised["frames"][0]["code"] == "x = f("
    assert raised["type"] == "ZeroDivisionError"


@pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="needs IPython")
def test_what_a_notebook_shows():
    code = textwrap.dedent(
        """
        def find(name):
            return {"lamp": 9.5}[name]
        try:
            find("lmap")
        except KeyError as error:
            raise ValueError("no price") from error
        """
    )
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--quick", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    raised = parse_traceback(done.stdout + done.stderr)
    assert outline(raised) == ["raised", "ValueError", "no price", ["cause", "KeyError", "'lmap'"]]
    assert [(frame["function"], frame["line"]) for frame in raised["cause"]["frames"]] == [("<module>", 4), ("find", 2)]
    assert raised["cause"]["frames"][-1]["code"] == 'return {"lamp": 9.5}[name]'


def test_what_older_notebooks_show():
    text = (
        "---------------------------------------------------------------------------\n"
        "NameError                                 Traceback (most recent call last)\n"
        "<ipython-input-1-abcdef> in <module>\n"
        "      1 x = 1\n"
        "----> 2 print(totl)\n"
        "\n"
        "NameError: name 'totl' is not defined\n"
    )
    report = report_of_text(text)
    assert (report.line_number, report.code_line) == (2, "print(totl)")


def test_a_notebook_shows_a_syntax_error_without_a_header():
    text = (
        "  Cell In[1], line 1\n    if x = 5:\n       ^\n"
        "SyntaxError: invalid syntax. Maybe you meant '==' or ':=' instead of '='?\n"
    )
    assert report_of_text(text).suggested_fix == "if x == 5:"


@pytest.mark.parametrize(
    ("last", "category"),
    [
        ("httpx.ConnectTimeout: timed out", "timeout"),
        ("requests.exceptions.ConnectionError: no", "network"),
        ("sqlalchemy.exc.NoSuchOption", "unknown"),
        ("ConnectionResetError: [Errno 104] Connection reset by peer", "network"),
        ("OSError: [Errno 28] No space left on device", "capacity"),
        ("PermissionError: [Errno 13] Permission denied: 'x'", "authorization"),
        ("ModuleNotFoundError: No module named 'x'", "import_error"),
        ("MemoryError", "memory_error"),
        ("KeyboardInterrupt", "cancelled"),
        ("shop.errors.OutOfStock: no lamp", "unknown"),
        ("__main__.f.<locals>.Strange: no lamp", "unknown"),
    ],
)
def test_the_category_is_that_of_the_class_by_its_name(last: str, category: str):
    text = f'Traceback (most recent call last):\n  File "shop.py", line 1, in <module>\n    call()\n{last}\n'
    report = report_of_text(text)
    assert report.category.label == category
    assert report.suggestions


def test_a_file_that_a_text_names_is_not_read(tmp_path):
    secret = tmp_path / "secret.py"
    secret.write_text("first\ncall()\nthe treasure is under the tree\n")
    text = f'Traceback (most recent call last):\n  File "{secret}", line 2, in <module>\n    call()\nKeyError: 1\n'
    assert "treasure" not in json.dumps(report_of_text(text).to_dict(4))


@pytest.mark.parametrize("text", ["", "\n", "all is well", "Traceback (most recent call last):\n", "File x, line 1\n"])
def test_a_text_without_a_traceback_is_a_clear_error(text: str):
    assert parse_traceback(text) is None
    with pytest.raises(ValueError, match="there is no traceback in the text"):
        report_of_text(text)


PIECES = st.sampled_from(
    [
        "Traceback (most recent call last):",
        "  + Exception Group Traceback (most recent call last):",
        "ValueError          Traceback (most recent call last)",
        "Cell In[1], line 2",
        "----> 2 x",
        '  File "x.py", line 3, in f',
        '  File "x.py", line 3',
        '  |   File "x.py", line 3, in f',
        "    x = 1",
        "    ~~^~~",
        "  [Previous line repeated 3 more times]",
        "ValueError: no",
        "  | ValueError: no",
        "SyntaxError: no",
        "  +-+---------------- 1 ----------------",
        "    +---------------- 2 ----------------",
        "    | KeyError: 1",
        "    +------------------------------------",
        "The above exception was the direct cause of the following exception:",
        "During handling of the above exception, another exception occurred:",
        "",
    ]
)


@settings(max_examples=300)
@given(st.lists(PIECES | st.text(max_size=20), max_size=25))
def test_whatever_a_text_holds_it_is_read_or_refused(lines: list[str]):
    raised = parse_traceback("\n".join(lines))
    if raised is not None:
        assert raised["type"]
        json.dumps(report_of_text("\n".join(lines)).to_dict(4))


def test_a_long_text_takes_no_long_time(chained: str):
    text = "INFO nothing of interest here\n" * 60_000 + chained + "INFO\n" * 1000
    began = time.process_time()
    assert parse_traceback(text)["type"] == "FileNotFoundError"
    assert time.process_time() - began < 5


def test_a_saved_group_of_two_members_is_read_whole():
    def raised(error: Exception) -> Exception:
        try:
            raise error
        except Exception as caught:
            return caught

    try:
        raise ExceptionGroup("two failed", [raised(ValueError("first")), raised(KeyError("second"))])
    except ExceptionGroup as group:
        text = "".join(traceback.format_exception(group))
    report = report_of_text(text)
    assert report.error_type == "ExceptionGroup"
    assert [member.type for member in report.exception.members] == ["ValueError", "KeyError"]
