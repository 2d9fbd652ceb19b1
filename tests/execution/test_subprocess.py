"""Programs that end by themselves, and their reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience import ErrorCategory
from resilience.contrib.executor import (
    CodeRuntimeError,
    CodeSyntaxError,
    ContainerConfigurationError,
    ExecutionTimeoutError,
    WorkflowError,
)
from resilience.execution import ExecutionReport, ExecutionRequest, SubprocessExecutor
from resilience.testing import virtual_time


@pytest.fixture(scope="module")
def executor() -> Iterator[SubprocessExecutor]:
    with SubprocessExecutor() as executor:
        yield executor


def run(executor: SubprocessExecutor, code: str, **options: object) -> ExecutionReport:
    return executor.execute_sync(ExecutionRequest(code, **{"security_level": "permissive", **options}))


def test_a_program_that_works_leaves_its_output_its_variables_and_the_value_of_its_last_expression(executor):
    report = run(
        executor, "import sys\ntotal = 2 + 3\nprint('five')\nprint('oops', file=sys.stderr)\n[total, None, 'x']"
    )
    assert report.success
    assert report.error is None and report.category is None
    result = report.execution_result
    assert (result.stdout, result.stderr, result.exit_code) == ("five\n", "oops\n", 0)
    assert result.variables == {"total": 5}
    assert result.return_value == [5, None, "x"]
    assert 0 < result.execution_time < 5
    assert 1 << 20 < result.memory_used < 200 << 20


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 1", 2),
        ("'a' * 3", "aaa"),
        ("{'a': [1.5, True]}", {"a": [1.5, True]}),
        ("(1, 2)", [1, 2]),
        ("{1: 2}", "{1: 2}"),
        ("10 ** 100", "<int of 333 bits>"),
        ("None", None),
        ("print", "<built-in function print>"),
        ("'\\ud800'", "?"),
    ],
)
def test_a_value_is_itself_where_json_has_it_and_else_a_short_text(executor, expression, value):
    shown = run(executor, expression).execution_result.return_value
    assert shown == value or (expression == "print" and "print" in shown)


def test_a_large_value_is_shortened(executor):
    shown = run(executor, "[0] * 10**6").execution_result.return_value
    assert isinstance(shown, str) and len(shown) < 1000 and "more" in shown


def test_a_program_without_a_last_expression_has_no_value(executor):
    assert run(executor, "5\nx = 1").execution_result.return_value is None
    assert run(executor, "").success
    assert run(executor, "# nothing\n").success


def test_only_the_requested_variables_are_in_the_result(executor):
    code = "import math\ndef f(): pass\nclass A: pass\na = 1\nb = 2"
    assert run(executor, code).execution_result.variables == {"a": 1, "b": 2}
    assert run(executor, code, return_variables=["b", "c"]).execution_result.variables == {"b": 2}
    assert list(run(executor, code, return_variables=["f"]).execution_result.variables) == ["f"]


def test_an_error_is_reported_with_place_variables_and_completed_statements(executor):
    code = (
        "numbers = [10, 20]\ntotal = sum(numbers)\ndef mean(divisor):\n    return total / divisor\n"
        "print('before')\nmean(0)\nprint('after')"
    )
    report = run(executor, code)
    assert not report.success and report.category is ErrorCategory.RUNTIME
    result, error = report.execution_result, report.error
    assert (result.exit_code, result.stdout) == (1, "before\n")
    assert result.stderr.endswith("ZeroDivisionError: division by zero\n") and "return total / divisor" in result.stderr
    assert (error.error_type, error.line_number, error.code_line) == ("ZeroDivisionError", 4, "return total / divisor")
    assert error.function_name == "mean" and error.local_variables == {"divisor": 0}
    assert error.suggestions
    partial_results = error.partial_results
    assert partial_results["completed_lines"] == 5 and partial_results["total_lines"] == 7
    assert partial_results["stdout_before_error"] == "before\n"
    assert partial_results["variables_before_error"]["total"] == 30
    assert error.execution_context.last_successful_line == 5
    path = ("line 1", "line 2", "line 3", "line 5", "line 6", "line 4 (failed)")
    assert error.execution_context.execution_path == path


def test_the_harness_does_not_show_in_a_traceback(executor):
    report = run(executor, "def f():\n    raise KeyError('x')\nf()")
    assert "resilience" not in report.execution_result.stderr
    assert [frame.filename for frame in report.error.exception.traceback] == ["<string>", "<string>"]


def test_the_snippet_of_what_worked_ends_with_the_last_statement_that_did(executor):
    report = run(executor, "a = 'ä'; b = a; 1 / 0\nc = 1")
    (snippet,) = [each.code_snippet for each in report.error.recovery_options if each.kind == "partial_execution"]
    assert snippet == "a = 'ä'; b = a"
    assert run(executor, snippet).execution_result.variables == {"a": "ä", "b": "ä"}


def test_a_syntax_error_runs_nothing(executor):
    report = run(executor, "print('ran')\nif x = 5:\n    pass")
    assert report.category is ErrorCategory.SYNTAX
    assert report.execution_result.stdout == ""
    assert (report.error.line_number, report.error.column_number, report.error.code_line) == (2, 3, "if x = 5:")


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("x = 1\ny = 'a\0b'", 2),
        ("x = '\ud800'", 1),
        ("if True:\n\tx = 1\n        y = 2", 3),
        ("def f():\n    await x", 2),
        ("return 1", 1),
        ("x = (" * 300, None),
        ("-" * 200_000 + "1", None),
        ("x = 1\nglobal x", 2),
        ("import math\nfrom __future__ import annotations", 2),
        ("'''never closed", 1),
    ],
    ids=["null", "surrogate", "tabs", "await", "return", "parentheses", "depth", "global", "future", "open"],
)
def test_whatever_cannot_be_compiled_is_a_syntax_error(executor, code, line):
    report = run(executor, code)
    assert report.category is ErrorCategory.SYNTAX
    if line is not None:
        assert report.error.line_number == line
    assert report.to_json(4)


@pytest.mark.parametrize(
    "code",
    ["\ufeffx = 1\r\nx", "x = 1\r\nx", "\tx = 1".strip() + "\nx", "# -*- coding: ascii -*-\nx = 1\nx  # ä"],
    ids=["BOM", "CRLF", "plain", "cookie"],
)
def test_marks_and_line_ends_of_other_systems_are_no_errors(executor, code):
    assert run(executor, code).execution_result.return_value == 1


def test_a_source_of_a_megabyte_runs(executor):
    code = "x = 1  # " + "y" * 10 + "\n"
    report = run(executor, code * 50_000 + "x + 1", timeout=60)
    assert report.execution_result.return_value == 2


def test_the_compiler_warns_once(executor):
    report = run(executor, "x = 1\nif x is 1:\n    pass")
    assert report.success and report.execution_result.stderr.count("SyntaxWarning") == 1


def test_a_future_import_holds_for_all_statements(executor):
    code = "from __future__ import annotations\nclass A:\n    x: nowhere\nA.__annotations__"
    assert run(executor, code).execution_result.return_value == {"x": "nowhere"}


def test_a_text_is_a_docstring_in_the_first_place_only(executor):
    assert run(executor, "'one'\n'two'\n__doc__").execution_result.return_value == "one"


def test_the_program_is_the_main_module(executor):
    code = (
        "import sys, pickle\nclass A:\n    pass\n"
        "same = sys.modules['__main__'].A is A and type(pickle.loads(pickle.dumps(A()))) is A\n"
        "[__name__, same, sys.argv, '__file__' in dir()]"
    )
    assert run(executor, code).execution_result.return_value == ["__main__", True, ["<string>"], False]


def test_nothing_of_the_harness_is_in_the_way(executor):
    code = "import sys\n[name for name in sys.modules if 'resilience' in name]"
    assert run(executor, code).execution_result.return_value == []
    assert run(executor, "dir()").execution_result.return_value == [
        "__builtins__",
        "__doc__",
        "__loader__",
        "__name__",
        "__package__",
        "__spec__",
    ]


def test_there_is_nothing_to_read(executor):
    assert run(executor, "input()").error.error_type == "EOFError"


def test_a_program_runs_in_an_empty_directory_or_in_the_given_one(executor, tmp_path: Path):
    code = "import os\nopen('made', 'w').close()\nhere = os.getcwd()\nos.listdir()"
    report = run(executor, code)
    assert report.execution_result.return_value == ["made"]
    (tmp_path / "there").touch()
    report = run(executor, code, working_directory=tmp_path)
    assert sorted(report.execution_result.return_value) == ["made", "there"]
    assert (tmp_path / "made").exists()


def test_the_environment_holds_no_secrets(executor, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "hunter2")
    names = run(executor, "import os\nsorted(os.environ)").execution_result.return_value
    assert "API_TOKEN" not in names and "PATH" in names


@pytest.mark.parametrize(("argument", "code"), [("", 0), ("0", 0), ("None", 0), ("3", 3), ("256", 0), ("'no'", 1)])
def test_sys_exit_counts_as_its_code(executor, argument, code):
    report = run(executor, f"import sys\nprint('x')\nsys.exit({argument})\nprint('y')")
    assert report.execution_result.exit_code == code
    assert report.success == (code == 0)
    assert report.execution_result.stdout == "x\n"
    if code:
        assert report.category is ErrorCategory.RUNTIME and report.error.error_type == "SystemExit"


def test_what_a_program_registers_for_its_end_is_done_and_its_threads_are_waited_for(executor):
    code = (
        "import atexit, threading, time\natexit.register(print, 'at exit')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\nprint('end')\n"
    )
    assert run(executor, code).execution_result.stdout == "end\nthread\nat exit\n"
    report = run(executor, code + "1 / 0")
    assert report.execution_result.stdout == "end\nthread\nat exit\n"
    assert report.error.error_type == "ZeroDivisionError"


@pytest.mark.parametrize(
    ("code", "category", "error_type"),
    [
        ("import nowhere_to_be_found", ErrorCategory.IMPORT, "ModuleNotFoundError"),
        ("from math import nothing", ErrorCategory.IMPORT, "ImportError"),
        ("raise ValueError('no')", ErrorCategory.RUNTIME, "ValueError"),
        ("raise KeyboardInterrupt", ErrorCategory.RUNTIME, "KeyboardInterrupt"),
        ("raise GeneratorExit", ErrorCategory.RUNTIME, "GeneratorExit"),
        ("def f(): f()\nf()", ErrorCategory.RUNTIME, "RecursionError"),
        ("raise ExceptionGroup('two', [ValueError(1), KeyError(2)])", ErrorCategory.RUNTIME, "ExceptionGroup"),
        ("exec('x = (')", ErrorCategory.RUNTIME, "SyntaxError"),
        ("import sys\nsys.setrecursionlimit(60)\ndef f(): f()\nf()", ErrorCategory.RUNTIME, "RecursionError"),
        ("import sys\nsys.stdout = sys.stderr = None\nnope", ErrorCategory.RUNTIME, "NameError"),
        ("import sys\nsys.stdout.close()\nsys.stderr.close()\nnope", ErrorCategory.RUNTIME, "NameError"),
    ],
)
def test_each_error_has_its_category(executor, code, category, error_type):
    report = run(executor, code)
    assert (report.category, report.error.error_type) == (category, error_type)


HOSTILE_VALUES = {
    "raises": "class A:\n    def __repr__(self): raise ValueError\n",
    "exits": "class A:\n    def __repr__(self): raise SystemExit\n",
    "endless": "class A:\n    def __repr__(self):\n        while True: pass\n",
    "huge": "class A:\n    def __repr__(self): return 'x' * 10**7\n",
    "no text": "class A:\n    def __repr__(self): return 1\n",
    "metaclass": (
        "class M(type):\n    def __repr__(c): raise ValueError\n    __name__ = property(lambda c: 1 / 0)\n"
        "class A(metaclass=M): pass\n"
    ),
}


@pytest.mark.parametrize("kind", HOSTILE_VALUES)
def test_no_value_can_break_a_report(executor, kind):
    report = run(executor, HOSTILE_VALUES[kind] + "a = A()\nnope")
    assert (report.error.error_type, report.error.line_number) == ("NameError", HOSTILE_VALUES[kind].count("\n") + 2)
    assert "a" in report.execution_result.variables
    assert len(report.to_json(4)) < 100_000
    report = run(executor, HOSTILE_VALUES[kind] + "A()")
    assert report.success and len(report.execution_result.return_value) < 1000


def test_a_violation_in_the_source_is_reported_before_a_process_starts(executor):
    report = run(executor, "print(1)\nimport os", security_level="strict")
    assert (report.category, report.error.error_type) == (ErrorCategory.SECURITY, "SecurityViolation")
    assert report.error.error_message == "Attempted to access restricted module 'os'"
    assert (report.error.line_number, report.execution_result.stdout) == (2, "")
    assert report.error.specifics["security_level"] == "strict"


AT_RUN_TIME = "open('/'.join(['', 'etc', 'passwd']))"


def test_a_violation_at_run_time_is_reported_by_the_guard(executor):
    report = run(executor, f"print('ran')\n{AT_RUN_TIME}", security_level="moderate")
    assert (report.category, report.error.error_type) == (ErrorCategory.SECURITY, "SecurityViolation")
    assert (report.error.line_number, report.execution_result.stdout) == (2, "ran\n")
    assert report.error.security_violation["attempted_operation"] == "file_read"


def test_a_violation_that_was_caught_is_one_all_the_same(executor):
    code = f"try:\n    {AT_RUN_TIME}\nexcept Exception:\n    print('caught')"
    report = run(executor, code, security_level="moderate")
    assert (report.category, report.execution_result.stdout) == (ErrorCategory.SECURITY, "caught\n")


def test_policies_do_not_rub_off_on_the_next_execution(executor):
    for _ in range(3):
        executor.warm()
        assert run(executor, "import math\nmath.pi", security_level="strict").success
        executor.warm()
        assert run(executor, "import os\nos.sep").execution_result.return_value == "/"


def test_a_warm_spare_and_a_fresh_process_tell_the_same(executor):
    def comparable(report: ExecutionReport) -> dict[str, object]:
        found = report.to_dict(3)
        found["execution_result"] = {**found["execution_result"], "execution_time": 0, "memory_used": ""}
        return {**found, "execution_id": "", "timestamp": ""}

    code = "import datetime\nx = [1]\nprint('a')\ndef f(y):\n    return y.z\nf(x)"
    with SubprocessExecutor(spares=0) as cold:
        for level in ("strict", "permissive"):
            executor.warm()
            assert comparable(run(executor, code, security_level=level)) == comparable(
                run(cold, code, security_level=level)
            )


@pytest.mark.parametrize(
    ("code", "options", "kind"),
    [
        ("x = (", {}, CodeSyntaxError),
        ("nope", {}, CodeRuntimeError),
        ("import nope", {}, CodeRuntimeError),
        ("while True: pass", {"timeout": 0.1}, ExecutionTimeoutError),
        ("import os\nos._exit(0)", {}, WorkflowError),
        ("import os", {"security_level": "strict"}, CodeRuntimeError),
        ("[0] * 10**9", {}, CodeRuntimeError),
    ],
)
def test_a_failure_can_be_raised_with_its_category_and_its_report(executor, code, options, kind):
    report = run(executor, code, **options)
    with pytest.raises(kind) as caught:
        report.raise_for_error()
    assert caught.value.category is report.category
    assert caught.value.technical_details["execution_id"] == report.execution_id
    run(executor, "1").raise_for_error()


def test_the_report_is_one_json_document(executor):
    report = run(executor, "print('out')\nnope")
    document = report.to_dict()
    expected = {"success", "execution_result", "error_category", "error_details", "timestamp", "assigned_by"}
    assert expected <= document.keys()
    assert (document["success"], document["error_category"], document["assigned_by"]) == (False, "runtime_error", "ray")
    result = document["execution_result"]
    assert (result["stdout"], result["exit_code"], result["exception_info"]["type"]) == ("out\n", 1, "NameError")
    assert result["memory_used"].endswith("MB")
    assert "execution_result" not in report.to_dict(1)
    assert run(executor, "1").to_dict(1)["execution_result"]["return_value"] == 1


def test_the_report_of_a_failure_has_no_secrets(executor):
    code = "password = 'hunter2-hunter2'\nprint('Authorization: Bearer abcdefghijklmnop')\n1 / 0"
    for level in (2, 3, 4):
        document = run(executor, code).to_json(level)
        assert "hunter2" not in document and "abcdefghijklmnop" not in document


def test_a_model_reads_a_success_and_a_failure_in_no_more_than_it_asked_for(executor):
    assert (
        run(executor, "print('a')\n[1]").to_llm()
        == "The code ran without an error.\nIts last expression is [1]\nIt printed:\na"
    )
    assert "NameError" in run(executor, "nope").to_llm()
    assert len(run(executor, "print('word ' * 10000)").to_llm(100)) < 500


@pytest.mark.parametrize("python", ["/nowhere/python", "/", "/etc/hostname"])
def test_an_interpreter_that_cannot_be_started_is_a_matter_of_configuration(python):
    with (
        SubprocessExecutor(python=python) as executor,
        pytest.raises(ContainerConfigurationError, match="cannot be started"),
    ):
        executor.execute_sync("1")


def test_what_is_no_interpreter_is_a_matter_of_configuration():
    with (
        SubprocessExecutor(python="/bin/false") as executor,
        pytest.raises(ContainerConfigurationError, match="/bin/false"),
    ):
        executor.execute_sync("1")


def test_a_closed_executor_says_so():
    executor = SubprocessExecutor()
    executor.close()
    executor.close()
    with pytest.raises(RuntimeError, match="closed"):
        executor.execute_sync("1")


@pytest.mark.parametrize("wrong", [{"spares": -1}, {"spares": "1"}, {"spares": True}])
def test_a_wrong_number_of_spares_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="spares="):
        SubprocessExecutor(**wrong)


def test_virtual_time_is_no_concern_of_a_real_process(executor):
    with virtual_time():
        assert run(executor, "1 + 1").execution_result.return_value == 2
