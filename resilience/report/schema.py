"""JSON Schema of a report, made from the tables that the report itself is made from.

A test validates reports of every category and level against it. A new key of a report has to be added to the tables
here, and to `_level_fields`.

Objects allow no other keys than those named, so that a key that is written and not described is found by that test.
"""

from __future__ import annotations

from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json
from resilience.report._level_fields import detail_keys

__all__ = ["DIALECT", "report_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Json]

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NONE: Schema = {"type": ["string", "null"]}
_TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_LINE: Schema = {"type": ["integer", "null"], "minimum": 1, "description": "Counted from 1."}
_COLUMN: Schema = {"type": ["integer", "null"], "minimum": 0, "description": "Counted from 0, in characters."}
_SECONDS: Schema = {"type": ["number", "null"], "minimum": 0}
_ANY: Schema = {"type": "object"}
_VARIABLES: Schema = {"$ref": "#/$defs/variables"}

_DETAILS: dict[str, Schema] = {
    "error_type": _TEXT,
    "error_message": _TEXT,
    "line_number": _LINE,
    "column_number": _COLUMN,
    "problematic_code": {"type": "string", "description": "The source line, without indentation."},
    "function_name": _TEXT_OR_NONE,
    "local_variables": _VARIABLES,
    "attempted_import": _TEXT_OR_NONE,
    "available_modules": {"type": ["array", "null"], "items": {"type": "string"}},
    "violation_type": _TEXT_OR_NONE,
    "attempted_action": _TEXT_OR_NONE,
    "security_level": _TEXT_OR_NONE,
    "timeout_limit": _SECONDS,
    "execution_time": _SECONDS,
    "last_executed_line": _LINE,
    "partial_output": _TEXT_OR_NONE,
    "memory_limit": {"type": ["string", "null"], "description": "Such as 100MB, a MB being 2**20 bytes."},
    "memory_used": _TEXT_OR_NONE,
    "context": _TEXT,
    "suggestions": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    "immediate_cause": _TEXT,
    "contributing_factors": _TEXTS,
    "execution_context": {"anyOf": [{"$ref": "#/$defs/execution_context"}, {"type": "null"}]},
}


def report_schema(level: int | None = None) -> Schema:
    """Return the JSON Schema, 2020-12, of `ErrorReport.to_dict(level)`; None: of all four levels.

    Of one level, all of its keys are required. Without a level, those of level 1 are, and the others may be missing.
    Raises ValueError for another number.

    >>> report_schema(1)["required"]
    ['success', 'error_category', 'error_summary', 'error_details', 'timestamp']
    """
    if level not in (None, 1, 2, 3, 4):
        raise ValueError(f"level={level!r}: give 1, 2, 3, 4 or None for all of them")
    limit = 4 if level is None else level
    required = 1 if level is None else level
    fields = _fields()
    leaves = [each for each in ErrorCategory if each.is_leaf]
    return {
        "$schema": DIALECT,
        "title": "Error report",
        "description": "Why a program failed, and what to do about it.",
        **_object({key: schema for key, (at, schema) in fields.items() if at <= limit}, _upto(fields, required)),
        "allOf": [_of_category(category, limit, required) for category in leaves],
        "$defs": _definitions(limit, required),
    }


def _fields() -> dict[str, tuple[int, Schema]]:
    """Return the keys of a report: from which level on they are there, and what stands under them."""
    labels: list[Json] = [each.label for each in ErrorCategory if each.is_leaf]
    return {
        "success": (1, {"const": False}),
        "error_category": (1, {"enum": labels}),
        "error_summary": (1, _TEXT),
        "error_details": (1, {"type": "object"}),
        "timestamp": (1, {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}),
        "filename": (2, _TEXT_OR_NONE),
        "code_snippet": (2, _list_of({"line_number": {**_COUNT, "minimum": 1}, "code": _TEXT})),
        "specifics": (2, {**_ANY, "description": "What is known beside what all failures of the category have."}),
        "exception_info": (2, _or_none("exception")),
        "partial_results": (3, _or_none("partial_results")),
        "recovery_options": (3, {"type": "array", "items": {"$ref": "#/$defs/recovery_option"}}),
        "security_violation": (3, _or_none("security_violation")),
        "system_state": (4, _ANY),
    }


def _of_category(category: ErrorCategory, limit: int, required: int) -> Schema:
    """Return what the details of one category look like: exactly its keys."""
    keys = {key: _DETAILS[key] for key in detail_keys(category, limit)}
    return {
        "if": {"properties": {"error_category": {"const": category.label}}},
        "then": {"properties": {"error_details": _object(keys, detail_keys(category, required))}},
    }


def _definitions(limit: int, required: int) -> Schema:
    found: Schema = {
        "variables": {
            "type": "object",
            "description": "JSON's own scalars as they are, anything else as a short text.",
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        },
    }
    if limit >= 2:
        found["exception"] = _levelled(_EXCEPTION, limit, required)
        found["frame"] = _levelled(_FRAME, limit, required)
    if limit >= 3:
        found["execution_context"] = _object(_EXECUTION_CONTEXT)
        found["partial_results"] = _object(_PARTIAL_RESULTS)
        found["recovery_option"] = _object(_RECOVERY_OPTION, ("option", "description"))
        found["security_violation"] = _object(_SECURITY_VIOLATION)
    return found


def _levelled(fields: dict[str, tuple[int, Schema]], limit: int, required: int) -> Schema:
    """Return the schema of an object whose keys up to level *limit* are allowed, and up to *required* required."""
    there = {key: schema for key, (at, schema) in fields.items() if at <= limit}
    return _object(there, _upto(fields, max(2, required)))


def _upto(fields: dict[str, tuple[int, Schema]], level: int) -> tuple[str, ...]:
    return tuple(key for key, (at, _) in fields.items() if at <= level)


def _object(properties: dict[str, Schema], required: tuple[str, ...] | None = None) -> Schema:
    """Return the schema of an object with exactly these properties; all are required unless *required* names some."""
    return {
        "type": "object",
        "properties": {**properties},
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }


def _list_of(properties: dict[str, Schema]) -> Schema:
    return {"type": "array", "items": _object(properties)}


def _or_none(name: str) -> Schema:
    return {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]}


_EXCEPTION: dict[str, tuple[int, Schema]] = {
    "type": (2, _TEXT),
    "message": (2, _TEXT),
    "traceback": (2, {"type": "array", "items": {"$ref": "#/$defs/frame"}}),
    "full_traceback": (2, _TEXT),
    "frames_dropped": (2, _COUNT),
    "notes": (2, _TEXTS),
    "relation": (2, {"enum": ["raised", "cause", "context", "member"]}),
    "cause": (2, _or_none("exception")),
    "members": (2, {"type": "array", "items": {"$ref": "#/$defs/exception"}}),
    "local_variables": (3, _VARIABLES),
    "context": (3, _TEXT),
    "suggestions": (3, _TEXTS),
    "global_variables": (4, _VARIABLES),
}
_FRAME: dict[str, tuple[int, Schema]] = {
    "filename": (2, _TEXT),
    "line_number": (2, {**_LINE, "type": "integer", "minimum": 0}),
    "function_name": (2, _TEXT),
    "code_line": (2, _TEXT),
    "local_vars": (3, _VARIABLES),
    "column_number": (4, _COLUMN),
    "end_line_number": (4, _LINE),
    "end_column_number": (4, _COLUMN),
}
_EXECUTION_CONTEXT: dict[str, Schema] = {
    "variables_in_scope": _TEXTS,
    "last_successful_line": _LINE,
    "execution_path": _TEXTS,
}
_PARTIAL_RESULTS: dict[str, Schema] = {
    "completed_lines": _COUNT,
    "total_lines": _COUNT,
    "stdout_before_error": _TEXT,
    "variables_before_error": _VARIABLES,
    "successful_operations": _TEXTS,
}
_RECOVERY_OPTION: dict[str, Schema] = {
    "option": _TEXT,
    "description": _TEXT,
    "suggested_fix": _TEXT_OR_NONE,
    "code_snippet": _TEXT,
    "next_steps": _TEXTS,
}
_SECURITY_VIOLATION: dict[str, Schema] = {
    "attempted_operation": _TEXT,
    "blocked_code": _TEXT,
    "reason": _TEXT,
    "alternative_approaches": _TEXTS,
}
