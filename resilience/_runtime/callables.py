"""Inspection of callables: their names, whether they are async or generator functions, and what they wrap.

Decorating has to know before the first call whether to make a plain function, a coroutine function or a generator of
either kind. `inspect` says so of functions. Callable objects, partials, bound methods, mocks and functions that return
an awaitable without being ``async def`` are looked at here. Nothing is called and no annotation is evaluated, and a
target whose attributes are of the user's own making, as a mock's are, is an ordinary function where in doubt.
"""

from __future__ import annotations
import __future__

import contextlib
import enum
import functools
import inspect
import re
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast, get_origin

__all__ = [
    "Kind",
    "copy_metadata",
    "has_name",
    "is_annotated",
    "is_async",
    "is_consistently_async",
    "is_dispatcher",
    "is_generator",
    "keeps_single_use_results",
    "kind_of",
    "makes_context_manager",
    "mark_dispatcher",
    "may_be_async",
    "name_of",
    "under_descriptor",
]


class Kind(enum.Enum):
    """The four kinds of functions: what a call of one returns, and how a wrapper around it has to be written."""

    PLAIN = "plain"
    COROUTINE = "coroutine"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"


def kind_of(function: object) -> Kind:
    """Return the kind of *function*.

    >>> async def fetch() -> bytes: ...
    >>> kind_of(fetch), kind_of(functools.partial(fetch)), kind_of(len)
    (<Kind.COROUTINE: 'coroutine'>, <Kind.COROUTINE: 'coroutine'>, <Kind.PLAIN: 'plain'>)
    """
    tests: dict[Kind, Callable[[object], bool]] = {
        Kind.ASYNC_GENERATOR: inspect.isasyncgenfunction,
        Kind.GENERATOR: inspect.isgeneratorfunction,
        Kind.COROUTINE: _gives_awaitable,
    }
    return next((kind for kind, test in tests.items() if _is(test, function)), Kind.PLAIN)


def is_async(function: object) -> bool:
    """Whether *function* is known to return an awaitable.

    Coroutine functions, partials of them, objects that call as one, functions annotated to return an ``Awaitable`` or a
    ``Coroutine``.
    """
    return _is(_gives_awaitable, function)


def may_be_async(function: object) -> bool:
    """Whether what *function* wraps is async, or its annotation leaves it open: its own code may await that or not."""
    return is_dispatcher(function) or _is(_may_give_awaitable, function)


def is_consistently_async(function: object) -> bool:
    """Whether one call of *function* shows for all others if they are async: it wraps one coroutine function.

    An annotation such as ``str | Awaitable[str]`` and a `functools.singledispatch` function decide at each call.
    """
    return not is_dispatcher(function) and _is(_wraps_coroutine_function, function)


def is_dispatcher(function: object) -> bool:
    """Whether *function* calls one of several others, by the type of its argument: some of them may be async.

    More of them may be registered later, so those that are known say nothing.

    >>> is_dispatcher(functools.singledispatch(print)), is_dispatcher(print)
    (True, False)
    """
    function = _without_partials(function)
    if getattr(function, _DISPATCHES, False) is True:
        return True
    return _identity_of(function) in _DISPATCHERS


def mark_dispatcher(function: object) -> None:
    """Say of *function*, which forwards its calls to a dispatcher, that it is one."""
    setattr(function, _DISPATCHES, True)


def _identity_of(function: object) -> object:
    """Return what all functions have in common that one factory has made: their code, or else their class."""
    return getattr(function, "__code__", type(function))


_DISPATCHES = "__resilience_dispatches__"
_DISPATCHERS = {
    _identity_of(functools.singledispatch(_identity_of)),
    _identity_of(functools.singledispatchmethod(_identity_of).__get__(None, object)),
}


def keeps_single_use_results(function: object) -> bool:
    """Whether *function* is a cache of coroutines or generators, which are used up when they are handed out again.

    `functools.lru_cache` keeps what an async function returns: a coroutine, which can be awaited once.
    """
    function = _without_partials(function)
    if not isinstance(function, _CACHE):
        return False
    is_empty = function.cache_parameters()["maxsize"] == 0
    return not is_empty and kind_of(inspect.unwrap(cast("Callable[..., object]", function))) is not Kind.PLAIN


_CACHE = type(functools.lru_cache(_identity_of))


def is_generator(function: object) -> bool:
    """Whether calling *function* gives a generator, sync or async."""
    return kind_of(function) in (Kind.GENERATOR, Kind.ASYNC_GENERATOR)


def makes_context_manager(function: object) -> bool:
    """Whether *function* is one that `contextlib.contextmanager` or `asynccontextmanager` has made.

    To call it does nothing yet: what could fail happens where the context manager is entered.
    """
    function = under_descriptor(_without_partials(function))
    return getattr(getattr(function, "__func__", function), "__code__", None) in _CONTEXT_MANAGER_CODES


def _is(test: Callable[[object], bool], function: object) -> bool:
    """Whether *test* holds for *function*, or for what a call of it runs: the ``__call__`` of its class, say."""
    try:
        return test(function) or test(_call_of(function))
    except TypeError:  # a mock of a function has a mock for its flags, too
        return False


def _call_of(function: object) -> object:
    """Return the function that a call of *function* runs: of an object the ``__call__`` of its class."""
    function = _without_partials(function)
    if inspect.isroutine(function):
        return function
    # The type's attribute, not the object's: that is what a call looks up.
    return getattr(type(function), "__call__", None)  # noqa: B004


def _without_partials(function: object) -> object:
    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    return function


_CONTEXT_MANAGER_CODES = {
    cast("FunctionType", make(cast("Any", None))).__code__
    for make in (contextlib.contextmanager, contextlib.asynccontextmanager)
}


# -- awaitables, by what a function is or is annotated to return -----------------------------------------------------

_AWAITABLE = re.compile(r"(?:\w+\.)*\b(?:Awaitable|Coroutine|CoroutineType)\b")
_UNION = re.compile(r"(?:\w+\.)*(?:Union|Optional)")


def _gives_awaitable(function: object) -> bool:
    """Whether every call of *function* returns an awaitable, by its flags or by its annotation.

    An annotation counts only where it stands on the function itself. ``functools.wraps`` copies it to functions around
    that one, which may await the result.
    """
    if _is_coroutine_function(function):
        return True
    if hasattr(function, "__wrapped__") or inspect.isgeneratorfunction(function):
        return False
    return _AWAITABLE.fullmatch(_without_parameters(_return_annotation(function))) is not None


def _may_give_awaitable(function: object) -> bool:
    """Whether a call of *function* returns an awaitable in some cases: by a union, or as a wrapper of async code.

    Not for an awaitable that is only a parameter: a function that returns ``Callable[..., Awaitable[int]]`` gives none.
    """
    annotation = _return_annotation(function)
    outermost = _without_parameters(annotation)
    if _UNION.fullmatch(outermost):
        outermost = annotation
    return _AWAITABLE.search(outermost) is not None or _wraps_coroutine_function(function)


def _wraps_coroutine_function(function: object) -> bool:
    """Whether the innermost function below ``functools.wraps`` is async."""
    try:
        inside = inspect.unwrap(cast("Callable[..., object]", function), stop=inspect.iscoroutinefunction)
    except Exception:  # a circle, or attributes of the user's own making
        return False
    return _is_coroutine_function(inside)


def _is_coroutine_function(function: object) -> bool:
    """Whether *function* is an ``async def``, or is marked as one.

    The mark of asyncio and asgiref is older than `inspect.markcoroutinefunction`, and `inspect` does not look at it.
    """
    if inspect.iscoroutinefunction(function):
        return True
    mark = getattr(sys.modules.get("asyncio.coroutines"), "_is_coroutine", None)
    return mark is not None and getattr(function, "_is_coroutine", None) is mark


def is_annotated(function: FunctionType) -> bool:
    """Whether *function* may say what it returns; nothing is evaluated."""
    return getattr(function, "__annotate__", None) is not None or "return" in function.__annotations__


def _return_annotation(function: object) -> str:
    """Return the annotation of what *function* returns, as text; nothing is evaluated."""
    try:
        annotations = _annotations(function)
        if not isinstance(annotations, dict):  # a mock of a function has a mock for them
            return ""
        annotation = cast("dict[str, object]", annotations).get("return")
        if isinstance(annotation, str):
            return annotation
        return inspect.formatannotation(annotation)
    except Exception:  # attributes of the user's own making
        return ""


_ALL_TEXTS = __future__.annotations.compiler_flag


def _annotations(function: object) -> object:
    """Return the annotations of *function*, from Python 3.14 on as texts.

    Annotations are evaluated when they are first read there, unless the module has made texts of all of them. They may
    name what is defined further down, or what a lazy import has not imported yet.
    """
    if sys.version_info >= (3, 14):
        from annotationlib import Format, call_annotate_function

        annotate: Any = getattr(function, "__annotate__", None)
        flags: int = getattr(getattr(annotate, "__code__", None), "co_flags", _ALL_TEXTS)
        if not flags & _ALL_TEXTS:
            found = call_annotate_function(annotate, Format.STRING, owner=function)
            alias = getattr(function, "__globals__", {}).get(found.get("return"))
            if get_origin(alias) is not None:  # `Reply = Awaitable[bytes]`
                found["return"] = inspect.formatannotation(alias)
            return found
    return getattr(function, "__annotations__", None)


def _without_parameters(annotation: str) -> str:
    """Return ``Awaitable`` of ``Awaitable[dict[str, int]]``."""
    while (shorter := re.sub(r"\[[^\[\]]*\]", "", annotation)) != annotation:
        annotation = shorter
    return annotation


# -- names -----------------------------------------------------------------------------------------------------------


_DESCRIPTORS = (staticmethod, classmethod)


def under_descriptor(target: object) -> object:
    """Return the function below a `staticmethod` or `classmethod` object; anything else as it is."""
    if isinstance(target, _DESCRIPTORS):
        return cast("staticmethod[..., object]", target).__func__
    return target


def name_of(target: object) -> str:
    """Return the dotted name events and errors call *target* by.

    Of a partial that of its function, of a callable object that of its class.

    >>> name_of(functools.partial(int, base=2)), name_of([].append)
    ('builtins.int', 'list.append')
    """
    named: Any = _without_partials(target)
    named = getattr(named, "__func__", named)
    if not has_name(named):
        named = cast("Any", type(named))
    module = getattr(named, "__module__", None)
    if module is None:  # a method of a class written in C
        module = getattr(getattr(named, "__objclass__", None), "__module__", "")
    return f"{module}.{getattr(named, '__qualname__', '')}".lstrip(".")


def has_name(function: object) -> bool:
    """Whether *function* has a name of its own: a partial has none, and a mock of a function has a mock for it."""
    return isinstance(getattr(function, "__qualname__", None), str)


def copy_metadata(wrapper: Callable[..., object], function: object) -> None:
    """Do what `functools.update_wrapper` does, with mocks of functions too: those have mocks for attributes."""
    if type(function) is FunctionType:
        functools.update_wrapper(wrapper, function)
        return
    for attribute in functools.WRAPPER_ASSIGNMENTS:
        with contextlib.suppress(AttributeError, TypeError):
            setattr(wrapper, attribute, getattr(function, attribute))
    vars(wrapper).update(getattr(function, "__dict__", {}))
