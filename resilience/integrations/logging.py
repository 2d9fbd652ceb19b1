"""Events as log lines, by structlog where the application has configured it, else by the stdlib's `logging`.

`log_events` subscribes a sink that writes lines: the event's dotted name, its fields as keys, and the keys the
application binds. A line holds no argument, no result and no message of an error, since all of them may carry secrets.
The level is what the event's class declares, raised to that of the failure's category where the class says so.

The lines are few enough for an outage. A circuit that opens has one line, and one when it closes, with the number of
calls that it has rejected in between; probes that fail have none. Of a retried call the first retry has a line; the
others, and each failed attempt, are DEBUG. Lines of one kind are limited by the minute.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Literal, TypeAlias, get_args

from resilience._listeners import Subscription, subscribe
from resilience._validation import did_you_mean, optional, parse_count, parse_names, require_bool, require_choice
from resilience.categories import ErrorCategory, Severity
from resilience.errors._error_code import code_of
from resilience.errors._redaction import REDACTED, redact
from resilience.errors.base import ResilienceError
from resilience.events import CallRejected, Event, event_types
from resilience.integrations._log_incidents import Incidents
from resilience.integrations._log_lines import LEVELS, RECORD_ATTRIBUTES, LineRate, LogLine, reason_of
from resilience.profiles import profile_for

__all__ = ["REDACTED", "LogLevel", "code_of", "log_events", "redact", "redact_processor", "severity_of"]

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
"""The least level of the lines that `log_events` writes."""

_DEFAULT_RATE = 10
#: Keys of lines that are no field of an event.
_OWN_KEYS = frozenset({"code", "circuit", "reason", "error_reason", "rejected", "shadowed", "lasted", "suppressed"})


def log_events(
    logger: str = "resilience",
    *,
    level: LogLevel | None = None,
    only: Iterable[str] | None = None,
    rate: int | None = _DEFAULT_RATE,
    text: bool = True,
    bind: Mapping[str, object] | None = None,
) -> Subscription:
    """Log events under their dotted names, with their fields as keys, until undone.

    structlog gets the keys as they are; a stdlib record has them in its text and as attributes (``extra``). The line
    names the function called, and of a failure the category, the error's type, a *reason* such as ``status 503`` and,
    where it has one, its code: never an argument, a result or an error's message.

    Args:
        logger: the name of the logger.
        level: the least level: "info", or with *only* "debug". The level of a line is that of its event, or of the
            failure's category where that is higher (`severity_of`). Single attempts, further retries of a call and the
            calls that an open circuit rejects are "debug".
        only: the events to log, by their names or the first word of them, such as ``("circuit", "retry.exhausted")``.
        rate: the lines per minute of one event, target, policy and category, and one of rejections by a policy; the
            next line says how many were ``suppressed``. None: no limit.
        text: whether a stdlib record has the keys in its text too; False for a formatter that writes ``extra``, such as
            one for JSON.
        bind: keys that each line has, such as the name of the service. A value under a key that looks like a secret's
            is not shown (`redact`).

    Raises TypeError for a *logger* that is no name and a *bind* that is no mapping from names, ValueError for a key
    that a line has already, for a level that there is not and for an event that is not declared.

    >>> with log_events(bind={"service": "shop"}):
    ...     pass  # call what is guarded
    """
    if not isinstance(logger, str):
        raise TypeError(f"logger={logger!r}: give the name of a logger, such as 'resilience'")
    names = optional(_parse_only, "only", only)
    default = "info"
    if names is not None:
        default = "debug"
    least = require_choice("level", level or default, get_args(LogLevel))
    rates = _EventRate(math.inf, math.inf)
    if rate is not None:
        rates = _EventRate(parse_count("rate", rate), 1)
    sink = _LogSink(
        logger,
        least=LEVELS[Severity(least)],
        only=names,
        rate=rates,
        text=require_bool("text", text),
        bound=_parse_bind(bind),
    )
    return subscribe(sink)


def redact_processor(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact a log entry as one of structlog's processors: for keys that the application binds by itself.

    >>> redact_processor(None, "info", {"event": "login", "password": "hunter2"})
    {'event': 'login', 'password': '[redacted]'}
    """
    return redact(line)


def severity_of(event: Event) -> Severity:
    """Return the severity an event is logged at: its own, or that of its category where that is higher.

    A retry and a revision do not escalate: what ends the call is on a line of that severity. An event is DEBUG where
    another one stands for it: an attempt that is retried, and the second retry of a call.

    >>> from resilience.events import AttemptFailed
    >>> category = ErrorCategory.CONFIGURATION
    >>> severity_of(AttemptFailed(target="f", policy="retry", attempt=1, category=category, error=KeyError()))
    <Severity.CRITICAL: 'critical'>
    """
    if event.is_detail:
        return Severity.DEBUG
    category: object = getattr(event, "category", None)
    if not event.escalates or not isinstance(category, ErrorCategory):
        return event.severity
    return max([event.severity, *(profile_for(leaf).severity for leaf in category)], key=LEVELS.__getitem__)


# -- checks of options -------------------------------------------------------------------------------------------------


def _parse_bind(bind: Mapping[str, object] | None) -> Mapping[str, object]:
    """Return what is added to each line. Errors name the keys only: the values may be secret."""
    if bind is None:
        return {}
    if not isinstance(bind, Mapping) or not all(isinstance(key, str) for key in bind):
        raise TypeError(f"bind=a {type(bind).__qualname__}: give a mapping from names to values")
    for key in bind.keys() & (RECORD_ATTRIBUTES | _event_fields()):
        raise ValueError(f"bind={{{key!r}: ...}}: it has a meaning of its own on a log line; give another name")
    return redact(bind)


def _event_fields() -> frozenset[str]:
    """Return the keys that a line of some event has."""
    return _OWN_KEYS.union(field.name for kind in event_types() for field in dataclasses.fields(kind))


def _parse_only(parameter: str, only: Iterable[str]) -> frozenset[str]:
    """Return the names of events, and the first words of such names, that are to be logged."""
    names = frozenset(parse_names(parameter, only))
    known = [kind.name for kind in event_types()]
    known += sorted({name.partition(".")[0] for name in known})
    for name in sorted(names.difference(known)):
        raise ValueError(f"{parameter}={name!r}: no event has that name{did_you_mean(name, known)}")
    return names


# -- the sink ----------------------------------------------------------------------------------------------------------


class _LogSink:
    """The listener that writes the lines. *least* is the least level, *only* names events or the first word of them."""

    def __init__(
        self,
        logger: str,
        *,
        least: int,
        only: frozenset[str] | None,
        rate: _EventRate,
        text: bool,
        bound: Mapping[str, object],
    ) -> None:
        self._logger = logger
        self._least = least
        self._only = only
        self._rate = rate
        self._text = text
        self._bound = bound
        self._incidents = Incidents()

    def __call__(self, event: Event) -> None:
        """Write the line of *event*, if it has one."""
        is_detail, summary = self._incidents.record(event)
        severity = severity_of(event)
        if is_detail:
            severity = Severity.DEBUG
        level = LEVELS[severity]
        if level < self._least or not self._is_chosen(event.name):
            return
        suppressed = self._rate.suppressed(event)
        if suppressed is None:
            return
        if suppressed:
            summary["suppressed"] = suppressed
        fields = {**_fields_of(event), **summary, **self._bound}
        LogLine(level, event.name, fields, self._text_of(event.name, fields)).write(self._logger)

    def _is_chosen(self, name: str) -> bool:
        return self._only is None or not self._only.isdisjoint((name, name.partition(".")[0]))

    def _text_of(self, name: str, fields: Mapping[str, object]) -> str:
        if not self._text:
            return name
        return " ".join([name, *(f"{key}={_as_text(value)}" for key, value in fields.items())])


class _EventRate:
    """Limit of *lines* per minute of each kind of event, target, policy and category.

    Of the calls that a policy rejects, and of each event that follows from that, there are *rejections* lines: calls
    are rejected by the thousand, and all of these lines say the same.
    """

    def __init__(self, lines: float, rejections: float) -> None:
        self._others = LineRate(lines)
        self._rejections = LineRate(rejections)

    def suppressed(self, event: Event) -> int | None:
        """Count the line of *event*; return how many were suppressed since the last one, None to suppress this one."""
        if isinstance(event, CallRejected):
            return self._rejections.suppressed((event.kind, event.policy, event.shadow))
        kind = event.name, event.target, event.policy, getattr(event, "category", None)
        if _follows_rejection(event):
            return self._rejections.suppressed(kind)
        return self._others.suppressed(kind)


def _follows_rejection(event: Event) -> bool:
    """Whether the error of *event* was raised by a policy of this toolkit that has rejected the call."""
    if getattr(event, "category", None) is not ErrorCategory.REJECTED:
        return False
    code = code_of(getattr(event, "error", None)) or ""
    return code.startswith("RES-") and code != ResilienceError.code


def _fields_of(event: Event) -> dict[str, object]:
    """Return the fields of *event*, with the reason and the code of its error."""
    fields = event.fields()
    error: object = getattr(event, "error", None)
    reason, code = reason_of(error), code_of(error)
    if reason is not None:
        fields["error_reason" if "reason" in fields else "reason"] = reason
    if code is not None:
        fields["code"] = code
    return fields


def _as_text(value: object) -> str:
    text = str(value)
    if isinstance(value, float):
        text = f"{value:g}"
    if " " in text:
        return repr(text)
    return text
