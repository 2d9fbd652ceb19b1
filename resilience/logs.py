"""Events as log lines: by structlog where the application has configured it, else by the stdlib's `logging`."""

from __future__ import annotations

import dataclasses
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, cast

from resilience.category import ErrorCategory, Severity
from resilience.errors.base import ResilienceError
from resilience.errors.secrets import REDACTED, is_secret
from resilience.events import Event, event_types
from resilience.profile import row_of
from resilience.subscription import Subscription, subscribe

__all__ = ["REDACTED", "code_of", "log_events", "redact", "redact_processor", "severity_of"]

_LEVELS = {
    Severity.DEBUG: logging.DEBUG,
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}
_A_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
_DEEP = 8  # mappings in mappings
# A record has these already, or its formatter makes them.
_TAKEN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "event"}


def log_events(logger: str = "resilience", *, bind: Mapping[str, object] | None = None) -> Subscription:
    """Log every event under its dotted name, with its fields as keys, until undone.

    structlog gets the keys as they are; a stdlib record has them in its text and as attributes (``extra``). What was
    called is named, how it failed is a category, an error's type and, where it has one, its code: never an argument, a
    result or an error's message. The level is the event's, or that of the failure's category where that is louder
    (`severity_of`).

    What *bind* holds is on every line, such as the name of the service. A value under a key that looks like a
    secret's is not shown (`redact`).

    >>> with log_events(bind={"service": "shop"}):
    ...     pass  # call what is guarded
    """
    if not isinstance(logger, str):
        raise TypeError(f"logger={logger!r}: give the name of a logger, such as 'resilience'")
    return subscribe(_LogSink(logger, {} if bind is None else _bound(bind)))


def _bound(bind: Mapping[str, object]) -> Mapping[str, object]:
    if not isinstance(bind, Mapping) or not all(isinstance(key, str) for key in bind):
        raise TypeError(f"bind=a {type(bind).__qualname__}: give a mapping from names to values")  # they may be secret
    for key in bind:
        if key in _TAKEN or key in _field_names():
            raise ValueError(f"bind={{{key!r}: ...}}: it has a meaning of its own on a log line; give another name")
    return redact(bind)


def severity_of(event: Event) -> Severity:
    """Return how loud an event is: as its class says, or as its category's row says where that is louder.

    A retry or a revision is no louder for what it is made for: the failed attempt has told that already.

    >>> from resilience.events import AttemptFailed
    >>> category = ErrorCategory.CONFIGURATION
    >>> severity_of(AttemptFailed(target="f", policy="retry", attempt=1, category=category, error=KeyError()))
    <Severity.CRITICAL: 'critical'>
    """
    category: object = getattr(event, "category", None)
    if not isinstance(category, ErrorCategory) or not event.escalates:
        return event.severity
    leaves = [row_of(leaf).severity for leaf in category]
    return max([event.severity, *leaves], key=_LEVELS.__getitem__)


def code_of(error: object) -> str | None:
    """Return an error's stable ``code``: that of its type, or one of the toolkit's own kind was given.

    Not what any other error carries by itself: that may be anything, and different each time.

    >>> class OutOfStock(Exception):
    ...     code = "SHOP-E017"
    >>> code_of(OutOfStock()), code_of(KeyError())
    ('SHOP-E017', None)
    """
    try:
        code: object = getattr(error if isinstance(error, ResilienceError) else type(error), "code", None)
        return code if type(code) is str and _A_CODE.fullmatch(code) else None
    except Exception:  # a metaclass of the user's own making
        return None


def redact(fields: Mapping[str, object]) -> dict[str, object]:
    """Return *fields* with `REDACTED` for the values under keys that look like a secret's, in mappings inside too.

    Case, separators and camel case make no difference. A number under ``token`` counts tokens, and stays.

    >>> redact({"service": "shop", "apiKey": "k-123", "db": {"DB_PASSWORD": "x", "port": 5432}, "max_tokens": 99})
    {'service': 'shop', 'apiKey': '[redacted]', 'db': {'DB_PASSWORD': '[redacted]', 'port': 5432}, 'max_tokens': 99}
    """
    return _redacted(fields, 0)


def redact_processor(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Do what `redact` does, as one of structlog's processors: for what an application binds by itself."""
    return redact(line)


def _redacted(fields: Mapping[str, object], depth: int) -> dict[str, object]:
    return {key: REDACTED if is_secret(key, value) else _inside(value, depth) for key, value in fields.items()}


def _inside(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        if depth >= _DEEP:  # one that holds itself
            return REDACTED
        inner = cast("Mapping[object, object]", value)
        return _redacted({str(key): each for key, each in inner.items()}, depth + 1)
    if isinstance(value, list | tuple):
        if depth >= _DEEP:
            return REDACTED
        return [_inside(each, depth + 1) for each in cast("list[object]", value)]
    return value


def _field_names() -> frozenset[str]:
    return frozenset(field.name for kind in event_types() for field in dataclasses.fields(kind)) | {"code"}


class _LogSink:
    def __init__(self, name: str, bound: Mapping[str, object]) -> None:
        self._name = name
        self._bound = bound

    def __call__(self, event: Event) -> None:
        level = _LEVELS[severity_of(event)]
        # An unconfigured structlog prints to stdout, and who has not imported it has not configured it.
        structlog = sys.modules.get("structlog")
        if structlog is not None and structlog.is_configured():
            structlog.get_logger(self._name).log(level, event.name, **self._fields(event))
            return
        logger = logging.getLogger(self._name)
        if logger.isEnabledFor(level):
            fields = self._fields(event)
            text = " ".join(
                f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in fields.items()
            )
            logger.log(level, "%s %s", event.name, text, extra=fields)

    def _fields(self, event: Event) -> dict[str, object]:
        fields = event.fields()
        code = code_of(getattr(event, "error", None))
        if code is not None:
            fields["code"] = code
        return {**fields, **self._bound}
