"""`Match`, the answer of a rule: a category, and for people the evidence it was read from."""

from __future__ import annotations

from typing import NamedTuple

from resilience.categories import ErrorCategory

__all__ = ["Match"]


class Match(NamedTuple):
    """The answer of a rule or of a row: a leaf, and for people what it was read from.

    *why* names the kind of code and the code ("status 503"), never a message or an argument, which may be secret.
    """

    category: ErrorCategory
    why: str
