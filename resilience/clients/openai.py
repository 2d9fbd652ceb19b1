"""openai, anthropic, groq and every other client that Stainless has generated: all have the same base.

The guard stands in ``client.request``, through which all calls of all resources go: an attempt is one request with the
client's own retries switched off. Clients of this make need no adapter of their own; they are known by their structure.

The behaviour of the client's own retries is kept where a program relies on it: POSTs are repeated with one idempotency
key for all attempts, ``x-should-retry`` decides where the server sends it, and ``x-stainless-retry-count`` counts.
"""

from __future__ import annotations

import copy
import functools
import importlib
import itertools
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, cast
from urllib.parse import urljoin

from resilience._safe_access import safe_getattr
from resilience._standard import Standard
from resilience.categories import ErrorCategory
from resilience.classification.retry_hints import retry_after
from resilience.clients._error_tree import ErrorTree
from resilience.clients._protection import Protection, attach_protection
from resilience.clients.adapter import Adapter, Finding
from resilience.clients.bodies import Body, body_of_parts
from resilience.clients.call_options import parse_options
from resilience.clients.exchange import AsyncExchange, BaseExchange, Exchange, by_host
from resilience.clients.guards import AsyncGuard, Guard
from resilience.errors.base import ResilienceError
from resilience.policies._unrepeatable import forbid_repeat
from resilience.policies.stop_reason import StopReason

__all__ = ["ADAPTER", "StainlessAdapter"]

_STRUCTURE: Final = ("request", "copy", "with_options", "max_retries", "base_url", "_client", "_make_status_error")
_PHASES: Final = ("connect", "read", "write", "pool")
_LEAST: Final = 0.001  # seconds: zero means "no limit" to some
_LONG: Final = 300.0  # seconds: the clients' own limit is ten minutes
_ANSWER: Final = 60.0  # seconds that a model may take: the first byte comes when it has thought
_RETRY_COUNT: Final = "x-stainless-retry-count"
_SAYS: Final = "x-should-retry"


class StainlessAdapter(Adapter[Any]):
    """The adapter for clients that Stainless has generated.

    It protects a copy, made by ``client.copy(max_retries=0)``: the copy shares the connections of the client, and the
    client itself stays as it is.
    """

    def covers(self, client: object) -> bool:
        """Return whether *client* has the methods of this make, and its package the errors that all of them have."""
        return _library_of(client) is not None and all(hasattr(client, name) for name in _STRUCTURE)

    def is_async(self, client: Any) -> bool:
        """Return whether a base of the class is the async one: all clients of this make have one of two bases."""
        return any(base.__name__ == "AsyncAPIClient" for base in type(client).__mro__)

    def errors(self, client: Any) -> ErrorTree:
        """Return the classes that programs catch: the second is one of the first, and both are an `APIError`."""
        library = _library_of(client)
        return ErrorTree(library.APIConnectionError, library.APITimeoutError)

    def dependency(self, client: Any) -> str:
        return str(client.base_url.host)

    def sends_headers(self, client: Any) -> bool:
        return True

    def repeats_posts(self, client: Any) -> bool:
        """Return whether the client repeats a POST: it does unless it was made with ``max_retries=0``."""
        return bool(client.max_retries)

    def standard(self, client: Any, name: str) -> Standard:
        """Return the stack with longer time limits than for other requests: a model thinks before its first byte."""
        return Standard(name, timeout=_ANSWER, key=by_host)

    def install(self, client: Any, guard: Guard | AsyncGuard, protection: Protection) -> Any:
        """Return a copy of *client* without retries of its own, with the guard in ``request``."""
        if client.max_retries:
            protection.note(
                f"max_retries={client.max_retries} of the client is switched off on a copy: the policies retry instead,"
                " and repeat a POST as the client did"
            )
        protected = client.copy(max_retries=0)
        self._put(protected, guard, protection)
        return protected

    def _put(self, client: Any, guard: Guard | AsyncGuard, protection: Protection) -> None:
        """Put the guard into *client*, and into each copy that is made of it."""
        send, copied = client.request, client.copy
        kind: Callable[..., Any] = _AsyncCall if isinstance(guard, AsyncGuard) else _Call

        @functools.wraps(send)
        def request(cast_to: Any, options: Any, **keywords: Any) -> Any:
            # Of an async client this is the coroutine of the guard.
            return _unwrapped(guard, kind(client, send, cast_to, options, keywords))

        @functools.wraps(copied)
        def guarded_copy(**options: Any) -> Any:
            if options.get("max_retries"):
                text = f"max_retries={options['max_retries']} has no effect on a protected client: its policies retry"
                warnings.warn(text, RuntimeWarning, stacklevel=2)
                options["max_retries"] = 0
            other = copied(**options)
            self._put(other, guard, protection)
            attach_protection(other, protection)
            return other

        client.request, client.copy, client.with_options = request, guarded_copy, guarded_copy

    def inspect(self, client: Any) -> list[Finding]:
        """Return the retries of the client, and time limits that are missing or longer than five minutes."""
        findings: list[Finding] = []
        retries = int(client.max_retries)
        if retries:
            text = f"the client retries by itself, max_retries={retries}: up to {retries + 1} requests for a call"
            findings.append(Finding("retries", text, retries + 1))
        limits = _limits(client.timeout)
        missing = [phase for phase in _PHASES if limits[phase] is None]
        if missing:
            findings.append(Finding("time_limit", f"no time limit for {', '.join(missing)}", problem=True))
        elif max(cast("float", limits[phase]) for phase in _PHASES) > _LONG:
            text = f"a response may take {limits['read']:g} s without a byte; give timeout= or a deadline"
            findings.append(Finding("time_limit", text))
        return findings


def _library_of(client: object) -> Any:
    """Return the module that has the client's errors: the package of its class, or of one of its bases."""
    for base in type(client).__mro__:
        library = sys.modules.get(base.__module__.partition(".")[0])
        if (
            safe_getattr(library, "APIConnectionError") is not None
            and safe_getattr(library, "APITimeoutError") is not None
        ):
            return library
    return None


def _unwrapped(guard: Guard | AsyncGuard, exchange: Any) -> Any:
    """Make the call, and raise the client's own error where the server has asked for another attempt in vain."""
    if isinstance(guard, AsyncGuard):
        return _unwrapped_async(guard, exchange)
    try:
        return guard.call(exchange)
    except _RetryAskedForError as asked:
        error = asked.error
    raise error


async def _unwrapped_async(guard: AsyncGuard, exchange: Any) -> Any:
    """Make the call, as `_unwrapped` does."""
    try:
        return await guard.call(exchange)
    except _RetryAskedForError as asked:
        error = asked.error
    raise error


class _RetryAskedForError(ResilienceError, category=ErrorCategory.UNAVAILABLE):
    """The server asks for another attempt by ``x-should-retry: true``, whatever the status of *error* is."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error), retry_after=retry_after(error))
        self.error: Exception = error


class _StainlessCall(BaseExchange[Any]):
    """A call of ``client.request``: an attempt returns what the client makes of the response, or raises its error.

    The idempotency key is made here, once. An attempt is a ``client.request`` of its own, which would make a key of its
    own: the server would take two attempts of one call for two calls.
    """

    def __init__(self, client: Any, send: Any, cast_to: Any, options: Any, keywords: dict[str, Any]) -> None:
        super().__init__(parse_options(None))
        self.method: str = str(options.method).upper()
        self._client = client
        self._send = send
        self._cast_to = cast_to
        self._given = copy.copy(options)
        self._keywords = keywords
        if self._given.idempotency_key is None and self.method != "GET":
            self._given.idempotency_key = client._idempotency_key()

    @property
    def url(self) -> str:
        return urljoin(str(self._client.base_url), str(self._given.url).lstrip("/"))

    def request_headers(self) -> object:
        """Return the headers that the call was given, ``extra_headers=`` and those of its method."""
        headers = self._given.headers
        if isinstance(headers, Mapping):
            return cast("Mapping[str, object]", headers)
        return {}

    def set_header(self, name: str, value: str) -> None:
        """Set the header as the call or the client spells it: with another spelling both would be sent."""
        given = cast("Mapping[str, object]", self.request_headers())
        spelled = {key.lower(): key for key in (*self._client.default_headers, *given)}
        others = {key: found for key, found in given.items() if key.lower() != name.lower()}
        self._given.headers = {**others, spelled.get(name.lower(), name): value}

    def body(self) -> Body:
        """Return the body: JSON is in memory, files of an upload are set back."""
        content = safe_getattr(self._given, "content")
        return body_of_parts([content, *_files_in(safe_getattr(self._given, "files"))])

    def status(self, response: Any) -> int:
        return 200  # the client raises the error of any other

    def describe_failure(self, error: BaseException) -> None:
        """Set the attributes that errors of this make have, with a request that was not sent."""
        request = _http_library(self._client).Request(self.method, self.url)
        error.__dict__.update(request=request, message=str(error), body=None, param=None, type=None)

    def options_of_attempt(self) -> Any:
        """Return the options of the request: no retries of the client's own, and what is left of the time."""
        options = copy.copy(self._given)
        options.max_retries = 0
        if self.attempts > 1:
            given = cast("Mapping[str, object]", self.request_headers())
            options.headers = {**given, _RETRY_COUNT: str(self.attempts - 1)}
        left = self.time_left()
        if left is not None:
            options.timeout = self._cut(options.timeout, max(left, _LEAST))
        return options

    def _cut(self, given: Any, left: float) -> Any:
        """Return the time limits of the request, *given* or the client's, none of them longer than what is *left*."""
        chosen = given
        if type(given).__name__ == "NotGiven":
            chosen = self._client.timeout
        limits = {phase: left if limit is None else min(limit, left) for phase, limit in _limits(chosen).items()}
        return _http_library(self._client).Timeout(**limits)


class _Call(_StainlessCall, Exchange[Any]):
    """A call of a sync client."""

    def send(self) -> Any:
        """Make one attempt; of a stream until its first event is there."""
        try:
            answer = self._send(self._cast_to, self.options_of_attempt(), **self._keywords)
            return _with_first_event(answer)
        except Exception as error:
            _heed_server(error)
            raise

    def settle(self, response: Any) -> None:
        """Do nothing: a failure is an exception of the client's, whose response has been read."""

    def close(self, response: Any) -> None:
        """Close the response of a stream; a model that was parsed needs nothing."""
        close: object = getattr(response, "close", None)
        if callable(close):
            close()


class _AsyncCall(_StainlessCall, AsyncExchange[Any]):
    """A call of an async client."""

    async def send(self) -> Any:
        """Make one attempt, as `_Call.send` does."""
        try:
            answer = await self._send(self._cast_to, self.options_of_attempt(), **self._keywords)
            return await _with_first_event_async(answer)
        except Exception as error:
            _heed_server(error)
            raise

    async def settle(self, response: Any) -> None:
        """Do nothing, as `_Call.settle`."""

    async def close(self, response: Any) -> None:
        """Close the response of a stream."""
        close: object = getattr(response, "close", None)
        if callable(close):
            await cast("Callable[[], Awaitable[object]]", close)()


def _http_library(client: Any) -> Any:
    """Return the module of the HTTP client below *client*: httpx, or httpx2."""
    for base in type(client._client).__mro__:
        name = base.__module__.partition(".")[0]
        if name in ("httpx", "httpx2"):
            return sys.modules[name]
    return importlib.import_module("httpx")


def _heed_server(error: Exception) -> None:
    """Mark *error* where the server says that no attempt may follow; raise another where it asks for one."""
    headers = safe_getattr(safe_getattr(error, "response"), "headers")
    says: object = None
    if headers is not None:
        says = cast("Mapping[str, str]", headers).get(_SAYS)
    if says == "false":
        forbid_repeat(error, StopReason.NOT_RETRYABLE)
    elif says == "true":
        raise _RetryAskedForError(error) from error


def _with_first_event(answer: Any) -> Any:
    """Return *answer*; of a stream once its first event is there. One that fails before that counts as failed."""
    events = _events_of(answer)
    if isinstance(events, Iterator):
        first = list(itertools.islice(cast("Iterator[object]", events), 1))
        answer._iterator = itertools.chain(first, cast("Iterator[object]", events))
    return answer


async def _with_first_event_async(answer: Any) -> Any:
    """Return *answer*, as `_with_first_event` does."""
    events = _events_of(answer)
    if isinstance(events, AsyncIterator):
        rest = cast("AsyncIterator[object]", events)
        async for event in rest:
            answer._iterator = _chain_async(event, rest)
            break
    return answer


def _events_of(answer: Any) -> object:
    """Return the iterator of a stream's events; None of any other answer."""
    if type(answer).__name__.endswith("Stream"):
        return safe_getattr(answer, "_iterator")
    return None


async def _chain_async(first: object, rest: AsyncIterator[object]) -> AsyncIterator[object]:
    """Yield the *first* event, and then the *rest*."""
    yield first
    async for event in rest:
        yield event


def _limits(timeout: Any) -> dict[str, float | None]:
    """Return the limits of a time limit, a number or an object of httpx, by phase."""
    if isinstance(timeout, int | float):
        return dict.fromkeys(_PHASES, float(timeout))
    return {phase: cast("float | None", safe_getattr(timeout, phase)) for phase in _PHASES}


def _files_in(files: object) -> Iterator[object]:
    """Yield the contents of *files*, as httpx takes them: a mapping or pairs, of a content or a tuple with a name."""
    if isinstance(files, Mapping):
        parts: Iterable[object] = cast("Mapping[object, object]", files).values()
    elif isinstance(files, list | tuple):
        parts = (pair[1] for pair in cast("Iterable[tuple[object, object]]", files))
    else:
        return
    for part in parts:
        yield cast("tuple[object, ...]", part)[1] if isinstance(part, tuple) else part


ADAPTER: Final = StainlessAdapter()
