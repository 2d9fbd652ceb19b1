"""What can be said of an exception's type without asking the exception."""

from __future__ import annotations

from types import GetSetDescriptorType

from resilience.category import ErrorCategory
from resilience.classify.look import attribute

__all__ = ["class_category", "declares_none_of", "is_kind", "uses_plain_lookup"]

_PLAIN_LOOKUPS = (object.__getattribute__, BaseException.__getattribute__)


def is_kind(kind: type, of: type) -> bool:
    """Return whether a class is *of* another; for type checkers, which narrow too much on `issubclass`."""
    return issubclass(kind, of)


def uses_plain_lookup(kind: type) -> bool:
    """Return whether attributes of this type's exceptions are looked up as usual."""
    if attribute(kind, "__getattribute__") not in _PLAIN_LOOKUPS:
        return False
    for base in kind.__mro__:
        if "__getattr__" in vars(base) or type(vars(base).get("__dict__")) not in (GetSetDescriptorType, type(None)):
            return False
    return True


def declares_none_of(kind: type, *names: str) -> bool:
    """Return whether none of *names* is computed by the type or constant in it, built-in classes aside.

    A plain text called `category` is fine: nobody takes it for a category.
    """
    for base in kind.__mro__:
        if base.__module__ == "builtins":
            continue
        for name in names:
            if name in vars(base) and not (name == "category" and type(vars(base)[name]) is str):
                return False
    return True


def class_category(kind: type) -> ErrorCategory | None:
    """Return the category that stands in the body of the class."""
    for base in kind.__mro__:
        if "category" in vars(base):
            found: object = vars(base)["category"]
            return found if type(found) is ErrorCategory else None
    return None
