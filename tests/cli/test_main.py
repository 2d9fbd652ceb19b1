from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

import resilience as toolkit
from tests.cli.conftest import in_own_process


def test_without_a_command_the_help_is_printed(resilience):
    run = resilience()
    assert run.code == 0
    assert run.out == resilience("--help").out
    for words in (
        "resilience demo",
        "resilience call https://",
        "resilience explain status 503",
        "resilience circuits",
        "exit codes:",
        "130",
    ):
        assert words in run.out


@pytest.mark.parametrize("command", ["demo", "call", "explain", "circuits"])
def test_each_command_explains_itself(resilience, command):
    run = resilience(command, "--help")
    assert run.code == 0
    assert "exit codes: 0" in run.out
    assert "--json" in run.out


def test_the_version_is_the_librarys(resilience):
    run = resilience("--version")
    assert (run.code, run.out) == (0, f"resilience {toolkit.__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("explain",),
        ("call",),
        ("call", "http://x", "--attempts", "0"),
        ("call", "http://x", "--attempts", "three"),
        ("call", "http://x", "--timeout", "0"),
        ("call", "http://x", "--timeout", "nan"),
        ("call", "http://x", "--method", "GE T"),
        ("demo", "--seconds", "1"),
        ("demo", "--rate", "0"),
        ("demo", "--seed", "x"),
        ("demo", "--backend", "gevent"),
        ("circuits",),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(resilience, arguments):
    run = resilience(*arguments)
    assert run.code == 2
    assert run.out == ""
    assert run.complaint.startswith("resilience")


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("httpx", ("call", "http://x")),
        ("httpx", ("demo",)),
        ("rich", ("demo",)),
        ("trio", ("demo", "--backend", "trio")),
    ],
)
def test_a_missing_library_is_one_line_that_says_how_to_install_it(resilience, monkeypatch, missing, arguments):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == missing else real(name, *rest))
    run = resilience(*arguments)
    assert run.code == 2
    assert f"{missing} is missing; install it with: pip install " in run.complaint


def test_explain_needs_neither_httpx_nor_rich():
    script = (
        "import sys; sys.modules['httpx'] = sys.modules['rich'] = None\n"
        "from resilience.cli import main; sys.exit(main(['explain', 'httpx.ReadTimeout']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[0], done.stderr) == (0, "timeout", "")


def test_it_runs_as_a_module():
    run = in_own_process("explain", "status", "503", "--json")
    assert (run.code, run.err) == (0, "")
    assert run.document["category"] == "unavailable"


def test_a_reader_who_leaves_early_sees_no_traceback():
    process = subprocess.Popen(
        [sys.executable, "-m", "resilience.cli", "explain", "503"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()  # long before Python has started
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1
