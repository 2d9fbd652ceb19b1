"""Check everything, and raise once: what is wrong, all of it, by field."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from resilience._safe_access import safe_getattr
from resilience._validation import require
from resilience.errors._validation import safe_message

__all__ = ["ErrorCollector", "FieldError"]

_MAX_NOTED = 10  # errors spelled out in a note


@dataclasses.dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong: with which *field*, what, and the *error* it was caught as, if it was."""

    field: str
    message: str
    error: Exception | None = dataclasses.field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, str]:
        """Return this as JSON takes it.

        >>> FieldError("age", "must be positive").to_dict()
        {'field': 'age', 'message': 'must be positive'}
        """
        return {"field": self.field, "message": self.message}

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


Raises = Callable[[list[dict[str, str]]], Exception]


class ErrorCollector:
    """Collect what is wrong in a ``with`` block, and raise one error for all of it at the end.

    That is a `ValidationFailedError`, whose details hold ``{"errors": [{"field", "message"}]}``; or what *raises*, an
    exception class or a function, makes of this list. Exceptions that were caught are its cause, as an ExceptionGroup.
    An exception that leaves the block by itself goes first: it carries what was collected as a note.

    >>> order = {"amount": -1, "city": ""}
    >>> with ErrorCollector(raises=ValueError) as errors:
    ...     errors.check(order["amount"] > 0, "amount", "must be positive")
    ...     with errors.catching("address"):
    ...         if not order["city"]:
    ...             raise LookupError("no such city")
    Traceback (most recent call last):
    ...
    ValueError: [{'field': 'amount', 'message': 'must be positive'}, {'field': 'address', 'message': 'no such city'}]

    Without a block, `raise_if_any` does what its end does.
    """

    __slots__ = ("_collected", "_entered", "_raises")

    def __init__(self, *, raises: Raises | type[Exception] | None = None) -> None:
        if raises is not None:
            right = "an exception class, or a function, that takes the list of errors"
            require(callable(raises), "raises", raises, right, TypeError)
            if isinstance(raises, type):
                require(issubclass(raises, Exception), "raises", raises, right, TypeError)
        self._raises = raises
        self._collected: list[FieldError] = []
        self._entered = False

    @property
    def errors(self) -> Sequence[FieldError]:
        """What was collected so far, in order."""
        return tuple(self._collected)

    def add(self, field: str, message: str | Exception) -> None:
        """Say what is wrong with *field*, "" for the whole. An exception says it by its own message.

        One that holds errors of its own, as that of another collector does, adds those, each under
        ``field.its_field``.
        """
        require(isinstance(field, str), "field", field, "the field's name as text", TypeError)
        if isinstance(message, Exception):
            self._collected += _nested_errors(field, message)
        else:
            require(isinstance(message, str), "message", message, "what is wrong, as text or an exception", TypeError)
            self._collected.append(FieldError(field, message))

    def check(self, condition: object, field: str, message: str) -> bool:
        """Add an error unless *condition* holds; return whether it does."""
        if condition:
            return True
        self.add(field, message)
        return False

    def catching(self, field: str = "", *kinds: type[Exception]) -> contextlib.AbstractContextManager[None]:
        """Return a block whose exceptions, of any kind or those of *kinds*, end there and are collected under *field*.

        >>> errors = ErrorCollector()
        >>> with errors.catching("age", ValueError):
        ...     int("eleven")
        >>> print(errors.errors[0])
        age: invalid literal for int() with base 10: 'eleven'
        """
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                raise TypeError(f"catching({field!r}, {kind!r}): give exception classes, such as ValueError")
        return _Capture(self, field, kinds or (Exception,))

    def raise_if_any(self) -> None:
        """Raise one error for all that was collected, if anything was."""
        if not self._collected:
            return
        error = self._made()
        caught = [each.error for each in self._collected if each.error is not None]
        distinct = list({id(each): each for each in caught}.values())  # one exception may have told of many fields
        if distinct:
            raise error from ExceptionGroup("what was collected", distinct)
        raise error

    def _made(self) -> Exception:
        entries = [each.to_dict() for each in self._collected]
        if self._raises is None:
            return _validation_failed(entries)
        made = cast("Any", self._raises)(entries)
        require(isinstance(made, Exception), "raises", self._raises, "what returns an exception", TypeError)
        return cast("Exception", made)

    def __enter__(self) -> ErrorCollector:
        if self._entered:
            raise RuntimeError("an ErrorCollector is good for one block; make another one")
        self._entered = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.raise_if_any()
        elif isinstance(error, Exception) and self._collected:
            with contextlib.suppress(Exception):  # notes of the user's own making must not hide the error
                error.add_note(f"collected before this: {self}")

    def __len__(self) -> int:
        return len(self._collected)

    def __bool__(self) -> bool:
        return bool(self._collected)

    def __iter__(self) -> Iterator[FieldError]:
        return iter(self.errors)

    def __str__(self) -> str:
        shown = [str(each) for each in self._collected[:_MAX_NOTED]]
        left = len(self._collected) - len(shown)
        return "; ".join([*shown, f"and {left} more"] if left else shown) or "nothing"

    def __repr__(self) -> str:
        return f"<ErrorCollector: {len(self._collected)} collected>"  # not what: it may quote what somebody typed


class _Capture(contextlib.AbstractContextManager[None]):
    """A block whose exceptions are collected."""

    __slots__ = ("_collector", "_field", "_kinds")

    def __init__(self, collector: ErrorCollector, field: str, kinds: tuple[type[Exception], ...]) -> None:
        self._collector = collector
        self._field = field
        self._kinds = kinds

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, self._kinds):
            return False
        self._collector.add(self._field, error)
        return True


def _nested_errors(field: str, error: Exception) -> list[FieldError]:
    """Return what *error* says is wrong with *field*, or with fields within it."""
    details = safe_getattr(error, "details")
    known: Mapping[str, object] = cast("Any", details) if isinstance(details, Mapping) else {}
    found: list[FieldError] = []
    inside = known.get("errors")
    for each in cast("list[object]", inside) if isinstance(inside, list | tuple) else []:
        if isinstance(each, Mapping):
            entry = cast("Mapping[str, object]", each)
            found.append(FieldError(_joined(field, entry.get("field")), str(entry.get("message", "")), error))
    if found:
        return found
    message = safe_getattr(error, "message")
    text = message if isinstance(message, str) else safe_message(error) or type(error).__name__
    return [FieldError(_joined(field, known.get("field")), text, error)]


def _joined(field: str, inner: object) -> str:
    return ".".join(part for part in (field, inner) if isinstance(part, str) and part)


def _validation_failed(entries: list[dict[str, str]]) -> Exception:
    from resilience.errors import ValidationFailedError

    return ValidationFailedError(entries)
