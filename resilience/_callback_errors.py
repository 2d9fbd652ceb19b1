"""Isolation of the user's callbacks ("hooks"): their errors are logged, and none of them runs within itself.

A callback never changes the outcome of the call that it is called for: `log_callback_error` logs its exception once and
the call goes on.

A callback may make guarded calls of its own: an alert that is sent over HTTP, a log handler. The running callbacks are
kept in a context variable, so that an event of such a call does not come back to the callback that makes it. The
variable belongs to one thread or task, and to those that the callback starts with a copy of its context.
"""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import BuiltinMethodType, CoroutineType, MethodType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from resilience._forks import fork_safe

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = [
    "RUNNING",
    "HookRecursionError",
    "call_hook",
    "is_running",
    "log_callback_error",
    "log_internal_error",
    "refuse_coroutine",
    "with_hook",
]

T = TypeVar("T")

_MAX_REMEMBERED = 1000
_MAX_NESTED = 2  # callbacks from one place in the source, made anew for each call, that may run within each other
_logged: set[tuple[object, ...]] = set()
_lock = fork_safe(threading.Lock())
_LOGGING = object()
"""Stands for the log handlers among the running callbacks, while an error is logged."""

#: Callbacks that are notified and return nothing of use: where one is skipped, nothing is missing.
_NOTIFIED_ROLES = {"circuit listener", "event listener", "on_retry callback", "on_success callback"}

RUNNING: ContextVar[tuple[object, ...]] = ContextVar("resilience.hooks", default=())
"""The callbacks that run in this context, the outermost first."""


class HookRecursionError(RecursionError):
    """Raised in place of calling a hook for a guarded call that this hook makes. Never reaches a caller."""


def is_running(hook: object) -> bool:
    """Return whether *hook* runs in this context."""
    running = RUNNING.get()
    return bool(running) and any(_is_same(each, hook) for each in running)


def with_hook(hook: object) -> tuple[object, ...]:
    """Return the value of `RUNNING` with *hook* added. The caller sets it, and sets the old one back afterwards.

    Raises HookRecursionError where *hook* runs already.
    """
    running = RUNNING.get()
    if running:
        code = _code_of(hook)
        nested = [each for each in running if code is not None and _code_of(each) is code]
        if len(nested) >= _MAX_NESTED or is_running(hook):
            raise HookRecursionError("called for a call that it makes itself")
    return (*running, hook)


def call_hook(hook: object, function: Callable[..., T], *arguments: object, **keywords: object) -> T:
    """Return the result of *function*, which is *hook* or calls it. Raises its exception, and HookRecursionError."""
    running = RUNNING.get()
    try:
        # Set inside the `try`: an exception of a signal handler must not leave it set.
        RUNNING.set(with_hook(hook))
        return refuse_coroutine(function(*arguments, **keywords))
    finally:
        RUNNING.set(running)


def refuse_coroutine(value: T) -> T:
    """Return the result of a hook. Raises TypeError for a coroutine, which would count as true and never be awaited."""
    if value.__class__ is CoroutineType:
        cast("Coroutine[Any, Any, Any]", value).close()
        raise TypeError("it returned a coroutine, which is not awaited here; give a function that is not async")
    return value


def log_callback_error(role: str, hook: object, error: Exception) -> None:
    """Log that *hook*, called as *role*, raised: once for each hook and type of error. Never raises.

    The traceback is logged too. It is the hook's own, and holds nothing of the guarded call.
    """
    if isinstance(error, HookRecursionError) and role in _NOTIFIED_ROLES:
        return
    try:
        name = str(getattr(hook, "__qualname__", None) or type(hook).__qualname__)
        # Two lambdas share a name, not a line. Not the hook itself: it may be made anew for every call.
        code = getattr(hook, "__code__", None)
        key = (role, name, getattr(code, "co_filename", ""), getattr(code, "co_firstlineno", 0), type(error))
        # A log handler that makes guarded calls while it logs an error must not log the errors of those.
        if not is_running(_LOGGING) and _is_first(key):
            log_internal_error(_MESSAGE, role, name, type(error).__name__, error=error)
    except Exception:  # noqa: S110 - a hook without a name that can be read; the call goes on
        pass


_MESSAGE = "%s %s raised %s; the call goes on without it (logged once; further occurrences suppressed)"


def _is_first(key: tuple[object, ...]) -> bool:
    """Return whether nothing was logged under *key* before; note that now it is."""
    with _lock:
        if key in _logged:
            return False
        if len(_logged) >= _MAX_REMEMBERED:  # hooks made anew for every call must not fill the memory
            _logged.clear()
        _logged.add(key)
        return True


def log_internal_error(message: str, *arguments: object, error: Exception | None = None) -> None:
    """Log a warning on the logger ``resilience``. An exception of a filter or a handler is ignored."""
    try:
        # In a copy of the context: whatever interrupts it leaves no mark that would keep later lines from being logged.
        contextvars.copy_context().run(_log, message, arguments, error)
    except Exception:  # noqa: S110 - there is no other place to log it
        pass


def _log(message: str, arguments: tuple[object, ...], error: Exception | None) -> None:
    RUNNING.set((*RUNNING.get(), _LOGGING))
    import logging

    logging.getLogger("resilience").warning(message, *arguments, exc_info=error)


def _is_same(one: object, other: object) -> bool:
    """Return whether two hooks are one. A bound method is made anew each time it is looked up."""
    if one is other:
        return True
    return type(one) is type(other) and type(one) in (MethodType, BuiltinMethodType) and one == other


def _code_of(hook: object) -> object:
    """Return the code object that a call of *hook* runs; None where it is not written in Python."""
    while isinstance(hook, functools.partial):
        hook = cast("functools.partial[object]", hook).func
    try:
        function: object = getattr(hook, "__func__", hook)
        call = getattr(type(function), "__call__", None)  # noqa: B004 - of an object
        return getattr(function, "__code__", None) or getattr(call, "__code__", None)
    except Exception:  # a property of the application
        return None
