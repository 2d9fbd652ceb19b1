"""Pickling and copying of exceptions without their constructors.

Python rebuilds an exception by calling its class with `args`. That fails for a class whose constructor takes anything
else, and loses notes, cause and slots. Here an exception is reduced to its parts, an instance is made without
`__init__`, and the parts are put back.

Each value is pickled by itself. One that cannot be pickled (a lock, a socket, the traceback of another error) arrives
as a text that describes it, and keeps no other value from arriving.
"""

from __future__ import annotations

import contextlib
import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, MemberDescriptorType
from typing import Any, Final, TypeAlias

from resilience.errors._validation import add_note

__all__ = ["Parts", "new_uninitialized", "reduce_exception", "restore_exception"]

Parts: TypeAlias = tuple[tuple[object, ...], dict[str, object], dict[str, object], object, bool]
"""Arguments, ``__dict__``, the values of slots, the cause, and whether the context is suppressed."""

_Reduced: TypeAlias = tuple[Callable[..., BaseException], tuple[object, ...], Parts]

_LOST_CAUSE: Final = "its cause could not be pickled: "
_MAX_NESTED = 16  # causes of causes; each is pickled within the one before
_PLAIN = (str, int, float, bool, type(None), bytes)
# Of the base class: a subclass may hide them behind properties, or refuse to set them, as a frozen dataclass does.
_ARGS: Any = vars(BaseException)["args"]
_SUPPRESS_CONTEXT: Any = vars(BaseException)["__suppress_context__"]
_CAUSE: Any = vars(BaseException)["__cause__"]
_MEMBERS: Any = vars(BaseExceptionGroup)["exceptions"]
_MESSAGE: Any = vars(BaseExceptionGroup)["message"]


def new_uninitialized(kind: type[BaseException], args: tuple[object, ...] = ()) -> BaseException:
    """Return an exception of *kind* with *args*; neither its `__init__` nor a `__new__` written in Python is called."""
    base: type = kind
    # `__base__` leads to the class whose layout the instance has, and only that one's `__new__` makes it.
    while not isinstance(vars(base).get("__new__"), BuiltinFunctionType):
        base = base.__base__ or BaseException
    new: Callable[..., BaseException] = vars(base)["__new__"]
    return new(kind, *args)


def reduce_exception(error: BaseException) -> _Reduced:
    """Return what `__reduce__` returns: how to make an instance, with which arguments, and the parts to put back."""
    parts: Parts = (
        tuple(_wrap(value) for value in error.args),
        {name: _wrap(value) for name, value in error.__dict__.items()},
        {name: _wrap(value) for name, value in _slot_values(error)},
        _wrap(_CAUSE.__get__(error)),
        bool(error.__suppress_context__),
    )
    if issubclass(type(error), BaseExceptionGroup):  # only the `__new__` of a group can set its members
        members: tuple[BaseException, ...] = _MEMBERS.__get__(error)
        return _new_group, (type(error), _MESSAGE.__get__(error), [_wrap(member) for member in members]), parts
    return new_uninitialized, (type(error),), parts


def restore_exception(error: BaseException, parts: Parts) -> None:
    """Do what `__setstate__` does: put the *parts* of an exception into a new instance."""
    args, attributes, slots, cause, suppressed = parts
    _ARGS.__set__(error, tuple(_unwrap(value) for value in args))
    error.__dict__.update({name: _unwrap(value) for name, value in attributes.items()})
    members = _slots_of(type(error))
    for name in slots.keys() & members.keys():
        with contextlib.suppress(AttributeError, TypeError):  # one that `__new__` has set and that is read-only
            members[name].__set__(error, _unwrap(slots[name]))
    _restore_cause(error, _unwrap(cause))
    _SUPPRESS_CONTEXT.__set__(error, suppressed)


def _restore_cause(error: BaseException, cause: object) -> None:
    if isinstance(cause, BaseException):
        _CAUSE.__set__(error, cause)
    elif cause is not None:  # the text that stands in for it
        add_note(error, f"{_LOST_CAUSE}{cause}")


def _new_group(kind: type[BaseException], message: str, members: list[object]) -> BaseException:
    return new_uninitialized(kind, (message, [_as_exception(_unwrap(member)) for member in members]))


def _as_exception(member: object) -> BaseException:
    if isinstance(member, BaseException):
        return member
    return Exception(member)  # the text that stands in for it


def _slots_of(kind: type) -> dict[str, MemberDescriptorType]:
    """Return the slots of a class, those of Python's own exceptions among them (`errno`, `filename`)."""
    bases = [base for base in reversed(kind.__mro__) if base is not BaseException]
    attributes = [(name, value) for base in bases for name, value in vars(base).items()]
    return {name: value for name, value in attributes if isinstance(value, MemberDescriptorType)}


def _slot_values(error: BaseException) -> Iterator[tuple[str, object]]:
    for name, member in _slots_of(type(error)).items():
        with contextlib.suppress(AttributeError):  # an empty slot
            value = member.__get__(error, type(error))
            # An empty slot of Python's own exceptions reads as None, but one that is set to None prints as "None".
            if value is not None or member.__objclass__.__module__ != "builtins":
                yield name, value


class _PickleSafe:
    """A value that is pickled by itself, so that one that cannot be does not keep the others from arriving."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __deepcopy__(self, memo: dict[int, Any]) -> _PickleSafe:
        try:
            return _PickleSafe(copy.deepcopy(self.value, memo))
        except Exception:  # a lock, a socket: the copy shares it
            return self

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return _load, (self._dump(), _describe(self.value))

    def _dump(self) -> bytes | None:
        """Return the pickle of the value; None where it has none, or refers to itself."""
        enclosing: list[int] = _pickling.__dict__.setdefault("enclosing", [])
        if id(self.value) in enclosing or len(enclosing) >= _MAX_NESTED:
            return None
        enclosing.append(id(self.value))
        try:
            return pickle.dumps(self.value)
        except Exception:
            return None
        finally:
            enclosing.pop()


_pickling = threading.local()
"""The values that this thread is pickling, each within the one before."""


def _wrap(value: object) -> object:
    if type(value) in _PLAIN:
        return value
    return _PickleSafe(value)


def _unwrap(value: object) -> object:
    if isinstance(value, _PickleSafe):  # copied, not pickled: pickle has replaced it by the value
        return value.value
    return value


def _load(data: bytes | None, description: object) -> object:
    """Return the value of a pickle; its *description* where there is none or it cannot be read."""
    if data is None:
        return description
    try:
        value: object = pickle.loads(data)  # noqa: S301 - part of a pickle that is being loaded already
    except Exception:  # of a class whose constructor takes other arguments than it stores
        return description
    return value


def _describe(value: object) -> object:
    from resilience.errors._json_safe import safe_value  # most errors are never pickled

    return safe_value(value)
