"""Why no further attempt was made."""

from __future__ import annotations

import enum

__all__ = ["StopReason"]


class StopReason(enum.Enum):
    """Why no further attempt was made: a word for programs, and *text* for people.

    >>> StopReason.PUSHBACK.text
    'the other side asks for a longer wait than allowed'
    """

    SUCCESS = "success"
    NOT_RETRYABLE = "not_retryable"
    NOT_IDEMPOTENT = "not_idempotent"
    ATTEMPTS = "attempts"
    REVISIONS = "revisions"
    NOT_REVISED = "not_revised"
    NO_PROGRESS = "no_progress"
    DEADLINE = "deadline"
    BUDGET = "budget"
    PUSHBACK = "pushback"
    NESTED = "nested"
    COMMITTED = "committed"
    STOPPED = "stopped"
    STRATEGY_FAILED = "strategy_failed"
    CANCELLED = "cancelled"

    @property
    def text(self) -> str:
        """Return what it means, for people."""
        return _TEXTS[self]

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

_TEXTS = {
    StopReason.SUCCESS: "it succeeded",
    StopReason.NOT_RETRYABLE: "the last failure is none to retry",
    StopReason.NOT_IDEMPOTENT: "it may have happened, and must not happen twice",
    StopReason.ATTEMPTS: "no attempt left",
    StopReason.REVISIONS: "no revision left",
    StopReason.NOT_REVISED: "revise() gave up",
    StopReason.NO_PROGRESS: "the same failure again and again",
    StopReason.DEADLINE: "too little time left for another attempt",
    StopReason.BUDGET: "the retry budget is used up",
    StopReason.PUSHBACK: "the other side asks for a longer wait than allowed",
    StopReason.NESTED: "a retry further in has given up",
    StopReason.COMMITTED: "a part of the result was handed out",
    StopReason.STOPPED: "the stop strategy says so",
    StopReason.STRATEGY_FAILED: "a strategy failed",
    StopReason.CANCELLED: "it was cancelled",
}
