"""Events as log lines, by structlog where the application has configured it, else by the stdlib's `logging`.

`log_events` subscribes a sink that writes one line for each event: the event's dotted name, its fields as keys, and the
keys the application binds. A line holds no argument, no result and no message of an error, since all of them may carry
secrets. The level is what the event's class declares, raised to that of the failure's category where the class says so.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

from resilience._listeners import Subscription, subscribe
from resilience.categories import ErrorCategory, Severity
from resilience.errors._error_code import code_of
from resilience.errors._redaction import REDACTED, redact
from resilience.events import Event, event_types
from resilience.profiles import profile_for

__all__ = ["REDACTED", "code_of", "log_events", "redact", "redact_processor", "severity_of"]

_LEVELS = {
    Severity.DEBUG: logging.DEBUG,
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}
# A record has these attributes already, or its formatter sets them.
_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "event"}


def log_events(logger: str = "resilience", *, bind: Mapping[str, object] | None = None) -> Subscription:
    """Log every event under its dotted name, with its fields as keys, until undone.

    structlog gets the keys as they are; a stdlib record has them in its text and as attributes (``extra``). What was
    called is named, how it failed is a category, an error's type and, where it has one, its code: never an argument, a
    result or an error's message. The level is the event's, or that of the failure's category where that is higher
    (`severity_of`).

    What *bind* holds is on every line, such as the name of the service. A value under a key that looks like a
    secret's is not shown (`redact`).

    Raises TypeError for a *logger* that is no name and a *bind* that is no mapping from names, ValueError for a key
    that every line has already.

    >>> with log_events(bind={"service": "shop"}):
    ...     pass  # call what is guarded
    """
    if not isinstance(logger, str):
        raise TypeError(f"logger={logger!r}: give the name of a logger, such as 'resilience'")
    return subscribe(_LogSink(logger, _bound(bind)))


def redact_processor(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact a log entry as one of structlog's processors: for keys that the application binds by itself.

    >>> redact_processor(None, "info", {"event": "login", "password": "hunter2"})
    {'event': 'login', 'password': '[redacted]'}
    """
    return redact(line)


def _bound(bind: Mapping[str, object] | None) -> Mapping[str, object]:
    """Return what is added to each line. Errors name the keys only: the values may be secret."""
    if bind is None:
        return {}
    if not isinstance(bind, Mapping) or not all(isinstance(key, str) for key in bind):
        raise TypeError(f"bind=a {type(bind).__qualname__}: give a mapping from names to values")
    for key in bind.keys() & (_RECORD_ATTRIBUTES | _event_fields()):
        raise ValueError(f"bind={{{key!r}: ...}}: it has a meaning of its own on a log line; give another name")
    return redact(bind)


def _event_fields() -> frozenset[str]:
    """Return the keys that a line of some event has."""
    return frozenset(field.name for kind in event_types() for field in dataclasses.fields(kind)) | {"code"}


def severity_of(event: Event) -> Severity:
    """Return the severity an event is logged at: its own, or that of its category where that is higher.

    A retry and a revision do not escalate: the failed attempt before them is on a line of that severity already.

    >>> from resilience.events import AttemptFailed
    >>> category = ErrorCategory.CONFIGURATION
    >>> severity_of(AttemptFailed(target="f", policy="retry", attempt=1, category=category, error=KeyError()))
    <Severity.CRITICAL: 'critical'>
    """
    category: object = getattr(event, "category", None)
    if not event.escalates or not isinstance(category, ErrorCategory):
        return event.severity
    return max([event.severity, *(profile_for(leaf).severity for leaf in category)], key=_LEVELS.__getitem__)


class _LogSink:
    """The listener that writes the lines.

    It asks for structlog at each event, since applications configure it late. An unconfigured structlog prints to
    stdout, and one that has not been imported is not configured.
    """

    def __init__(self, name: str, bound: Mapping[str, object]) -> None:
        self._name = name
        self._bound = bound

    def __call__(self, event: Event) -> None:
        level = _LEVELS[severity_of(event)]
        structlog = sys.modules.get("structlog")
        if structlog is not None and structlog.is_configured():
            structlog.get_logger(self._name).log(level, event.name, **self._fields(event))
            return
        logger = logging.getLogger(self._name)
        if logger.isEnabledFor(level):
            fields = self._fields(event)
            text = " ".join(f"{key}={_as_text(value)}" for key, value in fields.items())
            logger.log(level, "%s %s", event.name, text, extra=fields)

    def _fields(self, event: Event) -> dict[str, object]:
        fields = event.fields()
        code = code_of(getattr(event, "error", None))
        if code is not None:
            fields["code"] = code
        return {**fields, **self._bound}


def _as_text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
