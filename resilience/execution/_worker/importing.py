"""Imports by name: what code may import is decided where it asks; what a module imports for itself is its own affair.

`import os` raises no audit event when the module is loaded already, so `__import__` itself is replaced, in the builtins
of the code's own namespace. Modules have builtins of their own, so nothing here is asked when one imports another.
Runs in the child: standard library only, and nothing that is slow to import.
"""

from __future__ import annotations

import builtins
import sys

from resilience.execution._worker.policy_messages import covers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType, ModuleType

    from resilience.execution._worker.guard import Guard
    from resilience.execution._worker.policy_messages import Policy

__all__ = ["exists", "guarded"]

# What functions written in C import when they are first called, through the `__import__` of whoever calls them:
# `datetime.strptime`, `strftime`, large ints, `class A[T]`. Harmless, all of them.
_LAZY = frozenset(
    {
        *("_pydatetime", "_pylong", "_strptime", "collections", "collections.abc", "copyreg", "decimal", "enum"),
        *("functools", "io", "json.decoder", "locale", "math", "numbers", "re", "string", "time", "traceback"),
        *("types", "typing", "warnings", "weakref"),
    }
)


def guarded(guard: Guard, policy: Policy) -> Callable[..., object]:
    """Return the `__import__` of code that is held to *policy*."""
    real = builtins.__import__
    allowed = frozenset(policy["modules"] or ())

    def guarded_import(
        name: str,
        globals: dict[str, object] | None = None,  # noqa: A002  # the names are those of `__import__`
        locals: dict[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        plain = str.__str__(name)  # a subclass may say that it is anything
        if level:
            guard.refuse("blocked_import", "." * level + plain, _operation("." * level + plain, fromlist))
        if not plain or covers(allowed, plain):
            module = real(plain, globals, locals, fromlist or ())
            if fromlist:
                _check_items(guard, allowed, module, plain, fromlist)
            elif not covers(allowed, plain.partition(".")[0]):
                return _thin(guard, allowed, plain)
            return module
        by_part = bool(fromlist) and all(f"{plain}.{item}" in allowed for item in fromlist or ())
        if by_part or not exists(plain) or (plain in _LAZY and not _is_statement(sys._getframe(1))):
            return real(plain, globals, locals, fromlist or ())
        return guard.refuse("blocked_import", plain, _operation(plain, fromlist))

    return guarded_import


def _operation(name: str, fromlist: Sequence[str] | None) -> str:
    return f"from {name} import {', '.join(fromlist)}" if fromlist else f"import {name}"


def exists(name: str) -> bool:
    """Whether there is such a module: one that is missing is no offence, but an error of its own."""
    top = name.partition(".")[0]
    if top in sys.modules or top in sys.builtin_module_names:
        return True
    return any(finder.find_spec(top, None) is not None for finder in sys.meta_path)


def _is_statement(frame: FrameType) -> bool:
    """Whether *frame* is at an import statement, rather than in a call that imports."""
    import opcode

    return frame.f_code.co_code[frame.f_lasti] == opcode.opmap["IMPORT_NAME"]


def _check_items(guard: Guard, allowed: frozenset[str], module: object, name: str, fromlist: Sequence[str]) -> None:
    """Refuse a module that *module* happens to have imported: `from random import _os`."""
    for item in fromlist:
        found: ModuleType | None = vars(module).get(item)
        if found is None or not isinstance(found, type(sys)) or sys.modules.get(f"{name}.{item}") is found:
            continue
        if not covers(allowed, found.__name__):
            guard.refuse("blocked_import", found.__name__, _operation(name, fromlist))


def _thin(guard: Guard, allowed: frozenset[str], name: str) -> ModuleType:
    """Return the top of the package *name* with nothing in it but the way down to what is allowed."""
    top, *parts = name.split(".")
    path, here = top, type(sys)(top)
    first = here
    for part in parts:
        here.__getattr__ = _nothing(guard, path)  # type: ignore[method-assign]
        path = f"{path}.{part}"
        if covers(allowed, path):
            setattr(here, part, sys.modules[path])
            break
        deeper = type(sys)(path)
        setattr(here, part, deeper)
        here = deeper
    return first


def _nothing(guard: Guard, package: str) -> Callable[[str], object]:
    def refused(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        return guard.refuse("blocked_import", package, f"access {package}.{name}")

    return refused
