"""python-telegram-bot: the class decides, and `RetryAfter` says how long to wait.

`BadRequest` is a `NetworkError` by inheritance and yet a refusal of the server, so it has a row of its own and is
never retried. The failure of httpx is the cause of a bare `NetworkError`. A `ChatMigrated` keeps the new id in
`new_chat_id`, and the program has to use it.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, wrapped_or

LIBRARY = ClientLibrary(
    {
        "TelegramError": C.UNKNOWN,
        "NetworkError": wrapped_or(C.NETWORK, "__cause__"),
        "TimedOut": C.TIMEOUT,
        "RetryAfter": C.RATE_LIMIT,
        "BadRequest": C.VALIDATION,
        **classes(C.CONFLICT, "Conflict ChatMigrated"),
        "Forbidden": C.AUTHORIZATION,
        "InvalidToken": C.AUTHENTICATION,
        "EndPointNotFound": C.NOT_FOUND,
        **classes(C.VALIDATION, "InvalidCallbackData PassportDecryptionError"),
        "ApplicationHandlerStop": C.CANCELLED,  # how a handler ends the handling
    },
)
