"""Several limiters of one stack, as one: such as a rate limit's tokens and a bulkhead's slots.

The fast path knows one `Limiter`. Where a stack has more, `LimiterChain` asks them all: a call is admitted by all of
them, or by none. Of limiters that take nothing back there is at most one, and it is asked last, so that nothing is
taken from it for a call that another one declines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resilience._runtime.protocol import Limiter, Permit

__all__ = ["LimiterChain", "permits_of", "single_limiter"]


class LimiterChain:
    """A `Limiter` made of several. Its permit has those of the others, by limiter.

    A limiter that declines ends the round: those that have admitted the call before take back what they gave. Between
    the two another call may find them full that would have been admitted; no lock spans several limiters.
    """

    __slots__ = ("_limiters",)

    #: Some of them take back what they give.
    leaves = True

    def __init__(self, limiters: Sequence[Limiter]) -> None:
        self._limiters: Sequence[Limiter] = sorted(limiters, key=_asked_last)

    def try_enter(self, permit: Permit, /) -> bool:
        """Admit a call if all limiters do; return whether."""
        permits: dict[Limiter, Permit] = {}
        permit[0] = permits
        for limiter in self._limiters:
            own: Permit = [None, None, None]
            permits[limiter] = own
            if not limiter.try_enter(own):
                self._withdraw(permit)
                return False
        return True

    def leave(self, permit: Permit, /) -> None:
        """Have each limiter take back what it gave."""
        for limiter, own in permits_of(self, permit).items():
            if limiter.leaves:
                limiter.leave(own)

    def _withdraw(self, permit: Permit) -> None:
        """Leave the limiters for a call that is not made, and tells nothing of how long calls take."""
        for own in permits_of(self, permit).values():
            own[2] = None
        self.leave(permit)


def single_limiter(limiters: Sequence[Limiter | None]) -> tuple[bool, Limiter | None]:
    """Return whether the fast path can ask *limiters*, one of each policy or None, and what it asks.

    It cannot where one object stands in the stack twice, since the inner call would be one within the outer; nor where
    several take nothing back.
    """
    found = [limiter for limiter in limiters if limiter is not None]
    if len(found) <= 1:
        return True, next(iter(found), None)
    if len(set(found)) < len(found) or sum(map(_asked_last, found)) > 1:
        return False, None
    return True, LimiterChain(found)


def permits_of(limiter: Limiter, permit: Permit) -> Mapping[Limiter, Permit]:
    """Return the permits of single limiters that *permit* of *limiter* stands for."""
    if isinstance(limiter, LimiterChain):
        return permit[0] or {}
    return {limiter: permit}


def _asked_last(limiter: Limiter) -> bool:
    """Return whether *limiter* takes nothing back, such as a rate limit: a token is spent once it is given."""
    return not limiter.leaves
