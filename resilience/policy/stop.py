"""Why no further attempt was made."""

from __future__ import annotations

import enum

__all__ = ["StopReason"]


class StopReason(enum.Enum):
    """Why no further attempt was made: a word for programs, and *text* for people.

    >>> StopReason.PUSHBACK.text
    'the other side asks for a longer wait than allowed'
    """

    text: str

    def __new__(cls, value: str, text: str) -> StopReason:
        member = object.__new__(cls)
        member._value_ = value
        member.text = text
        return member

    SUCCESS = "success", "it succeeded"
    NOT_RETRYABLE = "not_retryable", "the last failure is none to retry"
    NOT_IDEMPOTENT = "not_idempotent", "it may have happened, and must not happen twice"
    ATTEMPTS = "attempts", "no attempt left"
    REVISIONS = "revisions", "no revision left"
    NOT_REVISED = "not_revised", "revise() gave up"
    NO_PROGRESS = "no_progress", "the same failure again and again"
    DEADLINE = "deadline", "too little time left for another attempt"
    BUDGET = "budget", "the retry budget is used up"
    PUSHBACK = "pushback", "the other side asks for a longer wait than allowed"
    NESTED = "nested", "a retry further in has given up"
    COMMITTED = "committed", "a part of the result was handed out"
    STOPPED = "stopped", "the stop strategy says so"
    STRATEGY_FAILED = "strategy_failed", "a strategy failed"
    CANCELLED = "cancelled", "it was cancelled"

    @property
    def gave_up(self) -> bool:
        """Whether what ended the attempts was a limit to them, and not the failure itself or the caller."""
        return self not in _NO_LIMITS


_NO_LIMITS = frozenset(
    {
        StopReason.SUCCESS,
        StopReason.NOT_RETRYABLE,
        StopReason.NOT_IDEMPOTENT,
        StopReason.COMMITTED,
        StopReason.CANCELLED,
    }
)
