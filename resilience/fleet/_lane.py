"""The lane: the one thread of a process that talks to a fleet's store.

Calls never do. They put a `Request` into the lane's queue, and where they need an answer they wait for it, for a short
time, as for anything else: in a thread, on asyncio or on trio. The lane runs one request after the other, and between
them says every second or so that the process lives (a *beat*), and learns what has changed. News of changes come on a
second connection, so that a beat only has to bring what was lost.

One thread is enough, since a request is one short script on the server, and it makes the order plain: a vote that was
sent before its withdrawal arrives before it. A pool would have to restore that order.

**Trouble.** A store that fails is left alone for a random time of up to 1, 2, 4 ... 30 seconds: exponential backoff
with jitter, so that the processes of a fleet do not all return to a restarted server at once. Until a beat succeeds
again every request fails at once, and circuits and quotas decide by themselves. That is logged, and emitted as an
event, when it begins and when it ends; never for each request.

**Processes.** The thread starts with the first request, not when the fleet is made: a server that forks its workers has
none in its master. In a forked process the lane begins anew, with a node name and a connection of its own.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import queue
import secrets
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Generator
from typing import Protocol

from resilience._forks import call_in_forked_child
from resilience._listeners import emit, has_listeners
from resilience.clock import SYSTEM, Clock, current_clock, private_random
from resilience.fleet._protocol import Beat, BeatReply, CircuitView, FleetStore, Stamp

__all__ = ["Lane", "Member", "Quota", "Request", "Waiting", "lanes"]

_MIN_PAUSE, _MAX_PAUSE = 1.0, 30.0
_BEAT = 1.0
"""Seconds between two beats, on average: each is followed by 0.5 to 1.5 of them."""
_CURRENT = 3.0
"""Seconds after a beat for which what the lane knows is current."""
_ENROL = 20.0
"""Seconds after which a process says anew which circuits it has."""
_IDLE = 30.0
"""Seconds without a call after which a circuit asks before its next one."""
_MAX_VIEWS = 10_000
"""The circuits that are remembered, but for those that are not closed, or have a mode."""
_LEAVE = 0.2
"""The longest that the end of a program waits for the lane to say so, in seconds."""


class Request(Protocol):
    """Something for the lane to do: one of `perform` and `failed` is called, once, in the lane's thread.

    Neither may wait for anything but the store, for all other requests of the process come after it. `perform` must not
    hold a lock while it asks.
    """

    def perform(self, store: FleetStore, stamp: Stamp) -> None:
        """Ask the store, and take its answer. An exception of the store's is its trouble."""
        ...

    def failed(self) -> None:
        """Go on without the store: it is in trouble."""
        ...


class Member(Protocol):
    """A circuit, as the lane knows it, and holds it weakly. Most of these are called in the lane's thread."""

    name: str
    #: Its name in the store: with its key, where it has one.
    id: str

    def follow(self, view: CircuitView) -> None:
        """Go where the fleet's circuit of this *id* is, unless that is known."""
        ...

    def follow_mode(self, view: CircuitView) -> None:
        """Take the mode that was set for all circuits of this *name*."""
        ...

    def arm(self) -> None:
        """Have the next call ask whether what is known is current."""
        ...

    def forked(self) -> None:
        """Begin anew in a forked process."""
        ...

    def reunite(self, lane: Lane) -> None:
        """Tell the store what it may have missed, or lost."""
        ...


class Quota(Protocol):
    """The bucket of a quota, as the lane knows it."""

    def give_back(self) -> None:
        """Give back what is leased and not needed."""
        ...

    def forked(self) -> None:
        """Begin anew in a forked process."""
        ...


class Waiting:
    """A wait for an answer, which may be ended from any thread: see `Sleep.ended_by`.

    The lane sets `done` before it looks for the function to call, and the call stores the function before it looks at
    `done`. So one of the two always sees the other, without a lock; the wait may be ended twice, which does no harm.
    """

    __slots__ = ("_wake", "done")

    def __init__(self) -> None:
        self.done: bool = False
        self._wake: Callable[[], object] | None = None

    def ring(self) -> None:
        """End the wait."""
        self.done = True
        wake = self._wake
        if wake is not None:
            with contextlib.suppress(RuntimeError):  # its event loop is closed
                wake()

    @contextlib.contextmanager
    def ringing(self, wake: Callable[[], object]) -> Generator[None]:
        """Have *wake* called when the answer is there during the block, or if it is there already."""
        self._wake = wake
        try:
            if self.done:
                wake()
            yield
        finally:
            self._wake = None


class _Sync(Waiting):
    """A request for a beat, unless what is known is current."""

    __slots__ = ("_lane",)

    def __init__(self, lane: Lane) -> None:
        super().__init__()
        self._lane = lane

    def perform(self, store: FleetStore, stamp: Stamp) -> None:
        """Beat, unless another request has done so a moment ago."""
        if not self._lane.is_current():
            self._lane.beat(store, stamp)
        self.ring()

    def failed(self) -> None:
        """Let the call go on: there is nothing to wait for."""
        self.ring()


class _News:
    """A change that was published.

    The listener's thread queues it rather than following it, so that changes of a circuit are made by one thread, in
    order.
    """

    __slots__ = ("_lane", "_view")

    def __init__(self, lane: Lane, view: CircuitView) -> None:
        self._lane = lane
        self._view = view

    def perform(self, store: FleetStore, stamp: Stamp) -> None:
        """Follow the change, in the lane's thread, in its turn."""
        self._lane._follow(self._view)

    def failed(self) -> None:
        """Do nothing: the next beat brings it."""


class Lane:
    """The thread of one fleet in this process, with its queue, its store, and what it knows of the fleet.

    It owns the connection, the cursor of the changes seen, the last view of each circuit that a new member may have to
    follow, and the verdict whether the store is in trouble (`lost`). Circuits and quotas are its members: it holds them
    weakly, so a circuit that the program drops is dropped here.

    *open_store* makes a connected store; the lane calls it in each process once. An *inline* lane has no thread: its
    requests are carried out where `pump` is called, for a store that answers at once.

    Any thread may call `enrol`, `send`, `pump` and `sync`, and read `lost` and `nodes`. Beats, views and the connection
    belong to the lane's thread, or to the one that pumps an inline lane, and need no lock.
    """

    def __init__(
        self, fleet: str, where: str, open_store: Callable[[], FleetStore], *, inline: bool, clock: Clock = SYSTEM
    ) -> None:
        self.fleet: str = fleet
        #: The server, as log lines and events name it.
        self.where: str = where
        self.inline: bool = inline
        #: The seconds for which calls wait until what is known is current: all together.
        self.patience: float = 0.1
        self._open_store = open_store
        self._own_clock = clock
        self._members: weakref.WeakValueDictionary[int, Member] = weakref.WeakValueDictionary()
        self._quotas: weakref.WeakValueDictionary[int, Quota] = weakref.WeakValueDictionary()
        self._start_anew()
        _lanes.add(self)

    def _start_anew(self) -> None:
        """Forget the thread, the connections and the locks of the process that has forked this one."""
        self.node: str = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        #: How many processes of the fleet lived at the last answer.
        self.nodes: int = 1
        #: Whether the store is in trouble: circuits and quotas decide by themselves.
        self.lost: bool = False
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()  # its `put` may interrupt itself
        self._starting = threading.Lock()
        self._pumping = threading.RLock()
        self._thread: threading.Thread | None = None
        self._store: FleetStore | None = None
        self._stop_listening: Callable[[], object] | None = None
        self._listeners = 0
        self._ending = False
        self._random = private_random()
        self._views: dict[str, tuple[CircuitView, float]] = {}
        self._cursor = 0
        self._incarnation = ""
        self._fleet_now = 0.0
        self._answered_at = -math.inf
        self._answered_wall = 0.0
        self._beat_at = -math.inf
        self._sync_since: float | None = None
        self._enrol_at = -math.inf
        self._arm_at = -math.inf
        self._pause = _MIN_PAUSE / 2

    # -- for circuits and quotas -------------------------------------------------------------------------------------

    def clock(self) -> Clock:
        """Return the clock of an inline lane's caller, or that of the thread."""
        return current_clock() if self.inline else self._own_clock

    def _chance(self) -> float:
        """Return a random number: of the lane's clock, or, where that is the machine's, the thread's own."""
        clock = self.clock()
        return self._random() if clock is SYSTEM else clock.random()

    def enrol(self, member: Member) -> None:
        """Have *member* follow the fleet from now on, for as long as it exists."""
        self._members[id(member)] = member
        self._enrol_at = -math.inf
        self._catch_up(member)

    def heard_of(self, nodes: int) -> None:
        """Note how many processes lived at an answer."""
        self.nodes = max(nodes, 1)

    def enrol_quota(self, quota: Quota) -> None:
        """Have *quota* give back what it does not need, for as long as it exists."""
        self._quotas[id(quota)] = quota

    def send(self, request: Request) -> None:
        """Queue a request. It does no I/O and takes no lock: a circuit may hold its own.

        Nothing happens until the lane gets to it; `pump`, called outside of the circuit's lock, sees that it does.
        """
        self._queue.put(request)

    def start(self) -> None:
        """Start the thread, unless it runs. Where no thread can be started, the store is as good as lost."""
        thread = self._thread
        if self.inline or self._ending or (thread is not None and thread.is_alive()):
            return
        with self._starting:
            if self._thread is thread:
                thread = threading.Thread(target=self._run, name="resilience-fleet", daemon=True)
                try:
                    thread.start()
                except (RuntimeError, MemoryError):
                    self.lost = True
                    return
                self._thread = thread

    def pump(self) -> None:
        """See that the queue is worked through: here, where the lane is inline, else by the thread.

        Call it outside of a circuit's lock. An inline lane performs requests here, and those take the locks of
        circuits.
        """
        if not self.inline:
            self.start()
            return
        # Where another thread pumps already, it does what is queued: the caller may hold the lock that it waits for.
        while self._pumping.acquire(blocking=False):
            try:
                self._beat_if_due()
                while not self._queue.empty():
                    self._perform(self._queue.get())
                self._end_modes()
            finally:
                self._pumping.release()
            if self._queue.empty():
                return

    def sync(self) -> Waiting | None:
        """Return a wait until what is known is current; None where it is, or waiting for that has been of no use.

        All calls together wait for `patience` seconds after what was known has become old. A store that hangs so costs
        the first calls a tenth of a second, and the later ones nothing, long before its timeout says that it is in
        trouble.
        """
        now = self.clock().now()
        if self.is_current():
            self._sync_since = None
        if self._sync_since is None:
            self._sync_since = now
        if self.is_current() or self.lost or now - self._sync_since > self.patience:
            return None
        request = _Sync(self)
        self.send(request)
        self.pump()
        return request

    def is_current(self) -> bool:
        """Whether the store has answered a moment ago."""
        return 0 <= self.clock().now() - self._answered_at <= _CURRENT

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Carry out requests and beats, one after the other, until the lane is closed."""
        while not self._ending:
            with contextlib.suppress(queue.Empty):
                request = self._queue.get(timeout=max(self._beat_at - self._own_clock.now(), 0.0))
                if request is not None:
                    self._perform(request)
            self._beat_if_due()
            self._end_modes()
        self._leave()

    def _perform(self, request: Request | None) -> None:
        """Carry out a request; while the store is in trouble, or gets into it by this, let it fail."""
        if request is None:
            return
        if self.lost:
            request.failed()
            return
        try:
            request.perform(self._connected(), self._stamp())
        except Exception as error:
            self._trouble(error)
            request.failed()

    def _beat_if_due(self) -> None:
        """Beat where it is time, also to see whether a store that was left alone is back."""
        now = self.clock().now()
        if now < self._beat_at and self._beat_at - now <= 2 * _MAX_PAUSE:  # else the clock is another one
            return
        try:
            self.beat(self._connected(), self._stamp())
        except Exception as error:
            self._trouble(error)

    def beat(self, store: FleetStore, stamp: Stamp) -> None:
        """Say that this process lives; follow what has changed.

        The first one does not listen yet, for a call may wait for its answer; the second one follows it at once.
        """
        clock = self.clock()
        now, wall = clock.now(), clock.wall()
        self._beat_at = now
        if self.inline or self._fleet_now:
            self._beat_at = now + _BEAT * (0.5 + self._chance())
            self._listen(store)
        names: list[str] = []
        if now >= self._enrol_at or now < self._enrol_at - 2 * _ENROL:
            names = sorted({member.name for member in self._all()})
            self._enrol_at = now + _ENROL
        reply = store.beat(stamp, Beat(self._cursor, self._incarnation, names))
        self._answered(reply, now, wall)
        while reply.more:
            reply = store.beat(stamp, Beat(self._cursor, self._incarnation))
            self._answered(reply, now, wall)
        self._arm_idle(now)
        for quota in list(self._quotas.values()):
            quota.give_back()

    def _listen(self, store: FleetStore) -> None:
        """Listen to the news, unless this lane does: before a beat, which brings what was missed."""
        if self._stop_listening is None:
            self._listeners += 1
            self._stop_listening = store.listen(self._heard, functools.partial(self._deaf, self._listeners))

    def _answered(self, reply: BeatReply, asked_at: float, asked_wall: float) -> None:
        """Take the answer to a beat: follow the changes, and note that the store is there.

        After trouble, and where the store has lost its contents, the circuits tell it what they know. Another
        *incarnation* than before shows the loss; the empty one is that of a lane that has not been answered yet.
        """
        anew = self._incarnation not in ("", reply.incarnation)
        was_lost, self.lost = self.lost, False
        self._incarnation = reply.incarnation
        self.heard_of(reply.nodes)
        self._fleet_now, self._answered_at, self._answered_wall = reply.now, asked_at, asked_wall
        self._pause = _MIN_PAUSE / 2
        for view in reply.views:
            self._cursor = max(self._cursor, view.epoch)
            self._follow(view)
        if was_lost:
            self._report_back()
        if was_lost or anew:
            for member in self._all():
                member.reunite(self)

    def _stamp(self) -> Stamp:
        """Return the stamp of a request. Where this host's clocks disagree, it was suspended, or set: it says nothing.

        What is expected is the fleet time of the last answer and the seconds since then: never later than it is.
        """
        clock = self.clock()
        elapsed, by_wall = clock.now() - self._answered_at, clock.wall() - self._answered_wall
        if not self._fleet_now or elapsed < 0 or abs(elapsed - by_wall) > 1.0:
            return Stamp(self.node)
        return Stamp(self.node, self._fleet_now + elapsed, self._incarnation)

    def _connected(self) -> FleetStore:
        """Return the store, connected in this process."""
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _arm_idle(self, now: float) -> None:
        """Have circuits that are not called for a while ask before the next call: the process may have been frozen."""
        if 0 <= self._arm_at - now <= _IDLE:
            return
        self._arm_at = now + _IDLE
        for member in self._all():
            member.arm()

    def _all(self) -> list[Member]:
        """Return the circuits that exist."""
        return list(self._members.values())

    # -- what is known -----------------------------------------------------------------------------------------------

    def _heard(self, view: CircuitView) -> None:
        """Have a change that was published be followed: here, or by the lane, for this is the listener's thread."""
        if self.inline:
            self._follow(view)
        else:
            self._queue.put(_News(self, view))

    def _deaf(self, listener: int) -> None:
        """Have the next beat listen again: the connection of the *listener* is lost."""
        if listener == self._listeners:
            self._stop_listening = None

    def _follow(self, view: CircuitView) -> None:
        """Remember a change and hand it to the circuits. An older one than is known changes nothing.

        What is remembered is for circuits that this process makes later. Beyond `_MAX_VIEWS` it forgets the closed ones
        without a mode: a new circuit is closed anyway.
        """
        known, _ = self._views.get(view.name, (view, 0.0))
        if view.epoch < known.epoch:
            return
        if len(self._views) >= _MAX_VIEWS:
            self._views = {name: each for name, each in self._views.items() if _is_special(each[0])}
        self._views[view.name] = (view, self.clock().now())
        for member in self._all():
            self._pass_on(member, view)

    def _pass_on(self, member: Member, view: CircuitView) -> None:
        """Hand a change to one circuit: to those that only share its name, the mode alone."""
        if member.id == view.name:
            member.follow(view)
        elif member.name == view.name:
            member.follow_mode(view)

    def _catch_up(self, member: Member) -> None:
        """Have a new member follow what is known of it."""
        now = self.clock().now()
        for name in (member.name, member.id):
            view, at = self._views.get(name, (None, 0.0))
            if view is not None and _is_special(view):
                self._pass_on(member, _aged(view, now - at))

    def _end_modes(self) -> None:
        """End the modes whose time is over, also where the store is in trouble."""
        now = self.clock().now()
        for view, at in list(self._views.values()):
            if view.mode_left is not None and view.mode != "normal" and now - at >= view.mode_left:
                self._follow(
                    _aged(view, now - at)._replace(mode="normal", mode_left=None, by="", why="its time is over")
                )

    # -- trouble -----------------------------------------------------------------------------------------------------

    def _trouble(self, error: Exception) -> None:
        """Leave the store alone for a while, longer each time.

        The pause doubles from 1 to 30 seconds, and the wait is a random share of it between 10 and 100 %. The error is
        logged and emitted only for the first failure of an outage, and not while the interpreter shuts down.
        """
        clock = self.clock()
        self._pause = min(2 * self._pause, _MAX_PAUSE)
        self._beat_at = clock.now() + self._pause * (0.1 + 0.9 * self._chance())
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        if self.lost:
            return
        self.lost = True
        if sys.is_finalizing():
            return
        _logger().warning(
            "the store of fleet %r at %s raised %s (%s); circuits and quotas go on by themselves, and it is asked"
            " again within %g s, later every %g s",
            self.fleet,
            self.where,
            type(error).__name__,
            error,
            _MIN_PAUSE,
            _MAX_PAUSE,
        )
        if has_listeners():
            from resilience.events import FleetLost

            emit(FleetLost(target=self.fleet, policy="fleet", error=error))

    def _report_back(self) -> None:
        """Log and emit that the store is back."""
        _logger().info("the store of fleet %r at %s is back", self.fleet, self.where)
        if has_listeners():
            from resilience.events import FleetRestored

            emit(FleetRestored(target=self.fleet, policy="fleet", nodes=self.nodes))

    # -- ends --------------------------------------------------------------------------------------------------------

    def close(self, timeout: float = _LEAVE) -> None:
        """Say that this process leaves, and end the thread; wait for at most *timeout* seconds.

        The thread is a daemon: where the store does not answer in time, the program ends without it, and the other
        processes count this one out when its beats stop.
        """
        self._ending = True
        thread = self._thread
        if thread is None:
            self._leave()
        else:
            self._queue.put(None)
            thread.join(timeout)

    def _leave(self) -> None:
        """Say that this process leaves, close the connections, and let circuits decide by themselves from here on."""
        store, self._store = self._store, None
        was_lost, self.lost = self.lost, True  # from here on circuits and quotas decide by themselves
        if store is None:
            return
        with contextlib.suppress(Exception):
            if not was_lost:
                store.beat(self._stamp(), Beat(ending=True))
        if self._stop_listening is not None:
            self._stop_listening()
        with contextlib.suppress(Exception):
            store.close()

    def _forked(self) -> None:
        """Begin anew in a forked process, with all circuits and quotas."""
        self._start_anew()
        for member in self._all():
            member.forked()
        for quota in list(self._quotas.values()):
            quota.forked()


def _aged(view: CircuitView, seconds: float) -> CircuitView:
    """Return a circuit as it is so many *seconds* later."""
    mode_left = view.mode_left
    if mode_left is not None:
        mode_left -= seconds
    return view._replace(left=view.left - seconds, mode_left=mode_left)


def _is_special(view: CircuitView) -> bool:
    """Whether a circuit that is new in this process has to follow that: it is not closed, or has a mode."""
    return view.state == "open" or view.mode != "normal"


def _logger() -> logging.Logger:
    """Return the logger of the toolkit."""
    return logging.getLogger("resilience")


_lanes: weakref.WeakSet[Lane] = weakref.WeakSet()


def lanes() -> list[Lane]:
    """Return the lanes of this process that exist, and have not been closed."""
    return [lane for lane in list(_lanes) if not lane._ending]


def _after_fork() -> None:
    """Begin anew, in a forked process, with every lane."""
    for lane in list(_lanes):
        lane._forked()


call_in_forked_child(_after_fork)
