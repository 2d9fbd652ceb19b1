"""Look at an exception that may fight back: properties that raise, `__getattr__` that invents answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

from resilience.category import ErrorCategory

__all__ = ["Match", "attribute", "chained", "code", "kinds", "name_of", "number", "text"]

_MOST_FOLLOWED = 64  # exceptions looked at in one chain; the deepest real one seen (requests over urllib3) has 9


class Match(NamedTuple):
    """A leaf and, for people, what it was read from."""

    category: ErrorCategory
    why: str


def attribute(thing: object, name: str) -> object:
    """Return an attribute, or None where there is none or asking for it fails."""
    try:
        found: object = getattr(thing, name, None)
    except Exception:  # a property of a foreign class may raise anything
        return None
    return found


def entry(thing: object, key: str) -> object:
    """Return an entry of a mapping, or None where *thing* is no mapping or has no such entry."""
    if not issubclass(type(thing), Mapping):
        return None
    try:
        return cast("Mapping[object, object]", thing).get(key)
    except Exception:  # a foreign mapping may raise anything
        return None


def number(value: object) -> int | None:
    """Return a whole number as an `int`; anything else, True and False too, is None."""
    if issubclass(type(value), int) and type(value) is not bool:
        return int(cast("int", value))
    return None


def code(thing: object, name: str) -> int | None:
    """Return an attribute that is a whole number."""
    return number(attribute(thing, name))


def text(value: object) -> str | None:
    """Return a non-empty `str`; anything else is None."""
    return str(value) if type(value) is str and value else None


def kinds(exc: object) -> tuple[type, ...]:
    """Return the classes of an exception, most derived first; what it claims in `__class__` is not asked."""
    return type(exc).__mro__


def name_of(kind: type) -> tuple[str, str]:
    """Return the top-level module of a class and its qualified name, empty where they are no text."""
    module = text(attribute(kind, "__module__")) or ""
    return module.partition(".")[0], text(attribute(kind, "__qualname__")) or ""


def chained(exc: BaseException) -> list[BaseException]:
    """Return the exceptions *exc* was made of, nearest first: causes, contexts, arguments and wrapped errors."""
    found: list[BaseException] = []
    seen = {id(exc)}
    queue: list[BaseException] = [exc]
    while queue and len(seen) < _MOST_FOLLOWED:
        for part in _parts(queue.pop(0)):
            if issubclass(type(part), BaseException) and id(part) not in seen:
                seen.add(id(part))
                found.append(cast("BaseException", part))
                queue.append(cast("BaseException", part))
    return found


def _parts(exc: BaseException) -> list[object]:
    parts: list[object] = [attribute(exc, "__cause__")]
    if not attribute(exc, "__suppress_context__"):  # `raise ... from None` says: that one has nothing to do with me
        parts.append(attribute(exc, "__context__"))
    # urllib3 and requests keep the error they wrap in args and .reason, aiohttp in .os_error, sqlalchemy in .orig.
    parts += [attribute(exc, "reason"), attribute(exc, "os_error"), attribute(exc, "orig")]
    args = attribute(exc, "args")
    if type(args) is tuple:
        parts += cast("tuple[object, ...]", args)[:_MOST_FOLLOWED]
    return parts
