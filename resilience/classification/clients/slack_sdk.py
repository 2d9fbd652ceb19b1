"""slack-sdk: the code in the response decides, since Slack answers ``ok: false`` with status 200.

A `SlackApiError` keeps the response, and the code is in ``response["error"]``; Slack documents the codes for each
method. A code without a row is VALIDATION unless the status is an error, since most of Slack's codes reject an
argument. A 429 has a Retry-After header. The client connects by urllib or aiohttp, and their errors pass through.
"""

from resilience._safe_access import as_str, safe_getattr, safe_item
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes

_CODES: dict[str, C] = {
    **classes(C.RATE_LIMIT, "ratelimited rate_limited message_limit_exceeded"),
    **classes(C.UNAVAILABLE, "service_unavailable team_added_to_org org_login_required accesslimited"),
    **classes(C.SERVER_ERROR, "internal_error fatal_error"),
    **classes(C.TIMEOUT, "request_timeout"),
    **classes(C.AUTHENTICATION, "invalid_auth not_authed token_expired token_revoked account_inactive"),
    **classes(C.AUTHORIZATION, "missing_scope no_permission not_allowed_token_type restricted_action access_denied"),
    **classes(C.AUTHORIZATION, "ekm_access_denied not_in_channel is_archived cant_update_message"),
    **classes(C.NOT_FOUND, "channel_not_found user_not_found message_not_found file_not_found thread_not_found"),
    **classes(C.CONFLICT, "already_in_channel name_taken already_reacted already_pinned"),
    **classes(C.CONFIGURATION, "method_deprecated deprecated_endpoint unknown_method two_factor_setup_required"),
}


def _code(exc: BaseException) -> Match | C:
    response = safe_getattr(exc, "response")
    code = as_str(safe_item(safe_getattr(response, "data"), "error")) or as_str(safe_item(response, "error")) or ""
    if code in _CODES:
        return Match(_CODES[code], f"Slack error {code}")
    return by_status(exc) or C.VALIDATION


LIBRARY = ClientLibrary(
    {
        "SlackClientError": C.UNKNOWN,
        "SlackApiError": _code,
        "SlackRequestError": C.NETWORK,
        "SlackClientNotConnectedError": C.NETWORK,
        **classes(C.AUTHENTICATION, "BotUserAccessError SlackTokenRotationError"),
        "SlackClientConfigurationError": C.CONFIGURATION,
        "SlackObjectFormationError": C.VALIDATION,
    },
)
