"""Traits of an exception's type that hold for each of its instances, read without examining the exception.

An answer may be remembered for a type only where a rule cannot distinguish its instances: attributes are looked up as
usual, and none that a rule reads is computed by the class. These are the checks behind a *cacheable* verdict
(`classifier`).
"""

from __future__ import annotations

from functools import lru_cache
from types import GetSetDescriptorType

from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory

__all__ = ["attributes_of", "class_category", "declares_none_of", "is_kind", "uses_plain_lookup"]

_PLAIN_LOOKUPS = (object.__getattribute__, BaseException.__getattribute__)
_PLAIN_DICTS = (GetSetDescriptorType, type(None))


def is_kind(kind: type, of: type) -> bool:
    """Return whether a class is *of* another; for type checkers, which narrow too much on `issubclass`."""
    return issubclass(kind, of)


@lru_cache(maxsize=1024)
def uses_plain_lookup(kind: type) -> bool:
    """Return whether attributes of this type's exceptions are looked up as usual.

    Not so with `__getattr__` or `__getattribute__`, or with a `__dict__` of the class's own making.
    """
    if safe_getattr(kind, "__getattribute__") not in _PLAIN_LOOKUPS:
        return False
    for base in kind.__mro__:
        if "__getattr__" in vars(base) or type(vars(base).get("__dict__")) not in _PLAIN_DICTS:
            return False
    return True


@lru_cache(maxsize=4096)
def declares_none_of(kind: type, names: frozenset[str]) -> bool:
    """Return whether none of *names* is computed by the type or constant in it, built-in classes aside.

    A plain text called `category` is fine: it cannot be meant for an `ErrorCategory`.
    """
    for base in kind.__mro__:
        if base.__module__ == "builtins":
            continue
        declared = vars(base)
        found = [name for name in names if name in declared]
        if found and (found != ["category"] or type(declared["category"]) is not str):
            return False
    return True


def class_category(kind: type) -> ErrorCategory | None:
    """Return the category that stands in the body of the class, or of the nearest base class that has one.

    None where that is no `ErrorCategory` but, say, a property.
    """
    for base in kind.__mro__:
        if "category" in vars(base):
            found: object = vars(base)["category"]
            return found if type(found) is ErrorCategory else None
    return None


def attributes_of(exc: BaseException, names: frozenset[str]) -> frozenset[str]:
    """Return those of *names* that may be attributes of *exc*; it surely has none of the others.

    Most exceptions have few or none of the attributes that rules read. This costs as much as to ask for three of them.

    >>> attributes_of(OSError(), frozenset({"errno", "status"})), attributes_of(ValueError(), frozenset({"errno"}))
    (frozenset({'errno'}), frozenset())
    """
    kind: type = type(exc)
    declared = _declared(kind, names)
    if len(declared) == len(names):
        return names
    return declared.union(names.intersection(exc.__dict__))


@lru_cache(maxsize=4096)
def _declared(kind: type, names: frozenset[str]) -> frozenset[str]:
    """Return those of *names* that the type declares, all of them where its attributes may be computed."""
    if not uses_plain_lookup(kind):
        return names
    return names.intersection(name for base in kind.__mro__ for name in vars(base))
