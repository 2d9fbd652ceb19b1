"""Calls that must not happen twice: which are safe to repeat, and which failures prove that nothing happened."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, cast

from resilience._runtime.protocol import Call
from resilience.category import ErrorCategory
from resilience.classify.connection import never_connected
from resilience.classify.decide import classify
from resilience.classify.groups import members_of
from resilience.classify.hint import retry_after, retry_after_of_result
from resilience.classify.look import attribute, code
from resilience.classify.structure import by_grpc, status_of, status_of_result
from resilience.profile import Profile, Unsafe, row_of
from resilience.trouble import call_hook, report_trouble

__all__ = ["Idempotency", "by_method", "idempotency_of", "may_be_sent_again", "result_may_be_followed_by_another"]

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2
_METHODS = _IDEMPOTENT | {"POST", "PATCH", "CONNECT"}
_GATEWAYS = frozenset({502, *range(520, 528)})
_KEY = "idempotency-key"
_FIRST = 3  # positional arguments that may be a method: request(method, url), client.request(method, url)
_MOST_HEADERS = 1000
_DEEPEST = 16  # partials of partials


class Idempotency(Protocol):
    """What knows whether a call does no more harm when it is made twice than when it is made once."""

    def allows(self, call: Call) -> bool:
        """Return whether *call* may be made again whatever became of it. Never raises."""
        ...

    def __str__(self) -> str:
        """Return what was given as ``idempotent``, for descriptions of a policy."""
        ...


def idempotency_of(given: object) -> Idempotency | None:
    """Return what the parameter ``idempotent`` means; None: every call may be repeated.

    Raises TypeError for anything but True, False, `by_method` or a function that is not async.
    """
    if given is True:
        return None
    if given is False:
        return _Never()
    if given is by_method:
        return _ByMethod()
    asynchronous = inspect.iscoroutinefunction(given) or inspect.iscoroutinefunction(attribute(given, "__call__"))
    if not callable(given) or asynchronous:
        right = "True, False, by_method or a function of the call's arguments"
        raise TypeError(f"idempotent={given!r}: give {right}{', not an async one' if asynchronous else ''}")
    return _Asked(given)


def may_be_sent_again(row: Profile, error: Exception, rows: Callable[[ErrorCategory], Profile] = row_of) -> bool:
    """Return whether a call that is not idempotent may be made again after *error*, whose category has this *row*.

    Of an exception group every member must allow it, each by its own row, which *rows* gives.
    """
    if issubclass(type(error), BaseExceptionGroup):
        members = members_of(error)
        return bool(members) and all(_reached_nobody(rows(classify(member)), member) for member in members)
    return _reached_nobody(row, error)


def result_may_be_followed_by_another(row: Profile, result: object) -> bool:
    """Return whether a call that is not idempotent may be made again after it returned *result*: a 429, for example."""
    status = status_of_result(result)
    if status is None or status in _GATEWAYS:
        return False
    return row.unsafe is Unsafe.ALWAYS or (row.unsafe is Unsafe.HINTED and _is_finite(retry_after_of_result(result)))


def _is_finite(hint: float | None) -> bool:
    return hint is not None and hint != math.inf


def _reached_nobody(row: Profile, error: BaseException) -> bool:
    if row.unsafe is Unsafe.NEVER:
        return False
    if row.unsafe is Unsafe.ALWAYS and not _passed_on(error):
        return True
    if row.unsafe is Unsafe.HINTED and _asked_back(error):
        return True
    return never_connected(error)


def _asked_back(error: BaseException) -> bool:
    """Return whether the server asks for the call once more: it answered before it did anything (RFC 9110, 10.2.3)."""
    return _is_finite(retry_after(error)) and not _passed_on(error)


def _passed_on(error: BaseException) -> bool:
    """Return whether the call may have got through, whatever its category.

    A gateway answered, or a client for the connection it lost; or the answer had begun well, and failed in the middle.
    """
    if status_of(error) in _GATEWAYS:
        return True
    answered = code(attribute(error, "response"), "status_code")
    if answered is not None and 200 <= answered <= 299:
        return True
    said = by_grpc(error)
    return said is not None and said.category is ErrorCategory.UNAVAILABLE


class _Never:
    def __str__(self) -> str:
        return "False"

    def allows(self, call: Call) -> bool:
        return False


class _ByMethod:
    def __str__(self) -> str:
        return "by_method"

    def allows(self, call: Call) -> bool:
        return by_method(call)


class _Asked:
    """The user's function, called with what the call is called with."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __str__(self) -> str:
        return str(attribute(self._function, "__qualname__") or type(self._function).__qualname__)

    def allows(self, call: Call) -> bool:
        try:
            answer = call_hook(self._function, self._function, *call.arguments, **call.keywords)
            if inspect.isawaitable(answer):  # which would count as true
                close = attribute(answer, "close")
                if callable(close):
                    close()
                raise TypeError("it returned an awaitable; give a function that is not async")
            return bool(answer)
        except Exception as error:
            report_trouble("idempotent", self._function, error)
            return False


def by_method(call: Call) -> bool:
    """Take a call for idempotent where its HTTP method is: GET, HEAD, OPTIONS, TRACE, PUT, DELETE (RFC 9110, 9.2.2).

    POST, PATCH, a method nobody knows and a call in which none is found are not, unless the call carries an
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
        function, arguments, named = _unfolded(call)
        given = [*arguments, *named.values()]
        if _has_key(named.get("headers")) or any(_has_key(attribute(one, "headers")) for one in given):
            return True
        methods = _methods(function, arguments, given, named)
        return bool(methods) and methods <= _IDEMPOTENT
    except Exception:  # what cannot be looked at may be anything
        return False


def _unfolded(call: Call) -> tuple[object, tuple[object, ...], Mapping[str, object]]:
    """Return the function, its positional arguments, and all that has a name: wrappers pass names by position."""
    function: object = call.function
    arguments, keywords = call.arguments, call.keywords
    for _ in range(_DEEPEST):
        if not isinstance(function, functools.partial):
            break
        partial = cast("functools.partial[object]", function)
        function = partial.func
        arguments, keywords = (*partial.args, *arguments), {**partial.keywords, **keywords}
    bound = attribute(function, "__func__")
    plain = function if bound is None else bound
    code = attribute(plain, "__code__")
    if not inspect.iscode(code):
        return function, arguments, keywords
    names = code.co_varnames[: code.co_argcount]
    defaults = cast("tuple[object, ...]", attribute(plain, "__defaults__") or ())
    named = {
        **dict(zip(reversed(names), reversed(defaults), strict=False)),
        **cast("Mapping[str, object]", attribute(plain, "__kwdefaults__") or {}),
        **dict(zip(names if bound is None else names[1:], arguments, strict=False)),
        **keywords,
    }
    return function, arguments, named


def _methods(
    function: object, arguments: tuple[object, ...], given: list[object], named: Mapping[str, object]
) -> set[str]:
    """Return the methods the call may be of: one, unless it has several requests in its arguments."""
    word = _word(named.get("method"))
    if word:
        return {word.upper()}
    found = {word.upper() for word in map(_method_of, given) if word}
    if found:
        return found
    for word in map(_word, arguments[:_FIRST]):
        if word in _METHODS:
            return {word}
    word = _word(attribute(function, "__name__"))
    return {word.upper()} if word else set()


def _method_of(request: object) -> str:
    word = _word(attribute(request, "method"))
    if not word:
        ask = attribute(request, "get_method")  # of urllib.request.Request
        word = _word(ask()) if callable(ask) and not isinstance(request, type) else ""
    return word


def _word(value: object) -> str:
    """Return the text of a `str`, a member of `http.HTTPMethod` too, or of `bytes`, as httpcore has them; else none."""
    if issubclass(type(value), str):
        return str.__str__(cast("str", value))
    return value.decode("latin-1") if type(value) is bytes else ""


def _has_key(headers: object) -> bool:
    """Return whether headers of whatever library, or pairs, have an idempotency key that is not empty."""
    if headers is None or issubclass(type(headers), str | bytes | Iterator):  # an iterator is the call's to read
        return False
    items = attribute(headers, "items")
    try:
        pairs = items() if callable(items) else headers
        for count, pair in enumerate(cast("Iterable[tuple[object, object]]", pairs)):
            name, value = pair
            if _word(name).lower() == _KEY and value:
                return True
            if count == _MOST_HEADERS:
                break
    except Exception:  # no headers after all
        return False
    return False
