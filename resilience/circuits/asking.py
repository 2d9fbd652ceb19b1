"""Questions to a shared store: bounded in time, and not asked for a while after the store had trouble."""

from __future__ import annotations

import contextvars
import os
import threading
import weakref
from collections import deque
from collections.abc import Generator
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar

from resilience.clock import Clock, current_clock

__all__ = ["ANSWER_SECONDS", "LONGEST_PAUSE", "SHORTEST_PAUSE", "Asker", "Question"]

T = TypeVar("T")

ANSWER_SECONDS = 1.0
"""How long a call waits for an answer of the store. A store in the same data center answers in a thousandth of it."""

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""How long the store is left alone after trouble: the first time, and after it has doubled again and again."""

# A thread without a question ends after so many seconds.
_IDLE = 10.0

Question: TypeAlias = Generator[None, None, T]
"""What a store is asked. It yields after each round trip, so that a question whose asker has left asks no further."""


class Asker:
    """Asks one store, which many circuits may share, and remembers its trouble.

    A store that raises, or does not answer within `ANSWER_SECONDS`, is set aside: no question reaches it for 1, 2,
    4 ... 30 seconds, then a single one does. A *blocking* store is asked in a thread, because a client without a socket
    timeout never comes back from a server that hangs. Such a thread is left behind: one for each call that waited when
    the trouble began, and at most one more while the store is set aside.
    """

    def __init__(self, name: str, *, blocking: bool) -> None:
        self.name = name
        self.blocking: bool = blocking
        self._aside = False
        #: Since when, and for how many seconds, the store is left alone.
        self._since = 0.0
        self._pause = SHORTEST_PAUSE
        #: When the store came back last.
        self._back: float | None = None
        #: The question that finds out whether a store that was set aside is back.
        self._trial: _Asked[Any] | None = None
        _askers.add(self)

    def ask(self, question: Question[T], circuit: str) -> T | None:
        """Return the answer for *circuit*, or None: the store is set aside, or has just been."""
        clock = current_clock()
        asked = self._begin(question, clock.now())
        if asked is None:
            return None
        in_time, changed = self._carry_out(asked, clock)
        if changed:
            self._report(asked.error, circuit)
        asked.error = None  # its traceback leads to a frame that leads here
        return asked.answer if in_time else None

    def _carry_out(self, asked: _Asked[Any], clock: Clock) -> tuple[bool, bool]:
        """Ask; return whether the store was in time, and whether it was set aside by that or is back."""
        try:
            in_time = True
            if self.blocking:
                in_time = clock.wait(asked.begin, asked.done, ANSWER_SECONDS)
            else:
                asked.run()
            now = clock.now()
            with _lock:
                return in_time, self._judge(asked, now, well=in_time and asked.answer is not None)
        finally:
            with _lock:
                asked.left = not asked.ended  # else its thread ends the trial
                if asked.ended and self._trial is asked:
                    self._trial = None

    def _begin(self, question: Question[T], now: float) -> _Asked[T] | None:
        if not self._aside:
            return _Asked(question, self)
        asked = _Asked(question, self)
        with _lock:
            if not self._aside:  # no longer
                return asked
            self._since = min(self._since, now)  # another clock, or one that was set back: the time starts again
            if self._trial is not None or now < self._since + self._pause:
                return None
            self._trial = asked
        return asked

    def _judge(self, asked: _Asked[Any], now: float, *, well: bool) -> bool:
        """Note how a question ended; return whether the store was set aside by that, or is back."""
        if well:
            if asked is not self._trial:
                return False
            self._aside, self._back = False, now
            return True
        if self._aside and asked is not self._trial:  # asked before, like others that were reported
            return False
        # A store that comes back only to fail at the next question has not come back.
        relapsed = self._back is not None and 0 <= now - self._back < self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE) if self._aside or relapsed else SHORTEST_PAUSE
        reported, self._aside, self._since = self._aside, True, now
        return not reported

    def ended(self, asked: _Asked[Any]) -> None:
        """Hear that *asked* is over, maybe long after its asker has left."""
        with _lock:
            asked.ended = True
            if asked.left and self._trial is asked:
                self._trial = None

    def forked(self) -> None:
        """Forget a question whose thread is in the parent process."""
        self._trial = None

    def _report(self, error: Exception | None, circuit: str) -> None:
        import logging

        logger = logging.getLogger("resilience")
        if not self._aside:
            logger.info("shared store %s of circuit %r is back", self.name, circuit)
            return
        logger.warning(
            "shared store %s of circuit %r %s; the circuit goes on by itself, and asks again in %g s, later every %g s",
            self.name,
            circuit,
            f"gave no answer within {ANSWER_SECONDS:g} s" if error is None else f"raised {type(error).__name__}",
            self._pause,
            LONGEST_PAUSE,
            exc_info=error,
        )


class _Asked(Generic[T]):
    """A question on its way, and its answer. The context goes along: a store may look at the clock in force."""

    __slots__ = ("_asker", "_context", "_question", "answer", "done", "ended", "error", "left")

    def __init__(self, question: Question[T], asker: Asker) -> None:
        self._question = question
        self._asker = asker
        self._context = contextvars.copy_context()
        self.answer: T | None = None
        self.error: Exception | None = None
        self.done: threading.Event = threading.Event()
        #: Whether the asker has left, and whether the store has answered or raised.
        self.left: bool = False
        self.ended: bool = False

    def begin(self) -> None:
        """Have a thread ask."""
        try:
            thread = _idle.pop()
        except IndexError:
            try:
                thread = _Thread()
            except RuntimeError as error:  # no thread to be had
                self.error = error
                self._asker.ended(self)
                self.done.set()
                return
        thread.questions.put(self)

    def run(self) -> None:
        """Ask, in this thread."""
        try:
            while not self.left:
                next(self._question)
        except StopIteration as over:
            self.answer = over.value
        except Exception as error:
            self.error = error
        finally:
            self._asker.ended(self)

    def run_in_context(self) -> None:
        """Ask in the context of the asker, whose thread is another one."""
        self._context.run(self.run)


class _Thread:
    """A thread that asks one question after the other, and ends when none has come for a while."""

    def __init__(self) -> None:
        self.questions: SimpleQueue[_Asked[Any]] = SimpleQueue()
        # A daemon: a store that hangs must not keep the process from ending.
        threading.Thread(target=self._live, name="resilience shared store", daemon=True).start()

    def _live(self) -> None:
        while (asked := self._next()) is not None:
            done = asked.done
            try:
                asked.run_in_context()
                del asked  # what a question refers to must not outlive it in an idle thread
                _idle.append(self)  # before the asker hears of it: the next question starts no other thread
            finally:
                done.set()

    def _next(self) -> _Asked[Any] | None:
        try:
            return self.questions.get(timeout=_IDLE)
        except Empty:
            try:
                _idle.remove(self)
            except ValueError:  # taken a moment ago: a question is on its way
                return self.questions.get()
            return None


# A deque: appended to and taken from by many threads without a lock.
_idle: deque[_Thread] = deque()
_askers: weakref.WeakSet[Asker] = weakref.WeakSet()
_lock = threading.RLock()  # held for a few lines; a signal handler or a destructor that calls may come in between


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()  # another thread may have held it
    _idle.clear()  # threads do not survive a fork
    for asker in list(_askers):
        asker.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
