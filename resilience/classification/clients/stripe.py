"""stripe: the class decides, which the client chooses by the response, then the HTTP status.

A refused card is VALIDATION: another card is needed, and nothing is wrong with the service.

A `StripeError` keeps `http_status`, `code`, `json_body` and `headers`. The client retries by itself up to
`max_network_retries`, with an idempotency key for each POST. An `IdempotencyError` is a key that was used again with
other parameters, so it is CONFLICT and the program has to choose a new key.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, response_or, wrapped_or

LIBRARY = ClientLibrary(
    {
        "StripeError": by_status,
        "APIConnectionError": wrapped_or(C.NETWORK, "__cause__"),
        "APIError": response_or(by_status, C.SERVER_ERROR),
        "RateLimitError": C.RATE_LIMIT,
        **classes(C.AUTHENTICATION, "AuthenticationError OAuthError SignatureVerificationError"),
        "PermissionError": C.AUTHORIZATION,
        **classes(C.CONFLICT, "IdempotencyError AlreadyCanceledError NotCancelableError FxQuoteNeedsRefreshError"),
        **classes(C.CONFLICT, "CannotProceedError VerificationNotInitiatedError VerificationExpiredError"),
        **classes(C.CONFLICT, "TemporarySessionExpiredError"),
        **classes(C.VALIDATION, "CardError InsufficientFundsError"),
        "InvalidRequestError": response_or(by_status, C.VALIDATION),
        **classes(C.CAPACITY, "QuotaExceededError"),
        **classes(C.AUTHORIZATION, "BlockedByStripeError CapabilityNotEnabledError FeatureNotEnabledError"),
        **classes(C.AUTHORIZATION, "ControlledByAlternateResourceError FinancialAccountNotOpenError"),
        **classes(C.VALIDATION, "InvalidPaymentMethodError InvalidPayoutMethodError InvalidVaultedCredentialError"),
        **classes(C.VALIDATION, "RecipientNotNotifiableError VerificationAttemptFailedError"),
    },
)
