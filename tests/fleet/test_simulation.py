"""The protocol of a fleet under a scheduler: crashes, delays, lost messages, steps of clocks, flushes, partitions."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from resilience import subscribe
from resilience.clock import using_clock
from resilience.policies.circuit_states import Closed, Open, ProbePermit
from tests.fleet.simulation import LEASE, PROBES, RESET, Lost, World


def opened(nodes: int = 5, seed: int = 0) -> World:
    world = World(nodes, seed)
    world.open()
    assert all(node.circuit.held and isinstance(node.circuit.state, Open) for node in world.nodes)
    return world


def test_a_quorum_opens_the_circuit_in_all_nodes():
    world = World(4)
    world.nodes[0].fail()
    world.settle()
    assert [node.circuit.held for node in world.nodes] == [False] * 4
    assert not isinstance(world.nodes[0].circuit.state, Closed), "it holds locally at once"
    world.nodes[1].fail()
    world.settle()
    assert [node.circuit.held for node in world.nodes] == [True] * 4


def test_one_node_that_is_cut_off_from_the_dependency_opens_only_itself():
    world = World(50)
    for _ in range(10):
        world.nodes[7].fail()
        world.settle()
        world.advance(RESET)
        world.settle()
    assert sum(isinstance(node.circuit.state, Closed) for node in world.nodes) == 49


def test_a_half_open_fleet_has_as_many_probes_as_one_circuit():
    world = opened(10)
    world.half_open()
    assert len(world.probe()) == PROBES
    assert len(world.probe()) == 0


def test_refused_asks_write_nothing():
    world = opened(3)
    world.half_open()
    world.probe()
    before = {name: dict(circuit.leases) for name, circuit in world.store._circuits.items()}
    for _ in range(10):
        world.advance(1.1)
        world.probe()
    assert {name: dict(circuit.leases) for name, circuit in world.store._circuits.items()} == before


@pytest.mark.parametrize("seed", range(20))
def test_the_death_of_all_probes_ends_with_their_lease(seed: int):
    world = opened(8, seed)
    world.half_open()
    holders = [node for node in world.nodes if node.call() or node.step()]
    world.probe()
    for node in [node for node in world.nodes if node.probes]:
        node.crash()
    assert holders
    waited = 0.0
    while not world.probe():
        world.advance(0.1)
        waited += 0.1
        world.settle()
        assert waited <= LEASE + 1.1
    assert world.max_probes <= PROBES


def test_a_successful_probe_closes_the_circuit_everywhere():
    world = opened(6)
    world.half_open()
    (first, *_) = world.probe()
    holder = next(node for node in world.nodes if first in node.probes)
    holder.end(first, 0)
    world.settle()
    assert all(isinstance(node.circuit.state, Closed) and not node.circuit.held for node in world.nodes)


def test_a_failed_probe_opens_the_circuit_everywhere_again():
    world = opened(6)
    world.half_open()
    (first, *_) = world.probe()
    next(node for node in world.nodes if first in node.probes).end(first, 1)
    world.settle()
    assert all(isinstance(node.circuit.state, Open) for node in world.nodes)
    assert {node.circuit.state.consecutive_opens for node in world.nodes} == {2}


def test_the_result_of_a_lease_that_has_ended_decides_nothing():
    world = opened(3)
    world.half_open()
    (first, *_) = world.probe()
    holder = next(node for node in world.nodes if first in node.probes)
    for _ in range(int(LEASE) + 1):
        world.advance(1.0)
        world.settle()
    holder.end(first, 0)
    world.settle()
    assert all(node.circuit.held for node in world.nodes)


def test_a_probe_that_was_cancelled_gives_its_lease_back():
    world = opened(3)
    world.half_open()
    for probe in world.probe():
        next(node for node in world.nodes if probe in node.probes).end(probe, -1)
    world.settle()
    world.advance(1.1)
    assert len(world.probe()) == PROBES


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_step_of_the_servers_clock_changes_nothing(step: float):
    world = opened(5)
    world.advance(1.0)
    world.settle()
    world.server_step = step
    for _ in range(int(RESET) - 2):
        assert world.probe() == []
        world.advance(1.0)
        world.settle()
    world.half_open()
    assert len(world.probe()) == PROBES
    world.server_step = 0.0
    assert world.probe() == []
    for _ in range(int(LEASE) + 1):
        world.advance(1.0)
        world.settle()
    assert len(world.probe()) == PROBES
    assert world.max_probes <= PROBES


def test_a_step_back_of_the_servers_clock_right_after_a_flush_keeps_no_circuit_open():
    world = World(4)
    world.store.flush()
    for node in world.nodes[:2]:
        node.fail()
        while not node.lane._queue.empty():  # votes, but no beat
            node.lane._perform(node.lane._queue.get())
    world.server_step -= 3600.0
    world.half_open()
    assert len(world.probe()) == PROBES


def test_a_vote_without_an_expected_time_right_after_a_flush_opens_for_its_own_time():
    """The votes of a process that lives by no fleet time yet, and of one whose server's clock was set before."""
    world = World(2)
    late, other = world.start(), world.nodes[0]
    world.store.flush()
    world.server_step = 3600.0
    late.fail()
    late.lane._perform(late.lane._queue.get())
    world.server_step = 0.0
    other.fail()
    other.lane._perform(other.lane._queue.get())
    assert 0 < world.store.read()["circuits"][0][0].left <= RESET


def test_the_first_answer_does_not_wait_for_the_news_and_the_second_beat_misses_none():
    world = opened(3)
    late = world.start()
    late.step()
    assert late.lane.is_current()
    assert late.lane._stop_listening is None
    late.step()
    assert late.lane._stop_listening is not None


def test_a_slow_network_does_not_silence_what_a_process_expects():
    world = World(1)
    (node,) = world.nodes
    node.network.slow = 10.0
    world.advance(2.0)
    node.step()
    assert node.lane._stamp().expected > 0


def test_what_processes_expect_of_a_lost_time_moves_no_lease_of_a_new_one():
    world = World(3)
    world.store.flush()
    for node in world.nodes:
        node.lane._fleet_now = 0.0
    world.server_step = 3600.0
    world.advance(2.0)
    world.settle()
    world.server_step = 0.0
    world.advance(2.0)
    world.settle()
    before = world.nodes[:]
    for node in before:
        node.network.cut = True
    world.store.flush()
    after = [world.start() for _ in range(3)]
    world.settle()
    for node in after:
        node.fail()
    world.settle()
    world.half_open()
    assert len(world.probe()) == PROBES
    for node in before:
        node.network.cut = False
    for _ in range(int(LEASE) - 2):
        world.advance(1.0)
        world.settle()
        world.probe()
        assert world.leased() == PROBES


def test_a_flush_closes_nothing_and_admits_no_further_probe():
    world = opened(5)
    world.half_open()
    assert len(world.probe()) == PROBES
    world.store.flush()
    waited = 0.0
    while waited <= LEASE - 1:
        world.advance(0.5)
        waited += 0.5
        world.settle()
        assert world.probe() == []
        assert all(node.circuit.held for node in world.nodes)
    for _ in range(3):
        world.advance(1.0)
        world.settle()
    assert len(world.probe()) == PROBES
    assert world.max_probes <= PROBES


def test_a_node_that_starts_after_a_flush_learns_what_the_others_know():
    world = opened(3)
    world.store.flush()
    world.advance(1.5)
    world.settle()
    assert world.store.read()["circuits"][0][0].state == "open"


def test_nodes_that_are_cut_off_decide_alone_and_follow_when_they_are_back():
    world = opened(4)
    alone = world.nodes[0]
    alone.network.cut = True
    for _ in range(12):
        world.advance(1.0)
        world.settle()
    assert alone.lane.lost
    probe = alone.call()
    assert isinstance(probe, ProbePermit), "its own open time is over, and it asks nothing"
    alone.end(probe, 0)
    assert isinstance(alone.circuit.state, Closed)
    alone.network.cut = False
    for _ in range(40):
        world.advance(1.0)
        world.settle()
    assert not alone.lane.lost
    assert all(isinstance(node.circuit.state, Closed) for node in world.nodes), "its probe was as good as any"
    for node in world.nodes[1:]:
        node.fail()
    world.settle()
    assert all(node.circuit.held for node in world.nodes)


def closed_alone(world: World, count: int) -> None:
    """Have *count* nodes close their circuits while they are cut off, by probes of their own."""
    for node in world.nodes[:count]:
        node.network.cut = True
    world.half_open()
    for node in world.nodes[:count]:
        node.end(node.call(), 0)
        assert isinstance(node.circuit.state, Closed)
    for node in world.nodes[:count]:
        node.network.cut = False


def returned(world: World) -> None:
    """Let the longest pause of a lane pass."""
    for _ in range(40):
        world.advance(1.0)
        world.settle()


def test_a_node_that_has_closed_alone_closes_the_fleets_circuit_when_it_is_back():
    world = opened(4)
    with subscribe(lambda event: seen.append(event.name)):
        seen: list[str] = []
        closed_alone(world, 1)
        returned(world)
    assert all(isinstance(node.circuit.state, Closed) and not node.circuit.held for node in world.nodes)
    assert seen == ["fleet.lost", "fleet.restored"] + ["circuit.closed"] * 3, "in the others, and in none it opens"


def test_a_node_that_has_closed_alone_follows_one_that_is_probed_by_others():
    world = opened(4)
    closed_alone(world, 1)
    for node in world.nodes[1:]:
        node.call()
        node.step()
        node.call()
    assert world.leased() == PROBES
    for _ in range(int(LEASE) - 2):
        world.advance(1.0)
        world.settle()
    assert world.nodes[0].circuit.held


def test_nodes_that_have_closed_alone_stay_closed_where_the_store_has_lost_all():
    world = opened(4)
    closed_alone(world, 4)
    world.store.flush()
    returned(world)
    assert all(isinstance(node.circuit.state, Closed) for node in world.nodes)


def test_a_node_that_has_closed_alone_hears_of_the_others_after_a_flush_too():
    world = opened(4)
    closed_alone(world, 1)
    world.store.flush()
    returned(world)
    assert all(node.circuit.held for node in world.nodes), "no lease is given yet, by which it could close them"
    assert len(world.probe()) == PROBES


def test_a_node_that_opens_where_the_fleet_is_half_open_probes_with_the_others():
    world = opened(4)
    world.half_open()
    with using_clock(world.clock):
        world.nodes[0].breaker.close()
    world.settle()
    assert not world.nodes[0].circuit.held, "what is done by hand is that process's alone"
    world.nodes[0].fail()
    world.settle()
    assert world.nodes[0].circuit.held
    assert len(world.probe()) == PROBES


def test_a_node_that_opened_while_it_was_cut_off_votes_when_it_is_back():
    world = World(3)
    for node in world.nodes[:2]:
        node.network.cut = True
    world.advance(2.0)
    world.settle()
    for node in world.nodes[:2]:
        node.fail()
    world.settle()
    for node in world.nodes[:2]:
        node.network.cut = False
    for _ in range(8):
        world.advance(1.0)
        world.settle()
    assert all(node.circuit.held for node in world.nodes)


# -- all of it at once ---------------------------------------------------------------------------------------------


class Fleets(RuleBasedStateMachine):
    """Any order of calls, failures, crashes, starts, losses, delays, partitions, flushes and steps of clocks.

    Never more than PROBES leases; epochs never go back; and in the end, once the network works, there is a probe within
    a lease and a second, or the circuit is closed; and where probes succeed, it is closed in all processes.

    Each run draws other numbers. What fails is printed with the decorator that repeats it.
    """

    @initialize(seed=st.integers(0, (1 << 64) - 1))
    def begin(self, seed: int) -> None:
        self.world = World(4, seed)
        self.chance = random.Random(seed)

    def node(self, number: int):
        alive = self.world.alive()
        return alive[number % len(alive)]

    @rule(number=st.integers(0, 3))
    def fails(self, number: int) -> None:
        node = self.node(number)
        if isinstance(node.circuit.state, Closed):
            node.fail()

    @rule(number=st.integers(0, 3))
    def calls(self, number: int) -> None:
        self.node(number).call()

    @rule(number=st.integers(0, 3), weight=st.sampled_from([-1, 0, 1]))
    def ends(self, number: int, weight: int) -> None:
        node = self.node(number)
        if node.probes:
            node.end(node.probes[0], weight)

    @rule(number=st.integers(0, 3))
    def steps(self, number: int) -> None:
        self.node(number).step()

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 5.0, RESET, LEASE]))
    def waits(self, seconds: float) -> None:
        whole, rest = divmod(seconds, 1.0)
        for second in [1.0] * int(whole) + [rest]:
            self.world.advance(second)
            self.world.settle()

    @precondition(lambda self: len(self.world.alive()) > 2)
    @rule(number=st.integers(0, 3))
    def crashes(self, number: int) -> None:
        self.node(number).crash()

    @precondition(lambda self: len(self.world.nodes) < 8)
    @rule()
    def starts(self) -> None:
        self.world.start()

    @rule(number=st.integers(0, 3), step=st.sampled_from([3600.0, -3600.0]))
    def the_clock_of_a_host_steps(self, number: int, step: float) -> None:
        self.node(number).lane.host.step += step

    @rule(number=st.integers(0, 3), cut=st.booleans())
    def is_cut(self, number: int, cut: bool) -> None:
        self.node(number).network.cut = cut

    @rule(number=st.integers(0, 3), lossy=st.sampled_from([0.0, 0.5]))
    def is_lossy(self, number: int, lossy: float) -> None:
        self.node(number).network.lossy = lossy

    @rule(number=st.integers(0, 3), slow=st.sampled_from([0.0, 0.05, 2.0]))
    def is_slow(self, number: int, slow: float) -> None:
        self.node(number).network.slow = slow

    @rule(step=st.sampled_from([3600.0, -3600.0]))
    def the_clock_steps(self, step: float) -> None:
        self.world.settle()
        self.world.server_step += step

    @rule()
    def flush(self) -> None:
        self.world.store.flush()

    @invariant()
    def no_more_probes_than_leases(self) -> None:
        assert self.world.max_probes <= PROBES

    @invariant()
    def epochs_never_go_back(self) -> None:
        for node in self.world.nodes:
            assert node.epochs == sorted(node.epochs)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        for node in world.alive():
            node.network.cut, node.network.lossy, node.network.slow = False, 0.0, 0.0
            for probe in list(node.probes):
                node.end(probe, -1)
        for _ in range(40):  # the longest pause of a lane
            world.advance(1.0)
            world.settle()
        probed = False
        for _ in range(int(LEASE + RESET) + 2):
            world.advance(1.0)
            world.settle()
            probed = probed or bool(world.probe()) or all(isinstance(n.circuit.state, Closed) for n in world.alive())
        assert probed
        assert world.max_probes <= PROBES
        for _ in range(int(LEASE + RESET) + 32):  # until a circuit that had decided alone has asked again
            world.advance(1.0)
            world.settle()
            world.probe()
            for node in world.alive():
                for probe in list(node.probes):
                    node.end(probe, 0)
            world.settle()
        assert [node.circuit.held for node in world.alive()] == [False] * len(world.alive())
        assert all(isinstance(node.circuit.state, Closed) for node in world.alive())


Fleets.TestCase.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
TestFleets = pytest.mark.slow(Fleets.TestCase)  # seconds of examples


def test_a_lost_message_is_an_exception_of_the_store():
    world = World(1)
    world.nodes[0].network.cut = True
    with pytest.raises(Lost):
        world.nodes[0].network.beat(None, None)
