from __future__ import annotations

import importlib.util
import os
import pathlib
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


COMMANDS = ["", "demo", "call", "explain", "circuits", "codes", "run", "report", "schema"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_fits_80_columns(resilience, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    for line in resilience(*filter(None, [command]), "--help").out.splitlines():
        assert len(line) <= 80, line


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


@pytest.mark.parametrize("module", ["resilience", "resilience.cli"])
def test_it_runs_as_a_module(module):
    run = in_own_process("explain", "status", "503", "--json", module=module)
    assert (run.code, run.err) == (0, "")
    assert run.document["category"] == "unavailable"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("exlpain", "503"),
            "resilience: there is no command 'exlpain'; did you mean 'explain'? See `resilience --help`",
        ),
        (("circuit", "shop"), "there is no command 'circuit'; did you mean 'circuits'?"),
        (("--verison",), "resilience: unrecognized arguments: --verison; did you mean '--version'?"),
        (("demo", "--secnds", "3"), "resilience demo: unrecognized arguments: --secnds 3; did you mean '--seconds'?"),
        (("call", "http://x", "--tmieout=3"), "did you mean '--timeout'? See `resilience call --help`"),
        (("explain", "503", "--jsn"), "did you mean '--json'?"),
        (
            ("run", "x.py", "--level", "strct"),
            "--level 'strct' is not one of strict, moderate, permissive; did you mean",
        ),
        (("demo", "--backend", "tiro"), "--backend 'tiro' is not one of asyncio, trio; did you mean 'trio'?"),
        (("schema", "reprot"), "did you mean 'report'?"),
    ],
    ids=str,
)
def test_a_misspelt_command_option_or_choice_is_answered_with_the_right_one(resilience, arguments, said):
    run = resilience(*arguments)
    assert (run.code, run.out) == (2, "")
    assert said in run.complaint


def test_an_argument_that_resembles_nothing_is_answered_with_the_choices(resilience):
    assert "'zzz' is not one of demo, call, explain" in resilience("zzz").complaint
    assert "unrecognized arguments: --zzz; see" in resilience("demo", "--zzz").complaint


FULL = pathlib.Path("/dev/full")
EACH_COMMAND = [
    ("--help",),
    ("--version",),
    ("explain", "503"),
    ("explain", "503", "--json"),
    ("codes",),
    ("schema", "report"),
    ("circuits", "json"),
    ("lint", "json"),
    ("report", "-"),
    ("demo", "--seconds", "3"),
    ("demo", "--seconds", "3", "--backend", "trio"),
    ("run", "-"),
    ("call", "http://127.0.0.1:9/", "--attempts", "2"),
    ("explain", "--list"),
]
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
SOURCE = b"print('hello')\nTraceback (most recent call last):\n  File 'a', line 1, in a\nKeyError: 'a'\n"


@pytest.mark.slow  # a process for each command
@pytest.mark.skipif(os.name != "posix", reason="the demo needs POSIX")
@pytest.mark.parametrize("arguments", EACH_COMMAND, ids=str)
def test_a_reader_who_leaves_early_sees_no_traceback(arguments):
    with subprocess.Popen(
        [sys.executable, "-m", "resilience", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BUFFERED,
    ) as process:
        process.stdout.close()  # long before Python has started
        process.stdout = None
        _, err = process.communicate(SOURCE, timeout=60)
    assert b'Traceback (most recent call last):\n  File "/' not in err
    assert b"BrokenPipe" not in err
    assert process.returncode == (10 if arguments == ("run", "-") else 1), err


AFTER_A_LINE = [
    ("demo", "--seconds", "3"),
    ("demo", "--seconds", "3", "--backend", "trio"),
    ("call", "http://127.0.0.1:9/", "--attempts", "2"),
    ("call", "http://127.0.0.1:9/", "--attempts", "2", "--backend", "trio"),
    ("run", "-"),
]


@pytest.mark.slow  # a process for each command
@pytest.mark.skipif(os.name != "posix", reason="the demo needs POSIX")
@pytest.mark.parametrize("arguments", AFTER_A_LINE, ids=str)
def test_a_reader_who_leaves_after_the_first_line_sees_no_traceback(arguments):
    script = b"for number in range(20_000): print(number, 'x' * 80)"
    with subprocess.Popen(
        [sys.executable, "-m", "resilience", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BUFFERED,
    ) as process:
        process.stdin.write(script)
        process.stdin.close()
        process.stdin = None
        assert process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=60)
    assert b"Traceback" not in err
    assert b"BrokenPipe" not in err
    assert process.returncode == 1, err


@pytest.mark.slow  # a process for each command
@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "arguments", [("explain", "503"), ("--help",), ("demo", "--seconds", "3"), ("call", "http://127.0.0.1:9/")], ids=str
)
def test_a_full_disk_is_one_line(arguments):
    with FULL.open("wb") as full:
        command = [sys.executable, "-m", "resilience", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=BUFFERED, check=False)
    assert done.stderr == b"resilience: the output cannot be written: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.skipif(os.name != "posix", reason="a shell closes a stream")
def test_a_closed_stdout_is_no_failure():
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m resilience explain 503 >&-', sys.executable], stderr=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
