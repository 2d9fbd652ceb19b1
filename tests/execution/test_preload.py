"""State that workers start in: modules imported in advance, environment variables, the assigner of the work."""

from __future__ import annotations

import sys

import pytest

from resilience import ErrorCategory
from resilience.contrib.executor import ContainerConfigurationError
from resilience.execution import ExecutionRequest, JupyterExecutor, SubprocessExecutor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="executions need POSIX")

LOADED = "import sys\n[name in sys.modules for name in ('decimal', 'fractions')]"


def test_a_warm_worker_has_the_modules_of_preload_imported():
    with SubprocessExecutor(preload=["fractions", "decimal"]) as executor:
        executor.warm()
        report = executor.execute_sync(ExecutionRequest(LOADED, security_level="permissive"))
    assert report.execution_result.return_value == [True, True]


def test_a_module_of_preload_is_not_allowed_to_the_code_by_that():
    with SubprocessExecutor(preload=["fractions"]) as executor:
        executor.warm()
        report = executor.execute_sync("import fractions")
    assert report.category is ErrorCategory.SECURITY


def test_a_module_that_is_imported_in_advance_takes_nothing_of_the_memory_limit():
    with SubprocessExecutor(preload=["decimal", "json", "xml.etree.ElementTree"]) as executor:
        executor.warm()
        report = executor.execute_sync(ExecutionRequest("1 + 1", memory_limit="2MB"))
    assert report.success, report.error


BUFFERED = """
import logging, logging.config, logging.handlers, sys
MemoryHandler = logging.handlers.MemoryHandler
"""
LOGGING = {
    "added": "logging.root.addHandler(MemoryHandler(100, target=logging.StreamHandler(sys.stdout)))\n",
    "configured": (
        "handlers = {'out': {'class': 'logging.StreamHandler', 'stream': sys.stdout}, 'kept': {'class': "
        "'logging.handlers.MemoryHandler', 'capacity': 100, 'target': 'out'}}\nlogging.config.dictConfig("
        "{'version': 1, 'handlers': handlers, 'root': {'handlers': ['kept']}})\n"
    ),
}


@pytest.mark.parametrize("way", LOGGING)
@pytest.mark.parametrize("preload", [[], ["logging"], ["logging.config"]])
def test_records_that_a_log_handler_has_kept_back_are_written_at_the_end(preload, way):
    code = f"{BUFFERED}{LOGGING[way]}logging.warning('kept back')\nprint('ended')"
    with SubprocessExecutor(preload=preload) as executor:
        executor.warm()
        report = executor.execute_sync(ExecutionRequest(code, security_level="permissive"))
    assert report.execution_result.stdout == "ended\nkept back\n", report.error


@pytest.mark.parametrize("preload", [[], ["logging"]])
def test_what_an_exit_handler_logs_is_written(preload):
    code = f"{BUFFERED}import atexit\n{LOGGING['added']}atexit.register(logging.warning, 'at exit')"
    with SubprocessExecutor(preload=preload) as executor:
        executor.warm()
        report = executor.execute_sync(ExecutionRequest(code, security_level="permissive"))
    assert report.execution_result.stdout == "at exit\n", report.error


def test_a_module_of_preload_that_cannot_be_imported_is_named():
    with SubprocessExecutor(preload=["fractionz"]) as executor:
        executor.warm()
        with pytest.raises(ContainerConfigurationError, match="preload: a worker cannot import 'fractionz': Module"):
            executor.execute_sync("1")


def test_programs_get_the_variables_of_environment_and_no_others_of_this_process(monkeypatch):
    monkeypatch.setenv("SERVICE_PASSWORD", "hunter2")
    code = "import os\n[os.environ.get(name) for name in ('REGION', 'OMP_NUM_THREADS', 'SERVICE_PASSWORD')]"
    with SubprocessExecutor(environment={"REGION": "eu", "OMP_NUM_THREADS": "2"}) as executor:
        report = executor.execute_sync(ExecutionRequest(code, security_level="permissive"))
    assert report.execution_result.return_value == ["eu", "2", None]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"preload": "numpy"}, TypeError, r"preload='numpy': give several names, such as \['numpy'\]"),
        ({"preload": ["not a name"]}, ValueError, "preload: 'not a name' is no name"),
        ({"environment": ["A"]}, TypeError, "environment=.*: give a mapping of names to texts"),
        ({"environment": {"A": 1}}, TypeError, r"environment\['A'\]=1: give a text"),
        ({"environment": {"A=B": "1"}}, ValueError, "environment='A=B': give a name without '='"),
        ({"environment": {"A": "\0"}}, ValueError, "give a text without a null character"),
    ],
)
def test_wrong_options_fail_where_they_are_given(options, error, said):
    with pytest.raises(error, match=said):
        SubprocessExecutor(**options)


@pytest.mark.parametrize("kind", [SubprocessExecutor, JupyterExecutor])
def test_who_gave_the_work_is_said_once_for_an_executor_or_for_a_request(kind):
    refused = "import os"  # refused before it runs
    with kind(assigned_by="planner") as executor:
        assert executor.execute_sync(refused).assigned_by == "planner"
        assert executor.execute_sync(ExecutionRequest(refused, assigned_by="critic")).assigned_by == "critic"
    with kind() as executor:
        assert executor.execute_sync(refused).to_dict()["assigned_by"] == "ray"


@pytest.mark.parametrize("spares", [0, 1], ids=["cold", "warm"])
@pytest.mark.parametrize(
    "definition",
    ["def area(side):\n    return side**2\n", "class Area:\n    side: int\n", "area = lambda side: side**2\n"],
)
def test_inspect_finds_the_source_of_the_program(definition, spares):
    name = "Area" if "class" in definition else "area"
    code = f"import inspect\n\n{definition}\ninspect.getsource({name})"
    with SubprocessExecutor(spares=spares) as executor:
        report = executor.execute_sync(ExecutionRequest(code, allowed_imports=["inspect"]))
    assert report.execution_result.return_value == definition


def test_a_program_has_no_file_of_its_own():
    with SubprocessExecutor() as executor:
        report = executor.execute_sync("__file__")
    assert (report.category, report.error.error_type) == (ErrorCategory.RUNTIME, "NameError")
