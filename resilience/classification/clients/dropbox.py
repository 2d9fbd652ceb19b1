"""dropbox: the status of the response decides, and for a refusal of one route the tag of its error.

An `HttpError` has `status_code`. A `RateLimitError` has the seconds to wait in `backoff`. A route refuses with status
409 and its own union of errors, which `ApiError` keeps in `error`: the tags inside it say why, such as ``not_found``
in ``path``. A tag without a row is VALIDATION, since most of them reject an argument. The client sends through
requests, whose errors pass through, and it retries by itself, so nothing here proves that a call was not sent.
"""

from resilience._safe_access import as_str, int_attribute, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes

_TAGS: dict[str, C] = {
    **classes(C.RATE_LIMIT, "too_many_write_operations too_many_requests"),
    **classes(C.SERVER_ERROR, "internal_error"),
    **classes(C.CAPACITY, "insufficient_space team_folder_insufficient_space member_folder_insufficient_space"),
    **classes(C.CAPACITY, "insufficient_quota upload_traffic_limit_reached"),
    **classes(C.NOT_FOUND, "not_found shared_link_not_found invalid_async_job_id"),
    **classes(C.AUTHORIZATION, "no_write_permission access_denied access_restricted restricted_content no_permission"),
    **classes(C.AUTHORIZATION, "shared_link_access_denied email_not_verified email_unverified"),
    **classes(C.CONFLICT, "conflict reset locked incorrect_offset closed operation_suppressed"),
}
_DEEPEST = 8  # the unions of Dropbox are nested twice or three times


def _refusal(exc: BaseException) -> Match:
    """Classify the refusal of a route by the innermost tag that has a row; a struct has its union in `reason`."""
    said = Match(C.VALIDATION, "a refusal of Dropbox")
    part = safe_getattr(exc, "error")
    for _ in range(_DEEPEST):
        tag = as_str(safe_getattr(part, "_tag"))
        if tag in _TAGS:
            said = Match(_TAGS[tag], f"Dropbox error {tag}")
        part = safe_getattr(part, "reason" if tag is None else "_value")
    return said


LIBRARY = ClientLibrary(
    {
        "DropboxException": C.UNKNOWN,
        "HttpError": by_status,
        "ApiError": _refusal,
        "TransferError": C.DEPENDENCY,  # a body that is no body, but also a target that cannot be written to
        "BadInputException": C.VALIDATION,
        # The pages of OAuth that a program serves.
        **classes(C.VALIDATION, "BadRequestException BadStateException"),
        **classes(C.AUTHORIZATION, "CsrfException NotApprovedException"),
        "ProviderException": C.DEPENDENCY,
    },
    retry_after=lambda exc: int_attribute(exc, "backoff"),
)
