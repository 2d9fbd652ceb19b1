"""Redaction of a report's texts: secrets, and paths of the host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from resilience.errors._json_safe import Json, safe_text
from resilience.errors._secrets import REDACTED, is_secret
from resilience.report._path_redaction import without_paths
from resilience.report._safe_repr import is_distinctive

__all__ = ["Redaction"]

_MAX_TEXT = 200_000
_MAX_SECRETS = 100

# Forms that credentials of the usual services have.
_SHAPES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"
    r"|\b(?:sk-[\w-]{20,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[abeprs]-[\w-]{10,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{30,}|[rs]k_(?:live|test)_\w{10,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{30,})",
    re.DOTALL,
)
# `key = 'literal'`, `key: str = 'literal'`, `"key": 'literal'`, `["key"] = 'literal'`, `"key", 'literal'`,
# `key == 'literal'`; the quotes escaped, where it is a literal within one.
_KEY = r"(?<![\w-])(?P<key>[A-Za-z_][\w-]{2,80})"
_IS = r"""(?:\\?['"]?\]?(?:\s*:\s*[\w.\[\]| ]{1,40}?(?==))?\s*(?:[=!]?=|:)\s*|\\?['"]\s*,\s*)"""
_OPEN = r"""[rbufRBUF]{0,2}(?P<escaped>\\)?(?P<quote>(?P<triple>'{3}|"{3})|['"])"""
_CLOSE = r"(?=(?(escaped)\\(?P=quote)|(?P=quote))|(?(triple)\Z|(?:\n|\Z)))"
# A path is no key: `open('/etc/passwd', 'w')`.
_LITERAL = re.compile(rf"(?<!/){_KEY}{_IS}{_OPEN}(?P<value>(?:\\.|[^\\])*?){_CLOSE}", re.DOTALL)
# `key=word`, `key: word`: where it is no source code, in which a word is a name or a call.
_WORD = re.compile(_KEY + r"""\\?['"]?\s*[=:]\s*(?P<value>[^\s'"\[{,;)}\]&][^\s'",;)}\]&]*)""")
# `key=word` alone: what reads `key: word` in a string of a program is a sentence more often than not.
_EQUALS = re.compile(_KEY + r"""=(?P<value>[^\s'"\[{,;)}\]&][^\s'",;)}\]&]*)""")
_STRING = re.compile(r"""(['"])(?:\\.|(?!\1)[^\\\n])*""")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_CODE_LINE = "    "
_NO_KEYS = ("Error", "Exception", "Warning", "Group", "Interrupt")


class Redaction:
    """What is taken out of the texts of one report.

    *sources* are programs: the literals that stand under secret names in them are taken out wherever they turn up, in
    what the program printed or what an exception says. *texts* are what exceptions say, for the same.

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
            found |= _literals(source[:_MAX_TEXT])
        for text in texts:
            found |= _values(_WORD, text[:_MAX_TEXT])
        self._secrets = sorted(found, key=lambda secret: (-len(secret), secret))[:_MAX_SECRETS]

    def text(self, text: str) -> str:
        """Return what is left of a text that is no source code."""
        return without_paths(_words(self._any(text)))

    def code(self, code: str) -> str:
        """Return what is left of source code: names and calls stay, literals under secret names do not."""
        return without_paths(_in_strings(self._any(code)))

    def traceback(self, text: str) -> str:
        """Return what is left of a traceback: its source lines are code, all else is text."""
        text = self._any(text)
        lines = text.splitlines(keepends=True)
        cleaned = (_in_strings(line) if line.startswith(_CODE_LINE) else _words(line) for line in lines)
        return without_paths("".join(cleaned))

    def value(self, value: Json, key: str = "") -> Json:
        """Return what is left of a JSON value that stands under *key*."""
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
        """Return what is left of an object's values."""
        return {self.text(key): self.value(value, key) for key, value in values.items()}

    def _any(self, text: str) -> str:
        if not text:
            return text
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
        text = _SHAPES.sub(REDACTED, safe_text(text, _MAX_TEXT))
        if "'" not in text and '"' not in text:
            return text
        return _without(_LITERAL, text)


def _literals(source: str) -> set[str]:
    found = _values(_LITERAL, source)
    for string in _STRING.finditer(source):
        found |= _values(_EQUALS, string[0])
    return found


def _values(pattern: re.Pattern[str], text: str) -> set[str]:
    return {found["value"] for found in _secret_matches(pattern, text) if is_distinctive(found["value"])}


def _in_strings(code: str) -> str:
    """Return source code without what stands under secret keys inside of its strings: ``"password=..."``."""
    if "'" not in code and '"' not in code:
        return code
    return _STRING.sub(lambda found: _without(_EQUALS, found[0]), code)


def _words(text: str) -> str:
    if "=" not in text and ":" not in text:
        return text
    return _without(_WORD, text)


def _without(pattern: re.Pattern[str], text: str) -> str:
    """Return a text without what stands under secret keys."""
    parts: list[str] = []
    end = 0
    for found in _secret_matches(pattern, text):
        parts += text[end : found.start("value")], REDACTED
        end = found.end("value")
    return "".join([*parts, text[end:]])


def _secret_matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    found = pattern.search(text)
    while found is not None:
        key, value = found["key"], found["value"]
        shown: object = 1 if _NUMBER.fullmatch(value) else value  # a number under "tokens" is none
        secret = value and value != REDACTED and not key.endswith(_NO_KEYS) and is_secret(key, shown)
        if secret:
            yield found
        # What is no secret may have one in it: `message = "password='...'"`.
        found = pattern.search(text, found.end("value") if secret else found.start("value"))
