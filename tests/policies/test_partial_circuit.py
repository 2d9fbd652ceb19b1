"""The partial circuit: what it sheds, when it opens, what it tells, and that it costs nothing while nothing fails."""

from __future__ import annotations

import copy
import pickle
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import pytest

import resilience
from resilience import (
    CircuitOpenError,
    ErrorCategory,
    Pipeline,
    circuit_breaker,
    fallback,
    retry_on_category,
    subscribe,
)
from resilience.circuits import CircuitBreaker, CircuitState
from resilience.circuits._snapshot import snapshot_of
from resilience.clock import using_clock
from resilience.events import CallRejected, CircuitOpened, CircuitShedding, CircuitSheddingEnded, Event
from resilience.policies._partial_circuit import PartialClosed
from resilience.policies._shedding import MIN_CALLS, UsualFailures, failing_share, is_no_streak_of_chance, share_to_shed
from resilience.policies._sliding_window import WindowSnapshot
from resilience.testing import VirtualClock, virtual_time
from tests.circuit_model import Dice, Failed
from tests.runners import Runner

down = ConnectionResetError("down")
SHED = (0.25 - 0.0625) / (1 - (0.25 - 0.0625))
"""The share that the circuit of `shedding` sheds."""


@pytest.fixture
def dice() -> Iterator[Dice]:
    """A virtual clock whose chance is set by hand: at first so that nothing is shed."""
    clock = Dice()
    clock.chance = 0.99
    with using_clock(clock):
        yield clock


class Traffic:
    """Calls through a partial circuit, *rate* a second, of which a share fails at random; counts the outcomes."""

    def __init__(self, clock: VirtualClock, breaker: CircuitBreaker, rate: float = 100, seed: int = 1) -> None:
        self.clock, self.breaker, self.rate = clock, breaker, rate
        self.chance = random.Random(seed)
        self.guarded = breaker(self.dependency)
        self.failing = 0.0

    def dependency(self) -> None:
        if self.chance.random() < self.failing:
            raise ConnectionResetError

    def send(self, seconds: float, failing: float) -> tuple[float, float]:
        """Call for so long; return the shares that succeeded and that were rejected."""
        self.failing = failing
        succeeded = rejected = 0
        calls = round(seconds * self.rate)
        for _ in range(calls):
            self.clock.advance(1 / self.rate)
            try:
                self.guarded()
                succeeded += 1
            except CircuitOpenError:
                rejected += 1
            except ConnectionResetError:
                pass
        return succeeded / calls, rejected / calls


def fail(breaker: CircuitBreaker, times: int = 1, error: Exception = down) -> None:
    for _ in range(times):
        with suppress(type(error), CircuitOpenError), breaker:
            raise error


def succeed(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with suppress(CircuitOpenError), breaker:
            pass


def shedding(clock: Dice, **options: object) -> CircuitBreaker:
    """Return a circuit that sheds: of its last 40 calls, each fourth failed."""
    breaker = circuit_breaker("part", partial=True, **options)
    for _ in range(10):
        succeed(breaker, 3)
        fail(breaker)
    assert breaker.circuit_state is CircuitState.CLOSED
    assert breaker.circuit.shed_share(clock.now())
    return breaker


# -- the law -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("failed", "expected"), [(20, 0.0390), (40, 0.1594), (60, 0.3115), (99, 0.7622), (120, 0.9)])
def test_the_share_is_the_deviation_by_its_complement(failed: int, expected: float):
    window = WindowSnapshot(calls=200, failed=failed, slow=0)
    deviation = failed / 200 - 0.0625  # the usual 5 %, and a quarter of that
    assert share_to_shed(window, 0.05, shedding=True) == pytest.approx(expected, abs=1e-4)
    assert failed > 100 or expected == pytest.approx(deviation / (1 - deviation), abs=1e-4)


def test_when_all_calls_fail_a_tenth_is_left():
    assert share_to_shed(WindowSnapshot(20, 20, 0), 0.05, shedding=True) == 0.9
    assert share_to_shed(WindowSnapshot(20, 60, 0), 0.05, shedding=False) == 0.9


@pytest.mark.parametrize(("calls", "most"), [(10, 2), (50, 7), (200, 19)])
def test_what_chance_explains_begins_nothing(calls: int, most: int):
    # 5 % and three standard deviations of as many calls
    assert not share_to_shed(WindowSnapshot(calls, most, 0), 0.05, shedding=False)
    assert share_to_shed(WindowSnapshot(calls, most + 1, 0), 0.05, shedding=False)


def test_shedding_ends_in_the_dead_zone():
    assert share_to_shed(WindowSnapshot(200, 13, 0), 0.05, shedding=True)
    assert not share_to_shed(WindowSnapshot(200, 12, 0), 0.05, shedding=True)


def test_few_calls_say_nothing():
    assert not share_to_shed(WindowSnapshot(MIN_CALLS - 1, MIN_CALLS - 1, 0), 0.05, shedding=True)
    assert share_to_shed(WindowSnapshot(MIN_CALLS, MIN_CALLS, 0), 0.05, shedding=False)


def test_a_share_that_failed_is_at_most_all():
    assert failing_share(WindowSnapshot(4, 12, 0)) == 1
    assert failing_share(WindowSnapshot(0, 0, 0)) == 0


@pytest.mark.parametrize(("failing", "streak"), [(0.05, 5), (0.1, 7), (0.2, 9), (0.3, 12), (0.5, 20), (0.9, 132)])
def test_a_streak_opens_when_chance_makes_one_in_a_million(failing: float, streak: int):
    assert is_no_streak_of_chance(streak, failing)
    assert not is_no_streak_of_chance(streak - 1, failing)


def test_where_all_failed_no_streak_is_any_news():
    assert not is_no_streak_of_chance(1000, 1.0)


def learned(failing: float, of_late: float | None = None, calls: int = 50_000) -> float:
    usual, every = UsualFailures(), round(1 / failing)
    for _ in range(calls // every):
        usual.learn(every, 1, failing if of_late is None else of_late)
    return usual.share


def test_the_usual_share_is_learned_between_five_and_ten_percent():
    assert learned(1 / 100) == 0.05
    assert learned(1 / 20) == pytest.approx(0.05, abs=0.001)
    assert learned(1 / 13) == pytest.approx(1 / 13, abs=0.001)
    assert learned(1 / 8, of_late=0.1) == 0.1


def test_nothing_is_learned_while_more_than_a_tenth_fails():
    assert learned(1 / 8) == 0.05


# -- traffic -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("failing", "least"), [(0.1, 0.8), (0.2, 0.8), (0.3, 0.65)])
def test_where_a_part_fails_most_of_what_is_possible_succeeds(failing: float, least: float):
    with virtual_time() as clock:
        traffic = Traffic(clock, circuit_breaker("part", partial=True))
        traffic.send(30, 0.01)
        succeeded, _ = traffic.send(30, failing)
    assert succeeded / (1 - failing) >= least


@pytest.mark.parametrize("failing", [0.01, 0.02])
@pytest.mark.parametrize("rate", [2, 20, 100])
def test_of_the_background_hardly_a_call_is_shed(failing: float, rate: float):
    with virtual_time() as clock:
        _, rejected = Traffic(clock, circuit_breaker("part", partial=True), rate).send(6_000 / rate, failing)
    assert rejected <= 0.002


def test_of_an_outage_few_calls_are_let_through_and_traffic_is_back_in_seconds():
    with virtual_time() as clock:
        breaker = circuit_breaker("part", partial=True)
        traffic = Traffic(clock, breaker)
        traffic.send(30, 0.01)
        _, rejected = traffic.send(30, 1.0)
        assert rejected >= 0.95
        assert breaker.current_state == "open"
        traffic.send(3, 0.01)
        assert traffic.send(2, 0.01)[0] >= 0.9


def test_traffic_is_back_ten_seconds_after_a_part_of_it_has_failed():
    with virtual_time() as clock:
        traffic = Traffic(clock, circuit_breaker("part", partial=True), rate=20)
        traffic.send(30, 0.01)
        traffic.send(30, 0.4)
        traffic.send(9, 0.01)
        assert traffic.send(5, 0.01)[0] >= 0.9


def test_what_fails_for_long_is_not_learned_as_usual():
    with virtual_time() as clock:
        breaker = circuit_breaker("part", partial=True)
        Traffic(clock, breaker).send(60, 0.3)
        assert breaker.circuit._usual.share == pytest.approx(0.05, abs=0.001)


def test_what_has_been_learned_outlasts_an_outage():
    with virtual_time() as clock:
        breaker = circuit_breaker("part", partial=True)
        traffic = Traffic(clock, breaker)
        traffic.send(200, 0.07)
        known = breaker.circuit._usual.share
        assert known == pytest.approx(0.07, abs=0.01)
        traffic.send(10, 1.0)
        traffic.send(4, 0.0)
        assert breaker.current_state == "closed"
        assert breaker.circuit._usual.share == pytest.approx(known, abs=0.003)
        assert breaker.state.usual is breaker.circuit._usual


# -- when it opens -----------------------------------------------------------------------------------------------------


def test_it_opens_after_five_failures_in_a_row_where_all_was_well(dice: Dice):
    breaker = circuit_breaker("part", partial=True)
    succeed(breaker, 100)
    fail(breaker, 4)
    assert breaker.current_state == "closed"
    fail(breaker)
    assert breaker.current_state == "open"


@pytest.mark.parametrize(("threshold", "failures"), [(None, 10), (3, 5), (8, 8)])
def test_a_new_circuit_opens_at_its_threshold_and_not_by_chance(threshold: int | None, failures: int, dice: Dice):
    # Without a threshold when nine in ten of at least ten calls have failed.
    breaker = circuit_breaker("part", partial=True, failure_threshold=threshold)
    dice.chance = 0.99
    fail(breaker, failures - 1)
    assert breaker.current_state == "closed"
    fail(breaker)
    assert breaker.current_state == "open"


def pattern(breaker: CircuitBreaker, clock: VirtualClock, script: Sequence[bool]) -> None:
    """Have calls fail as *script* says. None is shed: each ends before the circuit is asked for the next."""
    permits = [breaker.acquire() for _ in script]
    for permit, fails in zip(permits, script, strict=True):
        permit.failed(down) if fails else permit.succeeded()


def test_a_streak_that_the_failures_before_explain_does_not_open_it(dice: Dice):
    breaker = circuit_breaker("part", partial=True)
    pattern(breaker, dice, [number % 5 == 0 for number in range(100)] + [False] + [True] * 8)
    assert breaker.current_state == "closed"  # 0.2 ** 8 is 2.6e-6
    breaker.reset()
    pattern(breaker, dice, [number % 5 == 0 for number in range(100)] + [False] + [True] * 9)
    assert breaker.current_state == "open"


def test_failures_in_a_row_count_by_weight(dice: Dice):
    breaker = circuit_breaker("part", partial=True, profiles={"timeout": {"weight": 3}})
    fail(breaker, 1, TimeoutError())
    assert breaker.current_state == "closed"
    fail(breaker, 1, TimeoutError())
    assert breaker.current_state == "open"


@pytest.mark.parametrize("error", [Failed("validation"), Failed("rate_limit"), CircuitOpenError("another", 1.0)])
def test_what_a_circuit_does_not_count_sheds_nothing(error: Exception, dice: Dice):
    breaker = circuit_breaker("part", partial=True)
    for _ in range(100):
        with suppress(Failed, CircuitOpenError), breaker:
            raise error
    assert breaker.current_state == "closed"
    assert breaker.circuit.shed_share(dice.now()) == 0
    assert snapshot_of(breaker)[0]["failed"] == 0


def test_what_it_rejects_does_not_feed_it(dice: Dice):
    breaker = shedding(dice)
    before = breaker.circuit.window_snapshot(dice.now())
    for _ in range(1000):
        with pytest.raises(CircuitOpenError):
            breaker.state.share = 0.9
            dice.chance = 0.0
            breaker.acquire()
    assert breaker.circuit.window_snapshot(dice.now()) == before


def test_a_slow_call_rate_opens_it_as_any_circuit(dice: Dice):
    breaker = circuit_breaker("part", partial=True, slow_call_rate=0.5, slow_call_seconds=0.5)
    for _ in range(MIN_CALLS):
        with breaker:
            dice.advance(0.5)
    assert breaker.current_state == "open"


def test_a_retry_after_opens_it_for_as_long_as_the_server_asks(dice: Dice):
    class Busy(Exception):
        category = ErrorCategory.UNAVAILABLE
        retry_after = 40.0

    breaker = circuit_breaker("part", partial=True, open_for="infrastructure")
    fail(breaker, 1, Busy())
    assert breaker.state.next_probe_in(dice.now()) == 40


# -- while it is open --------------------------------------------------------------------------------------------------


def test_while_it_is_open_it_probes_every_two_seconds(dice: Dice):
    breaker = circuit_breaker("part", partial=True)
    fail(breaker, 5)
    probes: list[float] = []
    for _ in range(40):
        dice.advance(0.25)
        with suppress(ConnectionResetError, CircuitOpenError), breaker:
            probes.append(dice.now())
            raise down
    assert probes == [2.0, 4.0, 6.0, 8.0, 10.0]


def test_it_may_probe_more_often_and_for_longer_each_time(dice: Dice):
    breaker = circuit_breaker("part", partial=True, reset_timeout=0.5, max_reset_timeout=2)
    dice.chance = 0.99
    waits = []
    fail(breaker, 5)
    for _ in range(4):
        waits.append(breaker.state.next_probe_in(dice.now()))
        dice.advance(2)
        fail(breaker)
    assert waits == pytest.approx([0.5, 1.0, 2.0, 2.0], rel=0.02)


def test_a_probe_may_take_a_minute(dice: Dice):
    breaker = circuit_breaker("part", partial=True)
    fail(breaker, 5)
    dice.advance(2)
    with breaker:
        dice.advance(59)
        assert breaker.probes_in_flight == 1
        assert not breaker.would_admit()
    assert breaker.current_state == "closed"


def test_after_an_outage_it_starts_with_nothing_recorded(dice: Dice):
    breaker = shedding(dice)
    fail(breaker, 50)
    assert breaker.current_state == "open"
    dice.advance(2)
    succeed(breaker)
    assert breaker.current_state == "closed"
    assert breaker.circuit.shed_share(dice.now()) == 0
    assert breaker.state.fast_path


def test_it_ramps_up_first_where_it_is_to(dice: Dice):
    breaker = circuit_breaker("part", partial=True, ramp_up=10)
    fail(breaker, 5)
    dice.advance(2)
    succeed(breaker)
    dice.chance = 0.6
    with pytest.raises(CircuitOpenError, match="ramping up") as ramp:
        breaker.acquire()
    assert (ramp.value.ramping, ramp.value.shed) == (True, 0)
    dice.advance(6.5)
    breaker.acquire().succeeded()
    assert not breaker.state.fast_path
    dice.advance(3.5)
    breaker.acquire().succeeded()
    assert breaker.state.fast_path


# -- the fast path -----------------------------------------------------------------------------------------------------


def test_while_nothing_fails_calls_take_the_fast_path(monkeypatch: pytest.MonkeyPatch):
    breaker = circuit_breaker("part", partial=True)
    guarded = breaker(lambda: 7)
    monkeypatch.setattr(type(breaker.circuit), "run", None)
    assert [guarded() for _ in range(50)] == [7] * 50
    assert breaker.state.call_count == 50


def test_a_few_failures_do_not_leave_the_fast_path(dice: Dice):
    breaker = circuit_breaker("part", partial=True)
    succeed(breaker, 100)
    fail(breaker, 3)
    assert breaker.state.fast_path
    assert breaker.circuit.shed_share(dice.now()) == 0


def test_once_nothing_fails_any_more_it_comes_back_to_the_fast_path(dice: Dice):
    breaker = shedding(dice)
    assert not breaker.state.fast_path
    dice.chance = 0.99
    succeed(breaker, 200)
    assert breaker.state.share == 0
    assert breaker.state.fast_path


def test_ten_seconds_later_a_failure_is_forgotten(dice: Dice):
    breaker = shedding(dice)
    dice.advance(9.9)
    assert breaker.circuit.shed_share(dice.now())
    dice.advance(0.1)
    assert breaker.circuit.shed_share(dice.now()) == 0
    dice.chance = 0.0
    succeed(breaker)
    assert breaker.state.fast_path


def test_what_is_called_within_an_admitted_call_belongs_to_it(dice: Dice):
    breaker = shedding(dice)
    dice.chance = 0.99
    failures = breaker.fail_counter
    with breaker:
        dice.chance = 0.0  # by itself it would be shed
        fail(breaker)
        assert breaker.call(lambda: 7) == 7
        assert breaker.fail_counter == failures
    assert breaker.fail_counter == 0


# -- keys, modes, by hand ----------------------------------------------------------------------------------------------


def test_each_key_sheds_by_itself(dice: Dice):
    hosts = circuit_breaker("hosts", partial=True, key=lambda host, *_: host)

    @hosts
    def fetch(host: str, fails: bool) -> None:
        if fails:
            raise down

    for number in range(40):
        fetch("good", False)
        with suppress(ConnectionResetError, CircuitOpenError):
            fetch("bad", number % 4 == 3)
    shed = {entry["key"]: entry["shed"] for entry in snapshot_of(hosts)}
    assert shed["good"] == 0
    assert 0.1 < shed["bad"] < 0.5
    assert dice.now() == 0


def test_a_class_has_a_partial_circuit_of_each_object(dice: Dice):

    @circuit_breaker("shard", partial=True, per_instance=True)
    class Shard:
        def get(self, fails: bool) -> None:
            if fails:
                raise down

    good, bad = Shard(), Shard()
    dice.chance = 0.99
    for number in range(40):
        good.get(False)
        with suppress(ConnectionResetError, CircuitOpenError):
            bad.get(number % 4 == 3)
    shed = sorted(
        entry["shed"] for entry in resilience.circuits.snapshot() if entry["name"] == "shard" and entry["key"]
    )
    assert shed[0] == 0
    assert shed[1] > 0.1


def test_in_shadow_mode_it_sheds_no_call_and_says_which(dice: Dice):
    breaker = shedding(dice)
    breaker.shadow()
    dice.chance = 0.0
    events: list[Event] = []
    with subscribe(events.append):
        assert breaker.call(lambda: 7) == 7
    assert [event.shadow for event in events if isinstance(event, CallRejected)] == [True]


def test_disabled_it_sheds_nothing(dice: Dice):
    breaker = shedding(dice)
    breaker.disable()
    dice.chance = 0.0
    fail(breaker, 50)
    assert breaker.call(lambda: 7) == 7
    assert breaker.circuit.shed_share(dice.now()) == 0


def test_reset_forgets_what_it_sheds(dice: Dice):
    breaker = shedding(dice)
    breaker.reset()
    assert breaker.circuit.shed_share(dice.now()) == 0
    assert breaker.state.fast_path


def test_to_close_it_by_hand_ends_what_it_sheds(dice: Dice):
    events: list[Event] = []
    with subscribe(events.append):
        breaker = shedding(dice)
        breaker.close()
        breaker.close()
    assert [type(event) for event in events] == [CircuitShedding, CircuitSheddingEnded]


def test_a_clock_that_is_set_back_starts_the_window_again(dice: Dice):
    dice.advance(100)
    breaker = shedding(dice)
    dice.set_back(50)
    assert breaker.circuit.shed_share(dice.now()) == 0


# -- what it tells -----------------------------------------------------------------------------------------------------


def shed_error(clock: Dice, breaker: CircuitBreaker) -> CircuitOpenError:
    clock.chance = 0.0
    with pytest.raises(CircuitOpenError) as rejected:
        breaker.acquire()
    return rejected.value


def test_the_error_of_a_call_that_was_shed_has_the_share(dice: Dice):
    breaker = shedding(dice)
    error = shed_error(dice, breaker)
    assert error.shed == pytest.approx(SHED)
    assert str(error) == "circuit 'part' sheds 23% of the calls while a part of them fails (last: network)"
    assert (error.retry_after, error.last_category, error.category) == (
        1.0,
        ErrorCategory.NETWORK,
        ErrorCategory.REJECTED,
    )
    assert error.to_dict()["details"]["shed"] == error.shed
    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(same), same.shed) == (str(error), error.shed)


def test_the_error_of_an_open_circuit_has_no_share():
    error = CircuitOpenError("part", 2.0, failures=5)
    assert error.shed == 0
    assert "shed" not in error.to_dict()["details"]


def test_a_call_that_was_shed_gets_the_fallback_and_is_not_repeated(runner: Runner, dice: Dice):
    breaker = shedding(dice)
    breaker.state.share = 0.9

    def decorate(function: Callable[..., object]) -> Callable[..., object]:
        return Pipeline(fallback(default="old"), retry_on_category(attempts=3), breaker)(function)

    story = runner.play(decorate, "new", "new", "new", "new", "new", "new", pauses=(0.0,) * 5)
    assert story.reached == story.answers.count("new")
    assert story.names.count("call.rejected") == story.answers.count("old")


def test_the_note_of_a_failed_call_has_the_share(dice: Dice):
    breaker = shedding(dice)
    dice.chance = 0.99

    @retry_on_category(attempts=2)
    @breaker
    def fails() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError) as failed:
        fails()
    notes = "\n".join(failed.value.__notes__)
    assert re.search(r"circuit 'part' closed, 3 failures in a row, sheds 29% of the calls", notes), notes


def test_the_snapshot_has_the_share_as_it_is_now(dice: Dice):
    breaker = shedding(dice)
    assert snapshot_of(breaker)[0]["shed"] == pytest.approx(SHED)
    assert snapshot_of(breaker)[0]["failure_rate"] == 0.25
    dice.advance(20)
    assert snapshot_of(breaker)[0]["shed"] == 0
    succeed(breaker)
    fail(breaker, 5)
    assert snapshot_of(breaker)[0]["shed"] == 1
    dice.advance(2)
    assert snapshot_of(breaker)[0]["shed"] == 1  # to all but probes
    assert snapshot_of(circuit_breaker("whole"))[0]["shed"] is None


def test_events_tell_when_shedding_begins_changes_and_ends(runner: Runner):
    def decorate(function: Callable[..., object]) -> Callable[..., object]:
        return circuit_breaker("part", partial=True, failure_threshold=50)(function)

    parts: list[object] = [down, "ok", "ok", "ok"] * 10 + [down] * 12 + ["ok"] * 400
    story = runner.play(decorate, *parts, pauses=(0.0,) * 420)
    emitted = [event for event in story.events if isinstance(event, CircuitShedding | CircuitSheddingEnded)]
    shares = [event.share for event in emitted if isinstance(event, CircuitShedding)]
    assert len(shares) >= 3
    assert all(abs(before - after) >= 0.1 for before, after in zip(shares, shares[1:], strict=False))
    assert all(isinstance(event, CircuitShedding) for event in emitted[:-1])
    assert isinstance(emitted[-1], CircuitSheddingEnded)
    assert {event.policy for event in emitted} == {"part"}


def test_a_circuit_that_opens_while_it_sheds_tells_of_the_opening_alone(dice: Dice):
    events: list[Event] = []
    with subscribe(events.append):
        breaker = shedding(dice)
        dice.chance = 0.99
        fail(breaker, 60)
        dice.advance(2)
        succeed(breaker, 2)
    kinds = [type(event) for event in events if not isinstance(event, CallRejected)]
    assert kinds.count(CircuitOpened) == 1
    assert CircuitSheddingEnded not in kinds


def test_its_description_says_that_it_is_partial():
    assert str(circuit_breaker("part", partial=True)) == (
        "circuit_breaker('part', failure_threshold=5, reset_timeout=2, partial=True)"
    )


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["failure_rate", "window", "window_seconds", "minimum_calls"])
def test_it_takes_no_rate_of_its_own(option: str):
    options = {option: 0.5 if option == "failure_rate" else 12}
    if option != "failure_rate":
        options |= {"slow_call_rate": 0.5, "slow_call_seconds": 1}
    with pytest.raises(TypeError, match=f"{option}=, partial=True: a partial circuit measures the share"):
        circuit_breaker("part", partial=True, **options)


@pytest.mark.parametrize("options", [{"reset_timeout": 60}, {"reset_timeout": 2.1}, {"max_reset_timeout": 30}])
def test_it_does_not_stay_open_for_longer_than_two_seconds(options: dict[str, float]):
    with pytest.raises(ValueError, match="give at most 2 with partial=True, which probes at least as often"):
        circuit_breaker("part", partial=True, **options)


def test_partial_is_true_or_false():
    with pytest.raises(TypeError, match="partial=1"):
        circuit_breaker("part", partial=1)


def test_without_partial_nothing_changes():
    breaker = circuit_breaker("whole", partial=False)
    assert not isinstance(breaker.state, PartialClosed)
    assert breaker.circuit.shed_share(0.0) is None


def test_with_a_storage_there_is_no_share():
    import pybreaker

    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    with pytest.raises(TypeError, match="a storage holds no share of calls to shed"):
        circuit_breaker("part", partial=True, storage=storage)


def test_a_new_circuit_sheds_nothing():
    breaker = circuit_breaker("new and partial", partial=True)
    (entry,) = [each for each in resilience.circuits.snapshot() if each["name"] == "new and partial"]
    assert entry["shed"] == 0.0
    assert breaker.would_admit()
