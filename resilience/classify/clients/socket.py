"""socket: names that cannot be resolved."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named

ROWS: Rows = {
    **named(C.NETWORK, "gaierror herror"),
    "_GiveupOnSendfile": C.INTERNAL,
}
