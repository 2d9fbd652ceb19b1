"""Execution of Python code for services and agents, within limits, with a report for people, programs and models.

    with SubprocessExecutor() as executor:
        report = executor.execute_sync("1 + 1")

Limits and policy are guard rails for cooperative code, not a security boundary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience.execution._jupyter.executor import JupyterExecutor
    from resilience.execution._markdown import strip_fences
    from resilience.execution.artifacts import Artifact
    from resilience.execution.diagnostic import Diagnostic
    from resilience.execution.events import StreamEvent
    from resilience.execution.executor import ExecutionReport, ExecutionResult, Executor, Listener
    from resilience.execution.fallback import FallbackExecutor
    from resilience.execution.feedback import Feedback
    from resilience.execution.generation import run_generated, run_generated_sync
    from resilience.execution.generation_state import GeneratedRun
    from resilience.execution.history import Advice, CommonError, ErrorHistory, HistoryEntry
    from resilience.execution.local import SubprocessExecutor
    from resilience.execution.request import ExecutionRequest
    from resilience.execution.schema import execution_schema
    from resilience.execution.security import SecurityLevel, SecurityPolicy
    from resilience.execution.session import ExecutionSession
    from resilience.execution.source_decoding import source_of
    from resilience.execution.streaming import EventStream
    from resilience.execution.validation import Validation, validate

__all__ = [
    "Advice",
    "Artifact",
    "CommonError",
    "Diagnostic",
    "ErrorHistory",
    "EventStream",
    "ExecutionReport",
    "ExecutionRequest",
    "ExecutionResult",
    "ExecutionSession",
    "Executor",
    "FallbackExecutor",
    "Feedback",
    "GeneratedRun",
    "HistoryEntry",
    "JupyterExecutor",
    "Listener",
    "SecurityLevel",
    "SecurityPolicy",
    "StreamEvent",
    "SubprocessExecutor",
    "Validation",
    "execution_schema",
    "run_generated",
    "run_generated_sync",
    "source_of",
    "strip_fences",
    "validate",
]

# Imported when first asked for.
_LAZY = {
    "Advice": "history",
    "Artifact": "artifacts",
    "CommonError": "history",
    "ErrorHistory": "history",
    "EventStream": "streaming",
    "ExecutionReport": "executor",
    "ExecutionRequest": "request",
    "ExecutionResult": "executor",
    "ExecutionSession": "session",
    "Executor": "executor",
    "FallbackExecutor": "fallback",
    "Feedback": "feedback",
    "Diagnostic": "diagnostic",
    "GeneratedRun": "generation_state",
    "HistoryEntry": "history",
    "JupyterExecutor": "_jupyter.executor",
    "Listener": "executor",
    "SecurityLevel": "security",
    "SecurityPolicy": "security",
    "StreamEvent": "events",
    "SubprocessExecutor": "local",
    "Validation": "validation",
    "execution_schema": "schema",
    "run_generated": "generation",
    "run_generated_sync": "generation",
    "source_of": "source_decoding",
    "strip_fences": "_markdown",
    "validate": "validation",
}

attach_lazy(__name__, _LAZY)
