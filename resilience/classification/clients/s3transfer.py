"""s3transfer: a transfer that failed after all its attempts keeps the last failure in `last_exception`.

boto3's `upload_file` and `download_file` go through s3transfer, which retries the download of a part by itself. The
wrapped exception is botocore's or a socket's, and decides. `FatalError` is a `CancelledError`: the transfer manager
was shut down because of another failure.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, wrapped_or

LIBRARY = ClientLibrary(
    {
        "RetriesExceededError": wrapped_or(C.NETWORK, "last_exception", "__cause__"),
        **classes(wrapped_or(C.DEPENDENCY, "__cause__", "__context__"), "S3CopyFailedError S3DownloadFailedError"),
        **classes(wrapped_or(C.DEPENDENCY, "__cause__", "__context__"), "S3UploadFailedError"),
        "S3ValidationError": C.CONFLICT,  # the object changed meanwhile
        "FatalError": C.CANCELLED,
        **classes(C.CAPACITY, "NoResourcesAvailable RequestExceededException"),
        **classes(C.INTERNAL, "InvalidSubscriberMethodError QueueShutdownError TransferNotDoneError"),
    },
)
