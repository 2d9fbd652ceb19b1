"""What the log hears of an exception that is answered, and what the answer is as bytes."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from urllib.parse import quote

from resilience.categories import CategoryLike, ErrorCategory
from resilience.errors._error_code import code_of
from resilience.errors._json_safe import Json, safe_text
from resilience.integrations.http.problem_details import Format, a_format, category_told, document, is_ours, shown_for
from resilience.profiles import profile_for

__all__ = ["Speaker", "encoded"]

_LOG = logging.getLogger("resilience.integrations.http")
_MOST_PATH = 500


@dataclass(frozen=True, slots=True)
class Speaker:
    """How a server speaks of exceptions: to the log, and to whoever asked."""

    format: Format
    public: ErrorCategory | None

    @classmethod
    def of(cls, format: Format, public: CategoryLike | None) -> Speaker:  # noqa: A002 - a public parameter
        """Return one, checked where it is configured."""
        a_format(format)
        return cls(format, shown_for(public))

    def answer(self, exc: BaseException, method: object, path: object) -> tuple[int, dict[str, str], bytes]:
        """Log *exc*, and return what to answer it with. Never raises."""
        asked = path if isinstance(path, str) else ""
        instance = quote(asked[:_MOST_PATH].encode("utf-8", "replace"), safe="/:@!$&'()*+,;=~-._") or None
        status, headers, body = document(exc, format=self.format, instance=instance, public=self.public)
        tell(exc, method, asked, status)
        content = encoded(body)
        return status, {**headers, "Content-Length": str(len(content))}, content


def encoded(body: dict[str, Json]) -> bytes:
    """Return *body* as JSON, in ASCII: whatever it holds can be sent."""
    return json.dumps(body, allow_nan=False).encode("ascii")


def tell(exc: BaseException, method: object, path: object, status: int | None) -> None:
    """Log an exception, with where it happened; *status* is None where it can no longer be answered. Never raises.

    One of the toolkit's base is as loud as it says, with its traceback from 500 on; any other is an error with one. A
    rejection has none: an open circuit rejects thousands of requests, each where it is meant to.
    """
    try:
        where = f"{_line(method)} {_line(path)}"
        category, own = category_told(exc), is_ours(exc)
        label = category.label
        level = logging.ERROR if status is None or not own else _level(exc)
        said = "after the answer had begun" if status is None else f"answered with {status}"
        expected = own and (category is ErrorCategory.REJECTED or (status is not None and status < 500))
        trace = None if expected else exc
        code = code_of(exc)
        extra = {"path": _line(path), "method": _line(method), "status": status, "category": label, "code": code}
        name = type(exc).__qualname__ if code is None else f"[{code}] {type(exc).__qualname__}"
        _LOG.log(level, "%s: %s (%s), %s", where, name, label, said, exc_info=trace, extra=extra)
    except Exception:  # noqa: S110 - a filter or a handler of the application's; the answer is worth more
        pass


def _level(exc: BaseException) -> int:
    try:
        severity: object = getattr(exc, "severity", None)
        name = str(getattr(severity, "name", ""))
    except Exception:  # a property of the application's
        name = ""
    levels = logging.getLevelNamesMapping()
    return levels.get(name) or levels[profile_for(category_told(exc)).severity.name]


def _line(text: object) -> str:
    # One line each: a path may hold %0A, and what follows would pass for a line of its own.
    return safe_text(str(text)[:_MOST_PATH]).encode("unicode_escape").decode("ascii")
