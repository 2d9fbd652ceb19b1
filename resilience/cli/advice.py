"""Advice for the person at the terminal, by the recovery of a category."""

from __future__ import annotations

from typing import Final

from resilience.categories import ErrorCategory, Recovery

__all__ = ["ADVICE", "groups_of"]

ADVICE: Final[dict[Recovery, str]] = {
    Recovery.RETRY: "try again, the same call may well succeed",
    Recovery.WAIT: "wait, then try again",
    Recovery.FIX_INPUT: "change the request; the same call will fail again",
    Recovery.REGENERATE: "generate the code again",
    Recovery.USE_ALTERNATIVE: "use an alternative",
    Recovery.REAUTHENTICATE: "sign in again",
    Recovery.FIX_CONFIGURATION: "correct the configuration",
    Recovery.ESCALATE: "ask the person who decides",
    Recovery.GIVE_UP: "look at the failure itself; no general advice applies",
}


def groups_of(category: ErrorCategory) -> list[str]:
    """Return the labels of the groups a leaf is in, the smallest first.

    >>> groups_of(ErrorCategory.NETWORK)
    ['system', 'transient', 'infrastructure']
    """
    groups = [group for group in ErrorCategory.__members__.values() if not group.is_leaf and category in group]
    return [group.label for group in sorted(groups, key=len)]
