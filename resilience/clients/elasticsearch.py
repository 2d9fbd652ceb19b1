"""Elasticsearch, sync and async: a copy of the client whose requests go through the policies.

The guard stands in ``client.perform_request``, through which every API goes, those of ``client.indices`` and the
helpers too: an attempt is one request with the client's own retries switched off, to the node that its pool chooses. A
failure is the client's own exception, as its `ApiError`. What may be sent twice is decided by API: `method_of`.
"""

from __future__ import annotations

import copy
import functools
import math
import warnings
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final, cast

import elastic_transport
from elastic_transport.client_utils import DEFAULT

from resilience._deadline_context import remaining
from resilience._safe_access import safe_getattr
from resilience.classification._delivery import never_sent
from resilience.classification.frames import frames_of, library_of
from resilience.clients._elasticsearch_apis import api_of, method_of
from resilience.clients._error_tree import ErrorTree
from resilience.clients._protection import Protection, attach_protection
from resilience.clients._redis_connections import subclass_of
from resilience.clients.adapter import Adapter, Finding
from resilience.clients.bodies import FIXED, Body, body_of
from resilience.clients.call_options import ParsedOptions, parse_options
from resilience.clients.exchange import AsyncExchange, BaseExchange, Exchange
from resilience.clients.guards import AsyncGuard, Guard

__all__ = ["ADAPTER", "ElasticsearchAdapter"]

_LEAST: Final = 0.001  # seconds: a time limit is more than 0
_LONG: Final = 30.0  # seconds without a byte
_NO_RETRIES: Final[dict[str, Any]] = {"max_retries": 0, "retry_on_status": (), "retry_on_timeout": False}
"""Options of a client, and attributes of a transport, by which it makes each request once."""
_NOT_SENT: Final = {"idempotency-key": "nothing was sent"}
_REPEATABLE: Final = ("GET", "PUT", "DELETE")


class ElasticsearchAdapter(Adapter[Any]):
    """The adapter for ``Elasticsearch`` and ``AsyncElasticsearch``, versions 8 and 9."""

    def covers(self, client: object) -> bool:
        """Return whether *client* is one that has a transport, and makes copies with other options.

        The clients of a namespace, such as ``client.indices``, do not: their requests go through the client.
        """
        return isinstance(safe_getattr(client, "_transport"), elastic_transport.Transport) and hasattr(
            client, "options"
        )

    def is_async(self, client: Any) -> bool:
        return isinstance(client._transport, elastic_transport.AsyncTransport)

    def errors(self, client: Any) -> ErrorTree:
        """Return the classes that the client raises without an answer; an `ApiError` has one."""
        return ErrorTree(elastic_transport.ConnectionError, elastic_transport.ConnectionTimeout)

    def dependency(self, client: Any) -> str:
        """Return the host and port of the first node: the cluster is one dependency."""
        return _first_node(client).partition("://")[2]

    def sends_headers(self, client: Any) -> bool:
        return True

    def install(self, client: Any, guard: Guard | AsyncGuard, protection: Protection) -> Any:
        """Return a copy of *client* with a transport without retries, which shares the nodes and their connections."""
        retries = _own_retries(client)
        if retries:
            protection.note(
                f"the client's own retries, max_retries={retries}, are switched off on a copy, which shares its"
                " connections: the policies retry instead"
            )
        if self.is_async(client):
            protection.note("aiohttp, which the client shares with its copy, sends no request again by itself")
        template = copy.copy(client)
        template._transport = _transport_without_retries(client._transport)
        guarded = template.options(**_NO_RETRIES)
        self._put(guarded, guard, protection)
        return guarded

    def _put(self, client: Any, guard: Guard | AsyncGuard, protection: Protection) -> None:
        """Put the guard into *client*, and into each copy that ``client.options`` makes of it."""
        send, copied = client.perform_request, client.options
        address = _first_node(client)
        kind = _kind_of_call(guard)

        @functools.wraps(send)
        def perform_request(method: str, path: str, **given: Any) -> Any:
            options = parse_options(None)
            if not options.enabled:
                return send(method, path, **given)
            # Of an async client this is the coroutine of the guard.
            return guard.call(kind(options, functools.partial(send, method, path), address, method, path, given))

        @functools.wraps(copied)
        def options(**given: Any) -> Any:
            if given.get("max_retries", DEFAULT) not in (DEFAULT, 0):
                text = f"max_retries={given['max_retries']} has no effect on a protected client: its policies retry"
                warnings.warn(text, RuntimeWarning, stacklevel=2)
            other = copied(**{**given, **_NO_RETRIES})
            self._put(other, guard, protection)
            attach_protection(other, protection)
            return other

        client.perform_request, client.options = perform_request, options

    def inspect(self, client: Any) -> list[Finding]:
        """Return the retries of the client, its time limit, and the connections to each node."""
        return [*_retries_found(client), *_limit_found(client), _pool_found(client)]


def _retries_found(client: Any) -> Iterator[Finding]:
    retries = _own_retries(client)
    if retries:
        text = f"the client retries by itself, max_retries={retries}: up to {retries + 1} requests, of _bulk as well"
        yield Finding("retries", text, retries + 1)


def _limit_found(client: Any) -> Iterator[Finding]:
    limits = [client._request_timeout]
    if client._request_timeout is DEFAULT:
        limits = _limits_of(client._transport)
    longest: float = max(math.inf if limit is None else limit for limit in limits)
    if longest == math.inf:
        yield Finding("time_limit", "request_timeout=None: no limit", problem=True)
    elif longest > _LONG:
        yield Finding("time_limit", f"request_timeout is {longest:g} s, for each request")


def _pool_found(client: Any) -> Finding:
    size = client._transport.node_pool.all()[0].config.connections_per_node
    return Finding("pool", f"{size} connections to each node; a further call waits until one is free")


def _first_node(client: Any) -> str:
    """Return the URL of the first node that *client* was made with."""
    return str(client._transport.node_pool.all()[0].base_url)


def _own_retries(client: Any) -> int:
    """Return the retries that *client* makes of a request: its own, or those of its transport."""
    if client._max_retries is DEFAULT:
        return int(client._transport.max_retries)
    return int(client._max_retries)


def _limits_of(transport: Any) -> list[Any]:
    """Return the time limit of each node."""
    return [node.config.request_timeout for node in transport.node_pool.all()]


# -- the transport below the policies ----------------------------------------------------------------------------------


def _transport_without_retries(transport: Any) -> Any:
    """Return a copy of *transport* that shares its nodes, and makes each request once."""
    mixin: type = _LimitedTransport
    if isinstance(transport, elastic_transport.AsyncTransport):
        mixin = _AsyncSingleTransport
    single: Any = copy.copy(transport)
    single.__class__ = subclass_of(cast("Hashable", type(single)), mixin)
    single.__dict__.update(_NO_RETRIES)
    return single


class _SingleTransport:
    """A transport that makes each request once, whatever the options of the client say."""

    node_pool: Any

    def perform_request(self, method: str, target: str, **given: Any) -> Any:
        """Make the request on the node that the pool chooses; of an async transport return the coroutine."""
        untyped: Any = super()
        return untyped.perform_request(method, target, **{**given, **_NO_RETRIES})


class _AsyncSingleTransport(_SingleTransport):
    """An async transport, of whose nodes none sends a request again by itself.

    A session of aiohttp does so with a PUT or a DELETE where the connection is lost, and ``_bulk`` is a PUT.
    """

    def perform_request(self, method: str, target: str, **given: Any) -> Any:
        for node in self.node_pool.all():
            _switch_resend_off(node)
        return super().perform_request(method, target, **given)


def _switch_resend_off(node: Any) -> None:
    """Have the session of a *node* send each request once; make the session where none has been needed yet."""
    if not hasattr(node, "_create_aiohttp_session"):
        return  # a node of another HTTP client
    if node.session is None:
        node._create_aiohttp_session()
    session = cast("Any", node.session)
    if safe_getattr(session, "_retry_connection"):
        session._retry_connection = False


class _LimitedTransport(_SingleTransport):
    """A sync transport whose requests, those that look for nodes too, end within what is left of the time."""

    def perform_request(self, method: str, target: str, **given: Any) -> Any:
        left = remaining()
        if left is not None:
            given["request_timeout"] = self._cut(given.get("request_timeout", DEFAULT), max(left, _LEAST))
        return super().perform_request(method, target, **given)

    def _cut(self, limit: Any, left: float) -> Any:
        """Return the time *limit* of a request, or of the nodes, or what is *left* where that is less."""
        limits = [limit]
        if limit is DEFAULT:
            limits = _limits_of(self)
        return min([left, *(each for each in limits if each is not None)])


# -- the calls ---------------------------------------------------------------------------------------------------------


class _ElasticsearchCall(BaseExchange[Any]):
    """One request of a client: an attempt returns what the client makes of the answer, or raises its error."""

    def __init__(
        self,
        options: ParsedOptions,
        send: Callable[..., Any],
        address: str,
        method: str,
        path: str,
        given: dict[str, Any],
    ) -> None:
        #: GET of a read, PUT or DELETE of a write that may be repeated, POST of any other, whatever is sent.
        self.method: str = method_of(method, path, given.get("params"))
        if options.idempotent is None and self.method in _REPEATABLE:
            # The API is declared to be idempotent: a retry sees in the frames of a failure that a POST was sent.
            options = options._replace(idempotent=True)
        super().__init__(options)
        #: The API, such as _search or _cluster/health; empty for an index itself.
        self.api: str = api_of(path)
        self._send = send
        self._url = f"{address}{path}"
        self._given = given
        #: The attempts that surely sent nothing.
        self._unsent = 0

    @property
    def headers(self) -> object:
        """Return what says that the request may happen twice: its API, the caller, or that nothing has been sent yet.

        The tables of errors cannot say the last, for they do not know that this transport makes one request.
        """
        if 0 < self.attempts == self._unsent:
            return _NOT_SENT
        return super().headers

    def note_failure(self, error: Exception) -> None:
        """Note whether the attempt that failed with *error* has surely sent nothing."""
        if _is_unsent(error):
            self._unsent += 1

    @property
    def url(self) -> str:
        return self._url

    def request_headers(self) -> object:
        return self._given.get("headers") or {}

    def set_header(self, name: str, value: str) -> None:
        """Set the header beside those of the API: the client takes them without regard to case."""
        headers: dict[str, str] = self._given.get("headers") or {}
        others = {key: found for key, found in headers.items() if key.lower() != name.lower()}
        self._given["headers"] = {**others, name: value}

    def body(self) -> Body:
        """Return the body: documents are in memory, those of a generator for ``_bulk`` are sent once."""
        content: object = self._given.get("body")
        if hasattr(content, "__next__") or hasattr(content, "read"):
            return body_of(content)
        return FIXED

    def status(self, response: Any) -> int:
        return 200  # the client raises the error of any other

    def describe_failure(self, error: BaseException) -> None:
        """Set the attributes that errors of a transport have."""
        error.__dict__.update(message=str(error), errors=())


def _is_unsent(error: Exception) -> bool:
    """Return whether a node could not be connected to, by the error of the HTTP client that the node has caught."""
    caught = error.__context__
    nodes = [library_of(frame) for frame in frames_of(caught)[:1]]
    return caught is not None and nodes == ["elastic_transport"] and never_sent(caught)


def _kind_of_call(guard: Guard | AsyncGuard) -> Callable[..., Any]:
    """Return the class of the calls that *guard* takes through the policies."""
    if isinstance(guard, AsyncGuard):
        return _AsyncRequest
    return _Request


class _Request(_ElasticsearchCall, Exchange[Any]):
    """A call of a sync client."""

    def send(self) -> Any:
        try:
            return self._send(**self._given)
        except Exception as error:
            self.note_failure(error)
            raise

    def settle(self, response: Any) -> None: ...

    def close(self, response: Any) -> None: ...


class _AsyncRequest(_ElasticsearchCall, AsyncExchange[Any]):
    """A call of an async client."""

    async def send(self) -> Any:
        try:
            return await self._send(**self._given)
        except Exception as error:
            self.note_failure(error)
            raise

    async def settle(self, response: Any) -> None: ...

    async def close(self, response: Any) -> None: ...


ADAPTER: Final = ElasticsearchAdapter()
