"""`is_secret`: the decision by a key whether the value under it is secret.

The key may be that of a mapping, the name of a variable, a parameter or an HTTP header. Standard library only: programs
that are executed within limits import this module.
"""

from __future__ import annotations

import functools
import re

__all__ = ["REDACTED", "is_secret"]

REDACTED = "[redacted]"
"""The text in place of a secret."""

_MAX_KEY = 200
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# Parts of a key, across its words; whole words of a key; and words that are secret unless the value is a number.
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
    """Return whether the *value* under *key* must not be shown.

    Case, separators and camel case make no difference. A number under ``token`` counts tokens. True, False and None say
    whether there is a secret, and are none.

    >>> [key for key in ("X-Api-Key", "dbPassword", "user", "author", "Set-Cookie") if is_secret(key)]
    ['X-Api-Key', 'dbPassword', 'Set-Cookie']
    >>> is_secret("max_tokens", 4096), is_secret("token", "4096"), is_secret("password", None)
    (False, True, False)
    """
    if value is None or value is True or value is False:  # `isinstance` asks `__class__`, which may be a property
        return False
    secret, token = _classify_key(key[:_MAX_KEY])
    return secret or (token and type(value) not in (int, float))


@functools.lru_cache(maxsize=1024)
def _classify_key(key: str) -> tuple[bool, bool]:
    """Return whether a key is that of a secret, and whether it is that of tokens."""
    words = [word.lower() for word in _WORD.findall(key)]
    run_on = "".join(words)
    secret = any(part in run_on for part in _PARTS) or not _WORDS.isdisjoint(words)
    return secret, not _TOKEN.isdisjoint(words)
