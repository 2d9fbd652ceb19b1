"""The first call of a guarded function: it shows what decorating could not know, that its result is yet to be awaited.

Until a function has returned once it is called through `FirstCall.call`; from then on directly, so that the happy path
pays for none of this.
"""

from __future__ import annotations

import contextlib
import inspect
import opcode
import re
import sys
import warnings
from collections.abc import Callable, Coroutine
from types import AsyncGeneratorType, CoroutineType, FrameType, FunctionType, GeneratorType
from typing import Any, cast

from resilience._runtime.fast_path_template import is_wrapper
from resilience.outcome import set_traceback

__all__ = ["FirstCall", "warn_of_unfinished"]

_CONTEXT_MANAGERS = (contextlib._GeneratorContextManager, contextlib._AsyncGeneratorContextManager)


class FirstCall:
    """Calls *function* until it has returned once, and warns where its result is yet to be awaited or iterated."""

    __slots__ = ("_asynchronously", "_function", "_once", "_target", "call", "then")

    def __init__(self, target: str, function: Callable[..., object], *, asynchronously: bool) -> None:
        self._target = target
        self._function = function
        self._asynchronously = asynchronously
        self._once = dict[str, object]()  # empty until a call looks at what it returned: setting a default is atomic
        #: What is called in place of the function: the function itself where its results are beyond doubt.
        self.call: Callable[..., object] = function
        if _may_return_what_it_called(function):
            self.call = _calling(function, self) if not asynchronously else _calling_async(function, self)
        #: Called when the function has returned.
        self.then: Callable[[], object] = _nothing

    @staticmethod
    def failed(error: Exception) -> None:
        """Leave the frame of `call` out of the traceback of *error*."""
        set_traceback(error, error.__traceback__ and error.__traceback__.tb_next)

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
    # What calls nothing returns no coroutine: debuggers step through one frame of ours, and not two.
    return type(function) is not FunctionType or not _CALLS.isdisjoint(function.__code__.co_code[::2])


_CALLS = {number for name, number in opcode.opmap.items() if re.match("CALL(?!_INTRINSIC)", name)}


def _nothing() -> None:
    """Stand for what is called when the function has returned."""


def _calling(function: Callable[..., Any], first: FirstCall) -> Callable[..., object]:
    """Return a function that calls *function* and has *first* look at what it returned."""

    def call(*args: object, **kwargs: object) -> object:
        try:
            value = function(*args, **kwargs)
        except Exception as error:
            first.failed(error)
            raise
        first.returned(value)
        return value

    return _as_if_written_beside(function, call)


def _calling_async(function: Callable[..., Any], first: FirstCall) -> Callable[..., object]:
    async def call(*args: object, **kwargs: object) -> object:
        try:
            value = await function(*args, **kwargs)
        except Exception as error:
            first.failed(error)
            raise
        first.returned(value)
        return value

    return _as_if_written_beside(function, call)


def _as_if_written_beside(function: object, call: Callable[..., object]) -> Callable[..., object]:
    """Return *call* as a function of the module of *function*: what looks for its caller there finds that module."""
    if type(function) is not FunctionType:
        return call
    return FunctionType(
        cast("FunctionType", call).__code__, function.__globals__, closure=cast("FunctionType", call).__closure__
    )


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
    message = (
        f"{target} returned {what}: its policies guard the call, which has ended, and nothing that happens later."
        f" {instead.format(name=name if name.isidentifier() else 'f')}"
    )
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=_level_of_caller(sys._getframe(1)))
    except RuntimeWarning:  # where warnings are errors
        if type(value) is CoroutineType:
            cast("Coroutine[Any, Any, Any]", value).close()
        raise
    except Exception:  # noqa: S110 - a log handler, where warnings are logged, or another hook; the call goes on
        pass


def _unfinished(function: object, value: object, *, asynchronously: bool) -> tuple[str, str] | None:
    """Return what *value* is, and what to write instead; None where it is a result."""
    kind = type(value)
    if kind is CoroutineType:
        return "a coroutine", _AWAIT
    if kind is AsyncGeneratorType:
        return "an async generator", _ITERATE_ASYNC
    if issubclass(kind, _CONTEXT_MANAGERS):
        return "a context manager", _ENTER
    if kind is GeneratorType and _wraps_generator(function):
        return "a generator", _ITERATE
    # Of an async function an object that can be awaited may be meant: a task, a pool of connections.
    if not asynchronously and hasattr(kind, "__await__"):
        return f"an awaitable, {kind.__module__}.{kind.__qualname__}", _AWAIT
    return None


_AWAIT = "Guard `async def {name}(...): return await ...` instead."
_ITERATE_ASYNC = (
    "Guard an async generator function instead: `async def {name}(...)` with `async for` and `yield` in it."
)
_ITERATE = "Guard a generator function instead: `def {name}(...): yield from ...`."
_ENTER = "Guard what is called when it is entered, or in the `with` block, instead."


def _wraps_generator(function: object) -> bool:
    try:
        return inspect.isgeneratorfunction(inspect.unwrap(cast("Callable[..., object]", function)))
    except Exception:  # attributes of the user's own making
        return False


def _level_of_caller(frame: FrameType | None) -> int:
    """Return the ``stacklevel`` of the code that made the guarded call, as seen from *frame*."""
    level = 2
    while frame is not None:
        ours = str(frame.f_globals.get("__name__")).startswith("resilience.")
        if not ours and not is_wrapper(frame.f_code) and frame.f_code.co_filename != __file__:
            return level
        frame = frame.f_back
        level += 1
    return 2
