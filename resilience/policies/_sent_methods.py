"""The HTTP methods of the requests that a failed call has sent, as far as its failure shows them.

A failure that carries a request says so itself (`_request_method`). Others do not: lost connections of aiohttp and
urllib, errors that a program raises in place of its client's, and time-outs that cancel a client in the middle of a
request. Their tracebacks lead through the code of the client, whose frames hold the request, or its method, under a
name that nearly all clients use. So do the tracebacks of the exceptions that they were raised from.

All methods that are seen count, since one POST among several requests is enough not to repeat them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import FrameType
from typing import cast

from resilience._safe_access import safe_getattr
from resilience.classification._exception_groups import members_of
from resilience.classification.frames import frames_of, library_of
from resilience.errors.base import CallTimeoutError, DeadlineExceededError
from resilience.policies._request_method import METHODS, method_of, text_of

__all__ = ["sent_methods", "was_cut_off"]

_MAX_EXCEPTIONS = 32  # exceptions raised from, or while handling, one another
_MAX_FRAMES = 300  # read of each of them; an exception object that is raised again and again has ever more
_METHOD_NAMES = ("method", "http_method")
_REQUEST_NAMES = ("request", "req")
_RESPONSE_NAMES = ("response", "resp", "r")
_EVENT_LOOPS = frozenset({"asyncio", "anyio", "trio"})


def sent_methods(failure: object) -> set[str]:
    """Return the methods, in capitals, of the requests that *failure*, an error or a response, carries or came from.

    >>> def send(method: str) -> None:
    ...     raise ConnectionResetError
    >>> try:
    ...     send("POST")
    ... except ConnectionResetError as error:
    ...     sent_methods(error)
    {'POST'}
    """
    found = {*_methods_of(failure)}
    for error in _chain(failure):
        found.update(_methods_of(error), _methods_of(safe_getattr(error, "response")))
        for frame in frames_of(error)[:_MAX_FRAMES]:
            found.update(_methods_in(frame))
    return {method.upper() for method in found} & METHODS


def was_cut_off(failure: object) -> bool:
    """Whether a time limit ended the call from outside, and not a client's own: what it was doing may not be seen.

    Limits are those of the toolkit, of asyncio, anyio and trio.
    """
    return any(_is_of_limit(error) for error in _chain(failure))


def _is_of_limit(error: BaseException) -> bool:
    if isinstance(error, CallTimeoutError | DeadlineExceededError):
        return True
    frames = frames_of(error)
    return bool(frames) and isinstance(error, Exception) and library_of(frames[-1]) in _EVENT_LOOPS


def _chain(failure: object) -> Iterator[BaseException]:
    """Yield *failure*, the exceptions that it was raised from or while handling, and the members of groups."""
    waiting: list[object] = [failure]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_EXCEPTIONS:
        error = waiting.pop()
        if not isinstance(error, BaseException) or id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        waiting += [*members_of(error), error.__cause__]
        if _was_caught_inside(error.__context__, error):
            waiting.append(error.__context__)


def _was_caught_inside(context: BaseException | None, error: BaseException) -> bool:
    """Whether the call itself handled *context* when it raised *error*, and not the caller when it made the call."""
    first = frames_of(context)[:1]
    return not first or first[0] in frames_of(error)


def _methods_in(frame: FrameType) -> Iterator[str]:
    """Yield the methods that a frame's local variables name: as such, of a request, of a response's requests."""
    local = frame.f_locals
    yield from (text_of(local[name]) for name in _METHOD_NAMES if name in local)
    yield from (text_of(method_of(local[name])) for name in _REQUEST_NAMES if name in local)
    for name in _RESPONSE_NAMES:
        yield from _methods_of(local.get(name))


def _methods_of(carrier: object) -> Iterator[str]:
    """Yield the methods of the requests that an exception or a response carries, those before redirects included."""
    history = safe_getattr(carrier, "history")
    redirects = cast("Sequence[object]", history) if isinstance(history, list | tuple) else ()
    for each in (carrier, *redirects):
        yield text_of(method_of(safe_getattr(each, "request")))
        yield text_of(method_of(safe_getattr(each, "request_info")))
