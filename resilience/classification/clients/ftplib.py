"""ftplib, from the standard library: the reply code decides, at the beginning of the message.

A reply of the form 4yz refuses for now, 5yz for good (RFC 959, 4.2). 421 is a server that shuts the connection down,
530 a login that was refused, 550 a file that is not there or may not be used.

ftplib keeps the whole reply as the first argument and chooses the class by its first digit: `error_temp` for 4yz,
`error_perm` for 5yz. A reply that does not fit the command is an `error_reply`, a line that is no reply an
`error_proto`. Failures of the control or data connection are OSErrors or EOFError of Python.
"""

from resilience._safe_access import as_str
from resilience.categories import ErrorCategory as C
from resilience.classification.library import CategoryRow, ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes, first_argument, lookup

_CODES = {
    421: C.UNAVAILABLE,
    425: C.NETWORK,  # the data connection could not be opened
    426: C.NETWORK,
    430: C.AUTHENTICATION,
    452: C.CAPACITY,
    **dict.fromkeys((530, 532), C.AUTHENTICATION),
    550: C.NOT_FOUND,
    552: C.CAPACITY,
    553: C.VALIDATION,
    **dict.fromkeys((500, 502, 504), C.CONFIGURATION),
}


def _reply(default: C) -> CategoryRow:
    def row(exc: BaseException) -> Match | C:
        text = (as_str(first_argument(exc)) or "")[:3]
        return lookup(_CODES, int(text), "FTP reply") or default if text.isdecimal() and text.isascii() else default

    return row


LIBRARY = ClientLibrary(
    {
        "Error": C.UNKNOWN,
        "error_temp": _reply(C.UNAVAILABLE),
        "error_perm": _reply(C.VALIDATION),
        **classes(C.DEPENDENCY, "error_reply error_proto"),
    },
)
