"""ssl."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows

ROWS: Rows = {
    "SSLError": C.NETWORK,
    "SSLCertVerificationError": C.CONFIGURATION,  # is an OSError and a ValueError too
}
