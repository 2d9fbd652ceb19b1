"""The base of errors, the toolkit's and an application's own, and the toolkit's of time limits and retries."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Self, cast

from resilience.categories import CategoryLike, ErrorCategory, Severity
from resilience.errors._class_defaults import Default, sentence_for, severity_of
from resilience.errors._validation import a_leaf, a_severity, a_wait, add_note, alike, safe_message
from resilience.errors.codes import CodeRegistry, a_code

if TYPE_CHECKING:
    from resilience.errors._json_safe import Json
    from resilience.errors._pickling import Parts

__all__ = [
    "CallTimeoutError",
    "DeadlineExceededError",
    "ResilienceError",
    "RetriesExhaustedError",
    "TooManyAbandonedError",
    "ValidationFailedError",
]


@functools.cache  # on 3.11 an import that has been made long ago still takes 3 us, which is half of a body
def _documents() -> tuple[Callable[..., dict[str, Json]], Callable[..., dict[str, Json]]]:
    from resilience.errors._serialization import body_of, problem_of

    return body_of, problem_of


class ResilienceError(Exception):
    """The base of this toolkit's errors, and of an application's own.

    What a kind of error is, it declares with its class: *code*, a stable word for programs (`CodeRegistry`);
    *category*, by which every policy decides; *severity*, else that of the category; *user_message*, which
    may be shown to users, else a sentence for the category that gives nothing away.

    >>> class StockLocked(ResilienceError, code="STOCK-E003", category="conflict"):
    ...     def __init__(self, item: str) -> None:
    ...         super().__init__(f"{item} is being counted", details={"item": item}, retry_after=2)
    >>> StockLocked("lamp").to_dict()
    {'error': 'STOCK-E003', 'message': 'lamp is being counted', 'details': {'item': 'lamp'}, 'retry_after': 2}
    >>> str(StockLocked("lamp")), StockLocked("lamp").severity.value
    ('lamp is being counted', 'warning')

    An instance may differ from its class by the keywords of the same name. A subclass may have any constructor: it can
    be pickled and copied all the same, with its notes and its cause. What cannot be pickled arrives as a text.
    """

    category: ErrorCategory = ErrorCategory.UNKNOWN
    """What kind of failure this is."""
    code: str = "RES-E000"
    """The stable code, for programs and tables; no part of the message."""
    retry_after: float | None = None
    """Seconds to wait before the next try, where that is known; 0 means at once."""
    _made: bool = True  # in the body of each class that was not refused; one that was may live on for a while
    if TYPE_CHECKING:
        details: dict[str, object]
        """What belongs to the failure, for programs: names and numbers."""
        message: str
        """What the error says, also where its `__str__` fails."""
        error_code: str
        """The word in the body of an answer: the code, unless a family has words of its own."""
        severity: Severity
        """How loud it is reported."""
        user_message: str
        """What may be said to a user."""
    else:
        details = Default(lambda error: dict(error._own_details()), kept=True)
        message = Default(safe_message)
        error_code = Default(lambda error: error.code)
        severity = Default(severity_of)
        user_message = Default(sentence_for)

    def __init_subclass__(
        cls,
        *,
        code: str | None = None,
        category: CategoryLike | None = None,
        severity: Severity | str | None = None,
        user_message: str | None = None,
        **others: object,
    ) -> None:
        """Check what the class declares, and give it its code."""
        super().__init_subclass__(**others)
        if code is not None:
            cls.code = code
        if category is not None:
            cls.category = a_leaf(category)
        if severity is not None:
            cls.severity = a_severity(severity)
        if user_message is not None:
            cls.user_message = user_message
        body = vars(cls)
        if isinstance(body.get("category"), str | ErrorCategory):  # not where it is a property
            cls.category = a_leaf(body["category"])
        if isinstance(body.get("severity"), str):
            cls.severity = a_severity(body["severity"])
        declared = body.get("code")
        if isinstance(declared, str | int):
            prefix = a_code("code", declared).partition("-")[0]
            CodeRegistry(prefix).declare(str(declared), cls)
        cls._made = True

    def __init__(
        self,
        message: str = "",
        *,
        details: Mapping[str, object] | None = None,
        retry_after: float | timedelta | None = None,
        code: str | None = None,
        category: CategoryLike | None = None,
        severity: Severity | str | None = None,
        user_message: str | None = None,
    ) -> None:
        super().__init__(*((message,) if message != "" else ()))
        # Nothing is put on the instance that is not its own: most errors are never asked.
        if details is not None:
            if not isinstance(details, Mapping):
                raise TypeError(f"details={details!r}: give a dict, such as {{'item': 'lamp'}}")
            self.details = dict(details)
        if retry_after is not None:
            self.retry_after = a_wait(retry_after)
        if code is not None:
            self.code = a_code("code", code)
        if category is not None:
            self.category = a_leaf(category)
        if severity is not None:
            self.severity = a_severity(severity)
        if user_message is not None:
            self.user_message = user_message

    def _own_details(self) -> Mapping[str, object]:
        """Return the details of an error that was given none."""
        return {}

    def with_context(self, message: str | None = None, **details: object) -> Self:
        """Say more about this error, where more is known; return the same object, to ``raise`` it on.

        The message becomes a note. Nothing the error has is replaced: a detail whose name is taken by another value
        gets a number.

        >>> error = ResilienceError("no price", details={"item": "lamp"})
        >>> error.with_context("while the basket was priced", basket=7, item="shade").details
        {'item': 'lamp', 'basket': 7, 'item_2': 'shade'}
        >>> error.__notes__
        ['while the basket was priced']
        """
        if message is not None:
            add_note(self, message)
        if details:
            merged = dict(self.details)
            for name, value in details.items():
                free, number = name, 1
                while free in merged and not alike(merged[free], value):
                    number += 1
                    free = f"{name}_{number}"
                merged[free] = value
            self.__dict__["details"] = merged  # a new one: a copy of this error may share the old
        return self

    def to_dict(self, *, full: bool = False) -> dict[str, Json]:
        """Return the body of an answer: `error`, `message`, `details`, and `retry_after` where there is one.

        *full* adds `code`, `category`, `severity` and `type`, for logs. Never raises, and JSON takes the result
        whatever the details hold: they are cut where they are long or deep, and what looks secret is left out.
        """
        body_of, _ = _documents()
        return body_of(self, full=full)

    def to_problem(
        self, instance: str | None = None, type_base: str | None = None, *, public: bool = False
    ) -> dict[str, Json]:
        """Return a problem as of RFC 9457, with the HTTP status of the category.

        *type_base* and the code make the type; without, it is ``about:blank``. `detail` is the user message. Where
        what the error says is meant for whoever asked, *public* puts the message there and adds the details.

        >>> problem = ResilienceError("row 7 is locked", category="conflict").to_problem(instance="/orders/7")
        >>> problem["status"], problem["title"], problem["detail"]
        (409, 'Conflict', 'This conflicts with something that has changed meanwhile.')
        """
        _, problem_of = _documents()
        return problem_of(self, instance, type_base, public=public)

    def __reduce__(self) -> tuple[object, ...]:
        from resilience.errors._pickling import apart

        return apart(self)

    def __setstate__(self, state: object) -> None:
        from resilience.errors._pickling import together

        together(self, cast("Parts", state))


CodeRegistry("RES").declare("RES-E000", ResilienceError)


class CallTimeoutError(ResilienceError, TimeoutError, code="RES-E001", category="timeout"):
    """A call took longer than its time limit.

    >>> str(CallTimeoutError("shop.search", 2.0))
    'shop.search took longer than 2 s'
    """

    args: tuple[str, float]

    def __init__(self, target: str, limit: float) -> None:
        self.args = (target, limit)
        self.target = target
        self.limit = limit

    def _own_details(self) -> Mapping[str, object]:
        return {"target": self.target, "limit": self.limit}

    def __str__(self) -> str:
        return f"{self.target} took longer than {self.limit:g} s"


class DeadlineExceededError(ResilienceError, TimeoutError, code="RES-E002", category="timeout"):
    """A deadline passed: of *limit* seconds around this very call, or, without, one it inherited.

    >>> str(DeadlineExceededError("shop.search"))
    'the deadline has passed before shop.search was over'
    """

    args: tuple[str, float | None]

    def __init__(self, target: str, limit: float | None = None) -> None:
        self.args = (target, limit)
        self.target = target
        self.limit = limit

    def _own_details(self) -> Mapping[str, object]:
        return {"target": self.target, "limit": self.limit}

    def __str__(self) -> str:
        of = "" if self.limit is None else f" of {self.limit:g} s"
        return f"the deadline{of} has passed before {self.target} was over"


class RetriesExhaustedError(ResilienceError, code="RES-E003", category="attempts_exhausted"):
    """All attempts at *target* have failed, and ``on_exhausted="wrap"`` asked for this. Its cause is the last error.

    *made* is how many there were, *reason* what ended them, as in a `StopReason`, *retry_after* what the last error
    asks for.

    >>> str(RetriesExhaustedError("shop.search", 3, "attempts"))
    'shop.search failed 3 times; stopped by attempts'
    """

    args: tuple[str, int, str, float | None]

    def __init__(self, target: str, made: int, reason: str, retry_after: float | None = None) -> None:
        self.args = (target, made, reason, retry_after)
        self.target = target
        self.made = made
        self.reason = reason
        self.retry_after = retry_after

    def _own_details(self) -> Mapping[str, object]:
        return {"target": self.target, "attempts": self.made, "reason": self.reason}

    def __str__(self) -> str:
        times = "1 time" if self.made == 1 else f"{self.made} times"
        return f"{self.target} failed {times}; stopped by {self.reason}"


class TooManyAbandonedError(ResilienceError, code="RES-E004", category="rejected"):
    """A sync call was not made: too many *running* calls, whose callers have left, still hold a thread each.

    >>> str(TooManyAbandonedError("shop.search", 64))
    'shop.search was not called: 64 calls that took too long are still running in threads nobody waits for'
    """

    args: tuple[str, int]

    def __init__(self, target: str, running: int) -> None:
        self.args = (target, running)
        self.target = target
        self.running = running

    def _own_details(self) -> Mapping[str, object]:
        return {"target": self.target, "running": self.running}

    def __str__(self) -> str:
        if self.running == 1:
            hangs = "1 call that took too long is still running in a thread nobody waits for"
        else:
            hangs = f"{self.running} calls that took too long are still running in threads nobody waits for"
        return f"{self.target} was not called: {hangs}"


_MAX_FIELDS_SHOWN = 10


class ValidationFailedError(ResilienceError, ValueError, code="RES-E006", category="validation"):
    """Validation found *errors*, each a mapping with ``field`` and ``message``; `ErrorCollector` raises it.

    The text names the fields and repeats no message: messages may quote input. The whole list is in `details`.

    >>> error = ValidationFailedError([{"field": "age", "message": "must be positive"}])
    >>> str(error)
    'validation failed with 1 error: age'
    >>> error.details
    {'errors': [{'field': 'age', 'message': 'must be positive'}]}
    """

    args: tuple[list[dict[str, str]]]

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        self.errors: list[dict[str, str]] = [dict(each) for each in errors]
        self.args = (self.errors,)

    def _own_details(self) -> Mapping[str, object]:
        return {"errors": self.errors}

    def __str__(self) -> str:
        number = len(self.errors)
        fields = list(dict.fromkeys(field for each in self.errors if (field := each.get("field"))))
        shown = ", ".join(fields[:_MAX_FIELDS_SHOWN])
        more = f" and {len(fields) - _MAX_FIELDS_SHOWN} more" if len(fields) > _MAX_FIELDS_SHOWN else ""
        return f"validation failed with {number} error{'' if number == 1 else 's'}{shown and f': {shown}'}{more}"
