"""Redaction of a report's texts: secrets, and paths of the host.

A report may be logged, stored or sent to a model. Three kinds of secrets are taken out of it: literals that the program
assigns to secret names, words that messages give under such names, and credentials with a form of their own, such as
tokens and URLs with a password. `resilience.errors._redaction` has the rules for a text by itself; this module
remembers the secrets of one failure, and takes them out of all its texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from resilience.errors._json_safe import Json, bounded
from resilience.errors._redaction import (
    REDACTED,
    redact_forms,
    redact_literals,
    redact_strings,
    redact_words,
    secret_literals,
    secret_words,
)
from resilience.errors._secrets import is_secret
from resilience.report._path_redaction import without_paths
from resilience.report._safe_repr import is_distinctive

__all__ = ["Redaction"]

_MAX_TEXT = 200_000
_MAX_SECRETS = 100

_CODE_LINE = "    "


class Redaction:
    """Takes secrets and paths of the host out of the texts of one report.

    *sources* are programs. A literal that one of them assigns to a secret name is redacted wherever it turns up: in
    output, messages and values. *texts* are messages of exceptions, searched for secrets in the same way.

    Only distinctive secrets are looked for elsewhere (`is_distinctive`), at most 100 of them, the longest first.

    >>> redaction = Redaction(['password = "hunter2"'])
    >>> redaction.code('password: str = "hunter2"'), redaction.text("cannot log in with hunter2")
    ('password: str = "[redacted]"', 'cannot log in with [redacted]')
    >>> redaction.text("Client(api_key=abc, retries=3) of /home/ada/shop.py")
    'Client(api_key=[redacted], retries=3) of ~/shop.py'
    """

    __slots__ = ("_secrets",)

    def __init__(self, sources: Iterable[str] = (), texts: Iterable[str] = ()) -> None:
        found: set[str] = set()
        for source in sources:
            found |= secret_literals(source[:_MAX_TEXT])
        for text in texts:
            found |= secret_words(text[:_MAX_TEXT])
        distinctive = filter(is_distinctive, found)
        self._secrets = sorted(distinctive, key=lambda secret: (-len(secret), secret))[:_MAX_SECRETS]

    def text(self, text: str) -> str:
        """Return what is left of a text that is no source code.

        Bare words under secret names are taken out as well: ``Client(api_key=abc)`` becomes
        ``Client(api_key=[redacted])``.
        """
        return without_paths(redact_words(self._any(text)))

    def code(self, code: str) -> str:
        """Return what is left of source code: names and calls stay, literals under secret names do not.

        ``connect(api_key=key)`` stays as it is, for a name is no secret, and a correction of the line needs it.
        """
        return without_paths(redact_strings(self._any(code)))

    def traceback(self, text: str) -> str:
        """Return what is left of a traceback: its source lines are code, all else is text."""
        text = self._any(text)
        lines = text.splitlines(keepends=True)
        cleaned = (redact_strings(line) if line.startswith(_CODE_LINE) else redact_words(line) for line in lines)
        return without_paths("".join(cleaned))

    def value(self, value: Json, key: str = "") -> Json:
        """Return what is left of a JSON value that stands under *key*.

        Under a secret key the whole value is redacted, a list, an object or a number as well.
        """
        if key and is_secret(key, value):
            return REDACTED
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if isinstance(value, dict):
            return self.mapping(value)
        return value

    def mapping(self, values: Mapping[str, Json]) -> dict[str, Json]:
        """Return what is left of an object's values. Keys are redacted like texts, as a program may choose them."""
        return {self.text(key): self.value(value, key) for key, value in values.items()}

    def _any(self, text: str) -> str:
        """Redact what is a secret in text and in code alike; a text of more than 200 000 characters is cut."""
        if not text:
            return text
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
        return redact_literals(redact_forms(bounded(text, _MAX_TEXT)))
