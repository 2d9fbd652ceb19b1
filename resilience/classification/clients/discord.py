"""discord.py: the status of the response decides, or the close code of the gateway.

An `HTTPException` keeps the status in `status`, and in `code` the number that Discord's API documents, which is not
read here. discord.py waits out rate limits by itself; it raises `RateLimited` only where the wait, in `retry_after`,
exceeds the client's `max_ratelimit_timeout`.

The gateway's close codes from 4000 on are Discord's own and so DEPENDENCY. `CheckFailure` and `CommandOnCooldown` come
from the command tree of the bot and report about its user, not about Discord's servers.
"""

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
