"""botocore and boto3: the genuine client, whose operations go through the policies; a resource by its client.

The guard stands in ``_make_api_call``, through which every operation goes, those of paginators and waiters too: an
attempt is one signed request with the client's own retries switched off. A failure is the client's own exception, so
that the error code of AWS decides, such as a throttling that comes with status 400.
"""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, cast
from urllib.parse import urlsplit

import urllib3

from resilience._deadline_context import remaining
from resilience._safe_access import safe_getattr
from resilience.clients._error_tree import ErrorTree
from resilience.clients._protection import Protection, attach_protection
from resilience.clients.adapter import Adapter, Finding
from resilience.clients.bodies import Body, body_of_parts
from resilience.clients.call_options import parse_options
from resilience.clients.exchange import Exchange
from resilience.clients.guards import AsyncGuard, Guard

__all__ = ["ADAPTER", "BotocoreAdapter"]

_base: Final[Any] = importlib.import_module("botocore.client").BaseClient
_errors: Final[Any] = importlib.import_module("botocore.exceptions")
_ATTEMPTS: Final = {"legacy": 5, "standard": 3, "adaptive": 3}
_LEAST: Final = 0.001  # seconds: a time limit is more than 0
_LONG: Final = 30.0  # seconds without a byte


class BotocoreAdapter(Adapter[Any]):
    """The adapter for the clients of botocore, and for the resources of boto3.

    The client is changed in place; the guard of a resource is put into its client, through which its calls go.
    """

    def covers(self, client: object) -> bool:
        """Return whether *client* is a client of botocore, or a resource of boto3, which has one."""
        return isinstance(_client_of(client), _base)

    def is_async(self, client: Any) -> bool:
        return False

    def errors(self, client: Any) -> ErrorTree:
        """Return the classes of a failed connection; `ClientError` is for answers, and has a response."""
        return ErrorTree(_errors.HTTPClientError, _errors.ReadTimeoutError)

    def target(self, client: Any) -> str:
        """Return the name of the service, as in ``botocore.dynamodb``: the class of a client is made when it is."""
        return f"botocore.{_client_of(client).meta.service_model.service_id.hyphenize()}"

    def dependency(self, client: Any) -> str:
        """Return the host of the endpoint."""
        return urlsplit(str(_client_of(client).meta.endpoint_url)).netloc

    def repeats_posts(self, client: Any) -> bool:
        """Return whether the client repeats operations: most are a POST, and AWS makes them safe by tokens."""
        return _own_attempts(_client_of(client)) > 1

    def sends_headers(self, client: Any) -> bool:
        return True

    def install(self, client: Any, guard: Guard | AsyncGuard, protection: Protection) -> Any:
        """Replace ``_make_api_call`` in the attributes of the client, which all operations go through.

        The client's own retries are switched off, its requests get what is left of the time, and the headers of
        `send_deadline`.
        """
        inner = _client_of(client)
        attempts = _own_attempts(inner)
        if attempts > 1:
            _switch_retries_off(inner)
            protection.note(
                f"the client's own retries, {attempts} attempts, are switched off: the policies retry instead, and"
                " repeat each operation as the client did"
            )
        call = inner._make_api_call
        sync = cast("Guard", guard)

        def guarded(operation_name: str, api_params: dict[str, Any]) -> Any:
            return sync.call(_Operation(inner, call, operation_name, api_params))

        inner._make_api_call = guarded
        inner.meta.events.register("before-send", _set_headers)
        _limit_requests(inner._endpoint.http_session)
        if inner is not client:
            attach_protection(inner, protection)
        return client

    def inspect(self, client: Any) -> list[Finding]:
        """Return the retries of the client by their mode, its time limits, and the size of its pool."""
        inner = _client_of(client)
        config = inner.meta.config
        findings: list[Finding] = []
        attempts = _own_attempts(inner)
        if attempts > 1:
            mode = config.retries["mode"]
            findings.append(Finding("retries", f"the client retries by itself, {mode}: {attempts} attempts", attempts))
        for name in ("connect_timeout", "read_timeout"):
            limit = getattr(config, name)
            if limit is None:
                findings.append(Finding("time_limit", f"{name}=None: no limit", problem=True))
            elif limit > _LONG:
                findings.append(Finding("time_limit", f"{name} is {limit:g} s, for each attempt"))
        size = config.max_pool_connections
        findings.append(Finding("pool", f"{size} connections; a further call opens one that is not kept"))
        return findings


def _client_of(client: object) -> Any:
    """Return the client of a resource; a client itself."""
    if isinstance(client, _base):
        return client
    return safe_getattr(safe_getattr(client, "meta"), "client")


def _own_attempts(client: Any) -> int:
    """Return the attempts that *client* makes by itself for one operation."""
    config: Mapping[str, Any] = client.meta.config.retries or {}
    given = config.get("total_max_attempts")
    if given is not None:
        return int(given)
    return _ATTEMPTS.get(str(config.get("mode")), 1)


def _switch_retries_off(client: Any) -> None:
    """Take out the handler that decides whether a request is sent again; those that follow a bucket's region stay."""
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.unregister(f"needs-retry.{service}", unique_id=f"retry-config-{service}")
    client.meta.config.retries = {**(client.meta.config.retries or {}), "total_max_attempts": 1}


def _limit_requests(session: Any) -> None:
    """Have each request of *session* end within what is left of the time: its own limits are those of its pools."""
    manager_for: Any = safe_getattr(session, "_get_connection_manager")
    if callable(manager_for):

        def limited(*given: Any) -> _Pools:
            return _Pools(manager_for(*given), session._timeout)

        session._get_connection_manager = limited


class _Pools:
    """The pools of connections of a *manager*, of which each request is limited by *limits* and by the time left.

    botocore sets its time limits when it makes a pool, and none for a request. This stands in the place of the manager
    in the HTTP session of botocore, and passes each request a ``timeout=`` where something limits it.
    """

    def __init__(self, manager: Any, limits: Any) -> None:
        self._manager = manager
        self._limits = limits

    def connection_from_url(self, url: str) -> Any:
        """Return the pool for *url*, whose next request is limited where a deadline or a time limit is in force."""
        pool = self._manager.connection_from_url(url)
        left = remaining()
        if left is None:
            return pool
        return _LimitedPool(pool, self._limits, max(left, _LEAST))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)


class _LimitedPool:
    """A pool whose requests have what is *left* of the time at most, beside their own *limits*."""

    def __init__(self, pool: Any, limits: Any, left: float) -> None:
        self._pool = pool
        self._limits = limits
        self._left = left

    def urlopen(self, *given: Any, **named: Any) -> Any:
        """Make a request within what is left of the time, and within its own limits."""
        limits = named.pop("timeout", self._limits)
        return self._pool.urlopen(*given, timeout=_cut(limits, self._left), **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


def _cut(limits: Any, left: float) -> Any:
    """Return *limits*, a number or an object of urllib3, none of them longer than what is *left*."""
    own = [safe_getattr(limits, "connect_timeout"), safe_getattr(limits, "read_timeout")]
    if isinstance(limits, int | float):
        own = [limits, limits]
    connect, read = (min(limit, left) if isinstance(limit, int | float) else left for limit in own)
    return urllib3.Timeout(connect=connect, read=read)


class _Operation(Exchange[Any]):
    """A call of an operation: an attempt returns its parsed response, or raises the client's error.

    Some operations have a parameter by which AWS knows a request that comes twice, a client token. botocore would make
    a new one for each attempt; here all attempts of a call have the same, so that a repetition has no second effect.
    """

    def __init__(self, client: Any, call: Callable[..., Any], name: str, params: dict[str, Any]) -> None:
        super().__init__(parse_options(None))
        model = client.meta.service_model.operation_model(name)
        self.method: str = str(model.http.get("method", "POST")).upper()
        self._call = call
        self._endpoint = str(client.meta.endpoint_url)
        self._name = name
        self._headers: dict[str, str] = {}
        # Made once: the service knows a request that is sent again by its token.
        tokens = {member: str(uuid.uuid4()) for member in model.idempotent_members if member not in params}
        self._params: dict[str, Any] = {**params, **tokens}

    @property
    def url(self) -> str:
        return f"{self._endpoint}/{self._name}"

    def request_headers(self) -> object:
        """Return none: they are made and signed below the policies."""
        return {}

    def body(self) -> Body:
        """Return the body that the parameters are: each of them may be a file."""
        return body_of_parts(value for value in self._params.values() if not isinstance(value, _PLAIN))

    def set_header(self, name: str, value: str) -> None:
        """Keep the header for the requests of the next attempt; redirects to another region have it too."""
        self._headers[name] = value

    def send(self) -> Any:
        """Make one attempt: a signed request, with parameters that the client may change."""
        token = _headers_of_operation.set(self._headers)
        try:
            return self._call(self._name, dict(self._params))
        finally:
            _headers_of_operation.reset(token)

    def status(self, response: Any) -> int:
        return 200  # the client raises the error of any other

    def settle(self, response: Any) -> None:
        """Do nothing: a failure is an exception of the client's, whose answer has been read."""

    def close(self, response: Any) -> None:
        """Close the bodies that the response leads to: that of an object is read by the caller."""
        for body in _streams_in(response):
            body.close()

    def describe_failure(self, error: BaseException) -> None:
        """Set the attributes that errors of botocore have."""
        error.__dict__.update(kwargs={}, request=None, response=None)


_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_headers_of_operation: Final[ContextVar[Mapping[str, str]]] = ContextVar(
    "resilience.clients.botocore", default=_NO_HEADERS
)
"""The headers that requests of the running operation are sent with, beside their own."""


def _set_headers(request: Any, **_: object) -> None:
    """Set them on a *request* that has been signed: a proxy may change what the signature does not cover."""
    for name, value in _headers_of_operation.get().items():
        request.headers[name] = value


_PLAIN: Final = (str, bytes, bytearray, int, float, bool, dict, list, tuple, type(None))


def _streams_in(response: Any) -> Iterator[Any]:
    """Yield the bodies among the members of a parsed *response* that are still to be read."""
    if isinstance(response, dict):
        yield from (value for value in cast("dict[str, Any]", response).values() if hasattr(value, "iter_chunks"))


ADAPTER: Final = BotocoreAdapter()
