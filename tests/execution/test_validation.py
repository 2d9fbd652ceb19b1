from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.execution._analysis import analyse
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityPolicy
from resilience.execution.validation import Validation, validate


def said(findings) -> list[str]:
    return [str(each) for each in findings]


def test_code_that_is_fine_is_valid():
    assert validate("import math\nmath.sqrt(2)") == Validation(valid=True)


def test_nothing_is_run(tmp_path):
    path = tmp_path / "made"
    validate(f"open({str(path)!r}, 'w')", security_level="permissive")
    assert not path.exists()


def test_a_syntax_error_has_its_place_and_its_line():
    found = validate("x = 5\nif x = 5:\n    pass")
    assert found.valid is False
    (error,) = found.syntax_errors
    assert error.message == "invalid syntax. Maybe you meant '==' or ':=' instead of '='?"
    assert (error.line, error.column, error.code) == (2, 3, "if x = 5:")
    assert str(error).startswith("line 2: invalid syntax")
    assert found.security_warnings == found.import_issues == found.recommendations == ()


@pytest.mark.parametrize(
    ("code", "line", "word"),
    [
        ("return 1", 1, "return"),
        ("def f():\n    await x", 2, "await"),
        ("x = (\n", 1, "never closed"),
        ("\tx = 1\n        y = 2", 1, "indent"),
        ("x = '\ud800'", 1, "cannot be encoded"),
        ("def f(a, a): pass", 1, "duplicate"),
        ("x = " + "9" * 5000, 1, "digits"),
        ("(" * 500, 1, "nested"),
        ("x\n" + "-" * 100_000 + "1", None, "nested"),
        ("1+" * 200_000 + "1", None, "nested"),
        ("break", 1, "outside loop"),
        ("'\\N{no such}'", 1, "unicode"),
        ("a\0b", ..., "null bytes"),
    ],
    ids=lambda each: ascii(each)[:20],
)
def test_what_cannot_be_compiled_is_a_syntax_error(code, line, word):
    found = validate(code)
    assert found.valid is False
    (error,) = found.syntax_errors
    assert word in error.message
    if line is not ...:  # not every version tells where a null byte is
        assert error.line == line
    json.dumps(found.to_dict())


def test_what_stands_deep_in_an_expression_is_seen_where_python_compiles_that():
    assert validate("1+" * 20_000 + "open('a', 'w')").valid is False
    assert validate("open('a', 'w')" + ".a" * 20_000).valid is False


@pytest.mark.parametrize(
    "code", ["\ufeffx = 1\nprint(x, 1)", "x = 1\r\nprint(x, 1)\r\n", "", "# nothing", "'\\d'", "1 is 1"]
)
def test_what_python_takes_is_none(code, recwarn):
    assert validate(code).valid
    assert list(recwarn) == []


def test_what_the_policy_forbids_makes_it_invalid():
    found = validate("import os\nopen('a', 'w')")
    assert found.valid is False
    assert [each.kind for each in found.security_warnings] == ["blocked_import", "file_write"]
    assert found.to_dict()["security_warnings"][0] == {
        "kind": "blocked_import",
        "attempted_operation": "import os",
        "blocked_code": "import os",
        "reason": "importing 'os' is denied in strict mode",
        "subject": "os",
        "alternatives": list(found.security_warnings[0].alternatives),
        "line": 1,
        "column": 0,
    }


def test_level_and_imports_may_be_given_or_come_with_the_request():
    code = "import re, fractions\nprint(re.A, fractions)"
    assert not validate(code).valid
    assert validate(code, security_level="moderate").valid
    assert validate(code, allowed_imports=["re", "fractions"]).valid
    request = ExecutionRequest(code, allowed_imports=["re", "fractions"])
    assert validate(request).valid
    assert not validate(request, allowed_imports=[]).valid
    assert validate(code, security_level=SecurityPolicy.custom(modules=None)).valid
    assert validate(ExecutionRequest(code, security_level="moderate")).valid


def test_at_level_permissive_violations_of_strict_are_reported_and_the_code_is_valid():
    found = validate("import os\nos.system('ls')\neval('1')", security_level="permissive")
    assert found.valid is True
    assert [(each.kind, each.line) for each in found.security_warnings] == [("process", 2), ("blocked_call", 3)]
    assert found.security_warnings[0].reason.endswith("would be denied in strict mode")


def test_a_wrong_parameter_is_an_error():
    with pytest.raises(ValueError, match="security_level='lose'"):
        validate("1", security_level="lose")
    with pytest.raises(TypeError, match="allowed_imports='os'"):
        validate("1", allowed_imports="os")
    with pytest.raises(TypeError, match="code=int"):
        validate(1)


@pytest.mark.parametrize(
    ("code", "issues"),
    [
        ("import maths", ["line 1: there is no module 'maths' here; did you mean 'math'?"]),
        (
            "x = 1\nimport jsn.decoder as d, nowhere",
            [
                "line 2: there is no module 'jsn' here; did you mean 'json'?",
                "line 2: there is no module 'nowhere' here",
            ],
        ),
        ("from math import sqroot", ["line 1: the module 'math' has no 'sqroot'; did you mean 'sqrt'?"]),
        ("from math import sqrt, pi", []),
        ("from json import *", []),
        ("from json import decoder", []),
        ("import nowhere\nimport nowhere.a\nfrom nowhere import b", ["line 1: there is no module 'nowhere' here"]),
        ("try:\n    import nowhere\nexcept ImportError:\n    x = 1", []),
        ("try:\n    import nowhere\nexcept (ValueError, ModuleNotFoundError):\n    x = 1", []),
        ("try:\n    import nowhere\nexcept ValueError:\n    x = 1", ["line 2: there is no module 'nowhere' here"]),
        ("try:\n    x = 1\nexcept ImportError:\n    import nowhere", ["line 4: there is no module 'nowhere' here"]),
        ("def f():\n    import nowhere\nf()", ["line 2: there is no module 'nowhere' here"]),
    ],
    ids=ascii,
)
def test_imports_that_will_fail_are_reported(code, issues):
    found = validate(code)
    assert said(found.import_issues) == issues
    assert found.valid is not issues or not issues
    assert found.valid == (not issues)


def test_a_relative_import_fails_where_nothing_else_forbids_it():
    found = validate("from . import a", security_level="permissive")
    assert said(found.import_issues) == ["line 1: a relative import fails: the code is part of no package"]
    assert [each.kind for each in validate("from . import a").security_warnings] == ["blocked_import"]


def test_near_names_are_of_what_may_be_imported():
    assert "did you mean" not in said(validate("import numppy").import_issues)[0]
    assert said(validate("import numppy", security_level="permissive").import_issues) == [
        "line 1: there is no module 'numppy' here; did you mean 'numpy'?"
    ]


def test_looking_for_a_module_imports_nothing():
    before = set(sys.modules)
    validate("import antigravity, turtle, nowhere.b, this.c\nfrom tkinter import Tk", security_level="permissive")
    assert {"antigravity", "turtle", "this", "tkinter"}.isdisjoint(set(sys.modules) - before)


ENDLESS = "this loop never ends: it runs until the time limit. Add a break."
UNANSWERED = "input() raises EOFError: stdin is closed. Write the value into the code, or have it passed in."
BARE = "a bare except also catches what ends the program, the time limit's signal too: use except Exception"
PRINTED = "print() gives text, and no value. End with the expression total to have it returned."


@pytest.mark.parametrize(
    ("code", "recommendations"),
    [
        ("while True:\n    x = 1", [f"line 1: {ENDLESS}"]),
        ("x = []\nwhile 1:\n    x.append(1)\n    print(len(x))", [f"line 2: {ENDLESS}"]),
        ("while True:\n    for a in 'b':\n        break", [f"line 1: {ENDLESS}"]),
        ("while True:\n    def f(): return 1", [f"line 1: {ENDLESS}"]),
        ("while True:\n    break", []),
        ("while True:\n    if x: break", []),
        ("def f():\n    while True:\n        return 1\nf()", []),
        ("def f():\n    while True:\n        yield 1\nlist(f())", []),
        ("while True:\n    raise ValueError", []),
        ("while True:\n    next(x)", []),
        ("while True:\n    x.pop()", []),
        ("while True:\n    step()", []),
        ("while x:\n    x = x - 1", []),
        ("while True:\n    while True:\n        break", [f"line 1: {ENDLESS}"]),
        ("name = input('?')\nprint(name, 1)", [f"line 1: {UNANSWERED}"]),
        ("def input(): return 1\ninput()", []),
        ("import time\ntime.sleep(60)", ["line 2: this sleeps longer than the time limit of 30 seconds"]),
        ("import time\ntime.sleep(1)", []),
        ("try:\n    f()\nexcept:\n    x = 1\nx", [f"line 3: {BARE}"]),
        ("try:\n    f()\nexcept:\n    raise\nx", []),
        ("try:\n    f()\nexcept Exception:\n    x = 1\nx", []),
        ("total = 1 + 1", ["line 1: nothing is returned: end with the expression total"]),
        ("total = 0\ntotal += 1", ["line 2: nothing is returned: end with the expression total"]),
        ("total: int = 1", ["line 1: nothing is returned: end with the expression total"]),
        ("total = 1\ntotal", []),
        ("print('a')\ntotal = 1", []),
        ("x.y = 1", []),
        ("print(total)", [f"line 1: {PRINTED}"]),
        ("print(a, b)", []),
        ("print('done')", []),
        ("print(f'{total}')", []),
        ("print(*rows)", []),
        ("def f(): return 1", ["line 1: nothing is called: the code only defines. End with a call."]),
        ("import math\ndef f(): return 1\nf()", []),
        ("class A: pass", []),
        ("import math", []),
        ("'text'", []),
    ],
    ids=ascii,
)
def test_recommendations_are_true_and_few(code, recommendations):
    found = validate(code, allowed_imports=["time"])
    assert said(found.recommendations) == recommendations
    assert found.valid  # none of it keeps code from running


def test_the_time_limit_is_the_one_of_the_request():
    request = ExecutionRequest("import time\ntime.sleep(2)", timeout=1.5, allowed_imports=["time"])
    assert said(validate(request).recommendations) == ["line 2: this sleeps longer than the time limit of 1.5 seconds"]


def test_code_without_end_is_compiled_and_not_looked_at():
    code = "import os\n" + "x = 1\n" * 50_000
    found = validate(code)
    assert (found.valid, found.security_warnings) == (True, ())
    assert said(found.recommendations) == [
        "code of more than 300,000 characters is not analysed: violations of the policy are rejected while it runs"
    ]
    assert analyse(code, SecurityPolicy.of("strict")) == []
    assert validate(code + "x x").syntax_errors[0].line == 50_002


def test_places_are_in_characters():
    found = validate("'ä'; import nowhere; total = 1")
    (issue,) = found.import_issues
    assert (issue.column, issue.code) == (5, "'ä'; import nowhere; total = 1")
    assert found.recommendations[0].column == 21


def test_a_page_of_each_is_enough():
    code = "\n".join(f"import nowhere{n}\ninput()" for n in range(500))
    found = validate(code)
    assert len(found.import_issues) == len(found.recommendations) == 50


@given(st.text())
def test_any_text_can_be_validated(text):
    json.dumps(validate(text).to_dict())


def calls_made(function) -> int:
    made = 0

    def count(frame, event, argument):
        nonlocal made
        made += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return made


@pytest.mark.parametrize(
    "piece",
    [
        "x = [a.b.c(d, e=f) for a in g if a.h]\n",
        "def f(a, b=1):\n    return a.b['c'] + eval\n",
        "x = eval\n",
        "import nowhere\nfrom math import sqrt\n",
        "def f():\n    while True:\n        try: x = 1\n        except: y = 1\n",
    ],
    ids=ascii,
)
@pytest.mark.parametrize(
    "function", [validate, lambda code: analyse(code, SecurityPolicy.of("moderate"))], ids=["validate", "analyse"]
)
def test_the_work_grows_with_the_code_and_no_faster(function, piece):
    function(piece * 100)  # what is made once is made now
    few, many = (calls_made(lambda: function(piece * times)) for times in (100, 400))
    assert many < 4.2 * few
