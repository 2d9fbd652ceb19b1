"""The life of an executing child: it says hello, waits for a request, carries it out, answers, and is gone."""

from __future__ import annotations

import os
import sys

from resilience.execution._worker.execution import Execution
from resilience.execution._worker.framing import Channel, ChannelClosed
from resilience.execution._worker.limits import Limits, out_of_the_way
from resilience.execution._worker.recorder import Recorder
from resilience.execution._worker.signals import reset_signals

__all__ = ["serve"]

_LATER = (
    "linecache",
    "traceback",
    "resilience.errors._secrets",
    "resilience.report._hints",
    "resilience.report._tracebacks",
)
"""What is imported for a failure only."""


def serve(control: int, recorder: int) -> None:
    """Serve one request that comes in at *control*. Does not return.

    A spare is told before, by a message of kind ``prepare``, which policy to expect, and has time to get ready for it.
    """
    reset_signals()
    channel = Channel(out_of_the_way(control, 0))
    notes = Recorder(out_of_the_way(recorder, 1))
    limits = Limits()
    limits.set_fixed()
    execution = Execution(channel, notes, limits)
    try:
        message = channel.receive()
        if message["kind"] == "prepare":
            for name in _LATER:
                __import__(name)
            execution.settle()
            execution.prepare(message["policy"])
            _say_hello(channel)
            message = channel.receive()
        else:
            _say_hello(channel)
            execution.settle()
    except ChannelClosed:  # the parent has no use for this one, or is gone
        _remove_directory()
        os._exit(0)
    if message["kind"] == "run":
        execution.carry_out(message)


def _say_hello(channel: Channel) -> None:
    channel.send({"kind": "hello", "python": sys.version.partition(" ")[0], "pid": os.getpid()})


def _remove_directory() -> None:
    try:
        os.rmdir(os.getcwd())  # noqa: PTH106, PTH109
    except OSError:
        pass  # the parent was faster
