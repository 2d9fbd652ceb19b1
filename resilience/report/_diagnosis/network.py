"""Diagnosis of network errors by their category, whichever client raised them.

The rules go by words that the clients share, as they all pass on what the operating system, OpenSSL or the server said:
``Connection refused``, a status. Only exceptions of HTTP clients and sockets are looked at: ``404`` in any other
message may be anything. No host is called and no name looked up.
"""

from __future__ import annotations

import re

from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.rules import diagnose_by_rules, rule
from resilience.report.diagnosis import Diagnosis

__all__ = ["network_error"]

_MODULES = re.compile(r"^(?:requests|urllib3|httpx|httpcore|aiohttp|urllib|http|socket|ssl|websockets)(?:\.|$)")
_RULES = (
    rule(
        r"(?:Invalid URL|unknown url type:?) '(?P<scheme>https?)(?::/?|/+|;//)(?=[^/:'])(?P<rest>[^'\s]+)'",
        "the URL is not written right after <scheme>: a colon and two slashes are",
        "Write <scheme>://<rest> instead.",
    ),
    rule(
        r"(?:Invalid URL|unknown url type:?) '(?P<scheme>\w{1,12})://(?P<rest>[^'\s]*)'",
        "the URL is not complete: <scheme>://<rest>",
        "Write the protocol, the host and the path: https://example.com/path.",
    ),
    rule(
        r"(?:Invalid URL|unknown url type:?) '(?P<url>/[^'\s]*)'",
        "the URL <url> is a path alone",
        "Write all of the URL, https://host<url>, or give the client its base_url.",
    ),
    rule(
        r"(?:Invalid URL|unknown url type:?) '(?P<url>[^'\s]+)'(?:: No (?:scheme|host))?",
        "the URL <url> does not say by which protocol it is reached",
        "Put https:// in front of the URL: https://<url>.",
    ),
    rule(
        r"UnsupportedProtocol|missing an? 'http://' or 'https://' protocol|No connection adapters were found",
        "the URL does not say by which protocol it is reached",
        "Put https:// in front of the URL.",
    ),
    rule(
        r"Name or service not known|Temporary failure in name resolution|nodename nor servname|getaddrinfo failed"
        r"|Failed to resolve|No address associated",
        "the name of the host is not known, or no name server answers",
        "Check the host in the URL for its spelling.",
        "Check whether this machine has a network: a sandbox often has none.",
    ),
    rule(
        r"Connection refused|actively refused|ConnectionRefusedError|All connection attempts failed",
        "nothing listens at the address that was called",
        "Check the host and the port, and that the server runs.",
    ),
    rule(
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|SSLCertVerificationError",
        "the certificate of the server is not trusted: expired, of another host, or of an unknown authority",
        "Check the host in the URL; for an authority of your own, pass its certificate (verify='ca.pem').",
    ),
    rule(
        r"WRONG_VERSION_NUMBER|wrong version number",
        "the server does not speak TLS at this port",
        "Write http:// instead of https://, or the port that has TLS.",
    ),
    rule(
        r"[Tt]imed? ?out|TimeoutError",
        "the server did not answer in time",
        "Try again after a short wait, or give it a larger timeout.",
    ),
    rule(
        r"(?P<status>401|403)\b.*(?:[Uu]nauthorized|[Ff]orbidden|error)",
        "the server refuses the caller (status <status>)",
        "Check the key or token that the request sends, and its permissions.",
    ),
    rule(
        r"(?P<status>404|410)\b.*(?:Not Found|Gone|error)",
        "the server has nothing at this URL (status <status>)",
        "Check the path of the URL for its spelling, and that what it names exists.",
    ),
    rule(
        r"(?P<status>429)\b",
        "there were more calls than the server takes (status 429)",
        "Wait as long as Retry-After says, then try again.",
    ),
    rule(
        r"(?P<status>5\d\d)\b.*(?:Error|error|Bad Gateway|Unavailable|Timeout)",
        "the server failed (status <status>)",
        "Try again after a short wait.",
    ),
    rule(
        r"(?P<status>4\d\d)\b.*(?:Error|error)",
        "the server refuses the request (status <status>)",
        "Print response.text: it says what is wrong with the request.",
    ),
    rule(
        r"Expecting value: line 1 column 1|Extra data",
        "the body of the response is not JSON",
        "Print response.status_code and response.text before .json(): it may be an error page, or empty.",
    ),
    rule(
        r"RemoteDisconnected|Connection aborted|ConnectionResetError|Server disconnected|Connection reset",
        "the server closed the connection in the middle",
        "Try again after a short wait, if the call may happen twice.",
    ),
)


def network_error(context: FailureContext) -> Diagnosis | None:
    """Diagnose an HTTP client or a socket that could not do its call; None of any other failure.

    The last two bases are left out: Exception and BaseException are those of every exception.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.NETWORK,
    ...     error_type="ConnectionRefusedError",
    ...     message="[Errno 111] Connection refused",
    ... )
    >>> network_error(FailureContext(failure)).immediate_cause
    'nothing listens at the address that was called'
    """
    of_client = any(_MODULES.match(base) for base in context.bases[:-2])
    of_socket = context.type in ("gaierror", "ConnectionRefusedError") or "unknown url type" in context.message
    if not of_client and not of_socket:
        return None
    return diagnose_by_rules(context, _RULES)
