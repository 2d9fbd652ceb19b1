"""`resilience run`: scripts in real processes."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import pytest

from resilience.categories import ErrorCategory
from resilience.cli.script import EXIT_CODES, OTHER_FAILURE
from tests.cli.conftest import HEEDING_CTRL_C

pytestmark = pytest.mark.skipif(os.name != "posix", reason="executions need POSIX")


@pytest.fixture
def script(tmp_path: pathlib.Path):
    def write(text: str | bytes) -> str:
        path = tmp_path / "script.py"
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return str(path)

    return write


def test_what_a_script_prints_is_all_of_stdout(resilience, script):
    run = resilience("run", script("print('hello')\nx = 1\nx + 1\n"))
    assert (run.code, run.out) == (0, "hello\n")
    assert "done after" in run.complaint


def test_a_failure_is_explained_after_what_was_printed(resilience, script):
    path = script(
        """
        prices = [1, 2]
        print("before")
        print(sum(price))
        """
    )
    run = resilience("run", path)
    assert run.code == EXIT_CODES[ErrorCategory.RUNTIME] == 11
    assert run.out == "before\n"
    for said in (f"{path}, line 4", "> 4 | print(sum(price))", "Cause:", "Write prices instead of price", "Recovery:"):
        assert said in run.err


@pytest.mark.parametrize(
    ("text", "category", "options"),
    [
        ("x = = 1", "syntax_error", ()),
        ("1 / 0", "runtime_error", ()),
        ("import nonexistent_library", "import_error", ("--level", "permissive")),
        ("import os", "security_error", ()),
        ("while True: pass", "timeout_error", ("--timeout", "0.2")),
        ("x = bytearray(10**11)", "memory_error", ("--memory", "64MB")),
        ("import os; os._exit(0)", "internal", ("--level", "permissive")),
        (b"print('\xff')", "syntax_error", ()),
        (b"# coding: klingon\nprint(1)", "syntax_error", ()),
    ],
    ids=str,
)
def test_the_exit_code_and_the_document_have_the_category(resilience, script, text, category, options):
    run = resilience("run", script(text), "--json", *options)
    assert run.document["error_category"] == category
    assert run.document["success"] is False
    assert run.code == EXIT_CODES[ErrorCategory(category)]


def test_a_traceback_that_the_report_covers_is_not_shown_twice(resilience, script):
    run = resilience("run", script("import sys\nprint('oops', file=sys.stderr)\n1 / 0\n"), "--level", "permissive")
    assert run.err.startswith("oops\n")
    assert "Traceback" not in run.err
    assert resilience("run", script("x = = 1")).err.startswith("\nSyntaxError on line 1: invalid syntax")
    own = "import sys\nprint('Traceback (most recent call last):\\n  of my own', file=sys.stderr)\n"
    run = resilience("run", script(own), "--level", "permissive")
    assert run.err.startswith("Traceback (most recent call last):\n  of my own\n")


def test_exit_codes_are_not_renumbered():
    assert {category.label: code for category, code in EXIT_CODES.items()} == {
        "syntax_error": 10,
        "runtime_error": 11,
        "import_error": 12,
        "security_error": 13,
        "timeout_error": 14,
        "memory_error": 15,
        "internal": 16,
        "configuration": 17,
    }
    assert OTHER_FAILURE == 18


def test_with_json_the_script_prints_on_stderr_and_stdout_is_one_document(resilience, script):
    run = resilience("run", script("print('hello')\n6 * 7\n"), "--json", "--detail", "1")
    assert run.document["execution_result"]["return_value"] == 42
    assert run.document["execution_result"]["stdout"] == "hello\n"
    assert run.err == "hello\n"


def test_lines_are_reported_as_they_are_reached(resilience, script):
    run = resilience("run", script("x = 1\n\nprint(x)\n"), "--trace")
    assert run.err.splitlines()[:2] == ["line 1", "line 3"]


def test_modules_may_be_allowed_and_a_directory_given(resilience, script, tmp_path):
    (tmp_path / "data.txt").write_text("from the directory")
    text = "import textwrap\nprint(textwrap.dedent(open('data.txt').read()))\n"
    run = resilience("run", script(text), "--level", "moderate", "--allow", "textwrap", "--directory", str(tmp_path))
    assert (run.code, run.out) == (0, "from the directory\n"), run.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--level", "strct"), "did you mean 'strict'?"),
        (("--memory", "lots"), "give a size such as '100MB'"),
        (("--memory", "lots"), "resilience run: --memory lots: give a size"),
        (("--memory", "12"), "resilience run: --memory 12 is 12 bytes; give a size such as 100MB or 1GB"),
        (("--allow", "no-name"), "resilience run: --allow: 'no-name' is no name"),
        (("--directory", "/nonexistent"), "resilience run: --directory /nonexistent: give a directory that exists"),
        (("--level", "custom"), "--level 'custom' is not one of strict, moderate, permissive"),
        (("--timeout", "0"), "is not a number from"),
    ],
    ids=str,
)
def test_invalid_options_are_reported_in_one_line(resilience, script, options, said):
    run = resilience("run", script("1"), *options)
    assert run.code == 2
    assert said in run.complaint


@pytest.mark.parametrize(
    ("text", "options", "advice"),
    [
        ("import os", (), "If it is needed, allow it: --allow os."),
        ("open('/etc/passwd')", (), "run the code at a higher level: --level moderate."),
        ("import socket; socket.socket()", ("--level", "moderate"), "--allow socket"),
    ],
)
def test_advice_is_in_the_words_of_the_command_line(resilience, script, text, options, advice):
    path = script(text)
    run = resilience("run", path, *options)
    assert advice in run.err
    document = resilience("run", path, "--json", *options).out
    assert advice in document
    for said in (run.err, document):
        for parameter in ("allowed_imports", "security_level=", "memory_limit=", "working_directory="):
            assert parameter not in said


def test_a_file_that_is_not_there(resilience):
    run = resilience("run", "nonexistent.py")
    assert run.code == 2
    assert run.complaint.startswith("resilience run: nonexistent.py cannot be read")


def test_a_script_comes_from_stdin_too():
    command = [sys.executable, "-m", "resilience.cli", "run", "-", "--json"]
    done = subprocess.run(command, input=b"20 + 22", capture_output=True, timeout=60, check=False)
    assert done.returncode == 0
    assert b'"return_value": 42' in done.stdout


def test_ctrl_c_ends_the_script_and_everything_it_started(script, tmp_path):
    text = "import os, time\nopen('pid', 'w').write(str(os.getpid()))\nprint('ready', flush=True)\ntime.sleep(60)\n"
    options = ["--level", "permissive", "--directory", str(tmp_path)]
    command = [sys.executable, "-c", HEEDING_CTRL_C, "run", script(text), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
