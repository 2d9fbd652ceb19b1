"""A configuration that is read again: changed policies come into force between two calls, and state is kept."""

from __future__ import annotations

import os
import pathlib
import threading

import pytest

from resilience import CircuitOpenError, subscribe
from resilience.config import ConfigurationError, Policies
from resilience.events import ConfigurationChanged, ConfigurationRejected, Event
from resilience.profiles import profile_of
from resilience.testing import virtual_time


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "resilience.toml"


def write(file: pathlib.Path, **options: object) -> None:
    file.write_text("[policies.shop]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()))


def failing(policies: Policies) -> tuple[object, list[int]]:
    made: list[int] = []

    @policies["shop"]
    def call() -> None:
        made.append(1)
        raise ConnectionResetError

    return call, made


def calls(call, made: list[int]) -> int:
    made.clear()
    with virtual_time(), pytest.raises((ConnectionResetError, CircuitOpenError)):
        call()
    return len(made)


def test_a_function_gets_the_policies_of_the_file_that_was_read_last(file: pathlib.Path):
    write(file, retry=2)
    policies = Policies.load(file, environment={})
    call, made = failing(policies)
    assert calls(call, made) == 2
    write(file, retry=4)
    assert [str(change) for change in policies.reload()] == ["shop.retry.attempts: 2 -> 4 (resilience.toml)"]
    assert calls(call, made) == 4
    assert policies.reload() == []


def test_policies_may_be_added_and_switched_off(file: pathlib.Path):
    write(file, retry=2)
    policies = Policies.load(file, environment={})
    call, made = failing(policies)
    write(file, retry="false", circuit="{failure_threshold = 1}")
    policies.reload()
    assert [calls(call, made) for _ in range(3)] == [1, 0, 0]
    write(file, timeout=1)
    policies.reload()
    assert calls(call, made) == 1
    assert policies["shop"].circuit is None


def test_an_open_circuit_stays_open_for_its_time(file: pathlib.Path):
    write(file, circuit="{failure_threshold = 1, reset_timeout = 60}", retry=1)
    policies = Policies.load(file, environment={})
    call, made = failing(policies)
    circuit = policies["shop"].circuit
    with virtual_time() as clock:
        with pytest.raises(ConnectionResetError):
            call()
        clock.advance(20)
        write(file, circuit="{failure_threshold = 5, reset_timeout = 1}", retry=3)
        policies.reload()
        assert policies["shop"].circuit is circuit
        made.clear()
        with pytest.raises(CircuitOpenError) as raised:
            call()
        assert (made, raised.value.retry_after) == ([], pytest.approx(40))


def test_a_circuit_whose_options_stay_the_same_keeps_what_it_has_counted(file: pathlib.Path):
    write(file, circuit="{failure_threshold = 3}", timeout=1)
    policies = Policies.load(file, environment={})
    call, made = failing(policies)
    calls(call, made)
    calls(call, made)
    write(file, circuit="{failure_threshold = 3}", timeout=2)
    policies.reload()
    assert policies["shop"].circuit.fail_counter == 2
    assert [calls(call, made), calls(call, made)] == [1, 0]


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        ("{failure_rate = 0.4, window = 10, minimum_calls = 5, failure_threshold = 50}", 2),
        ("{failure_rate = 0.5, window = 20, minimum_calls = 5, failure_threshold = 50}", 0),
    ],
    ids=["the same window", "another window"],
)
def test_a_window_is_kept_where_the_options_count_the_same_calls(file: pathlib.Path, after: str, kept: int):
    write(file, circuit="{failure_rate = 0.5, window = 10, minimum_calls = 5, failure_threshold = 50}")
    policies = Policies.load(file, environment={})
    call, made = failing(policies)
    calls(call, made)
    calls(call, made)
    write(file, circuit=after)
    policies.reload()
    circuit = policies["shop"].circuit.circuit
    assert circuit.window_snapshot(0).calls == kept


def test_a_budget_goes_on_when_the_retry_changes(file: pathlib.Path):
    write(file, retry=3)
    policies = Policies.load(file, environment={})
    call, made = failing(policies)
    calls(call, made)
    budgets = [policy.budget for policy in policies["shop"].policies()]
    write(file, retry=5)
    policies.reload()
    assert [policy.budget for policy in policies["shop"].policies()] == budgets


def test_a_circuit_cannot_become_a_partial_one_while_it_is_in_use(file: pathlib.Path):
    write(file, circuit="true")
    policies = Policies.load(file, environment={})
    failing(policies)
    write(file, circuit="{partial = true}")
    with pytest.raises(ConfigurationError, match="partial=True: cannot change while the circuit is in use"):
        policies.reload()


def test_a_bad_file_changes_nothing_and_is_an_event(file: pathlib.Path):
    write(file, retry=2)
    policies = Policies.load(file, environment={})
    call, made = failing(policies)
    events: list[Event] = []
    with subscribe(events.append):
        file.write_text("[policies.shop]\nretry = 7\ntimeot = 1\n")
        with pytest.raises(ConfigurationError, match="did you mean 'timeout'"):
            policies.reload()
    assert calls(call, made) == 2
    (event,) = events
    assert isinstance(event, ConfigurationRejected)
    assert "did you mean 'timeout'" in str(event.error)


def test_a_name_that_guards_functions_cannot_go(file: pathlib.Path):
    write(file, retry=2)
    policies = Policies.load(file, environment={})
    failing(policies)
    file.write_text("[policies.other]\nretry = 2\n")
    with pytest.raises(ConfigurationError, match=r"policies\.shop is missing, and functions are guarded by it"):
        policies.reload()


def test_a_change_is_an_event_with_values_and_origins(file: pathlib.Path):
    write(file, retry=2)
    policies = Policies.load(file, environment={})
    events: list[Event] = []
    with subscribe(events.append):
        policies.set("shop", "retry", 3, by="ada", why="tonight")
        policies.unset("shop", "retry")
        policies.unset("shop", "retry")
    first, second = events
    assert isinstance(first, ConfigurationChanged)
    assert first.changes == ("shop.retry.attempts: 2 -> 3 (set at run time (by ada, tonight))",)
    assert isinstance(second, ConfigurationChanged)
    assert second.changes == ("shop.retry.attempts: 3 -> 2 (resilience.toml)",)


def test_a_value_that_cannot_be_meant_is_not_set(file: pathlib.Path):
    write(file, retry=2)
    policies = Policies.load(file, environment={})
    with pytest.raises(ConfigurationError, match="set at run time"):
        policies.set("shop", "retry", 0)
    assert policies.value("shop", "retry") == 2


def test_a_policy_that_was_set_by_hand_goes_when_that_is_taken_back(file: pathlib.Path):
    write(file, timeout=2, retry="false")
    policies = Policies.load(file, environment={})
    before = str(policies["shop"])
    policies.set("shop", "retry.attempts", 5)
    assert "attempts=5" in str(policies["shop"])
    policies.unset("shop", "retry.attempts")
    assert str(policies["shop"]) == before
    policies.set("shop", "bulkhead.limit", 5)
    policies.unset("shop", "bulkhead.limit")
    assert str(policies["shop"]) == before


def test_a_cell_of_the_table_that_leaves_the_file_is_the_shipped_one_again(file: pathlib.Path):
    shipped = profile_of("timeout")
    file.write_text("[policies.shop]\nretry = 2\n[categories.timeout]\nbase = 5.0\n")
    policies = Policies.load(file, environment={})
    try:
        assert profile_of("timeout").base == 5.0
        file.write_text("[policies.shop]\nretry = 2\n[categories.timeout]\nweight = 2\n")
        policies.reload()
        assert (profile_of("timeout").base, profile_of("timeout").weight) == (shipped.base, 2)
        file.write_text("[policies.shop]\nretry = 2\n[categories.timeout]\nbase = -1\n")
        with pytest.raises(ConfigurationError):
            policies.reload()
        assert profile_of("timeout").weight == 2
        file.write_text("[policies.shop]\nretry = 2\n")
        policies.reload()
        assert profile_of("timeout") == shipped
    finally:
        policies.close()


def test_two_configurations_can_be_compared(file: pathlib.Path):
    write(file, retry=2, timeout=1)
    one = Policies.load(file, environment={})
    write(file, retry=3, deadline=5)
    other = Policies.load(file, environment={})
    assert [(change.option, change.before, change.after) for change in one.diff(other)] == [
        ("retry.attempts", 2, 3),
        ("timeout.limit", 1.0, None),
        ("deadline.limit", None, 5.0),
    ]


def test_a_file_that_changes_is_read_again_while_it_is_watched(file: pathlib.Path):
    write(file, retry=2)
    policies = Policies.load(file, environment={})
    call, made = failing(policies)
    changed = threading.Event()
    with subscribe(lambda event: changed.set()), policies.watch(0.01):
        write(file, retry=4)
        os.utime(file, (1, 1))
        assert changed.wait(20)
    assert calls(call, made) == 4


def test_a_bad_file_does_not_end_the_watch(file: pathlib.Path):
    write(file, retry=2)
    policies = Policies.load(file, environment={})
    watch = policies.watch(3600)
    with watch:
        assert not watch.look()
        file.write_text("[policies")
        assert watch.look()
        assert policies.value("shop", "retry") == 2
        file.unlink()
        assert not watch.look()
        write(file, retry=5)
        assert watch.look()
        assert policies.value("shop", "retry") == 5
    assert not watch._thread.is_alive()


def test_what_comes_from_no_file_cannot_be_watched():
    policies = Policies.load({"policies": {"shop": {"retry": 2}}}, environment={})
    with pytest.raises(ValueError, match="these policies come from no file"):
        policies.watch()


def test_no_call_sees_a_mixed_plan_while_the_file_is_read_again_and_again(file: pathlib.Path):
    """Attempts and the fallback's answer belong together: each call has seen one of the two files."""
    plans = [{"retry": 2, "fallback": '"two"'}, {"retry": 3, "fallback": '"three"'}]
    write(file, **plans[0])
    policies = Policies.load(file, environment={})
    made = threading.local()

    @policies["shop"]
    def call() -> str:
        made.count += 1
        raise ConnectionResetError

    policies.set("shop", "retry.base_delay", "1ms")
    policies.set("shop", "retry.budget", False)
    done, seen = threading.Event(), set()

    def read() -> None:
        while not done.is_set():
            made.count = 0
            answer = call()
            seen.add((answer, made.count))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(40):
        write(file, **plans[turn % 2])
        policies.reload()
    done.set()
    for thread in threads:
        thread.join()
    assert seen <= {("two", 2), ("three", 3)}
    assert seen


def test_a_function_that_is_decorated_while_the_file_is_read_again_gets_the_new_policies(file: pathlib.Path):
    write(file, retry=2)
    policies = Policies.load(file, environment={})
    shop = policies["shop"]
    handed_out = type(shop).policies
    turns = iter([3, 4])

    def interrupted(self, target: object = None):
        found = handed_out(self, target)
        if target is not None and (attempts := next(turns, None)):
            write(file, retry=attempts)
            reader = threading.Thread(target=policies.reload)
            reader.start()
            reader.join()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(shop), "policies", interrupted)
        first, made = failing(policies)
        second, made_by_second = failing(policies)
    assert calls(first, made) == 4
    assert calls(second, made_by_second) == 4
    write(file, retry=5)
    policies.reload()
    assert calls(first, made) == 5
    assert calls(second, made_by_second) == 5


def test_methods_that_make_no_request_stay_without_policies_for_requests(file: pathlib.Path):
    write(file, fallback='"none"', retry=2)
    policies = Policies.load(file, environment={})
    closed: list[int] = []

    @policies["shop"]
    class Client:
        def get(self) -> str:
            raise ConnectionResetError

        def close(self) -> None:
            closed.append(1)
            raise ConnectionResetError

    write(file, fallback='"other"', retry=3, timeout=5)
    policies.reload()
    with virtual_time():
        assert Client().get() == "other"
        Client().close()
    assert len(closed) == 1
