"""A stale cache cannot hurt: no answer waits for it, a failed call not for long, and its trouble is seen."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections import UserDict
from collections.abc import Callable, Iterator

import anyio
import pytest
import redis.asyncio

from resilience import StaleEntry, deadline, fallback, remaining, subscribe
from resilience._runtime.write_behind import MAX_PENDING
from resilience.clock import current_clock
from resilience.events import CacheFailed
from resilience.policies.stale_cache import READ_TIMEOUT
from resilience.testing import virtual_time
from tests.redis_server import Server
from tests.runners import Runner

WAIT = 30


def lost() -> Exception:
    return ConnectionResetError("down")


class Store:
    """A sync cache, whose operations can be made to fail or hang, with an event for the first value stored."""

    def __init__(
        self, *, before_get: Callable[[], object] = lambda: None, before_set: Callable[[], object] = lambda: None
    ) -> None:
        self.kept: dict[object, object] = {}
        self.written = threading.Event()
        self.before_get, self.before_set = before_get, before_set

    def get(self, key: object) -> object:
        self.before_get()
        return self.kept.get(key)

    def set(self, key: object, value: object) -> None:
        self.before_set()
        self.kept[key] = value
        self.written.set()


class AsyncStore(Store):
    async def get(self, key: object) -> object:
        await anyio.lowlevel.checkpoint()
        await self._maybe(self.before_get)
        return self.kept.get(key)

    async def set(self, key: object, value: object) -> None:
        await anyio.lowlevel.checkpoint()
        await self._maybe(self.before_set)
        self.kept[key] = value
        self.written.set()

    async def _maybe(self, do: Callable[[], object]) -> None:
        done = do()
        if hasattr(done, "__await__"):
            await done


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Ends what hangs in threads, at the latest when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def hangs(runner: Runner, release: threading.Event) -> Callable[[], object]:
    if runner.is_async:
        return lambda: current_clock().sleep_async(1e6)
    return lambda: release.wait(WAIT)


def store_of(runner: Runner, **options: Callable[[], object]) -> Store:
    return (AsyncStore if runner.is_async else Store)(**options)


def raises() -> None:
    raise OSError("the cache is down, too")


def fails() -> str:
    raise ConnectionResetError


# -- a good answer does not wait ---------------------------------------------------------------------------------------


def test_a_cache_that_hangs_when_it_stores_delays_no_answer(runner: Runner, release: threading.Event):
    store = store_of(runner, before_set=hangs(runner, release))
    story = runner.play(fallback(stale=store), *["good"] * 5, pauses=(0,) * 4)
    assert (story.answers, story.now) == (["good"] * 5, 0)


def test_under_a_deadline_too_the_good_answer_arrives(runner: Runner, release: threading.Event):
    store = store_of(runner, before_set=hangs(runner, release))
    story = runner.play(lambda function: deadline(1)(fallback(stale=store)(function)), "good")
    assert (story.answer, story.now) == ("good", 0)


def test_what_is_not_written_yet_is_the_last_good_answer(runner: Runner, release: threading.Event):
    store = store_of(runner, before_set=hangs(runner, release))
    story = runner.play(fallback(stale=store), "first", "second", lost(), pauses=(0, 0))
    assert story.answers == ["first", "second", "second"]


def test_a_value_that_is_written_while_the_cache_is_read_is_not_missed(monkeypatch: pytest.MonkeyPatch):
    reading, forgotten = threading.Event(), threading.Event()

    class Late(Store):
        def get(self, key: object) -> object:
            found = self.kept.get(key)  # before it is there
            reading.set()
            assert forgotten.wait(WAIT)
            return found

        def set(self, key: object, value: object) -> None:
            assert reading.wait(WAIT)
            super().set(key, value)

    up = True

    def answer() -> str:
        if not up:
            fails()
        return "good"

    guarded = fallback(stale=Late(), key=lambda: "key")(answer)
    writer = guarded.__resilience__.policies[0].stale._cache._writer
    forget = writer._written

    def written(*entry: object) -> None:
        forget(*entry)
        forgotten.set()

    monkeypatch.setattr(writer, "_written", written)
    assert guarded() == "good"
    up = False
    assert guarded() == "good"


def test_answers_are_written_all_the_same(runner: Runner):
    store = store_of(runner)

    async def guarded_async() -> str:
        return "good"

    async def main() -> None:
        assert await fallback(stale=store, key=lambda: "key")(guarded_async)() == "good"
        await anyio.wait_all_tasks_blocked()
        assert store.kept["key"].value == "good"

    def sync() -> None:
        assert fallback(stale=store, key=lambda: "key")(lambda: "good")() == "good"
        assert store.written.wait(WAIT)
        assert store.kept["key"].value == "good"

    runner.run(sync, main)


def test_only_the_latest_of_a_key_is_written_after_a_slow_write(release: threading.Event):
    values = []
    begun = threading.Event()

    class Slow(Store):
        def set(self, key: object, value: StaleEntry) -> None:
            values.append(value.value)
            begun.set()
            assert release.wait(WAIT)
            if len(values) == 2:
                self.written.set()

    answers = iter(range(100))
    store = Slow()
    guarded = fallback(stale=store, key=lambda: "key")(lambda: next(answers))
    guarded()
    assert begun.wait(WAIT)
    for _ in range(10):
        guarded()
    release.set()
    assert store.written.wait(WAIT)
    assert values == [0, 10]


def test_values_that_wait_are_bounded(release: threading.Event):
    store = Store(before_set=lambda: release.wait(WAIT))
    guarded = fallback(stale=store, key=lambda number: number)(lambda number: number)
    for number in range(MAX_PENDING + 50):
        guarded(number)
    writer = guarded.__resilience__.policies[0].stale._cache._writer
    assert len(writer._pending) == MAX_PENDING
    assert writer.pending(MAX_PENDING + 49).value == MAX_PENDING + 49


def test_a_write_does_not_inherit_the_deadline_of_the_request(backend: str):
    seen = []
    store = AsyncStore(before_set=lambda: seen.append(remaining()))

    async def answer() -> str:
        return "good"

    @deadline(5)
    async def handle() -> str:
        return await fallback(stale=store)(answer)()

    async def main() -> None:
        assert await handle() == "good"
        await anyio.wait_all_tasks_blocked()

    anyio.run(main, backend=backend)
    assert len(seen) == 1
    assert seen[0] is None or 0 < seen[0] <= 1  # the limit of the write itself


def test_an_event_loop_that_ends_in_a_write_leaves_the_cache_usable(backend: str):
    hang = True
    store = AsyncStore(before_set=lambda: anyio.sleep_forever() if hang else None)

    async def answer() -> str:
        return "good"

    guarded = fallback(stale=store, key=lambda: "key")(answer)

    async def main() -> str:
        found = await guarded()
        await anyio.wait_all_tasks_blocked()
        return found

    assert anyio.run(main, backend=backend) == "good"
    hang = False
    assert anyio.run(main, backend=backend) == "good"
    assert "key" in store.kept


def test_a_sync_write_in_a_forked_process_begins_anew(release: threading.Event):
    begun = threading.Event()

    def before_set() -> None:
        if os.getpid() == parent:
            begun.set()
            release.wait(WAIT)

    parent = os.getpid()
    store = Store(before_set=before_set)
    guarded = fallback(stale=store, key=lambda: "key")(lambda: "good")
    guarded()
    assert begun.wait(WAIT)
    child = os.fork()
    if child == 0:
        guarded()
        os._exit(0 if store.written.wait(WAIT) else 1)
    assert os.waitpid(child, 0)[1] == 0


# -- a failed call does not wait for long ------------------------------------------------------------------------------


def played(runner: Runner, store: object, pauses: tuple[float, ...] = ()) -> list[tuple[object, float]]:
    """Return answer and time of a call that fails, made again after each of *pauses* seconds."""

    async def failing() -> None:
        fails()

    guarded = fallback(stale=store, default="other")(failing if runner.is_async else fails)
    found = []

    def sync() -> None:
        with virtual_time(patience=0.05) as clock:
            for pause in (0, *pauses):
                clock.advance(pause)
                found.append((guarded(), clock.now()))

    async def main() -> None:
        with virtual_time(patience=0.05) as clock:
            for pause in (0, *pauses):
                clock.advance(pause)
                found.append((await guarded(), clock.now()))

    runner.run(sync, main)
    return found


def test_a_cache_that_hangs_when_it_is_read_is_waited_for_a_moment(runner: Runner, release: threading.Event):
    store = store_of(runner, before_get=hangs(runner, release))
    assert played(runner, store) == [("other", READ_TIMEOUT)]


def test_a_cache_that_hung_is_left_alone_for_a_second(runner: Runner, release: threading.Event):
    store = store_of(runner, before_get=hangs(runner, release))
    found = played(runner, store, (0, 0.5, 0.25, 0.5, 0))
    assert [now for _, now in found] == [0.25, 0.25, 0.75, 1.0, 1.75, 1.75]  # read at 0 and at 1.5
    assert {answer for answer, _ in found} == {"other"}


def test_under_a_deadline_the_cache_has_half_of_what_is_left(backend: str):
    store = AsyncStore(before_get=lambda: current_clock().sleep_async(1e6))

    async def hang() -> None:
        await current_clock().sleep_async(1e6)

    @deadline(1)
    async def handle() -> tuple[object, float]:
        return await fallback(stale=store, default="other")(hang)(), current_clock().now()

    async def main() -> object:
        with virtual_time(patience=0.05):
            return await handle()

    assert anyio.run(main, backend=backend) == ("other", pytest.approx(0.95))


def test_a_default_follows_where_the_cache_raises(runner: Runner):
    store = store_of(runner, before_get=raises, before_set=raises)
    assert runner.play(fallback(stale=store, default="other"), "good", lost(), pauses=(0,)).answers == ["good", "other"]


def test_methods_are_looked_up_for_each_call(monkeypatch: pytest.MonkeyPatch):
    store = Store()
    guarded = fallback(stale=store, key=lambda: "key")(fails)
    monkeypatch.setattr(store, "get", lambda key: StaleEntry(f"patched {key}", 0.0))
    assert guarded() == "patched key"


def test_a_cache_that_calls_what_it_serves_is_not_asked_within_itself():
    calls = []

    class Circular(Store):
        def get(self, key: object) -> object:
            calls.append(key)
            return guarded()

    guarded = fallback(stale=Circular(), key=lambda: "key", default="other")(fails)
    assert guarded() == "other"
    assert len(calls) <= 3


def test_a_key_that_cannot_be_hashed_changes_nothing(runner: Runner):
    story = runner.play(
        fallback(stale=store_of(runner), key=lambda: ["list"], default="other"), "good", lost(), pauses=(0,)
    )
    assert story.answers == ["good", "other"]
    assert {event.operation for event in story.events if isinstance(event, CacheFailed)} == {"set", "get"}


# -- its trouble is seen -----------------------------------------------------------------------------------------------


class BrokenMapping(UserDict):
    def __getitem__(self, key: object) -> object:
        raise OSError

    def __contains__(self, key: object) -> bool:
        raise OSError

    def __setitem__(self, key: object, value: object) -> None:
        raise OSError


def trouble_of(runner: Runner, store: object, pauses: tuple[float, ...]) -> list[CacheFailed]:
    """Return the events of a call that fails, made again after each of *pauses* seconds."""
    errors = [lost() for _ in range(len(pauses) + 1)]
    story = runner.play(fallback(stale=store, default="other"), *errors, pauses=pauses)
    assert set(story.answers) == {"other"}
    return [event for event in story.events if isinstance(event, CacheFailed)]


@pytest.mark.parametrize("kind", ["mapping", "methods"])
def test_each_failure_is_an_event_and_a_minute_is_one_line(runner: Runner, kind: str, caplog: pytest.LogCaptureFixture):
    store = BrokenMapping() if kind == "mapping" else store_of(runner, before_get=raises)
    with caplog.at_level(logging.WARNING, "resilience"):
        events = trouble_of(runner, store, (1,) * 121)
    assert len(events) == 122
    assert {(event.operation, type(event.error), event.policy) for event in events} == {("get", OSError, "fallback")}
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert "stale cache" in lines[0]
    assert "get raised OSError; the call goes on without it (0 more since the last such line" in lines[0]
    assert "(59 more since" in lines[1]


def test_a_time_out_of_the_cache_is_trouble_too(runner: Runner, release: threading.Event):
    seen = []
    with subscribe(seen.append):
        played(runner, store_of(runner, before_get=hangs(runner, release)))
    (event,) = [each for each in seen if isinstance(each, CacheFailed)]
    assert isinstance(event.error, TimeoutError)


def test_trouble_of_a_write_is_seen(runner: Runner):
    store = store_of(runner, before_set=raises)
    seen: list[CacheFailed] = []
    noted = threading.Event()

    def listen(event: object) -> None:
        if isinstance(event, CacheFailed):
            seen.append(event)
            noted.set()

    async def answer() -> str:
        return "good"

    async def main() -> None:
        await fallback(stale=store)(answer)()
        await anyio.wait_all_tasks_blocked()

    def sync() -> None:
        fallback(stale=store)(lambda: "good")()
        assert noted.wait(WAIT)

    with subscribe(listen):
        runner.run(sync, main)
    assert [(event.operation, type(event.error)) for event in seen] == [("set", OSError)]


def test_a_sync_write_that_hangs_is_seen_by_the_calls_that_follow(release: threading.Event):
    begun = threading.Event()

    def before_set() -> None:
        begun.set()
        release.wait(WAIT)

    guarded = fallback(stale=Store(before_set=before_set))(lambda: "good")
    seen = []
    with virtual_time() as clock, subscribe(seen.append):
        guarded()
        assert begun.wait(WAIT)
        guarded()
        assert seen == []
        clock.advance(1.5)
        guarded()
    assert [(event.name, event.operation, type(event.error)) for event in seen] == [
        ("cache.failed", "set", TimeoutError)
    ]


def test_the_event_shows_nothing_of_key_or_value(runner: Runner):
    (event,) = trouble_of(runner, store_of(runner, before_get=raises), ())
    assert set(event.fields()) == {"target", "policy", "operation", "error"}
    assert "the cache is down" not in repr(event)


# -- a real Redis ------------------------------------------------------------------------------------------------------


class RedisStore:
    """Answers as JSON in Redis, for a day."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self.client = client

    async def get(self, key: str) -> StaleEntry | None:
        found = await self.client.get(key)
        return StaleEntry(*json.loads(found)) if found else None

    async def set(self, key: str, entry: StaleEntry) -> None:
        await self.client.set(key, json.dumps(entry), ex=86_400)


@pytest.fixture
def server() -> Iterator[Server]:
    with contextlib.closing(Server()) as running:
        yield running


def test_answers_are_kept_in_a_real_redis_and_one_that_hangs_or_is_dead_hurts_no_call(server: Server):
    up = True

    async def main() -> None:
        nonlocal up
        client = redis.asyncio.Redis(port=server.port, socket_timeout=1)
        store = RedisStore(client)

        @fallback(stale=store, key=lambda currency: f"rate:{currency}", default=1.0)
        async def rate(currency: str) -> float:
            if not up:
                raise ConnectionResetError
            return 1.08

        assert await rate("EUR") == 1.08
        with anyio.fail_after(WAIT):
            while await client.get("rate:EUR") is None:
                await anyio.lowlevel.checkpoint()
        up = False
        assert await rate("EUR") == 1.08
        assert await rate("USD") == 1.0
        with server.stopped():  # neither answers nor closes a connection
            up = True
            assert await rate("USD") == 1.08
            up = False
            assert await rate("GBP") == 1.0
        server.kill()
        up = True
        assert await rate("CHF") == 1.08
        up = False
        assert await rate("GBP") == 1.0
        await client.aclose()

    anyio.run(main)
