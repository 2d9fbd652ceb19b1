"""Construction of exceptions from the fields of an error response, without their constructors.

A server names the class, but its constructor is not called with what the server sent: it may do anything, and take
arguments that were not sent. The instance is made uninitialized, and the fields become its attributes. Only classes
of the toolkit, whose constructors are known, are called.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from resilience._validation import signature_of
from resilience.categories import ErrorCategory
from resilience.errors._families import word_of
from resilience.errors._json_safe import Json
from resilience.errors._pickling import new_uninitialized
from resilience.errors._validation import add_note
from resilience.errors.base import (
    AdaptiveLimitError,
    BulkheadFullError,
    CallTimeoutError,
    DeadlineExceededError,
    RateLimitedError,
    ResilienceError,
    RetriesExhaustedError,
    ThreadNotStartedError,
    ThrottledError,
    TooManyAbandonedError,
)
from resilience.errors.codes import full_name

__all__ = ["ErrorFields", "build_exception"]

_UNNAMED: Final = "the server"
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class ErrorFields:
    """The fields of an error that a response has: checked, bounded and without secrets."""

    message: str
    category: ErrorCategory
    code: str | None
    word: str | None
    details: dict[str, Json]
    wait: float | None

    def text(self, name: str, default: str = _UNNAMED) -> str:
        """Return a detail that is a text; *default* where it is none."""
        detail = self.details.get(name)
        if isinstance(detail, str) and detail:
            return detail
        return default

    def number(self, name: str) -> float | None:
        """Return a detail that is a number; None where it is none."""
        detail = self.details.get(name)
        if isinstance(detail, int | float) and not isinstance(detail, bool):
            return detail
        return None

    def count(self, name: str) -> int:
        """Return a detail that is a number, as a whole one; 0 where it is none."""
        return int(self.number(name) or 0)

    def leaf(self, name: str) -> ErrorCategory | None:
        """Return a detail that is the label of a category; None for any other."""
        try:
            return ErrorCategory(self.text(name, ""))
        except ValueError:  # a label of another version
            return None


def build_exception(kind: type[ResilienceError], fields: ErrorFields) -> ResilienceError:
    """Return an error of *kind*, or of its nearest base class whose text can be made of *fields*. Never raises.

    >>> fields = ErrorFields("full", ErrorCategory.CAPACITY, None, None, {}, 2.0)
    >>> error = build_exception(ResilienceError, fields)
    >>> str(error), error.category.label, error.retry_after
    ('full', 'capacity', 2.0)
    """
    for base in kind.__mro__:
        if issubclass(base, ResilienceError) and base is not ResilienceError:
            try:
                error = _build(base, fields)
                str(error)  # one whose __str__ needs a field that was not sent would fail where it is logged
            except Exception:  # noqa: S112 - of a class of the application; its base needs less
                continue
            return error
    return _build(ResilienceError, fields)


def _build(kind: type[ResilienceError], fields: ErrorFields) -> ResilienceError:
    """Return an error of *kind* with the attributes of *fields*. May raise what its class does."""
    construct = _CONSTRUCTORS.get(full_name(kind), functools.partial(_build_uninitialized, kind))
    error = construct(fields)
    # Into the dict: a class may refuse to be set, or answer by a property, which then decides.
    error.__dict__.update(_own_attributes(kind, fields))
    return error


def _own_attributes(kind: type[ResilienceError], fields: ErrorFields) -> dict[str, object]:
    """Return the attributes in which an error differs from its class."""
    attributes: dict[str, object] = {}
    if fields.details:
        attributes["details"] = dict(fields.details)
    if fields.wait is not None:
        attributes["retry_after"] = fields.wait
    if fields.category is not kind.category:
        attributes["category"] = fields.category
    if fields.code is not None and fields.code != kind.code:
        attributes["code"] = fields.code
    return attributes


def _build_uninitialized(kind: type[ResilienceError], fields: ErrorFields) -> ResilienceError:
    """Return an error whose constructor was not called.

    It has the message, the identifier of its family, and the details that its constructor has as parameters; of the
    other parameters the defaults.
    """
    error = new_uninitialized(kind, (fields.message,))
    if not isinstance(error, ResilienceError):
        raise TypeError(f"{kind!r} makes something else")
    attributes = error.__dict__
    attributes["message"] = fields.message
    word = word_of(kind)
    if word is not None:
        attributes["error_code"] = word
    if word is not None and fields.word is not None and _WORD.fullmatch(fields.word):
        attributes["error_code"] = fields.word
    parameters = _parameters(kind)  # type: ignore[arg-type]  # mypy takes a class for one of its instances
    for name, default in parameters.items():
        if name in fields.details or default is not inspect.Parameter.empty:
            attributes[name] = fields.details.get(name, default)
    return error


@functools.lru_cache(maxsize=256)
def _parameters(kind: type[ResilienceError]) -> Mapping[str, object]:
    """Return the constructor's parameters that are no attributes of the class, with their defaults.

    A constructor stores them as attributes of the same names, as a rule.
    """
    try:
        parameters = signature_of(kind).parameters.values()
    except (TypeError, ValueError):
        return {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    own = [each for each in parameters if each.kind in named and not each.name.startswith("_")]
    return {each.name: each.default for each in own if not hasattr(kind, each.name)}


def _noted(construct: Callable[[ErrorFields], ResilienceError]) -> Callable[[ErrorFields], ResilienceError]:
    """Add the server's message as a note: the text of the error is made of its arguments."""

    def constructed(fields: ErrorFields) -> ResilienceError:
        error = construct(fields)
        add_note(error, fields.message)
        return error

    return constructed


def _call_timeout(fields: ErrorFields) -> ResilienceError:
    limit = fields.number("limit")
    if limit is None:
        limit = math.nan
    return CallTimeoutError(fields.text("target"), limit)


def _deadline_exceeded(fields: ErrorFields) -> ResilienceError:
    return DeadlineExceededError(fields.text("target"), fields.number("limit"))


def _retries_exhausted(fields: ErrorFields) -> ResilienceError:
    attempts, reason = fields.count("attempts"), fields.text("reason", "attempts")
    return RetriesExhaustedError(fields.text("target"), attempts, reason, fields.wait)


def _too_many_abandoned(fields: ErrorFields) -> ResilienceError:
    return TooManyAbandonedError(fields.text("target"), fields.count("running"), fields.text("scope", "process"))


def _thread_not_started(fields: ErrorFields) -> ResilienceError:
    return ThreadNotStartedError(fields.text("target"), fields.text("reason"))


def _bulkhead_full(fields: ErrorFields) -> ResilienceError:
    name, limit, queued = fields.text("bulkhead"), fields.count("limit"), fields.count("queued")
    return BulkheadFullError(name, limit, queued, fields.text("reason"), fields.wait)


def _adaptive_limit(fields: ErrorFields) -> ResilienceError:
    name, limit, queued = fields.text("adaptive_limit"), fields.count("limit"), fields.count("queued")
    return AdaptiveLimitError(name, limit, queued, fields.text("reason"), fields.wait)


def _rate_limited(fields: ErrorFields) -> ResilienceError:
    cost = fields.number("cost")
    if cost is None:
        cost = 1
    return RateLimitedError(fields.text("rate_limit"), fields.text("rate", "a rate"), cost, fields.wait)


def _throttled(fields: ErrorFields) -> ResilienceError:
    return ThrottledError(fields.text("throttle"), fields.number("share") or 0.0, fields.wait or 0.0)


def _circuit_open(fields: ErrorFields) -> ResilienceError:
    from resilience.errors.circuit import CircuitOpenError  # imports pybreaker

    wait = fields.wait
    if wait is None:
        wait = math.inf
    last_error_type = fields.text("last", "") or None
    return CircuitOpenError(
        fields.text("circuit"),
        wait,
        fields.count("failures"),
        last_error_type,
        fields.leaf("last_category"),
        shed=fields.number("shed") or 0.0,
    )


_CONSTRUCTORS: Final[Mapping[str, Callable[[ErrorFields], ResilienceError]]] = {
    "resilience.errors.base.CallTimeoutError": _noted(_call_timeout),
    "resilience.errors.base.DeadlineExceededError": _noted(_deadline_exceeded),
    "resilience.errors.base.RetriesExhaustedError": _noted(_retries_exhausted),
    "resilience.errors.base.ThreadNotStartedError": _noted(_thread_not_started),
    "resilience.errors.base.TooManyAbandonedError": _noted(_too_many_abandoned),
    "resilience.errors.base.BulkheadFullError": _noted(_bulkhead_full),
    "resilience.errors.base.AdaptiveLimitError": _noted(_adaptive_limit),
    "resilience.errors.base.RateLimitedError": _noted(_rate_limited),
    "resilience.errors.base.ThrottledError": _noted(_throttled),
    "resilience.errors.circuit.CircuitOpenError": _noted(_circuit_open),
}
"""The toolkit's classes whose text is made of their arguments, by name: the last one is imported only when needed."""
