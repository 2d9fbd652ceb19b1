"""ldap3: the class decides, one for each result code of RFC 4511, where `raise_exceptions` is set.

`LDAPOperationResult` chooses its subclass by the result code of the response and keeps `result`, `description`, `dn`
and `message`. Busy and unavailable are retried; a missing entry, a refused password and a violated schema are not. A
result code without a row is VALIDATION, since most of them reject the content of the request.

Failures of the socket are below `LDAPCommunicationError`. ldap3 keeps their text and not always their cause, so none
of them proves that nothing was sent.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "LDAPException": C.UNKNOWN,
        **classes(C.CONFIGURATION, "LDAPExceptionError CertificateError"),
        "LDAPOperationResult": C.VALIDATION,
        "LDAPCommunicationError": C.NETWORK,
        **classes(C.TIMEOUT, "LDAPResponseTimeoutError LDAPTimeLimitExceededResult"),
        **classes(C.UNAVAILABLE, "LDAPBusyResult LDAPUnavailableResult LDAPServerPoolExhaustedError"),
        **classes(C.UNAVAILABLE, "LDAPMaximumRetriesError LDAPSASLBindInProgressError LDAPSASLBindInProgressResult"),
        **classes(C.AUTHENTICATION, "LDAPBindError LDAPInvalidCredentialsResult LDAPStrongerAuthRequiredResult"),
        **classes(C.AUTHENTICATION, "LDAPInappropriateAuthenticationResult LDAPConfidentialityRequiredResult"),
        "LDAPInsufficientAccessRightsResult": C.AUTHORIZATION,
        "LDAPNoSuchObjectResult": C.NOT_FOUND,
        **classes(C.CONFLICT, "LDAPEntryAlreadyExistsResult LDAPAssertionFailedResult"),
        **classes(C.CAPACITY, "LDAPAdminLimitExceededResult LDAPSizeLimitExceededResult"),
        **classes(C.SERVER_ERROR, "LDAPOperationsErrorResult LDAPOtherResult"),
        "LDAPCanceledResult": C.CANCELLED,
    },
)
