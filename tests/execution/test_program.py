"""Source, compiled statement by statement."""

from __future__ import annotations

import warnings

import pytest

from resilience.execution._worker import statements
from resilience.execution._worker.statements import Program, Statement

ONE_LINERS = [
    *("1+1", "1 + 1  ", "1 + 1  # a sum", "'text'", "f'{1 + 1}'", "[x for x in 'ab']", "(lambda: 1)()", "..."),
    *("1, 2", "(x := 3)", "{}", "not 1", "(1 if 2 else 3)", "1if 2else 3", "'tab\tinside'", "'é'", "'\\n'", "x"),
    *("1 / 0", "f(1)[2].a", "x = 1", "pass", "del x", "import os", "1;", "1; 2", "; 1", "", "   ", "# nothing"),
    *("x: int", "assert 1", "(1", "1 +", " 1", "\t1", "1\n", "\n1", "1\n2", "1\\\n+1", "return", "await x", "yield"),
    *("*x", "*x, 1", "print 1", "'\\d'", "0x1for x in y", "from __future__ import annotations", "def f(): return 1"),
    *("if 1: 2", "1\f", "1\r2", "\N{EN SPACE}1", "a\0b", f"{'x' * 300!r}"),
]


def described(statement: Statement) -> object:
    lines = [(line, end) for line, end, _, _ in statement.code.co_positions()]
    names = (statement.code.co_names, statement.code.co_name, statement.code.co_filename)
    return statement.is_value, statement.line, statement.end_line, statement.code.co_code, names, set(lines) - {(0, 0)}


def compiled(source: str) -> tuple[object, list[str]]:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            found: object = [described(each) for each in Program(source).statements()]
        except (SyntaxError, MemoryError, RecursionError, ValueError) as error:
            found = (type(error), error.args)
    return found, [str(each.message) for each in warned]


@pytest.mark.parametrize("source", ONE_LINERS, ids=ascii)
def test_both_ways_to_compile_an_expression_agree(source, monkeypatch):
    short = compiled(source)
    monkeypatch.setattr(statements, "_expression", lambda source, filename: None)
    assert short == compiled(source)


def test_an_expression_ends_where_its_line_does():
    (statement,) = Program("1 + 1  # a sum ").statements()
    assert (statement.line, statement.end_line, statement.end_column) == (1, 1, 14)
