"""The public API as text: ``uv run python -m tests.public_api`` writes `tests/public_api.txt`.

A module is public when no part of its path begins with an underscore, a name when its module lists it in ``__all__``,
and a member of a class when it has no underscore and the class, or a private base of it, defines it. `resilience.cli`
counts as one module, for its commands are its interface; the tables of client libraries are data.

The text has a block for each module and a line for each name: its kind, its signature, for a class its members. A name
that is defined in another public module is a line that points there. `test_public_api` fails where the text and the
package differ, so that a change of the API is a diff that a reviewer reads.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import pathlib
import pkgutil
import re
import typing
from collections.abc import Iterator
from types import ModuleType

import resilience

__all__ = ["SNAPSHOT", "canonical_names", "identity", "main", "public_modules", "snapshot"]

SNAPSHOT = pathlib.Path(__file__).with_name("public_api.txt")
#: Packages whose modules are no interface of their own.
CLOSED = ("resilience.cli", "resilience.classification.clients")
#: Special methods that say how an object is used.
_USES = ("__call__", "__enter__", "__aenter__", "__iter__", "__aiter__", "__or__", "__and__", "__add__", "__getitem__")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_TYPE_VARIABLE_SIGN = re.compile(r"(?<![\w~])~(?=\w)")


def public_modules() -> Iterator[ModuleType]:
    """Import each public module, in the order of their names."""
    yield resilience
    for found in sorted(pkgutil.walk_packages(resilience.__path__, "resilience."), key=lambda found: found.name):
        private = any(part.startswith("_") for part in found.name.split("."))
        if not private and not found.name.startswith(tuple(f"{package}." for package in CLOSED)):
            yield importlib.import_module(found.name)


def identity(value: object) -> object:
    """Return what tells objects apart: the `id`, but of an alias of `Literal` its items.

    typing may return one object for equal aliases of two modules, or another after so many others were made.
    """
    return value if typing.get_origin(value) is typing.Literal else id(value)


def canonical_names() -> dict[object, str]:
    """Map each public object, by its `identity`, to the shortest path that it can be imported by.

    Texts and numbers are left out: the same object may be several constants.
    """
    found: dict[object, str] = {}
    for module in sorted(public_modules(), key=lambda module: (module.__name__.count("."), module.__name__)):
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if not isinstance(value, str | int | float | None):
                found.setdefault(identity(value), f"{module.__name__}.{name}")
    return found


def snapshot() -> str:
    """Describe the public API, a line for each name."""
    canonical = canonical_names()
    lines: list[str] = []
    for module in public_modules():
        lines += ["", module.__name__]
        for name in sorted(getattr(module, "__all__", ())):
            value = getattr(module, name)
            path = f"{module.__name__}.{name}"
            home = canonical.get(identity(value), path)
            lines += (
                [f"    {name}: see {home}"] if home != path else [f"    {line}" for line in _described(name, value)]
            )
    return "\n".join(lines).lstrip("\n") + "\n"


def _described(name: str, value: object) -> Iterator[str]:
    if inspect.isclass(value):
        bases = [base.__name__ for base in value.__bases__ if base is not object]
        yield f"class {name}({', '.join(bases)})"
        for line in _members(value):
            yield f"    {line}"
    elif inspect.isroutine(value):
        yield f"{_prefix(value)}def {name}{_signature(value)}"
    elif inspect.ismodule(value):
        yield f"module {name}"
    elif typing.get_origin(value) is not None or isinstance(value, typing.TypeVar):
        yield f"type {name} = {_TYPE_VARIABLE_SIGN.sub('', repr(value))}"
    else:
        yield f"{name}: {type(value).__name__}"


def _members(kind: type) -> Iterator[str]:
    """Describe what *kind* offers: enum members, fields, then what it and its private bases define."""
    members: dict[str, enum.Enum] = dict(kind.__members__) if issubclass(kind, enum.Enum) else {}
    yield from (f"{name} = {member.value!r}" for name, member in members.items())
    if not members:
        yield f"__init__{_signature(kind)}"
    fields = {field.name: field.type for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
    yield from sorted(f"field {name}: {_Annotation(of)}" for name, of in fields.items() if not name.startswith("_"))
    for name, value in sorted(_own(kind).items()):
        if name in fields or name in members or (name.startswith("_") and name not in _USES):
            continue
        bare = getattr(value, "__func__", value)
        if isinstance(value, property):
            yield f"property {name}: {_Annotation(inspect.signature(value.fget).return_annotation)}"
        elif not callable(bare):
            yield f"attribute {name}"
        else:
            how = {classmethod: "@classmethod ", staticmethod: "@staticmethod "}.get(type(value), "")
            yield f"{how}{_prefix(bare)}def {name}{_signature(bare)}"


def _own(kind: type) -> dict[str, object]:
    """The attributes that *kind* has of itself and of its private bases; a public base lists its own."""
    found: dict[str, object] = {}
    for base in reversed(kind.__mro__):
        ours = base.__module__.startswith("resilience")
        private = any(part.startswith("_") for part in f"{base.__module__}.{base.__name__}".split("."))
        if base is kind or (ours and private):
            found |= vars(base)
    return found


def _prefix(function: object) -> str:
    return "async " if inspect.iscoroutinefunction(function) else ""


class _Annotation:
    """An annotation that a signature shows as it stands in the source, with or without postponed evaluation."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        if isinstance(self.value, typing.ForwardRef):
            return self.value.__forward_arg__
        text = self.value if isinstance(self.value, str) else inspect.formatannotation(self.value)
        return _TYPE_VARIABLE_SIGN.sub("", text)


def _signature(function: object) -> str:
    if inspect.isbuiltin(function):  # some interpreters know it, others don't
        return "(...)"
    try:
        found = inspect.signature(function)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # none is known
        return "(...)"
    parameters = [parameter.replace(annotation=_shown(parameter.annotation)) for parameter in found.parameters.values()]
    return _ADDRESS.sub(
        "", str(found.replace(parameters=parameters, return_annotation=_shown(found.return_annotation)))
    )


def _shown(annotation: object) -> object:
    return annotation if annotation is inspect.Parameter.empty else _Annotation(annotation)


def main() -> None:
    """Write the snapshot anew."""
    SNAPSHOT.write_text(snapshot(), "utf-8")


if __name__ == "__main__":
    main()
