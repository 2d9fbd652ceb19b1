"""Errors of policies within the exception tree of a client library.

A program that calls a client catches the client's errors: ``except httpx.HTTPError``. An open circuit must not get past
that, and programs that know the toolkit catch `CircuitOpenError`. So the error that reaches the caller is both: of a
class made from the policy's class and the client's, once for each pair.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

from resilience.errors._pickling import Parts, new_uninitialized, reduce_exception, restore_exception
from resilience.errors.base import CallTimeoutError, DeadlineExceededError, ResilienceError

__all__ = ["ErrorTree", "joined"]


class ErrorTree(NamedTuple):
    """The classes of a client's exception tree that errors of policies become instances of as well."""

    rejected: type[Exception]
    """For calls that were not made, and for all other errors."""
    timeout: type[Exception]
    """For calls that a time limit or a deadline has ended."""

    def adopt(self, error: ResilienceError) -> ResilienceError:
        """Return *error* as an error of the client too: of its class and of the client's, with the same content.

        An error that is within the tree already is returned as it is.
        """
        base = self.rejected
        if isinstance(error, CallTimeoutError | DeadlineExceededError):
            base = self.timeout
        if isinstance(error, base):
            return error
        kind = joined(type(error), base)
        adopted = cast("ResilienceError", new_uninitialized(kind, error.args))
        adopted.args = error.args  # an OSError, such as the errors of requests, takes them in its __init__ alone
        adopted.__dict__.update(error.__dict__)
        adopted.__cause__ = error.__cause__
        adopted.__suppress_context__ = True
        return adopted.with_traceback(error.__traceback__)


def joined(error: type[ResilienceError], base: type[Exception]) -> type[ResilienceError]:
    """Return the class of errors that are of the classes *error* and *base*, always the same one.

    >>> from resilience import CircuitOpenError
    >>> both = joined(CircuitOpenError, ConnectionError)
    >>> issubclass(both, CircuitOpenError), issubclass(both, ConnectionError), both.__name__
    (True, True, 'CircuitOpenError')
    """
    found = _JOINED.get((error, base))
    if found is None:
        found = _JOINED.setdefault((error, base), _join(error, base))
    return found


_JOINED: Final[dict[tuple[type, type], type[ResilienceError]]] = {}


def _join(error: type[ResilienceError], base: type[Exception]) -> type[ResilienceError]:
    """Make the class of errors that are of both classes, which pickles as the two: it has no module to be found in."""

    def reduce(self: ResilienceError, _: object) -> tuple[Any, ...]:
        return _restore, (error, base, reduce_exception(self)[2])

    body = {"__module__": error.__module__, "__qualname__": error.__qualname__, "__doc__": error.__doc__}
    return cast("type[ResilienceError]", type(error.__name__, (error, base), {**body, "__reduce_ex__": reduce}))


def _restore(error: type[ResilienceError], base: type[Exception], parts: Parts) -> BaseException:
    """Return an error that was pickled, of the joined class of this process."""
    restored = new_uninitialized(joined(error, base))
    restore_exception(restored, parts)
    return restored
