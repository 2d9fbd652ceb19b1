"""Check that each side does what its case says; a side that does not is not counted."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.check import CheckFailedError, check
from benchmarks.instructions.cases import SIDES, Case, Side
from benchmarks.instructions.driving import looped
from benchmarks.subjects import Counted
from benchmarks.terms import ATTEMPTS, Function

__all__ = ["expect", "verify"]

_SHORT, _LONG = 0.01, 5.0
_LATE = "in spite of the limit"


def verify(case: Case) -> None:
    """Raise CheckFailedError unless both sides of *case* do what it says."""
    for side in SIDES:
        with looped(case.drive, case.made(side)) as loop:
            expect(case, side, loop(2))
        if not case.rejected:
            _calls(case, side)
        if case.capability in {"limit", "full"}:
            _fires(case, side)
    # The checks of limits look at the time, which a busy machine must not fail; what they are about is seen above.
    if case.capability != "limit":
        check("stack" if case.capability == "full" else case.capability, case.shape, case.guard("ours"))


def expect(case: Case, side: Side, answer: object) -> None:
    """Raise CheckFailedError unless *answer* is what the call of *case* returns."""
    if answer != case.answer:
        raise CheckFailedError(f"{case.name}, {side}: answers {answer!r} instead of {case.answer!r}")


def _calls(case: Case, side: Side) -> None:
    expected = ATTEMPTS if case.subject == "flaky" else 1
    subject = Counted(failures=expected - 1)
    guarded = case.guarded(side, subject.function(case.shape))
    with looped("call" if case.drive == "method" else case.drive, guarded) as loop:
        expect(case, side, loop(1))
    if subject.calls != expected:
        raise CheckFailedError(f"{case.name}, {side}: calls {subject.calls} times instead of {expected}")


def _fires(case: Case, side: Side) -> None:
    async def slow(value: Any) -> str:
        await asyncio.sleep(_LONG)
        return _LATE

    limit: Function = case.guard(side)  # it takes the seconds as well
    try:
        answer = asyncio.run(limit(slow, _SHORT)(None))
    except TimeoutError:
        return
    if answer == _LATE:
        raise CheckFailedError(f"{case.name}, {side}: a call beyond the limit answers")
