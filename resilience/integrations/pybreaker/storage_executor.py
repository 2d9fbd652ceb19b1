"""Runs operations on a shared store: each bounded in time, and none for a while after the store had trouble.

A call through a circuit waits for the store before it is made, so a store in trouble must cost next to nothing. This is
a small circuit breaker of its own, around the store. It knows operations and threads, but neither circuits nor
pybreaker.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import weakref
from collections.abc import Generator
from typing import Any, Generic, TypeAlias, TypeVar

from resilience._forks import call_in_forked_child
from resilience._runtime.worker_threads import OneShotEvent, begin_work
from resilience.clock import Clock, current_clock

__all__ = ["MAX_PAUSE", "MIN_PAUSE", "OPERATION_TIMEOUT", "Operation", "StorageExecutor"]

T = TypeVar("T")

OPERATION_TIMEOUT = 1.0
"""Seconds a call waits for an answer of the store. A store in the same data center answers in a thousandth of it."""

MIN_PAUSE, MAX_PAUSE = 1.0, 30.0
"""Seconds for which the store is left alone after trouble: the first time, and after doubling again and again."""

Operation: TypeAlias = Generator[None, None, T]
"""One or more round trips to a store. It yields after each, so that one whose caller has left makes no further."""


class StorageExecutor:
    """Runs the operations on one store, which many circuits may share, and remembers its trouble.

    A store that raises, or does not answer within `OPERATION_TIMEOUT`, is set aside: no operation reaches it for 1, 2,
    4 ... 30 seconds, then a single one does, the trial. A *blocking* store is called in a thread, because a client
    without a socket timeout never comes back from a server that hangs. Such a thread is left behind: one for each call
    that waited when the trouble began, and at most one more while the store is set aside.
    """

    def __init__(self, name: str, *, blocking: bool) -> None:
        self.name = name
        self.blocking: bool = blocking
        self._health = _Health()
        #: The operation that finds out whether a store that was set aside is back.
        self._trial: _Pending[Any] | None = None
        _executors.add(self)

    def run(self, operation: Operation[T], circuit: str) -> T | None:
        """Return the answer of the store, or None: it is set aside, or has just been.

        Never raises what the store raises. That is logged once, with the name of *circuit*, and not again until the
        store has recovered.
        """
        clock = current_clock()
        pending = _Pending(operation, self)
        if not self._may_run(pending, clock.now()):
            return None
        in_time, changed = self._finish(pending, clock)
        if changed:
            self._report(pending.error, circuit)
        pending.error = None  # its traceback leads to a frame that leads here
        if in_time:
            return pending.answer
        return None

    def _may_run(self, pending: _Pending[Any], now: float) -> bool:
        """Whether the store may be called. Of calls to a store that was set aside, one at a time is the trial."""
        if not self._health.aside:
            return True
        with _lock:
            if not self._health.aside:  # no longer
                return True
            if self._trial is not None or not self._health.pause_is_over(now):
                return False
            self._trial = pending
            return True

    def _finish(self, pending: _Pending[Any], clock: Clock) -> tuple[bool, bool]:
        """Run *pending*; return whether the store was in time, and whether it was set aside by that or is back.

        Where a signal's exception interrupts the wait, the operation is abandoned as one that takes too long.
        """
        try:
            in_time = True
            if self.blocking:
                in_time = clock.run_and_wait(pending.begin, pending.done, OPERATION_TIMEOUT)
            else:
                pending.run_here()
            now = clock.now()
            with _lock:
                return in_time, self._judge(pending, now, succeeded=in_time and pending.answer is not None)
        finally:
            with _lock:
                pending.abandoned = not pending.ended  # then its thread ends the trial
                if pending.ended:
                    self._end_trial(pending)

    def _judge(self, pending: _Pending[Any], now: float, *, succeeded: bool) -> bool:
        """Note how an operation ended; return whether the store was set aside by that, or is back."""
        is_trial = pending is self._trial
        if succeeded:
            if is_trial:
                self._health.recovered(now)
            return is_trial
        if self._health.aside and not is_trial:  # it began before, like others that were reported
            return False
        return self._health.failed(now)

    def ended(self, pending: _Pending[Any]) -> None:
        """Note that the store has answered *pending*, maybe long after the caller has left.

        A trial whose caller has left ends here: until then no other operation reaches a store that hangs.
        """
        with _lock:
            pending.ended = True
            if pending.abandoned:
                self._end_trial(pending)

    def _end_trial(self, pending: _Pending[Any]) -> None:
        """Let another operation be the trial, where *pending* was."""
        if self._trial is pending:
            self._trial = None

    def forked(self) -> None:
        """Forget an operation whose thread is in the parent process."""
        self._trial = None

    def _report(self, error: Exception | None, circuit: str) -> None:
        """Log that the store was set aside, or is back; nothing while the interpreter finalizes."""
        if sys.is_finalizing():
            return
        import logging

        logger = logging.getLogger("resilience")
        if not self._health.aside:
            logger.info("shared store %s of circuit %r is back", self.name, circuit)
            return
        problem = f"gave no answer within {OPERATION_TIMEOUT:g} s"
        if error is not None:
            problem = f"raised {type(error).__name__}"
        logger.warning(
            "shared store %s of circuit %r %s; the circuit goes on by itself, and asks again in %g s, later every %g s",
            self.name,
            circuit,
            problem,
            self._health.pause,
            MAX_PAUSE,
            exc_info=error,
        )


class _Health:
    """The health of a store: whether it is set aside, and for how long.

    The pause doubles from `MIN_PAUSE` up to `MAX_PAUSE` for as long as trials fail. It begins anew with an outage that
    comes later than one pause after the recovery. Changed under the module's lock only.
    """

    def __init__(self) -> None:
        self.aside: bool = False
        #: Seconds for which it is left alone.
        self.pause: float = MIN_PAUSE
        self._since = 0.0
        self._recovered_at: float | None = None

    def pause_is_over(self, now: float) -> bool:
        """Whether the store may be tried again. Where the clock was set back, or is another, the pause starts again."""
        self._since = min(self._since, now)
        return now >= self._since + self.pause

    def recovered(self, now: float) -> None:
        """Note that the store is back."""
        self.aside, self._recovered_at = False, now

    def failed(self, now: float) -> bool:
        """Set the store aside, for twice as long as before; return whether it was not before.

        A store that comes back only to fail at the next operation has not come back.
        """
        relapsed = self._recovered_at is not None and 0 <= now - self._recovered_at < self.pause
        doubled = min(2 * self.pause, MAX_PAUSE)
        self.pause = MIN_PAUSE
        if self.aside or relapsed:
            self.pause = doubled
        was_aside, self.aside, self._since = self.aside, True, now
        return not was_aside


class _Pending(Generic[T]):
    """An operation, its caller's context, and its answer.

    The store is called in the caller's context, which has the clock in force. Caller and thread share the object: the
    thread writes `answer`, `error` and `ended`, the caller `abandoned`. An abandoned operation makes no further round
    trip after the present one.
    """

    __slots__ = ("_context", "_executor", "_operation", "abandoned", "answer", "done", "ended", "error")

    def __init__(self, operation: Operation[T], executor: StorageExecutor) -> None:
        self._operation = operation
        self._executor = executor
        self._context = contextvars.copy_context()
        self.answer: T | None = None
        self.error: Exception | None = None
        self.done: OneShotEvent = OneShotEvent()
        #: Whether the caller has left, and whether the store has answered or raised.
        self.abandoned: bool = False
        self.ended: bool = False

    target = "shared store"  # what the thread is called

    def begin(self) -> None:
        """Have a thread run it, and set `done` when it is over. Where no thread can be started, that is its error."""
        try:
            begin_work(self)
        except (RuntimeError, MemoryError) as error:
            self.error = error
            self._executor.ended(self)
            self.done.set()

    def run(self) -> None:
        """Run it in this thread, but in the context of its caller."""
        self._context.run(self.run_here)

    def run_here(self) -> None:
        """Run it in this thread."""
        try:
            while not self.abandoned:
                next(self._operation)
        except StopIteration as over:
            self.answer = over.value
        except Exception as error:
            self.error = error
        finally:
            self._executor.ended(self)


_executors: weakref.WeakSet[StorageExecutor] = weakref.WeakSet()
_lock = threading.RLock()  # held for a few lines; a signal handler or a destructor that calls may come in between


def _after_fork() -> None:
    """Forget the operations and locks of the parent process."""
    global _lock
    _lock = threading.RLock()  # another thread may have held it
    for executor in list(_executors):
        executor.forked()


call_in_forked_child(_after_fork)
