"""Keys of `error_details`, by category and by level.

The one table of these keys: `_levels` writes a report by it, and `schema` describes it. A key that is added here must
get a schema there, and a fact under its name in `specifics` or in `_levels`.
"""

from __future__ import annotations

from collections.abc import Mapping

from resilience.categories import ErrorCategory

__all__ = ["DETAIL_LEVELS", "OWN_KEYS", "detail_keys"]

# The level from which on each key of every category is there, in the order in which they are written.
_FIRST = {"error_type": 1, "error_message": 1, "line_number": 1, "column_number": 2}
_LAST = {
    "context": 3,
    "suggestions": 3,
    "immediate_cause": 2,
    "contributing_factors": 2,
    "execution_context": 3,
}
_OWN: dict[ErrorCategory, dict[str, int]] = {
    ErrorCategory.SYNTAX: {"problematic_code": 2},
    ErrorCategory.RUNTIME: {"function_name": 2, "local_variables": 3},
    ErrorCategory.IMPORT: {"attempted_import": 2, "available_modules": 2},
    ErrorCategory.SECURITY: {"violation_type": 2, "attempted_action": 2, "security_level": 2},
    ErrorCategory.EXECUTION_TIMEOUT: {
        "timeout_limit": 2,
        "execution_time": 2,
        "last_executed_line": 2,
        "partial_output": 3,
    },
    ErrorCategory.MEMORY: {"memory_limit": 2, "memory_used": 2},
}

OWN_KEYS: Mapping[ErrorCategory, tuple[str, ...]] = {category: tuple(keys) for category, keys in _OWN.items()}
"""The keys that only failures of one category have."""

DETAIL_LEVELS: Mapping[str, int] = {
    **_FIRST,
    **{key: level for keys in _OWN.values() for key, level in keys.items()},
    **_LAST,
}
"""Each key, and the level from which on it is there."""


def detail_keys(category: ErrorCategory, level: int = 3) -> tuple[str, ...]:
    """Return the keys of `error_details` for a failure of *category*.

    Keys that all categories have surround those of the category, so that reports of all categories read alike.

    >>> detail_keys(ErrorCategory.SYNTAX, 2)
    ('error_type', 'error_message', 'line_number', 'column_number', 'problematic_code', 'immediate_cause', \
'contributing_factors')
    """
    keys = (*_FIRST, *OWN_KEYS.get(category, ()), *_LAST)
    return tuple(key for key in keys if DETAIL_LEVELS[key] <= level)
