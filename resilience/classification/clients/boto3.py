"""boto3: errors of a service are botocore's; a transfer that failed has one of them as its cause.

A boto3 client is built by botocore, so nearly every failure is a `ClientError` or a `BotoCoreError` of that table.
boto3 itself raises about resources, conditions of DynamoDB and transfers. A `Boto3Error` without a row is
CONFIGURATION: the resource or API version that the program names does not exist.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, wrapped_or

LIBRARY = ClientLibrary(
    {
        "Boto3Error": C.CONFIGURATION,
        **classes(wrapped_or(C.DEPENDENCY, "last_exception", "__cause__", "__context__"), "RetriesExceededError"),
        **classes(wrapped_or(C.DEPENDENCY, "__cause__", "__context__"), "S3TransferFailedError S3UploadFailedError"),
        **classes(C.NOT_FOUND, "ResourceNotExistsError"),
        **classes(C.INTERNAL, "DynamoDBNeedsConditionError DynamoDBNeedsKeyConditionError"),
    },
)
