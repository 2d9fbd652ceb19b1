"""google-api-python-client: the status of the response decides, in `resp`, and the reason in the body of a 403.

An `HttpError` keeps httplib2's response in `resp`, the body in `content` and the parsed details in `error_details`.
Google answers a spent quota with 403 as well as 429, and the reason in the body tells it from a missing permission.
Most of the other classes report a wrong use of a method or a discovery document that does not fit.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, response_or

LIBRARY = ClientLibrary(
    {
        "Error": C.UNKNOWN,
        "HttpError": by_status,
        "BatchError": response_or(by_status, C.DEPENDENCY),
        "InvalidJsonError": C.DEPENDENCY,
        **classes(C.VALIDATION, "UnknownFileType UnacceptableMimeTypeError MediaUploadSizeError"),
        **classes(C.VALIDATION, "InvalidChunkSizeError InvalidNotificationError"),
        **classes(C.CONFIGURATION, "UnknownLinkType UnknownApiNameOrVersion APICoreVersionError"),
        **classes(C.INTERNAL, "UnexpectedMethodError UnexpectedBodyError"),
    },
)
