"""One call of a client library, as the policies see it: an exchange of requests and responses.

The user's call (``client.get(url)``) becomes an `Exchange`. It makes one attempt by `send`, which follows redirects
and authenticates as the client does, and it knows what belongs to all attempts: the request, its body, and the
responses that the caller has not got. `Guard` takes it through the policies.

An adapter writes a subclass for its client: `Exchange` for a sync one, `AsyncExchange` for an async one.
"""

from __future__ import annotations

import abc
import math
from contextvars import ContextVar
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from resilience._injected import mark_injected
from resilience._safe_access import safe_getattr
from resilience.clients.bodies import FIXED, Body
from resilience.clients.call_options import ParsedOptions
from resilience.clock import SYSTEM, Clock
from resilience.faults._receiver import FaultReceiver

__all__ = [
    "FIRST_ERROR",
    "MAX_DRAINED",
    "AsyncExchange",
    "BaseExchange",
    "ErrorResponse",
    "Exchange",
    "HasHost",
    "by_host",
    "current_attempt",
    "running_attempt",
]

R = TypeVar("R")

FIRST_ERROR: Final = 400
"""The first status of HTTP that is an error."""
MAX_DRAINED: Final = 65_536
"""Bytes of the body of a failed response that are read, so that its connection can be used again."""

_DECLARED: Final = {"idempotency-key": "declared by the caller"}
running_attempt: Final[ContextVar[int]] = ContextVar("resilience.current_attempt", default=0)
"""The number of the attempt that the running code belongs to."""


class ErrorResponse(Exception):
    """A response with the status of an error, as policies see it; callers of the client get the *response* itself.

    The client raises nothing for such a response, so policies would take it for a success. They see this instead, and
    classify it by the status and the headers of *response*.
    """

    def __init__(self, method: str, url: str, status: int, response: object) -> None:
        super().__init__(method, url, status)
        self.response: object = response
        self.status: int = status

    def __str__(self) -> str:
        method, url, status = self.args
        return f"{method} {url} was answered with {status}"


class BaseExchange(FaultReceiver, abc.ABC, Generic[R]):
    """The common part of sync and async exchanges. *options* are those of the single call.

    Policies, and functions such as ``key=`` of a circuit, get the exchange as the call's only argument. They read
    *method*, *url*, *host* and *headers*.
    """

    method: str
    """The method of the first request, in capitals."""

    # Attributes of the class as long as they have these values: most calls succeed at once, and set few of them.

    #: The attempts that have begun.
    attempts: int = 0
    #: The attempts that run now: a hedge has more than one.
    running: int = 0
    #: What the last attempt that failed has raised.
    failure: Exception | None = None
    #: When the call, and when the attempt must be over, by the clock; infinity: nothing limits it.
    call_due: float = math.inf
    due: float = math.inf
    clock: Clock = SYSTEM
    #: What `body` has returned, once.
    known_body: Body = FIXED

    def __init__(self, options: ParsedOptions) -> None:
        self.options: ParsedOptions = options
        #: The responses that were received, and neither closed nor handed to the caller; those with an error status,
        #: which the next attempt closes, apart.
        self.unclaimed: list[R] = []
        self.failed: list[R] = []

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """The URL of the first request."""

    @property
    def host(self) -> str:
        """The host that the first request is for, with its port where that is not the default."""
        parts = urlsplit(self.url)
        return parts.netloc.rpartition("@")[2].lower()

    @property
    def headers(self) -> object:
        """The headers of the first request, by which a retry knows of an idempotency key."""
        if self.options.idempotent:
            return _DECLARED
        return self.request_headers()

    @abc.abstractmethod
    def request_headers(self) -> object:
        """Return the headers of the first request, in any form that the client has."""

    def set_header(self, name: str, value: str) -> None:
        """Set a header of the request that the next attempt sends. Clients without headers raise TypeError."""
        raise TypeError(f"{type(self).__name__} has no headers to send: {name}")

    def body(self) -> Body:
        """Return the body of the request, before the first attempt sends it."""
        return FIXED

    @abc.abstractmethod
    def status(self, response: R) -> int:
        """Return the HTTP status of *response*."""

    def receive_fault(self, error: Exception) -> Exception:
        """Return what an attempt raises for an injected *error*: its response, where the client returns that."""
        response: Any = safe_getattr(error, "response")
        if response is None:
            return error
        status = self.status(response)
        if status < FIRST_ERROR:  # the client itself raises the error of a status
            return error
        self.failed.append(response)
        self.failure = failure = ErrorResponse(self.method, self.url, status, response)
        mark_injected(failure)
        return failure

    def describe_failure(self, error: BaseException) -> None:
        """Set what the client's own errors carry, such as their request, on an *error* that a policy has made."""

    def time_left(self) -> float | None:
        """Return the seconds that are left of the attempt, 0 or more; None: nothing limits it."""
        if self.due == math.inf:
            return None
        return max(0.0, self.due - self.clock.now())


class Exchange(BaseExchange[R]):
    """One call of a sync client."""

    @abc.abstractmethod
    def send(self) -> R:
        """Make one attempt: send the request, with redirects and authentication, within `time_left`; return a response.

        The body of a response that the client would have read is read here, so that an attempt which fails in the
        middle of the body counts as failed. Where the status is that of an error it is left to `settle`.
        """

    @abc.abstractmethod
    def settle(self, response: R) -> None:
        """Read up to `MAX_DRAINED` bytes of a failed *response*, and give its connection back if that is all of it.

        The caller must still be able to read the whole body. An error while reading is raised when the caller does.
        """

    @abc.abstractmethod
    def close(self, response: R) -> None:
        """Give up a *response* that the caller does not get, with its connection."""

    def finish(self, response: R) -> R:
        """Return a failed *response* as the caller gets it: read to its end where the client would have done so."""
        return response


class AsyncExchange(BaseExchange[R]):
    """One call of an async client: the methods do what those of `Exchange` do."""

    @abc.abstractmethod
    async def send(self) -> R:
        """Make one attempt, as `Exchange.send` does."""

    @abc.abstractmethod
    async def settle(self, response: R) -> None:
        """Read a failed *response*, as `Exchange.settle` does."""

    @abc.abstractmethod
    async def close(self, response: R) -> None:
        """Give up a *response*, as `Exchange.close` does."""

    async def finish(self, response: R) -> R:
        """Return a failed *response* as the caller gets it, as `Exchange.finish` does."""
        return response


class HasHost(Protocol):
    """The argument of a protected call, as far as a ``key=`` needs it."""

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """The URL of the first request."""

    @property
    def host(self) -> str: ...


def by_host(exchange: HasHost, /) -> str:
    """Return the host of a protected call: the key of a circuit, a bulkhead or a rate limit for each host.

    >>> from resilience import circuit_breaker
    >>> circuit_breaker("the web", key=by_host).scope
    'key'
    """
    return exchange.host


def current_attempt() -> int:
    """Return the number of the attempt that the running code belongs to, from 1; 0 outside of a protected call.

    For code below the policies, such as an event hook of the client or the span of an attempt: OpenTelemetry's
    ``http.request.resend_count`` is one less.
    """
    return running_attempt.get()
