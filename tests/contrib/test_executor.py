"""The family of an executor of code: constructor orders, messages, what is to be done."""

from __future__ import annotations

import copy
import inspect
import pathlib
import pickle

import pytest

from resilience import ErrorCategory as C
from resilience import classify, retry_on_category
from resilience.contrib import executor
from resilience.testing import no_waits

TECHNICAL = {"image": "python:3.11"}
FOLDER = pathlib.Path("/srv/run-7")
BUG = RuntimeError("bug")

CASES = [
    (executor.PythonExecutorException("m", C.INFRASTRUCTURE, TECHNICAL, FOLDER), "m", {}, C.INFRASTRUCTURE),
    (
        executor.ContainerConnectivityError("m", "localhost", 8888, TECHNICAL),
        "m",
        {"host": "localhost", "port": 8888},
        C.NETWORK,
    ),
    (executor.ContainerConfigurationError("m", TECHNICAL), "m", {}, C.CONFIGURATION),
    (
        executor.CodeGenerationError("m", 2, ["a", "b"], TECHNICAL),
        "m",
        {"generation_attempt": 2, "error_chain": ["a", "b"]},
        C.GENERATION,
    ),
    (executor.CodeSyntaxError("m", ["line 1"], TECHNICAL), "m", {"syntax_issues": ["line 1"]}, C.SYNTAX),
    (
        executor.CodeRuntimeError("m", "Traceback ...", 3, TECHNICAL, FOLDER),
        "m",
        {"traceback_info": "Traceback ...", "execution_attempt": 3},
        C.RUNTIME,
    ),
    (
        executor.ExecutionTimeoutError(30, TECHNICAL, FOLDER),
        "Python code execution timeout after 30 seconds",
        {"timeout_seconds": 30},
        C.EXECUTION_TIMEOUT,
    ),
    (
        executor.MaxAttemptsExceededError("code_generation", 3, ["a"], TECHNICAL, FOLDER),
        "Maximum code_generation attempts (3) exceeded",
        {"operation_type": "code_generation", "max_attempts": 3, "error_chain": ["a"]},
        C.EXHAUSTED,
    ),
    (
        executor.WorkflowError("m", "static_analysis", BUG, TECHNICAL, FOLDER),
        "m",
        {"stage": "static_analysis"},
        C.INTERNAL,
    ),
]
each = pytest.mark.parametrize(
    ("error", "message", "attributes", "category"), CASES, ids=[type(case[0]).__name__ for case in CASES]
)


@each
def test_each_error_has_its_message_attributes_and_category(error, message, attributes, category):
    assert (str(error), error.message, error.category) == (message, message, category)
    assert {name: getattr(error, name) for name in attributes} == attributes
    assert error.technical_details == error.details == TECHNICAL
    takes_a_folder = "folder_path" in inspect.signature(type(error)).parameters
    assert error.folder_path == (FOLDER if takes_a_folder else None)
    assert classify(error) in category


@each
def test_each_error_survives_pickle_and_copies(error, message, attributes, category):
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(twin), str(twin), twin.message, twin.category) == (type(error), message, message, category)
        assert {name: getattr(twin, name) for name in attributes} == attributes
        assert (twin.technical_details, twin.folder_path) == (TECHNICAL, error.folder_path)
        assert twin.get_user_message() == error.get_user_message()


@pytest.mark.parametrize(
    ("group", "execution", "generation"),
    [
        (C.INFRASTRUCTURE, True, False),
        (C.CODE_RELATED, False, True),
        (C.WORKFLOW, False, False),
        (C.CONFIGURATION, False, False),
    ],
    ids=str,
)
def test_the_category_alone_says_what_to_do(group, execution, generation):
    errors = [case[0] for case in CASES if case[3] in group] + [executor.PythonExecutorException("m", group.label)]
    assert len(errors) > 1
    for error in errors:
        assert error.is_infrastructure_error() is error.should_retry_execution() is execution
        assert error.is_code_error() is error.should_retry_code_generation() is generation
        assert error.is_workflow_error() is (group is C.WORKFLOW)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (CASES[1][0], "Python execution environment is not reachable at localhost:8888"),
        (CASES[8][0], "An unexpected error occurred in the Python executor during static_analysis"),
        (CASES[0][0], "A service could not be reached. Please try again."),
        (CASES[5][0], "The code failed while it ran."),
    ],
)
def test_messages_for_users_hold_nothing_technical(error, says):
    assert error.get_user_message() == says


def test_details_that_are_left_out_are_an_empty_dict_of_the_error_s_own():
    one, other = executor.ContainerConfigurationError("m"), executor.ContainerConfigurationError("m")
    one.technical_details["a"] = 1
    assert (one.details, other.technical_details) == ({"a": 1}, {})
    one.technical_details = {"b": 2}
    assert one.details == {"b": 2}


def test_a_folder_may_be_given_as_text():
    assert executor.ExecutionTimeoutError(30, folder_path="/srv/run-7").folder_path == FOLDER


def test_the_original_exception_of_a_workflow_error_is_kept():
    assert CASES[8][0].original_exception is BUG
    assert executor.WorkflowError("m", "execution").original_exception is None


def test_an_unknown_category_is_refused():
    with pytest.raises(ValueError, match="did you mean 'infrastructure'"):
        executor.PythonExecutorException("m", "infrastucture")


def test_connectivity_is_retried_and_code_is_not():
    calls = []

    @retry_on_category(C.INFRASTRUCTURE, attempts=3)
    def run(error):
        calls.append(type(error).__name__)
        raise error

    with no_waits():
        for case in (CASES[1], CASES[5]):
            with pytest.raises(type(case[0])):
                run(case[0])
    assert calls == ["ContainerConnectivityError"] * 3 + ["CodeRuntimeError"]
