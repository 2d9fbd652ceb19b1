"""amqp, and so kombu and celery: the reply code of AMQP 0-9-1 decides.

The code is in `reply_code` or `code`. Classes that carry a code answer by it; the recoverable and irrecoverable base
classes answer where it is missing or not in the specification.
"""

from resilience.category import ErrorCategory as C
from resilience.classify.clients._amqp import REPLIES
from resilience.classify.library import ClientLibrary
from resilience.classify.look import Match, code
from resilience.classify.tables import classes, lookup


def _reply(exc: BaseException) -> Match | None:
    return lookup(REPLIES, code(exc, "reply_code") or code(exc, "code"), "AMQP reply")


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
