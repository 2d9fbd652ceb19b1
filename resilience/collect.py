"""Collection of validation errors: check all fields, and raise one error that names everything wrong.

An `ErrorCollector` is a block for one input. Checks in it add errors by field in place of raising at the first one; its
end raises one exception for all of them. It belongs to one task or thread, and is good for one block.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from resilience._safe_access import safe_getattr, safe_item
from resilience._validation import require
from resilience.errors._validation import safe_message

__all__ = ["ErrorCollector", "FieldError"]

_MAX_NOTED = 10  # errors spelled out in a note


@dataclasses.dataclass(frozen=True, slots=True)
class FieldError:
    """One error of a *field*: its *message*, and the exception it was caught as, if any."""

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
        if self.field:
            return f"{self.field}: {self.message}"
        return self.message


Raises = Callable[[list[dict[str, str]]], Exception]


class ErrorCollector:
    """Collect errors in a ``with`` block, and raise one exception for all of them at its end.

    The exception is a `ValidationFailedError`, whose details are ``{"errors": [{"field", "message"}]}``; or that which
    *raises*, an exception class or a function, makes of this list. Its cause is an ExceptionGroup of the caught
    exceptions. Another exception that leaves the block is raised instead, with the collected errors as a note.

    >>> order = {"amount": -1, "city": ""}
    >>> with ErrorCollector(raises=ValueError) as errors:
    ...     errors.check(order["amount"] > 0, "amount", "must be positive")
    ...     with errors.catching("address"):
    ...         if not order["city"]:
    ...             raise LookupError("no such city")
    Traceback (most recent call last):
    ...
    ValueError: [{'field': 'amount', 'message': 'must be positive'}, {'field': 'address', 'message': 'no such city'}]

    Without a block, call `raise_if_any`. Raises TypeError for invalid arguments.
    """

    __slots__ = ("_collected", "_entered", "_raises")

    def __init__(self, *, raises: Raises | type[Exception] | None = None) -> None:
        if raises is not None:
            expected = "an exception class, or a function, that takes the list of errors"
            require(callable(raises), "raises", raises, expected, TypeError)
            if isinstance(raises, type):
                require(issubclass(raises, Exception), "raises", raises, expected, TypeError)
        self._raises = raises
        self._collected: list[FieldError] = []
        self._entered = False

    @property
    def errors(self) -> Sequence[FieldError]:
        """The errors collected so far, in order."""
        return tuple(self._collected)

    def add(self, field: str, message: str | Exception) -> None:
        """Add an error of *field*, "" for the input as a whole; an exception adds its own message.

        An exception that holds errors of its own, as that of another collector, adds each of them under
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
        """Return a block whose exceptions, all or those of *kinds*, are suppressed and collected under *field*.

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
        """Raise one exception for all collected errors; do nothing where there are none."""
        if not self._collected:
            return
        error = self._exception()
        caught = [each.error for each in self._collected if each.error is not None]
        distinct = list({id(each): each for each in caught}.values())  # one exception may hold errors of many fields
        if distinct:
            raise error from ExceptionGroup("what was collected", distinct)
        raise error

    def _exception(self) -> Exception:
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
            with contextlib.suppress(Exception):  # an `add_note` of the application must not hide the error
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
        if left:
            shown.append(f"and {left} more")
        return "; ".join(shown) or "nothing"

    def __repr__(self) -> str:
        return f"<ErrorCollector: {len(self._collected)} collected>"  # no messages: they may quote input


class _Capture(contextlib.AbstractContextManager[None]):
    """The block that `ErrorCollector.catching` returns."""

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
    """Return the errors that *error* holds of fields within *field*; where it holds none, its message as one error."""
    details = safe_getattr(error, "details")
    entries = safe_item(details, "errors")
    if isinstance(entries, list | tuple):
        found = [_entry(field, entry, error) for entry in map(_as_mapping, cast("Sequence[object]", entries)) if entry]
        if found:
            return found
    message = safe_getattr(error, "message")
    if not isinstance(message, str):
        message = safe_message(error) or type(error).__name__
    return [FieldError(_joined(field, safe_item(details, "field")), message, error)]


def _as_mapping(entry: object) -> Mapping[str, object]:
    """Return an entry of a list of errors; an empty mapping for one that is none."""
    if isinstance(entry, Mapping):
        return cast("Mapping[str, object]", entry)
    return {}


def _entry(field: str, entry: Mapping[str, object], error: Exception) -> FieldError:
    return FieldError(_joined(field, entry.get("field")), str(entry.get("message", "")), error)


def _joined(field: str, inner: object) -> str:
    return ".".join(part for part in (field, inner) if isinstance(part, str) and part)


def _validation_failed(entries: list[dict[str, str]]) -> Exception:
    from resilience.errors import ValidationFailedError

    return ValidationFailedError(entries)
