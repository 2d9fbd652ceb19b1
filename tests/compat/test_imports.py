"""What the package itself hands out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from resilience import compat
from resilience.compat import service, tools


def test_the_toolkit_does_not_import_it_and_it_imports_nothing_until_asked():
    program = (
        "import sys, resilience; assert 'resilience.compat' not in sys.modules; import resilience.compat;"
        " assert not {'resilience.compat.service', 'resilience.compat.tools', 'pybreaker'} & set(sys.modules);"
        " assert resilience.compat.service.CircuitBreaker and resilience.compat.with_retry"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_name_is_there_and_listed():
    assert {name: getattr(compat, name) for name in dir(compat)} == {
        "classify_error": tools.classify_error,
        "retry_with_backoff": service.retry_with_backoff,
        "service": service,
        "tools": tools,
        "with_retry": tools.with_retry,
    }
    for module in (compat, service, tools):
        assert all(hasattr(module, name) for name in module.__all__)


def test_names_that_the_toolkit_has_for_something_else_are_in_their_modules_only():
    for name in ("CircuitBreaker", "CircuitState", "ErrorCategory"):
        with pytest.raises(AttributeError, match=f"module 'resilience.compat' has no attribute '{name}'"):
            getattr(compat, name)
