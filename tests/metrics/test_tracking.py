from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import traceback
import weakref

import anyio
import pytest

from resilience import Pipeline, ResilienceError, circuit_breaker, describe, fallback, retry_on_category, timeout
from resilience.clock import current_clock
from resilience.metrics import _call_stats, track_errors
from resilience.metrics._call_stats import CALL_STATS, CallStats, CallStatsRegistry
from resilience.metrics.definitions import BOUNDS, OTHER
from resilience.testing import virtual_time
from tests.runners import Runner, Takes


def only() -> CallStats:
    (record,) = CALL_STATS
    return record


def numbers() -> tuple[int, int, int]:
    totals = only().totals()
    return totals.success.calls, totals.failure.calls, totals.cancelled


WAYS = {
    "outermost": track_errors,
    "inside": lambda function: fallback(default="other", on="syntax_error")(track_errors(function)),
    "around others": lambda function: track_errors(fallback(default="other", on="syntax_error")(function)),
    "around a circuit": lambda function: track_errors(circuit_breaker()(function)),
    "around a limit": lambda function: track_errors(timeout(60)(function)),
    "in a pipeline": lambda function: Pipeline(track_errors(), fallback(default=1, on="syntax_error"))(function),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_calls_are_counted_and_timed_and_errors_are_raised_as_they_are(runner: Runner, way):
    error = KeyError("secret")
    story = runner.play(way, Takes(0.2, "ok"), Takes(3, error), "ok", pauses=(0, 0))
    assert story.answers == ["ok", error, "ok"]
    assert story.answers[1] is error
    assert error.__context__ is None
    totals = only().totals()
    assert numbers() == (2, 1, 0)
    assert totals.success.seconds == pytest.approx(0.2, abs=0.01)
    assert totals.failure.seconds == pytest.approx(3, abs=0.01)
    assert totals.failure.counts[BOUNDS.index(5.0)] == 1
    assert totals.errors == {("KeyError", "unknown"): 1}
    assert only().target.endswith("dependency")


def test_outermost_it_counts_what_the_caller_gets_and_inside_it_counts_each_attempt(runner: Runner):
    script = ConnectionResetError(), ConnectionResetError(), "ok"
    runner.play(lambda function: track_errors(retry_on_category(base_delay=0)(function)), *script)
    assert numbers() == (1, 0, 0)
    CALL_STATS._stats.clear()
    runner.play(lambda function: retry_on_category(base_delay=0)(track_errors(function)), *script)
    assert numbers() == (1, 2, 0)


def test_a_call_that_takes_exactly_a_bound_is_in_its_bucket():
    for number, bound in enumerate(BOUNDS):
        record = CallStats("f")
        record.slow(bound)
        assert record.totals().success.counts[number] == 1
    record.slow(BOUNDS[-1] + 1)
    assert record.totals().success.counts[-1] == 1


def test_the_time_of_quick_calls_counts_too():
    @track_errors
    def call() -> None:
        current_clock().sleep(0.0005)

    with virtual_time():
        for _ in range(4):
            call()
    assert only().quick == 4
    assert only().totals().success.seconds == pytest.approx(0.002)


def test_a_rejection_is_a_failure_of_its_own_category(runner: Runner):
    def decorate(function):
        breaker = circuit_breaker("b", failure_threshold=1)
        return track_errors(breaker(function))

    runner.play(decorate, ConnectionResetError(), "never", pauses=(0,))
    assert [category for _, category in only().totals().errors] == ["network", "rejected"]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_cancellation_is_no_error(backend: str, way):
    @way
    async def wait() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        with anyio.move_on_after(0.01):
            await wait()

    anyio.run(main, backend=backend)
    assert numbers() == (0, 0, 1)
    assert only().totals().errors == {}


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_what_is_no_exception_passes_and_is_no_error(kind):
    @track_errors
    def stop() -> None:
        raise kind

    with pytest.raises(kind):
        stop()
    assert numbers() == (0, 0, 1)


def test_an_error_is_counted_by_its_code_and_else_by_its_type():
    class Locked(ResilienceError, code="TRACKING-E001", category="conflict"):
        pass

    class Dynamic(Exception):
        def __init__(self, code: str) -> None:
            self.code = code  # anything, different each time

    for error in (Locked(), Dynamic("user 4711"), TimeoutError("secret")):
        with pytest.raises(type(error)), track_errors():
            raise error
    assert set(only().totals().errors) == {
        ("TRACKING-E001", "conflict"),
        ("Dynamic", "unknown"),
        ("TimeoutError", "timeout"),
    }


def test_codes_and_functions_beyond_the_maximum_are_counted_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_call_stats, "_MAX_CODES", 3)
    monkeypatch.setattr(_call_stats, "_MAX_TARGETS", 3)
    many = CallStatsRegistry()
    assert [many.code(type(f"Error{n}", (Exception,), {})()) for n in range(5)] == [
        "Error0",
        "Error1",
        "Error2",
        OTHER,
        OTHER,
    ]
    assert [many.for_target(f"f{n}", None).target for n in range(5)] == ["f0", "f1", "f2", OTHER, OTHER]
    assert many.for_target("f4", None) is many.for_target("f5", None)


def test_a_block_is_counted_under_the_function_it_stands_in(runner: Runner):
    def sync():
        with track_errors(component="billing"):
            pass

    async def asynchronous():
        async with track_errors(component="billing"):
            pass

    runner.run(sync, asynchronous)
    assert numbers() == (1, 0, 0)
    assert only().component == "billing"
    assert only().target.endswith("asynchronous" if runner.is_async else "sync")


def test_a_generator_is_counted_when_it_has_ended(runner: Runner):
    def sync():
        @track_errors
        def items():
            yield 1
            current_clock().sleep(2)
            yield 2

        assert list(items()) == [1, 2]
        for _ in items():
            break

    async def asynchronous():
        @track_errors
        async def items():
            yield 1
            await current_clock().sleep_async(2)
            yield 2

        assert [item async for item in items()] == [1, 2]
        stream = items()
        async for _ in stream:
            break
        await stream.aclose()

    with virtual_time(patience=5):
        runner.run(sync, asynchronous)
    gc.collect()
    assert numbers() == (2, 0, 0)  # one whose consumer had enough has done what it was for
    assert only().totals().success.seconds == pytest.approx(2, abs=0.01)


def test_a_generator_that_fails_halfway_is_a_failure():
    @track_errors
    def items():
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        list(items())
    assert numbers() == (0, 1, 0)


def test_a_class_has_its_methods_tracked_whatever_they_are():
    @track_errors(component="client")
    class Client:
        def plain(self, value):
            return value

        @staticmethod
        def static(value):
            return value

        @classmethod
        def of_class(cls, value):
            return cls, value

        async def asynchronous(self, value):
            return value

        @track_errors(component="special")
        def already(self, value):
            return value

        def _private(self):
            pass

    client = Client()
    assert client.plain(1) == Client.static(1) == client.static(1) == 1
    assert client.of_class(2) == (Client, 2)
    assert asyncio.run(client.asynchronous(3)) == 3
    assert client.already(4) == 4
    assert isinstance(vars(Client)["static"], staticmethod)
    found = {record.target.rpartition(".")[2]: record for record in CALL_STATS}
    assert {name: record.totals().success.calls for name, record in found.items()} == {
        "plain": 1,
        "static": 2,
        "of_class": 1,
        "asynchronous": 1,
        "already": 1,
    }
    assert found["already"].component == "special"
    assert found["plain"].component == "client"


def test_signature_name_defaults_and_description_stay():
    @track_errors
    @retry_on_category(attempts=2)
    def search(query, /, *rest, limit: int = 10, **options):
        """Find."""
        return query, rest, limit, options

    assert search.__name__ == "search"
    assert search.__doc__ == "Find."
    assert str(inspect.signature(search)) == "(query, /, *rest, limit: 'int' = 10, **options)"
    assert search("a", "b", limit=3, page=1) == ("a", ("b",), 3, {"page": 1})
    assert search("a") == ("a", (), 10, {})
    assert list(describe(search))[0] == "track_errors()"
    assert len(describe(search)) == 2


@pytest.mark.generated_wrapper
def test_a_traceback_shows_one_frame_of_ours(runner: Runner):
    story = runner.play(lambda function: track_errors(circuit_breaker()(function)), KeyError())
    ours = [
        frame for frame in traceback.extract_tb(story.answer.__traceback__) if "resilience wrapper" in frame.filename
    ]
    assert len(ours) == 1
    assert ours[0].line


def test_a_failed_call_leaves_nothing_to_the_collector():
    class Kept:
        pass

    @track_errors
    def fail(kept) -> None:
        raise KeyError

    kept = Kept()
    gone = weakref.ref(kept)
    gc.disable()
    try:
        try:
            fail(kept)
        except KeyError:
            pass
        del kept
        assert gone() is None
    finally:
        gc.enable()


def test_what_is_tracked_already_is_refused():
    with pytest.raises(TypeError, match="counted twice"):

        @track_errors
        @retry_on_category
        @track_errors
        def twice() -> None: ...


@pytest.mark.parametrize("component", [1, "", b"x"])
def test_a_component_is_a_name(component):
    with pytest.raises((TypeError, ValueError), match="component="):
        track_errors(component=component)


def test_an_exception_class_is_no_function_to_track():
    with pytest.raises(TypeError, match="every error is counted"):
        track_errors(KeyError)


def test_threads_that_count_at_the_same_time_lose_nothing():
    @track_errors
    def call(good) -> None:
        if not good:
            raise KeyError

    def work() -> None:
        for number in range(3000):
            try:
                call(number % 10)
            except KeyError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers() == (4 * 2700, 4 * 300, 0)


def test_without_a_gil_successes_are_counted_under_the_lock(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(CallStats, "alone", False)

    @track_errors
    def call() -> None: ...

    call()
    assert numbers() == (1, 0, 0)
    assert only().quick == 0


def test_an_observer_is_called_until_it_returns_false():
    heard = []

    def watcher(record, outcome, took) -> bool:
        heard.append(outcome)
        return len(heard) % 2 == 1

    @track_errors
    def call(good=True) -> None:
        if not good:
            raise KeyError

    CALL_STATS.add_observer(watcher)
    try:
        call()
        with pytest.raises(KeyError):
            call(False)
        call()
        assert heard == ["success", "failure"]
        CALL_STATS.renotify()
        call()
        assert len(heard) == 3
    finally:
        CALL_STATS.remove_observer(watcher)
        CALL_STATS.remove_observer(watcher)
    call()
    assert len(heard) == 3
    assert numbers() == (4, 1, 0)


def test_a_watcher_that_raises_changes_nothing(caplog: pytest.LogCaptureFixture):
    def broken_watcher(record, outcome, took) -> bool:
        raise RuntimeError

    CALL_STATS.add_observer(broken_watcher)
    try:
        track_errors(lambda: None)()
    finally:
        CALL_STATS.remove_observer(broken_watcher)
    assert "metrics watcher" in caplog.text
