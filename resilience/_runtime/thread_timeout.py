"""A time limit on sync code: the call runs in a worker thread, and its caller stops waiting when the time has passed.

A thread cannot be stopped from outside. So the caller leaves it, and the user's function runs on until it returns by
itself. From then on nothing more of the call is begun. The runner in that thread looks at the call's `CancelToken`
before each attempt, wakes from waits when it is cancelled, and unwinds by `CallAbandoned`, so that policies inside the
limit give back what they took. The tokens of inner limits are cancelled with it. Policies that have asked for it
(`Call.on_abandoned`) are notified when the time has passed. A late outcome is dropped.

The call runs in a copy of the caller's context, and what it sets of the toolkit's own variables is carried back, see
`carried_context`. What some libraries keep for each thread is there as well, see `carried_thread_state`.

Threads that were left behind are counted. With as many of them as `settings` allows, of one target or of the process,
the dependency does not come back, and further calls are rejected instead of starting one more. So are calls for which
the system starts no thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TypeAlias

from resilience._forks import call_in_forked_child
from resilience._outcome import TIMED_OUT, Outcome
from resilience._runtime.carried_context import copy_back
from resilience._runtime.carried_thread_state import ThreadState
from resilience._runtime.cut_off import AbandonWatch, CutOff, cut_off_by, thread_limit
from resilience._runtime.protocol import Abandoned, Call, Policy
from resilience._runtime.thread_rejections import no_thread_started, too_many_abandoned
from resilience._runtime.worker_threads import OneShotEvent, begin_work
from resilience.settings import ABANDONED_THREADS

__all__ = [
    "CallAbandoned",
    "CancelToken",
    "Drive",
    "abandoned",
    "check_caller",
    "on_first_limit",
    "run_in_worker",
]

Drive: TypeAlias = Callable[[Sequence[Policy], int, Call, int], Outcome]


class CallAbandoned(BaseException):
    """Unwinds a worker whose caller has left: no further attempt, permits given back. Never reaches a caller."""


def check_caller(call: Call) -> None:
    """Raise CallAbandoned where *call* runs in a thread that its caller has left: nothing more of it is begun."""
    if call.cancel_token is not None and call.cancel_token.cancelled:
        raise CallAbandoned


def abandoned() -> int:
    """Return how many calls of this process still run in a thread although their callers have left."""
    return len(ABANDONED_THREADS.running)


class CancelToken:
    """The state of one call in a worker thread: whether it is *cancelled*, as its caller has left, or *finished*.

    The worker calls `begin` and `end`, the caller `leave`. The tokens of inner limits are cancelled with an outer one.
    A caller that comes late or a worker that ends meanwhile changes nothing: all of it happens under one lock.

    A thread that sleeps inside the limit waits on it by `wait`. Most calls never do, and a `threading.Event` costs as
    much as handing a call to a worker, so the first wait makes it.
    """

    __slots__ = ("_event", "_inner", "_outer", "_running", "_target", "_watches", "cancelled", "done", "finished")

    def __init__(self, outer: Abandoned | None, target: str = "") -> None:
        self.cancelled: bool = False
        #: Whether the call has come back, or never will: then `done` is set.
        self.finished: bool = False
        self.done: OneShotEvent = OneShotEvent()
        self._running = False
        self._target = target
        self._event: threading.Event | None = None
        self._inner: set[CancelToken] = set()
        #: What is notified when a limit has passed; some of them may have ended.
        self._watches: list[AbandonWatch] = []
        self._outer: CancelToken | None = None
        if isinstance(outer, CancelToken):
            self._outer = outer
            with _leaving:
                outer._inner.add(self)
                self.cancelled = outer.cancelled

    def begin(self) -> bool:
        """Note, in the worker, that the call begins; return whether its caller still waits for it."""
        with _leaving:
            self._running = not self.cancelled
            return self._running

    def end(self) -> None:
        """Note, in the worker, that the call has come back."""
        with _leaving:
            self.finished = True
            self._watches = []
            ABANDONED_THREADS.discard(self, self._target)
            if self._outer is not None:
                self._outer._inner.discard(self)

    def watch(self, function: Callable[[], object]) -> AbandonWatch | None:
        """Have *function* called when a limit passes; None where the caller has left, or the call has come back."""
        with _leaving:
            if self.cancelled or self.finished:
                return None
            watch = AbandonWatch(function)
            self._watches = [*[each for each in self._watches if not each.has_ended], watch]
            return watch

    def leave(self, cut_off: CutOff | None) -> None:
        """Note that the caller goes on: it has the outcome, or leaves the call. Once or more often."""
        if not self.finished:
            self.cancel(cut_off)

    def cancel(self, cut_off: CutOff | None = None) -> None:
        """Note that the caller has left, and wake what waits inside the limit: sleeps, and workers of inner limits.

        Where *cut_off* says that a limit has passed, those who watch for that are notified first. Once or more often:
        an exception from a signal handler may have interrupted it.
        """
        with _leaving:
            self.cancelled = True
            if self._running and not self.finished:
                ABANDONED_THREADS.add(self, self._target)
            event, inner, watches = self._event, [*self._inner], self._watches
            self._watches = []
        if cut_off is CutOff.TIMED_OUT:
            for watch in reversed(watches):
                watch.fire()
        if event is not None:
            event.set()
        for other in inner:
            other.cancel(cut_off)
            other.done.set()  # a worker that waits for another one is free

    def wait(self, timeout: float, /) -> bool:
        """Wait, at most *timeout* seconds; return whether the caller has left."""
        with _leaving:
            if self.cancelled:
                return True
            event = self._event = self._event or threading.Event()
        return event.wait(timeout)


on_first_limit: list[Callable[[], object]] = []
"""Called before the first call runs in a worker thread: programs without such limits do not look for them."""

# Re-entrant: a signal's handler, which may make limited calls as well, may run at any instruction.
_leaving = threading.RLock()


def run_in_worker(drive: Drive, stack: Sequence[Policy], depth: int, limit: float, call: Call) -> Outcome:
    """Drive *call* through *stack* from *depth* inwards in a worker thread, with the caller's context variables.

    TIMED_OUT after *limit* seconds. The thread runs on then until the user's function comes back; whatever would follow
    is not begun. With as many such threads as `settings` allows the outcome is a `TooManyAbandonedError`, at once, and
    a `ThreadNotStartedError` where the system starts none. Raises what is raised in the worker, and CallAbandoned where
    the caller of this very thread has left it.
    """
    check_caller(call)
    if on_first_limit:
        _begin_to_look_for_limits()
    if (rejected := too_many_abandoned(call)) is not None:
        return rejected
    token = CancelToken(call.cancel_token, call.target)
    work = _WorkItem(drive, stack, depth, call.fork(depth, token), token)
    cut_off: CutOff | None = None
    try:
        try:
            if not call.clock.run_and_wait(work.begin, token.done, limit):
                cut_off = CutOff.TIMED_OUT
                return TIMED_OUT
            if not token.finished:  # not the call has come back: the caller of this thread's own has left
                raise CallAbandoned
            return work.result()
        except BaseException as error:  # an enclosing limit's signal, or Ctrl-C in the caller
            cut_off = cut_off_by(error)
            raise
        finally:
            token.leave(cut_off)
    finally:
        token.leave(cut_off)  # where Ctrl-C came before the other was done


def _begin_to_look_for_limits() -> None:
    """Have those who must know of calls in worker threads look for them from now on."""
    for begin in on_first_limit:
        begin()
    on_first_limit.clear()


class _WorkItem:
    """One call for a worker: the context it runs in, and its outcome, or what was raised in place of one."""

    __slots__ = ("_call", "_context", "_depth", "_drive", "_outcome", "_raised", "_stack", "_state", "_token")

    def __init__(self, drive: Drive, stack: Sequence[Policy], depth: int, call: Call, token: CancelToken) -> None:
        self._drive = drive
        self._stack = stack
        self._depth = depth
        self._context = copy_context()
        self._context.run(thread_limit.set, token)
        self._state = ThreadState()
        self._outcome = TIMED_OUT
        self._raised: BaseException | None = None
        self._call = call
        self._token = token

    @property
    def target(self) -> str:
        """The qualified name of the function called."""
        return self._call.target

    @property
    def done(self) -> OneShotEvent:
        """Is set when the call is over."""
        return self._token.done

    def begin(self) -> None:
        """Have a worker make the call. Where no thread can be started, the outcome is that the call was not made."""
        try:
            begin_work(self)
        except (RuntimeError, MemoryError) as error:
            self._outcome = no_thread_started(self._call, error)
            self._token.end()
            self._token.done.set()

    def run(self) -> None:
        """Make the call, in the worker, unless its caller has left already."""
        if self._token.begin():
            try:
                with self._state:
                    self._outcome = self._context.run(self._drive, self._stack, self._depth, self._call, self._depth)
            except BaseException as raised:  # handed to the caller, whose thread it belongs in
                self._raised = raised
        self._token.end()

    def result(self) -> Outcome:
        """Return the outcome, in the caller's thread, or raise what was raised in the worker."""
        copy_back(self._context)
        if self._raised is None:
            outcome, self._outcome = self._outcome, TIMED_OUT  # see `drive`: no way back to the error
            return outcome
        try:
            raise self._raised
        finally:
            self._raised = None


def _forget_workers() -> None:
    """Begin anew in a forked process, which has none of its parent's threads."""
    global _leaving
    _leaving = threading.RLock()  # another thread may have held it
    ABANDONED_THREADS.clear()


call_in_forked_child(_forget_workers)
