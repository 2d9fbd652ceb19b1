"""`FaultReceiver`: an argument of a call that says how the call raises an injected error."""

from __future__ import annotations

from resilience._runtime.protocol import Call

__all__ = ["FaultReceiver", "received"]


class FaultReceiver:
    """Base of the exchanges of protected clients, which hand out a response where other code raises its status."""

    def receive_fault(self, error: Exception) -> Exception:
        """Return what the call raises for an injected *error*."""
        return error


def received(error: Exception, call: Call) -> Exception:
    """Return what *call* raises for an injected *error*: by its argument, where that is a receiver.

    >>> error = TimeoutError()
    >>> received(error, Call("shop.search", len, ("lamp",))) is error
    True
    """
    for argument in call.arguments[:1]:
        if isinstance(argument, FaultReceiver):
            return argument.receive_fault(error)
    return error
