"""Whether a failure is one that a retry further in has given up on: then trying again would multiply its attempts."""

from __future__ import annotations

from collections.abc import Callable

from resilience.policy.history import CallReport, report_of

__all__ = ["exhausted_inside"]

_CIRCUIT = "resilience.errors.circuit"  # by its name: it brings pybreaker along
_MOST_SEEN = 1000  # causes and members looked through


def exhausted_inside(error: BaseException, since: int) -> CallReport | None:
    """Return the report of a retry that has given up on *error*, on what it was raised from or holds, *since* then.

    A report of before is left from another call that raised the same object.
    """
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MOST_SEEN:
        each = waiting.pop()
        if id(each) in seen:  # ``raise group.exceptions[0] from group``
            continue
        seen.add(id(each))
        report = report_of(each)
        if report is not None and report.given_up > since:
            return report
        kind = type(each)
        # What a circuit names as its cause is what opened it, and not what became of this call.
        cause = None if kind.__module__ == _CIRCUIT else _cause_of(each)
        if cause is not None:
            waiting.append(cause)
        if issubclass(kind, BaseExceptionGroup):
            waiting.extend(reversed(_members_of(each)))
    return None


# Of the base class: a subclass may hide them behind a property.
_cause_of: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__cause__"].__get__
_members_of: Callable[[BaseException], tuple[BaseException, ...]] = vars(BaseExceptionGroup)["exceptions"].__get__
