"""What can be guarded, and how: functions, methods, static and class methods, partials, callable objects, classes."""

from __future__ import annotations

import contextlib
import contextvars
import enum
import functools
import inspect
import re
import sys
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from types import ClassMethodDescriptorType, FunctionType
from typing import Any, TypeVar, cast

from resilience._runtime.circuit_context import enter, leave
from resilience._runtime.fast_path import stream_wrapper_of, wrapper_of
from resilience._runtime.generators import Opened
from resilience._runtime.method_selection import MethodSelection
from resilience._runtime.protocol import Policy
from resilience._runtime.thread_timeout import in_worker
from resilience._runtime.tracebacks import drop_frame
from resilience._runtime.undecided import undecided_wrapper_of
from resilience.settings import DISABLED

__all__ = ["Guarded", "guard", "guarded", "is_generator", "refuse_without_items"]

T = TypeVar("T")
_IMMUTABLE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE


class Flavour(enum.Enum):
    """How a function is called, and so what its wrapper has to be."""

    PLAIN = "plain"
    COROUTINE = "coroutine"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"
    UNDECIDED = "plain or coroutine: its first call shows it"


class Guarded:
    """What is known of a guarded function: the original, its flavour, and the policies around it, outermost first.

    It hangs on the wrapper as ``__resilience__``. A further decorator takes the original from it and makes one wrapper
    for all policies, however many decorators there are: `around`.
    """

    __slots__ = ("_flavour", "_wrapper", "function", "policies", "target")

    def __init__(
        self,
        target: str,
        function: Callable[..., object],
        policies: tuple[Policy, ...],
        flavour: Flavour | None = None,
    ) -> None:
        self.target: str = target
        self.function: Callable[..., object] = function
        self.policies: tuple[Policy, ...] = policies
        self._flavour: Flavour = flavour or _flavour_of(target, function)
        self._wrapper: weakref.ref[Callable[..., object]] | None = None

    def belongs_to(self, wrapper: object) -> bool:
        """Whether this is *wrapper*'s own: `functools.wraps` copies attributes to functions around it as well."""
        return self._wrapper is not None and self._wrapper() is wrapper

    def wrap(self) -> Callable[..., object]:
        """Return the function guarded. Raises TypeError where a policy cannot guard a function of its flavour."""
        return self._wrap(self.policies, self.function)

    def around(self, policies: Sequence[Policy], like: object) -> Callable[..., object]:
        """Return the function guarded by *policies* outside of those it has, with the name and attributes of *like*."""
        policies = tuple(policies)
        outer = Guarded(self.target, self.function, policies + self.policies, self._flavour)
        return outer._wrap(policies, like)

    def _wrap(self, unchecked: Sequence[Policy], like: object) -> Callable[..., object]:
        flavour = self._flavour
        if flavour is Flavour.UNDECIDED and not all(policy.supports_sync for policy in self.policies):
            flavour = Flavour.COROUTINE
        for refuse in _REFUSALS[flavour]:
            refuse(self.target, unchecked)
        wrapper = _WRAPPERS[flavour](self.target, self.function, self.policies)
        if not _is_named(self.function):
            wrapper.__name__, wrapper.__qualname__ = self.target.rpartition(".")[2], self.target
        _take_after(wrapper, like)
        self._wrapper = weakref.ref(wrapper)
        # Looked up beside the function, never typed on it.
        vars(wrapper).update(__wrapped__=self.function, __resilience__=self)
        return wrapper


def _flavour_of(target: str, function: Callable[..., object]) -> Flavour:
    if _is_plain(function):
        return Flavour.PLAIN
    if makes_context_manager(function):
        raise TypeError(
            f"cannot guard {target}: it returns a context manager, and entering it is another call; guard"
            " what is called when it is entered, or in the `with` block"
        )
    if is_generator(function):
        asynchronous = is_async(function) or _is_async_generator(function)
        return Flavour.ASYNC_GENERATOR if asynchronous else Flavour.GENERATOR
    if is_async(function):
        return Flavour.COROUTINE
    return Flavour.UNDECIDED if may_be_async(function) else Flavour.PLAIN


def _is_plain(function: object) -> bool:
    """Whether *function* is a plain one beyond doubt, as most are: the longer look takes as long as the rest."""
    return (
        type(function) is FunctionType
        and not function.__code__.co_flags & _NOT_PLAIN
        and "return" not in function.__annotations__
        and not vars(function)
    )


_NOT_PLAIN = inspect.CO_GENERATOR | inspect.CO_ITERABLE_COROUTINE | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


# -- what cannot be guarded by which policy --------------------------------------------------------------------------


def refuse_without_items(target: str, stack: Sequence[Policy]) -> None:
    """Raise TypeError where a policy of *stack* can guard generators alone, of which *target* is none."""
    for policy in stack:
        if not policy.supports_calls:
            raise TypeError(
                f"cannot guard {target} by {policy}: it is no generator function and has no items;"
                " give timeout(seconds)"
            )


def _refuse_without_async(target: str, stack: Sequence[Policy]) -> None:
    for policy in stack:
        if not policy.supports_sync:
            raise TypeError(f"cannot guard {target} by {policy}: it is not async, and nothing can end a copy")


def _refuse_async_hooks(target: str, stack: Sequence[Policy]) -> None:
    for policy in stack:
        for parameter, hook in policy.hooks().items():
            if is_async(hook):
                raise TypeError(
                    f"{parameter}={hook!r}: {target} is not async, so nobody could await this;"
                    f" give a plain function, or make {target} async"
                )


def _refuse_around_items(target: str, stack: Sequence[Policy]) -> None:
    for policy in stack:
        if not policy.supports_generators:
            raise TypeError(
                f"cannot guard the generator function {target} by {policy}: {_instead(policy)}; of a class"
                " its other methods one by one"
            )


def _instead(policy: Policy) -> str:
    if policy.is_deadline:
        return "the time its consumer takes would count; put a `with` block of it around the loop that reads the items"
    if policy.time_limit is not None:
        return "the time its consumer takes would count; give timeout(first_item=..., idle=...), either or both"
    if "retry_if_result" in policy.hooks():
        return "retry_if_result has no result to judge before items are handed out; leave it out"
    return (
        "its items come after the call has returned, and those handed out cannot be taken back; guard the function"
        " that fetches one item or one page"
    )


_REFUSALS: Mapping[Flavour, Sequence[Callable[[str, Sequence[Policy]], None]]] = {
    Flavour.PLAIN: (_refuse_without_async, _refuse_async_hooks, refuse_without_items),
    Flavour.COROUTINE: (refuse_without_items,),
    Flavour.GENERATOR: (_refuse_without_async, _refuse_async_hooks, _refuse_around_items),
    Flavour.ASYNC_GENERATOR: (_refuse_around_items,),
    Flavour.UNDECIDED: (refuse_without_items,),
}


# -- wrappers --------------------------------------------------------------------------------------------------------

# These stand here because a signal may interrupt what they call: `interrupt` looks through this module's frames.


def _opener(function: Callable[..., object], stack: Sequence[Policy]) -> Callable[..., object]:
    """Return what calls a generator function and fetches the first item."""
    function = cast("Callable[..., Generator[object, object, object]]", function)
    threads = any(policy.time_limit is not None or policy.item_timeout is not None for policy in stack)

    def open_stream(*args: object, **kwargs: object) -> object:
        # Where it may move from thread to thread it keeps its context variables: a token of one is good in no other.
        moves = (threads and not (DISABLED.used and DISABLED.is_on())) or in_worker()
        context = contextvars.copy_context() if moves else None
        items = function(*args, **kwargs)
        try:
            first = next(items) if context is None else context.run(next, items)
        except StopIteration as done:
            return done.value
        except Exception as error:  # without this frame in the traceback
            drop_frame(error)
            raise
        return Opened(first, items, context)

    return open_stream


def _let_go(items: object) -> None:
    """Take the place of what closes an async generator that nobody has any more, when there is no event loop."""


def _opener_async(function: Callable[..., object]) -> Callable[..., object]:
    function = cast("Callable[..., AsyncGenerator[object, object]]", function)

    async def open_stream(*args: object, **kwargs: object) -> object:
        items = function(*args, **kwargs)
        # The wrapper is a generator too, and closes this one. An event loop that knew of both would close both at once
        # when it ends.
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, _let_go)
        try:
            fetching = anext(items)
        finally:
            sys.set_asyncgen_hooks(*hooks)
        try:
            first = await fetching
        except StopAsyncIteration:
            return None
        except Exception as error:  # without this frame in the traceback
            drop_frame(error)
            raise
        return Opened(first, items)

    return open_stream


def _stream(target: str, function: Callable[..., object], stack: Sequence[Policy]) -> FunctionType:
    return stream_wrapper_of(target, function, stack, _opener(function, stack), asynchronously=False)


def _async_stream(target: str, function: Callable[..., object], stack: Sequence[Policy]) -> FunctionType:
    return stream_wrapper_of(target, function, stack, _opener_async(function), asynchronously=True)


_WRAPPERS: Mapping[Flavour, Callable[[str, Callable[..., object], Sequence[Policy]], Callable[..., object]]] = {
    Flavour.PLAIN: functools.partial(wrapper_of, asynchronously=False),
    Flavour.COROUTINE: functools.partial(wrapper_of, asynchronously=True),
    Flavour.GENERATOR: _stream,
    Flavour.ASYNC_GENERATOR: _async_stream,
    Flavour.UNDECIDED: undecided_wrapper_of,
}


def guarded(target: object) -> Guarded | None:
    """Return what is known of a guarded function or bound method, or None."""
    function = getattr(target, "__func__", target)
    found = getattr(function, "__resilience__", None)
    return found if isinstance(found, Guarded) and found.belongs_to(function) else None


def guard(target: T, *policies: Policy, exclude: Collection[str] = ()) -> T:
    """Return *target* guarded by *policies*, outermost first; a class is changed in place, but for *exclude*.

    Raises TypeError for what cannot be called, and for generator functions around which a policy cannot stand.
    """
    if isinstance(target, type):
        return cast("T", _guard_class(cast("type[object]", target), policies, exclude))
    for policy in policies:
        selection = policy.methods
        if selection is not None and (selection.only is not None or selection.exclude):
            raise TypeError(f"{selection}: give it where a class is decorated; {name_of(target)} is none")
    return cast("T", _guard_function(target, policies))


def _guard_function(target: object, policies: Sequence[Policy]) -> object:
    inside = under_descriptor(target)
    if inside is not target:  # in either order: what is below the descriptor is guarded, the descriptor stays
        outside = type(target)(_guard_function(inside, policies))  # type: ignore[call-arg]  # a static or class method
        vars(outside).update(vars(target))
        return outside
    if not callable(target):
        raise TypeError(f"cannot guard {target!r}: give a function, a method, a callable object or a class")
    inner = guarded(target)
    if inner is None or inspect.ismethod(target):  # a bound method is a target of its own
        return Guarded(name_of(target), target, tuple(policies)).wrap()
    # Fuse: one wrapper over the original, whatever the number of decorators. What a decorator in between left on
    # the function (abstract, final, a mark of pytest) stays.
    return inner.around(policies, like=target)


def _guard_class(cls: type[object], policies: Sequence[Policy], exclude: Collection[str]) -> type[object]:
    members = dict(public_methods(cls))
    _refuse_without_methods(cls, members)
    members = {name: member for name, member in members.items() if name not in exclude}
    # What makes a context manager stays as it is, unless it is named: a call of it does nothing that could fail.
    unnamed = {name for name, member in members.items() if not makes_context_manager(member)}
    guards: list[tuple[Policy, set[str]]] = []
    for policy in policies:
        selection = policy.methods
        chosen = unnamed if selection is None else selection.select(members)
        if selection is not None and selection.only is None:
            chosen &= unnamed
            if not chosen:
                raise TypeError(
                    f"cannot guard the class {cls.__qualname__} by {policy}: all its public methods are left out"
                    f" ({', '.join(members)}); name those to guard, as in only={tuple(members)[:1]!r}"
                )
        guards.append((policy, chosen))
    selections = dict.fromkeys(policy.methods for policy in policies if policy.methods is not None)
    initializer = inspect.getattr_static(cls, "__init__")
    if selections and inspect.isfunction(initializer):
        members["__init__"] = initializer
    # All of them before any is put in place: a class that is refused stays as it was.
    methods: dict[str, object] = {}
    for name, member in members.items():
        stack = [policy for policy, names in guards if name in names]
        local = [selection for selection in selections if selection.is_local(name)]
        if stack or local:
            own = member if _is_own_function(cls, name) else _called_on(cls, name, member)
            own = _local_method(own, local) if local else own
            methods[name] = _guard_function(own, stack) if stack else own
    for name, method in methods.items():
        # A method that comes from a base is guarded on this class only: the base stays as it is.
        setattr(cls, name, method)
    return cls


def _local_method(member: object, selections: Sequence[MethodSelection]) -> object:
    """Return a method that makes no request: the circuits of *selections* are not asked about what it calls.

    They would take it for an answer of the dependency, and reject it while they are open.
    """
    function = cast("Callable[..., Any]", under_descriptor(member))
    if is_generator(function):
        return member
    method: Callable[..., object]
    if is_async(function):

        async def coroutine(*args: object, **kwargs: object) -> object:
            calls = [enter(selection) for selection in selections]
            try:
                return await function(*args, **kwargs)
            finally:
                for call in calls:
                    leave(call)

        method = coroutine
    else:

        def plain(*args: object, **kwargs: object) -> object:
            calls = [enter(selection) for selection in selections]
            try:
                return function(*args, **kwargs)
            finally:
                for call in calls:
                    leave(call)

        method = plain
    functools.update_wrapper(method, function)
    return type(member)(method) if function is not member else method  # type: ignore[call-arg]  # a class method


def _refuse_without_methods(cls: type[object], members: Mapping[str, object]) -> None:
    if cls.__flags__ & _IMMUTABLE:
        raise TypeError(
            f"cannot guard the class {cls.__qualname__}: it is not written in Python, its methods cannot be replaced;"
            " decorate a subclass of it, or guard a method of an object"
        )
    if not any(not makes_context_manager(member) for member in members.values()):
        raise TypeError(
            f"cannot guard the class {cls.__qualname__}: it has no public methods to guard; guard"
            " functions, or the methods of an object, one by one"
        )


def _is_own_function(cls: type[object], name: str) -> bool:
    """Whether a method is written in the body of *cls*, as a function that can be wrapped."""
    member = vars(cls).get(name)
    return callable(under_descriptor(member)) and not isinstance(member, ClassMethodDescriptorType)


def _called_on(cls: type[object], name: str, member: object) -> object:
    """Return a method of *cls* that calls the one it inherits, whichever that is for the object at hand.

    Not the one that is inherited now: in ``class Both(Guarded, Mixin)`` what `Mixin` overrides must win, as without us.
    Where *cls* has the method itself, and it is no function, it is bound and called.
    """
    function = _under_method(member)
    if isinstance(member, staticmethod) or guarded(function) is not None:  # nothing to bind to; or guarded on the base
        return member  # pyright: ignore[reportUnknownVariableType]
    own: Any = vars(cls).get(name)
    of_class = isinstance(member, classmethod | ClassMethodDescriptorType)

    def above(owner: object) -> Any:
        if own is None:
            return getattr(super(cls, owner), name)
        return own.__get__(None, owner) if of_class else own.__get__(owner, type(owner))

    def plain(self: object, /, *args: object, **kwargs: object) -> object:
        return above(self)(*args, **kwargs)

    async def coroutine(self: object, /, *args: object, **kwargs: object) -> object:
        return await above(self)(*args, **kwargs)

    def generator(self: object, /, *args: object, **kwargs: object) -> Generator[object, object, object]:
        items: Generator[object, object, object] = above(self)(*args, **kwargs)
        return (yield from items)

    async def async_generator(self: object, /, *args: object, **kwargs: object) -> AsyncIterator[object]:
        async with contextlib.aclosing(above(self)(*args, **kwargs)) as items:
            async for item in items:
                yield item

    call: Callable[..., object] = plain
    if inspect.isasyncgenfunction(function):
        call = async_generator
    elif inspect.isgeneratorfunction(function):
        call = generator
    elif is_async(function):
        call = coroutine
    functools.update_wrapper(call, cast("Callable[..., object]", function))
    if isinstance(member, functools.partialmethod):  # not what it fills in: by name and signature another method
        vars(call).clear()
        call.__name__, call.__qualname__ = name, f"{cls.__qualname__}.{name}"
    if not isinstance(getattr(function, "__module__", None), str):  # of a class written in C
        call.__module__ = getattr(function, "__objclass__", cls).__module__
    return classmethod(call) if of_class else call


def public_methods(cls: type[object]) -> Iterator[tuple[str, object]]:
    """Yield the name and the plain attribute of each public method of *cls*, inherited ones too."""
    for name in dir(cls):
        if name.startswith("_"):
            continue
        member = inspect.getattr_static(cls, name)
        if isinstance(member, staticmethod | classmethod) or _is_method(member):
            yield name, member


def _is_method(member: object) -> bool:
    """Whether a class attribute is a method: of Python, Cython, mypyc or C, or one made of another method."""
    if isinstance(member, functools.partialmethod | functools.singledispatchmethod):
        return True
    if isinstance(member, functools.partial):  # it has `__get__` from 3.13 on, and did not bind before
        return False
    return callable(member) and hasattr(type(member), "__get__")


def _under_method(member: object) -> object:
    """Return the function that says of a method what kind it is."""
    if isinstance(member, functools.partialmethod | functools.singledispatchmethod):
        return cast("functools.partialmethod[object]", member).func
    return under_descriptor(member)


def under_descriptor(target: object) -> object:
    """Return the function below a `staticmethod` or `classmethod` object; anything else as it is."""
    if isinstance(target, staticmethod | classmethod):
        return cast("staticmethod[..., object]", target).__func__
    return target


def name_of(target: object) -> str:
    """Return the dotted name events and errors call *target* by."""
    function = target
    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    function = getattr(function, "__func__", function)
    named: object = function if _is_named(function) else type(function)  # pyright: ignore[reportUnknownVariableType]
    module: object = getattr(named, "__module__", None)  # pyright: ignore[reportUnknownArgumentType]
    if module is None:  # a method of a class written in C
        module = getattr(getattr(named, "__objclass__", None), "__module__", None)  # pyright: ignore[reportUnknownArgumentType]
    return f"{module or ''}.{getattr(named, '__qualname__', '')}".lstrip(".")  # pyright: ignore[reportUnknownArgumentType]


def _is_named(function: object) -> bool:
    # A partial and an object that calls are not; a mock of a function has a mock for a name.
    return isinstance(getattr(function, "__qualname__", None), str)


def _take_after(wrapper: Callable[..., object], function: object) -> None:
    """Do what `functools.update_wrapper` does, with mocks of functions too: those have mocks for attributes."""
    if type(function) is FunctionType:
        functools.update_wrapper(wrapper, function)
        return
    for attribute in functools.WRAPPER_ASSIGNMENTS:
        with contextlib.suppress(AttributeError, TypeError):
            setattr(wrapper, attribute, getattr(function, attribute))
    vars(wrapper).update(getattr(function, "__dict__", {}))


def is_async(function: object) -> bool:
    """Whether *function* is known to return an awaitable.

    Coroutine functions, partials of them, objects that call as one, functions annotated to return an ``Awaitable`` or a
    ``Coroutine``.
    """
    return _is(_gives_awaitable, function)


def may_be_async(function: object) -> bool:
    """Whether what *function* wraps is async, or its annotation leaves it open: its own code may await that or not."""
    return _is(_may_give_awaitable, function)


def makes_context_manager(function: object) -> bool:
    """Whether *function* is one that `contextlib.contextmanager` or `asynccontextmanager` has made."""
    function = under_descriptor(_without_partials(function))
    return getattr(getattr(function, "__func__", function), "__code__", None) in _CONTEXT_MANAGER_CODES


def is_generator(function: object) -> bool:
    """Whether calling *function* gives a generator, sync or async."""
    return _is(inspect.isgeneratorfunction, function) or _is(inspect.isasyncgenfunction, function)


def _is(kind: Callable[[object], bool], function: object) -> bool:
    try:
        call = _call_of(function)
        return kind(function) or (call is not function and kind(call))
    except TypeError:  # a mock of a function has a mock for its flags, too
        return False


def _is_async_generator(function: object) -> bool:
    return any(inspect.isasyncgenfunction(candidate) for candidate in (function, _call_of(function)))


def _call_of(function: object) -> object:
    function = _without_partials(function)
    # The type's attribute, not the object's: that is what a call looks up.
    return function if inspect.isroutine(function) else getattr(type(function), "__call__", None)  # noqa: B004


def _without_partials(function: object) -> object:
    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    return function


_CONTEXT_MANAGER_CODES = {
    cast("FunctionType", make(cast("Any", None))).__code__
    for make in (contextlib.contextmanager, contextlib.asynccontextmanager)
}
_AWAITABLE = re.compile(r"(?:\w+\.)*\b(?:Awaitable|Coroutine|CoroutineType)\b")
_UNION = re.compile(r"(?:\w+\.)*(?:Union|Optional)")


def _gives_awaitable(function: object) -> bool:
    if inspect.iscoroutinefunction(function) or _is_marked(function):
        return True
    if hasattr(function, "__wrapped__") or inspect.isgeneratorfunction(function):
        return False  # `functools.wraps` copies annotations, and what is around a function may await it
    annotation = _returned_by(function)
    return bool(annotation) and _AWAITABLE.fullmatch(_without_parameters(annotation)) is not None


def _may_give_awaitable(function: object) -> bool:
    annotation = _returned_by(function)
    if annotation:
        plain = _without_parameters(annotation)
        # Not a function that returns one: Callable[..., Awaitable[int]].
        if _AWAITABLE.search(annotation if _UNION.fullmatch(plain) else plain):
            return True
    try:
        if not hasattr(function, "__wrapped__"):
            return False
        inside = inspect.unwrap(cast("Callable[..., object]", function), stop=inspect.iscoroutinefunction)
    except Exception:  # a circle, or attributes of the user's own making
        return False
    return inspect.iscoroutinefunction(inside) or _is_marked(inside)


def _is_marked(function: object) -> bool:
    # How asyncio and asgiref marked functions before `inspect.markcoroutinefunction`.
    mark = getattr(sys.modules.get("asyncio.coroutines"), "_is_coroutine", None)
    return mark is not None and getattr(function, "_is_coroutine", None) is mark


def _returned_by(function: object) -> str:
    """Return the annotation of what *function* returns, as text; nothing is evaluated."""
    try:
        annotations: object = getattr(function, "__annotations__", None)
        given: object = cast("dict[str, object]", annotations).get("return") if isinstance(annotations, dict) else None
        return given if isinstance(given, str) else "" if given is None else inspect.formatannotation(given)
    except Exception:  # from 3.14 on they are worked out when they are asked for, and may not be
        return ""


def _without_parameters(annotation: str) -> str:
    """Return ``Awaitable`` of ``Awaitable[dict[str, int]]``."""
    while (shorter := re.sub(r"\[[^\[\]]*\]", "", annotation)) != annotation:
        annotation = shorter
    return annotation
