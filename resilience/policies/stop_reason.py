"""Reasons that end the attempts of a retry: one `StopReason` for every check that can.

Each member is one row: the word that programs, events and metrics read, the text for people, and whether a limit of the
retry was reached. A new check of the decision begins with a row here.
"""

from __future__ import annotations

import enum

__all__ = ["StopReason"]


class StopReason(enum.Enum):
    """The reason for which no further attempt was made: *value*, a word for programs, and *text* for people.

    A reason *gave_up* when a limit ended the attempts, such as their number, the budget or the deadline. It did not
    when the failure itself or the caller ended them: then an enclosing retry may decide for itself.

    >>> StopReason.PUSHBACK.text
    'the server asks for a longer wait than allowed'
    >>> StopReason("budget").gave_up
    True
    """

    SUCCESS = "success", "it succeeded", False
    NOT_RETRYABLE = "not_retryable", "the last failure is not retryable", False
    NOT_IDEMPOTENT = "not_idempotent", "the call may have been executed, and is not idempotent", False
    BODY = "body", "the body of the request cannot be sent again", False
    ATTEMPTS = "attempts", "no attempt left", True
    REVISIONS = "revisions", "no revision left", True
    NOT_REVISED = "not_revised", "revise() returned no new arguments", True
    NO_PROGRESS = "no_progress", "the same failure again and again", True
    DEADLINE = "deadline", "too little time left for another attempt", True
    BUDGET = "budget", "the retry budget is used up", True
    CIRCUIT_OPEN = "circuit_open", "the circuit has opened, and would reject another attempt", True
    PUSHBACK = "pushback", "the server asks for a longer wait than allowed", True
    NESTED = "nested", "a nested retry is exhausted", True
    COMMITTED = "committed", "the caller has received a part of the result", False
    STOPPED = "stopped", "the stop strategy ended the attempts", True
    STRATEGY_FAILED = "strategy_failed", "a strategy failed", True
    SHUTDOWN = "shutdown", "the program is shutting down", True
    CANCELLED = "cancelled", "it was cancelled", False

    text: str
    gave_up: bool

    # With defaults, as type checkers take ``StopReason("budget")``, a look-up, for a call of this.
    def __new__(cls, value: str, text: str = "", gave_up: bool = False) -> StopReason:
        """Make a member whose value is the word alone."""
        member = object.__new__(cls)
        member._value_ = value
        member.text = text
        member.gave_up = gave_up
        return member
