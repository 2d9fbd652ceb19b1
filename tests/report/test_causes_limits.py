"""Diagnosis of stopped executions: time, memory, signals, exit codes, the policy; and diagnosis by category."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from resilience.categories import ErrorCategory
from resilience.report._diagnosis import diagnose
from resilience.report.diagnosis import Diagnosis
from resilience.report.failure import Failure, Violation
from tests.report.faulty import failure_of


def timed_out(source: str, line: int) -> Diagnosis:
    return diagnose(
        Failure(
            category=ErrorCategory.EXECUTION_TIMEOUT,
            error_type="ExecutionTimeout",
            message="Code execution exceeded 30 second timeout",
            source=source,
            line=line,
            specifics={"timeout_limit": 30, "execution_time": 30.1},
        )
    )


def test_a_loop_that_cannot_end_is_named():
    diagnosis = timed_out("count = 0\nwhile True:\n    count += 1\n", 3)
    assert diagnosis.immediate_cause == "the program was still running after 30 seconds, at line 3: count += 1"
    assert "`while True` on line 2 has no break: it never ends" in diagnosis.contributing_factors
    assert diagnosis.suggestions[0].startswith("Give the loop on line 2 a way out")
    assert diagnosis.specifics["last_executed_line"] == 3


def test_a_loop_without_progress_is_named_with_what_does_not_change():
    diagnosis = timed_out("n = 10\ntotal = 0\nwhile n > 0:\n    total += n\n", 4)
    assert "the loop on line 3 changes none of the variables of its condition, n > 0" in diagnosis.contributing_factors
    assert diagnosis.suggestions[0] == "Change n in the loop on line 3, so that `n > 0` becomes false."


@pytest.mark.parametrize(
    "body", ["n -= 1", "n = half(n)", "stack.pop()", "if n > 5:\n        n = 0", "for n in range(3): pass"]
)
def test_a_loop_that_may_come_to_its_end_is_not_blamed_for_it(body: str):
    condition = "stack" if "stack" in body else "n > 0"
    diagnosis = timed_out(f"n = 10\nstack = [1]\nwhile {condition}:\n    {body}\n", 4)
    assert not any("changes none" in factor for factor in diagnosis.contributing_factors)
    assert "comes nearer to its end" in diagnosis.suggestions[0]


def test_waiting_is_named():
    diagnosis = timed_out("import time\ntime.sleep(3600)\n", 2)
    assert any(tip.startswith("sleep() on line 2 waits") for tip in diagnosis.suggestions)


def test_a_long_loop_is_explained_by_its_iterable():
    diagnosis = timed_out("for i in range(10 ** 12):\n    pass\n", 2)
    assert "range(10 ** 12)" in diagnosis.suggestions[0]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = [0] * 10 ** 10", "very large value"),
        ("x = [n * n for n in range(10 ** 9)]", "generator"),
        ("text = open('big').read()", "line by line"),
        ("while True:\n    x.append(1)", "lets something grow"),
    ],
)
def test_a_memory_error_is_explained_by_its_line(code: str, words: str):
    diagnosis = diagnose(
        Failure(
            category=ErrorCategory.MEMORY,
            error_type="MemoryError",
            message="Memory limit of 100MB exceeded",
            source=code,
            line=code.count("\n") + 1,
            specifics={"memory_limit": "100MB", "memory_used": "105MB"},
        )
    )
    assert "more memory than the limit of 100MB (it had 105MB)" in diagnosis.immediate_cause
    assert words in diagnosis.suggestions[0]
    assert any("(100MB)" in tip for tip in diagnosis.suggestions)


def died(message: str, **specifics) -> Diagnosis:
    return diagnose(
        Failure(category=ErrorCategory.RUNTIME, error_type="ProcessDied", message=message, line=7, specifics=specifics)
    )


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT", "SIGXCPU", "SIGBUS", "SIGTERM", "SIGUSR1"])
def test_a_signal_is_explained(name: str):
    for diagnosis in (
        died(f"the process was killed by {name}"),
        died(f"killed by signal {getattr(signal, name).value}"),
        died("it ended", signal=name),
    ):
        assert f"the process was ended by {name}: " in diagnosis.immediate_cause
        assert diagnosis.contributing_factors == ("Line 7 was the last that was reached.",)
        assert diagnosis.specifics["signal"] == name


def test_a_real_crash_is_explained_by_its_signal():
    code = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    diagnosis = died(f"killed by signal {-done.returncode}")
    assert "segmentation fault" in diagnosis.immediate_cause


def test_an_exit_code_is_explained():
    diagnosis = died("the process exited with code 3")
    assert diagnosis.immediate_cause == "the process ended with exit code 3 and said no more"
    assert diagnosis.specifics["exit_code"] == 3
    assert died("it ended", exit_code=4).specifics["exit_code"] == 4


KINDS = ["blocked_import", "blocked_call", "blocked_attribute", "file_read", "file_write", "network", "process"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_violation_has_an_alternative_of_its_own(kind: str):
    def diagnosis_of(kind: str) -> Diagnosis:
        return diagnose(
            Failure(
                category=ErrorCategory.SECURITY,
                error_type="SecurityViolation",
                message="Attempted to do what may not be done",
                violation=Violation(
                    kind=kind,
                    attempted_operation=kind,
                    blocked_code="f('x')",
                    reason="it is denied in strict mode",
                    subject="f",
                ),
                specifics={"security_level": "strict"},
            )
        )

    diagnosis = diagnosis_of(kind)
    assert diagnosis.immediate_cause == "f('x') is not allowed at level strict: it is denied in strict mode"
    assert diagnosis.specifics["violation_type"] == kind
    assert diagnosis.specifics["attempted_action"] == "f('x')"
    alternatives = diagnosis.specifics["alternative_approaches"]
    assert alternatives
    assert list(diagnosis.suggestions[: len(alternatives)]) == alternatives
    others = [diagnosis_of(other).specifics["alternative_approaches"] for other in KINDS if other != kind]
    assert alternatives not in others


def test_the_alternatives_that_the_policy_names_come_first():
    diagnosis = diagnose(
        Failure(
            category=ErrorCategory.SECURITY,
            error_type="SecurityViolation",
            message="Attempted to access restricted module 'os'",
            violation=Violation(
                kind="blocked_import",
                attempted_operation="import os",
                blocked_code="import os",
                reason="importing 'os' is denied in strict mode",
                subject="os",
                alternatives=("Use plain texts for paths.",),
                line=3,
            ),
            line=3,
            specifics={"security_level": "strict", "available_modules": ["math", "json", "datetime", "random"]},
        )
    )
    assert diagnosis.suggestions == (
        "Use plain texts for paths.",
        "These modules are allowed: math, json, datetime and random.",
        "If it is needed, allow it: allowed_imports=['os'].",
    )
    assert diagnosis.contributing_factors == ("it was stopped before it happened, on line 3",)


def test_a_module_that_is_missing_is_replaced_by_one_that_is_there():
    failure = failure_of(
        "import requests_zz\n",
        specifics={"available_modules": ["math", "json", "datetime", "random"], "security_level": "strict"},
    )
    diagnosis = diagnose(failure)
    assert diagnosis.specifics["attempted_import"] == "requests_zz"
    assert diagnosis.specifics["available_modules"] == ["math", "json", "datetime", "random"]
    assert "Use the modules that are available: math, json, datetime and random." in diagnosis.suggestions
    assert not any("pip install" in tip for tip in diagnosis.suggestions)


def test_no_import_is_proposed_that_is_not_allowed():
    diagnosis = diagnose(failure_of("np.zeros(3)", specifics={"available_modules": ["math", "json"]}))
    assert diagnosis.suggested_fix is None
    assert diagnosis.suggestions[0] == "np belongs to the module numpy, which is not available here: do without it."


def test_a_near_module_among_the_allowed_ones_is_the_correction():
    diagnosis = diagnose(failure_of("import jsn", specifics={"available_modules": ["math", "json"]}))
    assert diagnosis.suggested_fix == "import json"


@pytest.mark.parametrize(
    ("code", "context"),
    [
        ("x = 1\n1 / 0", "at the top level, on line 2"),
        (
            "def f(a, b=2):\n    return a / 0\nf(3)",
            "in f(a=3, b=2), on line 2, called from line 3 of the top level: f(3)",
        ),
        ("def g():\n    f()\ndef f():\n    1 / 0\ng()", "in f(), on line 4, called from line 2 of g(): f()"),
        ("x = (", "while the code was compiled: none of it has run"),
        ("eval('1 +')", "at the top level, on line 1"),
    ],
)
def test_the_context_says_what_the_program_was_doing(code: str, context: str):
    assert diagnose(failure_of(code)).context == context


def test_an_argument_is_traced_to_the_call_that_gave_it():
    code = "def area(width, height):\n    return width * height + 'm'\ntotal = area(2, 3)\n"
    assert "width = 2, given on line 3: total = area(2, 3)" in diagnose(failure_of(code)).contributing_factors


def test_a_failure_inside_a_library_is_explained_by_the_line_of_the_program():
    diagnosis = diagnose(failure_of("import json\ntext = 'lamp'\njson.loads(text)\n"))
    assert diagnosis.context == "at the top level, on line 3"
    assert "text = 'lamp', set on line 2" in diagnosis.contributing_factors
