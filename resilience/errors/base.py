"""`ResilienceError`, the base class of errors, and the toolkit's own errors of time limits, retries and validation.

A class declares what it is (code, category, severity, user message), an instance what happened (message, details,
wait). Both are checked where they are written. Documents are made in `resilience.errors._serialization`, pickles in
`resilience.errors._pickling`; both are imported when the first one is asked for, since most errors are only raised and
caught.

`CircuitOpenError` is in `resilience.errors.circuit`: it imports pybreaker.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, cast

from resilience._validation import given_options
from resilience.categories import CategoryLike, ErrorCategory, Severity
from resilience.errors._class_defaults import Default, default_severity, default_user_message
from resilience.errors._validation import (
    add_note,
    parse_details,
    parse_leaf,
    parse_severity,
    parse_wait,
    safe_equal,
    safe_message,
)
from resilience.errors.codes import CodeRegistry, parse_code

if TYPE_CHECKING:
    from resilience.errors._json_safe import Json
    from resilience.errors._pickling import Parts

__all__ = [
    "AdaptiveLimitError",
    "BulkheadFullError",
    "CallTimeoutError",
    "DeadlineExceededError",
    "RateLimitedError",
    "ResilienceError",
    "RetriesExhaustedError",
    "ThreadNotStartedError",
    "ThrottledError",
    "TooManyAbandonedError",
    "ValidationFailedError",
]


_PARSERS: Mapping[str, Callable[[Any], object]] = {
    "code": functools.partial(parse_code, "code"),
    "category": parse_leaf,
    "severity": parse_severity,
    "user_message": lambda text: text,
    "details": parse_details,
    "retry_after": parse_wait,
}
"""The check of each attribute that a class or an instance may be given."""


@functools.cache  # on 3.11 an import that was made before still takes 3 us, half of the time a body takes
def _documents() -> tuple[Callable[..., dict[str, Json]], Callable[..., dict[str, Json]]]:
    from resilience.errors._serialization import body_of, problem_of

    return body_of, problem_of


class ResilienceError(Exception):
    """The base class of this toolkit's errors, and of an application's own.

    A class declares with keywords: *code*, a stable identifier for programs (`CodeRegistry`); *category*, by which
    every policy decides; *severity*, unless given that of the category; *user_message*, a sentence for users, unless
    given one for the category that reveals nothing.

    >>> class StockLocked(ResilienceError, code="STOCK-E003", category="conflict"):
    ...     def __init__(self, item: str) -> None:
    ...         super().__init__(f"{item} is being counted", details={"item": item}, retry_after=2)
    >>> StockLocked("lamp").to_dict()
    {'error': 'STOCK-E003', 'message': 'lamp is being counted', 'details': {'item': 'lamp'}, 'retry_after': 2}
    >>> str(StockLocked("lamp")), StockLocked("lamp").severity.value
    ('lamp is being counted', 'warning')

    An instance takes the same keywords where it differs from its class. A subclass may have any constructor: its
    instances can be pickled and copied all the same, with notes and cause. A value that cannot be pickled is replaced
    by a text that describes it.

    Raises TypeError or ValueError for an invalid argument, of an instance and of a class.
    """

    category: ErrorCategory = ErrorCategory.UNKNOWN
    """The kind of failure, by which policies decide."""
    code: str = "RES-E000"
    """The stable code, for programs and tables; not part of the message."""
    retry_after: float | None = None
    """Seconds to wait before the next attempt, where known; 0 means at once."""
    _valid: bool = True  # in the namespace of each class that was accepted; a rejected one may exist for a while
    if TYPE_CHECKING:
        details: dict[str, object]
        """Names and numbers that belong to the failure, for programs."""
        message: str
        """The text of the error; a replacement where its `__str__` fails."""
        error_code: str
        """The identifier in the body of an HTTP answer: the code, unless the error's family has words of its own."""
        severity: Severity
        """The level at which the error is logged."""
        user_message: str
        """A sentence for users."""
    else:
        details = Default(lambda error: dict(error._own_details()), keep=True)
        message = Default(safe_message)
        error_code = Default(lambda error: error.code)
        severity = Default(default_severity)
        user_message = Default(default_user_message)

    def __init_subclass__(
        cls,
        *,
        code: str | None = None,
        category: CategoryLike | None = None,
        severity: Severity | str | None = None,
        user_message: str | None = None,
        **others: object,
    ) -> None:
        """Check what the class declares, by keywords or in its body, and register its code."""
        super().__init_subclass__(**others)
        given = given_options(code=code, category=category, severity=severity, user_message=user_message)
        for name, value in given.items():
            setattr(cls, name, _PARSERS[name](value))
        # In the body of a class an attribute may be a property or a descriptor as well.
        body = vars(cls)
        if isinstance(body.get("category"), str | ErrorCategory):
            cls.category = parse_leaf(body["category"])
        if isinstance(body.get("severity"), str):
            cls.severity = parse_severity(body["severity"])
        if isinstance(body.get("code"), str | int):
            declared = parse_code("code", body["code"])
            CodeRegistry(declared.partition("-")[0]).declare(declared, cls)
        cls._valid = True

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
        super().__init__(*[text for text in (message,) if text != ""])
        # Only what differs from the class is stored on the instance: most errors are never asked for it.
        given = given_options(
            details=details,
            retry_after=retry_after,
            code=code,
            category=category,
            severity=severity,
            user_message=user_message,
        )
        for name, value in given.items():
            setattr(self, name, _PARSERS[name](value))

    def _own_details(self) -> Mapping[str, object]:
        """Return the details of an error that was constructed without any."""
        return {}

    def with_context(self, message: str | None = None, **details: object) -> Self:
        """Add what an outer function knows about this error; return the same object, for ``raise``.

        *message* becomes a note. *details* are added to those the error has and replace none: a detail whose name is
        taken by another value gets a number.

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
                merged[_free_name(name, value, merged)] = value
            self.__dict__["details"] = merged  # a new one: a copy of this error may share the old
        return self

    def to_dict(self, *, full: bool = False) -> dict[str, Json]:
        """Return the body of an HTTP answer: `error`, `message`, `details`, and `retry_after` where there is one.

        *full* adds `code`, `category`, `severity` and `type`, for logs. Never raises. The result is plain JSON whatever
        the details hold: unknown objects are their `repr`; texts are cut at 2000 characters, containers at 50 entries
        and 6 levels. Redacted are values under names such as `password`, `access_token`, `Authorization` and
        `Set-Cookie`, passwords in URLs, credentials after ``Bearer``, and ``password='...'`` in a `repr`. A secret of
        any other form in the message is shown.
        """
        body_of, _ = _documents()
        return body_of(self, full=full)

    def to_problem(
        self, instance: str | None = None, type_base: str | None = None, *, public: bool = False
    ) -> dict[str, Json]:
        """Return a problem as of RFC 9457, with the HTTP status of the category.

        *type_base* and the code make the type; without *type_base* it is ``about:blank``. `detail` is the user message.
        Where message and details are meant for the client of the service, *public* makes `detail` the message and adds
        the details. Never raises.

        >>> problem = ResilienceError("row 7 is locked", category="conflict").to_problem(instance="/orders/7")
        >>> problem["status"], problem["title"], problem["detail"]
        (409, 'Conflict', 'This conflicts with something that has changed meanwhile.')
        """
        _, problem_of = _documents()
        return problem_of(self, instance, type_base, public=public)

    def __reduce__(self) -> tuple[object, ...]:
        from resilience.errors._pickling import reduce_exception

        return reduce_exception(self)

    def __setstate__(self, state: object) -> None:
        from resilience.errors._pickling import restore_exception

        restore_exception(self, cast("Parts", state))


def _free_name(name: str, value: object, taken: Mapping[str, object]) -> str:
    """Return *name*, or with a number the first one under which there is no other value."""
    free, number = name, 1
    while free in taken and not safe_equal(taken[free], value):
        number += 1
        free = f"{name}_{number}"
    return free


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
    """A deadline passed: one of *limit* seconds on this very call, or, where that is None, an inherited one.

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
        if self.limit is None:
            return f"the deadline has passed before {self.target} was over"
        return f"the deadline of {self.limit:g} s has passed before {self.target} was over"


class RetriesExhaustedError(ResilienceError, code="RES-E003", category="attempts_exhausted"):
    """All attempts to call *target* failed. A retry with ``on_exhausted="wrap"`` raises this from the last error.

    *made* is the number of attempts, *reason* the value of the `StopReason` that ended them, *retry_after* the wait
    that the last error asks for, in seconds.

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
        return f"{self.target} failed {_counted(self.made, 'time')}; stopped by {self.reason}"


class TooManyAbandonedError(ResilienceError, code="RES-E004", category="rejected"):
    """A sync call was rejected, because *running* threads still execute calls that exceeded their time limits.

    A thread cannot be stopped, so its caller leaves and abandons it. *scope* says whose threads they are: the
    ``"target"``'s own (`resilience.settings.limit_abandoned_threads_per_target`), or those of all targets of the
    ``"process"`` (`resilience.settings.limit_abandoned_threads`). When a thread ends is not known, so *retry_after* is
    None. *policy* is the policy that rejected the call.

    >>> str(TooManyAbandonedError("shop.search", 64, "target"))  # doctest: +NORMALIZE_WHITESPACE
    'shop.search was not called: 64 calls to it that exceeded their time limits still run in abandoned threads; give
    its client a time limit of its own'
    """

    args: tuple[str, int, str]
    policy: str = "timeout"

    def __init__(self, target: str, running: int, scope: str = "process") -> None:
        self.args = (target, running, scope)
        self.target = target
        self.running = running
        self.scope = scope

    def _own_details(self) -> Mapping[str, object]:
        return {"target": self.target, "running": self.running, "scope": self.scope, "policy": self.policy}

    def __str__(self) -> str:
        calls, advice = _counted(self.running, "call"), "give the clients that hang time limits of their own"
        if self.scope == "target":
            calls, advice = f"{calls} to it", "give its client a time limit of its own"
        running = f"{calls} that exceeded their time limits still run in abandoned threads"
        if self.running == 1:
            running = f"{calls} that exceeded its time limit still runs in an abandoned thread"
        return f"{self.target} was not called: {running}; {advice}"


class ThreadNotStartedError(ResilienceError, code="RES-E007", category="rejected"):
    """A sync call under a time limit was rejected, because the system started no thread for it; *reason* says why.

    The number of threads or the memory of the process or its container is used up, which says nothing about the
    dependency: no circuit counts it. *policy* is the policy that rejected the call. *retry_after* is a second: threads
    that are idle end by then, or other calls do.

    >>> str(ThreadNotStartedError("shop.search", "can't start new thread"))  # doctest: +NORMALIZE_WHITESPACE
    "shop.search was not called: the system started no thread for it (can't start new thread); raise the limit of
    threads or memory of the process, or make fewer calls at a time"
    """

    args: tuple[str, str]
    policy: str = "timeout"
    retry_after: float | None = 1.0

    def __init__(self, target: str, reason: str) -> None:
        self.args = (target, reason)
        self.target = target
        self.reason = reason

    def _own_details(self) -> Mapping[str, object]:
        return {"target": self.target, "reason": self.reason, "policy": self.policy}

    def __str__(self) -> str:
        cause = f"the system started no thread for it ({self.reason})"
        advice = "raise the limit of threads or memory of the process, or make fewer calls at a time"
        return f"{self.target} was not called: {cause}; {advice}"


class BulkheadFullError(ResilienceError, code="RES-E008", category="rejected"):
    """The bulkhead *name* refused a call: *limit* calls are in flight and *queued* wait; *reason* says which rule.

    *retry_after* is when a further call can expect a slot, in seconds, by how long calls have taken of late; None
    before any has ended.

    >>> str(BulkheadFullError("stock", 20, 40, "its queue is full", 0.25))
    "bulkhead 'stock' is full: its queue is full (20 calls in flight, 40 queued); a slot is expected in 0.25 s"
    """

    args: tuple[str, int, int, str, float | None]

    def __init__(self, name: str, limit: int, queued: int, reason: str, retry_after: float | None = None) -> None:
        self.args = (name, limit, queued, reason, retry_after)
        self.name = name
        self.limit = limit
        self.queued = queued
        self.reason = reason
        self.retry_after = retry_after

    def _own_details(self) -> Mapping[str, object]:
        return {"bulkhead": self.name, "limit": self.limit, "queued": self.queued, "reason": self.reason}

    def __str__(self) -> str:
        calls = f"{self.limit} calls in flight, {self.queued} queued"
        if self.limit == 1:
            calls = f"1 call in flight, {self.queued} queued"
        return f"bulkhead {self.name!r} is full: {self.reason} ({calls}){_expected_slot(self.retry_after)}"


class AdaptiveLimitError(ResilienceError, code="RES-E011", category="rejected"):
    """The adaptive limit *name* refused a call: it is at *limit* calls in flight now, and *queued* wait.

    *reason* says which rule, as of a `BulkheadFullError`. *retry_after* is when a further call can expect a slot, in
    seconds, by how long calls have taken of late; None before any has ended.

    >>> str(AdaptiveLimitError("stock", 12, 24, "its queue is full", 0.25))
    "adaptive limit 'stock' is reached: its queue is full (12 calls at a time, 24 queued); a slot is expected in 0.25 s"
    """

    args: tuple[str, int, int, str, float | None]

    def __init__(self, name: str, limit: int, queued: int, reason: str, retry_after: float | None = None) -> None:
        self.args = (name, limit, queued, reason, retry_after)
        self.name = name
        self.limit = limit
        self.queued = queued
        self.reason = reason
        self.retry_after = retry_after

    def _own_details(self) -> Mapping[str, object]:
        return {"adaptive_limit": self.name, "limit": self.limit, "queued": self.queued, "reason": self.reason}

    def __str__(self) -> str:
        calls = f"{self.limit} calls at a time, {self.queued} queued"
        if self.limit == 1:
            calls = f"1 call at a time, {self.queued} queued"
        return f"adaptive limit {self.name!r} is reached: {self.reason} ({calls}){_expected_slot(self.retry_after)}"


class RateLimitedError(
    ResilienceError,
    code="RES-E009",
    category="rejected",
    user_message="There were too many requests. Please wait a moment, then try again.",
):
    """The rate limit *name*, of *rate* such as ``"500/min"``, refused a call that takes *cost* of it.

    *retry_after* is when the call's turn would come, in seconds; None where that is not known.

    >>> str(RateLimitedError("openai", "500/min", 1, 0.25))
    "rate limit 'openai' of 500/min refused the call: its turn is in 0.25 s"
    """

    args: tuple[str, str, float, float | None]

    def __init__(self, name: str, rate: str, cost: float = 1, retry_after: float | None = None) -> None:
        self.args = (name, rate, cost, retry_after)
        self.name = name
        self.rate = rate
        self.cost = cost
        self.retry_after = retry_after

    def _own_details(self) -> Mapping[str, object]:
        return {"rate_limit": self.name, "rate": self.rate, "cost": self.cost}

    def __str__(self) -> str:
        call = "the call"
        if self.cost != 1:
            call = f"a call that costs {self.cost:g}"
        turn = "its turn would come too late"
        if self.retry_after is not None:
            turn = f"its turn is in {self.retry_after:.3g} s"
        return f"rate limit {self.name!r} of {self.rate} refused {call}: {turn}"


class ThrottledError(ResilienceError, code="RES-E010", category="rejected"):
    """The throttle *name* rejected a call, as it does with the share *share* of them, from 0 to 1.

    The dependency accepts too few of the calls that are made. *retry_after* is the time in seconds until one is made
    whatever chance says.

    >>> str(ThrottledError("payments", 0.4, 0.8))
    "throttle 'payments' rejects 40% of the calls: too few of those that are made are accepted; a call is made in 0.8 s"
    """

    args: tuple[str, float, float]

    def __init__(self, name: str, share: float, retry_after: float) -> None:
        self.args = (name, share, retry_after)
        self.name = name
        self.share = share
        self.retry_after: float | None = retry_after

    def _own_details(self) -> Mapping[str, object]:
        return {"throttle": self.name, "share": self.share}

    def __str__(self) -> str:
        cause = "too few of those that are made are accepted"
        rejected = f"throttle {self.name!r} rejects {self.share:.0%} of the calls"
        return f"{rejected}: {cause}; a call is made in {self.args[2]:.3g} s"


def _expected_slot(retry_after: float | None) -> str:
    """Return when a slot is expected, as the end of a message; nothing where that is not known."""
    if retry_after is None:
        return ""
    return f"; a slot is expected in {retry_after:.3g} s"


_MAX_FIELDS_SHOWN = 10


class ValidationFailedError(ResilienceError, ValueError, code="RES-E006", category="validation"):
    """Validation found *errors*, each a mapping with ``field`` and ``message``; `ErrorCollector` raises it.

    The text of this error names the fields and repeats no message, since messages may quote input. `details` has the
    whole list.

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
        text = f"validation failed with {_counted(len(self.errors), 'error')}"
        fields = list(dict.fromkeys(field for each in self.errors if (field := each.get("field"))))
        if fields:
            text = f"{text}: {', '.join(fields[:_MAX_FIELDS_SHOWN])}"
        if len(fields) > _MAX_FIELDS_SHOWN:
            text = f"{text} and {len(fields) - _MAX_FIELDS_SHOWN} more"
        return text


def _counted(number: int, noun: str) -> str:
    """Return a number with its noun in the singular or the plural."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}s"
