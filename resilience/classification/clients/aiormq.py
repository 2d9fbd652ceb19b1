"""aiormq, and so aio-pika: the class decides, one for each reply code of AMQP.

An exception of aiormq keeps no reply code in an attribute. The client chooses the class of a closed connection by the
code of the broker's Close frame, from the list that `_amqp` has too. An `AMQPConnectionError` is a `ConnectionError`
of Python as well, and the failure of the socket is its cause, which decides first.

A `DeliveryError` or `PublishError` is a message that the broker has not taken, so publishing it again is the remedy.
aiormq raises no class that proves a command was not sent.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, wrapped_or

LIBRARY = ClientLibrary(
    {
        "AMQPError": C.UNKNOWN,
        "AMQPConnectionError": wrapped_or(C.NETWORK, "__cause__"),
        **classes(C.NETWORK, "ConnectionClosed IncompatibleProtocolError"),
        **classes(C.NETWORK, "ChannelInvalidStateError AMQPChannelError ChannelClosed"),
        **classes(C.AUTHENTICATION, "AuthenticationError ProbableAuthenticationError"),
        **classes(C.AUTHORIZATION, "ChannelAccessRefused ConnectionNotAllowed"),
        "ChannelNotFoundEntity": C.NOT_FOUND,
        **classes(C.CONFLICT, "ChannelLockedResource ChannelPreconditionFailed DuplicateConsumerTag"),
        **classes(C.DEPENDENCY, "ConnectionFrameError ConnectionSyntaxError ProtocolSyntaxError InvalidFrameError"),
        **classes(C.INTERNAL, "ConnectionChannelError ConnectionCommandInvalid ConnectionUnexpectedFrame"),
        **classes(C.CONFIGURATION, "ConnectionNotImplemented MethodNotImplemented"),
        "ConnectionInternalError": C.SERVER_ERROR,
        "ConnectionResourceError": C.CAPACITY,
        **classes(C.UNAVAILABLE, "DeliveryError PublishError"),  # the broker refused the message, for now
    },
)
