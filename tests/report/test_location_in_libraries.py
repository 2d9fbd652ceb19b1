"""Failures inside of libraries: the program's own line is the place, whatever the library's code calls itself."""

from __future__ import annotations

import pytest

from resilience.report import ErrorReport
from resilience.report._path_redaction import is_library
from tests.report.faulty import raised_by

# The third line of each is at fault.
PROGRAMS = {
    "to_datetime": "import pandas as pd\n\npd.to_datetime(['2024-01-01', 'lamp'], format='%Y-%m-%d')",
    "read_csv": "import io, pandas as pd\n\npd.read_csv(io.StringIO('a,b\\n1,2\\n1,2,3,4'))",
    "to_numeric": "import pandas as pd\n\npd.to_numeric(['1', 'lamp'])",
    "Timestamp": "import pandas as pd\n\npd.Timestamp('lamp')",
    "apply": "import pandas as pd\n\npd.Series(['1', 'lamp']).apply(float)",
    "a missing column": "import pandas as pd\nframe = pd.DataFrame({'a': [1]})\nframe['b']",
    "a function of the program's": (
        "import pandas as pd\ndef half(x):\n    return x / 0\npd.Series([1, 2], dtype=object).apply(half)"
    ),
    "random": "import numpy as np\n\nnp.random.default_rng().choice([], 3)",
    "ConvexHull": "from scipy.spatial import ConvexHull\n\nConvexHull([[0, 0], [0, 0], [0, 0]])",
    "attrs": "import attrs\nItem = attrs.make_class('Item', {'price': attrs.field(converter=float)})\nItem('lamp')",
    "lambdify": "import sympy\nhalf = sympy.lambdify(sympy.Symbol('x'), 1 / sympy.Symbol('x'), 'math')\nhalf(0)",
    "a dataclass": (
        "import dataclasses\nclass Odd:\n    def __eq__(self, other): raise ValueError('no')\n"
        "Pair = dataclasses.make_dataclass('Pair', ['a'])\nPair(Odd()) == Pair(Odd())"
    ),
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_the_line_of_the_program_is_the_place(kind):
    code = PROGRAMS[kind]
    error = raised_by(code)
    assert isinstance(error, Exception)
    report = ErrorReport.from_exception(error, source=code)
    assert (report.filename, report.line_number) == ("<string>", 3)
    assert report.code_line == code.splitlines()[2].strip()


@pytest.mark.parametrize(
    "name",
    [
        "pandas/_libs/parsers.pyx",
        "_qhull.pyx",
        "src/lxml/parser.pxi",
        "numpy/random/_bounded_integers.pxd",
        "<attrs generated init shop.Item>",
        "<lambdifygenerated-1>",
        "<__array_function__ internals>",
        "<template>",
        "<frozen importlib._bootstrap>",
        "/srv/app/site-packages.zip/shop_library/__init__.py",
        "/srv/eggs/lamp-1.0-py3.11.egg/lamp/core.py",
    ],
)
def test_what_libraries_call_their_code_is_no_program(name):
    assert is_library(name)


@pytest.mark.parametrize("name", ["<string>", "<stdin>", "<ipython-input-3-0f>", "<doctest shop[0]>", "shop/main.py"])
def test_what_programs_are_called_is_no_library(name):
    assert not is_library(name)


def test_a_program_is_one_whatever_it_is_called():
    code = "import json\njson.loads('x')"
    try:
        exec(compile(code, "<rules of the shop>", "exec"), {})
    except ValueError as error:
        report = ErrorReport.from_exception(error, source=code, filename="<rules of the shop>")
    assert (report.filename, report.line_number) == ("<rules of the shop>", 2)


def report_of_call(code: str) -> ErrorReport:
    error = raised_by(code)
    assert isinstance(error, Exception)
    return ErrorReport.from_exception(error, source=code)


def test_a_failed_connection_gives_no_advice_on_the_arguments_of_the_librarys_inner_functions():
    report = report_of_call("import httpx\nhttpx.get('http://127.0.0.1:9/', trust_env=False)")
    assert report.category.label == "network"
    assert not any("arguments of" in suggestion for suggestion in report.suggestions)


@pytest.mark.parametrize(
    ("code", "called"),
    [
        ("import uuid\nuuid.UUID(bytes=b'x')", "uuid.UUID"),
        ("import tomllib\ntomllib.loads('a')", "tomllib.loads"),
        ("import ipaddress\nipaddress.ip_network('x')", "ipaddress.ip_network"),
    ],
)
def test_advice_on_arguments_names_the_function_as_the_program_calls_it(code, called):
    advice = f"Check the arguments of {called}(), which raised it inside a library."
    assert advice in report_of_call(code).suggestions


def calling_a_library(library: str, call: str) -> ErrorReport:
    return report_of_call(f"exec(compile({library!r}, '<shop library>', 'exec'))\n{call}")


def test_a_librarys_subclass_of_key_error_is_not_taken_for_a_missing_key():
    library = "class NoPriceError(KeyError): pass\ndef price(name): raise NoPriceError('no price is known')"
    report = calling_a_library(library, "price('lamp')")
    assert report.suggestions[0] == "Check the arguments of price(), which raised it inside a library."
    assert not any(".get(" in suggestion for suggestion in report.suggestions)


def test_a_root_cause_inside_a_library_has_no_line_of_the_program():
    library = "class Odd(Exception): pass\ndef load():\n try: [][1]\n except IndexError as error: raise Odd from error"
    report = calling_a_library(library, "load()")
    assert report.immediate_cause.startswith("it began with IndexError: ")
    assert report.specifics["root_cause_line"] is None


def test_a_cause_from_another_file_is_shown_with_its_file():
    report = report_of_call("import httpx\nhttpx.get('http://127.0.0.1:9/', trust_env=False)")
    (cause,) = [line for line in report.render().splitlines() if "raised from ConnectError" in line]
    assert cause.endswith("Connection refused (httpcore/_exceptions.py line " + cause.rpartition(" ")[2])


def test_a_cause_from_the_same_file_is_shown_with_its_line():
    report = report_of_call(
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('no') from error"
    )
    assert "  raised from ZeroDivisionError: division by zero (line 2)" in report.render().splitlines()
