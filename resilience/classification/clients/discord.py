"""discord.py: the status of the response decides, or the close code of the gateway."""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.clients._websocket import by_close_code
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.UNKNOWN, "DiscordException ClientException AppCommandError CommandInvokeError"),
        "HTTPException": by_status,
        "RateLimited": C.RATE_LIMIT,
        "ConnectionClosed": by_close_code("code"),
        **classes(C.NETWORK, "GatewayNotFound WebSocketClosure ReconnectWebSocket"),
        "LoginFailure": C.AUTHENTICATION,
        **classes(C.AUTHORIZATION, "CheckFailure"),
        "PrivilegedIntentsRequired": C.CONFIGURATION,
        "CommandOnCooldown": C.RATE_LIMIT,
        **classes(C.DEPENDENCY, "InvalidData CommandSyncFailure"),
        **classes(C.CONFLICT, "InteractionResponded CommandAlreadyRegistered CommandSignatureMismatch"),
        **classes(C.VALIDATION, "TransformerError OggError"),
        **classes(C.CONFIGURATION, "MissingApplicationID CommandLimitReached OpusNotLoaded TranslationError"),
        **classes(C.NOT_FOUND, "CommandNotFound"),
        **classes(C.RUNTIME, "FFmpegProcessError OpusError"),
    },
)
