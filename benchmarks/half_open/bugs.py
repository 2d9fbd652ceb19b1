"""The eight bugs of half-open circuits, each as a scenario. The docstring is what a right circuit does."""

from __future__ import annotations

from benchmarks.half_open.circuit import CircuitUnderTest
from benchmarks.half_open.scenarios import Scenario, scenario
from benchmarks.half_open.terms import CLOSED, HALF_OPEN, OPEN, RESET, TASKS, NotApplicable
from benchmarks.terms import ERROR

__all__ = ["BUGS"]

_HOUR = 3600.0


@scenario("two stale successes close it", successes=2)
def two_stale_successes_close_it(circuit: CircuitUnderTest) -> None:
    """Two calls from before it opened succeed while a probe is out: it stays half-open, and the probe decides."""
    stale = [circuit.begin(), circuit.begin()]
    probe = circuit.half_open()
    for call in stale:
        circuit.end(call)
    circuit.require_state(HALF_OPEN, after="two late successes, its probe still out")
    circuit.end(probe, ERROR())
    circuit.require_state(OPEN, HALF_OPEN, after="two late successes and a failed probe")


@scenario("stale ignored results mint extra probes")
def stale_ignored_results_mint_extra_probes(circuit: CircuitUnderTest) -> None:
    """Two calls from before it opened end without an outcome while the one probe is out: no other call is admitted."""
    stale = [circuit.begin(), circuit.begin()]
    probe = circuit.half_open()
    if not circuit.rejected(circuit.call()):
        raise NotApplicable("does not bound its probes")
    circuit.end(stale[0], circuit.caller_bugs[0]())
    circuit.interrupt(stale[1])
    circuit.require(probe.running, "the probe ended by itself")
    circuit.require(not circuit.start().entered, "a second probe is out")


@scenario("an unreported probe wedges it")
def an_unreported_probe_wedges_it(circuit: CircuitUnderTest) -> None:
    """A probe is ended from outside, without an outcome: a call is admitted within the reset time."""
    probe = circuit.half_open(manual=True)
    circuit.discard(probe)
    circuit.wait()
    circuit.require_admission("after a probe that ended from outside, the next call")


@scenario("the clock steps back")
def the_clock_steps_back(circuit: CircuitUnderTest) -> None:
    """The machine's clock is set back an hour while it is open: it probes after its reset time, and not before."""
    circuit.trip()
    circuit.clocks.shift_wall_clock(-_HOUR)
    circuit.require(circuit.rejected(circuit.call()), "admits a call at once")
    circuit.wait()
    circuit.require_admission(f"{RESET + 1:g} s later the next call")


@scenario("an unhandled probe error closes it")
def an_unhandled_probe_error_closes_it(circuit: CircuitUnderTest) -> None:
    """The probe ends with an error that is no outcome of the dependency: it does not close."""
    circuit.trip()
    for caller_bug in circuit.caller_bugs:
        circuit.wait()
        error = caller_bug()
        circuit.end(circuit.probe(), error)
        circuit.require_state(HALF_OPEN, OPEN, after=f"a probe that raised {type(error).__name__}")


@scenario("a stale failure reopens a probing one")
def a_stale_failure_reopens_a_probing_one(circuit: CircuitUnderTest) -> None:
    """A call from before it opened fails while a probe is out: it stays half-open. The probe succeeds: it closes."""
    stale = circuit.begin()
    probe = circuit.half_open()
    circuit.end(stale, ERROR())
    circuit.require_state(HALF_OPEN, after="a late failure, its probe still out")
    circuit.end(probe)
    circuit.require_state(CLOSED, after="a late failure and a successful probe")


@scenario("a cancelled probe closes it", styles=(TASKS,))
def a_cancelled_probe_closes_it(circuit: CircuitUnderTest) -> None:
    """The task of the probe is cancelled: it does not close."""
    circuit.interrupt(circuit.half_open())
    circuit.require_state(HALF_OPEN, OPEN, after="a cancelled probe")


@scenario("a hung probe blocks for ever")
def a_hung_probe_blocks_for_ever(circuit: CircuitUnderTest) -> None:
    """The probe hangs: after a hundred times the reset time, another call is admitted."""
    probe = circuit.half_open()
    circuit.clocks.advance(100 * RESET)
    circuit.require(probe.running, "the probe ended by itself")
    circuit.require_admission("behind a probe that hangs, the next call")


BUGS: tuple[Scenario, ...] = (
    two_stale_successes_close_it,
    stale_ignored_results_mint_extra_probes,
    an_unreported_probe_wedges_it,
    the_clock_steps_back,
    an_unhandled_probe_error_closes_it,
    a_stale_failure_reopens_a_probing_one,
    a_cancelled_probe_closes_it,
    a_hung_probe_blocks_for_ever,
)
