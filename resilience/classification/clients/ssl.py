"""ssl, from the standard library.

A certificate that is not accepted does not heal by trying again: CONFIGURATION. Nothing is sent before the handshake
has ended, so it also proves that the request was not. Any other TLS failure may come in the middle of a request.

An `SSLError` has `library` and `reason` of OpenSSL, which are not read: only the certificate has a class of its own. A
`SSLZeroReturnError` or `SSLEOFError` is a closed connection, and NETWORK through its base class.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {
        "SSLError": C.NETWORK,
        "SSLCertVerificationError": C.CONFIGURATION,  # is an OSError and a ValueError too
        "_GiveupOnSSLSendfile": C.UNKNOWN,  # never leaves the module
    },
    never_sent={"SSLCertVerificationError": True},
)
