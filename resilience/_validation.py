"""Checks of options: invalid configuration fails where it is written, with parameter, value and what is expected.

Each check takes the name of the parameter and its value, and returns the value in the one form that the toolkit works
with: a duration is a float of seconds. A value of the wrong type raises TypeError, a wrong value of the right type
ValueError. The message is always ``parameter=value: give ...``.
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
    """Return the value as *parse* returns it; None where it is None.

    >>> optional(parse_duration, "max_age", None), optional(parse_duration, "max_age", 60)
    (None, 60.0)
    """
    return None if value is None else parse(parameter, value)


def given_options(**options: V | None) -> dict[str, V]:
    """Return the options that are not None, by name.

    >>> given_options(first_item=5, idle=None)
    {'first_item': 5}
    """
    return {name: value for name, value in options.items() if value is not None}


def require(valid: bool, parameter: str, value: object, expected: str, kind: type[Exception] = ValueError) -> None:
    """Raise *kind* unless *valid*.

    >>> require(False, "attempts", 0, "a whole number of 1 or more")
    Traceback (most recent call last):
    ...
    ValueError: attempts=0: give a whole number of 1 or more
    """
    if not valid:
        raise kind(f"{parameter}={value!r}: give {expected}")


def parse_number(parameter: str, value: object, expected: str, *, least: float, above: bool = False) -> float:
    """Return a finite number of at least *least*, or with *above* greater than it, as a float."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    require(is_number, parameter, value, expected, TypeError)
    try:
        number = float(cast("float", value))
    except OverflowError:  # an int that is longer than any float
        number = math.inf
    require(math.isfinite(number) and number >= least, parameter, value, expected)
    require(number > least or not above, parameter, value, expected)
    return number


def parse_duration(parameter: str, value: object, *, zero: bool = False) -> float:
    """Return a duration in seconds, given as a number or a timedelta: more than 0, or with *zero* 0 or more.

    >>> parse_duration("reset_timeout", timedelta(minutes=1))
    60.0
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    lowest = "more than 0"
    if zero:
        lowest = "0 or more"
    expected = f"seconds (a number or a timedelta) of {lowest}"
    return parse_number(parameter, value, expected, least=0.0, above=not zero)


def parse_count(parameter: str, value: object, *, least: int = 1) -> int:
    """Return a whole number of at least *least*."""
    expected = f"a whole number of {least} or more"
    require(isinstance(value, int) and not isinstance(value, bool), parameter, value, expected, TypeError)
    number = cast("int", value)
    require(number >= least, parameter, value, expected)
    return number


def parse_names(parameter: str, value: object) -> tuple[str, ...]:
    """Return several names as a tuple. A single text is rejected: it would be taken for its letters."""
    expected = "a tuple of names, such as ('close',)"
    given: Any = value
    require(isinstance(given, Iterable) and not isinstance(given, str), parameter, value, expected, TypeError)
    names = tuple(cast("Iterable[object]", given))
    require(all(isinstance(name, str) for name in names), parameter, value, expected, TypeError)
    return cast("tuple[str, ...]", names)


def require_mapping(parameter: str, value: object, expected: str) -> None:
    """Raise TypeError unless *value* is a mapping."""
    require(isinstance(value, Mapping), parameter, value, expected, TypeError)


def require_bool(parameter: str, value: object) -> bool:
    """Return True or False. Raises TypeError for anything else, such as 0 or "no"."""
    require(isinstance(value, bool), parameter, value, "True or False", TypeError)
    return cast("bool", value)


def require_choice(parameter: str, value: object, choices: Iterable[str]) -> str:
    """Return *value* if it is one of *choices*. The error lists them, and names the closest one."""
    known = list(choices)
    expected = f"one of {', '.join(map(repr, known))}"
    require(isinstance(value, str), parameter, value, expected, TypeError)
    choice = cast("str", value)
    if choice not in known:
        raise ValueError(f"{parameter}={value!r}: give {expected}{did_you_mean(choice, known)}")
    return choice


def require_known_names(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError for a keyword argument that *function* does not have.

    The error says what to write for a keyword of another library, else it names the closest one.
    """
    choices = list(known)
    for name in given:
        if name not in choices:
            from resilience._foreign_keywords import advice_on

            advice = advice_on(function, name)
            hint = did_you_mean(name, choices) if advice is None else f"; {advice}"
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return a hint at the one of *known* that is closest to *name*; an empty text where none is close.

    >>> did_you_mean("reset_timout", ["reset_timeout", "window"]), did_you_mean("color", ["window"])
    ("; did you mean 'reset_timeout'?", '')
    """
    import difflib

    return "".join(f"; did you mean {near!r}?" for near in difflib.get_close_matches(name, known, n=1))


def require_callable(parameter: str, value: object, expected: str, *, takes: int) -> Callable[..., Any]:
    """Return *value* if it is a function of *takes* arguments. Raises TypeError otherwise, for a class too."""
    require(callable(value) and not isinstance(value, type), parameter, value, expected, TypeError)
    function = cast("Callable[..., Any]", value)
    try:
        signature = signature_of(function)
    except (TypeError, ValueError):  # a builtin without a signature
        return function
    try:
        signature.bind(*[None] * takes)
    except TypeError:
        raise TypeError(f"{parameter}={value!r}: give {expected}; this one takes {signature}") from None
    return function


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
