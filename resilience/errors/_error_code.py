"""The stable code of any error, for log lines, metrics and HTTP answers."""

from __future__ import annotations

import re

from resilience._safe_access import safe_getattr
from resilience.errors.base import ResilienceError

__all__ = ["code_of"]

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")


def code_of(error: object) -> str | None:
    """Return an error's stable ``code``: that of its class, or the one that an error of the toolkit was given.

    An attribute that another error sets on its instances does not count. It may be anything, and different each time.

    >>> class OutOfStock(Exception):
    ...     code = "SHOP-E017"
    >>> code_of(OutOfStock()), code_of(KeyError())
    ('SHOP-E017', None)
    """
    owner: object = type(error)
    if isinstance(error, ResilienceError):
        owner = error
    code = safe_getattr(owner, "code")
    if type(code) is str and _CODE.fullmatch(code):
        return code
    return None
