"""Checks of options: bad configuration fails where it is written, with parameter, value and what would be right.

Each check takes the name of the parameter and its value, and returns the value in the one form that the toolkit works
with: a duration is a float of seconds. TypeError says that a value is of no use at all, ValueError that another one of
its type is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    import inspect

__all__ = [
    "did_you_mean",
    "given_options",
    "optional",
    "parse_count",
    "parse_duration",
    "parse_names",
    "parse_number",
    "require",
    "require_bool",
    "require_callable",
    "require_choice",
    "require_known_names",
    "require_mapping",
    "signature_of",
]

R = TypeVar("R")
V = TypeVar("V")


def optional(parse: Callable[[str, V], R], parameter: str, value: V | None) -> R | None:
    """Return what *parse* makes of a value that was given; None of one that was not.

    >>> optional(parse_duration, "max_age", None), optional(parse_duration, "max_age", 60)
    (None, 60.0)
    """
    return None if value is None else parse(parameter, value)


def given_options(**options: V | None) -> dict[str, V]:
    """Return the options that were given, by name: those that are not None.

    >>> given_options(first_item=5, idle=None)
    {'first_item': 5}
    """
    return {name: value for name, value in options.items() if value is not None}


def require(good: bool, parameter: str, value: object, right: str, kind: type[Exception] = ValueError) -> None:
    """Raise *kind* unless *good*."""
    if not good:
        raise kind(f"{parameter}={value!r}: give {right}")


def parse_number(parameter: str, value: object, right: str, *, least: float, above: bool = False) -> float:
    """Return a finite number of at least (or *above*) *least*; TypeError or ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{parameter}={value!r}: give {right}")
    try:
        found = float(value)
    except OverflowError:  # an int that is longer than any float
        found = math.inf
    require(math.isfinite(found) and (found > least if above else found >= least), parameter, value, right)
    return found


def parse_duration(parameter: str, value: object, *, zero: bool = False) -> float:
    """Return a duration in seconds, given as a number or a timedelta.

    >>> parse_duration("reset_timeout", timedelta(minutes=1))
    60.0
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    right = "seconds (a number or a timedelta) of " + ("0 or more" if zero else "more than 0")
    return parse_number(parameter, value, right, least=0.0, above=not zero)


def parse_count(parameter: str, value: object, *, least: int = 1) -> int:
    """Return a whole number of at least *least*."""
    right = f"a whole number of {least} or more"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{parameter}={value!r}: give {right}")
    require(value >= least, parameter, value, right)
    return value


def parse_names(parameter: str, value: object) -> tuple[str, ...]:
    """Return several names as a tuple; one text alone is refused, which would be taken for its letters."""
    right = "a tuple of names, such as ('close',)"
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{parameter}={value!r}: give {right}")
    found = tuple(cast("Iterable[object]", value))
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"{parameter}={value!r}: give {right}")
    return cast("tuple[str, ...]", found)


def require_mapping(parameter: str, value: object, right: str) -> None:
    """Refuse what is no mapping."""
    require(isinstance(value, Mapping), parameter, value, right, TypeError)


def require_bool(parameter: str, value: object) -> bool:
    """Return True or False; anything else is refused, as 0 or "no" would be."""
    if not isinstance(value, bool):
        raise TypeError(f"{parameter}={value!r}: give True or False")
    return value


def require_choice(parameter: str, value: object, choices: Iterable[str]) -> str:
    """Return *value* when it is one of *choices*; else say which it may have been meant to be."""
    known = list(choices)
    right = f"one of {', '.join(map(repr, known))}"
    if not isinstance(value, str):
        raise TypeError(f"{parameter}={value!r}: give {right}")
    if value in known:
        return value
    raise ValueError(f"{parameter}={value!r}: give {right}{did_you_mean(value, known)}")


def require_known_names(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse keyword arguments that *function* does not have, with what to write for those of other libraries."""
    choices = list(known)
    for name in given:
        if name not in choices:
            from resilience._foreign_keywords import advice_on

            advice = advice_on(function, name)
            hint = did_you_mean(name, choices) if advice is None else f"; {advice}"
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return a hint at the one of *known* that *name* was probably meant to be; nothing where none is close.

    >>> did_you_mean("reset_timout", ["reset_timeout", "window"]), did_you_mean("color", ["window"])
    ("; did you mean 'reset_timeout'?", '')
    """
    import difflib

    return "".join(f"; did you mean {near!r}?" for near in difflib.get_close_matches(name, known, n=1))


def require_callable(parameter: str, value: object, right: str, *, takes: int) -> Callable[..., Any]:
    """Return *value* when it can be called with *takes* arguments; *right* says what those are."""
    if not callable(value) or isinstance(value, type):
        raise TypeError(f"{parameter}={value!r}: give {right}")
    try:
        signature = signature_of(value)
    except (TypeError, ValueError):  # a builtin that does not say what it takes
        return value
    try:
        signature.bind(*[None] * takes)
    except TypeError:
        raise TypeError(f"{parameter}={value!r}: give {right}; this one takes {signature}") from None
    return value


def signature_of(function: Callable[..., object]) -> inspect.Signature:
    """Return the signature of *function*, with annotations as texts from Python 3.14 on.

    Annotations are evaluated when they are first read there, and may name what is not defined yet. Raises TypeError or
    ValueError where *function* does not say what it takes, as some builtins do not.
    """
    import inspect

    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.STRING)
    return inspect.signature(function)
