"""Source, compiled statement by statement."""

from __future__ import annotations

import contextlib
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


def ends(source: str) -> list[int]:
    with contextlib.suppress(SyntaxError):
        return [each.end_column for each in Program(source).statements()]
    return []


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


LINES = [
    *("import math\nmath.pi", "x = 1\ny = 2", "x = 1\nx", "x = 1  \nx  ", "x = [1,\n2]\nx", "f(\n1\n)", "x = 1\n\nx"),
    *("if 1: x\nelse: y", "if 1: x\ny", "for x in y: z\nelse: a", "@f\ndef g(): pass", "x = 1\n(x)", "x\n+1", "1\n-1"),
    *(
        "try: x\nexcept: y",
        "async def f(): pass\nawait f()",
        "await x\ny",
        "x = yield\n1",
        "return\n1",
        "x = 1\nyield x",
    ),
    *(
        "def f(): return 1\nf()",
        "class A: x = 1\nA",
        "lambda: 1\n2",
        "x: int\nx",
        "x = 1\n x",
        "1\r\n2",
        "x if\ny",
        "x\n",
    ),
    *("from math import (\npi)\npi", "match x:\n  case 1: y", "a, b = 1, 2\na, b", "print\n(1)", "1 if x else\\\n2\n3"),
    *("import math\n1 +", "del x\nx", "x = 1\n*x,", "x = 1\nx := 2", "x = 1\n(x := 2)", "break\n1", "0x1for x in y\n2"),
]


@pytest.mark.parametrize("source", LINES, ids=ascii)
def test_both_ways_to_compile_lines_agree(source, monkeypatch):
    short = compiled(source), ends(source)
    monkeypatch.setattr(statements, "_lines", lambda source, filename: [])
    assert short == (compiled(source), ends(source))


def test_an_expression_ends_where_its_line_does():
    (statement,) = Program("1 + 1  # a sum ").statements()
    assert (statement.line, statement.end_line, statement.end_column) == (1, 1, 14)


@pytest.mark.parametrize("source", ["x = 1\nglobal x", "x = 1\nfrom __future__ import annotations", "x = 1\nreturn x"])
def test_an_error_that_only_the_compiler_finds_is_raised_before_anything_runs(source):
    with pytest.raises(SyntaxError) as caught:
        statements.Program(source)
    assert caught.value.lineno == 2


def test_of_several_errors_the_one_that_the_compiler_finds_first_is_raised():
    source = "return 1\ndef f(a, a): pass"
    with pytest.raises(SyntaxError) as plain:
        compile(source, "<string>", "exec")
    with pytest.raises(SyntaxError) as caught:
        statements.Program(source)
    assert (caught.value.msg, caught.value.lineno) == (plain.value.msg, plain.value.lineno)


def test_a_future_import_holds_for_all_statements():
    *_, last = statements.Program("from __future__ import annotations\ndef f(a: b): pass").statements()
    found: dict[str, object] = {}
    exec(last.code, found)
    assert found["f"].__annotations__ == {"a": "b"}


@pytest.mark.parametrize("source", ["x = 1 is 1", "x = 1 is 1\ny = 2"])
def test_the_compiler_warns_once_before_the_statements_are_asked_for(source):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        program = statements.Program(source)
        before = len(caught)
        program.statements()
    assert (before, len(caught)) == (1, 1)
