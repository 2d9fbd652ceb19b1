"""Guarded `__import__`: a policy applies to the program's own imports, not to those of the modules it uses.

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

__all__ = ["guarded_importer", "module_exists"]

# Modules that C functions import when they are first called, through the `__import__` of their caller:
# `datetime.strptime`, `strftime`, large ints, `class A[T]`. Harmless, all of them.
_IMPORTED_BY_C_CODE = frozenset(
    {
        *("_pydatetime", "_pylong", "_strptime", "collections", "collections.abc", "copyreg", "decimal", "enum"),
        *("functools", "io", "json.decoder", "locale", "math", "numbers", "re", "string", "time", "traceback"),
        *("types", "typing", "warnings", "weakref"),
    }
)


def guarded_importer(guard: Guard, policy: Policy) -> Callable[..., object]:
    """Return the `__import__` of a program that is held to *policy*.

    It refuses a module that exists and is not allowed, and leaves a missing one to the real `__import__`: that is an
    ImportError, which a program may handle. Of a package that is allowed only in part it returns a stand-in, through
    which the other parts cannot be reached.
    """
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
                _check_imported_modules(guard, allowed, module, plain, fromlist)
            elif not covers(allowed, plain.partition(".")[0]):
                return _restricted_package(guard, allowed, plain)
            return module
        by_part = bool(fromlist) and all(f"{plain}.{item}" in allowed for item in fromlist or ())
        if (
            by_part
            or not module_exists(plain)
            or (plain in _IMPORTED_BY_C_CODE and not _is_statement(sys._getframe(1)))
        ):
            return real(plain, globals, locals, fromlist or ())
        return guard.refuse("blocked_import", plain, _operation(plain, fromlist))

    return guarded_import


def _operation(name: str, fromlist: Sequence[str] | None) -> str:
    return f"from {name} import {', '.join(fromlist)}" if fromlist else f"import {name}"


def module_exists(name: str) -> bool:
    """Return whether there is such a module. A missing one is an ImportError, not a violation."""
    top = name.partition(".")[0]
    if top in sys.modules or top in sys.builtin_module_names:
        return True
    return any(finder.find_spec(top, None) is not None for finder in sys.meta_path)


def _is_statement(frame: FrameType) -> bool:
    """Return whether *frame* is at an import statement rather than in a call that imports."""
    import opcode

    return frame.f_code.co_code[frame.f_lasti] == opcode.opmap["IMPORT_NAME"]


def _check_imported_modules(
    guard: Guard, allowed: frozenset[str], module: object, name: str, fromlist: Sequence[str]
) -> None:
    """Reject a module that *module* has imported for itself: `from random import _os`."""
    for item in fromlist:
        found: ModuleType | None = vars(module).get(item)
        if found is None or not isinstance(found, type(sys)) or sys.modules.get(f"{name}.{item}") is found:
            continue
        if not covers(allowed, found.__name__):
            guard.refuse("blocked_import", found.__name__, _operation(name, fromlist))


def _restricted_package(guard: Guard, allowed: frozenset[str], name: str) -> ModuleType:
    """Return the top of the package *name*, reduced to the path to its allowed submodule."""
    top, *parts = name.split(".")
    path, here = top, type(sys)(top)
    first = here
    for part in parts:
        here.__getattr__ = _denied_attribute(guard, path)  # type: ignore[method-assign]
        path = f"{path}.{part}"
        if covers(allowed, path):
            setattr(here, part, sys.modules[path])
            break
        deeper = type(sys)(path)
        setattr(here, part, deeper)
        here = deeper
    return first


def _denied_attribute(guard: Guard, package: str) -> Callable[[str], object]:
    def refused(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        return guard.refuse("blocked_import", package, f"access {package}.{name}")

    return refused
