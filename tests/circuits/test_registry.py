"""The circuits of this process: by name, and what is to be known of them."""

from __future__ import annotations

import contextlib
import copy
import gc
import json
import re
import threading
import weakref

import pybreaker
import pytest

import resilience.circuits
from resilience import CircuitBreaker, CircuitOpenError, Pipeline, circuit_breaker, fallback
from resilience.circuits import CircuitSnapshot
from resilience.circuits._per_instance import OneForAll, PerInstance
from resilience.circuits._per_key import PerKey
from resilience.circuits._registry import Registry
from resilience.circuits.breaker import REGISTRY
from resilience.testing import virtual_time
from tests.independent_caller import IndependentCaller


@pytest.fixture(autouse=True)
def no_other_circuits(monkeypatch):
    """Circuits that other tests and pages of the documentation hold, under whatever name, are not seen here."""
    monkeypatch.setattr(REGISTRY, "_references", {})


def entries(name: str) -> list[CircuitSnapshot]:
    return [circuit for circuit in resilience.circuits.snapshot() if circuit["name"] == name]


def entry(name: str) -> CircuitSnapshot:
    (only,) = entries(name)
    return only


def fail(breaker: CircuitBreaker, error: type[Exception] = TimeoutError, times: int = 1) -> None:
    for _ in range(times):
        with contextlib.suppress(error), breaker:
            raise error


def succeed(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with breaker:
            pass


# -- by name -----------------------------------------------------------------------------------------------------------


def test_a_circuit_is_found_by_its_name():
    ledger = circuit_breaker("ledger")
    assert resilience.circuits.get("ledger") is ledger


def test_an_unknown_name_is_refused_with_the_nearest_one():
    registry = Registry()
    registry.add(ledger := circuit_breaker("ledger"))
    with pytest.raises(LookupError) as caught:
        registry.get("leger")
    assert str(caught.value) == "no circuit is called 'leger'; did you mean 'ledger'?"
    registry.add(mail := circuit_breaker("mail"))
    with pytest.raises(LookupError) as caught:
        registry.get("xyz")
    assert str(caught.value) == "no circuit is called 'xyz'; there are 'ledger', 'mail'"
    with pytest.raises(LookupError) as caught:
        Registry().get("xyz")
    assert str(caught.value) == "no circuit is called 'xyz'; there are none"
    assert {breaker.name for breaker in registry} == {ledger.name, mail.name}


def made_in(module: str, name: str) -> CircuitBreaker:
    """Return a circuit that a module of that name has made."""
    namespace: dict[str, CircuitBreaker] = {}
    exec(f"from resilience import circuit_breaker\nmade = circuit_breaker({name!r})", {"__name__": module}, namespace)
    return namespace["made"]


def test_a_name_of_two_circuits_finds_neither_and_says_where_they_were_made():
    twins = [circuit_breaker("twin"), circuit_breaker("twin")]
    with pytest.raises(LookupError, match=f"2 circuits are called 'twin': {__name__}.twin, {__name__}.twin; give one"):
        resilience.circuits.get("twin")
    assert len(entries(f"{__name__}.twin")) == len(twins)


def test_circuits_of_one_name_are_distinguished_by_their_modules():
    ours, theirs = made_in("shop.clients", "books"), made_in("shop.orders", "books")
    assert resilience.circuits.get("shop.clients.books") is ours
    assert resilience.circuits.get("shop.orders.books") is theirs
    assert [entry["name"] for entry in resilience.circuits.snapshot()] == ["shop.clients.books", "shop.orders.books"]


def test_a_second_circuit_of_a_name_is_logged_once(caplog: pytest.LogCaptureFixture):
    kept = [made_in("shop.clients", "logged twice")]
    assert caplog.messages == []
    kept += [made_in("shop.orders", "logged twice"), made_in("shop.orders", "logged twice")]
    (message,) = caplog.messages
    assert message == (
        "circuits of shop.clients and of shop.orders are both called 'logged twice': each sees only its own failures;"
        " give one object to all that call the same dependency (logged once)"
    )


def test_a_circuit_may_have_the_name_of_a_collected_one(caplog: pytest.LogCaptureFixture):
    for _ in range(3):
        circuit_breaker("short-lived")
        gc.collect()
    assert caplog.messages == []


def test_all_circuits_are_listed_by_name_and_reset_together():
    circuits = [circuit_breaker(name, failure_threshold=1) for name in ("b", "a", "c")]
    circuits[0].open()
    circuits[1].isolate()
    hosts = circuit_breaker("d", key=lambda host: host)
    hosts.of("x").open()
    assert [breaker.name for breaker in resilience.circuits.all_circuits()] == ["a", "b", "c", "d"]
    resilience.circuits.reset_all()
    assert {(c["state"], c["mode"]) for c in resilience.circuits.snapshot()} == {("closed", "normal")}


# -- copies and settings -----------------------------------------------------------------------------------------------


def test_a_copy_of_an_object_shares_its_circuit():
    breaker = circuit_breaker("shared")
    held = {"breaker": breaker, "pipeline": Pipeline(breaker)}
    assert copy.copy(breaker) is breaker
    assert copy.deepcopy(held)["breaker"] is breaker
    copied = copy.deepcopy(held)["pipeline"]
    assert isinstance(copied, Pipeline)


def test_a_setting_reaches_the_circuits_of_all_keys():
    hosts = circuit_breaker("hosts", key=lambda host: host, failure_threshold=5, reset_timeout=30)
    before, after = hosts.of("before"), "after"
    hosts.fail_max, hosts.reset_timeout, hosts.success_threshold = 2, 7.0, 3
    for breaker in (hosts, before, hosts.of(after)):
        assert (breaker.fail_max, breaker.reset_timeout, breaker.success_threshold) == (2, 7.0, 3)
    fail(before, times=2)
    assert before.current_state == "open"


@pytest.mark.parametrize(
    ("name", "hint"), [("failmax", "; did you mean 'fail_max'?"), ("reset_time", "; did you mean"), ("zeal", "")]
)
def test_an_attribute_without_effect_cannot_be_set(name: str, hint: str):
    with pytest.raises(AttributeError, match=f"a circuit has no '{name}' to set{re.escape(hint)}"):
        setattr(circuit_breaker("strict"), name, 3)


def test_a_circuit_without_a_name_is_found_by_that_of_what_it_guards():
    @circuit_breaker()
    def unnamed(): ...

    found = resilience.circuits.get(f"{__name__}.{unnamed.__qualname__}")
    fail(found, times=5)
    with pytest.raises(CircuitOpenError):
        unnamed()


def test_a_circuit_that_is_renamed_is_found_by_its_new_name():
    breaker = circuit_breaker("before")
    breaker.name = "after"
    assert resilience.circuits.get("after") is breaker
    with pytest.raises(LookupError):
        resilience.circuits.get("before")


def kept_by_a_function(name: str) -> object:
    @circuit_breaker(name)
    def guarded(): ...

    return guarded


def kept_by_a_stack(name: str) -> object:
    @fallback(default=None)
    @circuit_breaker(name)
    async def guarded(): ...

    return guarded


def kept_by_a_generator_function(name: str) -> object:
    @circuit_breaker(name)
    def guarded():
        yield

    return guarded


def kept_by_a_class(name: str) -> object:
    @circuit_breaker(name)
    class Guarded:
        def method(self): ...

    return Guarded


def kept_by_a_class_per_instance(name: str) -> object:
    @circuit_breaker(name, per_instance=True)
    class Guarded:
        def method(self): ...

    return Guarded


def kept_by_a_function_by_key(name: str) -> object:
    @circuit_breaker(name, key=lambda host: host)
    def guarded(host): ...

    guarded("a")
    return guarded


def kept_by_a_pipeline(name: str) -> object:
    return Pipeline(circuit_breaker(name))


@pytest.mark.parametrize(
    "make",
    [
        kept_by_a_function,
        kept_by_a_stack,
        kept_by_a_generator_function,
        kept_by_a_class,
        kept_by_a_class_per_instance,
        kept_by_a_function_by_key,
        kept_by_a_pipeline,
    ],
)
def test_a_circuit_lives_as_long_as_the_function_it_guards(make):
    kept = make("kept")
    gc.collect()
    circuit = resilience.circuits.get("kept")
    assert entries("kept")
    gone = weakref.ref(circuit)
    del circuit, kept
    gc.collect()
    assert gone() is None
    assert entries("kept") == []
    with pytest.raises(LookupError):
        resilience.circuits.get("kept")


def test_a_new_circuit_at_the_address_of_an_old_one_is_not_forgotten_with_it():
    registry = Registry()
    for _ in range(200):
        registry.add(breaker := circuit_breaker("again"))
        assert list(registry) == [breaker]
        del breaker
        gc.collect(0)
        assert list(registry) == []


# -- what is to be known -----------------------------------------------------------------------------------------------


def test_the_snapshot_of_a_new_circuit_is_empty():
    with virtual_time() as clock:
        new = circuit_breaker("new")
        assert entry(new.name) == {
            "name": "new",
            "key": None,
            "pattern": None,
            "state": "closed",
            "mode": "normal",
            "since": clock.wall(),
            "failures_in_a_row": 0,
            "calls": None,
            "failed": None,
            "slow": None,
            "failure_rate": None,
            "slow_rate": None,
            "last_category": None,
            "next_probe": None,
            "probes": 0,
            "probe_successes": 0,
            "shed": None,
        }
    assert list(entry(new.name)) == list(CircuitSnapshot.__annotations__)


def seen(breaker: CircuitBreaker, **expected: object) -> None:
    """Check the snapshot of a circuit, and that it can be sent as JSON."""
    found = entry(breaker.name)
    assert {field: found[field] for field in expected} == expected
    assert json.loads(json.dumps(resilience.circuits.snapshot(), allow_nan=False))


def test_the_snapshot_follows_a_circuit_through_all_states():
    with virtual_time() as clock:
        breaker = circuit_breaker("all", failure_threshold=3, reset_timeout=30, probes=2, success_threshold=2)
        made = clock.wall()
        clock.advance(5)
        fail(breaker, times=2)
        seen(breaker, state="closed", since=made, failures_in_a_row=2, last_category="timeout", next_probe=None)
        succeed(breaker)
        seen(breaker, state="closed", failures_in_a_row=0, last_category="timeout")
        fail(breaker, TimeoutError, times=2)
        fail(breaker, ConnectionResetError)
        opened = clock.wall()
        seen(breaker, state="open", since=opened, failures_in_a_row=3, last_category="network", next_probe=30.0)
        clock.advance(12)
        seen(breaker, state="open", since=opened, next_probe=18.0)
        clock.advance(20)  # the next call is a probe, and a caller that looks before it calls sees that
        seen(breaker, state="half_open", since=opened, next_probe=0.0, probes=0)
        others = IndependentCaller()
        with breaker:
            seen(breaker, state="half_open", since=opened + 32, failures_in_a_row=3, probes=1, probe_successes=0)
            others.call(another_probe, breaker)
            seen(breaker, state="half_open", probes=1, probe_successes=1)
        seen(breaker, state="closed", since=opened + 32, failures_in_a_row=0, probes=0, probe_successes=0)


def another_probe(breaker: CircuitBreaker) -> None:
    with breaker:
        seen(breaker, state="half_open", next_probe=None, probes=2)


def test_a_lost_probe_is_not_counted_as_in_flight():
    with virtual_time() as clock:
        breaker = circuit_breaker("lost", reset_timeout=30, probe_timeout=5)
        breaker.half_open()
        with breaker:
            seen(breaker, probes=1)
            clock.advance(5)
            seen(breaker, state="half_open", probes=0)
            assert breaker.probes_in_flight == 0


def test_the_snapshot_of_a_closed_circuit_has_the_rates_of_its_window():
    with virtual_time() as clock:
        breaker = circuit_breaker(
            "shares", failure_rate=0.5, slow_call_rate=0.5, slow_call_seconds=2, window=8, minimum_calls=8
        )
        seen(breaker, calls=0, failed=0, slow=0, failure_rate=None, slow_rate=None)
        succeed(breaker)
        fail(breaker, times=2)
        with breaker:
            clock.advance(3)
        seen(breaker, calls=4, failed=2, slow=1, failure_rate=0.5, slow_rate=0.25, failures_in_a_row=0)
        succeed(breaker, times=8)
        seen(breaker, calls=8, failed=0, slow=0, failure_rate=0.0, slow_rate=0.0)
        fail(breaker, times=4)
        seen(breaker, state="open", calls=None, failed=None, failure_rate=None, slow_rate=None, failures_in_a_row=4)


def test_the_snapshot_of_a_time_window_is_up_to_date_without_calls():
    with virtual_time() as clock:
        breaker = circuit_breaker("seconds", failure_rate=0.5, window_seconds=60)
        fail(breaker)
        succeed(breaker, times=3)
        seen(breaker, calls=4, failed=1, failure_rate=0.25)
        clock.advance(70)
        seen(breaker, calls=0, failed=0, failure_rate=None)


def test_the_snapshot_has_failures_by_weight():
    breaker = circuit_breaker(
        "heavy", failure_threshold=9, failure_rate=0.9, profiles={"timeout": {"weight": 3}}, minimum_calls=20
    )
    succeed(breaker, times=4)
    fail(breaker)
    seen(breaker, calls=5, failed=3, failure_rate=0.6, failures_in_a_row=3)


def test_a_rate_in_the_snapshot_is_at_most_one():
    breaker = circuit_breaker(
        "heavier", failure_threshold=9, failure_rate=0.9, profiles={"timeout": {"weight": 3}}, minimum_calls=20
    )
    fail(breaker, times=2)
    seen(breaker, calls=2, failed=6, failure_rate=1.0, failures_in_a_row=6)


def test_the_snapshot_has_the_mode():
    with virtual_time() as clock:
        breaker = circuit_breaker("modes", failure_threshold=1, reset_timeout=30)
        breaker.isolate()
        seen(breaker, state="open", mode="isolated", next_probe=None, failures_in_a_row=0)
        breaker.disable()
        fail(breaker, times=3)
        seen(breaker, state="closed", mode="disabled", failures_in_a_row=0)
        breaker.shadow()
        fail(breaker)
        seen(breaker, state="open", mode="shadow", next_probe=30.0, failures_in_a_row=1)
        clock.advance(10)
        breaker.reset()
        seen(breaker, state="closed", mode="normal", since=clock.wall(), next_probe=None, last_category=None)


def test_the_snapshot_of_a_disabled_circuit_has_no_calls():
    breaker = circuit_breaker("off", failure_rate=0.5)
    breaker.disable()
    succeed(breaker, times=3)
    fail(breaker)
    seen(breaker, mode="disabled", calls=0, failed=0, failure_rate=None)


def test_the_rejection_of_an_isolated_circuit_says_that_it_is_isolated():
    breaker = circuit_breaker("alone")
    breaker.isolate()
    with pytest.raises(CircuitOpenError) as caught, breaker:
        pass
    assert str(caught.value) == "circuit 'alone' is isolated; it rejects all calls until it is reset"


def test_the_snapshot_of_a_keyed_circuit_has_the_pattern_and_each_key():
    breaker = circuit_breaker("by host", failure_threshold=2, key=lambda host: host)

    @breaker
    def fetch(host: str) -> None:
        if host == "b":
            raise TimeoutError

    fetch("c")
    for _ in range(2):
        with contextlib.suppress(TimeoutError):
            fetch("b")
    listed = [(each["key"], each["pattern"], each["state"]) for each in entries("by host")]
    assert listed == [(None, "key", "closed"), ("b", None, "open"), ("c", None, "closed")]


def test_the_snapshot_has_a_pattern_without_keys():
    breaker = circuit_breaker("no keys yet", key=lambda host: host)
    seen(breaker, key=None, pattern="key", state="closed")


def test_the_snapshot_of_a_per_instance_circuit_has_the_pattern_and_each_object():
    @circuit_breaker("shards", failure_threshold=1, per_instance=True)
    class Shard:
        def read(self) -> None: ...

        @classmethod
        def find(cls) -> None:
            raise TimeoutError

    first = Shard()
    first.read()
    with contextlib.suppress(TimeoutError):
        Shard.find()
    listed = [(each["key"], each["pattern"], each["state"]) for each in entries("shards")]
    assert listed == [(None, "instance", "open"), (f"{Shard.__qualname__} at {id(first):#x}", None, "closed")]
    del first
    gc.collect()
    assert [each["key"] for each in entries("shards")] == [None]


def test_a_key_in_the_snapshot_is_a_text():
    class Silent:
        def __str__(self):
            raise RuntimeError("no text")

    keys = [1, ("eu", 2), None, Silent()]
    breaker = circuit_breaker("any", key=lambda key: key)
    for key in keys:
        breaker.of(key)
    listed = {each["key"] for each in entries("any") if each["pattern"] is None}
    assert listed == {"1", "('eu', 2)", "None", f"a {Silent.__qualname__}"}
    assert json.dumps(entries("any"))


def test_the_snapshot_has_no_data_of_calls():
    breaker = circuit_breaker("secretive", failure_threshold=1, failure_rate=0.5)

    @breaker
    def charge(card: str) -> None:
        raise ConnectionRefusedError(f"cannot charge {card}")

    with contextlib.suppress(ConnectionRefusedError):
        charge("4111 1111")
    assert entry("secretive")["state"] == "open"
    assert "4111 1111" not in json.dumps(resilience.circuits.snapshot())


def test_the_snapshot_of_a_circuit_opened_by_its_storage_has_the_time_of_that():
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    one = circuit_breaker("one", failure_threshold=1, reset_timeout=30, storage=storage)
    two = circuit_breaker("two", failure_threshold=1, reset_timeout=30, storage=storage)
    with virtual_time() as clock:
        fail(one)
        opened = clock.wall()
        clock.advance(10)
        with contextlib.suppress(CircuitOpenError), two:
            pass
        assert entry("two")["next_probe"] == pytest.approx(20.0)
        assert entry("two")["since"] == pytest.approx(opened)


def test_the_entries_of_a_snapshot_are_ordered_by_name_and_key():
    breakers = [circuit_breaker(name) for name in ("z", "a")]
    keyed = circuit_breaker("m", key=str)
    keyed.of("2"), keyed.of("1")
    listed = [(each["name"], each["key"]) for each in resilience.circuits.snapshot()]
    assert listed == sorted(listed, key=lambda each: (each[0], each[1] or ""))
    assert [each for each in listed if each[0] == "m"] == [("m", None), ("m", "1"), ("m", "2")]
    assert len(breakers) == 2


# -- while others change things ----------------------------------------------------------------------------------------


def test_each_entry_of_a_snapshot_is_consistent_while_threads_call():
    breaker = circuit_breaker(
        "busy", failure_threshold=2, failure_rate=0.5, minimum_calls=2, window=10, reset_timeout=60
    )
    keyed = circuit_breaker("busy keys", key=lambda key: key, max_keys=5)
    over = threading.Event()
    broken: list[BaseException] = []

    def work(number: int) -> None:
        turn = number
        try:
            while not over.is_set():
                turn += 1
                with contextlib.suppress(CircuitOpenError):  # another thread was quicker
                    succeed(breaker)
                    fail(breaker, times=2)
                breaker.reset()
                succeed(keyed.of(turn % 9))
                succeed(circuit_breaker(f"passing {number}"))
        except BaseException as error:
            broken.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            (busy,) = entries("busy")
            assert (busy["calls"] is None) == (busy["state"] != "closed")
            assert (busy["next_probe"] is None) == (busy["state"] != "open")
            assert len(entries("busy keys")) <= 6
            assert resilience.circuits.get("busy") is breaker
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert broken == []


@pytest.mark.slow  # collects garbage for seconds
def test_objects_may_be_collected_while_a_snapshot_is_made():
    shards = circuit_breaker("collected", per_instance=True)

    @shards
    class Shard:
        def __init__(self) -> None:
            self.me = self  # nothing but the collector frees it

        def read(self) -> None: ...

    alive = [Shard() for _ in range(20)]
    before = gc.get_threshold()
    gc.collect()
    try:
        for later in range(1, 30):  # the collector runs after so many allocations more
            gc.collect()
            for shard in [*alive, *(Shard() for _ in range(20))]:
                shard.read()
            del shard
            gc.set_threshold(gc.get_count()[0] + later)
            assert len(shards.children()) >= len(alive)
            gc.set_threshold(*before)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert len(entries("collected")) == 1 + len(alive)


# -- orders to a pattern -----------------------------------------------------------------------------------------------


def pattern_by_key() -> tuple[CircuitBreaker, object, object]:
    return circuit_breaker("pattern", key=lambda key: key), "a", "b"


def pattern_per_instance() -> tuple[CircuitBreaker, object, object]:
    @(breaker := circuit_breaker("pattern", per_instance=True))
    class Shard:
        def read(self) -> None: ...

    return breaker, Shard(), Shard()


@pytest.fixture(params=[pattern_by_key, pattern_per_instance])
def pattern(request):
    return request.param()


def test_a_transition_of_a_pattern_by_hand_changes_all_of_its_circuits(pattern):
    breaker, one, other = pattern
    for order, state in [(breaker.open, "open"), (breaker.half_open, "half-open"), (breaker.close, "closed")]:
        breaker.of(one)
        order()
        assert breaker.current_state == breaker.of(one).current_state == state
    assert breaker.of(other).current_state == "closed"


def test_the_mode_of_a_pattern_holds_for_its_later_circuits_too(pattern):
    breaker, one, other = pattern
    breaker.of(one)
    for order, mode in [(breaker.isolate, "isolated"), (breaker.disable, "disabled"), (breaker.shadow, "shadow")]:
        order()
        assert breaker.mode.value == breaker.of(one).mode.value == mode
    breaker.isolate()
    with pytest.raises(CircuitOpenError), breaker.of(other):
        pass
    breaker.of(one).reset()
    assert (breaker.of(one).mode.value, breaker.of(other).mode.value) == ("normal", "isolated")
    breaker.reset()
    assert breaker.mode.value == breaker.of(one).mode.value == breaker.of(other).mode.value == "normal"


def test_a_listener_added_to_a_pattern_is_notified_by_existing_circuits(pattern):
    class Heard(pybreaker.CircuitBreakerListener):
        def __init__(self) -> None:
            self.states: list[str] = []

        def state_change(self, cb, old_state, new_state) -> None:
            self.states.append(new_state.name)

    breaker, one, other = pattern
    breaker.of(one)
    breaker.add_listener(heard := Heard())
    breaker.of(one).open()
    breaker.of(other).open()
    assert heard.states == ["open", "open"]
    breaker.remove_listener(heard)
    breaker.of(one).close()
    assert heard.states == ["open", "open"]


def test_a_key_whose_circuit_was_set_by_hand_is_evicted_last():
    breaker = circuit_breaker("few", key=lambda key: key, max_keys=2)
    breaker.of("ordered").disable()
    breaker.of("a"), breaker.of("b")
    assert [key for key, _ in breaker.children()] == ["ordered", "b"]


def test_reset_forgets_what_was_recorded():
    breaker = circuit_breaker("reset", failure_threshold=3, failure_rate=0.9, window=10)
    fail(breaker, times=2)
    breaker.reset()
    seen(breaker, state="closed", failures_in_a_row=0, calls=0, failed=0, last_category=None)
    fail(breaker, times=2)
    assert breaker.current_state == "closed"


def test_a_circuit_makes_only_the_registries_that_it_needs():
    plain = circuit_breaker("plain")
    by_key, per_instance = circuit_breaker("by key", key=str), circuit_breaker("per instance", per_instance=True)
    assert plain._scoped is None  # until it is asked
    held = [type(breaker._circuits) for breaker in (plain, by_key, per_instance)]
    assert held == [OneForAll, PerKey, PerInstance]
    assert plain._circuits._per_instance is None
    assert plain.children() == []


def test_a_plain_circuit_returns_the_same_circuit_for_the_same_object():
    plain = circuit_breaker("plain")

    class Object: ...

    one, two = Object(), Object()
    assert plain.of(one) is plain.of(one)
    assert plain.of(one) is not plain.of(two)
    assert plain.of(one).of(two) is plain.of(one).of(two)  # one made after another is no worse
    assert plain.children() == []  # orders are for it alone


@pytest.mark.parametrize("by", ["close", "reset"])
def test_the_reset_of_a_closed_circuit_keeps_the_time_of_its_state(by: str):
    with virtual_time() as clock:
        breaker = circuit_breaker("again")
        made = clock.wall()
        clock.advance(5)
        fail(breaker)
        getattr(breaker, by)()
        seen(breaker, state="closed", since=made, failures_in_a_row=0)


@pytest.mark.parametrize("many", [{"key": lambda key: key}, {"per_instance": True}])
def test_one_storage_for_many_circuits_is_refused(many):
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    with pytest.raises(TypeError, match="a storage holds the state of one circuit, so all would open together"):
        circuit_breaker("many", storage=storage, **many)
