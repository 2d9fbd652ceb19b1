"""The place of a policy in a stack: the order in which policies do what they are meant to do."""

from __future__ import annotations

import enum

__all__ = ["Place"]


class Place(enum.IntEnum):
    """The kinds of policies, from the outside in: the order in which a stack of them works as each is meant to.

    A policy says by its attribute ``place`` of which kind it is, and `lint` looks at the order.

    >>> Place.RETRY < Place.CIRCUIT_BREAKER
    True
    """

    FALLBACK = 1
    """Answers for all that the others could not save."""
    DEADLINE = 2
    """Covers all attempts and waits."""
    RETRY = 3
    HEDGE = 4
    """Each attempt may be hedged, and each copy passes the policies that count and admit calls."""
    CIRCUIT_BREAKER = 5
    RATE_LIMIT = 6
    BULKHEAD = 7
    TIME_LIMIT = 8
    """Covers one call, and no wait for it."""
    CHAOS = 9
    """Stands in for what is called, so that all others meet what it injects."""

    @property
    def label(self) -> str:
        """The kind in words.

        >>> Place.CIRCUIT_BREAKER.label
        'circuit breaker'
        """
        return self.name.lower().replace("_", " ")
