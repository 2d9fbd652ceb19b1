"""An exception of which no more can be told than its class: it does what it can to break the report."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resilience.report.captured_exception import Captured

__all__ = ["bare"]


def bare(error: BaseException) -> Captured:
    """Return what is known of *error* without asking it anything.

    >>> bare(KeyError("x"))["bases"][:2]
    ['builtins.KeyError', 'builtins.LookupError']
    """
    kind = type(error)
    name = _said(kind, "__name__")
    bases: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return {
        "type": name,
        "module": _said(kind, "__module__"),
        "bases": [f"{_said(base, '__module__')}.{_said(base, '__name__')}" for base in bases],
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


def _said(kind: type, name: str) -> str:
    """Return a name of a class, whatever its metaclass makes of it."""
    found = type.__dict__[name].__get__(kind)
    return found if type(found) is str else "?"
