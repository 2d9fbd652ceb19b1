"""The library that a function calls, found without a call: chaos raises the exceptions of that one.

A function names what it calls: modules that it has imported, clients in global variables and closures, clients among
its arguments and in the attributes of its object. Functions that it names are looked into as well, to some depth.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import cast

from resilience._safe_access import safe_getattr
from resilience.classification.libraries import library_named
from resilience.classification.library import UNKNOWN_LIBRARY
from resilience.faults._errors.factory import known_clients

__all__ = ["client_of_call", "client_of_object"]

_OWN = "resilience."
_OWN_CLIENTS = "resilience.clients."
_MAX_DEPTH = 3
_NO_CLIENTS = frozenset(
    [
        "anyio",
        "builtins",
        "celery",
        "circuitbreaker",
        "django",
        "dramatiq",
        "pybreaker",
        "pydantic",
        "pydantic_core",
        "resilience",
        "starlette",
        "tenacity",
        "trio",
    ]
)
"""Libraries with tables that call no dependency."""


def client_of_object(value: object) -> str | None:
    """Return the library of a client, a class, a module or an exchange of a protected client; None of anything else.

    >>> import httpx
    >>> client_of_object(httpx.Client()), client_of_object(httpx), client_of_object("httpx")
    ('httpx', 'httpx', None)
    """
    kind: type = type(value)  # a proxy or a mock may say that it is of another class
    if issubclass(kind, ModuleType):
        return _known(cast("ModuleType", value).__name__)
    if issubclass(kind, type):
        kind = cast("type", value)
    for base in kind.__mro__:
        module = str(safe_getattr(base, "__module__"))
        found = _known(module.removeprefix(_OWN_CLIENTS))
        if found is not None:
            return found
    return None


def _known(module: str) -> str | None:
    """Return the top-level name of a module, where that is a library that chaos has exceptions of."""
    name = module.partition(".")[0]
    if name in _NO_CLIENTS or (name in sys.stdlib_module_names and name not in known_clients()):
        return None
    if name in known_clients() or library_named(name) is not UNKNOWN_LIBRARY:
        return name
    return None


def client_of_call(
    function: Callable[..., object], arguments: tuple[object, ...], keywords: Mapping[str, object]
) -> str | None:
    """Return the library that *function* calls where it gets these arguments; None where none is seen."""
    seen = [client_of_object(value) for value in _values(function, arguments, keywords)]
    found = [name for name in seen if name is not None]
    better_known = [name for name in found if name in known_clients()]
    return next(iter(better_known or found), None)


def _values(
    function: Callable[..., object], arguments: tuple[object, ...], keywords: Mapping[str, object]
) -> Iterator[object]:
    """Yield what *function* works with, the likeliest to be a client first."""
    for argument in (safe_getattr(function, "__self__"), *arguments, *keywords.values()):
        yield argument
        attributes = safe_getattr(argument, "__dict__")
        if isinstance(attributes, dict):
            yield from attributes.values()
    yield from _named_by(function, _MAX_DEPTH, set())


def _named_by(function: object, depth: int, seen: set[int]) -> Iterator[object]:
    """Yield the values of the global and the enclosing names in the text of a function, and of functions it names."""
    plain = _plain(function)
    if plain is None or depth == 0 or id(plain) in seen or plain.__module__.startswith(_OWN):
        return
    seen.add(id(plain))
    inner: list[object] = []
    for value in _names_in(plain):
        if callable(value) and not issubclass(type(value), type):
            inner.append(value)
        yield value
    for each in inner:
        yield from _named_by(each, depth - 1, seen)


def _plain(function: object) -> FunctionType | None:
    """Return the Python function behind a method, a partial, a guarded function or a callable object."""
    for _ in range(_MAX_DEPTH * 2):
        if type(function) is FunctionType and safe_getattr(function, "__wrapped__") is None:
            return function
        for name in ("__wrapped__", "__func__", "func"):
            inner = safe_getattr(function, name)
            if inner is not None:
                function = inner
                break
        else:
            return _called(function)
    return None


def _called(function: object) -> FunctionType | None:
    """Return the ``__call__`` of an object whose class is written in Python."""
    method = safe_getattr(type(function), "__call__")
    return method if isinstance(method, FunctionType) else None


def _names_in(function: FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        yield safe_getattr(cell, "cell_contents")
    names = list(_global_names(function.__code__))
    for name in names:
        if name in function.__globals__:
            yield function.__globals__[name]
    for name in names:  # what it imports in its body, where that is loaded
        if name in known_clients():
            yield sys.modules.get(name)


def _global_names(code: CodeType) -> Iterator[str]:
    """Yield the names in a code object and in the functions that are written in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)
