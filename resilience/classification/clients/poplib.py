"""poplib, from the standard library: an error is the server's ``-ERR``.

The codes of RFC 2449 and 3206 are in brackets.

poplib raises `error_proto` alone, with the server's line as bytes. A server without response codes says the reason
only in words, which are not read, so such an error is UNKNOWN. A refused or lost connection is an OSError of Python.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._responses import decoded
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import first_argument

_CODES = {
    "[IN-USE]": C.UNAVAILABLE,
    "[LOGIN-DELAY]": C.RATE_LIMIT,
    "[SYS/TEMP]": C.UNAVAILABLE,
    "[SYS/PERM]": C.CONFIGURATION,
    "[AUTH]": C.AUTHENTICATION,
}


def _code(exc: BaseException) -> Match | None:
    words = (decoded(first_argument(exc)) or "").split()
    known = [word for word in words[1:2] if word in _CODES]
    return Match(_CODES[known[0]], f"POP3 response {known[0]}") if known else None


LIBRARY = ClientLibrary({"error_proto": _code})
