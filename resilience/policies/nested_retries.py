"""Whether a failure has exhausted a nested retry: then another attempt would multiply the attempts of both."""

from __future__ import annotations

from collections.abc import Callable

from resilience.policies.retry_report import CallReport, report_of

__all__ = ["inner_exhaustion"]

_CIRCUIT = "resilience.errors.circuit"  # by its name: it brings pybreaker along
_MAX_EXCEPTIONS = 1000  # causes and members searched


def inner_exhaustion(error: BaseException, after: int) -> CallReport | None:
    """Return the report of a retry that *error*, one of its causes or members has exhausted, if it did so *after*.

    A report with an exhaustion number up to *after* is left from an earlier call that raised the same object.
    """
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MAX_EXCEPTIONS:
        each = waiting.pop()
        if id(each) in seen:  # ``raise group.exceptions[0] from group``
            continue
        seen.add(id(each))
        report = report_of(each)
        if report is not None and report.exhaustion_number > after:
            return report
        kind = type(each)
        # The cause of a CircuitOpenError is what opened the circuit, not a failure of this call.
        cause = None if kind.__module__ == _CIRCUIT else _cause_of(each)
        if cause is not None:
            waiting.append(cause)
        if issubclass(kind, BaseExceptionGroup):
            waiting.extend(reversed(_members_of(each)))
    return None


# Of the base class: a subclass may hide them behind a property.
_cause_of: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__cause__"].__get__
_members_of: Callable[[BaseException], tuple[BaseException, ...]] = vars(BaseExceptionGroup)["exceptions"].__get__
