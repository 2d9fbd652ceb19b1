"""Corrections that a library's own tables, or the program itself, give: the line is right, or nothing is proposed."""

from __future__ import annotations

import importlib
import io
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.report import ErrorReport

LIBRARY = """
COLOURS = {"lightblue": 1, "darkred": 2}
_MODES = ("fast", "slow")

class Model:
    title: str
    size: int

    def __init__(self, **given):
        for name in given:
            if name not in ("title", "size"):
                raise TypeError(f"'{name}' is an invalid keyword argument for Model")

def paint(colour, mode="fast"):
    if colour not in COLOURS:
        raise ValueError(f"{colour!r} is not a colour")
    if mode not in _MODES:
        raise ValueError("unknown mode " + mode)
    return colour

def place(side):
    raise ValueError(f"{side!r} is not a valid side; valid values are: left, right, top")

def read(columns, names=None):
    options = {"columns": columns, "names": names}
    raise ValueError(f"missing: {options['columns']}")
"""


@pytest.fixture
def palette(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A library: a module in a directory of installed packages."""
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (packages / "palette_of_tests.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(packages))
    yield importlib.import_module("palette_of_tests")
    sys.modules.pop("palette_of_tests", None)


def report_of(code: str) -> ErrorReport:
    source = textwrap.dedent(code)
    names: dict[str, object] = {"__name__": "__main__"}
    try:
        exec(compile(source, "<string>", "exec"), names)
    except Exception as error:
        return ErrorReport.from_exception(error, source=source)
    finally:
        for value in names.values():
            if isinstance(value, io.IOBase):
                value.close()
    raise AssertionError("the program does not fail")


def corrected(code: str) -> str | None:
    fix = report_of(code).suggested_fix
    return None if fix is None else fix.strip()


@pytest.mark.usefixtures("palette")
@pytest.mark.parametrize(
    ("call", "fix"),
    [
        ("paint('lightblu')", "paint('lightblue')"),
        ("paint('darkred', mode='fats')", "paint('darkred', mode='fast')"),
        ("Model(titel='a')", "Model(title='a')"),
        ("place('rihgt')", "place('right')"),
        ("paint('green')", None),  # no colour is near
        ("read(['name'])", None),  # `names` is a parameter, and no column
    ],
)
def test_a_refused_word_is_compared_with_what_the_library_has(call: str, fix: str | None):
    line = f"library.{fix}" if fix else None
    assert corrected(f"import palette_of_tests as library\nlibrary.{call}") == line


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("for n in [3, 1].sort():\n    print(n)", "for n in sorted([3, 1]):"),
        ("values = [1, None]\nsorted(values)", "sorted(each for each in values if each is not None)"),
        (
            "pairs = {'a': 1}\nsorted(pairs.items(), key=lambda k, v: v)",
            "sorted(pairs.items(), key=lambda pair: pair[1])",
        ),
        ("import re\nm = re.search('(a)(b)', 'ab')\nm.group(3)", "m.group(2)"),
        ("from pathlib import Path\np = Path('a')\np + 'b'", "p / 'b'"),
        ("data = {'a': {'b': 1}}\ndata['b']", "data[\"a\"]['b']"),
        ("from collections import namedtuple\np = namedtuple('P', 'x')(1)\np.x = 2", "p = p._replace(x=2)"),
        ("class C:\n    def f(self):\n        return 1\nC.f()", "C().f()"),
        ("data = {'a': 1}\ndata.keys[0]", "list(data.keys())[0]"),
        ("text = 'a b'\ntext.split[0]", "text.split()[0]"),
        ("import heapq\nheapq.push([], 1)", "heapq.heappush([], 1)"),
        ("user = {'name': 1}\nuser.nmae", 'user["name"]'),
        ("import statistics\nstatistics.average([1])", "statistics.mean([1])"),
        (
            "import json, datetime\njson.dumps(datetime.date(2024, 1, 1))",
            "json.dumps(datetime.date(2024, 1, 1), default=str)",
        ),
    ],
)
def test_a_correction_of_the_language_is_the_line_a_person_would_write(code: str, fix: str):
    assert corrected(code) == fix


WITHOUT_SUPER = """class A:
    def __init__(self, n):
        self.n = n
class B(A):
    def __init__(self, n, m):
        self.m = m
B(1, 2).n"""


@pytest.mark.parametrize(
    ("code", "line", "fix"),
    [
        (
            WITHOUT_SUPER,
            "a new line before line 6",
            "super().__init__(n)",
        ),
        ("f = open('f.txt', 'w')\nf.read()", "line 1", "f = open('f.txt', 'w+')"),
        ("options = {'a': 1}.update({'b': 2})\noptions['b']", "line 1", "options = {**{'a': 1}, **{'b': 2}}"),
        ("class S:\n    def push(self, v): ...\ns = S\ns.push(1)", "line 3", "s = S()"),
        (
            "def log(f):\n    def inner(*a):\n        return f(*a)\n@log\ndef g():\n    return 1\ng()",
            "a new line before line 4",
            "return inner",
        ),
    ],
)
def test_a_correction_names_the_line_where_the_fault_is(
    code: str, line: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    report = report_of(code)
    assert report.suggested_fix is not None
    assert (report.suggested_fix.strip(), report.specifics["fix_applies_to"]) == (fix, line)


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("def total(v):\n    r = 0\n    for x in v:\n        r += x\n      return r", "Corrected"),
        ("import datetime\ndatetime.timedelta(months=1)", "Remove"),
        ("import re\nre.search('a', 'a').group(3)", "for each in"),
        ("async def f():\n    yield 1\nfor x in f(): ...", "Await it"),
    ],
)
def test_nothing_is_advised_that_would_not_help(code: str, unwanted: str):
    try:
        compile(code, "<string>", "exec")
    except SyntaxError as error:
        text = ErrorReport.from_exception(error, source=code).to_llm()
    else:
        text = report_of(code).to_llm()
    assert unwanted not in text


def test_a_condition_that_assigns_is_an_assignment_expression_where_the_name_is_new():
    code = "data = [1]\nif n = len(data) > 0:\n    print(n)"
    with pytest.raises(SyntaxError) as raised:
        compile(code, "<string>", "exec")
    fix = ErrorReport.from_exception(raised.value, source=code).suggested_fix
    assert fix == "if (n := len(data)) > 0:"
