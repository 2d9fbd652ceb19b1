"""The user's hooks: told of a call or asked about it, they never change its outcome, and no hook runs within itself.

A hook may make guarded calls of its own: an alert that is sent over HTTP, a log handler. The hooks that run are kept in
a context variable, so what such a call emits does not come back to the hook that makes it. Other threads and tasks are
not concerned; a thread or task that a hook starts is, where it has a copy of the hook's context.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import BuiltinMethodType, CoroutineType, MethodType
from typing import TYPE_CHECKING, Any, TypeVar, cast

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
_NESTED = 2  # hooks of one text, made anew for each call, that may run within each other
_told: set[tuple[object, ...]] = set()
_lock = threading.Lock()
_REPORTING = object()  # runs in place of a hook while trouble is logged

#: Hooks that are told and not asked: nothing waits for their answer, so a skipped one is not reported.
_EVENT_ROLES = {"circuit listener", "event listener", "on_retry callback", "on_success callback"}

RUNNING: ContextVar[tuple[object, ...]] = ContextVar("resilience.hooks", default=())
"""The hooks that run in this context, the outermost first."""


class HookRecursionError(RecursionError):
    """Takes the place of a hook's answer about a call that the hook makes itself. Never reaches a caller."""


def is_running(hook: object) -> bool:
    """Whether *hook* runs in this context."""
    running = RUNNING.get()
    return bool(running) and any(_same(each, hook) for each in running)


def with_hook(hook: object) -> tuple[object, ...]:
    """Return what runs in this context with *hook* in it, for `RUNNING`; the caller sets back what was there before.

    Raises HookRecursionError where *hook* runs already.
    """
    running = RUNNING.get()
    if running:
        text = _text_of(hook)
        alike = text is not None and sum(_text_of(each) is text for each in running) >= _NESTED
        if alike or any(_same(each, hook) for each in running):
            raise HookRecursionError("asked about a call that it makes itself")
    return (*running, hook)


def call_hook(hook: object, function: Callable[..., T], *arguments: object, **keywords: object) -> T:
    """Return what *function* returns, which is *hook* or calls it. Raises what it raises, and HookRecursionError."""
    running = RUNNING.get()
    try:
        # Set inside the `try`: an exception of a signal handler must not leave it set.
        RUNNING.set(with_hook(hook))
        return refuse_coroutine(function(*arguments, **keywords))
    finally:
        RUNNING.set(running)


def refuse_coroutine(value: T) -> T:
    """Return what a hook has returned. Raises TypeError for a coroutine, which would be true and never awaited."""
    if value.__class__ is CoroutineType:
        cast("Coroutine[Any, Any, Any]", value).close()
        raise TypeError("it returned a coroutine, which is not awaited here; give a function that is not async")
    return value


def log_callback_error(role: str, hook: object, error: Exception) -> None:
    """Log that *hook*, called as *role*, raised: once for each hook and type of error. Never raises.

    The traceback goes along, since it is the hook's own; nothing of the guarded call does.
    """
    if isinstance(error, HookRecursionError) and role in _EVENT_ROLES:
        return
    try:
        name = str(getattr(hook, "__qualname__", None) or type(hook).__qualname__)
        # Two lambdas share a name, not a line. Not the hook itself: it may be made anew for every call.
        code = getattr(hook, "__code__", None)
        key = (role, name, getattr(code, "co_filename", ""), getattr(code, "co_firstlineno", 0), type(error))
        if is_running(_REPORTING):  # a log handler that is being told of trouble makes calls: later, then
            return
        with _lock:
            if key in _told:
                return
            if len(_told) >= _MAX_REMEMBERED:  # hooks made anew for every call must not fill the memory
                _told.clear()
            _told.add(key)
        message = "%s %s raised %s; the call goes on without it (told once)"
        log_internal_error(message, role, name, type(error).__name__, error=error)
    except Exception:  # noqa: S110 - a hook that cannot even be named; the call goes on
        pass


def log_internal_error(message: str, *arguments: object, error: Exception | None = None) -> None:
    """Log a warning on the logger ``resilience``. A filter or a handler that raises changes nothing."""
    running = RUNNING.get()
    try:
        RUNNING.set((*running, _REPORTING))
        import logging

        logging.getLogger("resilience").warning(message, *arguments, exc_info=error)
    except Exception:  # noqa: S110 - there is no other place to tell of it
        pass
    finally:
        RUNNING.set(running)


def _same(one: object, other: object) -> bool:
    if one is other:
        return True
    # A bound method is made anew each time it is looked up.
    return type(one) is type(other) and type(one) in (MethodType, BuiltinMethodType) and one == other


def _text_of(hook: object) -> object:
    """Return the code that a call of *hook* runs; None where it is none of Python's."""
    while isinstance(hook, functools.partial):
        hook = cast("functools.partial[object]", hook).func
    try:
        function: object = getattr(hook, "__func__", hook)
        call = getattr(type(function), "__call__", None)  # noqa: B004 - of an object
        return getattr(function, "__code__", None) or getattr(call, "__code__", None)
    except Exception:  # an attribute of the user's own making
        return None
