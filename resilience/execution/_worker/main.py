"""Entry point of the worker: send the ready message, receive one request, run it, send its result, exit.

What a program needs is made before the ready message is sent, while no caller waits. A worker that gets its request
first, because no warm one was there, leaves out what only saves time.
"""

from __future__ import annotations

import os
import sys

from resilience.execution._worker.execution import ProgramRun
from resilience.execution._worker.framing import Channel, ChannelClosed
from resilience.execution._worker.limits import Limits, move_to_high_number
from resilience.execution._worker.recorder import Recorder
from resilience.execution._worker.signals import reset_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

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
            failure = _preload(message.get("preload", ()))
            run.prepare(message["policy"])
            _send_ready(channel, failure)
            message = channel.receive()
        else:
            _send_ready(channel)
            run.sanitize_process()
    except ChannelClosed:  # the parent needs this worker no more, or has exited
        _remove_directory()
        os._exit(0)
    if message["kind"] == "run":
        run.run(message)


def _preload(modules: Sequence[str]) -> str:
    """Import *modules*; return the message of the first failure, empty if there is none."""
    for name in modules:
        try:
            __import__(name)
        except Exception as error:
            return f"{name!r}: {type(error).__name__}: {error}"
    return ""


def _send_ready(channel: Channel, preload_failure: str = "") -> None:
    ready = {"kind": "ready", "python": sys.version.partition(" ")[0], "pid": os.getpid()}
    channel.send({**ready, "preload_failure": preload_failure} if preload_failure else ready)


def _remove_directory() -> None:
    try:
        os.rmdir(os.getcwd())  # noqa: PTH106, PTH109
    except OSError:
        pass  # the parent has removed it already
