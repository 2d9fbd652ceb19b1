"""Data for a program and from it: variables, files, values that keep their meaning."""

from __future__ import annotations

import datetime
import functools
import math
import os
import pathlib
from collections import OrderedDict

import pytest

from resilience import ErrorCategory
from resilience.contrib.executor import ContainerConfigurationError, ContainerConnectivityError
from resilience.execution import ExecutionRequest, FallbackExecutor, JupyterExecutor, SubprocessExecutor, validate
from resilience.execution._inputs import EncodedVariables
from tests.runners import Runner

pytestmark = pytest.mark.skipif(os.name != "posix", reason="executions need POSIX")

FREE = functools.partial(ExecutionRequest, security_level="permissive")
KERNEL = pytest.param(JupyterExecutor, marks=pytest.mark.slow, id="kernel")


@pytest.fixture(scope="module", params=[pytest.param(SubprocessExecutor, id="process"), KERNEL])
def executor(request: pytest.FixtureRequest):
    with request.param() as executor:
        yield executor


def value(executor, request: ExecutionRequest | str, **variables: object) -> object:
    report = executor.execute_sync(request, variables=variables)
    assert report.success, report.error
    return report.execution_result.return_value


# -- in ----------------------------------------------------------------------------------------------------------------

GIVEN = [
    5,
    2.5,
    "ä\U0001f600",
    None,
    True,
    [1, [2, None]],
    {"a": {"b": [1]}},
    (1, 2),
    {1: "one"},
    b"bytes",
    {3},
    math.inf,
    10**400,
    datetime.date(2024, 5, 3),
    OrderedDict(a=1),
    pathlib.PurePosixPath("a/b"),
    complex(1, 2),
    "x" * 2_000_000,
    [0.5] * 100_000,
]


@pytest.mark.parametrize("given", GIVEN, ids=range(len(GIVEN)))
def test_a_variable_arrives_as_it_is(executor, given):
    code = "import hashlib\n(type(x).__name__, hashlib.sha256(repr(x).encode()).hexdigest())"
    import hashlib

    expected = [type(given).__name__, hashlib.sha256(repr(given).encode()).hexdigest()]
    assert value(executor, ExecutionRequest(code, allowed_imports=["hashlib"]), x=given) == expected


def test_variables_come_sync_and_async_alike(executor, runner: Runner):
    report = runner.run(
        lambda: executor.execute_sync("limit + 1", variables={"limit": 5}),
        functools.partial(executor.execute, "limit + 1", variables={"limit": 5}),
    )
    assert report.execution_result.return_value == 6


def test_variables_of_the_request_and_of_the_call_are_there_and_the_call_wins(executor):
    request = ExecutionRequest("[x, y]", variables={"x": 1, "y": 1})
    assert value(executor, request, y=2) == [1, 2]
    assert value(executor, request) == [1, 1]


def test_a_variable_needs_no_import_to_be_allowed(executor):
    assert value(executor, "day.isoformat()", day=datetime.date(2024, 5, 3)) == "2024-05-03"


def test_a_variable_that_cannot_be_pickled_is_named(executor):
    with pytest.raises(TypeError, match=r"variables\['f'\]: a function cannot be pickled, and so not be sent"):
        executor.execute_sync("1", variables={"x": {1}, "f": lambda: 1})


class OnlyHere:
    __module__ = "a_module_of_this_process"


def test_a_variable_that_the_worker_cannot_restore_is_a_wrong_configuration(executor, monkeypatch):
    import sys
    import types

    module = types.ModuleType("a_module_of_this_process")
    module.OnlyHere = OnlyHere
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(ContainerConfigurationError, match="cannot restore them: ModuleNotFoundError: No module named"):
        executor.execute_sync("1", variables={"x": OnlyHere()})
    assert value(executor, "1") == 1


def test_small_plain_variables_travel_as_json_and_others_are_pickled():
    found = EncodedVariables.of({"plain": [1, {"a": None}], "day": datetime.date(2024, 5, 3), "nan": math.nan})
    assert found.plain == {"plain": [1, {"a": None}]}
    assert b"datetime" in found.pickled


def test_variables_take_nothing_of_the_memory_limit():
    with SubprocessExecutor() as executor:
        request = ExecutionRequest("len(block)", memory_limit="20MB")
        assert value(executor, request, block=bytes(100 << 20)) == 100 << 20


def test_variables_are_part_of_neither_repr_nor_comparison_of_a_request():
    request = ExecutionRequest("1", variables={"secret": "hunter2"})
    assert "hunter2" not in repr(request)
    assert request == ExecutionRequest("1") and hash(request) == hash(ExecutionRequest("1"))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"variables": [1]}, TypeError, "variables=.*give a mapping of names to values"),
        ({"variables": {"a b": 1}}, ValueError, "variables='a b': give names of variables, such as 'orders'"),
        ({"variables": {"__builtins__": 1}}, ValueError, "variables='__builtins__': give names of variables"),
        ({"files": {"/etc/passwd": b""}}, ValueError, "files='/etc/passwd': give paths below the working directory"),
        ({"files": {"../x": b""}}, ValueError, "give paths below"),
        ({"files": {"x": 5}}, TypeError, r"files\['x'\]=5: give bytes, a text, or the path of a file as a Path"),
    ],
)
def test_wrong_data_fail_where_they_are_given(options, error, said):
    with pytest.raises(error, match=said):
        ExecutionRequest("1", **options)


def test_a_fallback_hands_variables_on():
    class Gone:
        def execute_sync(self, request, *, on_event=None):
            raise ContainerConnectivityError("connection refused", "localhost", 8888)

    with SubprocessExecutor() as local:
        either = FallbackExecutor(Gone(), local, circuit="data in", attempts=1)
        report = either.execute_sync("x", variables={"x": 5})
    assert report.execution_result.return_value == 5


def test_files_are_in_the_working_directory(executor, tmp_path):
    (tmp_path / "there.txt").write_text("copied")
    files = {"a.txt": "text", "data/b.bin": b"\0\1", "c.txt": tmp_path / "there.txt"}
    code = "[open('a.txt').read(), list(open('data/b.bin', 'rb').read()), open('c.txt').read()]"
    assert value(executor, ExecutionRequest(code, files=files)) == ["text", [0, 1], "copied"]


def test_validate_knows_that_files_of_a_request_can_be_read():
    assert validate(ExecutionRequest("open('a.txt').read()", files={"a.txt": "a"})).valid
    assert not validate("open('a.txt').read()").valid


def test_files_can_be_read_at_strict_and_nothing_else_can():
    with SubprocessExecutor() as executor:
        report = executor.execute_sync(ExecutionRequest("open('/etc/hostname')", files={"a.txt": "a"}))
        assert report.category is ErrorCategory.SECURITY
        report = executor.execute_sync(ExecutionRequest("open('a.txt', 'w')", files={"a.txt": "a"}))
        assert report.category is ErrorCategory.SECURITY
        assert executor.execute_sync("open('a.txt')").category is ErrorCategory.SECURITY


# -- out ---------------------------------------------------------------------------------------------------------------

VALUES = {
    "tuple": ("(1, (2, 'x'))", [1, [2, "x"]]),
    "infinity": ("[1.5, float('-inf')]", [1.5, -math.inf]),
    "date": (
        "import datetime as d\n[d.date(2024, 5, 3), d.datetime(2024, 5, 3, 1, tzinfo=d.timezone.utc), d.time(1)]",
        ["2024-05-03", "2024-05-03T01:00:00+00:00", "01:00:00"],
    ),
    "decimal": ("import decimal\n[decimal.Decimal('1.10')]", ["1.10"]),
    "uuid": ("import uuid\nuuid.UUID(int=1)", "00000000-0000-0000-0000-000000000001"),
    "counter": ("import collections\ncollections.Counter('aab')", {"a": 2, "b": 1}),
    "an element that JSON has not": ("[1, {2}, (3, 4)]", [1, "{2}", [3, 4]]),
    "keys that are no text": ("[{1: 2}]", ["{1: 2}"]),
    "long": ("list(range(50_000))", list(range(50_000))),
    "text": ("'x' * 500_000", "x" * 500_000),
    "deep": ("x = 1\nfor _ in range(19):\n    x = [x]\nx[0][0][0][0][0][0][0][0][0][0]", [[[[[[[[[1]]]]]]]]]),
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_keeps_its_meaning(executor, kind):
    code, expected = VALUES[kind]
    assert value(executor, FREE(code)) == expected


def test_a_value_that_is_no_number_stays_one_among_numbers(executor):
    report = executor.execute_sync("{'a': [1.0, float('nan')]}")
    first, second = report.execution_result.return_value["a"]
    assert first == 1.0 and math.isnan(second)
    assert report.to_dict()["execution_result"]["return_value"] == {"a": [1.0, "NaN"]}
    assert '"NaN"' in report.to_json()


def test_a_value_that_is_too_large_is_a_short_text_and_that_is_noted(executor):
    report = executor.execute_sync("[0] * 200_000")
    assert len(report.execution_result.return_value) < 1000
    assert report.notes == (
        "return_value is too large to be returned whole (more than 100000 values): it is a short text",
    )
    assert report.to_dict()["notes"] == [*report.notes]
    assert "Note: return_value is too large" in report.to_llm()


def test_variables_that_are_asked_for_by_name_are_whole(executor):
    code = "a = [1.0, float('inf')] * 200\nb = (1, 2)\nc = 'x' * 5000\nd = 1"
    variables = executor.execute_sync(ExecutionRequest(code, return_variables=["a", "b", "c", "z"]))
    found = variables.execution_result.variables
    assert found == {"a": [1.0, math.inf] * 200, "b": [1, 2], "c": "x" * 5000}


def test_a_secret_that_is_asked_for_by_name_is_redacted(executor):
    report = executor.execute_sync(ExecutionRequest("api_key = 'sk-hunter2hunter2'", return_variables=["api_key"]))
    assert report.execution_result.variables == {"api_key": "[redacted]"}


def test_variables_of_a_failure_stay_short(executor):
    report = executor.execute_sync(ExecutionRequest("a = list(range(9999))\n1 / 0", return_variables=["a"]))
    assert len(report.execution_result.variables["a"]) < 500


LIBRARY_VALUES = {
    "scalar": ("import numpy as np\nnp.mean([1, 2])", 1.5),
    "scalars": (
        "import numpy as np\n[np.int8(3), np.bool_(True), np.str_('a'), np.float32(0.5), np.longdouble(2)]",
        [3, True, "a", 0.5, 2.0],
    ),
    "date": ("import numpy as np\nnp.datetime64('2024-05-03')", "2024-05-03"),
    "array": ("import numpy as np\n{'a': np.arange(4).reshape(2, 2)}", {"a": [[0, 1], [2, 3]]}),
    "dates": ("import numpy as np\nnp.array(['2024-05-03'], 'M8[D]')", ["2024-05-03"]),
    "timestamp": ("import pandas as pd\npd.Timestamp('2024-05-03')", "2024-05-03T00:00:00"),
    "missing": ("import pandas as pd\n[pd.NA, pd.NaT]", [None, None]),
    "of a frame": ("import pandas as pd\npd.DataFrame({'a': [1, 2]}).a.sum()", 3),
    "records": ("import pandas as pd\npd.DataFrame({'a': [1, 2]}).to_dict('records')", [{"a": 1}, {"a": 2}]),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LIBRARY_VALUES)
def test_a_value_of_a_library_keeps_its_meaning(executor, kind):
    code, expected = LIBRARY_VALUES[kind]
    assert value(executor, ExecutionRequest(code, security_level="moderate")) == expected


@pytest.mark.slow
def test_a_dataframe_arrives_and_can_be_used_at_every_level(executor):
    pandas = pytest.importorskip("pandas")
    orders = pandas.DataFrame({"price": [1.5, 2.5], "day": pandas.to_datetime(["2024-05-03", "2024-05-04"])})
    assert value(executor, "[orders.price.sum(), orders.day.max(), limit]", orders=orders, limit=5) == [
        4.0,
        "2024-05-04T00:00:00",
        5,
    ]


@pytest.mark.slow
def test_a_million_rows_arrive():
    pandas, numpy = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    frame = pandas.DataFrame({"a": numpy.arange(1_000_000), "b": numpy.arange(1_000_000) / 2})
    with SubprocessExecutor() as executor:
        assert value(executor, "[frame.a.sum(), len(frame)]", frame=frame) == [499999500000, 1_000_000]
