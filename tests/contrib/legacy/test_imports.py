"""The public names of the package."""

from __future__ import annotations

import subprocess
import sys

import pytest

from resilience.contrib import legacy
from resilience.contrib.legacy import service, tools


def test_the_toolkit_does_not_import_it_and_it_imports_nothing_until_asked():
    program = (
        "import sys, resilience\nassert 'resilience.contrib.legacy' not in sys.modules\n"
        "import resilience.contrib.legacy\n"
        "modules = {'resilience.contrib.legacy.service', 'resilience.contrib.legacy.tools', 'pybreaker'}\n"
        "assert not modules & set(sys.modules)\n"
        "assert resilience.contrib.legacy.service.CircuitBreaker and resilience.contrib.legacy.with_retry"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_name_is_there_and_listed():
    assert {name: getattr(legacy, name) for name in dir(legacy)} == {
        "classify_error": tools.classify_error,
        "retry_with_backoff": service.retry_with_backoff,
        "service": service,
        "tools": tools,
        "with_retry": tools.with_retry,
    }
    for module in (legacy, service, tools):
        assert all(hasattr(module, name) for name in module.__all__)


def test_names_that_the_toolkit_has_for_something_else_are_in_their_modules_only():
    for name in ("CircuitBreaker", "CircuitState", "ErrorCategory"):
        with pytest.raises(AttributeError, match=f"module 'resilience.contrib.legacy' has no attribute '{name}'"):
            getattr(legacy, name)
