"""Logs as lines of JSON on stderr: those of structlog, and those of libraries that use the standard library's."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor

from resilience.integrations.logging import redact_processor

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
]
_RENDER: list[Processor] = [
    structlog.processors.format_exc_info,
    redact_processor,
    structlog.processors.JSONRenderer(),
]


def log_as_json() -> None:
    """Set up both, before the first line is logged."""
    structlog.configure(processors=[*_SHARED, *_RENDER], logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_RENDER],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
