"""Static views of classes and objects: they run no code of the object.

``getattr``, ``isinstance`` and ``value.__class__`` may run a property, a ``__getattr__`` or a metaclass of the program,
which may raise, lie or not end. The functions here ask the slots of CPython's own types instead. All that looks at
objects of a failed program goes through them; only where a slot cannot answer, other modules call code, under a limit
of steps.

It runs in the worker process of an execution as well, so it imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeGuard, TypeVar

    T = TypeVar("T")

__all__ = [
    "class_attribute",
    "class_of",
    "exception_slot",
    "instance_attributes",
    "is_instance",
    "module_of",
    "mro_of",
    "name_of",
]

# Asked of the slots themselves: a class or a metaclass may have a `__name__` or an `__mro__` of its own.
_name_slot: Any = vars(type)["__name__"]
_mro_slot: Any = vars(type)["__mro__"]
_dict_slot: Any = vars(type)["__dict__"]


def class_of(value: object) -> Any:
    """Return the class of an object. A value's `__class__` may say otherwise, and so may `isinstance`."""
    return type(value)


def name_of(kind: type[Any]) -> str:
    """Return the name of a class, whatever its metaclass makes of it.

    >>> name_of(int)
    'int'
    """
    name: str = _name_slot.__get__(kind)
    return name


def module_of(kind: type[Any]) -> str:
    """Return the module that a class says it was made in.

    ``?`` where the program has put something other than a text there.
    """
    module = _dict_slot.__get__(kind).get("__module__", "builtins")
    if type(module) is not str:
        return "?"
    return module


def mro_of(kind: type[Any]) -> tuple[type[Any], ...]:
    """Return the classes that instances of *kind* are instances of, itself first."""
    bases: tuple[type[Any], ...] = _mro_slot.__get__(kind)
    return bases


def class_attribute(kind: type[Any], name: str) -> Any:
    """Return the attribute of a class as it stands in its `__dict__` or that of a base; None where there is none.

    The attribute is not bound: of a property or a method the descriptor itself is returned, and not called.

    >>> class_attribute(bool, "real") is vars(int)["real"], class_attribute(bool, "no") is None
    (True, True)
    """
    for base in mro_of(kind):
        members = _dict_slot.__get__(base)
        if name in members:
            return members[name]
    return None


def exception_slot(exc: BaseException, kind: type[BaseException], name: str) -> Any:
    """Return what an exception holds in a slot of *kind*: a subclass may have put code of its own before it.

    *kind* is the class that defines the slot: ``args`` is a slot of `BaseException`, ``name`` one of `NameError`.
    """
    return _dict_slot.__get__(kind)[name].__get__(exc)


def instance_attributes(value: object) -> dict[str, Any]:
    """Return what an object keeps in its slots and its `__dict__`.

    Properties and attributes of the class are not among them. A slot that has no value yet is left out.

    >>> class Point:
    ...     def __init__(self): self.x = 1
    ...     @property
    ...     def y(self): raise RuntimeError
    >>> instance_attributes(Point())
    {'x': 1}
    """
    kind = type(value)
    found: dict[str, Any] = {}
    for base in reversed(mro_of(kind)):
        for name, member in list(_dict_slot.__get__(base).items()):
            if type(member) is _SLOT and name != "__dict__":
                try:
                    found[name] = member.__get__(value, kind)
                except AttributeError:
                    continue  # nothing in it yet
    holder = class_attribute(kind, "__dict__")
    if type(holder) in (_GETSET, _SLOT):
        found.update(holder.__get__(value, kind))
    return found


class _Slotted:
    __slots__ = ("one",)


class _Plain:
    pass


_SLOT = class_of(vars(_Slotted)["one"])
_GETSET = class_of(vars(_Plain)["__dict__"])


def is_instance(exc: object, kind: type[T]) -> TypeGuard[T]:
    """Whether *exc* is of a *kind*, by its type: `isinstance` asks its ``__class__`` too, which may be a property.

    An object whose ``__class__`` claims to be an exception does not have its slots, and reading them would fail.
    """
    return issubclass(type(exc), kind)
