"""The shapes of guarded functions: plain, a coroutine function, a method, a method of a decorated class."""

from __future__ import annotations

from typing import Any

from benchmarks.terms import Function, Wrap

__all__ = ["OWNED", "called", "owner"]

#: The shapes that are called on an object.
OWNED = ("method", "class")


def owner(shape: str, guard: Wrap, function: Function) -> Any:
    """Return an object whose `method` is *function*, guarded itself or together with its class."""
    if shape == "class":
        guard_class: Function = guard
        return guard_class(type("Owner", (), {"method": function}))()
    return type("Owner", (), {"method": guard(function)})()


def called(shape: str, guard: Wrap, function: Function) -> Function:
    """Return *function* guarded in its *shape*, to be called with one argument."""
    if shape in OWNED:
        method: Function = owner(shape, guard, function).method
        return method
    return guard(function)
