"""Decoder of a worker's result. It checks every field: the program runs in the worker, so the result is untrusted.

The checks are made from the annotations of `WorkerResult` and of the types it refers to, once for each type. So a field
that is added there is checked without another line here. A value of another type is rejected, never converted: a bool
is no int, and a subclass cannot come out of JSON. Texts lose lone surrogates, which no socket, file or terminal takes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from resilience.errors._json_safe import Json
from resilience.execution._framing import Message, require_str
from resilience.report.captured_exception import Captured
from resilience.report.failure import Violation

__all__ = ["InvalidResultError", "WorkerResult"]


_VALUES = ("value", "variables")
Check: TypeAlias = Callable[[object], object]


class InvalidResultError(ValueError):
    """The worker's message is not a valid result."""


@dataclass(slots=True, kw_only=True)
class WorkerResult:
    """Result of a program, as its worker sent it. Fields with a default may be left out.

    >>> message = {"stage": "run", "exit_code": 0, "seconds": 0.1, "timed_out": False, "variables": {}, "value": 2}
    >>> WorkerResult.of(message).value
    2
    >>> WorkerResult.of({**message, "exit_code": "0"})
    Traceback (most recent call last):
    ...
    resilience.execution._result_decoder.InvalidResultError: TypeError: '0' instead of <class 'int'>
    """

    stage: Literal["compile", "run"]
    exit_code: int
    seconds: float
    timed_out: bool
    variables: dict[str, Json]
    value: Json = None
    peak: int | None = None
    timed_out_at: int | None = None
    violation: Violation | None = None
    exception: Captured | None = None
    at_memory_limit: bool | None = None
    """Whether the program reached its memory limit at some time."""
    names: list[str] | None = None
    """Names that a session has defined so far."""
    notes: list[str] | None = None
    """Values that are not whole, and why."""

    @classmethod
    def of(cls, message: Message) -> WorkerResult:
        """Return the result in *message*. Raises `InvalidResultError` if a field is missing or of another type."""
        try:
            if "special" in message:
                special = json.loads(require_str(message["special"]))
                message = {**message, **{name: special[name] for name in _VALUES if name in special}}
            return cast("WorkerResult", _check(cast("Hashable", cls))(message))
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            raise InvalidResultError(f"{type(error).__name__}: {error}"[:500]) from None


@functools.cache
def _check(kind: Hashable) -> Check:
    """Return a function that checks that a value is a *kind* and returns it with lone surrogates replaced.

    The function raises TypeError and KeyError for any other value.
    """
    origin: Any = get_origin(kind)
    arguments: tuple[Hashable, ...] = get_args(kind)
    if origin in (Union, UnionType):
        return _check_union(arguments)
    if is_dataclass(kind):
        return _check_fields_given(cast("type", kind))
    if is_typeddict(kind):
        return _check_all_fields(cast("type", kind))
    if origin in (list, Sequence):
        item = _check(arguments[0])
        return lambda value: [item(each) for each in _require_array(value)]
    if origin is dict:
        item = _check(arguments[1])
        return lambda value: {_clean(key): item(each) for key, each in _require_object(value).items()}
    if origin is Literal:
        return _check_literal(arguments)
    return _check_type(kind)


def _check_fields_given(kind: type) -> Check:
    """Check the fields of a dataclass that are there; its constructor rejects an object without the required ones."""
    checks = {name: _check(of) for name, of in get_type_hints(kind).items()}

    def check(value: object) -> object:
        given = _require_object(value)
        return kind(**{name: checks[name](each) for name, each in given.items() if name in checks})

    return check


def _check_all_fields(kind: type) -> Check:
    """Check a typed dict: each of its fields is there, or may be None."""
    checks: dict[str, Check] = {}

    def check(value: object) -> object:
        if not checks:  # resolved late: a `Captured` may contain a `Captured`
            checks.update((name, _check(of)) for name, of in get_type_hints(kind).items())
        given = _require_object(value)
        return kind(**{name: of(given.get(name)) for name, of in checks.items()})  # None may be left out

    return check


def _check_union(kinds: tuple[object, ...]) -> Check:
    """Check a type that may be None, or any JSON."""
    others = [kind for kind in kinds if kind is not NoneType]
    if len(others) > 1:  # the only such union is Json, and the value was decoded from JSON
        return _clean
    other = _check(others[0])
    return lambda value: None if value is None else other(value)


def _check_literal(values: tuple[object, ...]) -> Check:
    def check(value: object) -> object:
        if value not in values:
            raise TypeError(f"{_short_repr(value)} instead of one of {values}")
        return value

    return check


def _check_type(kind: object) -> Check:
    kinds = (int, float) if kind is float else (kind,)

    def check(value: object) -> object:
        if type(value) not in kinds:
            raise TypeError(f"{_short_repr(value)} instead of {kind}")
        if kind is str:
            return _clean(value)
        return value

    return check


def _require_object(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value)
    raise TypeError(f"{_short_repr(value)} where there should be an object")


def _require_array(value: object) -> list[object]:
    if isinstance(value, list):
        return cast("list[object]", value)
    raise TypeError(f"{_short_repr(value)} where there should be an array")


def _clean(value: object) -> object:
    """Return what JSON has, without lone surrogates, which cannot be sent."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_clean(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in cast("dict[object, object]", value).items()}
    return value


def _short_repr(value: object) -> str:
    return repr(value)[:80]
