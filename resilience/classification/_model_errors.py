"""Errors of model servers: by their codes and types, in the middle of a stream, and of any client Stainless has made.

Servers of language models report failures in the body of a response, or as an event in a stream that had begun with
status 200. Each vendor has words of its own for the same few failures; they are compared in snake case, without an
ending such as ``_error``. Known clients (openai, anthropic) use these functions as rows; `by_stainless` recognizes the
many others that the same generator has made, without a table for each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from resilience._safe_access import as_int, as_str, qualified_name, safe_getattr, safe_item
from resilience.categories import ErrorCategory
from resilience.classification.http_status import category_of_status
from resilience.classification.match import Match

__all__ = ["AN_EVENT", "by_stainless", "category_of_word", "in_a_stream", "said_by_a_model"]

_C = ErrorCategory
_MAX_WORD = 100  # no code or type is longer
_STATUSES: dict[object, int] = {key: status for status in range(400, 600) for key in (status, str(status))}


def _words(category: ErrorCategory, words: str) -> dict[str, ErrorCategory]:
    return dict.fromkeys(words.split(), category)


# In snake case, without `_error` and `_exception`.
_BY_WORD: dict[str, ErrorCategory] = {
    # A 429 that no waiting cures: the money is used up. CAPACITY is not retried, RATE_LIMIT would be.
    **_words(_C.CAPACITY, "insufficient_quota billing_hard_limit_reached billing_not_active billing"),
    **_words(_C.CAPACITY, "insufficient_credits insufficient_balance insufficient_funds service_quota_exceeded"),
    **_words(_C.CAPACITY, "quota_exceeded daily_limit_exceeded daily_limit_exceeded_unreg billing_tier_limit_exceeded"),
    **_words(_C.RATE_LIMIT, "rate_limit rate_limit_exceeded rate_limit_reached rate_limited too_many_requests"),
    **_words(
        _C.RATE_LIMIT, "user_rate_limit_exceeded concurrent_limit_exceeded sharing_rate_limit_exceeded rate_exceeded"
    ),
    **_words(_C.RATE_LIMIT, "tokens requests throttling throttled resource_exhausted"),
    **_words(_C.UNAVAILABLE, "overloaded server_overloaded engine_overloaded model_overloaded service_overloaded"),
    **_words(_C.UNAVAILABLE, "slow_down unavailable service_unavailable server_unavailable temporarily_unavailable"),
    **_words(_C.UNAVAILABLE, "bad_gateway model_not_ready server_busy"),
    **_words(_C.TIMEOUT, "timeout timed_out request_timeout gateway_timeout model_timeout deadline_exceeded"),
    **_words(
        _C.SERVER_ERROR, "server internal_server internal api internal_failure internal_service model model_stream"
    ),
    **_words(_C.VALIDATION, "invalid_request bad_request validation invalid_argument invalid_prompt invalid_parameter"),
    **_words(_C.VALIDATION, "context_length_exceeded request_too_large unprocessable_entity string_above_max_length"),
    **_words(_C.AUTHENTICATION, "authentication invalid_api_key unauthorized unauthenticated invalid_authentication"),
    **_words(_C.AUTHORIZATION, "permission permission_denied forbidden access_denied"),
    **_words(_C.NOT_FOUND, "not_found model_not_found resource_not_found"),
    **_words(_C.CONFLICT, "conflict"),
}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")


@lru_cache(maxsize=512)
def category_of_word(word: str) -> ErrorCategory | None:
    """Return the leaf for the code or type of an error, however it is written, or None.

    >>> category_of_word("rateLimitExceeded") is category_of_word("RATE_LIMIT_ERROR") is ErrorCategory.RATE_LIMIT
    True
    """
    if len(word) > _MAX_WORD:
        return None
    plain = _HUMP.sub("_", word).lower()
    return _BY_WORD.get(plain) or _BY_WORD.get(plain.removesuffix("_error").removesuffix("_exception"))


def said_by_a_model(exc: BaseException) -> Match | None:
    """Return what the code, the type or the status in an error of a model server says.

    They are attributes of the exception, or in its body, which may have them under `error`. That the money is used up
    goes before all else; then a number is an HTTP status; then the first word that is known decides.

    >>> error = Exception()
    >>> error.body = {"error": {"type": "overloaded_error"}}
    >>> said_by_a_model(error).why
    'error type overloaded_error'
    """
    said = _said(exc)
    words = [
        Match(category, f"error {name} {word}")
        for name, value in said
        if (word := as_str(value)) and (category := category_of_word(word))
    ]
    statuses = [
        Match(category_of_status(status), f"error {name} {status}")
        for name, value in said
        if (status := _STATUSES.get(as_str(value) or as_int(value)))
    ]
    spent = [match for match in words if match.category is _C.CAPACITY]
    return next(iter((*spent, *statuses, *words)), None)


def _said(exc: BaseException) -> list[tuple[str, object]]:
    """Return the fields of an error in which vendors put codes, with their names, the exception's own first."""
    body = safe_getattr(exc, "body")
    said = [(name, safe_getattr(exc, name)) for name in ("code", "type")]
    for part in (safe_item(body, "error"), body):
        if issubclass(type(part), Mapping):
            said += [(name, safe_item(part, name)) for name in ("code", "type", "status")]
    return [(name, value) for name, value in said if value is not None]


AN_EVENT = Match(_C.SERVER_ERROR, "an error in the middle of an answer")
"""The answer for an event that says nothing of itself."""


def in_a_stream(exc: BaseException) -> Match:
    """Return the category of an error that came after a response had begun well: what it says, else a server error.

    The status of the response was 200, so an error without a known word is a failure of the server to go on.
    """
    return said_by_a_model(exc) or AN_EVENT


def by_stainless(exc: BaseException) -> Match | None:
    """Return the category of an error of a client that Stainless has made: groq's and many others.

    It is known by its classes: an `APITimeoutError` is an `APIConnectionError` is an `APIError`, which is an error of
    that client. Each carries the request and the body of the response.
    """
    kind: type = type(exc)
    found = _class_of_stainless(kind)
    if found is None or not _is_made_by_stainless(exc):
        return None
    return found if found.category is not _C.UNKNOWN else in_a_stream(exc)


@lru_cache(maxsize=1024)
def _class_of_stainless(kind: type) -> Match | None:
    """Return what the class says of an exception if it is of such a client, UNKNOWN where only its body can tell.

    The base of `APIError` is the root class of the client, directly below `Exception`.
    """
    made = [base for base in kind.__mro__ if qualified_name(base)[1] == "APIError"][-1:]
    if not made:
        return None
    home, (root_home, root) = qualified_name(made[0])[0], qualified_name(made[0].__mro__[1])
    if root_home != home or not root.endswith("Error") or made[0].__mro__[2] is not Exception:
        return None
    own = {name for of, name in map(qualified_name, kind.__mro__) if of == home}
    for name, category in _STAINLESS.items():
        if name in own:
            return Match(category, f"{name} of a client made by Stainless")
    return Match(_C.UNKNOWN, "its body can tell")


def _is_made_by_stainless(exc: BaseException) -> bool:
    """Return whether *exc* carries what the generated constructor sets: a request, a message and a body.

    A class that only has the same name lacks some of that.
    """
    request = safe_getattr(exc, "request")
    signs = (
        as_str(safe_getattr(request, "method")) is not None,
        safe_getattr(request, "url") is not None,
        as_str(safe_getattr(exc, "message")) is not None,
        "body" in vars(exc),
    )
    return all(signs)


_STAINLESS = {
    "APITimeoutError": _C.TIMEOUT,  # which is an APIConnectionError
    "APIConnectionError": _C.NETWORK,
    "APIResponseValidationError": _C.DEPENDENCY,
}
