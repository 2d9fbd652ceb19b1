"""pika: the reply code of AMQP 0-9-1 decides where the broker has closed the channel or the connection.

A connection that cannot be made is an `AMQPConnectionError` around an error of the phase that failed, which keeps the
failure of the socket in `exception`. Whatever ends a connection before the broker's first frame is called an
`IncompatibleProtocolError`, a broker that hangs up as well as a port of another protocol. Once a connection is lost,
each use of its channels is a `ChannelWrongStateError`: a new connection may work, so both are NETWORK.

Nothing is sent while a `BlockingConnection` is made. A consumer runs callbacks of the program, any number of them, so
no other function of pika is taken for one that sends once.
"""

from types import FrameType

from resilience.categories import ErrorCategory as C
from resilience.classification.clients._amqp import REPLIES
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.tables import by_code, classes, response_or, wrapped_or

_by_reply = by_code(REPLIES, "AMQP reply", "reply_code")


def _connecting(_frame: FrameType) -> bool:
    """Prove by the function alone: it ends when there is a connection, and has sent nothing of the program by then."""
    return True


LIBRARY = ClientLibrary(
    {
        "AMQPError": C.UNKNOWN,
        "AMQPConnectionError": wrapped_or(C.NETWORK),
        "ConnectionClosed": response_or(_by_reply, C.NETWORK),
        "ChannelClosed": response_or(_by_reply, C.DEPENDENCY),
        **classes(C.INTERNAL, "ConnectionClosedByClient ChannelClosedByClient ConnectionOpenAborted"),
        **classes(C.NETWORK, "StreamLostError IncompatibleProtocolError AMQPHeartbeatTimeout"),
        "_AsyncTransportBase.RxEndOfFile": C.NETWORK,
        **classes(C.NETWORK, "ConnectionWrongStateError ChannelWrongStateError"),
        **classes(C.AUTHENTICATION, "AuthenticationError ProbableAuthenticationError"),
        "ProbableAccessDeniedError": C.AUTHORIZATION,  # to the virtual host
        "NoFreeChannels": C.CAPACITY,
        **classes(C.UNAVAILABLE, "ConnectionBlockedTimeout ConsumerCancelled NackError"),
        "UnroutableError": C.NOT_FOUND,  # no queue is bound for the message
        "AMQPChannelError": C.UNKNOWN,
        **classes(C.INTERNAL, "DuplicateConsumerTag InvalidChannelNumber"),
        **classes(C.INTERNAL, "ChannelError ReentrancyError"),
        "ProtocolSyntaxError": C.DEPENDENCY,
        **classes(C.CONFIGURATION, "ProtocolVersionMismatch MethodNotImplemented"),
        **classes(C.VALIDATION, "UnsupportedAMQPFieldException ShortStringTooLong"),
        # While connecting, for programs that use the asynchronous adapters.
        "AMQPConnectorException": C.UNKNOWN,
        "AMQPConnectorPhaseErrorBase": wrapped_or(C.NETWORK, "exception"),
        "AMQPConnectorStackTimeout": C.TIMEOUT,
        **classes(C.CANCELLED, "AMQPConnectorAborted AMQPConnectionWorkflowAborted"),
        **classes(C.INTERNAL, "AMQPConnectorWrongState AMQPConnectionWorkflowWrongState"),
        "AMQPConnectionWorkflowFailed": C.NETWORK,
    },
    never_sent={
        "AMQPConnectionError": ("args",),
        **classes(True, "AMQPConnectorSocketConnectError AMQPConnectorTransportSetupError"),
    },
    prior_requests=PriorRequests({"adapters.blocking_connection._create_connection": _connecting}, callers="__init__"),
)
