"""ldap3: the class decides, one for each result code of RFC 4511, where the client is told to raise them."""

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
