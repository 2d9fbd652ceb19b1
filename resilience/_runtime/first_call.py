"""The first call of a guarded function: it shows what decorating could not know, that its result is yet to be awaited.

A plain function that returns a coroutine, a generator or a context manager has done nothing yet when its policies are
done with the call. What it returns is looked at once, and a RuntimeWarning says what to guard instead. Until then the
function is called through `FirstCall.opener`; from then on directly, so that the happy path pays for none of this.
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
from typing import Any, NamedTuple, cast

from resilience._runtime.fast_path_template import is_wrapper
from resilience._runtime.tracebacks import drop_frame

__all__ = ["FirstCall", "level_of_caller", "warn_of_unfinished"]


class FirstCall:
    """Looks at what *function* returns first, and warns where that is yet to be awaited or iterated.

    Until then *opener* is called in place of the function. A call that raises shows nothing, so the next one is looked
    at. Calls may overlap in threads and tasks: one of them looks, and all that return meanwhile go through here.
    """

    __slots__ = ("_asynchronously", "_function", "_once", "_target", "opener", "then")

    def __init__(self, target: str, function: Callable[..., object], *, asynchronously: bool) -> None:
        self._target = target
        self._function = function
        self._asynchronously = asynchronously
        self._once: dict[str, object] = {}  # empty until a call looks at what it returned: setting a default is atomic
        #: What calls the function and looks at its result; None where its results are beyond doubt.
        self.opener: Callable[..., object] | None = None
        if _may_return_what_it_called(function):
            self.opener = _LOOKING[asynchronously](function, self)
        #: Called when the function has returned.
        self.then: Callable[[], object] = _nothing

    def returned(self, value: object) -> None:
        """Look at what the function has returned; have it called directly from now on."""
        mine = object()
        if self._once.setdefault("looked", mine) is mine:
            try:
                warn_of_unfinished(self._target, self._function, value, asynchronously=self._asynchronously)
            except BaseException:
                self._once.clear()  # where warnings are errors, each call is one
                raise
        self.then()
        self.opener, self.then = None, _nothing  # no reference cycle for the garbage collector


def _may_return_what_it_called(function: object) -> bool:
    """Return whether *function* calls anything: what calls nothing has no coroutine to return.

    For such a function debuggers step through one frame of ours from the beginning, and not through two.
    """
    return type(function) is not FunctionType or not _CALLS.isdisjoint(function.__code__.co_code[::2])


_CALLS = {number for name, number in opcode.opmap.items() if re.match("CALL(?!_INTRINSIC)", name)}


def _nothing() -> None:
    """Stand for what is called when the function has returned."""


def _looking(function: Callable[..., Any], first: FirstCall) -> Callable[..., object]:
    """Return a function that calls *function* and has *first* look at its result."""

    def call(*args: object, **kwargs: object) -> object:
        try:
            value = function(*args, **kwargs)
        except failure as error:
            drop(error)
            raise
        first.returned(value)
        return value

    drop, failure = drop_frame, Exception  # by names that the module of the function does not have
    return _beside(function, call)


def _looking_async(function: Callable[..., Any], first: FirstCall) -> Callable[..., object]:
    """Return a coroutine function that awaits *function* and has *first* look at its result."""

    async def call(*args: object, **kwargs: object) -> object:
        try:
            value = await function(*args, **kwargs)
        except failure as error:
            drop(error)
            raise
        first.returned(value)
        return value

    drop, failure = drop_frame, Exception  # by names that the module of the function does not have
    return _beside(function, call)


_LOOKING = {False: _looking, True: _looking_async}


def _beside(function: object, call: Any) -> Callable[..., object]:
    """Return *call* as a function of the module of *function*: code that looks for its caller finds that module.

    `warnings` and `collections.namedtuple` do so, by the globals of the frame. They are the user's, so *call* must use
    none of them: it has all that it needs in its closure.
    """
    if type(function) is not FunctionType:
        return cast("Callable[..., object]", call)
    return FunctionType(call.__code__, function.__globals__, closure=call.__closure__)


# -- the warning -----------------------------------------------------------------------------------------------------


class _Unfinished(NamedTuple):
    """A result that does its work later, so that a call which returns it has succeeded before anything has happened.

    *what* names it in the warning. *instead* says what to guard, with ``{name}`` for the name of the function.
    """

    what: str
    instead: str


_AWAIT = "Guard `async def {name}(...): return await ...` instead."
_COROUTINE = _Unfinished("a coroutine", _AWAIT)
_ASYNC_GENERATOR = _Unfinished(
    "an async generator",
    "Guard an async generator function instead: `async def {name}(...)` with `async for` and `yield` in it.",
)
_GENERATOR = _Unfinished("a generator", "Guard a generator function instead: `def {name}(...): yield from ...`.")
_CONTEXT_MANAGER = _Unfinished(
    "a context manager", "Guard what is called when it is entered, or in the `with` block, instead."
)
_FUTURE_RESULT = "Guard `def {name}(...): return ....result()` instead, or what runs in the other thread."
_BY_TYPE = {
    CoroutineType: _COROUTINE,
    AsyncGeneratorType: _ASYNC_GENERATOR,
    contextlib._GeneratorContextManager: _CONTEXT_MANAGER,
    contextlib._AsyncGeneratorContextManager: _CONTEXT_MANAGER,
}


def warn_of_unfinished(target: str, function: object, value: object, *, asynchronously: bool = False) -> None:
    """Emit a RuntimeWarning where *value*, which *function* returned, does its work later, after the call.

    The warning is raised where warnings are errors. An error of a hook that prints or logs warnings is dropped: the
    call goes on.
    """
    found: _Unfinished | None = None
    with contextlib.suppress(Exception):  # of a metaclass of the user's own making
        found = _unfinished(function, value, asynchronously=asynchronously)
    if found is None:
        return
    name = target.rpartition(".")[2]
    if not name.isidentifier():  # of a partial, say
        name = "f"
    message = (
        f"{target} returned {found.what}: its policies guard the call, which has ended, and nothing that happens later."
        f" {found.instead.format(name=name)}"
    )
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=level_of_caller(sys._getframe(1)))
    except RuntimeWarning:  # where warnings are errors
        if type(value) is CoroutineType:
            cast("Coroutine[Any, Any, Any]", value).close()
        raise
    except Exception:  # noqa: S110 - a log handler, where warnings are logged, or another hook; the call goes on
        pass


def _unfinished(function: object, value: object, *, asynchronously: bool) -> _Unfinished | None:
    """Return what *value* is, and what to write instead; None where it is a result.

    A generator is a result unless the function wraps a generator function: many functions return one that they have
    been given, or that other code is to read.
    """
    if isinstance(value, contextlib.closing | contextlib.aclosing):
        value = vars(value)["thing"]
    kind = type(value)
    for known in kind.__mro__:
        if known in _BY_TYPE:
            return _BY_TYPE[known]
    if kind is GeneratorType and _wraps_generator(function):
        return _GENERATOR
    if _is_context_manager_alone(kind):
        return _CONTEXT_MANAGER
    # Of an async function an object that can be awaited may be meant: a task, a pool of connections.
    if not asynchronously:
        return _unfinished_of_sync(kind, value)
    return None


def _unfinished_of_sync(kind: type[object], value: object) -> _Unfinished | None:
    """Return what *value* of the class *kind* is where a sync function returned it, see `_unfinished`.

    A cursor of an async database, say, sends its query when it is iterated. What can be iterated with ``for`` as well
    may be there already.
    """
    named = f"{kind.__module__}.{kind.__qualname__}"
    if hasattr(kind, "__await__"):
        return _Unfinished(f"an awaitable, {named}", _AWAIT)
    if hasattr(kind, "__aiter__") and not hasattr(kind, "__iter__"):
        return _Unfinished(f"an async iterator, {named}", _ASYNC_GENERATOR.instead)
    future = getattr(sys.modules.get("concurrent.futures._base"), "Future", None)
    if future is not None and isinstance(value, future):
        return _Unfinished(f"a future, {named}", _FUTURE_RESULT)
    return None


def _is_context_manager_alone(kind: type[object]) -> bool:
    """Whether objects of the class *kind* are of no use but in a ``with`` block: they have no public attributes.

    Connections, files, sessions and locks can be entered too, and are results all the same.
    """
    if not (hasattr(kind, "__enter__") or hasattr(kind, "__aenter__")):
        return False
    return all(name.startswith("_") for name in dir(kind))


def _wraps_generator(function: object) -> bool:
    """Whether the innermost function below ``functools.wraps`` is a generator function."""
    try:
        return inspect.isgeneratorfunction(inspect.unwrap(cast("Callable[..., object]", function)))
    except Exception:  # attributes of the user's own making
        return False


def level_of_caller(frame: FrameType | None) -> int:
    """Return the ``stacklevel`` of the code that made the guarded call, as seen from *frame*.

    Frames of the toolkit are passed over, however many there are: wrappers, runners, and what this module makes.
    """
    level = 2
    while frame is not None:
        if not _is_ours(frame):
            return level
        frame = frame.f_back
        level += 1
    return 2


def _is_ours(frame: FrameType) -> bool:
    """Return whether *frame* is the toolkit's: wrappers and what `_beside` makes have the globals of another module."""
    code, module = frame.f_code, str(frame.f_globals.get("__name__"))
    return module.startswith("resilience.") or is_wrapper(code) or code.co_filename == __file__
