"""Fallback capture of an exception that breaks the regular one: its class and nothing else."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resilience.report.captured_exception import Captured

__all__ = ["capture_class_only"]


def capture_class_only(error: BaseException) -> Captured:
    """Return the class of *error* as a capture, without calling any of its methods.

    >>> capture_class_only(KeyError("x"))["bases"][:2]
    ['builtins.KeyError', 'builtins.LookupError']
    """
    kind = type(error)
    name = _class_attribute(kind, "__name__")
    bases: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return {
        "type": name,
        "module": _class_attribute(kind, "__module__"),
        "bases": [f"{_class_attribute(base, '__module__')}.{_class_attribute(base, '__name__')}" for base in bases],
        "message": "",
        "notes": [],
        "frames": [],
        "frames_dropped": 0,
        "globals": {},
        "traceback": f"{name}: <exception that cannot be shown>\n",
        "code": None,
        "category": None,
        "syntax": None,
        "hints": {},
        "relation": "raised",
        "cause": None,
        "members": [],
    }


def _class_attribute(kind: type, name: str) -> str:
    """Return `__name__` or `__module__` of a class, bypassing its metaclass."""
    found = type.__dict__[name].__get__(kind)
    return found if type(found) is str else "?"
