"""amqp, and so kombu and celery: the reply code of AMQP 0-9-1, which is no HTTP status."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named
from resilience.classify.look import Found, code

_CODES = {
    311: C.VALIDATION,  # content too large
    313: C.UNAVAILABLE,  # no consumers
    320: C.UNAVAILABLE,  # an operator closed the connection
    402: C.CONFIGURATION,  # no such virtual host
    403: C.AUTHORIZATION,
    404: C.NOT_FOUND,
    405: C.CONFLICT,  # locked by another connection
    406: C.CONFLICT,  # declared in another way
    **dict.fromkeys((501, 502), C.DEPENDENCY),  # a frame that cannot be read
    **dict.fromkeys((503, 504, 505), C.INTERNAL),  # frames in an order that is not allowed
    506: C.CAPACITY,
    530: C.AUTHORIZATION,
    540: C.CONFIGURATION,
    541: C.SERVER_ERROR,
}


_WITH_A_CODE = """
    ContentTooLarge NoConsumers ConnectionForced InvalidPath AccessRefused NotFound ResourceLocked PreconditionFailed
    FrameError FrameSyntaxError InvalidCommand ChannelNotOpen UnexpectedFrame ResourceError NotAllowed
    AMQPNotImplementedError InternalError
"""


def _reply(exc: BaseException) -> Found | None:
    reply = code(exc, "reply_code") or code(exc, "code")
    return Found(_CODES[reply], f"AMQP reply {reply}") if reply in _CODES else None


ROWS: Rows = {
    "AMQPError": _reply,
    "ConnectionError": _reply,
    "ChannelError": _reply,
    **named(C.UNAVAILABLE, "RecoverableChannelError"),
    **named(C.NETWORK, "RecoverableConnectionError"),
    **dict.fromkeys(_WITH_A_CODE.split(), _reply),
    **named(C.DEPENDENCY, "IrrecoverableChannelError IrrecoverableConnectionError"),
    **named(C.UNAVAILABLE, "Blocked ConsumerCancelled MessageNacked"),
}
