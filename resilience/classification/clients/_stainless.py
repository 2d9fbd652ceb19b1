"""Tables that openai and anthropic have in common: one generator, Stainless, has made both clients.

Each has the same classes, retries by itself (`max_retries`, 2 by default) and counts that in `retries_taken`, and
wraps the failure of its HTTP client as the cause of an `APIConnectionError`. Another client of that make, such as
groq's, needs no file: `_model_errors.by_stainless` knows it by its classes.
"""

from __future__ import annotations

from collections.abc import Mapping

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification._model_errors import AN_EVENT, said_by_a_model
from resilience.classification.frames import at_most, variable
from resilience.classification.library import CategoryRow, NeverSentRow
from resilience.classification.match import Match
from resilience.classification.tables import classes, response_or

__all__ = ["API_CLASSES", "CALLERS", "NEVER_SENT", "NO_RETRY_YET", "by_response"]


def by_response(exc: BaseException) -> Match | None:
    """Return the category of the server's response: by its status, but for a budget that is used up.

    That comes with the status 429 of a rate limit, and no waiting cures it. Otherwise the status says more than the
    type in the body: 409, 412 and 413 are all of type ``invalid_request_error``.
    """
    return _used_up(said_by_a_model(exc)) or by_status(exc)


def by_response_or_event(exc: BaseException) -> Match:
    """Return the same, and for an event in the middle of a stream, which has no status, what it says."""
    said = said_by_a_model(exc)
    return _used_up(said) or by_status(exc) or said or AN_EVENT


def _used_up(said: Match | None) -> Match | None:
    if said is None or said.category is not C.CAPACITY:
        return None
    return said


API_CLASSES: Mapping[str, CategoryRow] = {
    # In the middle of a stream: the response had begun well, and the error has no status of its own. litellm's has.
    **classes(by_response_or_event, "APIError APIStatusError"),
    "BadRequestError": response_or(by_response, C.VALIDATION),
    "UnprocessableEntityError": response_or(by_response, C.VALIDATION),
    "AuthenticationError": response_or(by_response, C.AUTHENTICATION),
    "PermissionDeniedError": response_or(by_response, C.AUTHORIZATION),
    "NotFoundError": response_or(by_response, C.NOT_FOUND),
    "ConflictError": response_or(by_response, C.CONFLICT),
    "RateLimitError": response_or(by_response, C.RATE_LIMIT),
    "InternalServerError": response_or(by_response, C.SERVER_ERROR),
    "APIConnectionError": C.NETWORK,
    "APITimeoutError": C.TIMEOUT,
    "APIResponseValidationError": C.DEPENDENCY,
}
"""The classes that every client of that make has."""

NEVER_SENT: Mapping[str, NeverSentRow] = {"APIConnectionError": ("__cause__",)}

NO_RETRY_YET = variable("retries_taken", at_most(0), missing=False)
"""Evidence of the function that sends; it does not keep how the attempts before went."""

CALLERS = (
    "get options head post put patch delete request "
    "get_api_list _request_api_list _get_page __await__ wrapper wrapped __enter__ __aenter__"
)
"""Wrappers around a resource's method, and the beginning of a stream."""
