"""The effect `Race` around a sync call: copies in worker threads, of which the first success counts.

A thread cannot be stopped. The caller waits for the first copy that decides the race, and leaves the others as a time
limit leaves a call (`thread_timeout`): the user's function runs on until it returns by itself, nothing more of the copy
is begun, and its thread counts as abandoned until then.

Each copy runs in a copy of the caller's context. What the winner has set there of the toolkit's own variables is
carried back, as from any worker thread.
"""

from __future__ import annotations

import contextvars
import math
import queue
import threading

from resilience._outcome import Outcome
from resilience._runtime.carried_context import copy_back
from resilience._runtime.carried_thread_state import ThreadState
from resilience._runtime.cut_off import thread_limit
from resilience._runtime.interruptible import mark_interruptible
from resilience._runtime.open_transactions import refused_in_transaction
from resilience._runtime.protocol import Call, OnFailure, Race
from resilience._runtime.thread_rejections import has_abandoned_too_many, no_thread_started, too_many_abandoned
from resilience._runtime.thread_timeout import CallAbandoned, CancelToken, Drive, check_caller
from resilience._runtime.worker_threads import OneShotEvent, begin_work

__all__ = ["race_in_threads"]


def race_in_threads(effect: Race, drive: Drive, call: Call) -> Outcome:
    """Run the layers inside the policy that yielded *effect*, and copies of them, in worker threads.

    Return the first success, or, when all copies in flight have failed, the last failure. Where no thread can be had
    for the first copy, the outcome is the error that says so. Raises what is raised in the winner's place, such as
    SystemExit, and CallAbandoned where the caller of this very thread has left it.
    """
    check_caller(call)
    if not call.suspended:
        raise TypeError(f"{call.target} is a block: Race cannot run it twice")
    refused = refused_in_transaction(call) or too_many_abandoned(call)
    if refused is not None:
        return refused
    return _ThreadRace(effect, drive, call).run()


_PAUSE, _MIN_PAUSE = 0.25, 0.001
"""As in `race`: the first pause before the policy is asked again, as a share of the delay, and in seconds."""


class _Copy:
    """One copy, as work for a worker: the context it runs in, and its outcome or what was raised in place of one."""

    __slots__ = ("_context", "_drive", "_ended", "_outcome", "_raised", "_state", "call", "number", "token")

    def __init__(self, number: int, call: Call, drive: Drive, token: CancelToken, ended: _Ended) -> None:
        self.number = number
        self.token = token
        self._context = contextvars.copy_context()
        self._context.run(thread_limit.set, token)
        self._outcome: Outcome | None = None
        self._raised: BaseException | None = None
        self._state = ThreadState()
        self.call = call
        self._drive = drive
        self._ended = ended

    @property
    def target(self) -> str:
        """The qualified name of the function called."""
        return self.call.target

    @property
    def done(self) -> OneShotEvent:
        """Is set when the copy has ended."""
        return self.token.done

    def begin(self) -> None:
        """Have a worker make the call. Where the system starts no thread, that is the outcome."""
        try:
            begin_work(self)
        except (RuntimeError, MemoryError) as error:
            self._outcome = no_thread_started(self.call, error)
            self.token.end()
            self._ended.put(self)

    def run(self) -> None:
        """Make the call, in the worker, unless the race is over already."""
        if self.token.begin():
            try:
                with self._state:
                    depth = self.call.base
                    self._outcome = self._context.run(self._drive, self.call.stack, depth, self.call, depth)
            except BaseException as raised:  # handed to the caller, whose thread it belongs in
                self._raised = raised
        self.token.end()
        self._ended.put(self)

    def result(self) -> Outcome:
        """Return the outcome, in the caller's thread, or raise what was raised in the worker."""
        copy_back(self._context)
        outcome, raised = self._outcome, self._raised
        self._outcome = self._raised = None  # see `drive`: no way back to the error
        try:
            if raised is not None:
                raise raised
            assert outcome is not None, "it has ended, and nothing was raised"
            return outcome
        finally:
            del outcome, raised


class _Ended:
    """The copies that have ended, for the caller, who waits for the next one."""

    __slots__ = ("_copies", "_next")

    def __init__(self) -> None:
        self._copies: queue.SimpleQueue[_Copy | None] = queue.SimpleQueue()
        self._next: list[_Copy | None] = []

    def put(self, copy: _Copy | None) -> None:
        """Note that *copy* has ended; None: that a limit has passed, and the caller has been left."""
        self._copies.put(copy)

    def wait(self, timeout: float, /) -> bool:
        """Wait, at most *timeout* seconds, until a copy has ended; return whether one has, for `take`."""
        try:
            self._next.append(self._copies.get(timeout=min(timeout, threading.TIMEOUT_MAX)))
        except queue.Empty:
            return False
        return True

    def take(self) -> _Copy | None:
        """Return the copy that `wait` has found, None where it has found none.

        Raises CallAbandoned where a limit has passed.
        """
        if not self._next:
            return None
        copy = self._next.pop()
        if copy is None:
            raise CallAbandoned
        return copy


class _ThreadRace:
    """One race: it starts copies, in the caller's thread, and decides on each that has ended.

    All decisions are made in that one thread, so the object needs no lock: workers only put their copies into `_Ended`.
    A policy's functions (`begin`, `judge`, `won`) are called there too, never in a worker.
    """

    def __init__(self, effect: Race, drive: Drive, call: Call) -> None:
        self._effect = effect
        self._drive = drive
        self._call = call
        self._depth = call.base + len(call.suspended)
        self._arguments = call.arguments, call.keywords
        self._ended = _Ended()
        self._copies: list[_Copy] = []
        self._in_flight = 0
        #: Seconds until the next copy may begin, and after which the policy is asked again that does not admit it.
        self._delay = effect.delay
        self._pause = max(effect.delay * _PAUSE, _MIN_PAUSE)

    def run(self) -> Outcome:
        """Start copies, and wait for them, until the outcome is known; leave those that are still in flight."""
        watch = self._call.on_abandoned(self._wake)
        outcome: Outcome | None = None
        try:
            self._begin(self._make(0))
            while outcome is None:
                outcome = self._next_outcome()
            return outcome
        finally:
            del outcome  # see `drive`: this frame must not lead back to the error
            for copy in self._copies:
                copy.token.leave(None)
            self._copies.clear()
            if watch is not None:
                watch.end()

    def _wake(self) -> None:
        self._ended.put(None)

    def _next_outcome(self) -> Outcome | None:
        """Wait for a copy that ends, or for the delay; return the outcome of the race where that decides it."""
        self._call.clock.run_and_wait(_nothing, self._ended, self._delay)
        copy = self._ended.take()
        check_caller(self._call)
        if copy is not None:
            self._in_flight -= 1
            return self._decide(copy)
        if not self._start_next():
            self._delay, self._pause = self._pause, 2 * self._pause
        if len(self._copies) > self._effect.copies:
            self._delay = math.inf
        return None

    def _decide(self, copy: _Copy) -> Outcome | None:
        """Return the outcome of the race, where that of *copy* decides it; start the next copy where it is to begin."""
        outcome = copy.result()
        if outcome.error is None:
            self._effect.won(copy.number)
            return outcome
        follows = self._effect.judge(outcome)
        if follows is OnFailure.NEXT:
            self._start_next()
        if follows is OnFailure.END or not self._in_flight:
            return outcome
        return None

    def _start_next(self) -> bool:
        """Start the next copy; return whether one is left, the policy admits it, and it may be left in its thread."""
        number = len(self._copies)
        if number > self._effect.copies or has_abandoned_too_many(self._call):
            return False
        copy = self._make(number)
        if not self._effect.begin(copy.call, number):
            copy.token.end()
            return False
        self._begin(copy)
        self._delay = self._effect.delay
        return True

    def _make(self, number: int) -> _Copy:
        """Return a copy of the call, with the arguments that the call has for the policy."""
        token = CancelToken(self._call.cancel_token, self._call.target)
        call = self._call.fork(self._depth, token)
        call.arguments, call.keywords = self._arguments
        return _Copy(number, call, self._drive, token, self._ended)

    def _begin(self, copy: _Copy) -> None:
        self._copies.append(copy)
        self._in_flight += 1
        copy.begin()


def _nothing() -> None:
    """Begin nothing: the clock only waits."""


mark_interruptible(_Ended.wait)  # by a limit around the race that a signal keeps
