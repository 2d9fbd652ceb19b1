"""amqp, and so kombu and celery: the reply code of AMQP 0-9-1 decides.

The code is in `reply_code` or `code`. Classes that carry a code answer by it; the recoverable and irrecoverable base
classes answer where it is missing or not in the specification.

py-amqp sets `reply_code` from the broker's frame, and each class has the code of the specification in the class
attribute `code`. The base classes `RecoverableConnectionError` and `RecoverableChannelError` are py-amqp's own opinion
that a new connection or channel may help. A `MessageNacked` is a publish that the broker did not confirm.
"""

from resilience._safe_access import int_attribute
from resilience.categories import ErrorCategory as C
from resilience.classification.clients._amqp import REPLIES
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes, lookup


def _reply(exc: BaseException) -> Match | None:
    return lookup(REPLIES, int_attribute(exc, "reply_code") or int_attribute(exc, "code"), "AMQP reply")


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
