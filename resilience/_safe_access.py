"""Safe access to exceptions of foreign classes, which may resist being examined.

An exception's attribute may be a property that raises, `__getattr__` may invent an answer for every name, and a number
may be a subclass with methods of its own. Classifying runs while a failure is handled and must not replace it by
another one. So everything is read by these functions: none of them raises on account of the exception, and what they
return is a plain value or None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

__all__ = [
    "as_int",
    "as_str",
    "int_attribute",
    "mro",
    "qualified_name",
    "safe_call",
    "safe_getattr",
    "safe_item",
]


def safe_getattr(thing: object, name: str) -> object:
    """Return an attribute, or None where there is none or asking for it fails.

    >>> safe_getattr(OSError(28, "disk full"), "errno"), safe_getattr(OSError(), "status")
    (28, None)
    """
    try:
        found: object = getattr(thing, name, None)
    except Exception:  # a property of a foreign class may raise anything
        return None
    return found


def safe_call(function: object) -> object:
    """Return the result of a call without arguments, or None where it fails or *function* cannot be called.

    >>> safe_call(dict), safe_call(len), safe_call(None)
    ({}, None, None)
    """
    if not callable(function):
        return None
    try:
        found: object = function()
    except Exception:  # a method of a foreign class may want arguments, and raise anything
        return None
    return found


def safe_item(thing: object, key: str) -> object:
    """Return an entry of a mapping, or None where *thing* is no mapping or has no such entry.

    >>> safe_item({"Code": "SlowDown"}, "Code"), safe_item("SlowDown", "Code")
    ('SlowDown', None)
    """
    kind = type(thing)
    if kind is not dict and not issubclass(kind, Mapping):
        return None
    try:
        return cast("Mapping[object, object]", thing).get(key)
    except Exception:  # a foreign mapping may raise anything
        return None


def as_int(value: object) -> int | None:
    """Return a whole number as a plain `int`; anything else, True and False too, is None.

    >>> as_int(503), as_int("503"), as_int(True)
    (503, None, None)
    """
    if issubclass(type(value), int) and type(value) is not bool:
        return int(cast("int", value))
    return None


def int_attribute(thing: object, name: str) -> int | None:
    """Return an attribute that is a whole number, as `as_int` does."""
    return as_int(safe_getattr(thing, name))


def as_str(value: object) -> str | None:
    """Return a non-empty `str`; anything else, a subclass of `str` too, is None."""
    return value if type(value) is str and value else None


def mro(exc: object) -> tuple[type, ...]:
    """Return the classes of an exception, most derived first; what it claims in `__class__` is not asked."""
    return type(exc).__mro__


def qualified_name(kind: type) -> tuple[str, str]:
    """Return the top-level module of a class and its qualified name, empty where they are no text.

    >>> import concurrent.futures
    >>> qualified_name(concurrent.futures.BrokenExecutor)
    ('concurrent', 'BrokenExecutor')
    """
    module = as_str(safe_getattr(kind, "__module__")) or ""
    return module.partition(".")[0], as_str(safe_getattr(kind, "__qualname__")) or ""
