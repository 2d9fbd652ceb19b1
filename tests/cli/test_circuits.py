"""`resilience circuits` in a process of its own, on applications written to a directory."""

from __future__ import annotations

import os
import pathlib
import pty
import re
import subprocess
import sys
import termios
import textwrap

import pytest

from tests.cli.conftest import Run, in_own_process

pytestmark = pytest.mark.slow  # each command is a process

SHOP = """
    from contextlib import suppress

    from resilience import Pipeline, circuit_breaker, retry_on_category

    print("the shop is open")  # applications do, and it must not spoil a document

    billing = circuit_breaker("billing", failure_threshold=2, reset_timeout=30)
    hosts = circuit_breaker("hosts", failure_rate=0.5, key=lambda host: host)
    circuit_breaker("without a reference")

    @retry_on_category(attempts=1)
    @billing
    def charge():
        raise TimeoutError

    @hosts
    def fetch(host):
        return host

    @circuit_breaker("stock", per_instance=True)
    class Stock:
        def count(self): ...

    nightly = Pipeline(circuit_breaker("nightly"))
    nightly.policies()[0].owner.isolate()

    class app: ...

    for _ in range(2):
        with suppress(TimeoutError):
            charge()
    fetch("a.example.org")
"""


class Directory:
    """The directory of an application, in which the command runs."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def holds(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text))

    def run(self, *arguments: str) -> Run:
        return in_own_process("circuits", *arguments, cwd=self.path)

    def on_a_terminal(self, *arguments: str, columns: int) -> str:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (50, columns))
        program = [sys.executable, "-m", "resilience.cli", "circuits", *arguments]
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        with subprocess.Popen(
            program, cwd=self.path, stdout=theirs, stderr=subprocess.DEVNULL, env=kept | {"TERM": "xterm"}
        ) as process:
            os.close(theirs)
            shown = b""
            try:
                while part := os.read(ours, 65536):
                    shown += part
            except OSError:  # Linux: the reader is gone
                pass
            os.close(ours)
        assert process.returncode == 0
        return shown.decode().replace("\r\n", "\n")


@pytest.fixture
def directory(tmp_path):
    return Directory(tmp_path)


@pytest.fixture
def shop(directory):
    directory.holds("shop/__init__.py", "")
    directory.holds("shop/main.py", SHOP)
    return directory


def names(run: Run) -> list[tuple[str, str | None]]:
    return [(circuit["name"], circuit["key"]) for circuit in run.document["circuits"]]


def test_an_application_is_imported_and_its_circuits_are_one_document(shop):
    run = shop.run("shop.main", "--json")
    assert run.code == 0
    assert run.err == "the shop is open\n"
    assert names(run) == [
        ("billing", None),
        ("hosts", None),
        ("hosts", "a.example.org"),
        ("nightly", None),
        ("stock", None),
    ]
    assert run.document["application"] == "shop.main"
    assert "a running service has its own" in run.document["note"]
    billing = run.document["circuits"][0]
    assert billing["parameters"] == "failure_threshold=2, reset_timeout=30"
    assert (billing["state"], billing["failures_in_a_row"], billing["last_category"]) == ("open", 2, "timeout")
    assert 0 < billing["next_probe"] <= 30


def test_in_a_pipe_it_is_a_plain_table(shop):
    run = shop.run("shop.main")
    assert run.code == 0
    lines = run.out.splitlines()
    assert lines[0] == "4 circuits after importing shop.main"
    cells = [re.split("  +", line) for line in lines[2:8]]
    heads = ["name", "key", "state", "mode", "since", "failed in a row", "failed of last", "last", "next probe"]
    assert cells[0] == heads
    since = cells[1][2]
    assert re.fullmatch(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d", since)
    assert cells[1] == ["billing", "open", since, "2", "timeout", cells[1][-1]]
    assert re.fullmatch(r"in \d\d\.\d s", cells[1][-1])
    assert cells[2][:3] + cells[2][4:] == ["hosts", "(each key)", "closed", "0", "no calls"]
    assert cells[3][:3] + cells[3][4:] == ["hosts", "a.example.org", "closed", "0", "0% of 1"]
    assert cells[4][:3] == ["nightly", "open", "isolated"]
    assert cells[5][:3] == ["stock", "(each instance)", "closed"]
    assert "billing  failure_threshold=2, reset_timeout=30" in lines
    assert "a running service has its own" in lines[-2]
    assert lines[-1].endswith("mount resilience.admin.admin() in the service, and give its --url.")


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("charge", ["billing"]),
        ("billing", ["billing"]),
        ("fetch", ["hosts", "hosts"]),
        ("Stock", ["stock"]),
        ("Stock.count", ["stock"]),
        ("nightly", ["nightly"]),
        ("app", ["billing", "hosts", "hosts", "nightly", "stock"]),
    ],
)
def test_an_attribute_narrows_it_to_what_guards_that(shop, attribute, expected):
    run = shop.run(f"shop.main:{attribute}", "--json")
    assert [name for name, _ in names(run)] == expected


def test_on_a_wide_terminal_it_is_a_table_with_colour(shop):
    shown = shop.on_a_terminal("shop.main", columns=140)
    assert "\x1b[31mopen" in shown
    assert "─" in shown
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in shown.splitlines()) <= 140


def test_on_a_narrow_terminal_each_circuit_is_a_block_of_lines(shop):
    shown = shop.on_a_terminal("shop.main", columns=40)
    assert "\nhosts a.example.org\n  state            closed\n" in shown
    assert "\nhosts (each key)\n" in shown
    assert "  set to           failure_threshold=2,\n                   reset_timeout=30\n" in shown
    assert max(map(len, shown.splitlines())) <= 60


def test_without_circuits_it_says_so(directory):
    directory.holds("plain.py", "")
    run = directory.run("plain")
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("plain defines no circuits: ")
    document = directory.run("plain", "--json").document
    assert document["circuits"] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("shopp", "there is no module 'shopp', neither in this directory ("),
        ("shopp", "did you mean shop?"),
        ("warehouse", "run this in the directory that holds it"),
        ("shop.man", "there is no 'man' in 'shop'; did you mean shop.main?"),
        ("shop.main:ap", "there is no 'ap' in it; did you mean 'app'?"),
        ("shop/main.py", "give it as Python imports it: shop.main"),
        ("./shop/main.py", "give it as Python imports it: shop.main"),
        ("shop main", "give it as Python imports it, such as shop.main"),
        ("", "'' cannot be a module"),
        ("shop:", "'shop:' cannot be a module"),
    ],
)
def test_what_cannot_be_found_is_one_line_with_what_to_do_and_exit_code_2(shop, given, said):
    run = shop.run(given)
    assert (run.code, run.out) == (2, "")
    (line,) = [line for line in run.err.splitlines() if line != "the shop is open"]
    assert line.startswith("resilience circuits: ")
    assert said in line


DEEP = "\n".join(
    [*(f"def f{number}(): f{number + 1}()" for number in range(5)), "def f5(): raise KeyError('SETTINGS')", "f0()"]
)


@pytest.mark.parametrize(
    ("text", "traceback", "line"),
    [
        ("1/0", "ZeroDivisionError: division by zero", "ZeroDivisionError: division by zero; check that `python -c"),
        ("import nosuchlib", "ModuleNotFoundError", f"install nosuchlib where this runs: {sys.executable}"),
        (
            "import sys; sys.exit(3)",
            "SystemExit: 3",
            "SystemExit: 3; put the call that ends the program under if __name__",
        ),
        ("(", "SyntaxError: '(' was never closed", "SyntaxError"),
        (DEEP, "... 4 more", "KeyError: 'SETTINGS'"),
    ],
)
def test_an_application_that_raises_is_shown_by_its_last_frames_and_exit_code_1(directory, text, traceback, line):
    directory.holds("broken.py", text)
    run = directory.run("broken", "--json")
    assert run.code == run.document["exit_code"] == 1
    assert run.err.startswith("Traceback (most recent call last):\n")
    assert traceback in run.err
    assert "importlib" not in run.err
    assert run.err.count("  File ") <= 3
    last = run.err.splitlines()[-1]
    assert last.startswith("resilience circuits: broken raised while it was imported: ")
    assert line in last
    assert run.document["error"] in last


def test_a_key_cannot_break_the_table(directory):
    directory.holds(
        "odd.py",
        """
        from resilience import circuit_breaker
        @circuit_breaker("odd", key=lambda key: key)
        def call(key): ...
        call("a\\nb\\x1b[31m")
        """,
    )
    assert "a?b?[31m" in directory.run("odd").out
    assert directory.run("odd", "--json").document["circuits"][1]["key"] == "a\nb\x1b[31m"


def test_it_needs_neither_httpx_nor_rich(shop):
    script = (
        "import sys; sys.modules['httpx'] = sys.modules['rich'] = None\n"
        "from resilience.cli import main; sys.exit(main(['circuits', 'shop.main']))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=shop.path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "4 circuits after importing shop.main")


def test_the_installed_command_finds_the_application_in_the_current_directory(shop):
    # A console script has its own directory in sys.path, not the current one.
    script = (
        "import sys; sys.path.remove(''); from resilience.cli import main; sys.exit(main(['circuits', 'shop.main']))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=shop.path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "the shop is open\n")
