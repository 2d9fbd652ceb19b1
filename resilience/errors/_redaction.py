"""Redaction of texts and mappings: the one set of rules for errors, reports and log lines.

`resilience.errors._secrets` decides by a key whether the value under it is secret. This module finds secrets inside
texts: credentials that have a form of their own (`redact_forms`), literals and words that stand under a secret key
(`redact_literals`, `redact_equals`, `redact_words`). A function replaces what it finds by `REDACTED` and leaves the
rest of the text as it is. A false alarm costs a reader one word, a miss costs a password; so the patterns are broad.

Errors and log lines use `redact_text`. A report has source code as well, in which ``password = read()`` is no secret;
it chooses among the functions by the kind of text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

from resilience.errors._secrets import REDACTED, is_secret

__all__ = [
    "REDACTED",
    "redact",
    "redact_equals",
    "redact_forms",
    "redact_literals",
    "redact_strings",
    "redact_text",
    "redact_words",
    "secret_literals",
    "secret_words",
]

_MAX_DEPTH = 8
"""Mappings within mappings that `redact` walks. What is deeper, as in one that holds itself, is replaced as a whole."""

_MIN_LENGTH = 12
"""Characters of the shortest token or header below. Most values of an error's details are shorter."""

# The user and the password of a URL. Passwords may hold an @ that is not encoded; the last one ends them.
_URL_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#:]*:[^\s/?#]*@")
# Signatures of presigned URLs (S3, GCS, Azure). As names of other things these words are harmless.
_URL_SIGNATURE = re.compile(r"(?<=[?&])(?P<key>(?:X-\w{2,5}-)?Sig(?:nature)?)=[^\s&#'\"]+", re.IGNORECASE)
_AUTH_SCHEMES = ("earer ", "asic ", "EARER ", "ASIC ")
_AUTH_HEADER = re.compile(r"\b(bearer|basic) +[\w.~+/=-]{6,}", re.IGNORECASE)
_TOKENS = {
    mark: re.compile(pattern, re.DOTALL)
    for mark, pattern in {
        "-----BEGIN": r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        "eyJ": r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",  # JSON Web Token
        "sk-": r"\bsk-[\w-]{20,}",  # OpenAI, Anthropic
        "gh": r"\bgh[pousr]_\w{20,}",  # GitHub
        "github_pat_": r"\bgithub_pat_\w{20,}",
        "glpat-": r"\bglpat-[\w-]{20,}",  # GitLab
        "xox": r"\bxox[abeprs]-[\w-]{10,}",  # Slack
        "AKIA": r"\bAKIA[0-9A-Z]{16}",  # AWS
        "ASIA": r"\bASIA[0-9A-Z]{16}",
        "AIza": r"\bAIza[\w-]{30,}",  # Google
        "k_live_": r"\b[rs]k_live_\w{10,}",  # Stripe
        "k_test_": r"\b[rs]k_test_\w{10,}",
        "hf_": r"\bhf_[A-Za-z0-9]{30,}",  # Hugging Face
        "npm_": r"\bnpm_[A-Za-z0-9]{30,}",
    }.items()
}
"""Tokens with a form of their own, by a part that each of them has: searching for that part is quick."""

# Possessive: a shorter key is never what stands before the sign, and trying each takes time.
_KEY = r"(?<![\w-])(?P<key>[A-Za-z_][\w-]{2,80}+)"
# `key = 'literal'`, `key: str = 'literal'`, `"key": 'literal'`, `["key"] = 'literal'`, `"key", 'literal'`,
# `key == 'literal'`; the quotes escaped, where it is a literal within one.
_ASSIGNS = r"""(?:\\?['"]?\]?(?:\s*:\s*[\w.\[\]| ]{1,40}?(?==))?\s*(?:[=!]?=|:)\s*|\\?['"]\s*,\s*)"""
_OPEN = r"""[rbufRBUF]{0,2}(?P<escaped>\\)?(?P<quote>(?P<triple>'{3}|"{3})|['"])"""
_CLOSE = r"(?=(?(escaped)\\(?P=quote)|(?P=quote))|(?(triple)\Z|(?:\n|\Z)))"
# A path is no key: `open('/etc/passwd', 'w')`.
_LITERAL = re.compile(rf"(?<!/){_KEY}{_ASSIGNS}{_OPEN}(?P<value>(?:\\.|[^\\])*?){_CLOSE}", re.DOTALL)
_BARE_WORD = r"(?P<value>[^\s'\"\[{,;)}\]&][^\s'\",;)}\]&]*)"
_WORD = re.compile(_KEY + r"""\\?['"]?\s*[=:]\s*""" + _BARE_WORD)
_EQUALS = re.compile(f"{_KEY}={_BARE_WORD}")
_STRING = re.compile(r"""(['"])(?:\\.|(?!\1)[^\\\n])*""")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
# `TokenError: expired` is the text of an exception, not a key with its value.
_EXCEPTION_NAMES = ("Error", "Exception", "Warning", "Group", "Interrupt")


def redact_text(text: str) -> str:
    """Return a message or another text without the secrets that can be recognised in it.

    >>> redact_text("GET https://ada:hunter2@example.org/?page=2&access_token=abc failed")
    'GET https://[redacted]@example.org/?page=2&access_token=[redacted] failed'
    >>> redact_text("Client(user='ada', password='hunter2', max_tokens=99)")
    "Client(user='ada', password='[redacted]', max_tokens=99)"
    """
    return redact_equals(redact_literals(redact_forms(text)))


def redact_forms(text: str) -> str:
    """Return a text without credentials that have a form of their own: in URLs and headers, tokens, private keys."""
    if "://" in text:
        text = _URL_CREDENTIALS.sub(f"{REDACTED}@", text)
        text = _URL_SIGNATURE.sub(rf"\g<key>={REDACTED}", text)
    if len(text) < _MIN_LENGTH:
        return text
    if any(map(text.__contains__, _AUTH_SCHEMES)):
        text = _AUTH_HEADER.sub(rf"\1 {REDACTED}", text)
    for mark, pattern in _TOKENS.items():
        if mark in text:
            text = pattern.sub(REDACTED, text)
    return text


def redact_literals(text: str) -> str:
    """Return a text or source code without quoted literals under secret keys: ``password = 'hunter2'``."""
    if "'" in text or '"' in text:
        return _replace_secrets(_LITERAL, text)
    return text


def redact_equals(text: str) -> str:
    """Return a text without words that are assigned to secret keys: ``password=hunter2``."""
    if "=" in text:
        return _replace_secrets(_EQUALS, text)
    return text


def redact_words(text: str) -> str:
    """Return a text without words that follow secret keys: ``password=hunter2`` and ``password: hunter2``.

    Not for messages, in which ``password: must be longer`` is common.
    """
    if "=" in text or ":" in text:
        return _replace_secrets(_WORD, text)
    return text


def redact_strings(code: str) -> str:
    """Return source code without words that are assigned to secret keys inside of its strings: ``"password=..."``."""
    if "'" in code or '"' in code:
        return _STRING.sub(lambda found: redact_equals(found[0]), code)
    return code


def secret_literals(source: str) -> set[str]:
    """Return the secrets that a program holds: literals under secret keys, and words within its strings.

    >>> secret_literals('password = "hunter2"; name = "ada"')
    {'hunter2'}
    """
    found = _values(_LITERAL, source)
    for string in _STRING.finditer(source):
        found |= _values(_EQUALS, string[0])
    return found


def secret_words(text: str) -> set[str]:
    """Return the words that follow secret keys in a text."""
    return _values(_WORD, text)


def redact(fields: Mapping[str, object]) -> dict[str, object]:
    """Return *fields* with `REDACTED` for the values under keys that look like a secret's, in mappings inside too.

    Case, separators and camel case make no difference. A number under ``token`` counts tokens, and stays. Texts under
    other keys lose the secrets in them, such as the password of a URL.

    >>> redact({"service": "shop", "apiKey": "k-123", "db": {"DB_PASSWORD": "x", "port": 5432}, "max_tokens": 99})
    {'service': 'shop', 'apiKey': '[redacted]', 'db': {'DB_PASSWORD': '[redacted]', 'port': 5432}, 'max_tokens': 99}
    """
    return _redact_mapping(fields, 0)


def _redact_mapping(fields: Mapping[str, object], depth: int) -> dict[str, object]:
    return {key: _redact_value(key, value, depth) for key, value in fields.items()}


def _redact_value(key: str, value: object, depth: int) -> object:
    if is_secret(key, value):
        return REDACTED
    return _redact_inside(value, depth)


def _redact_inside(value: object, depth: int) -> object:
    if type(value) is str:
        return redact_text(value)
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth >= _MAX_DEPTH:
        return REDACTED
    if isinstance(value, Mapping):
        inner = cast("Mapping[object, object]", value)
        return _redact_mapping({str(key): each for key, each in inner.items()}, depth + 1)
    return [_redact_inside(each, depth + 1) for each in cast("list[object]", value)]


def _replace_secrets(pattern: re.Pattern[str], text: str) -> str:
    """Return a text without the values under secret keys that *pattern* finds."""
    parts: list[str] = []
    end = 0
    for found in _secret_matches(pattern, text):
        parts += text[end : found.start("value")], REDACTED
        end = found.end("value")
    return "".join([*parts, text[end:]])


def _values(pattern: re.Pattern[str], text: str) -> set[str]:
    return {found["value"] for found in _secret_matches(pattern, text)}


def _secret_matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    found = pattern.search(text)
    while found is not None:
        secret = _holds_secret(found["key"], found["value"])
        end = found.start("value")  # a value that is no secret may have one in it: `message = "password='...'"`
        if secret:
            yield found
            end = found.end("value")
        found = pattern.search(text, end)


def _holds_secret(key: str, value: str) -> bool:
    if not value or value == REDACTED or key.endswith(_EXCEPTION_NAMES):
        return False
    shown: object = value
    if _NUMBER.fullmatch(value):  # a number under "tokens" counts them
        shown = 1
    return is_secret(key, shown)
