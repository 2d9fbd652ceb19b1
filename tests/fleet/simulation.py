"""A fleet under a scheduler: real circuits and lanes, one virtual clock, and a store whose messages are lost or late.

Each node has the circuit and the lane that a process has, but for the thread: a test says when the lane does its next
request. The network of a node may be cut, an answer may be lost after the store has done what was asked, and the clocks
of the server and of the hosts may be set. A node that has crashed does nothing any more; its probe is lost, as in a
process that was killed.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from resilience import circuit_breaker
from resilience.clock import using_clock
from resilience.fleet import Fleet
from resilience.fleet._circuit import FleetCircuit
from resilience.fleet._lane import Lane
from resilience.fleet._memory_store import MemoryStore
from resilience.policies.circuit_states import HalfOpen, ProbePermit
from resilience.testing import VirtualClock

PROBES, RESET, LEASE = 2, 10.0, 20.0


class Lost(Exception):
    """A message that was lost."""


class Network:
    """The way of one node to the store."""

    def __init__(self, store: MemoryStore, clock: VirtualClock, chance: random.Random) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self.cut = False
        self.lossy = 0.0
        self.slow = 0.0
        self._heard: list[Callable[..., object]] = []

    def __getattr__(self, verb: str) -> Callable[..., object]:
        def sent(*arguments: object) -> object:
            self._pass("request")
            answer = getattr(self._store, verb)(*arguments)
            self._pass("answer")
            return answer

        return sent

    def _pass(self, what: str) -> None:
        if self.slow:
            self._clock.advance(self._chance.random() * self.slow)
        if self.cut or self._chance.random() < self.lossy:
            raise Lost(what)

    def listen(self, heard: Callable[..., object], ended: Callable[[], object]) -> Callable[[], object]:
        def news(view: object) -> None:
            if not self.cut and self._chance.random() >= self.lossy:
                heard(view)

        return self._store.listen(news, ended)


class HostClock:
    """The clocks of one host: the virtual one, but for a wall clock that may be set."""

    def __init__(self, virtual: VirtualClock) -> None:
        self._virtual = virtual
        self.step = 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self._virtual, name)

    def wall(self) -> float:
        return self._virtual.wall() + self.step


class SteppedLane(Lane):
    """A lane without a thread: `step` does what the thread would do next."""

    host: HostClock

    def start(self) -> None:
        """Start nothing."""

    def clock(self) -> HostClock:
        return self.host

    def step(self) -> bool:
        """Do the next request, or the beat that is due; return whether there was any."""
        before = self._beat_at
        self._beat_if_due()
        if not self._queue.empty():
            self._perform(self._queue.get())
            return True
        self._end_modes()
        return self._beat_at != before


class Node:
    """A process of the simulated fleet, with its circuit, its lane and the probes it has in flight."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.network = Network(world.store, world.clock, world.chance)
        self.lane = SteppedLane("simulated", f"node {number}", lambda: self.network, inline=False)
        self.lane.host = HostClock(world.clock)
        self.fleet = Fleet("memory://", name=f"simulated {number}")
        self.fleet._lane = self.lane
        with using_clock(world.clock):
            self.breaker = circuit_breaker(
                "simulated",
                fleet=self.fleet,
                failure_threshold=2,
                reset_timeout=RESET,
                probe_timeout=LEASE,
                probes=PROBES,
            )
        self.probes: list[ProbePermit] = []
        self.epochs = [0]
        self.crashed = False

    @property
    def circuit(self) -> FleetCircuit:
        return self.breaker.circuit

    def call(self) -> object:
        """Begin a call; return what has admitted it, or None. A probe stays in flight until `end`."""
        with using_clock(self.world.clock):
            clock = self.world.clock
            self.circuit._ask_if_due(clock)
            admitted, _ = self.circuit.acquire(clock)
        if isinstance(admitted, ProbePermit):
            self.probes.append(admitted)
            self.world.began(self, admitted)
        return admitted

    def end(self, permit: ProbePermit, weight: int) -> None:
        self.probes.remove(permit)
        with using_clock(self.world.clock):
            if weight < 0:
                self.circuit.release(permit)
            else:
                self.circuit.record(permit, weight, self.world.clock)

    def fail(self) -> None:
        """Let a call of the closed circuit fail as often as it takes to open it."""
        with using_clock(self.world.clock):
            for _ in range(2):
                self.circuit.record(self.circuit.state, 1, self.world.clock)

    def step(self) -> bool:
        with using_clock(self.world.clock):
            stepped = self.lane.step()
        self.epochs.append(self.circuit._view.epoch)
        return stepped

    def crash(self) -> None:
        self.crashed = True
        self.network.cut = True
        self.world.lost_probes += self.probes
        self.probes = []


class World:
    """The nodes, the store, its clock and the one virtual clock of all hosts."""

    def __init__(self, nodes: int, seed: int = 0) -> None:
        self.clock = VirtualClock(seed=seed)
        self.chance = random.Random(seed)
        self.server_step = 0.0
        self.store = MemoryStore(lambda: round((self.clock.wall() + self.server_step) * 1e6))
        self.lost_probes: list[ProbePermit] = []
        #: The most probes of the fleet that were in flight at one time, by leases that held.
        self.max_probes = 0
        self.nodes = [Node(self, number) for number in range(nodes)]
        self.settle()

    def alive(self) -> list[Node]:
        return [node for node in self.nodes if not node.crashed]

    def settle(self) -> None:
        """Let all lanes do what they have to do now."""
        for _ in range(100):
            stepped = [node.step() for node in self.alive()]
            if not any(stepped):
                return

    def start(self) -> Node:
        """Start a further process, which knows nothing yet."""
        self.nodes.append(Node(self, len(self.nodes)))
        return self.nodes[-1]

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def began(self, node: Node, permit: ProbePermit) -> None:
        if not node.circuit._lane.lost:
            self.max_probes = max(self.max_probes, self.leased())

    def leased(self) -> int:
        """Return how many probes by leases are in flight, those of crashed nodes and beyond the end of leases too."""
        now = self.clock.now()
        in_flight = [probe for node in self.nodes for probe in node.probes] + self.lost_probes
        return sum(hasattr(probe, "token") and probe.is_active(now) for probe in in_flight)

    def open(self) -> None:
        """Have enough nodes fail that the fleet opens."""
        for node in self.alive():
            node.fail()
        self.settle()

    def half_open(self) -> None:
        """Let the open time pass, with the beats in between."""
        for _ in range(int(RESET) + 1):
            self.advance(1.0)
            self.settle()

    def probe(self) -> list[ProbePermit]:
        """Have each node that lives call until its lane has answered; return the new probes."""
        found: list[ProbePermit] = []
        for node in self.alive():
            for _ in range(2):
                admitted = node.call()
                if isinstance(admitted, ProbePermit):
                    found.append(admitted)
                while node.step():
                    pass
        return found


def is_half_open(node: Node) -> bool:
    return isinstance(node.circuit.state, HalfOpen)
