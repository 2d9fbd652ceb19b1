"""What a child has answered, checked: it may be anything, since the code has had its hands on the child."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from resilience.errors._json_safe import Json
from resilience.execution._framing import Message
from resilience.report.captured_exception import Captured
from resilience.report.failure import Violation

__all__ = ["Answer", "NoAnswerError"]


Check: TypeAlias = Callable[[object], object]


class NoAnswerError(ValueError):
    """What the child has sent is no answer."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a program came to, as its process told it."""

    stage: Literal["compile", "run"]
    exit_code: int
    seconds: float
    peak: int | None
    timed_out: bool
    timed_out_at: int | None
    violation: Violation | None
    variables: dict[str, Json]
    value: Json
    exception: Captured | None
    at_memory_limit: bool | None = None
    """Whether the program had all the address space it may have at some time."""

    @classmethod
    def of(cls, message: Message) -> Answer:
        """Return the answer in *message*. Raises `NoAnswerError` for anything that is none."""
        try:
            return cast("Answer", _check(cast("Hashable", cls))(message))
        except (TypeError, KeyError, RecursionError) as error:
            raise NoAnswerError(f"{type(error).__name__}: {error}"[:500]) from None


@functools.cache
def _check(kind: Hashable) -> Check:
    """Return what returns a value as a *kind*, with all texts such that they can be sent on.

    It raises TypeError and KeyError for a value that is none.
    """
    origin: Any = get_origin(kind)
    arguments: tuple[Hashable, ...] = get_args(kind)
    if origin in (Union, UnionType):
        return _check_union(arguments)
    if is_typeddict(kind) or is_dataclass(kind):
        return _check_fields(cast("type", kind))
    if origin in (list, Sequence):
        item = _check(arguments[0])
        return lambda value: [item(each) for each in _an_array(value)]
    if origin is dict:
        item = _check(arguments[1])
        return lambda value: {_clean(key): item(each) for key, each in _an_object(value).items()}
    return _check_plain(_is_in(arguments) if origin is Literal else _is_of(kind), kind)


def _check_fields(kind: type) -> Check:
    checks: dict[str, Check] = {}

    def check(value: object) -> object:
        if not checks:  # not before: a `Captured` may hold a `Captured`
            checks.update((name, _check(of)) for name, of in get_type_hints(kind).items())
        given = _an_object(value)
        return kind(**{name: of(given.get(name)) for name, of in checks.items()})  # None may be left out

    return check


def _check_union(kinds: tuple[object, ...]) -> Check:
    others = [kind for kind in kinds if kind is not NoneType]
    if len(others) > 1:  # the one union of several kinds is what JSON has, and this comes from JSON
        return _clean
    other = _check(others[0])
    return lambda value: None if value is None else other(value)


def _is_in(values: tuple[object, ...]) -> Callable[[object], bool]:
    return lambda value: value in values


def _is_of(kind: object) -> Callable[[object], bool]:
    kinds = (int, float) if kind is float else (kind,)
    return lambda value: type(value) in kinds


def _check_plain(good: Callable[[object], bool], kind: object) -> Check:
    def check(value: object) -> object:
        if not good(value):
            raise TypeError(f"{_shown(value)} where there should be {kind}")
        return _clean(value)

    return check


def _an_object(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value)
    raise TypeError(f"{_shown(value)} where there should be an object")


def _an_array(value: object) -> list[object]:
    if isinstance(value, list):
        return cast("list[object]", value)
    raise TypeError(f"{_shown(value)} where there should be an array")


def _clean(value: object) -> object:
    """Return what JSON has, without lone surrogates, which cannot be sent."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_clean(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in cast("dict[object, object]", value).items()}
    return value


def _shown(value: object) -> str:
    return repr(value)[:80]
