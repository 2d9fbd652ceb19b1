"""The HTTP answer to an exception as bytes, and its line in the log.

Every middleware of this package answers through an `ErrorResponder`. The answer tells the client no more than the
format allows; what a developer needs, the traceback above all, goes to the log.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from urllib.parse import quote

from resilience._safe_access import safe_getattr
from resilience.categories import CategoryLike, ErrorCategory
from resilience.errors._error_code import code_of
from resilience.errors._json_safe import Json, safe_text
from resilience.integrations._log_lines import LineRate, LogLine, reason_of
from resilience.integrations.http.problem_details import (
    Format,
    document,
    is_ours,
    parse_public,
    published_category,
    require_format,
)
from resilience.profiles import profile_for

__all__ = ["ErrorResponder", "encoded", "log_error"]

_LOGGER = "resilience.integrations.http"
_MAX_PATH = 500
_REJECTIONS = LineRate(1)


@dataclass(frozen=True, slots=True)
class ErrorResponder:
    """Answers and logs exceptions. *format* and *public* as for `document`."""

    format: Format
    public: ErrorCategory | None

    @classmethod
    def of(cls, format: Format, public: CategoryLike | None) -> ErrorResponder:  # noqa: A002 - a public parameter
        """Return one. Raises ValueError or TypeError for an invalid *format* or *public*."""
        require_format(format)
        return cls(format, parse_public(public))

    def answer(self, exc: BaseException, method: object, path: object) -> tuple[int, dict[str, str], bytes]:
        """Log *exc*, and return status, headers and body of the answer to it. Never raises."""
        answer = self.quiet_answer(exc, path)
        log_error(exc, method, _text(path), answer[0])
        return answer

    def quiet_answer(self, exc: BaseException, path: object) -> tuple[int, dict[str, str], bytes]:
        """Return the same without a line in the log."""
        instance = quote(_text(path)[:_MAX_PATH].encode("utf-8", "replace"), safe="/:@!$&'()*+,;=~-._") or None
        status, headers, body = document(exc, format=self.format, instance=instance, public=self.public)
        content = encoded(body)
        return status, {**headers, "Content-Length": str(len(content))}, content


def _text(path: object) -> str:
    """Return the *path* of a request; an empty one where it is no text."""
    if isinstance(path, str):
        return path
    return ""


def encoded(body: dict[str, Json]) -> bytes:
    """Return *body* as JSON, in ASCII: whatever it holds can be sent."""
    return json.dumps(body, allow_nan=False).encode("ascii")


def log_error(exc: BaseException, method: object, path: object, status: int | None) -> None:
    """Log an exception and the request that raised it, where the application logs. Never raises.

    *status* is that of the answer; None where the answer had begun and the exception could not be answered. A
    `ResilienceError` is logged at its own severity, every other exception as an error. The traceback is logged where
    the service has failed: not for a `ResilienceError` answered below 500, and not for a rejection.

    An open circuit rejects thousands of requests as it should. So the rejections by one circuit, or of one path where
    the error names no policy, have one line a minute, which says how many were suppressed before it.
    """
    try:
        category = published_category(exc)
        suppressed: int | None = 0
        if category is ErrorCategory.REJECTED:
            suppressed = _REJECTIONS.suppressed((type(exc), str(safe_getattr(exc, "name") or path)))
        if suppressed is not None:
            _line_of(exc, category, method, path, status, suppressed).write(_LOGGER)
    except Exception:  # noqa: S110 - a filter or a handler of the application's; the answer matters more
        pass


def _line_of(
    exc: BaseException, category: ErrorCategory, method: object, path: object, status: int | None, suppressed: int
) -> LogLine:
    """Return the line for an exception of *category*, and a request."""
    ours, code, reason = is_ours(exc), code_of(exc), reason_of(exc)
    name = type(exc).__qualname__
    fields: dict[str, object] = {
        "method": _one_line(method),
        "path": _one_line(path),
        "status": status,
        "category": category.label,
        "error": name,
        "code": code,
    }
    outcome, level = "after the answer had begun", logging.ERROR
    if status is not None:
        outcome = f"answered with {status}"
    if status is not None and (ours or category is ErrorCategory.REJECTED):
        level = _level_of(exc)
    if reason is not None:
        fields["reason"] = reason
    if suppressed:
        fields["suppressed"] = suppressed
        outcome += f"; {suppressed} such lines before it were suppressed"
    trace: BaseException | None = exc
    if category is ErrorCategory.REJECTED or (ours and status is not None and status < 500):
        trace = None
    if code is not None:
        name = f"[{code}] {name}"
    text = f"{fields['method']} {fields['path']}: {name} ({category.label}), {outcome}"
    return LogLine(level, "request.failed", fields, text, trace)


def _level_of(exc: BaseException) -> int:
    """Return the log level of a `ResilienceError`: that of its severity, else that of its category's profile."""
    levels = logging.getLevelNamesMapping()
    name = safe_getattr(safe_getattr(exc, "severity"), "name")
    return levels.get(str(name)) or levels[profile_for(published_category(exc)).severity.name]


def _one_line(text: object) -> str:
    """Return a text on one line. A path may hold %0A; what follows would pass for a log line of its own."""
    return safe_text(str(text)[:_MAX_PATH]).encode("unicode_escape").decode("ascii")
