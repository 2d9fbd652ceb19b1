"""Search for a nested retry that a failure has exhausted, so that attempts of nested retries do not multiply.

An exhausted retry leaves a `CallReport` on its error. The error may reach an enclosing retry as it is, or as the cause
of another one, or in an exception group. Reports are numbered (`_runtime.exhaustion`), so that one which an earlier
call has left on the same object is not taken for one of the present attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from resilience.policies.retry_report import CallReport, report_of

__all__ = ["inner_exhaustion"]

_CIRCUIT = "resilience.errors.circuit"  # by its name: it brings pybreaker along
_MAX_EXCEPTIONS = 1000  # causes and members searched


def inner_exhaustion(error: BaseException, after: int) -> CallReport | None:
    """Return the report of a retry that *error*, one of its causes or members has exhausted, if it did so *after*.

    A report with an exhaustion number up to *after* is left from an earlier call that raised the same object.
    """
    for each in _causes_and_members(error):
        report = report_of(each)
        if report is not None and report.exhaustion_number > after:
            return report
    return None


def _causes_and_members(error: BaseException) -> Iterator[BaseException]:
    """Yield *error*, its causes and its members, depth first, each once: ``raise group.exceptions[0] from group``."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MAX_EXCEPTIONS:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += _inside(each)


def _inside(error: BaseException) -> Iterator[BaseException]:
    """Yield the cause of *error*, and the members of an exception group."""
    kind = type(error)
    # The cause of a CircuitOpenError is what opened the circuit, not a failure of this call.
    cause = _cause_of(error)
    if cause is not None and kind.__module__ != _CIRCUIT:
        yield cause
    if issubclass(kind, BaseExceptionGroup):
        yield from reversed(_members_of(error))


# Of the base class: a subclass may hide them behind a property.
_cause_of: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__cause__"].__get__
_members_of: Callable[[BaseException], tuple[BaseException, ...]] = vars(BaseExceptionGroup)["exceptions"].__get__
