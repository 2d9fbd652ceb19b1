"""Serialization of an execution's report, for programs and for models.

The result of a success is what the caller asked for, so it is passed on as it is. That of a failure is read by others:
models, logs, people. So secrets are redacted in it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from resilience.errors._json_safe import Json
from resilience.report._folding import folded
from resilience.report._levels import format_timestamp
from resilience.report._llm import cut_to, ending, estimated_tokens
from resilience.report._redaction import Redaction

if TYPE_CHECKING:
    from resilience.execution.executor import ExecutionReport

__all__ = ["report_to_dict", "report_to_llm"]


def report_to_dict(report: ExecutionReport, level: int) -> dict[str, Json]:
    """Return *report* as JSON-compatible data, in the detail of *level*, 1 to 4.

    A failure has its result from level 2 on: level 1 is a summary.
    """
    error = report.error
    found: dict[str, Json] = {"success": report.success, "execution_id": report.execution_id}
    result = report.execution_result.to_dict()
    if error is None:
        found["execution_result"] = result
    else:
        shown = error.to_dict(level)
        if "exception_info" in shown:  # from level 2 on
            found["execution_result"] = {**_redacted(result), "exception_info": shown.pop("exception_info")}
        found.update((key, value) for key, value in shown.items() if key != "success")
    if report.tried:
        found["tried"] = [each.to_dict(1) for each in report.tried]
    if report.artifacts:
        found["artifacts"] = [each.to_dict() for each in report.artifacts]
    if report.notes:
        found["notes"] = [*report.notes]
    if report.ran_on:
        found["ran_on"] = report.ran_on
    return {**found, "timestamp": format_timestamp(report.timestamp), "assigned_by": report.assigned_by}


def _redacted(result: dict[str, Json]) -> dict[str, Json]:
    """Return the result of a failed program with secrets redacted in its output and variables."""
    clean = Redaction([])
    found = dict(result)
    found["stdout"] = clean.text(str(result["stdout"]))
    found["stderr"] = clean.traceback(str(result["stderr"]))
    variables = result["variables"]
    if isinstance(variables, dict):
        found["variables"] = clean.mapping(variables)
    return found


def report_to_llm(report: ExecutionReport, max_tokens: int) -> str:
    """Return *report* as text for a model, in at most *max_tokens*.

    The value comes first, then artifacts and notes, then the ends of stderr and stdout in what is left.
    """
    if report.error is not None:
        return report.error.to_llm(max_tokens)
    result = report.execution_result
    lines = ["The code ran without an error."]
    if result.return_value is not None:
        lines.append(f"Its last expression is {json.dumps(result.return_value, ensure_ascii=False)}")
    made = [f"It made {each.name} ({each.mime}, {len(each.data)} bytes)." for each in report.artifacts]
    for line in (*made, *(f"Note: {each}." for each in report.notes)):
        if _cost([*lines, line]) <= max_tokens // 2:  # what it printed matters as well
            lines.append(line)
    left = max_tokens - _cost(lines)
    if left < 0:
        return cut_to(lines[0], max_tokens) if _cost(lines[:1]) > max_tokens else lines[0]
    # A success has warnings, too, and tracebacks of threads that died.
    for title, output, share in (("It wrote to standard error:", result.stderr, 3), ("It printed:", result.stdout, 1)):
        if output.strip():
            end = ending(folded(output), left // share - _cost([title]))
            if end:
                lines += [title, *end]
                left -= _cost([title, *end])
    return "\n".join(lines)


def _cost(lines: list[str]) -> int:
    return sum(estimated_tokens(line) + 1 for line in lines)
