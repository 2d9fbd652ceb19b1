"""The option ``idempotent`` of a retry: the calls that may happen twice.

A call that is idempotent does no more harm when it is made twice than when it is made once. One that is not is retried
only after a failure which proves that the server has not processed it (`_unprocessed`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import cast

from resilience._callback_errors import call_hook, log_callback_error
from resilience._runtime.callables import is_async
from resilience._runtime.protocol import Call
from resilience._safe_access import safe_getattr
from resilience._validation import require
from resilience.policies._request_method import IDEMPOTENT_METHODS, RequestView

__all__ = ["Idempotency", "by_method", "idempotency_of"]


class Idempotency:
    """Knows which calls are idempotent: those that *allows* returns True of, a function which never raises.

    Its text is what was given as ``idempotent``, for the description of a retry.
    """

    __slots__ = ("_name", "allows")

    def __init__(self, name: str, allows: Callable[[Call], bool]) -> None:
        self._name = name
        self.allows: Callable[[Call], bool] = allows

    def __str__(self) -> str:
        return self._name


def idempotency_of(given: object) -> Idempotency | None:
    """Return what the parameter ``idempotent`` means; None: every call may be repeated.

    Raises TypeError for anything but True, False, `by_method` or a function that is not async.
    """
    if given is True:
        return None
    if given is False:
        return Idempotency("False", _never)
    if given is by_method:
        return Idempotency("by_method", by_method)
    expected = "True, False, by_method or a function of the call's arguments"
    require(not is_async(given), "idempotent", given, f"{expected}, not an async one", TypeError)
    require(callable(given), "idempotent", given, expected, TypeError)
    name = safe_getattr(given, "__qualname__") or type(given).__qualname__
    return Idempotency(str(name), functools.partial(_ask, cast("Callable[..., object]", given)))


def _never(_: Call) -> bool:
    return False


def _ask(function: Callable[..., object], call: Call) -> bool:
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


def by_method(call: Call) -> bool:
    """Take a call for idempotent where its HTTP method is: GET, HEAD, OPTIONS, TRACE, PUT, DELETE (RFC 9110, 9.2.2).

    POST, PATCH, an unknown method and a call in which none is found are not, unless the call carries an
    ``Idempotency-Key`` header: in ``headers=``, or in the headers of a request object among its arguments.

    The method is that of the parameter ``method``; else of a request object; else one of the first three arguments,
    where it is a method in capitals; else the name of the function, as in ``client.get``. Never raises.

    >>> def request(method, url, headers=None): ...
    >>> by_method(Call("request", request, ("GET", "https://example.com")))
    True
    >>> by_method(Call("request", request, ("POST", "https://example.com")))
    False
    >>> by_method(Call("request", request, ("POST", "https://example.com", {"Idempotency-Key": "8e03978e"})))
    True
    """
    try:
        request = RequestView(call)
        if request.has_key():
            return True
        methods = request.methods()
        return bool(methods) and methods <= IDEMPOTENT_METHODS
    except Exception:  # what cannot be looked at may be anything
        return False
