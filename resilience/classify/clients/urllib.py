"""urllib."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import inside
from resilience.classify.structure import by_status


def _reason(exc: BaseException) -> C | None:
    return inside(exc, "reason")


ROWS: Rows = {
    "HTTPError": by_status,
    "URLError": _reason,
    "ContentTooShortError": C.NETWORK,
}
