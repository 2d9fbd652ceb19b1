"""`Fleet`: the processes of a service that share circuits and quotas, and the commands of operators to them.

`Fleet` is what a program sees of this package. It owns two ways to the store: the lane, by which circuits and quotas
ask in the background, and a second connection for operators (`Fleet.isolate`, `Fleet.snapshot`), who wait for the
answer in their own thread and are to see the error where there is one.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import weakref
from collections.abc import Hashable
from typing import Any, TypedDict, cast

from resilience._process_bound import ProcessBound
from resilience._runtime.method_selection import RequestMethods
from resilience._safe_access import safe_getattr
from resilience._validation import parse_duration, parse_number, require
from resilience.clock import current_clock
from resilience.fleet._circuit import FleetCircuit, id_of
from resilience.fleet._lane import Lane
from resilience.fleet._memory_store import shared_memory
from resilience.fleet._protocol import CircuitView, Command, FleetStore, Stamp
from resilience.fleet._quota import FleetBucket
from resilience.fleet._redis_store import RedisStore, parse_client
from resilience.policies._circuit_breaker_config import CircuitBreakerConfig
from resilience.policies._token_bucket import Lock

__all__ = ["Fleet", "FleetAudit", "FleetCircuitSnapshot", "FleetNode", "FleetSnapshot"]

_MEMORY = "memory://"


class FleetNode(TypedDict):
    """A process of a fleet, as ``host:pid:random``, and the seconds since it was *heard* last."""

    node: str
    heard: float


class FleetCircuitSnapshot(TypedDict):
    """A circuit of a fleet. Times are seconds from now.

    *state* is "closed", "open" or "half_open". *votes* are the processes whose own circuit is open, *probes* the leases
    that are out. *next_probe* is when an open circuit admits a probe; None where it is not open. *mode* was set *by* an
    operator, and ends in *mode_left*; None: when it is released.
    """

    name: str
    state: str
    opens: int
    failures: int
    last_category: str | None
    next_probe: float | None
    votes: list[str]
    probes: int
    mode: str
    mode_left: float | None
    by: str
    why: str


class FleetAudit(TypedDict):
    """A command of an operator: when, in seconds *ago*, which *circuit*, which *mode*, for how long, who and why."""

    ago: float
    circuit: str
    mode: str
    seconds: float | None
    by: str
    why: str


class FleetSnapshot(TypedDict):
    """A fleet as its store knows it, ready for JSON."""

    name: str
    nodes: list[FleetNode]
    circuits: list[FleetCircuitSnapshot]
    audit: list[FleetAudit]


class Fleet(ProcessBound):
    """The processes that share circuits and quotas through one Redis or Valkey server.

    Give one object to the circuits and rate limits of a program: ``circuit_breaker("payments", fleet=fleet)``. It works
    for threads, asyncio and trio alike, since no call does I/O: one thread of the process, with a connection of its
    own, talks to the server. It starts with the first call, and a forked process gets one of its own. Processes that
    give the same *name* are one fleet.

    A circuit that opens in one process is open there, and a vote; it opens in all where the votes are *quorum* of the
    live processes that have it, and at least two. Then at most ``probes`` calls of the whole fleet are probes at a
    time. While the server cannot be reached every process decides by itself, and calls go on.

    Args:
        client: a client of ``redis`` or ``valkey``, of which a copy is made, with a time limit and without retries; or
            its URL, such as ``"redis://cache:6379/0"``. A client of a cluster is used as it is, and never closed: give
            it a ``socket_timeout`` of a second or less. ``"memory://"`` is a fleet in this process, for tests.
        name: the name of the service; a part of all keys, without braces.
        quorum: the share of the live processes whose votes open a circuit in all; more than 0, at most 1.
        timeout: the longest that the thread waits for the server, in seconds. No call waits for it.

    Raises TypeError or ValueError for what is no client, an async client, an empty name, or a wrong number. The server
    is first asked with the first call, so a program starts without it.

    >>> from resilience import circuit_breaker
    >>> fleet = Fleet("memory://", name="shop")
    >>> payments = circuit_breaker("payments of the fleet", fleet=fleet, failure_threshold=2)
    >>> fleet.isolate("payments of the fleet", until=600, by="ada", why="the bank asks for it")
    >>> payments.current_state, payments.mode.value
    ('open', 'isolated')
    >>> fleet.release("payments of the fleet", by="ada")
    >>> payments.current_state, payments.mode.value
    ('closed', 'normal')
    """

    def __init__(self, client: object, *, name: str, quorum: float = 0.5, timeout: float = 0.5) -> None:
        require(isinstance(name, str), "name", name, "the name of the service as text, such as 'shop'", TypeError)
        fine = bool(name.strip()) and not set(name) & set("{}")
        require(fine, "name", name, "the name of the service, such as 'shop', without braces")
        expected = "a share of the processes, more than 0 and at most 1, such as 0.5"
        self.name: str = name
        self.quorum: float = parse_number("quorum", quorum, expected, least=0.0, above=True)
        require(self.quorum <= 1, "quorum", quorum, expected)
        self._timeout = parse_duration("timeout", timeout)
        inline = isinstance(client, str) and client.startswith(_MEMORY)
        self._client: object = client if inline else parse_client("client", client)
        self._operator: FleetStore | None = None
        self._lane = Lane(name, _where(self._client), self._open, inline=inline)
        _close_at_exit(self._lane)

    def _open(self) -> FleetStore:
        """Return a store, with a connection of its own."""
        if isinstance(self._client, str):
            return shared_memory(f"{self._client}/{self.name}")
        return RedisStore(self._client, self.name, self._timeout)

    def _instead_of_pickling(self) -> tuple[str, str]:
        return f"the fleet {self.name!r}", "make it in a module that each process imports"

    # -- for circuits ------------------------------------------------------------------------------------------------

    def make_circuit(
        self, name: str, config: CircuitBreakerConfig, methods: RequestMethods, key: Hashable
    ) -> FleetCircuit:
        """Return the policy of a circuit. `circuit_breaker` calls it, for ``fleet=``."""
        return FleetCircuit(name, config, methods, self._lane, self.quorum, key)

    def make_bucket(self, name: str, interval: float, burst: int, lock: Lock) -> FleetBucket:
        """Return the bucket of a quota. `rate_limit` calls it, for ``fleet=``."""
        return FleetBucket(name, interval, burst, lock, self._lane)

    # -- what is known -----------------------------------------------------------------------------------------------

    @property
    def lost(self) -> bool:
        """Whether the store is in trouble: circuits and quotas of this process decide by themselves."""
        return self._lane.lost

    @property
    def nodes(self) -> int:
        """How many processes lived when the store was asked last."""
        return self._lane.nodes

    def snapshot(self) -> FleetSnapshot:
        """Ask the store, in this thread, for the circuits, the processes and the last commands.

        Circuits that are closed, and that nothing has happened to for a day, are not among them. Raises what the client
        raises where the store cannot be reached. It waits for the server: in an event loop, call it in a thread.

        >>> fleet = Fleet("memory://", name="shop with a snapshot")
        >>> fleet.shadow("payments", by="ada", why="a new threshold is tried")
        >>> found = fleet.snapshot()
        >>> [(each["name"], each["state"], each["mode"]) for each in found["circuits"]]
        [('payments', 'closed', 'shadow')]
        >>> [(each["by"], each["why"]) for each in found["audit"]]
        [('ada', 'a new threshold is tried')]
        """
        found = self._asked().read()
        now: float = found["now"]
        return {
            "name": self.name,
            "nodes": [{"node": node, "heard": now - heard} for node, heard in sorted(found["nodes"].items())],
            "circuits": [_circuit(*each) for each in found["circuits"]],
            "audit": [_audit(now, each) for each in found["audit"]],
        }

    # -- by hand -----------------------------------------------------------------------------------------------------

    def isolate(
        self,
        circuit: str,
        *,
        by: str,
        why: str = "",
        until: float | datetime.timedelta | datetime.datetime | None = None,
        key: Hashable = None,
    ) -> None:
        """Have all processes reject the calls of a circuit, named by its name.

        Args:
            circuit: the name of the circuit; with *key* only that of the key, else those of all keys.
            by: who does it, for the audit and the event.
            why: the reason.
            until: when it ends, in seconds from now or as a date; unless given, by `release`.
            key: the key of a circuit with ``key=``.

        The processes follow within a second or two, most at once. One that starts later follows, too. Asks the store in
        this thread: raises what the client raises where that cannot be reached, and TypeError or ValueError for an
        empty name or a date that has passed.
        """
        self._command(circuit, "isolated", by, why, until, key)

    def shadow(
        self,
        circuit: str,
        *,
        by: str,
        why: str = "",
        until: float | datetime.timedelta | datetime.datetime | None = None,
        key: Hashable = None,
    ) -> None:
        """Have all processes record and open a circuit, but reject no call. As `isolate` otherwise."""
        self._command(circuit, "shadow", by, why, until, key)

    def release(self, circuit: str, *, by: str, why: str = "", key: Hashable = None) -> None:
        """End `isolate` or `shadow`: the circuit goes on from what the fleet's was. As `isolate` otherwise."""
        self._command(circuit, "normal", by, why, None, key)

    def close(self) -> None:
        """Leave the fleet: say so, end the thread, and close the connections. Circuits then decide by themselves."""
        self._lane.close()
        operator, self._operator = self._operator, None
        if operator is not None:
            with contextlib.suppress(Exception):
                operator.close()

    def _command(
        self,
        circuit: str,
        mode: str,
        by: str,
        why: str,
        until: float | datetime.timedelta | datetime.datetime | None,
        key: Hashable,
    ) -> None:
        """Check a command of an operator, and give it to the store in this thread."""
        for parameter, value in (("circuit", circuit), ("by", by)):
            require(isinstance(value, str), parameter, value, "a name as text", TypeError)
            require(bool(value.strip()), parameter, value, "a name, such as 'payments'")
        require(isinstance(why, str), "why", why, "the reason as text", TypeError)
        command = Command(id_of(circuit, key), mode, _seconds_until(until), by, why)
        self._lane.pump()  # what is in the memory of this process is followed at once
        self._asked().command(Stamp(f"operator:{by}"), command)

    def _asked(self) -> FleetStore:
        """Return the store that operators ask in their own threads."""
        if self._operator is None:
            self._operator = self._open()
        return self._operator

    def __repr__(self) -> str:
        return f"<Fleet {self.name!r} at {self._lane.where}>"


def _seconds_until(until: float | datetime.timedelta | datetime.datetime | None) -> float:
    """Return for how many seconds a command holds; 0 until it is released.

    A date is turned into seconds here, by this host's clock, and the store counts them by fleet time: the clocks of
    other hosts do not matter.
    """
    if until is None:
        return 0.0
    if not isinstance(until, datetime.datetime):
        return parse_duration("until", until)
    require(until.tzinfo is not None, "until", until, "a date with a time zone, or seconds from now")
    left = until.timestamp() - current_clock().wall()
    require(left > 0, "until", until, "a date that has not passed, or seconds from now")
    return left


def _circuit(view: CircuitView, votes: list[str], probes: int) -> FleetCircuitSnapshot:
    """Return a circuit as a snapshot shows it."""
    state, next_probe = view.state or "closed", None
    if state == "open" and view.left <= 0:
        state = "half_open"
    elif state == "open":
        next_probe = view.left
    return {
        "name": view.name,
        "state": state,
        "opens": view.opens,
        "failures": view.failures,
        "last_category": view.category or None,
        "next_probe": next_probe,
        "votes": sorted(votes),
        "probes": probes,
        "mode": view.mode,
        "mode_left": view.mode_left,
        "by": view.by,
        "why": view.why,
    }


def _audit(now: float, entry: dict[str, Any]) -> FleetAudit:
    """Return a command as a snapshot shows it."""
    return {
        "ago": now - float(entry["at"]) / 1e6,
        "circuit": entry["circuit"],
        "mode": entry["mode"],
        "seconds": float(entry["seconds"]) / 1e6 or None,
        "by": entry["by"],
        "why": entry["why"],
    }


def _where(client: object) -> str:
    """Return the server of a client, for log lines: host and port, or the path of a socket, and never the password."""
    if isinstance(client, str):
        return _MEMORY
    pool: Any = safe_getattr(client, "connection_pool")
    found = safe_getattr(pool, "connection_kwargs")
    if not isinstance(found, dict):
        return type(client).__name__
    options = cast("dict[str, object]", found)
    return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")


def _close_at_exit(lane: Lane) -> None:
    """Have the process say that it leaves when the program ends.

    The other processes then count it out of the quorum at once, and not five seconds later. The hook holds the lane
    weakly: a fleet that is dropped is not kept alive until the end of the program.
    """
    reference = weakref.ref(lane)

    def leave() -> None:
        """Leave the fleet, if it still exists."""
        alive = reference()
        if alive is not None:
            alive.close()

    atexit.register(leave)
