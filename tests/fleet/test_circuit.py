"""The circuits of a fleet, through the runners: sync, asyncio and trio, in virtual time, with a store in memory."""

from __future__ import annotations

import itertools
import pickle

import pytest

import resilience.circuits
from resilience import CircuitOpenError, circuit_breaker, subscribe
from resilience.categories import ErrorCategory
from resilience.errors.base import ResilienceError
from resilience.fleet import Fleet
from resilience.testing import no_waits, virtual_time
from tests.runners import Runner

_numbers = itertools.count()


class Busy(ResilienceError):
    category = ErrorCategory.UNAVAILABLE


def fleets(count: int, **options: object) -> list[Fleet]:
    """Return fleets that are one, as those of *count* processes."""
    name = f"fleet {next(_numbers)}"
    return [Fleet("memory://", name=name, **options) for _ in range(count)]


def circuits(count: int, **options: object):
    """Return the circuits of *count* processes, each called once: all of them have joined."""
    given = {"failure_threshold": 2, "reset_timeout": 10} | options
    found = [circuit_breaker("shared", fleet=fleet, **given) for fleet in fleets(count)]
    if not given.get("key"):
        for breaker in found:
            breaker.call(int)
    return found


def fail(breaker, error: Exception | None = None, *, times: int = 2) -> None:
    for _ in range(times):
        with pytest.raises(type(error or ConnectionResetError())):
            breaker.call(_raise, error or ConnectionResetError())


def _raise(error: Exception) -> None:
    raise error


def states(breakers) -> list[str]:
    return [breaker.current_state for breaker in breakers]


# -- opening -------------------------------------------------------------------------------------------------------


def test_a_circuit_that_opens_in_one_process_is_open_there_alone():
    with virtual_time():
        breakers = circuits(4)
        fail(breakers[0])
        assert states(breakers) == ["open", "closed", "closed", "closed"]


def test_a_quorum_opens_it_in_all():
    with virtual_time():
        breakers = circuits(4)
        fail(breakers[0])
        fail(breakers[1])
        assert states(breakers) == ["open"] * 4
        with pytest.raises(CircuitOpenError, match="after 2 failures.*ConnectionResetError.*10.0 s") as caught:
            breakers[3].call(int)
        assert (caught.value.retry_after, caught.value.last_category) == (10.0, ErrorCategory.NETWORK)


@pytest.mark.parametrize(("quorum", "votes"), [(0.1, 2), (0.5, 3), (0.7, 4), (1.0, 5)])
def test_the_quorum_is_a_share_of_the_live_processes_and_two_at_least(quorum: float, votes: int):
    with virtual_time():
        breakers = [circuit_breaker("shared", fleet=fleet, failure_threshold=2) for fleet in fleets(5, quorum=quorum)]
        for breaker in breakers:
            breaker.call(int)
        for breaker in breakers[: votes - 1]:
            fail(breaker)
        assert breakers[4].current_state == "closed"
        fail(breakers[votes - 1])
        assert states(breakers) == ["open"] * 5


def test_a_vote_ends_with_the_open_time_and_with_the_circuit_closing():
    with virtual_time() as clock:
        breakers = circuits(3)
        fail(breakers[0])
        breakers[0].close()
        fail(breakers[1])
        assert states(breakers) == ["closed", "open", "closed"]
        clock.advance(10)
        fail(breakers[2])
        assert states(breakers)[0] == "closed"


def test_the_longest_retry_after_of_the_votes_holds_for_all():
    with virtual_time() as clock:
        breakers = circuits(2, open_for=ErrorCategory.UNAVAILABLE)
        error = Busy("later")
        error.retry_after = 45.0
        fail(breakers[0], error, times=1)
        fail(breakers[1])
        clock.advance(20)
        assert not breakers[1].would_admit()
        clock.advance(26)
        assert breakers[1].would_admit()


def test_a_process_that_starts_while_the_fleet_is_open_admits_no_call(runner: Runner):
    with virtual_time():
        name = f"fleet {next(_numbers)}"
        for _ in range(2):
            fail(circuit_breaker("shared", fleet=Fleet("memory://", name=name), failure_threshold=2))

    def decorate(function):
        return circuit_breaker("shared", fleet=Fleet("memory://", name=name), failure_threshold=2)(function)

    story = runner.play(decorate, "never")
    assert story.reached == 0
    assert isinstance(story.answer, CircuitOpenError)


# -- half-open -----------------------------------------------------------------------------------------------------


def test_all_processes_together_make_one_probe():
    with virtual_time() as clock:
        breakers = circuits(4)
        fail(breakers[0])
        fail(breakers[1])
        clock.advance(10)
        probe = breakers[2].acquire()
        for breaker in breakers:
            with pytest.raises(CircuitOpenError, match="half-open and its probe is in flight"):
                breaker.call(int)
        probe.succeeded()
        assert states(breakers) == ["closed"] * 4
        assert [breaker.call(int) for breaker in breakers] == [0] * 4


def test_a_failed_probe_of_one_opens_it_in_all_again_for_longer():
    with virtual_time() as clock:
        breakers = circuits(3, max_reset_timeout=40)
        fail(breakers[0])
        fail(breakers[1])
        clock.advance(10)
        fail(breakers[2], times=1)
        assert states(breakers) == ["open"] * 3
        assert breakers[0].circuit.state.consecutive_opens == 2
        assert 10 < breakers[0].circuit.state.next_probe_in(clock.now()) <= 20


def test_successes_of_several_processes_close_it_together():
    with virtual_time() as clock:
        breakers = circuits(3, success_threshold=3)
        fail(breakers[0])
        fail(breakers[1])
        clock.advance(10)
        for breaker in breakers:
            assert breakers[0].circuit.held
            breaker.call(int)
        assert states(breakers) == ["closed"] * 3


def test_a_probe_that_is_lost_is_replaced_when_its_lease_has_ended():
    with virtual_time() as clock:
        breakers = circuits(3, probe_timeout=5)
        fail(breakers[0])
        fail(breakers[1])
        clock.advance(10)
        lost = breakers[0].acquire()
        clock.advance(4.9)
        assert not _passes(breakers[1])
        clock.advance(1.1)
        assert _passes(breakers[1])
        lost.failed(ConnectionResetError())
        assert states(breakers) == ["closed"] * 3


def test_a_cancelled_probe_gives_its_lease_back():
    with virtual_time() as clock:
        breakers = circuits(2)
        fail(breakers[0])
        fail(breakers[1])
        clock.advance(10)
        breakers[0].acquire().release()
        assert _passes(breakers[1])


def test_what_a_probe_calls_is_a_part_of_it():
    with virtual_time() as clock:
        breakers = circuits(2)
        fail(breakers[0])
        fail(breakers[1])
        clock.advance(10)
        assert breakers[0].call(lambda: breakers[0].call(int)) == 0
        assert states(breakers) == ["closed"] * 2


def test_a_result_that_says_nothing_decides_nothing():
    with virtual_time() as clock:
        breakers = circuits(2, trip_on=ErrorCategory.NETWORK)
        fail(breakers[0])
        fail(breakers[1])
        clock.advance(10)
        fail(breakers[0], RuntimeError("a bug"), times=1)
        assert breakers[0].circuit.held
        assert _passes(breakers[1])


def test_a_slow_probe_is_no_recovery():
    with virtual_time() as clock:
        breakers = circuits(2, slow_call_rate=0.5, slow_call_seconds=2)
        fail(breakers[0])
        fail(breakers[1])
        clock.advance(10)
        breakers[0].call(lambda: clock.advance(3))
        assert states(breakers) == ["open"] * 2


def test_a_fleet_that_has_recovered_ramps_up():
    with virtual_time() as clock:
        breakers = circuits(2, ramp_up=10)
        fail(breakers[0])
        fail(breakers[1])
        clock.advance(10)
        breakers[0].call(int)
        assert [breaker.circuit.state.selective for breaker in breakers] == [True, True]


@pytest.mark.parametrize("weight", [0, 1])
def test_probes_of_async_code_are_the_same(runner: Runner, weight: int):
    def decorate(function):
        breakers = circuits(2)
        fail(breakers[0])
        return breakers[1](function)

    end = "done" if not weight else ConnectionResetError()
    story = runner.play(decorate, ConnectionResetError(), ConnectionResetError(), end, pauses=(0, 11))
    assert story.reached == 3
    assert [event.name for event in story.events if event.name.startswith("circuit")][-1] == (
        "circuit.opened" if weight else "circuit.closed"
    )


def _passes(breaker) -> bool:
    try:
        breaker.call(int)
    except CircuitOpenError:
        return False
    return True


# -- by hand -------------------------------------------------------------------------------------------------------


def test_an_operator_isolates_and_releases_a_circuit_in_all_processes():
    with virtual_time():
        breakers = circuits(3)
        fleet = fleets(1)[0]
        fleet.name = breakers[0].circuit.config.fleet.name
        operator = Fleet("memory://", name=fleet.name)
        seen = []
        with subscribe(seen.append):
            operator.isolate("shared", by="ada", why="the bank asks")
        assert [event.fields()["by"] for event in seen if event.name == "fleet.commanded"] == ["ada"] * 3
        assert [_passes(breaker) for breaker in breakers] == [False] * 3
        operator.release("shared", by="ada")
        assert [_passes(breaker) for breaker in breakers] == [True] * 3


@pytest.mark.parametrize(("command", "mode"), [("isolate", "isolated"), ("shadow", "shadow")])
def test_a_command_ends_by_itself(command: str, mode: str):
    with virtual_time() as clock:
        breakers = circuits(2)
        getattr(breakers[0].circuit.config.fleet, command)("shared", by="ada", until=600)
        clock.advance(599)
        assert breakers[1].circuit.config.fleet.snapshot()["circuits"][0]["mode"] == mode
        for breaker in breakers:
            assert _passes(breaker) == (mode != "isolated")
            assert breaker.mode.value == mode
        clock.advance(2)
        for breaker in breakers:
            assert _passes(breaker)
            assert breaker.mode.value == "normal"


def test_a_circuit_that_was_open_when_it_was_isolated_is_open_when_it_is_released():
    with virtual_time():
        breakers = circuits(2)
        fleet = breakers[0].circuit.config.fleet
        fail(breakers[0])
        fail(breakers[1])
        fleet.isolate("shared", by="ada")
        fleet.release("shared", by="ada")
        assert states(breakers) == ["open"] * 2
        assert breakers[0].mode.value == "normal"


def test_a_process_that_starts_later_follows_a_command():
    with virtual_time():
        one, two = fleets(2)
        one.isolate("late", by="ada")
        assert not _passes(circuit_breaker("late", fleet=two))


def test_a_circuit_in_shadow_or_disabled_writes_nothing():
    with virtual_time():
        breakers = circuits(3)
        breakers[0].shadow()
        fail(breakers[0])
        breakers[1].disable()
        fail(breakers[1], times=3)
        fail(breakers[2])
        assert breakers[0].circuit.config.fleet.snapshot()["circuits"] == []


def test_a_fleet_in_shadow_rejects_nothing_in_any_process():
    with virtual_time():
        breakers = circuits(3)
        breakers[0].circuit.config.fleet.shadow("shared", by="ada")
        fail(breakers[1], times=5)
        assert _passes(breakers[1])


def test_a_mode_that_was_set_by_hand_in_one_process_is_its_own():
    with virtual_time():
        breakers = circuits(3)
        breakers[0].isolate()
        fail(breakers[1])
        fail(breakers[2])
        assert [breaker.mode.value for breaker in breakers] == ["isolated", "normal", "normal"]


def test_a_snapshot_is_ready_for_json():
    with virtual_time():
        breakers = circuits(3)
        fail(breakers[0])
        fail(breakers[1])
        fleet = breakers[0].circuit.config.fleet
        fleet.isolate("other", by="ada", why="maintenance", until=60)
        found = fleet.snapshot()
        assert [(each["name"], each["state"], each["mode"], len(each["votes"])) for each in found["circuits"]] == [
            ("shared", "open", "normal", 2),
            ("other", "closed", "isolated", 0),
        ]
        assert len(found["nodes"]) == 3
        assert [(each["by"], each["why"], each["seconds"]) for each in found["audit"]] == [("ada", "maintenance", 60.0)]


# -- keys ----------------------------------------------------------------------------------------------------------


def keyed(count: int):
    breakers = circuits(count, key=lambda region: region)
    guarded = [breaker(_by_region) for breaker in breakers]
    for function in guarded:
        function("eu")
    return breakers, guarded


down: set[str] = set()


def _by_region(region: str) -> str:
    if region in down:
        raise ConnectionResetError
    return region


def test_each_key_is_a_circuit_of_the_fleet():
    with virtual_time():
        breakers, guarded = keyed(3)
        down.add("us")
        for function in guarded[:2] * 2:
            with pytest.raises(ConnectionResetError):
                function("us")
        down.clear()
        with pytest.raises(CircuitOpenError):
            guarded[2]("us")
        assert guarded[2]("eu") == "eu"
        assert [each["name"] for each in breakers[0].circuit.config.fleet.snapshot()["circuits"]] == ["shared[us]"]


def test_an_operator_isolates_one_key_or_all_of_a_name():
    with virtual_time():
        breakers, guarded = keyed(2)
        fleet = breakers[0].circuit.config.fleet
        fleet.isolate("shared", key="eu", by="ada")
        with pytest.raises(CircuitOpenError):
            guarded[1]("eu")
        assert guarded[1]("us") == "us"
        fleet.release("shared", key="eu", by="ada")
        fleet.isolate("shared", by="ada")
        for region in ("eu", "us", "one that is new"):
            with pytest.raises(CircuitOpenError):
                guarded[1](region)
        fleet.release("shared", by="ada")
        assert [guarded[1](region) for region in ("eu", "us", "one that is new")] == ["eu", "us", "one that is new"]


def test_a_key_without_a_text_of_its_own_is_refused():
    with virtual_time():
        _, guarded = keyed(1)
        with pytest.raises(TypeError) as caught:
            guarded[0](object())
        assert "the same in each process" in str(caught.value.__cause__)


# -- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"per_instance": True}, "an object is in one process"),
        ({"partial": True}, "sheds a share of its own calls"),
    ],
)
def test_options_that_a_fleet_cannot_share_are_refused(options: dict[str, object], problem: str):
    with pytest.raises(TypeError, match=problem):
        circuit_breaker("shared", fleet=fleets(1)[0], **options)


def test_a_circuit_of_a_fleet_has_a_name():
    with pytest.raises(TypeError, match="name=None: give the dependency's name"):
        circuit_breaker(fleet=fleets(1)[0])


def test_what_is_no_fleet_is_refused():
    with pytest.raises(TypeError, match="fleet='redis://cache': give a fleet"):
        circuit_breaker("shared", fleet="redis://cache")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": ""}, "name=''"),
        ({"name": "{shop}"}, "without braces"),
        ({"name": "shop", "quorum": 0}, "quorum=0"),
        ({"name": "shop", "quorum": 1.5}, "quorum=1.5"),
        ({"name": "shop", "timeout": 0}, "timeout=0"),
    ],
)
def test_wrong_options_fail_where_they_are_written(options: dict[str, object], problem: str):
    with pytest.raises(ValueError, match=problem):
        Fleet("memory://", **options)


def test_a_fleet_is_not_pickled():
    with pytest.raises(TypeError, match="make it in a module"):
        pickle.dumps(fleets(1)[0])


def test_calls_without_waits_do_not_wait_for_the_store():
    with no_waits():
        breakers = circuits(2)
        fail(breakers[0])
        assert states(breakers) == ["open", "closed"]


def test_the_fast_path_is_that_of_a_circuit_without_a_fleet():
    with virtual_time():
        (breaker,) = circuits(1)
        assert breaker.circuit.state.fast_path
        assert breaker.circuit.fast_path


def test_a_circuit_of_a_fleet_is_listed_with_the_others():
    with virtual_time():
        breaker = circuit_breaker("listed of a fleet", fleet=fleets(1)[0])
        assert resilience.circuits.get("listed of a fleet") is breaker
        assert [each["state"] for each in resilience.circuits.snapshot() if each["name"] == breaker.name] == ["closed"]
