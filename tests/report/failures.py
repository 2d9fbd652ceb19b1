"""One failure of each kind, as an executor hands it over."""

from __future__ import annotations

import datetime

from resilience.categories import ErrorCategory as C
from resilience.report import Failure, Progress, Violation
from resilience.report._capture import capture
from tests.report.failing import raised

__all__ = ["FAILURES", "NOON"]

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
SYSTEM = {"python_version": "3.13.0", "memory_limit": "100MB", "DB_PASSWORD": "canary-9"}
_LIMIT = Progress(
    completed_lines=1,
    total_lines=3,
    last_successful_line=1,
    path=(1, 2),
    stdout="begun\n",
    variables={"n": 0},
    snippet="n = 0",
)


def of_source(source: str, category: C, **more: object) -> Failure:
    error = raised(source)
    found = capture(error, source=source)
    return Failure(
        category=category,
        error_type=found["type"],
        message=found["message"],
        exception=found,
        source=source,
        timestamp=NOON,
        system=SYSTEM,
        **more,
    )


def _runtime() -> Failure:
    source = 'x = 10\ny = x + 5\nprint(undefined_variable)\nprint("never")\n'
    progress = Progress(
        completed_lines=2,
        total_lines=4,
        last_successful_line=2,
        path=(1, 2, 3),
        stdout="ready\n",
        variables={"x": 10, "y": 15},
        snippet="x = 10\ny = x + 5\n",
    )
    return of_source(source, C.RUNTIME, progress=progress)


FAILURES: dict[str, Failure] = {
    "runtime": _runtime(),
    "syntax": of_source("compile('x = 1\\nif x = 5:\\n    pass\\n', '<string>', 'exec')", C.SYNTAX),
    "import": of_source("import numpyy", C.IMPORT, specifics={"available_modules": ["math", "json"]}),
    "security": Failure(
        category=C.SECURITY,
        error_type="SecurityViolation",
        message="Attempted to access restricted module 'os'",
        source="x = 1\nimport os\n",
        specifics={"security_level": "strict"},
        violation=Violation(
            kind="blocked_import",
            attempted_operation="import os",
            blocked_code="import os",
            reason="importing os is denied at level strict",
            subject="os",
            alternatives=("Use pathlib at level moderate.",),
            line=2,
            column=0,
        ),
        timestamp=NOON,
    ),
    "timeout": Failure(
        category=C.EXECUTION_TIMEOUT,
        error_type="ExecutionTimeout",
        message="Code execution exceeded 30 second timeout",
        source="n = 0\nwhile True:\n    n += 1\n",
        line=3,
        specifics={"timeout_limit": 30.0, "execution_time": 30.1},
        progress=_LIMIT,
        timestamp=NOON,
    ),
    "memory": Failure(
        category=C.MEMORY,
        error_type="MemoryError",
        message="Memory limit of 100MB exceeded",
        source="data = []\nwhile True:\n    data.append('x' * 10**6)\n",
        line=3,
        specifics={"memory_limit": "100MB", "memory_used": "105MB", "signal": "SIGKILL"},
        timestamp=NOON,
    ),
    "network": Failure(category=C.NETWORK, error_type="ConnectError", message="refused", timestamp=NOON),
    "group": of_source("raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])", C.RUNTIME),
    "nothing": Failure(category=C.UNKNOWN, error_type="Odd", message="", timestamp=NOON),
}
