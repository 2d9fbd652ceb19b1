"""google-api-python-client: the status of the response decides, in `resp`, and the reason in the body of a 403."""

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
