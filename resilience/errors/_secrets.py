"""Which values are better not shown: by the key they stand under."""

from __future__ import annotations

import functools
import re

__all__ = ["REDACTED", "is_secret"]

REDACTED = "[redacted]"
"""What stands in the place of a secret."""

_MOST_KEY = 200
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# As part of a key, whatever stands around it, and as one of its words.
_PARTS = (
    *("passw", "passphrase", "passcode", "clientsecret", "secretkey", "secretaccess", "apikey", "accesskey"),
    *("privatekey", "signingkey", "encryptionkey", "authorization", "authorisation", "credential", "cookie"),
    *("connectionstring", "sessionid", "csrf", "xsrf", "cardnumber", "creditcard"),
)
_WORDS = frozenset(
    {"secret", "secrets", "jwt", "bearer", "auth", "pwd", "pin", "otp", "cvv", "cvc", "ssn", "dsn", "iban"}
)
_TOKEN = frozenset({"token", "tokens"})


def is_secret(key: str, value: object = "") -> bool:
    """Return whether *value*, which stands under *key*, is better not shown.

    Case, separators and camel case make no difference. A number under ``token`` counts tokens; that there is a secret,
    or none, is none.

    >>> [key for key in ("X-Api-Key", "dbPassword", "user", "author", "Set-Cookie") if is_secret(key)]
    ['X-Api-Key', 'dbPassword', 'Set-Cookie']
    >>> is_secret("max_tokens", 4096), is_secret("token", "4096"), is_secret("password", None)
    (False, True, False)
    """
    if value is None or value is True or value is False:  # `isinstance` asks what may be a property
        return False
    secret, token = _look(key[:_MOST_KEY])
    return secret or (token and type(value) not in (int, float))


@functools.lru_cache(maxsize=1024)
def _look(key: str) -> tuple[bool, bool]:
    words = [word.lower() for word in _WORD.findall(key)]
    run_on = "".join(words)
    secret = any(part in run_on for part in _PARTS) or not _WORDS.isdisjoint(words)
    return secret, not _TOKEN.isdisjoint(words)
