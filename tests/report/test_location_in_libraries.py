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
