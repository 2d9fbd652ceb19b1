"""Results of many calls: `CallResult` for each, `GatheredResults` for all of them. `resilience.gather` makes them.

An error is a value here, so that one failed call does not hide the results of the others. A description of a result
names types and codes, never a value or a message: both may be secret.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, TypeVar, cast

from resilience.errors._validation import safe_message
from resilience.errors.base import ResilienceError

__all__ = ["CallResult", "GatheredResults"]

T_co = TypeVar("T_co", covariant=True)

_MAX_NAMED = 3  # of the calls that failed


class CallResult(Generic[T_co]):
    """The result of one call: its *value*, or the *error* it raised. *task_id* is its name, or its number from 0."""

    __slots__ = ("_value", "error", "task_id")

    def __init__(self, task_id: Hashable, value: T_co | None = None, error: Exception | None = None) -> None:
        self.task_id: Hashable = task_id
        self._value = value
        self.error: Exception | None = error

    @property
    def ok(self) -> bool:
        """Whether the call succeeded."""
        return self.error is None

    @property
    def value(self) -> T_co:
        """The value that the call returned. Raises its error where it failed."""
        if self.error is not None:
            raise self.error
        return cast("T_co", self._value)

    def to_dict(self) -> dict[str, object]:
        """Return the result without its value, as JSON takes it. An error without a code has UNKNOWN_ERROR.

        >>> CallResult("a", error=KeyError("b")).to_dict()
        {'task_id': 'a', 'error': "'b'", 'error_code': 'UNKNOWN_ERROR'}
        """
        if self.error is None:
            return {"task_id": self.task_id, "error": None, "error_code": None}
        return {
            "task_id": self.task_id,
            "error": safe_message(self.error) or type(self.error).__name__,
            "error_code": _code(self.error),
        }

    def __repr__(self) -> str:
        # Neither the value nor a message: both may be secret.
        if self.error is None:
            return f"<CallResult {self.task_id!r}: ok>"
        return f"<CallResult {self.task_id!r}: {type(self.error).__name__}>"


class GatheredResults(Generic[T_co]):
    """The results of several calls, in the order in which the calls were given.

    >>> gathered = GatheredResults([CallResult("a", 1), CallResult("b", error=KeyError("no b"))])
    >>> gathered.successes, gathered.failures
    ([1], [<CallResult 'b': KeyError>])
    """

    __slots__ = ("results",)

    def __init__(self, results: Sequence[CallResult[T_co]]) -> None:
        #: The result of each call.
        self.results: Sequence[CallResult[T_co]] = results

    @property
    def successes(self) -> list[T_co]:
        """The values of the calls that succeeded."""
        return [each.value for each in self.results if each.ok]

    @property
    def failures(self) -> list[CallResult[T_co]]:
        """The calls that failed."""
        return [each for each in self.results if not each.ok]

    def raise_if_failed(self) -> GatheredResults[T_co]:
        """Raise an ExceptionGroup of all errors if there are any; else return this."""
        failures = self.failures
        errors = [each.error for each in failures if each.error is not None]
        if not errors:
            return self
        names = [repr(each.task_id) for each in failures[:_MAX_NAMED]]
        if len(failures) > _MAX_NAMED:
            names.append("...")
        raise ExceptionGroup(f"{len(errors)} of {len(self.results)} calls failed: {', '.join(names)}", errors)

    def __iter__(self) -> Iterator[CallResult[T_co]]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __repr__(self) -> str:
        return f"<GatheredResults: {len(self.results)} calls, {len(self.failures)} failed>"


def _code(error: Exception) -> str:
    if isinstance(error, ResilienceError):
        return error.error_code
    return "UNKNOWN_ERROR"
