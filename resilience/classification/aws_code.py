"""Categories of the error codes in AWS responses.

A code is a word such as ``ThrottlingException``; each service documents its own, and most of them come from the same
few families. What botocore's own retries repeat is a category that is retried. The same failure is called
``InternalFailure`` by one service and ``InternalFailureException`` by another, so endings and capitals do not matter
where the exact word is not listed.
"""

from __future__ import annotations

from resilience.categories import ErrorCategory

__all__ = ["AWS_CODES", "category_of_aws"]

_C = ErrorCategory


def _codes(category: ErrorCategory, words: str) -> dict[str, ErrorCategory]:
    return dict.fromkeys(words.split(), category)


AWS_CODES: dict[str, ErrorCategory] = {
    # Those the SDK itself counts as throttling, and their relatives.
    **_codes(
        _C.RATE_LIMIT,
        """Throttling ThrottlingException ThrottledException RequestThrottledException RequestThrottled
        TooManyRequestsException ProvisionedThroughputExceededException TransactionInProgressException
        RequestLimitExceeded BandwidthLimitExceeded LimitExceededException PriorRequestNotComplete
        EC2ThrottledException KMSThrottlingException KMSThrottled ThrottlingError ThroughputExceeded
        ThrottledRequestException TooManyRequestException""",
    ),
    **_codes(
        _C.UNAVAILABLE,
        """SlowDown ServiceUnavailable ServiceUnavailableException Unavailable ModelNotReadyException
        ModelTimeoutException ResourceNotReadyException EC2Unavailable ServerUnavailable BadGatewayException
        IDPCommunicationError ReplicatedWriteConflictException RetryableConflictException
        DirectoryUnavailableException SchemaRegistryUnavailableException StreamSessionAccessNotReadyException""",
    ),
    **_codes(
        _C.SERVER_ERROR,
        """InternalError InternalFailure InternalServerError InternalServerException InternalServiceError
        InternalServiceException ServiceException ServerException InternalException ModelErrorException
        ModelStreamErrorException InternalFailureException ServiceFailureException""",
    ),
    **_codes(_C.DEPENDENCY, "DependencyFailedException"),
    **_codes(_C.NETWORK, "BadDigest"),  # the body did not arrive as it was sent
    **_codes(_C.TIMEOUT, "RequestTimeout RequestTimeoutException TimeoutException QueryTimeoutException"),
    **_codes(
        _C.AUTHENTICATION,
        """ExpiredToken ExpiredTokenException InvalidAccessKeyId InvalidClientTokenId InvalidToken
        MissingAuthenticationToken MissingAuthenticationTokenException SignatureDoesNotMatch AuthFailure
        InvalidSignatureException UnrecognizedClientException IncompleteSignature IncompleteSignatureException
        MissingSecurityHeader NotAuthorizedException TokenRefreshRequired InvalidSecurity RequestExpired""",
    ),
    **_codes(
        _C.AUTHORIZATION,
        """AccessDenied AccessDeniedException AllAccessDisabled AccountProblem UnauthorizedOperation Unauthorized
        UnauthorizedException AuthorizationError AuthorizationErrorException OptInRequired ForbiddenException
        NotSignedUp KMSAccessDeniedException""",
    ),
    **_codes(
        _C.NOT_FOUND,
        """NotFound NotFoundException ResourceNotFoundException NoSuchKey NoSuchBucket NoSuchEntity NoSuchUpload
        NoSuchVersion NoSuchEntityException ResourceNotFound ResourceNotFoundFault QueueDoesNotExist
        AWS.SimpleQueueService.NonExistentQueue NoSuchHostedZone TableNotFoundException ParameterNotFound
        EntityNotFoundException StackNotFoundException ObjectNotInActiveTierError 404""",
    ),
    **_codes(
        _C.CONFLICT,
        """ConditionalCheckFailed ConditionalCheckFailedException TransactionCanceledException
        TransactionConflictException ConflictException ResourceConflictException ResourceInUseException
        ResourceInUse ResourceAlreadyExistsException EntityAlreadyExists EntityAlreadyExistsException
        BucketAlreadyExists BucketAlreadyOwnedByYou BucketNotEmpty OperationAborted PreconditionFailed
        OptimisticLockException ConcurrentModificationException IdempotentParameterMismatch
        DuplicateTransactionException DependencyViolation ConditionalRequestConflict""",
    ),
    **_codes(
        _C.VALIDATION,
        """ValidationException ValidationError InvalidParameterValue InvalidParameterCombination InvalidParameter
        InvalidParameterException InvalidParameterValueException InvalidRequest InvalidRequestException
        InvalidInput InvalidInputException MissingParameter MalformedPolicyDocument MalformedQueryString
        MalformedXML InvalidArgument InvalidArgumentException SerializationException EntityTooLarge
        InvalidBucketName InvalidRange KeyTooLongError MethodNotAllowed InvalidQueryParameter BadRequestException
        ItemCollectionSizeLimitExceededException RequestEntityTooLarge""",
    ),
    **_codes(
        _C.CONFIGURATION,
        """InvalidAction UnknownOperationException UnknownOperation InvalidEndpoint UnsupportedOperation
        AuthorizationHeaderMalformed PermanentRedirect IllegalLocationConstraintException KMSDisabledException
        RequestTimeTooSkewed""",  # the last: the clock of this machine is wrong
    ),
    **_codes(
        _C.CAPACITY,
        """InsufficientInstanceCapacity InsufficientCapacity InsufficientCapacityException ServiceQuotaExceeded
        ServiceQuotaExceededException QuotaExceeded QuotaExceededException InstanceLimitExceeded
        VcpuLimitExceeded TooManyBuckets AddressLimitExceeded VolumeLimitExceeded InsufficientHostCapacity""",
    ),
}


def category_of_aws(code: str) -> ErrorCategory:
    """Return the leaf for the error code of an AWS answer, however it is written; UNKNOWN for one that is not listed.

    Events in a stream are called by the same names, but begin with a small letter.

    >>> category_of_aws("ThrottlingException").label
    'rate_limit'
    >>> category_of_aws("throttlingException").label
    'rate_limit'
    """
    return AWS_CODES.get(code) or _FOLDED.get(_folded(code), _C.UNKNOWN)


def _folded(code: str) -> str:
    """Return a code in lower case, without the ending that some services add."""
    word = code.lower()
    for end in ("exception", "error", "fault"):
        word = word.removesuffix(end)
    return word


_FOLDED = {_folded(code): category for code, category in AWS_CODES.items()}
