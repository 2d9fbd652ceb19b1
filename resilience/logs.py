"""Events as log lines: by structlog where the application has configured it, else by the stdlib's `logging`."""

from __future__ import annotations

import logging
import sys

from resilience.category import Severity
from resilience.events import Event
from resilience.subscription import Subscription, subscribe

__all__ = ["log_events"]

_LEVELS = {
    Severity.DEBUG: logging.DEBUG,
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}


def log_events(logger: str = "resilience") -> Subscription:
    """Log every event under its dotted name, with its fields as keys, until undone.

    structlog gets the keys as they are; a stdlib record has them in its text and as attributes (``extra``). What was
    called is named, how it failed is a category and an error's type: never an argument, a result or an error's message.

    >>> with log_events():
    ...     pass  # call what is guarded
    """
    if not isinstance(logger, str):
        raise TypeError(f"logger={logger!r}: give the name of a logger, such as 'resilience'")
    return subscribe(_LogSink(logger))


class _LogSink:
    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, event: Event) -> None:
        level = _LEVELS[event.severity]
        # An unconfigured structlog prints to stdout, and who has not imported it has not configured it.
        structlog = sys.modules.get("structlog")
        if structlog is not None and structlog.is_configured():
            structlog.get_logger(self._name).log(level, event.name, **event.fields())
            return
        logger = logging.getLogger(self._name)
        if logger.isEnabledFor(level):
            fields = event.fields()
            text = " ".join(
                f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in fields.items()
            )
            logger.log(level, "%s %s", event.name, text, extra=fields)
