"""Redaction of mappings before they are logged: the values under keys that look like a secret's are replaced.

`resilience.errors._secrets` decides which keys those are. This module walks mappings, lists and tuples; it looks at
keys alone, so a password inside a longer text is not found.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, cast

from resilience.errors._secrets import REDACTED, is_secret

__all__ = ["REDACTED", "redact", "redact_processor"]

_MAX_DEPTH = 8
"""Mappings within mappings that are walked. What is deeper, as in one that holds itself, is replaced as a whole."""


def redact(fields: Mapping[str, object]) -> dict[str, object]:
    """Return *fields* with `REDACTED` for the values under keys that look like a secret's, in mappings inside too.

    Case, separators and camel case make no difference. A number under ``token`` counts tokens, and stays.

    >>> redact({"service": "shop", "apiKey": "k-123", "db": {"DB_PASSWORD": "x", "port": 5432}, "max_tokens": 99})
    {'service': 'shop', 'apiKey': '[redacted]', 'db': {'DB_PASSWORD': '[redacted]', 'port': 5432}, 'max_tokens': 99}
    """
    return _redact_mapping(fields, 0)


def redact_processor(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact a log entry as one of structlog's processors: for keys that the application binds by itself."""
    return redact(line)


def _redact_mapping(fields: Mapping[str, object], depth: int) -> dict[str, object]:
    return {key: _redact_value(key, value, depth) for key, value in fields.items()}


def _redact_value(key: str, value: object, depth: int) -> object:
    if is_secret(key, value):
        return REDACTED
    return _redact_inside(value, depth)


def _redact_inside(value: object, depth: int) -> object:
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth >= _MAX_DEPTH:
        return REDACTED
    if isinstance(value, Mapping):
        inner = cast("Mapping[object, object]", value)
        return _redact_mapping({str(key): each for key, each in inner.items()}, depth + 1)
    return [_redact_inside(each, depth + 1) for each in cast("list[object]", value)]
