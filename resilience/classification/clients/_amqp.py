"""Categories of AMQP 0-9-1 reply codes, for amqp and pika.

The specification lists them in section 1.4.2. They have the form of an HTTP status and are none: 404 is a queue that
does not exist, 406 one that was declared with other arguments, 530 a virtual host that the user may not enter.
"""

from __future__ import annotations

from resilience.categories import ErrorCategory as C

__all__ = ["REPLIES"]

REPLIES: dict[int, C] = {
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
