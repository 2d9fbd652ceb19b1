"""Mutation testing: each kind of mistake, the choice of the tests, and a mutant of each end."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest

from benchmarks.mutants.__main__ import main
from benchmarks.mutants.mutations import Mutation, mutated, mutations


def changes(source: str) -> set[tuple[str, str]]:
    """Return what each mutation replaces, and by what."""
    return {(one.before, one.after) for one in mutations("shop.py", textwrap.dedent(source))}


@pytest.mark.parametrize(
    "expression,change",
    [
        ("a < b", ("<", "<=")),
        ("a >= b", (">=", ">")),
        ("a == b", ("==", "!=")),
        ("a is b", ("is", "is not")),
        ("a is  not b", ("is  not", "is")),
        ("a not in b", ("not in", "in")),
        ("a < b < c", ("<", "<=")),
        ("a and b", ("and", "or")),
        ("a or b", ("or", "and")),
        ("not a", ("not a", "(a)")),
        ("-a", ("-a", "(a)")),
        ("a + b", ("+", "-")),
        ("a // b", ("//", "/")),
        ("a ** b", ("**", "*")),
        ("a if b else c", ("b", "not (b)")),
        ("f(3)", ("3", "4")),
        ("f(0.5)", ("0.5", "1.5")),
        ("f(True)", ("True", "False")),
        ("f('closed')", ("'closed'", "'CLOSED'")),
        ("f('')", ("''", "'X'")),
        ("lambda: 1", ("1", "2")),
    ],
)
def test_a_mistake_in_an_expression(expression: str, change: tuple[str, str]):
    assert change in changes(f"use({expression})")


@pytest.mark.parametrize(
    "statement,change",
    [
        ("self.count = count", ("count", "None")),
        ("count: int = f()", ("f()", "None")),
        ("count += 1", ("+", "-")),
        ("return count", ("count", "None")),
        ("record()", ("record()", "pass")),
        ("raise Rejected", ("raise Rejected", "pass")),
        ("while full(): break", ("break", "continue")),
        ("while full(): pass", ("full()", "not (full())")),
        ("if full: drop()", ("full", "not (full)")),
    ],
)
def test_a_mistake_in_a_statement(statement: str, change: tuple[str, str]):
    assert change in changes(f"def function(self):\n    {statement}\n")


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        'def function(): "Its docstring."',
        "class Policy:\n    limit: int\n    'Its documentation.'",
        "def protocol(self) -> 'Outcome': ...",
        "def function(count: 'int | None'): ...",
        "__all__ = ['retry', 'timeout']",
        "T = TypeVar('T', bound=str)",
        "if TYPE_CHECKING:\n    limit = 3",
        "if sys.version_info >= (4, 0):\n    limit = 3",
        "@overload\ndef function(limit: int = 3): return limit",
        "Handler: TypeAlias = Callable[..., None]",
        "f(f'{name} is open')",
    ],
)
def test_a_place_where_no_test_could_notice_a_mistake_is_left_out(source: str):
    assert changes(source) <= {("f(f'{name} is open')", "pass")}


def test_only_the_place_itself_is_changed():
    source = "limit = f(größe < 3)  # at most three\n"
    (found,) = [one for one in mutations("shop.py", source) if one.operator == "comparison"]
    assert mutated(source, found) == "limit = f(größe <= 3)  # at most three\n"
    assert str(found) == "shop.py:1: comparison: < -> <="


def test_a_mistake_knows_the_lines_of_its_statement_and_whether_an_import_executes_them():
    source = textwrap.dedent("""\
        LIMIT = 3

        def calls(limit=4):
            return use(
                5,
            )

        if LIMIT == 6:
            pass
        """)
    constants = [one for one in mutations("shop.py", source) if one.operator == "constant"]
    assert [(one.before, one.lines, one.at_import) for one in constants] == [
        ("3", (1, 1), True),
        ("4", (3, 3), True),
        ("5", (4, 6), False),
        ("6", (8, 8), True),
    ]


def test_a_change_that_does_not_compile_is_no_mutant():
    assert "a" not in {before for before, _ in changes("del a")}
    assert changes("for one in many:\n    break\n") == {("break", "continue")}


def test_the_same_seed_takes_the_same_sample(capsys: pytest.CaptureFixture[str]):
    def listed(seed: str) -> str:
        main(["--list", "--sample", "5", "--seed", seed, "--source", "resilience/policies/backoff.py"])
        return capsys.readouterr().out

    assert listed("7") == listed("7") != listed("8")
    assert len(listed("7").splitlines()) == 5


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
def test_mutants_are_killed_by_the_tests_that_execute_their_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    written = tmp_path / "mutants.json"
    arguments = ["--source", "resilience/policies/backoff.py", "--tests", "tests/policies/test_backoff.py"]
    status = main([*arguments, "--sample", "4", "--json", str(written), "--at-least", "0"])
    printed = capfd.readouterr().out
    assert status == 0, printed
    found = json.loads(written.read_text("utf-8"))
    assert found["seed"] == 7
    killed = [one for one in found["mutants"] if one["killed"]]
    assert len(found["mutants"]) == 4
    assert killed
    assert {one["by"].partition("::")[0].partition(": ")[0] for one in killed} <= {arguments[-1], "no import"}
    assert f"{len(killed):4} of    4 killed" in printed
    assert printed.count("\nsurvived: ") == 4 - len(killed)
    assert "worth nothing" not in printed
    assert set(Mutation._fields) <= killed[0].keys()
