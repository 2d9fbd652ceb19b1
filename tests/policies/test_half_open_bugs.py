"""The eight bugs of half-open circuits, each kept out: with one probe and with three, sync, on asyncio and on trio.

The calls are really in flight at the same time: threads, or tasks of an event loop that runs beside the test.
"""

from __future__ import annotations

import contextlib
import queue
import threading

import anyio
import anyio.from_thread
import pytest

from resilience import CircuitBreaker, CircuitOpenError, ErrorCategory, circuit_breaker
from resilience.clock import using_clock
from resilience.testing import VirtualClock
from tests.runners import Runner

down = ConnectionResetError("down")
STUCK = 30  # seconds; never reached


class Rejected(Exception):
    category = ErrorCategory.REJECTED


class NotThere(Exception):
    category = ErrorCategory.NOT_FOUND


class Killed(BaseException):
    """As `greenlet.GreenletExit`."""


SAYS_NOTHING = (TypeError("a bug of the caller's"), NameError("another"), Rejected())


class Flight:
    """One call."""

    def __init__(self) -> None:
        self.news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.orders: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self.running = False
        self.error: BaseException | None = None

    def listen(self) -> Flight:
        self.running = self.news.get(timeout=STUCK) == "entered"
        return self

    @property
    def rejected(self) -> bool:
        return isinstance(self.error, CircuitOpenError)


class Circuit:
    """A circuit with *probes*, and its calls by one runner."""

    def __init__(self, runner: Runner, probes: int, portal: anyio.from_thread.BlockingPortal | None) -> None:
        self.runner, self.probes, self.portal = runner, probes, portal
        self.clock = VirtualClock()
        self.flights: list[Flight] = []
        self.make()

    def make(self, **parameters: object) -> CircuitBreaker:
        self.breaker = circuit_breaker("b", failure_threshold=2, reset_timeout=30, probes=self.probes, **parameters)

        @self.breaker
        def sync(flight: Flight) -> None:
            flight.news.put("entered")
            error = flight.orders.get(timeout=STUCK)
            if error is not None:
                raise error

        @self.breaker
        async def asynchronous(flight: Flight) -> None:
            flight.go = anyio.Event()
            flight.news.put("entered")
            await flight.go.wait()
            error = flight.orders.get_nowait()
            if error is not None:
                raise error

        self.sync, self.asynchronous = sync, asynchronous
        return self.breaker

    @property
    def probes_out(self) -> int:
        with using_clock(self.clock):
            return self.breaker.probes_in_flight

    def start(self) -> Flight:
        flight = Flight()
        self.flights.append(flight)
        clock = self.clock
        if self.portal is None:
            threading.Thread(target=self._fly, args=(flight, clock), daemon=True).start()
        else:
            self.portal.start_task_soon(self._fly_async, flight, clock)
        return flight.listen()

    def _fly(self, flight: Flight, clock: VirtualClock) -> None:
        with using_clock(clock):
            try:
                self.sync(flight)
            except BaseException as error:
                flight.error = error
        flight.news.put("ended")

    async def _fly_async(self, flight: Flight, clock: VirtualClock) -> None:
        with using_clock(clock), anyio.CancelScope() as flight.scope:
            try:
                await self.asynchronous(flight)
            except (Exception, Killed) as error:
                flight.error = error
        flight.news.put("ended")

    def end(self, flight: Flight, error: BaseException | None = None) -> None:
        flight.orders.put(error)
        if self.portal is not None:
            self.portal.call(flight.go.set)
        flight.listen()

    def cancel(self, flight: Flight) -> None:
        """Cancel a task; in a thread, Ctrl-C."""
        if self.portal is None:
            self.end(flight, KeyboardInterrupt())
        else:
            self.portal.call(flight.scope.cancel)
            flight.listen()

    def end_as(self, flight: Flight, how: str) -> None:
        if how == "cancelled":
            self.cancel(flight)
        else:
            self.end(flight, {"success": None, "failure": down, "ignored": SAYS_NOTHING[0]}[how])

    def call(self, error: BaseException | None = None) -> Flight:
        flight = self.start()
        if flight.running:
            self.end(flight, error)
        return flight

    def begin(self, number: int) -> list[Flight]:
        """Start *number* calls that are let through, and see that they are."""
        flights = [self.start() for _ in range(number)]
        assert [flight.running for flight in flights] == [True] * number
        return flights

    def trip(self) -> None:
        for _ in range(2):
            assert self.call(down).error is down
        assert self.breaker.state.name == "open"
        assert self.call().rejected

    def half_open(self) -> list[Flight]:
        """Open it, let its time pass, and send all its probes."""
        self.trip()
        self.clock.advance(30)
        return self.send_probes()

    def send_probes(self) -> list[Flight]:
        probes = self.begin(self.probes)
        self.must_be_full()
        return probes

    def must_be_full(self) -> None:
        """All probes are in flight, and no other call is admitted."""
        assert self.breaker.state.name == "half-open"
        assert self.probes_out == self.probes
        assert self.call().rejected

    def close(self) -> None:
        for flight in self.flights:
            if flight.running:
                self.end(flight)


@pytest.fixture(params=[1, 3], ids=lambda probes: f"{probes}-probes")
def circuit(request: pytest.FixtureRequest, runner: Runner):
    with contextlib.ExitStack() as stack:
        portal = None
        if runner.is_async:
            portal = stack.enter_context(anyio.from_thread.start_blocking_portal(backend=runner.name))
        circuit = Circuit(runner, request.param, portal)
        stack.callback(lambda: circuit.close())
        yield circuit


def test_two_stale_successes_do_not_close_a_half_open_circuit(circuit: Circuit):
    circuit.make(success_threshold=2)
    stale = circuit.begin(2)
    probes = circuit.half_open()
    for flight in stale:
        circuit.end(flight)
        assert circuit.breaker.success_counter == 0
        circuit.must_be_full()
    circuit.end(probes[0])
    assert (circuit.breaker.state.name, circuit.breaker.success_counter) == ("half-open", 1)
    assert circuit.call().error is None  # its permit is free again; the second success
    assert circuit.breaker.state.name == "closed"


def test_ignored_stale_results_add_no_extra_probes(circuit: Circuit):
    stale = circuit.begin(len(SAYS_NOTHING) + 2)
    circuit.half_open()
    for flight, error in zip(stale, [*SAYS_NOTHING, NotThere()], strict=False):
        circuit.end(flight, error)
        circuit.must_be_full()
    circuit.cancel(stale[-1])
    circuit.must_be_full()


@pytest.mark.parametrize("how", ["success", "failure", "ignored", "cancelled"])
def test_probes_that_outlived_their_lease_add_no_extra_probes_and_decide_nothing(circuit: Circuit, how: str):
    hung = circuit.half_open()
    circuit.clock.advance(30)
    circuit.send_probes()
    for flight in hung:
        circuit.end_as(flight, how)
        circuit.must_be_full()


@pytest.mark.parametrize("how", ["success", "failure", "ignored", "cancelled"])
def test_probes_of_an_earlier_half_open_state_add_no_extra_probes_and_decide_nothing(circuit: Circuit, how: str):
    hung = circuit.half_open()
    circuit.clock.advance(30)
    circuit.end(circuit.send_probes()[0], down)
    circuit.clock.advance(30)
    circuit.send_probes()
    for flight in hung:
        circuit.end_as(flight, how)
        circuit.must_be_full()


@pytest.mark.parametrize("how", ["success", "failure", "ignored", "cancelled"])
def test_probes_of_an_earlier_half_open_state_hold_permits_until_they_end(circuit: Circuit, how: str):
    if circuit.probes == 1:
        pytest.skip("the one probe has opened it again")
    circuit.make(probe_timeout=1000)
    first, *hung = circuit.half_open()
    circuit.end(first, down)
    circuit.clock.advance(30)
    (probe,) = circuit.begin(1)
    circuit.must_be_full()
    for flight in hung:
        circuit.end_as(flight, how)
        assert (circuit.breaker.state.name, circuit.breaker.success_counter) == ("half-open", 0)
        circuit.begin(1)
        circuit.must_be_full()
    circuit.end(probe)
    assert circuit.breaker.state.name == "closed"


@pytest.mark.parametrize("how", ["success", "failure", "ignored", "cancelled"])
def test_probes_that_end_while_the_circuit_is_open_free_their_permits(circuit: Circuit, how: str):
    circuit.make(probe_timeout=1000)
    first, *hung = circuit.half_open()
    circuit.end(first, down)
    for flight in hung:
        circuit.end_as(flight, how)
        assert circuit.breaker.state.name == "open"
    circuit.clock.advance(29.5)
    assert circuit.call().rejected
    circuit.clock.advance(0.5)
    circuit.send_probes()


def test_probes_of_an_earlier_half_open_state_hold_permits_until_their_lease_is_over(circuit: Circuit):
    if circuit.probes == 1:
        pytest.skip("the one probe has opened it again")
    circuit.make(probe_timeout=40)
    circuit.end(circuit.half_open()[0], down)
    circuit.clock.advance(30)
    circuit.begin(1)
    circuit.must_be_full()
    circuit.clock.advance(9.5)
    circuit.must_be_full()
    circuit.clock.advance(0.5)
    circuit.begin(circuit.probes - 1)
    circuit.must_be_full()


def test_probes_from_before_closing_hold_no_permit_of_a_later_half_open_state(circuit: Circuit):
    circuit.make(probe_timeout=1000)
    first, *_ = circuit.half_open()
    circuit.end(first)
    assert circuit.breaker.state.name == "closed"
    circuit.half_open()


def test_forced_half_open_ignores_stale_probes(circuit: Circuit):
    circuit.make(probe_timeout=1000)
    circuit.half_open()
    with using_clock(circuit.clock):
        circuit.breaker.open()
        circuit.breaker.half_open()
    circuit.send_probes()


def test_a_probe_that_is_never_reported_does_not_wedge_the_circuit(circuit: Circuit):
    circuit.trip()
    circuit.clock.advance(30)
    with using_clock(circuit.clock):
        lost = [circuit.breaker._circuit.acquire(circuit.clock)[0] for _ in range(circuit.probes)]
    assert None not in lost
    circuit.must_be_full()
    circuit.clock.advance(29.5)
    circuit.must_be_full()
    circuit.clock.advance(0.5)
    circuit.send_probes()


def test_a_probe_that_is_killed_gives_its_permit_back(circuit: Circuit):
    for flight in circuit.half_open():
        circuit.end(flight, Killed())
        assert isinstance(flight.error, Killed)
    assert circuit.probes_out == 0
    circuit.send_probes()


def test_a_clock_that_steps_back_neither_wedges_an_open_circuit_nor_half_opens_it_early(circuit: Circuit):
    circuit.clock.advance(1000)
    circuit.trip()
    circuit.clock.advance(20)
    circuit.clock = VirtualClock()  # a thousand seconds earlier
    assert circuit.call().rejected
    circuit.clock.advance(29.5)
    assert circuit.call().rejected
    circuit.clock.advance(0.5)
    for flight in circuit.send_probes():
        circuit.end(flight)
    assert circuit.breaker.state.name == "closed"


def test_a_clock_that_steps_back_a_little_keeps_the_circuit_open_for_that_much_longer(circuit: Circuit):
    circuit.clock.advance(1000)
    circuit.trip()
    circuit.clock.advance(20)
    circuit.clock = VirtualClock()
    circuit.clock.advance(1010)
    circuit.clock.advance(19.5)
    assert circuit.call().rejected
    circuit.clock.advance(0.5)
    circuit.send_probes()


def test_a_clock_that_steps_back_does_not_wedge_a_half_open_circuit(circuit: Circuit):
    circuit.clock.advance(1000)
    lost = circuit.half_open()
    circuit.clock = VirtualClock()
    probes = circuit.send_probes()
    circuit.end(lost[0], down)  # its lease is over: it decides nothing any more
    circuit.must_be_full()
    circuit.end(probes[0])
    assert circuit.breaker.state.name == "closed"


def test_a_probe_whose_error_is_not_the_dependencys_does_not_close_the_circuit(circuit: Circuit):
    for error in SAYS_NOTHING:
        probes = circuit.half_open() if circuit.breaker.state.name == "closed" else circuit.send_probes()
        for flight in probes:
            circuit.end(flight, error)
            assert flight.error is error
        assert (circuit.breaker.state.name, circuit.breaker.success_counter) == ("half-open", 0)
        assert circuit.probes_out == 0
    circuit.end(circuit.send_probes()[0], down)
    assert circuit.breaker.state.name == "open"


def test_a_probe_error_outside_of_trip_on_does_not_close_the_circuit(circuit: Circuit):
    circuit.make(trip_on="network")
    for flight in circuit.half_open():
        circuit.end(flight, TimeoutError())
    assert circuit.breaker.state.name == "half-open"
    circuit.send_probes()


def test_a_stale_failure_does_not_reopen_a_half_open_circuit(circuit: Circuit):
    stale = circuit.begin(3)
    probes = circuit.half_open()
    for flight in stale:
        circuit.end(flight, down)
        circuit.must_be_full()
    circuit.end(probes[0])
    assert (circuit.breaker.state.name, circuit.breaker.fail_counter) == ("closed", 0)


def test_the_failure_of_an_overtaken_probe_does_not_reopen_the_circuit(circuit: Circuit):
    if circuit.probes == 1:
        pytest.skip("one probe cannot be overtaken")
    first, second, third = circuit.half_open()
    circuit.end(first)
    assert circuit.breaker.state.name == "closed"
    circuit.end(second, down)
    circuit.end(third, down)
    assert (circuit.breaker.state.name, circuit.breaker.fail_counter) == ("closed", 0)


def test_a_cancelled_probe_does_not_close_the_circuit(circuit: Circuit):
    for flight in circuit.half_open():
        circuit.cancel(flight)
        assert (circuit.breaker.state.name, circuit.breaker.success_counter) == ("half-open", 0)
    assert circuit.probes_out == 0
    circuit.end(circuit.send_probes()[0], down)
    assert circuit.breaker.state.name == "open"


def test_a_probe_that_hangs_does_not_block_the_others_for_ever(circuit: Circuit):
    hung = circuit.half_open()
    circuit.clock.advance(29.5)
    circuit.must_be_full()
    circuit.clock.advance(0.5)
    probes = circuit.send_probes()
    circuit.end(hung[0], down)  # comes back all the same, and decides nothing
    circuit.must_be_full()
    for flight in hung[1:]:
        circuit.end(flight)
        circuit.must_be_full()
    circuit.end(probes[0])
    assert circuit.breaker.state.name == "closed"


def test_a_lease_is_as_long_as_probe_timeout_says(circuit: Circuit):
    circuit.make(probe_timeout=5)
    circuit.half_open()
    circuit.clock.advance(4.5)
    circuit.must_be_full()
    circuit.clock.advance(0.5)
    circuit.send_probes()
