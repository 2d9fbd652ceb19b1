"""The HTTP method of a call, and its idempotency key, as far as its failure, its arguments and its function show them.

The failure knows best: it carries the request that was sent, whatever the function around it is called. Works for any
client library: it looks at names and attributes, imports no client and calls no method of one, but for
``get_method()`` of `urllib.request.Request` and ``items()`` of headers. Arguments are the user's objects: looking at
them may raise, which the caller of this module takes for a call of which nothing is known.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import cast

from resilience._runtime.protocol import Call
from resilience._safe_access import safe_getattr
from resilience.classification._exception_groups import members_of
from resilience.classification._prior_requests import proven_first

__all__ = ["IDEMPOTENT_METHODS", "METHODS", "RequestView", "SentRequests", "method_of", "text_of"]

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""The methods that RFC 9110, 9.2.2 defines as idempotent."""

METHODS = IDEMPOTENT_METHODS | {"POST", "PATCH", "CONNECT"}
"""All methods that are known."""

_KEY = "idempotency-key"
_MAX_LEADING = 3  # positional arguments that may be a method: request(method, url), client.request(method, url)
_MAX_HEADERS = 1000
_MAX_PARTIALS = 16  # partials of partials
_MAX_CAUSES = 16  # exceptions raised from one another


class RequestView:
    """The request that a call makes: its *function*, positional *arguments*, and all that is *named*.

    Partials are unfolded, arguments that were given by position are found by name as well, since wrappers pass names by
    position, and defaults count as given.
    """

    __slots__ = ("arguments", "function", "named", "values")

    def __init__(self, call: Call) -> None:
        self.function: object = call.function
        self.arguments: tuple[object, ...] = call.arguments
        self.named: Mapping[str, object] = call.keywords
        self._unfold_partials()
        self._name_arguments()
        #: All arguments, by whatever name.
        self.values: list[object] = [*self.arguments, *self.named.values()]

    def _unfold_partials(self) -> None:
        for _ in range(_MAX_PARTIALS):
            if not isinstance(self.function, functools.partial):
                return
            partial = cast("functools.partial[object]", self.function)
            self.function = partial.func
            self.arguments = (*partial.args, *self.arguments)
            self.named = {**partial.keywords, **self.named}

    def _name_arguments(self) -> None:
        """Add the names of positional arguments, and the defaults of those that were not given.

        Read from the code object: `inspect.signature` takes many times as long, and this is done at every failure.
        """
        plain, bound = self.function, safe_getattr(self.function, "__func__")
        if bound is not None:
            plain = bound
        code = safe_getattr(plain, "__code__")
        if not inspect.iscode(code):
            return
        names = code.co_varnames[: code.co_argcount]
        defaults = cast("tuple[object, ...]", safe_getattr(plain, "__defaults__") or ())
        self.named = {
            **dict(zip(reversed(names), reversed(defaults), strict=False)),
            **cast("Mapping[str, object]", safe_getattr(plain, "__kwdefaults__") or {}),
            **dict(zip(names[bound is not None :], self.arguments, strict=False)),
            **self.named,
        }

    def methods(self) -> set[str]:
        """Return the methods the call may be of, in capitals: one, unless it has several requests in its arguments.

        They are looked for in the parameter ``method``, in request objects, in the leading arguments, where one is a
        method in capitals, and at last in the name of the function.

        >>> def send(url, body=None, method="PUT"): ...
        >>> RequestView(Call("send", send, ("https://example.com",))).methods()
        {'PUT'}
        """
        return (
            _upper([self.named.get("method")])
            or _upper(map(method_of, self.values))
            or self._leading_method()
            or _upper([safe_getattr(self.function, "__name__")])
        )

    def _leading_method(self) -> set[str]:
        words = [word for word in map(text_of, self.arguments[:_MAX_LEADING]) if word in METHODS]
        return set(words[:1])

    def has_key(self) -> bool:
        """Whether the call carries an ``Idempotency-Key``: the server processes it once, however often it is sent.

        The header is that of Stripe's and other payment APIs (draft-ietf-httpapi-idempotency-key-header).
        """
        headers = [self.named.get("headers"), *(safe_getattr(value, "headers") for value in self.values)]
        return any(map(_has_key, headers))


class SentRequests:
    """The requests that a failure carries: those of an error, of what it was raised from, or of a response.

    httpx, requests, aiohttp and the clients that stand on them, such as openai, keep the request on their exceptions.
    Of an exception group each member must carry one, or there is none. None either where the request was not the
    first of its call: after a redirect it says nothing of the method that came before.
    """

    __slots__ = ("_failure", "_requests")

    def __init__(self, failure: object) -> None:
        self._failure = failure
        self._requests: list[object] = _requests_of(failure)

    def methods(self) -> set[str]:
        """Return their methods, in capitals."""
        return _upper(map(method_of, self._requests))

    def have_key(self) -> bool:
        """Whether there are any, and each has an ``Idempotency-Key``."""
        return bool(self._requests) and all(_has_key(safe_getattr(each, "headers")) for each in self._requests)

    def are_first(self) -> bool:
        """Whether nothing was sent before them: no redirect was followed, and no client has retried."""
        response = safe_getattr(self._failure, "response")
        if safe_getattr(self._failure, "history") or safe_getattr(response, "history"):
            return False  # responses that redirected
        if response is not None or not issubclass(type(self._failure), BaseException):
            return True
        return proven_first(cast("BaseException", self._failure)) is not None


def _requests_of(failure: object) -> list[object]:
    """Return the request of a failure or of the first of its causes that has one; of a group, of all members."""
    if issubclass(type(failure), BaseExceptionGroup):
        of_members = [_requests_of(member) for member in members_of(cast("BaseException", failure))]
        if not all(of_members):
            return []
        return [*chain.from_iterable(of_members)]
    for _ in range(_MAX_CAUSES):
        if failure is None:
            return []
        carriers = [failure, safe_getattr(failure, "response")]
        requests = [safe_getattr(carrier, name) for carrier in carriers for name in ("request", "request_info")]
        found = [request for request in requests if text_of(safe_getattr(request, "method"))]
        if found:
            return found[:1]
        failure = safe_getattr(failure, "__cause__")
    return []


def method_of(request: object) -> object:
    """Return the method of a request object, if it has one."""
    method = safe_getattr(request, "method")
    if text_of(method) or isinstance(request, type):
        return method
    ask = safe_getattr(request, "get_method")  # of urllib.request.Request
    return callable(ask) and ask()


def _upper(values: Iterable[object]) -> set[str]:
    """Return those values that are texts, in capitals."""
    return {word.upper() for word in map(text_of, values) if word}


def text_of(value: object) -> str:
    """Return the text of a `str`, a member of `http.HTTPMethod` too, or of `bytes`, as httpcore has them; else none."""
    if issubclass(type(value), str):
        return str.__str__(cast("str", value))
    if type(value) is bytes:
        return value.decode("latin-1")
    return ""


def _has_key(headers: object) -> bool:
    """Return whether headers of any library, or pairs, have an idempotency key that is not empty."""
    if issubclass(type(headers), str | bytes | Iterator | None):  # an iterator is the call's to read
        return False
    try:
        pairs = islice(_pairs(headers), _MAX_HEADERS)
        return any(value and text_of(name).lower() == _KEY for name, value in pairs)
    except Exception:  # no headers after all
        return False


def _pairs(headers: object) -> Iterable[tuple[object, object]]:
    items = safe_getattr(headers, "items")
    if callable(items):
        headers = items()
    return cast("Iterable[tuple[object, object]]", headers)
