"""JSON Schema of the report of an execution: of a success, and of a failure, which is an error report and more.

The part of a failure comes from `resilience.report.schema`, so that both documents stay the same where they are. A test
validates reports of executors against it; a new key of a report has to be added here and to `_serialization`.
"""

from __future__ import annotations

from typing import cast

from resilience.errors._json_safe import Json
from resilience.report.schema import DIALECT, report_schema

__all__ = ["execution_schema"]

Schema = dict[str, Json]

_TEXT: Schema = {"type": "string"}
_RESULT: Schema = {
    "stdout": _TEXT,
    "stderr": _TEXT,
    "return_value": {"description": "The value of the last statement, as JSON has it. NaN is the text NaN."},
    "variables": {"type": "object", "description": "A short text of each; those that the request names are whole."},
    "execution_time": {"type": "number", "minimum": 0, "description": "Seconds."},
    "memory_used": {"type": ["string", "null"], "description": "At the peak, such as 12.5MB; null if unknown."},
    "exit_code": {"type": "integer"},
}
_ARTIFACT: Schema = {
    "kind": {"enum": ["figure", "file", "table"]},
    "name": _TEXT,
    "mime": _TEXT,
    "size": {"type": "integer", "minimum": 0, "description": "Bytes. The data are no part of the document."},
}
_COMMON: Schema = {
    "execution_id": _TEXT,
    "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
    "assigned_by": {"type": "string", "description": "Who gave the work, for the receiver of the report."},
}
_OPTIONAL: Schema = {
    "artifacts": {"type": "array", "items": {"$ref": "#/$defs/artifact"}, "minItems": 1},
    "notes": {"type": "array", "items": _TEXT, "minItems": 1, "description": "What is missing, or not whole."},
    "ran_on": {"type": "string", "description": "Which of several executors ran it, such as local."},
    "tried": {
        "type": "array",
        "items": {"type": "object"},
        "description": "Error reports of executors before, level 1.",
    },
}
_WITH_RESULT = 2
"""The level from which on a failure has its result, too."""


def execution_schema(level: int | None = None) -> Schema:
    """Return the JSON Schema, 2020-12, of `ExecutionReport.to_dict(level)`; None: of all four levels.

    >>> schema = execution_schema(1)
    >>> [each["properties"]["success"]["const"] for each in schema["oneOf"]]
    [True, False]
    >>> execution_schema(5)
    Traceback (most recent call last):
    ...
    ValueError: level=5: give 1, 2, 3, 4 or None for all of them
    """
    failure = report_schema(level)
    definitions = _mapping(failure["$defs"])
    conditions = failure["allOf"]
    exception = _mapping(failure["properties"]).get("exception_info")
    definitions["result"] = _object(_RESULT, tuple(_RESULT))
    definitions["artifact"] = _object(_ARTIFACT, tuple(_ARTIFACT))
    success: Schema = {"success": {"const": True}, "execution_result": {"$ref": "#/$defs/result"}, **_COMMON}
    failed: Schema = {
        **{key: each for key, each in _mapping(failure["properties"]).items() if key != "exception_info"},
        **_COMMON,
    }
    required = [key for key in cast("list[str]", failure["required"]) if key != "exception_info"]
    required += [key for key in _COMMON if key not in required]
    if exception is not None:
        result: Schema = {**_RESULT, "exception_info": exception}
        definitions["failed_result"] = _object(result, tuple(result))
        failed["execution_result"] = {"$ref": "#/$defs/failed_result"}
        required += ["execution_result"] if level is not None and level >= _WITH_RESULT else []
    return {
        "$schema": DIALECT,
        "title": "Execution report",
        "description": "The result of a program, or why it failed and what to do about it.",
        "oneOf": [
            _object({**success, **_OPTIONAL}, tuple(success)),
            {**_object({**failed, **_OPTIONAL}, tuple(required)), "allOf": conditions},
        ],
        "$defs": definitions,
    }


def _mapping(value: Json) -> Schema:
    return cast("Schema", value)


def _object(properties: Schema, required: tuple[str, ...]) -> Schema:
    return {
        "type": "object",
        "properties": {**properties},
        "required": [*required],
        "additionalProperties": False,
    }
