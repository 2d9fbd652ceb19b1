"""A fleet's store in the memory of this process: the verbs in plain Python.

It is the model of the protocol: tests play it with crashes, delays and steps of clocks, and compare the Lua scripts of
`RedisStore` with it, answer by answer. Programs use it for their own tests, by the URL ``memory://``.

A change of the protocol is made here first, and then in `_scripts`, statement by statement: the two read side by side,
and both count in microseconds.

>>> store = MemoryStore()
>>> votes = [store.vote(Stamp(node), Vote("payments", "payments", 60.0, quorum=0.5)) for node in ("one", "two")]
>>> [(each.votes, each.needed, each.view.state) for each in votes]
[(1, 2, ''), (2, 2, 'open')]
"""

from __future__ import annotations

import dataclasses
import math
import secrets
import threading
from collections.abc import Callable
from typing import Any

from resilience._forks import fork_safe
from resilience.clock import current_clock
from resilience.fleet._protocol import (
    Ask,
    Beat,
    BeatReply,
    CircuitView,
    Command,
    LeaseReply,
    Result,
    Stamp,
    Take,
    TakeReply,
    Vote,
    VoteReply,
)
from resilience.fleet._scripts import AUDITED, LIVE, PAGE, TOLERANCE

__all__ = ["MemoryStore", "shared_memory"]

_SECOND = 1_000_000
_AHEAD = 30 * _SECOND


@dataclasses.dataclass
class _Circuit:
    """One circuit in the store. Times are microseconds of fleet time.

    It is "open" from the quorum until enough probes succeed: half-open is no state here, but an open circuit whose
    *until* has passed. *ok* and *bad* count the results of probes since it opened. *blocked* is until when no lease is
    given, after a loss of the contents. *leases* are the tokens of probes, and *votes* the processes, each with its
    end.
    """

    name: str
    epoch: int = 0
    state: str = ""
    until: int = 0
    opened: int = 0
    opens: int = 0
    failures: int = 0
    category: str = ""
    error: str = ""
    mode: str = "normal"
    mode_until: int = 0
    by: str = ""
    why: str = ""
    ok: int = 0
    bad: int = 0
    blocked: int = 0
    leases: dict[str, int] = dataclasses.field(default_factory=dict[str, int])
    votes: dict[str, int] = dataclasses.field(default_factory=dict[str, int])

    def end_mode(self, now: int) -> None:
        """End a mode whose time is over."""
        if self.mode_until and self.mode_until <= now:
            self.mode, self.mode_until, self.by, self.why = "normal", 0, "", ""

    def view(self, now: int) -> CircuitView:
        """Return the circuit as the store answers with it."""
        shown = dataclasses.replace(self)
        shown.end_mode(now)
        left, mode_left = 0.0, None
        if shown.until:
            left = (shown.until - now) / _SECOND
        if shown.mode_until:
            mode_left = (shown.mode_until - now) / _SECOND
        return CircuitView(
            shown.name,
            shown.epoch,
            shown.state,
            left,
            shown.opened,
            shown.opens,
            shown.failures,
            shown.category,
            shown.error,
            shown.mode,
            mode_left,
            shown.by,
            shown.why,
        )


class MemoryStore:
    """The verbs of a fleet, on dicts. *server_clock* returns the server's time in microseconds.

    Unless it is given, the clock in force is asked (`resilience.clock`): under virtual time leases expire in it.

    Each verb is one step under one lock, as each script is one on a Redis server. The lock is reentrant, because
    listeners are called under it, in the thread that makes the change, and what they do may come back with another
    verb.
    """

    def __init__(self, server_clock: Callable[[], int] | None = None) -> None:
        self._server_clock: Callable[[], int] = server_clock or _clock_in_force
        self._lock = fork_safe(threading.RLock())
        self._heard: list[Callable[[CircuitView], object]] = []
        self.flush()

    def flush(self) -> None:
        """Lose all contents, as a server does that restarts without a copy on disk.

        The next beat begins another incarnation.
        """
        self._circuits: dict[str, _Circuit] = {}
        self._members: dict[str, dict[str, int]] = {}
        self._nodes: dict[str, int] = {}
        self._full_at: dict[str, float] = {}
        self._audit: list[dict[str, Any]] = []
        self._incarnation = ""
        self._offset = self._last = self._seq = 0

    # -- the verbs ---------------------------------------------------------------------------------------------------

    def beat(self, stamp: Stamp, beat: Beat) -> BeatReply:
        """Note that a process lives; return the circuits that have changed since its cursor."""
        with self._lock:
            now = self._now(stamp)
            self._incarnation = self._incarnation or secrets.token_hex(8)
            if beat.ending:
                self._nodes.pop(stamp.node, None)
                return BeatReply(self._incarnation, now / _SECOND, 0, [], more=False)
            self._seq = max(self._seq, beat.cursor)
            self._reach(now)
            self._nodes[stamp.node] = now
            for name in beat.names:
                self._members.setdefault(name, {})[stamp.node] = now
            cursor = beat.cursor
            if beat.incarnation != self._incarnation:
                cursor = 0
            changed = sorted((each for each in self._circuits.values() if each.epoch > cursor), key=_by_epoch)
            views = [each.view(now) for each in changed[:PAGE]]
            return BeatReply(
                self._incarnation, now / _SECOND, len(self._live(self._nodes, now)), views, more=len(changed) > PAGE
            )

    def vote(self, stamp: Stamp, vote: Vote) -> VoteReply:
        """Count a vote; open the circuit where those of live processes are a quorum, for the longest of their times.

        It takes ``max(2, ceil(quorum * live members))`` votes: one process alone never opens a circuit for the others,
        since its own network may be what fails.
        """
        with self._lock:
            now = self._now(stamp)
            circuit = self._circuit(vote.name)
            if not vote.seconds:
                circuit.votes.pop(stamp.node, None)
                return VoteReply(0, 0, circuit.view(now))
            self._reach(now)
            circuit.votes[stamp.node] = now + round(vote.seconds * _SECOND)
            circuit.votes = {node: until for node, until in circuit.votes.items() if until > now}
            members = self._members.setdefault(vote.member, {})
            members[stamp.node] = self._nodes[stamp.node] = now
            voters = len(self._live(circuit.votes, now))
            needed = max(2, math.ceil(vote.quorum * len(self._live(members, now)) - 1e-6))
            if voters >= needed and circuit.state != "open":
                duration = max(circuit.votes.values()) - now
                self._open(circuit, now, duration, vote.opens, vote, known=vote.epoch)
            return VoteReply(voters, needed, circuit.view(now))

    def lease(self, stamp: Stamp, ask: Ask) -> LeaseReply:
        """Give the lease of a probe where the open time is over, and fewer are out than there may be.

        A store that has lost its contents learns the circuit from the request, and gives no lease for the length of
        one: a probe that it has forgotten may be in flight.

        >>> store = MemoryStore(server_clock=lambda: 0)
        >>> known = CircuitView("payments", epoch=7, state="open", left=-1.0, opened=7, opens=1)
        >>> reply = store.lease(Stamp("one"), Ask("payments", "abc", seconds=30.0, probes=1, known=known))
        >>> reply.token, reply.wait, reply.view.state
        ('', 30.0, 'open')
        """
        with self._lock:
            now, known = self._now(stamp), ask.known
            circuit, duration = self._circuit(ask.name), round(ask.seconds * _SECOND)
            if known.epoch > circuit.epoch:  # it was lost, and with it maybe a lease
                circuit.epoch, circuit.state, circuit.opened = known.epoch, "open", known.opened
                circuit.until = now + round(known.left * _SECOND)
                circuit.opens, circuit.failures = known.opens, known.failures
                circuit.category, circuit.error = known.category, known.error
                circuit.ok, circuit.bad, circuit.blocked = 0, 0, now + duration
                self._seq = max(self._seq, known.epoch)
                self._publish(circuit, now)
            if circuit.state != "open" or not ask.wants:
                return LeaseReply("", 0.0, circuit.view(now))
            free_at = max(circuit.until, circuit.blocked)
            if free_at <= now:
                out = [until for until in circuit.leases.values() if until > now]
                if len(out) < ask.probes:
                    token = f"{circuit.opened}:{ask.nonce}"
                    circuit.leases = {each: until for each, until in circuit.leases.items() if until > now}
                    circuit.leases[token] = now + duration
                    self._reach(now)
                    return LeaseReply(token, 0.0, circuit.view(now))
                free_at = min(out)
            return LeaseReply("", (free_at - now) / _SECOND, circuit.view(now))

    def result(self, stamp: Stamp, result: Result) -> CircuitView:
        """Count a result whose lease holds; close the circuit or open it again where it decides.

        A token begins with the epoch at which the circuit opened. A result of an earlier opening does not count, even
        where its lease has not ended.
        """
        with self._lock:
            now = self._now(stamp)
            circuit = self._circuit(result.name)
            ends = circuit.leases.pop(result.token, 0)
            opened = int(result.token.partition(":")[0])
            if result.kind == "none" or ends <= now or circuit.state != "open" or opened != circuit.opened:
                return circuit.view(now)
            if result.kind == "ok":
                circuit.ok += 1
                if circuit.ok >= result.closes:
                    circuit.epoch = self._next_epoch(circuit.epoch, now)
                    circuit.state, circuit.until, circuit.opens = "closed", 0, 0
                    circuit.ok = circuit.bad = 0
                    circuit.votes = {}
                    self._publish(circuit, now)
            else:
                circuit.bad += 1
                if circuit.bad >= result.reopens:
                    duration = round(result.seconds * _SECOND)
                    self._open(circuit, now, duration, circuit.opens + 1, result, known=circuit.epoch)
            return circuit.view(now)

    def command(self, stamp: Stamp, command: Command) -> CircuitView:
        """Set the mode of a circuit, and keep who did it, and why."""
        with self._lock:
            now = self._now(stamp)
            circuit = self._circuit(command.name)
            circuit.epoch = self._next_epoch(circuit.epoch, now)
            circuit.mode, circuit.by, circuit.why, circuit.mode_until = command.mode, command.by, command.why, 0
            if command.seconds > 0 and command.mode != "normal":
                circuit.mode_until = now + round(command.seconds * _SECOND)
            entry = {"at": str(now), "circuit": command.name, "mode": command.mode, "by": command.by}
            self._audit.insert(0, entry | {"why": command.why, "seconds": str(round(command.seconds * _SECOND))})
            del self._audit[AUDITED:]
            self._publish(circuit, now)
            return circuit.view(now)

    def take(self, stamp: Stamp, take: Take) -> TakeReply:
        """Take tokens that are there, book some ahead, or give some back.

        The bucket is one number, the time at which it is full again (GCRA, the generic cell rate algorithm of ATM
        networks). Tokens move it ahead by *interval* each. With *burst* tokens at most, those that are there now are
        ``(now + burst * interval - full) / interval``. Booking moves it further than that, up to 30 seconds, and the
        answer says how long to wait.

        >>> store = MemoryStore(server_clock=lambda: 0)
        >>> take = Take("openai", interval=0.5, burst=2, most=2.0, share=1.0)
        >>> replies = [store.take(Stamp(node), take) for node in ("one", "two")]
        >>> [(float(reply.tokens), reply.wait) for reply in replies]
        [(2.0, 0.0), (1.0, 0.5)]
        """
        with self._lock:
            now = self._now(stamp)
            nodes, interval = len(self._live(self._nodes, now)), take.interval * _SECOND
            full = self._full_at.get(take.name, 0.0)
            if full > now + _AHEAD + take.burst * interval:  # of another rate
                full = now + take.burst * interval
            full = max(full, now)
            free = math.floor((now + take.burst * interval - full) / interval + 1e-6)
            tokens, wait = min(take.most, free), 0.0
            if take.most >= 0 and tokens < take.least:
                tokens = take.share
                wait = max(0.0, full + tokens * interval - take.burst * interval - now)
                if wait > _AHEAD:
                    return TakeReply(0.0, (wait - _AHEAD) / _SECOND, nodes)
            self._full_at[take.name] = full + tokens * interval
            self._reach(now)
            return TakeReply(tokens, wait / _SECOND, nodes)

    def read(self) -> dict[str, Any]:
        """Return the contents, for `Fleet.snapshot`."""
        with self._lock:
            now = self._now(Stamp(""))
            return {
                "now": now / _SECOND,
                "circuits": [
                    (each.view(now), _after(each.votes, now), len(_after(each.leases, now)))
                    for each in sorted(self._circuits.values(), key=_by_epoch)
                    if each.epoch
                ],
                "nodes": {node: self._nodes[node] / _SECOND for node in self._live(self._nodes, now)},
                "audit": list(self._audit),
            }

    def listen(self, heard: Callable[[CircuitView], object], ended: Callable[[], object]) -> Callable[[], object]:
        """Call *heard* with each change, in the thread that makes it; *ended* never."""
        self._heard.append(heard)
        return lambda: self._heard.remove(heard)

    def close(self) -> None:
        """Do nothing: there are no connections."""

    # -- under the lock ----------------------------------------------------------------------------------------------

    def _now(self, stamp: Stamp) -> int:
        """Return the fleet time, which never goes back; see `resilience.fleet._protocol`.

        Where the server's clock is behind the last time that was written, or more than a minute from what the sender
        expects, the difference is added to an offset for good. The expectation counts only for the same incarnation, or
        for an empty store.
        """
        now, expected = self._server_clock() + self._offset, round(stamp.expected * _SECOND)
        speaks_of_this = not self._last or stamp.incarnation == self._incarnation
        stepped = 0
        if now < self._last:
            stepped = self._last - now
        elif expected > 0 and speaks_of_this and abs(now - expected) > TOLERANCE:
            stepped = max(expected, self._last) - now
        if stepped:
            self._offset += stepped
            self._reach(now + stepped)
        return now + stepped

    def _reach(self, time: int) -> None:
        """Note, before a time is written, that the fleet time is never earlier from here on."""
        self._last = time

    def _circuit(self, name: str) -> _Circuit:
        """Return the circuit of that name, a new one where nothing is known of it."""
        return self._circuits.setdefault(name, _Circuit(name))

    def _live(self, names: dict[str, int], now: int) -> list[str]:
        """Return those of *names* that were heard of a moment ago."""
        return [name for name in names if self._nodes.get(name, 0) > now - LIVE]

    def _next_epoch(self, known: int, now: int) -> int:
        """Return an epoch that is greater than all before, and than what the sender has *known*.

        It is at least the fleet time in microseconds: a store that has lost its counter does not begin at 1, where
        every process would take its changes for old ones.
        """
        self._seq = max(self._seq + 1, known + 1, now)
        return self._seq

    def _open(self, circuit: _Circuit, now: int, duration: int, opens: int, by: Vote | Result, known: int) -> None:
        """Open a circuit, for a quorum or a failed probe."""
        circuit.epoch = circuit.opened = self._next_epoch(max(circuit.epoch, known), now)
        circuit.state, circuit.until, circuit.opens = "open", now + duration, opens
        circuit.failures, circuit.category, circuit.error = by.failures, by.category, by.error
        circuit.ok = circuit.bad = 0
        self._publish(circuit, now)

    def _publish(self, circuit: _Circuit, now: int) -> None:
        """Notify all listeners of a change."""
        self._reach(now)
        circuit.end_mode(now)
        for heard in list(self._heard):
            heard(circuit.view(now))


def _by_epoch(circuit: _Circuit) -> int:
    """Return the key by which circuits are sorted: when they changed last."""
    return circuit.epoch


def _after(times: dict[str, int], now: int) -> list[str]:
    """Return the names whose time has not passed."""
    return [name for name, until in times.items() if until > now]


def _clock_in_force() -> int:
    """Return the time of the clock in force, in microseconds."""
    return round(current_clock().now() * _SECOND)


_shared: dict[str, MemoryStore] = {}


def shared_memory(name: str) -> MemoryStore:
    """Return the store of this process that has that name: two fleets that are given one URL are one fleet."""
    return _shared.setdefault(name, MemoryStore())
