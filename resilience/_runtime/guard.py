"""Guarding a target: a function, a method, a callable object, or a class.

Of a class the public methods are guarded one by one, in place. Each policy says by its `MethodSelection` which of them
it guards. Methods that make no request are *local* to the circuits: calls that they make of guarded methods pass
through unseen, since those would be taken for answers of the dependency, and be rejected while the circuit is open.

A method that comes from a base is guarded on the decorated class only: the base stays as it is. The replacement looks
the method up above the class at each call, so that in ``class Both(Guarded, Mixin)`` what `Mixin` overrides still wins.

Functions here stand between a guarded call and the user's method; `signal_timeout` looks through this module's frames.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterator, Mapping, Sequence
from types import ClassMethodDescriptorType
from typing import Any, TypeAlias, TypeVar, cast

from resilience._runtime.callables import (
    Kind,
    kind_of,
    makes_context_manager,
    mark_dispatcher,
    name_of,
    under_descriptor,
)
from resilience._runtime.circuit_context import entered
from resilience._runtime.decorate import Keeper, guard_function, guarded
from resilience._runtime.method_selection import LOCAL_METHODS, RequestMethods
from resilience._runtime.protocol import Policy

__all__ = ["guard", "public_methods"]

T = TypeVar("T")
_Method: TypeAlias = Callable[..., Any]
_IMMUTABLE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE


def guard(target: T, *policies: Policy, exclude: Collection[str] = (), keepers: Sequence[Keeper] = ()) -> T:
    """Return *target* guarded by *policies*, outermost first; a class is changed in place, but for *exclude*.

    The *keepers* may put other policies in the place of some of these later.

    A descriptor (a static or class method) stays one, with the function below it guarded. What is guarded already is
    not wrapped again: the policies go around those it has.

    Raises TypeError for what cannot be called, and for generator functions around which a policy cannot stand.
    """
    if isinstance(target, type):
        _guard_class(cast("type[object]", target), policies, exclude, keepers)
        return target
    for policy in policies:
        if policy.methods is not None and policy.methods.names_methods:
            raise TypeError(f"{policy.methods}: give it where a class is decorated; {name_of(target)} is none")
    return cast("T", guard_function(target, policies, keepers))


def _guard_class(
    cls: type[object], policies: Sequence[Policy], exclude: Collection[str], keepers: Sequence[Keeper]
) -> None:
    """Replace the methods of *cls* by guarded or local ones.

    Each method gets the policies that select it, as one stack, and is local to the circuits that know it for one that
    makes no request. All replacements are made before the first is put in place: an error leaves the class unchanged.
    """
    members = dict(public_methods(cls))
    _refuse_without_methods(cls, members)
    members = {name: member for name, member in members.items() if name not in exclude}
    selected = [(policy, _selected_by(policy, cls, members)) for policy in policies]
    selections = dict.fromkeys(policy.methods for policy in policies if isinstance(policy.methods, RequestMethods))
    initializer = inspect.getattr_static(cls, "__init__")
    if inspect.isfunction(initializer):  # it makes no request, nor does what it calls
        members["__init__"] = initializer
    replacements: dict[str, object] = {}
    for name, member in members.items():
        stack = [policy for policy, names in selected if name in names]
        local = [selection for selection in selections if selection.is_local(name)]
        if stack or local:
            replacements[name] = _guard_method(_own_method(cls, name, member), stack, local, keepers)
    for name, method in replacements.items():
        setattr(cls, name, method)


def _guard_method(
    method: object, stack: Sequence[Policy], local: Sequence[RequestMethods], keepers: Sequence[Keeper]
) -> object:
    """Return *method* guarded by *stack*, and local to the circuits of the selections in *local*."""
    if local:
        method = _local_method(method, local)
    if stack:
        method = guard_function(method, stack, keepers)
    return method


def _refuse_without_methods(cls: type[object], members: Mapping[str, object]) -> None:
    """Raise TypeError for a class whose methods cannot be replaced, or that has none to guard."""
    if cls.__flags__ & _IMMUTABLE:
        raise TypeError(
            f"cannot guard the class {cls.__qualname__}: it is not written in Python, its methods cannot be replaced;"
            " decorate a subclass of it, or guard a method of an object"
        )
    if all(map(makes_context_manager, members.values())):
        raise TypeError(
            f"cannot guard the class {cls.__qualname__}: it has no public methods to guard; guard"
            " functions, or the methods of an object, one by one"
        )


def _selected_by(policy: Policy, cls: type[object], members: Mapping[str, object]) -> Collection[str]:
    """Return the names of those *members* of *cls*, its public methods, that *policy* guards.

    What makes a context manager is guarded only where it is named: a call of it does nothing that could fail. Nor are
    local methods guarded unless they are named, or the policy is for them too. Raises TypeError where a policy selects
    no method, since a decorator without effect is a mistake, and ValueError for a name that the class does not have.
    """
    unnamed = {name for name, member in members.items() if not makes_context_manager(member)}
    if not policy.guards_local_methods:
        unnamed -= LOCAL_METHODS
    selected: Collection[str] = unnamed
    if policy.methods is not None:
        selected = policy.methods.select(members)
        if policy.methods.only is not None:
            return selected
    found = unnamed.intersection(selected)
    if not found:
        raise TypeError(
            f"cannot guard the class {cls.__qualname__} by {policy}: all its public methods are left out"
            f" ({', '.join(members)}); name those to guard, as in only={tuple(members)[:1]!r}"
        )
    return found


# -- methods ---------------------------------------------------------------------------------------------------------


def public_methods(cls: type[object]) -> Iterator[tuple[str, object]]:
    """Yield the name and the plain attribute of each public method of *cls*, inherited ones too."""
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        if not name.startswith("_") and _is_method(member):
            yield name, member


def _is_method(member: object) -> bool:
    """Whether a class attribute is a method: of Python, Cython, mypyc or C, or one made of another method.

    Properties are none, and neither are nested classes and callable objects, since they do not bind.
    """
    if isinstance(member, staticmethod | classmethod | functools.partialmethod | functools.singledispatchmethod):
        return True
    if isinstance(member, functools.partial):  # it has `__get__` from 3.13 on, and did not bind before
        return False
    return callable(member) and hasattr(type(member), "__get__")


def _under_method(member: object) -> object:
    """Return the function that says of a method what kind it is."""
    if isinstance(member, functools.partialmethod | functools.singledispatchmethod):
        return cast("functools.partialmethod[object]", member).func
    return under_descriptor(member)


def _own_method(cls: type[object], name: str, member: object) -> object:
    """Return a method of *cls*: the one in its body, or one that calls what it inherits.

    What is bound to nothing, or is guarded on the base already, stays what it is.
    """
    own = vars(cls).get(name)
    if callable(under_descriptor(own)) and not isinstance(own, ClassMethodDescriptorType):
        return member
    function = _under_method(member)
    if isinstance(member, staticmethod) or guarded(function) is not None:
        return member  # pyright: ignore[reportUnknownVariableType]
    return _forwarding_method(cls, name, member, function)


def _forwarding_method(cls: type[object], name: str, member: object, function: object) -> object:
    """Return a method that calls the one that *cls* inherits, whichever that is for the object at hand.

    ``super(cls, owner)`` finds it, at each call, so that multiple inheritance and later changes of the base count.
    Where *cls* has the method itself, and it is no function (a `functools.partialmethod`, say), it is bound and called.
    The new method has the name, signature and kind of the one it calls, by which it is then decorated like any other.
    """
    own: Any = vars(cls).get(name)
    of_class = isinstance(member, classmethod | ClassMethodDescriptorType)

    def above(owner: object) -> _Method:
        """Return the method that would be found without the guarded one, bound to *owner*, an object or a class."""
        if own is None:
            return cast("_Method", getattr(super(cls, owner), name))
        if of_class:
            return cast("_Method", own.__get__(None, owner))
        return cast("_Method", own.__get__(owner, type(owner)))

    kind = kind_of(function)
    if isinstance(member, functools.singledispatchmethod):
        kind = Kind.PLAIN  # of one of several functions, some of them async
    method = _FORWARDING[kind](above)
    functools.update_wrapper(method, cast("_Method", function))
    if isinstance(member, functools.singledispatchmethod):
        mark_dispatcher(method)
    if isinstance(member, functools.partialmethod):  # not what it fills in: by name and signature another method
        vars(method).clear()
        method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
    if not isinstance(getattr(function, "__module__", None), str):  # of a class written in C
        method.__module__ = getattr(function, "__objclass__", cls).__module__
    return classmethod(method) if of_class else method


def _forward_plain(above: Callable[[object], _Method]) -> _Method:
    def method(self: object, /, *args: object, **kwargs: object) -> object:
        return above(self)(*args, **kwargs)

    return method


def _forward_coroutine(above: Callable[[object], _Method]) -> _Method:
    async def method(self: object, /, *args: object, **kwargs: object) -> object:
        return await above(self)(*args, **kwargs)

    return method


def _forward_generator(above: Callable[[object], _Method]) -> _Method:
    def method(self: object, /, *args: object, **kwargs: object) -> Generator[object, object, object]:
        items: Generator[object, object, object] = above(self)(*args, **kwargs)
        return (yield from items)

    return method


def _forward_async_generator(above: Callable[[object], _Method]) -> _Method:
    async def method(self: object, /, *args: object, **kwargs: object) -> AsyncIterator[object]:
        async with contextlib.aclosing(above(self)(*args, **kwargs)) as items:
            async for item in items:
                yield item

    return method


_FORWARDING = {
    Kind.PLAIN: _forward_plain,
    Kind.COROUTINE: _forward_coroutine,
    Kind.GENERATOR: _forward_generator,
    Kind.ASYNC_GENERATOR: _forward_async_generator,
}
"""By the kind of a method, what makes one of that kind that calls it."""


def _local_method(member: object, selections: Sequence[RequestMethods]) -> object:
    """Return a method that makes no request: the circuits of *selections* are not asked about what it calls.

    While it runs, `circuit_context` has an entry for each of them. A circuit that finds its own entry there admits the
    call and records nothing. A generator function stays as it is: its code runs while its consumer asks for an item,
    and not at the call.
    """
    function = cast("_Method", under_descriptor(member))
    kind = kind_of(function)
    if kind not in _LOCAL:
        return member
    method = _LOCAL[kind](function, selections)
    functools.update_wrapper(method, function)
    if function is member:
        return method
    return type(member)(method)  # type: ignore[call-arg]  # a static or class method


def _local_plain(function: _Method, selections: Sequence[RequestMethods]) -> _Method:
    def method(*args: object, **kwargs: object) -> object:
        with entered(selections):
            return function(*args, **kwargs)

    return method


def _local_coroutine(function: _Method, selections: Sequence[RequestMethods]) -> _Method:
    async def method(*args: object, **kwargs: object) -> object:
        with entered(selections):
            return await function(*args, **kwargs)

    return method


_LOCAL = {Kind.PLAIN: _local_plain, Kind.COROUTINE: _local_coroutine}
"""By the kind of a method, what makes a local one of it."""
