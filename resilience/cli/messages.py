"""Messages of exceptions: the statuses and codes in them, by which a client library's class is classified.

A class such as `sqlalchemy.exc.OperationalError` stands for many failures, and an exception in a program is judged by
what it carries. In the last line of a traceback that is found in the message, in the words of the library.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

from resilience.classification import Explanation, explain_text
from resilience.classification._code_words import explain_sqlite_text
from resilience.cli.output import UserError

__all__ = ["explain_message"]

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^\((\w+(?:\.\w+)+)\) (.*)"), "{0}: {1}"),  # SQLAlchemy: the driver's exception and its message
    (re.compile(r"^\(?(\d{4}), |^(\d{4}) \([0-9A-Z]{5}\)|ERROR (\d{4})"), "mysql {0}"),
    (re.compile(r"\b((?:ORA|DPY|DPI)-\d{4,5})\b"), "{0}"),
    (re.compile(r"An error occurred \((\S+)\) when calling"), "aws {0}"),
    (re.compile(r"StatusCode\.([A-Z_]+)"), "grpc {0}"),
    (re.compile(r"\b(CERTIFICATE_VERIFY_FAILED)\b"), "{0}"),
    (re.compile(r"\[Errno (\d+)\]"), "errno {0}"),
    (re.compile(r"(?:^|'|Error code: |HTTP Error |HTTP )([45]\d\d)\b"), "status {0}"),
)
"""What stands in messages, and how `explain_text` is given it."""


def explain_message(message: str, explain: Callable[[str], Explanation] = explain_text) -> Explanation | None:
    """Explain a failure by the message of its exception; None for a message that has no status or code in it.

    *explain* explains an exception in the message, given with its own one.

    >>> explain_message("Server error '503 Service Unavailable' for url 'https://example.org/'").category.label
    'unavailable'
    >>> explain_message("An error occurred (SlowDown) when calling the PutObject operation").category.label
    'unavailable'
    >>> explain_message("no such table: orders") is None
    True
    """
    for pattern, notation in _PATTERNS:
        found = pattern.search(message)
        if found is not None:
            with suppress(ValueError, UserError):
                return explain(notation.format(*filter(None, found.groups())))
    return explain_sqlite_text(message)
