"""The option ``idempotent`` of a retry: the calls that may happen twice.

A call that is idempotent does no more harm when it is made twice than when it is made once. One that is not is retried
only after a failure which proves that the server has not processed it (`_unprocessed`), if its category is retried:

* yes, since nothing was sent: connection refused, name not resolved, certificate not accepted, a time-out while
  connecting, no free connection in the pool;
* yes, since the call was turned away: ``rate_limit`` (429), ``rejected``;
* yes, since the server asks for the call once more: ``unavailable`` (503, 425, 529, an overloaded model) with a
  Retry-After;
* no: ``unavailable`` without one, as an answer does not say what was done before it;
* no, as the call may have been passed on or begun: a gateway's 502 or 520 to 527, UNAVAILABLE of gRPC, an error in the
  middle of a stream;
* no, as the request may have arrived: a time-out while reading, a reset connection, a broken pipe, an unreachable host;
* no: ``server_error`` and everything else.

A client that retries or follows redirects may have sent a request before the one that failed: then a failure proves
nothing, unless its traceback shows that no request came before.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ClassVar, cast

from resilience._callback_errors import call_hook, log_callback_error
from resilience._runtime.callables import is_async
from resilience._runtime.protocol import Call
from resilience._runtime.warn_once import WarnOnce
from resilience._safe_access import safe_getattr
from resilience._validation import require
from resilience.policies._request_method import IDEMPOTENT_METHODS, METHODS, RequestView, SentRequests
from resilience.policies._sent_methods import sent_methods, was_cut_off
from resilience.policies._unprocessed import may_be_sent_again, result_may_be_followed_by_another

__all__ = [
    "REPEATED_POST",
    "Idempotency",
    "by_method",
    "idempotency_of",
    "repeated_post",
    "unless_post",
    "warn_of_repeated_post",
]


class Idempotency:
    """Knows which calls are idempotent: those that *allows* returns True of, a function which never raises.

    It is given the call, and its failure: the error, or the result that is to be tried again. Its text is what was
    given as ``idempotent``, for the description of a retry.
    """

    __slots__ = ("_name", "allows")

    # Here, so that the module is loaded with the option: nothing can be imported while the interpreter finalizes.
    may_be_sent_again: ClassVar[staticmethod[..., bool]] = staticmethod(may_be_sent_again)
    result_may_be_followed_by_another: ClassVar[staticmethod[..., bool]] = staticmethod(
        result_may_be_followed_by_another
    )

    def __init__(self, name: str, allows: Callable[..., bool]) -> None:
        self._name = name
        self.allows: Callable[..., bool] = allows

    def __str__(self) -> str:
        return self._name


def idempotency_of(given: object) -> Idempotency | None:
    """Return what the parameter ``idempotent`` means; None: every call may be repeated.

    Raises TypeError for anything but True, False, `by_method`, `unless_post` or a function that is not async.
    """
    if given is True:
        return None
    if given is False:
        return Idempotency("False", _never)
    if given is by_method or given is unless_post:
        rule = cast("Callable[..., bool]", given)
        return Idempotency(rule.__name__, rule)
    expected = "True, False, by_method or a function of the call's arguments"
    require(not is_async(given), "idempotent", given, f"{expected}, not an async one", TypeError)
    require(callable(given), "idempotent", given, expected, TypeError)
    name = safe_getattr(given, "__qualname__") or type(given).__qualname__
    return Idempotency(str(name), functools.partial(_ask, cast("Callable[..., object]", given)))


def _never(_: Call, __: object = None) -> bool:
    return False


def _ask(function: Callable[..., object], call: Call, _: object = None) -> bool:
    """Ask the user's *function*, with the arguments of *call*. Where it fails the call must not happen twice."""
    try:
        answer = call_hook(function, function, *call.arguments, **call.keywords)
        if inspect.isawaitable(answer):  # which would count as true
            _discard(answer)
            raise TypeError("it returned an awaitable; give a function that is not async")
        return bool(answer)
    except Exception as error:
        log_callback_error("idempotent", function, error)
        return False


def _discard(awaitable: object) -> None:
    """Close what is not awaited, where it can be closed: Python warns of a coroutine that was never awaited."""
    close = safe_getattr(awaitable, "close")
    if callable(close):
        close()


def by_method(call: Call, failure: object = None) -> bool:
    """Take a call for idempotent where its HTTP method is: GET, HEAD, OPTIONS, TRACE, PUT, DELETE (RFC 9110, 9.2.2).

    POST, PATCH, an unknown method and a call in which none is found are not, unless the call carries an
    ``Idempotency-Key`` header: in ``headers=``, or in the headers of a request.

    The method is that of the request on the *failure*, as in ``error.request`` of httpx and requests, where no other
    request of the call came before. Else that of the parameter ``method``, its default too; of a request object among
    the arguments (``.method``, or ``.get_method()`` as urllib has it); one of the first three arguments, where it is a
    method in capitals; or the name of the function, as in ``client.get``, also in a ``functools.partial``. It never
    raises.

    >>> def request(method, url, headers=None): ...
    >>> by_method(Call("request", request, ("GET", "https://example.com")))
    True
    >>> by_method(Call("request", request, ("POST", "https://example.com")))
    False
    >>> by_method(Call("request", request, ("POST", "https://example.com", {"Idempotency-Key": "8e03978e"})))
    True

    >>> import httpx
    >>> request = httpx.Request("GET", "https://example.com")
    >>> by_method(Call("load_user", print), httpx.ReadTimeout("no answer", request=request))
    True
    """
    try:
        view, sent = RequestView(call), SentRequests(failure)
        if view.has_key():
            return True
        methods = sent.methods()
        if methods and not sent.have_key() and not methods <= IDEMPOTENT_METHODS:
            return False
        if methods and sent.are_first():
            return True
        methods = view.methods()
        return bool(methods) and methods <= IDEMPOTENT_METHODS
    except Exception:  # what cannot be looked at may be anything
        return False


def unless_post(call: Call, failure: object = None) -> bool:
    """Take a call for idempotent unless it is seen to send a POST or PATCH without an ``Idempotency-Key``.

    It is seen by the request on the *failure*, by the frames of its traceback and of those that it was raised from,
    which lead through the client, and by what `by_method` reads of the call. Where nothing is seen the call may happen
    twice, but for one that a time limit has cut off: then nothing says what it was doing. Never raises.

    What sends no HTTP, such as an INSERT or a message to a queue, is not seen: say ``idempotent=False`` there.

    >>> import httpx
    >>> post, get = (httpx.Request(method, "https://example.com") for method in ("POST", "GET"))
    >>> call = Call("shop.order", print)
    >>> unless_post(call, httpx.ReadTimeout("no answer", request=post))
    False
    >>> unless_post(call, httpx.ReadTimeout("no answer", request=get)), unless_post(call, ConnectionResetError())
    (True, True)
    """
    try:
        view = RequestView(call)
        if view.has_key() or SentRequests(failure).have_key():
            return True
        methods = sent_methods(failure) | (view.methods() & METHODS)
        if not methods:
            return not was_cut_off(failure)
        return methods.isdisjoint(_NOT_IDEMPOTENT)
    except Exception:  # what cannot be looked at may be anything
        return False


def repeated_post(failure: object) -> str | None:
    """Return POST or PATCH where the request on *failure* is one without an idempotency key; None otherwise."""
    try:
        sent = SentRequests(failure)
        found = sorted(sent.methods() & _NOT_IDEMPOTENT)
        if not found or sent.have_key():
            return None
        return found[0]
    except Exception:  # what cannot be looked at says nothing
        return None


_NOT_IDEMPOTENT = {"POST", "PATCH"}
REPEATED_POST = WarnOnce()
"""The warnings that have been given."""


def warn_of_repeated_post(target: str, method: str) -> None:
    """Emit a RuntimeWarning, once for each *target*: its *method* is repeated although it may have been processed."""
    REPEATED_POST.warn(
        target,
        f"{target} failed in a {method} that the server may have processed, and is retried. Give idempotent=by_method"
        " or an Idempotency-Key; idempotent=True says that it may happen twice. For the whole program:"
        " resilience.settings.repeat_posts(False)",
    )
