"""The guard of a client: it takes each exchange through the policies, and hands the caller what the client would.

`Guard` is for sync clients, `AsyncGuard` for async ones; a test compares the two. They make four promises:

* A response with the status of an error fails the attempt (`ErrorResponse`), and reaches the caller as the response.
* An error of a policy reaches the caller within the client's own exception tree (`ErrorTree`). An exception of the
  client stays the same object.
* Every response that the caller does not get is closed, at the latest when the next attempt begins or the call ends.
* An attempt sends the body that the first one sent, or is not made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from contextvars import Token
from typing import Any, Final, cast

from resilience._runtime.protocol import Policy
from resilience.categories import ErrorCategory
from resilience.classification._delivery import never_connected
from resilience.clients._error_tree import ErrorTree
from resilience.clients._stack import HostStacks, arranged, begin_limit, end_limit
from resilience.clients.exchange import AsyncExchange, BaseExchange, ErrorResponse, Exchange, running_attempt
from resilience.errors.base import DeadlineExceededError, ResilienceError
from resilience.policies._unrepeatable import forbid_repeat
from resilience.policies.deadline import Deadline
from resilience.policies.retry_report import report_of
from resilience.policies.stop_reason import StopReason

__all__ = ["AsyncGuard", "Guard"]

_FIRST_ERROR: Final = 400
_REPORT: Final = "resilience"


class Guard:
    """Takes the exchanges of one sync client through *policies*; *target* is the name of what is called."""

    def __init__(self, target: str, policies: Sequence[Policy], errors: ErrorTree) -> None:
        def attempt(exchange: Exchange[Any]) -> object:
            if exchange.failed:
                _close(exchange, exchange.failed)
            limit = begin_limit(stack.limit)
            try:
                token = _begin(exchange, target, stack.limit)
            except BaseException:
                end_limit(limit)
                raise
            try:
                response = exchange.send()
                status = exchange.status(response)
                if status < _FIRST_ERROR:
                    exchange.unclaimed.append(response)
                    return response
                exchange.failed.append(response)
                exchange.settle(response)
                raise ErrorResponse(exchange.method, exchange.url, status, response)
            except Exception as error:
                _mark(exchange, error)
                raise
            finally:
                end_limit(limit)
                _end(exchange, token)

        stack = arranged(policies, is_async=False)
        self.target: str = target
        self.errors: ErrorTree = errors
        self._deadline = stack.deadline
        self._stacks = HostStacks(_named(attempt, target), stack.policies)

    def call(self, exchange: Exchange[Any]) -> Any:
        """Make the call: return the response for the caller, or raise the client's error, or one within its tree."""
        try:
            answer, error = self._outcome(exchange)
            if isinstance(error, ErrorResponse):
                return exchange.finish(_claim(exchange, error.response))
            if error is not None:
                raise _for_caller(error, exchange, self.errors)
            return _claim(exchange, answer)
        finally:
            error = exchange.failure = None
            if exchange.unclaimed or exchange.failed:
                _close(exchange, exchange.unclaimed, exchange.failed)

    def _outcome(self, exchange: Exchange[Any]) -> tuple[object, Exception | None]:
        """Return the answer of the call; or None, and an error that the caller does not get as it is."""
        exchange.begin_call(self._deadline)
        limit = begin_limit(self._deadline)
        try:
            if exchange.options.deadline is None:
                return self._stacks.of(exchange)(exchange), None
            with Deadline(exchange.options.deadline):
                return self._stacks.of(exchange)(exchange), None
        except (ErrorResponse, ResilienceError) as error:
            if error is exchange.failure and not isinstance(error, ErrorResponse):
                raise
            return None, error
        finally:
            end_limit(limit)


class AsyncGuard:
    """Takes the exchanges of one async client through *policies*; *target* is the name of what is called."""

    def __init__(self, target: str, policies: Sequence[Policy], errors: ErrorTree) -> None:
        async def attempt(exchange: AsyncExchange[Any]) -> object:
            if exchange.failed:
                await _aclose(exchange, exchange.failed)
            token = _begin(exchange, target, stack.limit)
            try:
                response = await exchange.send()
                status = exchange.status(response)
                if status < _FIRST_ERROR:
                    exchange.unclaimed.append(response)
                    return response
                exchange.failed.append(response)
                await exchange.settle(response)
                raise ErrorResponse(exchange.method, exchange.url, status, response)
            except Exception as error:
                _mark(exchange, error)
                raise
            finally:
                _end(exchange, token)

        stack = arranged(policies, is_async=True)
        self.target: str = target
        self.errors: ErrorTree = errors
        self._deadline = stack.deadline
        self._stacks = HostStacks(_named(attempt, target), stack.policies)

    async def call(self, exchange: AsyncExchange[Any]) -> Any:
        """Make the call, as `Guard.call` does."""
        try:
            answer, error = await self._outcome(exchange)
            if isinstance(error, ErrorResponse):
                return await exchange.finish(_claim(exchange, error.response))
            if error is not None:
                raise _for_caller(error, exchange, self.errors)
            return _claim(exchange, answer)
        finally:
            error = exchange.failure = None
            if exchange.unclaimed or exchange.failed:
                await _aclose(exchange, exchange.unclaimed, exchange.failed)

    async def _outcome(self, exchange: AsyncExchange[Any]) -> tuple[object, Exception | None]:
        """Return the answer of the call; or None, and an error that the caller does not get as it is."""
        exchange.begin_call(self._deadline)
        try:
            if exchange.options.deadline is None:
                return await self._stacks.of(exchange)(exchange), None
            async with Deadline(exchange.options.deadline):
                return await self._stacks.of(exchange)(exchange), None
        except (ErrorResponse, ResilienceError) as error:
            if error is exchange.failure and not isinstance(error, ErrorResponse):
                raise
            return None, error


def _named(function: Any, target: str) -> Any:
    """Return *function* under the name of what it calls, by which policies know it in errors and events."""
    function.__module__, _, function.__qualname__ = target.partition(".")
    function.__name__ = function.__qualname__.rpartition(".")[2]
    return function


def _begin(exchange: BaseExchange[Any], target: str, limit: float | None) -> Token[int]:
    """Begin an attempt: set the body back where it was sent before.

    Raises ResilienceError where that cannot be done, and where the deadline has passed already.
    """
    exchange.begin_attempt(limit)
    if exchange.time_left() == 0:
        raise DeadlineExceededError(target)
    body = exchange.known_body
    if exchange.attempts:
        if not body.may_repeat() or (exchange.running and not body.shareable):
            message = f"the body of {exchange.method} {exchange.url} cannot be sent again"
            raise ResilienceError(message, category=ErrorCategory.REJECTED)
        body.rewind()
    exchange.attempts += 1
    exchange.running += 1
    return running_attempt.set(exchange.attempts)


def _end(exchange: BaseExchange[Any], token: Token[int]) -> None:
    exchange.running -= 1
    running_attempt.reset(token)


def _mark(exchange: BaseExchange[Any], error: Exception) -> None:
    """Keep the *error* of an attempt, and forbid to repeat the call where nothing that can be sent is left of it."""
    exchange.failure = error
    if not exchange.known_body.may_repeat():
        forbid_repeat(error, StopReason.BODY)
    elif exchange.options.idempotent is False and not never_connected(error):
        forbid_repeat(error, StopReason.NOT_IDEMPOTENT)


def _claim(exchange: BaseExchange[Any], answer: object) -> object:
    """Return the *answer* as the caller's: from now on the caller closes it. A failed one carries its report."""
    received = exchange.unclaimed
    if received and received[-1] is answer:  # as nearly always
        received.pop()
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
