"""Take an exception apart and put it together again, whatever its constructor asks for: for pickle and copy."""

from __future__ import annotations

import contextlib
import copy
import pickle
import threading
from collections.abc import Callable
from types import BuiltinFunctionType, MemberDescriptorType
from typing import Any, Final

from resilience.errors._validation import add_note

__all__ = ["Parts", "apart", "blank", "together"]

Parts = tuple[tuple[object, ...], dict[str, object], dict[str, object], object, bool]
"""Arguments, ``__dict__``, what stands in slots, the cause, and whether the context is suppressed."""

_LOST: Final = "its cause stayed behind: "
_MOST_NESTED = 16  # causes of causes; each is pickled within the one before
_PLAIN = (str, int, float, bool, type(None), bytes)
# Of the base class: a subclass may hide them behind properties, or refuse to set them, as a frozen dataclass does.
_ARGS: Any = vars(BaseException)["args"]
_QUIET: Any = vars(BaseException)["__suppress_context__"]
_CAUSE: Any = vars(BaseException)["__cause__"]
_MEMBERS: Any = vars(BaseExceptionGroup)["exceptions"]
_MESSAGE: Any = vars(BaseExceptionGroup)["message"]


def blank(kind: type[BaseException], args: tuple[object, ...] = ()) -> BaseException:
    """Return an exception of *kind* whose constructor, or `__new__`, has not been asked."""
    base: type = kind
    # `__base__` leads to the class whose layout the instance has, and only that one's `__new__` makes it.
    while not isinstance(vars(base).get("__new__"), BuiltinFunctionType):
        base = base.__base__ or BaseException
    new: Callable[..., BaseException] = vars(base)["__new__"]
    return new(kind, *args)


def _blank_group(kind: type[BaseException], message: str, members: list[object]) -> BaseException:
    found = [_arrived(each) for each in members]
    return blank(kind, (message, [each if isinstance(each, BaseException) else Exception(each) for each in found]))


def apart(error: BaseException) -> tuple[Callable[..., BaseException], tuple[object, ...], Parts]:
    """Return what `__reduce__` has to."""
    hung: dict[str, object] = error.__dict__
    parts: Parts = (
        tuple(_carried(value) for value in error.args),
        {name: _carried(value) for name, value in hung.items()},
        {name: _carried(value) for name, value in _slots_of(error).items()},
        _carried(_CAUSE.__get__(error)),
        bool(error.__suppress_context__),
    )
    if issubclass(type(error), BaseExceptionGroup):  # holds its members where only its `__new__` puts them
        members: tuple[BaseException, ...] = _MEMBERS.__get__(error)
        return _blank_group, (type(error), _MESSAGE.__get__(error), [_carried(each) for each in members]), parts
    return blank, (type(error),), parts


def together(error: BaseException, parts: Parts) -> None:
    """Do what `__setstate__` has to."""
    args, hung, slots, cause, suppressed = parts
    _ARGS.__set__(error, tuple(_arrived(value) for value in args))
    error.__dict__.update({name: _arrived(value) for name, value in hung.items()})
    for name, value in slots.items():
        member = _members(type(error)).get(name)
        with contextlib.suppress(AttributeError, TypeError):  # one that is made by `__new__` and cannot be set
            if member is not None:
                member.__set__(error, _arrived(value))
    found = _arrived(cause)
    if isinstance(found, BaseException):
        _CAUSE.__set__(error, found)
    elif found is not None:
        add_note(error, f"{_LOST}{found}")
    _QUIET.__set__(error, suppressed)


def _members(kind: type) -> dict[str, MemberDescriptorType]:
    """Return the slots of a class, those of Python's own exceptions among them (`errno`, `filename`)."""
    return {
        name: member
        for base in reversed(kind.__mro__)
        if base is not BaseException
        for name, member in vars(base).items()
        if isinstance(member, MemberDescriptorType)
    }


def _slots_of(error: BaseException) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, member in _members(type(error)).items():
        with contextlib.suppress(AttributeError):  # a slot that nothing was put in
            value = member.__get__(error, type(error))
            # Python's own read as None where nothing was put in, and say so once None has been put there.
            if value is not None or member.__objclass__.__module__ != "builtins":
                found[name] = value
    return found


class _Carried:
    """A value on its way: pickled by itself, so that one that cannot be does not keep the others from arriving."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __deepcopy__(self, memo: dict[int, Any]) -> _Carried:
        try:
            return _Carried(copy.deepcopy(self.value, memo))
        except Exception:  # a lock, a socket: the copy has the same one
            return self

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        travelling: list[int] = _here.__dict__.setdefault("travelling", [])
        data: bytes | None = None
        if id(self.value) not in travelling and len(travelling) < _MOST_NESTED:
            travelling.append(id(self.value))
            try:
                data = pickle.dumps(self.value)
            except Exception:  # it arrives as what can be said of it
                data = None
            finally:
                travelling.pop()
        return _unpacked, (data, _stand_in(self.value))


_here = threading.local()


def _carried(value: object) -> object:
    return value if type(value) in _PLAIN else _Carried(value)


def _arrived(value: object) -> object:
    return value.value if isinstance(value, _Carried) else value


def _unpacked(data: bytes | None, stand_in: object) -> object:
    if data is None:
        return stand_in
    try:
        found: object = pickle.loads(data)  # noqa: S301 - out of a pickle that is being read already
    except Exception:  # one of those whose constructor wants other arguments than it keeps
        return stand_in
    return found


def _stand_in(value: object) -> object:
    from resilience.errors._json_safe import safe_value  # here, so that errors that stay at home do not import it

    return safe_value(value)
