"""Execute Python for a service or an agent, within limits, and report how it went.

    with SubprocessExecutor() as executor:
        report = executor.execute_sync("1 + 1")

Limits and policy are guard rails for code that means well, not a security boundary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.rooms import open_rooms

if TYPE_CHECKING:
    from resilience.execution.events import StreamEvent
    from resilience.execution.executor import ExecutionReport, ExecutionResult, Executor, Listener
    from resilience.execution.fallback import FallbackExecutor
    from resilience.execution.feedback import Feedback
    from resilience.execution.files import source_of
    from resilience.execution.finding import Finding
    from resilience.execution.generation import run_generated, run_generated_sync
    from resilience.execution.history import Advice, CommonError, ErrorHistory, HistoryEntry
    from resilience.execution.jupyter.executor import JupyterExecutor
    from resilience.execution.local import SubprocessExecutor
    from resilience.execution.loop import GeneratedRun
    from resilience.execution.request import ExecutionRequest
    from resilience.execution.security import SecurityLevel, SecurityPolicy
    from resilience.execution.streaming import EventStream
    from resilience.execution.validation import Validation, validate

__all__ = [
    "Advice",
    "CommonError",
    "ErrorHistory",
    "EventStream",
    "ExecutionReport",
    "ExecutionRequest",
    "ExecutionResult",
    "Executor",
    "FallbackExecutor",
    "Feedback",
    "Finding",
    "GeneratedRun",
    "HistoryEntry",
    "JupyterExecutor",
    "Listener",
    "SecurityLevel",
    "SecurityPolicy",
    "StreamEvent",
    "SubprocessExecutor",
    "Validation",
    "run_generated",
    "run_generated_sync",
    "source_of",
    "validate",
]

# Imported when first asked for.
_ROOMS = {
    "Advice": "history",
    "CommonError": "history",
    "ErrorHistory": "history",
    "EventStream": "streaming",
    "ExecutionReport": "executor",
    "ExecutionRequest": "request",
    "ExecutionResult": "executor",
    "Executor": "executor",
    "FallbackExecutor": "fallback",
    "Feedback": "feedback",
    "Finding": "finding",
    "GeneratedRun": "loop",
    "HistoryEntry": "history",
    "JupyterExecutor": "jupyter.executor",
    "Listener": "executor",
    "SecurityLevel": "security",
    "SecurityPolicy": "security",
    "StreamEvent": "events",
    "SubprocessExecutor": "local",
    "Validation": "validation",
    "run_generated": "generation",
    "run_generated_sync": "generation",
    "source_of": "files",
    "validate": "validation",
}

open_rooms(__name__, _ROOMS)
