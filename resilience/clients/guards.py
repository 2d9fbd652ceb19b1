"""The guard of a client: it takes each exchange through the policies, and hands the caller what the client would.

`Guard` is for sync clients, `AsyncGuard` for async ones; the conformance matrix holds both to the same rows. They make
four promises:

* A response with the status of an error fails the attempt (`ErrorResponse`), and reaches the caller as the response.
* An error of a policy reaches the caller within the client's own exception tree (`ErrorTree`). An exception of the
  client stays the same object.
* Every response that the caller does not get is closed, at the latest when the next attempt begins or the call ends.
* An attempt sends the body that the first one sent, or is not made.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast

from resilience._deadline_context import current_deadline_any_clock, deadline_or_inf, pop_deadline
from resilience._runtime.protocol import Policy
from resilience.categories import ErrorCategory
from resilience.classification._delivery import never_connected
from resilience.clients._error_tree import ErrorTree
from resilience.clients._stack import HostStacks, arranged, begin_limit
from resilience.clients.exchange import (
    FIRST_ERROR,
    AsyncExchange,
    BaseExchange,
    ErrorResponse,
    Exchange,
    running_attempt,
)
from resilience.clock import current_clock
from resilience.errors.base import DeadlineExceededError, ResilienceError
from resilience.policies._unrepeatable import forbid_repeat
from resilience.policies.deadline import Deadline
from resilience.policies.retry_report import report_of
from resilience.policies.stop_reason import StopReason

__all__ = ["AsyncGuard", "Guard"]

_REPORT: Final = "resilience"


class Guard:
    """Takes the exchanges of one sync client through *policies*; *target* is the name of what is called.

    A guard is made once for each client. All that belongs to a single call is in its `Exchange`, so threads may share a
    guard as they share the client. It reads no response itself: the exchange knows how, and the guard decides when.
    """

    def __init__(self, target: str, policies: Sequence[Policy], errors: ErrorTree) -> None:
        """Arrange the policies, and guard the attempt by them: its only argument is the exchange.

        Args:
            target: the name of what is called, in errors, events and metrics.
            policies: outermost first, each of which fits the client: `protect` has left the others out.
            errors: the classes of the client's exception tree that errors of policies become.
        """

        def attempt(exchange: Exchange[Any]) -> object:
            if exchange.failed:
                _close(exchange, exchange.failed)
            _begin(exchange, target, limit)
            token = running_attempt.set(exchange.attempts)
            in_force = None
            try:
                if limit < math.inf:
                    in_force = begin_limit(exchange.due, exchange.clock)
                for header in headers:
                    header.send(exchange)
                response = exchange.send()
                status = exchange.status(response)
                if status < FIRST_ERROR:
                    exchange.unclaimed.append(response)
                    return response
                exchange.failed.append(response)
                exchange.settle(response)
                raise ErrorResponse(exchange.method, exchange.url, status, response)
            except Exception as error:
                _mark(exchange, error)
                raise
            finally:
                exchange.running -= 1
                running_attempt.reset(token)
                if in_force is not None:
                    pop_deadline(in_force)

        stack = arranged(policies, is_async=False)
        limit, headers = stack.limit, stack.headers
        self.target: str = target
        self.errors: ErrorTree = errors
        self._deadline = stack.deadline
        self._stacks = HostStacks(_named(attempt, target), stack.policies)

    def call(self, exchange: Exchange[Any]) -> Any:
        """Make the call: return the response for the caller, or raise the client's error, or one within its tree.

        Only the errors of policies are translated. An exception that the client has raised passes through with its
        traceback, even where it is a `ResilienceError`, as of a protected client below this one.
        """
        if not exchange.options.enabled:
            _begin_unguarded(exchange)
            return exchange.send()
        answer: object = None
        failed: Exception | None = None
        in_force = None
        exchange.clock = clock = current_clock()
        exchange.call_due = clock.now() + self._deadline
        try:
            try:
                if self._deadline < math.inf:
                    in_force = begin_limit(exchange.call_due, clock)
                guarded = self._stacks.of(exchange)
                if exchange.options.deadline is not None:
                    guarded = _limited(guarded, exchange.options.deadline)
                answer = guarded(exchange)
            except (ErrorResponse, ResilienceError) as error:
                if _is_own(error, exchange):
                    raise
                failed = error
            finally:
                if in_force is not None:
                    pop_deadline(in_force)
            if failed is None:
                return _claim(exchange, answer)
            if isinstance(failed, ErrorResponse):
                return exchange.finish(_claim(exchange, failed.response))
            raise _for_caller(failed, exchange, self.errors)
        finally:
            failed = exchange.failure = None
            if exchange.unclaimed or exchange.failed:
                _close(exchange, exchange.unclaimed, exchange.failed)


class AsyncGuard:
    """Takes the exchanges of one async client through *policies*; *target* is the name of what is called.

    It differs from `Guard` in its limits, which stay policies of the stack, and in that it closes responses within a
    shield: a cancelled call must not lose connections.
    """

    def __init__(self, target: str, policies: Sequence[Policy], errors: ErrorTree) -> None:
        """Arrange the policies, as `Guard` does."""

        async def attempt(exchange: AsyncExchange[Any]) -> object:
            if exchange.failed:
                await _aclose(exchange, exchange.failed)
            _begin(exchange, target, limit)
            token = running_attempt.set(exchange.attempts)
            try:
                for header in headers:
                    header.send(exchange)
                response = await exchange.send()
                status = exchange.status(response)
                if status < FIRST_ERROR:
                    exchange.unclaimed.append(response)
                    return response
                exchange.failed.append(response)
                await exchange.settle(response)
                raise ErrorResponse(exchange.method, exchange.url, status, response)
            except Exception as error:
                _mark(exchange, error)
                raise
            finally:
                exchange.running -= 1
                running_attempt.reset(token)

        stack = arranged(policies, is_async=True)
        limit, headers = stack.limit, stack.headers
        self.target: str = target
        self.errors: ErrorTree = errors
        self._deadline = stack.deadline
        self._stacks = HostStacks(_named(attempt, target), stack.policies)

    async def call(self, exchange: AsyncExchange[Any]) -> Any:
        """Make the call, as `Guard.call` does."""
        if not exchange.options.enabled:
            _begin_unguarded(exchange)
            return await exchange.send()
        answer: object = None
        failed: Exception | None = None
        exchange.clock = clock = current_clock()
        exchange.call_due = clock.now() + self._deadline
        try:
            try:
                guarded = self._stacks.of(exchange)
                if exchange.options.deadline is not None:
                    guarded = _limited_async(guarded, exchange.options.deadline)
                answer = await guarded(exchange)
            except (ErrorResponse, ResilienceError) as error:
                if _is_own(error, exchange):
                    raise
                failed = error
            if failed is None:
                return _claim(exchange, answer)
            if isinstance(failed, ErrorResponse):
                return await exchange.finish(_claim(exchange, failed.response))
            raise _for_caller(failed, exchange, self.errors)
        finally:
            failed = exchange.failure = None
            if exchange.unclaimed or exchange.failed:
                await _aclose(exchange, exchange.unclaimed, exchange.failed)


def _limited(guarded: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """Return what makes a call by *guarded* within the deadline of its options."""

    def limited(exchange: Exchange[Any]) -> Any:
        with Deadline(seconds):
            return guarded(exchange)

    return limited


def _limited_async(guarded: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """Return what makes an async call by *guarded* within the deadline of its options."""

    async def limited(exchange: AsyncExchange[Any]) -> Any:
        async with Deadline(seconds):
            return await guarded(exchange)

    return limited


def _is_own(error: Exception, exchange: BaseExchange[Any]) -> bool:
    """Return whether *error* is what the client has raised itself, a `ResilienceError` too: it stays as it is."""
    return error is exchange.failure and not isinstance(error, ErrorResponse)


def _begin_unguarded(exchange: BaseExchange[Any]) -> None:
    """Begin a call without policies, which has the time limit that its caller has given."""
    exchange.clock = clock = current_clock()
    if exchange.options.deadline is not None:
        exchange.due = clock.now() + exchange.options.deadline


def _named(function: Any, target: str) -> Any:
    """Return *function* under the name of what it calls, by which policies know it in errors and events."""
    function.__module__, _, function.__qualname__ = target.partition(".")
    function.__name__ = function.__qualname__.rpartition(".")[2]
    return function


def _begin(exchange: BaseExchange[Any], target: str, limit: float) -> None:
    """Begin an attempt, which has *limit* seconds: set the body back where it was sent before.

    An enclosing time limit of an async function is not looked up, which would take longer than the rest: it cancels the
    attempt. Raises ResilienceError where the body cannot be sent again, and where the deadline has passed already.
    """
    clock, due = exchange.clock, exchange.call_due
    active = current_deadline_any_clock()
    if active is not None and active.moment < due:
        due = min(due, deadline_or_inf(clock))  # it may be another clock's, or be shielded off
    now = clock.now()
    exchange.due = due = min(due, now + limit)
    if now >= due:
        raise DeadlineExceededError(target)
    if exchange.attempts:
        _rewind(exchange)
    else:
        exchange.known_body = exchange.body()
    exchange.attempts += 1
    exchange.running += 1


def _rewind(exchange: BaseExchange[Any]) -> None:
    """Set the body back for a further attempt. Raises ResilienceError where that cannot be done."""
    body = exchange.known_body
    if not body.may_repeat() or (exchange.running and not body.shareable):
        message = f"the body of {exchange.method} {exchange.url} cannot be sent again"
        raise ResilienceError(message, category=ErrorCategory.REJECTED)
    body.rewind()


def _mark(exchange: BaseExchange[Any], error: Exception) -> None:
    """Keep the *error* of an attempt, and forbid to repeat the call where nothing that can be sent is left of it.

    The caller's ``idempotent=False`` forbids it as well, unless the error proves that no connection was made: then the
    server cannot have seen the request.
    """
    exchange.failure = error
    if not exchange.known_body.may_repeat():
        forbid_repeat(error, StopReason.BODY)
    elif exchange.options.idempotent is False and not never_connected(error):
        forbid_repeat(error, StopReason.NOT_IDEMPOTENT)


def _claim(exchange: BaseExchange[Any], answer: object) -> object:
    """Return the *answer* as the caller's: from now on the caller closes it. A failed one carries its report.

    A fallback may answer with a value of its own, and a hedge leaves the responses of its other attempts: all that is
    not the answer stays with the exchange, whose guard closes it.
    """
    received = exchange.unclaimed
    if len(received) == 1 and received[0] is answer:  # as nearly always
        received.clear()
        return answer
    for responses in (received, exchange.failed):
        responses[:] = [response for response in responses if response is not answer]
    failure = exchange.failure
    if isinstance(failure, ErrorResponse) and failure.response is answer and (report := report_of(failure)):
        with contextlib.suppress(Exception):  # a response with slots
            cast("Any", answer).__dict__[_REPORT] = report
    return answer


def _taken_from(received: Iterable[list[Any]]) -> list[Any]:
    """Return the responses of the lists, which are empty then: each is closed once."""
    taken: list[Any] = []
    for responses in received:
        taken += responses
        responses.clear()
    return taken


def _close(exchange: Exchange[Any], *received: list[Any]) -> None:
    """Close the responses that were *received*, and that the caller does not get."""
    for response in _taken_from(received):
        with contextlib.suppress(Exception):  # a connection that is lost is closed
            exchange.close(response)


async def _aclose(exchange: AsyncExchange[Any], *received: list[Any]) -> None:
    """Close responses, in a task that is being cancelled as well: their connections would be lost to the pool."""
    import anyio

    with anyio.CancelScope(shield=True):
        for response in _taken_from(received):
            with contextlib.suppress(Exception):
                await exchange.close(response)


def _for_caller(error: Exception, exchange: BaseExchange[Any], errors: ErrorTree) -> Exception:
    """Return an *error* of a policy within the client's tree."""
    if not isinstance(error, ResilienceError):
        return error
    adopted = errors.adopt(error)
    exchange.describe_failure(adopted)
    return adopted
