"""Put an error together of what an answer has said, without asking the constructor of its class."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from resilience.categories import ErrorCategory
from resilience.errors._families import word_of
from resilience.errors._json_safe import Json
from resilience.errors._pickling import new_uninitialized
from resilience.errors._validation import add_note
from resilience.errors.base import (
    CallTimeoutError,
    DeadlineExceededError,
    ResilienceError,
    RetriesExhaustedError,
    TooManyAbandonedError,
)
from resilience.errors.codes import full_name

__all__ = ["Known", "rebuilt"]

_THERE: Final = "the other side"
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Known:
    """What an answer has said of an error: checked, bounded, without secrets."""

    message: str
    category: ErrorCategory
    code: str | None
    word: str | None
    details: dict[str, Json]
    wait: float | None

    def text(self, name: str, otherwise: str = _THERE) -> str:
        """Return a detail that is a text."""
        found = self.details.get(name)
        return found if isinstance(found, str) and found else otherwise

    def number(self, name: str) -> float | None:
        """Return a detail that is a number."""
        found = self.details.get(name)
        return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def rebuilt(kind: type[ResilienceError], known: Known) -> ResilienceError:
    """Return an error of *kind*, or of its nearest base that can say something without what was not sent.

    >>> known = Known("full", ErrorCategory.CAPACITY, None, None, {}, 2.0)
    >>> error = rebuilt(ResilienceError, known)
    >>> str(error), error.category.label, error.retry_after
    ('full', 'capacity', 2.0)
    """
    for base in kind.__mro__:
        if base is ResilienceError or not issubclass(base, ResilienceError):
            continue
        try:
            error = _of(base, known)
            str(error)  # one whose __str__ needs what was not sent would fail in the log, of all places
            return error
        except Exception:  # noqa: S112 - nothing a stranger says may raise here; the next base knows less
            continue
    return _of(ResilienceError, known)


def _of(kind: type[ResilienceError], known: Known) -> ResilienceError:
    make = _MAKERS.get(full_name(kind))
    if make is not None:
        error = make(known)
        add_note(error, known.message)
    else:
        made = new_uninitialized(kind, (known.message,))
        if not isinstance(made, ResilienceError):
            raise TypeError(f"{kind!r} makes something else")
        error = made
        _fill(error, kind, known)
    # Into the dict: a class may refuse to be set, or answer by a property, which then has its way.
    own = error.__dict__
    if known.details:
        own["details"] = dict(known.details)
    if known.wait is not None:
        own["retry_after"] = known.wait
    if known.category is not kind.category:
        own["category"] = known.category
    if known.code is not None and known.code != kind.code:
        own["code"] = known.code
    return error


def _fill(error: ResilienceError, kind: type[ResilienceError], known: Known) -> None:
    own = error.__dict__
    own["message"] = known.message
    word = word_of(kind)
    if word is not None:
        own["error_code"] = known.word if known.word is not None and _WORD.fullmatch(known.word) else word
    for name, default in _parameters(kind).items():  # type: ignore[arg-type]  # mypy takes a class for one of its instances
        if name in known.details:
            own[name] = known.details[name]
        elif default is not inspect.Parameter.empty:
            own[name] = default


@functools.lru_cache(maxsize=256)
def _parameters(kind: type[ResilienceError]) -> Mapping[str, object]:
    """Return what the constructor takes that is no attribute of the class: it keeps them by these names, as a rule."""
    try:
        found = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        each.name: each.default
        for each in found
        if each.kind in named and not each.name.startswith("_") and not hasattr(kind, each.name)
    }


def _limit(known: Known) -> float:
    found = known.number("limit")
    return math.nan if found is None else found


def _count(known: Known, name: str) -> int:
    found = known.number(name)
    return 0 if found is None else int(found)


def _circuit_open(known: Known) -> ResilienceError:
    from resilience.errors.circuit import CircuitOpenError  # brings pybreaker along

    left = math.inf if known.wait is None else known.wait
    failures, last_error_type = _count(known, "failures"), known.text("last", "") or None
    return CircuitOpenError(known.text("circuit"), left, failures, last_error_type, _category(known, "last_category"))


def _category(known: Known, name: str) -> ErrorCategory | None:
    try:
        return ErrorCategory(known.text(name, ""))
    except ValueError:  # a label of another version
        return None


# Those of the toolkit's own whose text is made of their arguments; what these constructors do is known.
_MAKERS: Final[Mapping[str, Callable[[Known], ResilienceError]]] = {
    "resilience.errors.base.CallTimeoutError": lambda known: CallTimeoutError(known.text("target"), _limit(known)),
    "resilience.errors.base.DeadlineExceededError": lambda known: DeadlineExceededError(
        known.text("target"), known.number("limit")
    ),
    "resilience.errors.base.RetriesExhaustedError": lambda known: RetriesExhaustedError(
        known.text("target"), _count(known, "attempts"), known.text("reason", "attempts"), known.wait
    ),
    "resilience.errors.base.TooManyAbandonedError": lambda known: TooManyAbandonedError(
        known.text("target"), _count(known, "running")
    ),
    "resilience.errors.circuit.CircuitOpenError": _circuit_open,
}
