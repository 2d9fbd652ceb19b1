"""The first call of a guarded function: it shows what decorating could not know, that its result is yet to be awaited.

A plain function may return a coroutine, a generator or a context manager that another function has made. Its policies
then guard a call that does nothing, which is a mistake that no error would tell of. So the first result is looked at,
and a RuntimeWarning names what to write instead.

Until a function has returned once it is called through `FirstCall.call`; from then on directly, so that the fast path
pays for none of this.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import linecache
import opcode
import re
import sys
import warnings
from collections.abc import Callable, Coroutine
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, FunctionType, GeneratorType
from typing import Any, cast

from resilience._runtime.fast_path_template import fill
from resilience._runtime.tracebacks import drop_frame

__all__ = ["FirstCall", "warn_of_unfinished"]

# A wrapper around the function, as the caller's: what looks for the caller of the function finds the same module.
_TEXT = """\
def __make(__function, __first, __Exception):
    {d}def wrapper(*args, **kwargs):
        try:
            __value = {w}__function(*args, **kwargs)
        except __Exception as __error:
            __first.failed(__error)
            raise
        __first.returned(__value)
        return __value
    return wrapper
"""


class FirstCall:
    """Calls *function* until it has returned once, and warns where its result is yet to be awaited or iterated.

    `call` is what a wrapper or a runner calls in the function's place: a function of the same kind, in the same
    globals, whose frame appears in no traceback. `then` is called when the function has returned, to put the function
    itself there. Several threads may make first calls at once: one of them looks, all go on.
    """

    __slots__ = ("_asynchronously", "_function", "_once", "_target", "call", "then")

    def __init__(self, target: str, function: Callable[..., object], *, asynchronously: bool) -> None:
        self._target = target
        self._function = function
        self._asynchronously = asynchronously
        self._once = dict[str, object]()  # empty until a call looks at what it returned: setting a default is atomic
        scope = function.__globals__ if type(function) is FunctionType else globals()
        #: What is called in place of the function: the function itself where its results are beyond doubt.
        self.call: Callable[..., object] = function
        if _may_return_what_it_called(function):
            self.call = FunctionType(_code_of(asynchronously), scope)(function, self, Exception)
        #: Called when the function has returned.
        self.then: Callable[[], object] = _nothing

    @staticmethod
    def failed(error: Exception) -> None:
        """Leave the frame of `call` out of the traceback of *error*."""
        drop_frame(error)

    def returned(self, value: object) -> None:
        """Take note of what the function has returned."""
        mine = object()
        if self._once.setdefault("looked", mine) is mine:
            try:
                warn_of_unfinished(self._target, self._function, value, asynchronously=self._asynchronously)
            except BaseException:
                self._once.clear()  # where warnings are errors, each call is one
                raise
        self.then()
        self.call, self.then = self._function, _nothing  # no circle for the garbage collector


def _may_return_what_it_called(function: object) -> bool:
    """Whether a look at its code leaves it open what *function* returns: one that calls nothing returns no coroutine.

    Debuggers then step through one frame of the toolkit, and not two.
    """
    return type(function) is not FunctionType or not _CALLS.isdisjoint(function.__code__.co_code[::2])


_CALLS = {number for name, number in opcode.opmap.items() if re.match("CALL(?!_INTRINSIC)", name)}


def _nothing() -> None:
    """Stand for what is called when the function has returned."""


@functools.cache
def _code_of(asynchronously: bool) -> CodeType:
    source = fill(_TEXT, w="await " if asynchronously else "", d="async " if asynchronously else "")
    filename = f"<resilience wrapper of a first call{' async' if asynchronously else ''}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return next(part for part in compile(source, filename, "exec").co_consts if isinstance(part, CodeType))


def warn_of_unfinished(target: str, function: object, value: object, *, asynchronously: bool = False) -> None:
    """Emit a RuntimeWarning where *value*, which *function* returned, does its work later, after the call."""
    try:
        found = _unfinished(function, value, asynchronously=asynchronously)
    except Exception:  # a metaclass of the user's own making
        return
    if found is None:
        return
    what, instead = found
    name = target.rpartition(".")[2]
    if not name.isidentifier():
        name = "f"
    message = (
        f"{target} returned {what}: its policies guard the call, which has ended, and nothing that happens later."
        f" {instead.format(name=name)}"
    )
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=_level_of_caller(sys._getframe(1)))
    except RuntimeWarning:  # where warnings are errors
        if type(value) is CoroutineType:
            cast("Coroutine[Any, Any, Any]", value).close()
        raise
    except Exception:  # noqa: S110 - a log handler, where warnings are logged, or another hook; the call goes on
        pass


_AWAIT = "Guard `async def {name}(...): return await ...` instead."
_ENTER = "Guard what is called when it is entered, or in the `with` block, instead."
_ITERATE = "Guard a generator function instead: `def {name}(...): yield from ...`."
_ITERATE_ASYNC = (
    "Guard an async generator function instead: `async def {name}(...)` with `async for` and `yield` in it."
)
_UNFINISHED: dict[type, tuple[str, str]] = {
    CoroutineType: ("a coroutine", _AWAIT),
    AsyncGeneratorType: ("an async generator", _ITERATE_ASYNC),
    contextlib._GeneratorContextManager: ("a context manager", _ENTER),
    contextlib._AsyncGeneratorContextManager: ("a context manager", _ENTER),
}
"""What a value of each type is, and what to write instead."""


def _unfinished(function: object, value: object, *, asynchronously: bool) -> tuple[str, str] | None:
    """Return what *value* is, and what to write instead; None where it is a result."""
    kind = type(value)
    for base in kind.__mro__:
        if base in _UNFINISHED:
            return _UNFINISHED[base]
    if kind is GeneratorType and _wraps_generator(function):
        return "a generator", _ITERATE
    # Of an async function an object that can be awaited may be meant: a task, a pool of connections.
    if not asynchronously and hasattr(kind, "__await__"):
        return f"an awaitable, {kind.__module__}.{kind.__qualname__}", _AWAIT
    return None


def _wraps_generator(function: object) -> bool:
    """Whether *function* was made around a generator function: its result is that one's generator, and not data."""
    try:
        return inspect.isgeneratorfunction(inspect.unwrap(cast("Callable[..., object]", function)))
    except Exception:  # attributes of the user's own making
        return False


def _level_of_caller(frame: FrameType | None) -> int:
    """Return the ``stacklevel`` of the code that made the guarded call, as seen from *frame*."""
    level = 2
    while frame is not None:
        ours = str(frame.f_globals.get("__name__")).startswith("resilience.")
        if not ours and not frame.f_code.co_filename.startswith("<resilience wrapper"):
            return level
        frame = frame.f_back
        level += 1
    return 2
