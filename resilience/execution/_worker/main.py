"""Entry point of the worker: send the ready message, receive one request, run it, send its result, exit."""

from __future__ import annotations

import os
import sys

from resilience.execution._worker.execution import ProgramRun
from resilience.execution._worker.framing import Channel, ChannelClosed
from resilience.execution._worker.limits import Limits, move_to_high_number
from resilience.execution._worker.recorder import Recorder
from resilience.execution._worker.signals import reset_signals

__all__ = ["serve"]

_PRELOADED = (
    "linecache",
    "traceback",
    "resilience.errors._secrets",
    "resilience.report._hints",
    "resilience.report._tracebacks",
)
"""Modules that only a failure needs, imported while the worker is idle."""


def serve(control: int, recorder: int) -> None:
    """Serve one request that arrives at *control*. Does not return.

    A warm worker first receives a prepare message with the likely policy, and sets it up while it is idle.
    """
    reset_signals()
    channel = Channel(move_to_high_number(control, 0))
    notes = Recorder(move_to_high_number(recorder, 1))
    limits = Limits()
    limits.set_fixed()
    run = ProgramRun(channel, notes, limits)
    try:
        message = channel.receive()
        if message["kind"] == "prepare":
            for name in _PRELOADED:
                __import__(name)
            run.sanitize_process()
            run.prepare(message["policy"])
            _send_ready(channel)
            message = channel.receive()
        else:
            _send_ready(channel)
            run.sanitize_process()
    except ChannelClosed:  # the parent needs this worker no more, or has exited
        _remove_directory()
        os._exit(0)
    if message["kind"] == "run":
        run.run(message)


def _send_ready(channel: Channel) -> None:
    channel.send({"kind": "ready", "python": sys.version.partition(" ")[0], "pid": os.getpid()})


def _remove_directory() -> None:
    try:
        os.rmdir(os.getcwd())  # noqa: PTH106, PTH109
    except OSError:
        pass  # the parent has removed it already
