"""amqp, and so kombu and celery: the reply code of AMQP 0-9-1 decides.

The code is in `reply_code` or `code`. It has the form of an HTTP status and is none: 404 is a missing queue, 406 one
that was declared with other arguments. Classes that carry a code answer by it; the recoverable and irrecoverable base
classes answer where it is missing or not in the specification.
"""

from resilience.category import ErrorCategory as C
from resilience.classify.library import ClientLibrary
from resilience.classify.look import Match, code
from resilience.classify.tables import classes, lookup

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


def _reply(exc: BaseException) -> Match | None:
    return lookup(_CODES, code(exc, "reply_code") or code(exc, "code"), "AMQP reply")


_WITH_A_CODE = """
    ContentTooLarge NoConsumers ConnectionForced InvalidPath AccessRefused NotFound ResourceLocked PreconditionFailed
    FrameError FrameSyntaxError InvalidCommand ChannelNotOpen UnexpectedFrame ResourceError NotAllowed
    AMQPNotImplementedError InternalError
"""

LIBRARY = ClientLibrary(
    {
        "AMQPError": _reply,
        "ConnectionError": _reply,
        "ChannelError": _reply,
        **classes(C.UNAVAILABLE, "RecoverableChannelError"),
        **classes(C.NETWORK, "RecoverableConnectionError"),
        **classes(_reply, _WITH_A_CODE),
        **classes(C.DEPENDENCY, "IrrecoverableChannelError IrrecoverableConnectionError"),
        **classes(C.UNAVAILABLE, "Blocked ConsumerCancelled MessageNacked"),
    }
)
