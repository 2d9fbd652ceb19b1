"""Stop reasons are words that logs and metrics are searched for, so none may change unnoticed."""

from __future__ import annotations

import pytest

from resilience.policies.stop_reason import StopReason

REASONS = {
    "success": ("it succeeded", False),
    "not_retryable": ("the last failure is not retryable", False),
    "not_idempotent": ("the call may have been executed, and is not idempotent", False),
    "body": ("the body of the request cannot be sent again", False),
    "attempts": ("no attempt left", True),
    "revisions": ("no revision left", True),
    "not_revised": ("revise() returned no new arguments", True),
    "no_progress": ("the same failure again and again", True),
    "deadline": ("too little time left for another attempt", True),
    "budget": ("the retry budget is used up", True),
    "circuit_open": ("the circuit has opened, and would reject another attempt", True),
    "pushback": ("the server asks for a longer wait than allowed", True),
    "nested": ("a nested retry is exhausted", True),
    "committed": ("the caller has received a part of the result", False),
    "stopped": ("the stop strategy ended the attempts", True),
    "strategy_failed": ("a strategy failed", True),
    "shutdown": ("the program is shutting down", True),
    "cancelled": ("it was cancelled", False),
}


def test_these_are_all():
    assert {reason.value for reason in StopReason} == set(REASONS)


@pytest.mark.parametrize("word", REASONS)
def test_each_has_a_text_and_says_whether_a_limit_ended_the_attempts(word: str):
    reason = StopReason(word)
    assert reason.name == word.upper()
    assert (reason.text, reason.gave_up) == REASONS[word]
