"""A time limit on sync code. A thread cannot be stopped, so the caller leaves instead."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

from resilience.outcome import EXPIRED, Outcome
from resilience.policy.base import Call

__all__ = ["CallAbandoned", "run_in_worker"]


class CallAbandoned(BaseException):
    """Unwinds a worker whose caller has left: no further attempt, permits given back. Never reaches a caller."""


class Abandonment(threading.Event):
    """Set when the caller leaves; whoever waits inside an inner limit hears of it too."""

    def __init__(self, outer: threading.Event | None) -> None:
        super().__init__()
        self._inner: list[Abandonment] = []
        if isinstance(outer, Abandonment):
            outer._inner.append(self)
            if outer.is_set():  # left between the two
                self.set()

    def set(self) -> None:
        super().set()
        for inner in list(self._inner):
            inner.set()


def run_in_worker(inside: Callable[[Call], Outcome], limit: float, call: Call) -> Outcome:
    """Run *inside* in a daemon thread with the caller's context variables; EXPIRED after *limit* seconds.

    The thread is a daemon so that a call that never returns cannot keep the process from ending. After the
    limit it runs on until the user's function comes back; whatever would follow is not begun.
    """
    left = Abandonment(call.abandoned)
    work = _Work(inside, call.fork(left))
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(work,), name=f"resilience {call.target}", daemon=True
    )
    try:
        return work.result() if call.clock.wait(thread.start, work.done, limit) else EXPIRED
    finally:
        left.set()  # on Ctrl-C in the caller too: nobody waits for this thread any more


class _Work:
    """What a worker does, and what it came to."""

    def __init__(self, inside: Callable[[Call], Outcome], call: Call) -> None:
        self._inside = inside
        self._call = call
        self._outcome = EXPIRED
        self._raised: BaseException | None = None
        self.done = threading.Event()

    def __call__(self) -> None:
        try:
            self._outcome = self._inside(self._call)
        except BaseException as raised:  # handed to the caller, whose thread it belongs in
            self._raised = raised
        finally:
            self.done.set()

    def result(self) -> Outcome:
        if self._raised is None:
            outcome, self._outcome = self._outcome, EXPIRED  # see `drive`: no way back to the error
            return outcome
        try:
            raise self._raised
        finally:
            self._raised = None
