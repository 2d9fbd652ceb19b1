from __future__ import annotations

import logging
import pickle
import re
from collections import UserDict
from datetime import timedelta
from functools import partial

import anyio
import pytest

from resilience import describe, fallback
from resilience.policies.degraded import Degraded
from resilience.policies.stale_cache import StaleEntry
from resilience.testing import virtual_time
from tests.runners import Runner, Takes

down = ConnectionResetError("down")


class Store:
    """A cache that is asked by methods."""

    def __init__(self) -> None:
        self.kept: dict[object, object] = {}

    def get(self, key: object) -> object:
        return self.kept.get(key)

    def set(self, key: object, value: object) -> None:
        self.kept[key] = value


class AsyncStore(Store):
    async def get(self, key: object) -> object:
        await anyio.lowlevel.checkpoint()
        return super().get(key)

    async def set(self, key: object, value: object) -> None:
        await anyio.lowlevel.checkpoint()
        super().set(key, value)


class Broken:
    def get(self, key: object) -> object:
        raise OSError("the cache is down, too")

    def set(self, key: object, value: object) -> None:
        raise OSError("the cache is down, too")


class BrokenMapping(UserDict):
    def __getitem__(self, key: object) -> object:
        raise OSError

    def __contains__(self, key: object) -> bool:
        raise OSError

    def __setitem__(self, key: object, value: object) -> None:
        raise OSError


@pytest.mark.parametrize("make", [dict, Store])
def test_the_last_good_answer_replaces_a_failure(runner: Runner, make: type):
    story = runner.play(fallback(stale=make()), "first", "second", down, pauses=(0, 0))
    assert story.answers == ["first", "second", "second"]
    assert [(each.name, each.source) for each in story.events] == [("fallback.used", "stale")]


def test_an_async_cache_is_awaited(backend: str):
    assert Runner(backend).play(fallback(stale=AsyncStore()), "good", down, pauses=(0,)).answers == ["good"] * 2


def test_an_async_cache_around_a_sync_function_is_refused_where_it_is_written():
    with pytest.raises(TypeError, match=r"stale\.get=.*is not async"):
        fallback(stale=AsyncStore())(lambda: None)


def test_none_is_a_good_answer(runner: Runner):
    assert runner.play(fallback(stale={}), None, down, pauses=(0,)).answers == [None, None]


def test_without_a_stored_answer_the_error_reaches_the_caller(runner: Runner):
    assert runner.play(fallback(stale={}), down).answer is down


def test_a_failure_of_another_category_reaches_the_caller(runner: Runner):
    bug = ValueError()
    assert runner.play(fallback(stale={}), "good", bug, pauses=(0,)).answers == ["good", bug]
    assert runner.play(fallback(stale={}, on="unknown"), "good", bug, pauses=(0,)).answers == ["good", "good"]


@pytest.mark.parametrize("max_age", [60, timedelta(minutes=1)])
def test_an_entry_older_than_max_age_is_no_answer(runner: Runner, max_age: object):
    story = runner.play(fallback(stale={}, max_age=max_age), "good", down, down, pauses=(60, 0.5))
    assert story.answers == ["good", "good", down]


def test_the_age_counts_from_the_answer_by_the_clock_in_force(runner: Runner):
    story = runner.play(fallback(stale={}, degraded=True), Takes(5, "good"), down, pauses=(12,))
    assert story.answers[1] == Degraded("good", "stale", down, age=12.0)


def test_a_clock_that_was_set_back_makes_no_age_negative():
    cache = {"key": StaleEntry("good", 4_000_000_000.0)}

    @fallback(stale=cache, key=lambda: "key", max_age=1, degraded=True)
    def fail() -> object:
        raise down

    with virtual_time():
        assert fail().age == 0.0


def test_answers_are_kept_by_arguments_and_function():
    cache: dict[object, object] = {}

    @fallback(stale=cache)
    def rate(currency: str, *, day: int = 0) -> str:
        if fails:
            raise down
        return f"{currency} {day}"

    @fallback(stale=cache)
    def name(currency: str) -> str:
        raise down

    fails = False
    assert [rate("EUR", day=0), rate("USD", day=2)] == ["EUR 0", "USD 2"]
    fails = True
    assert [rate("EUR", day=0), rate("USD", day=2)] == ["EUR 0", "USD 2"]
    for call in (partial(rate, "USD"), partial(name, "EUR")):
        with pytest.raises(ConnectionResetError):
            call()
    assert len(cache) == 2


def test_key_makes_the_key_of_the_arguments(runner: Runner):
    cache: dict[object, object] = {}

    def decorate(function):
        guarded = fallback(stale=cache, key=lambda user, *, page: user["id"])(function)
        return partial(guarded, {"id": 7}, page=1)

    with virtual_time() as clock:
        wall = clock.wall()
    assert runner.play(decorate, "good", down, pauses=(0,)).answers == ["good", "good"]
    assert cache == {7: StaleEntry("good", wall)}


def test_arguments_that_cannot_be_hashed_are_reported_and_change_nothing(caplog: pytest.LogCaptureFixture):
    @fallback(stale={})
    def search(filters: list[str]) -> str:
        if filters:
            raise down
        return "good"

    with caplog.at_level(logging.WARNING, "resilience"):
        assert search([]) == "good"
        with pytest.raises(ConnectionResetError):
            search(["x"])
    assert "stale key" in caplog.text
    assert "search raised TypeError" in caplog.text


def test_a_key_function_that_raises_is_reported_and_changes_nothing(runner: Runner, caplog: pytest.LogCaptureFixture):
    def broken_key() -> str:
        raise LookupError

    with caplog.at_level(logging.WARNING, "resilience"):
        assert runner.play(fallback(stale={}, key=broken_key), "good", down, pauses=(0,)).answers == ["good", down]


@pytest.mark.parametrize("make", [Broken, BrokenMapping])
def test_a_cache_that_raises_changes_nothing(runner: Runner, make: type):
    story = runner.play(fallback(stale=make(), default="other"), "good", down, pauses=(0,))
    assert story.answers == ["good", "other"]


def test_an_entry_of_another_program_has_no_age():
    def fail() -> object:
        raise down

    cache = {"key": "by hand"}
    assert fallback(stale=cache, key=lambda: "key")(fail)() == "by hand"
    assert fallback(stale=cache, key=lambda: "key", degraded=True)(fail)().age is None
    with pytest.raises(ConnectionResetError):
        fallback(stale=cache, key=lambda: "key", max_age=60)(fail)()


def test_the_chain_goes_first_and_the_default_last(runner: Runner):
    def replica() -> object:
        raise TimeoutError

    def decorate(function):
        return fallback(chain={"network": replica}, stale={}, max_age=60, default="nothing")(function)

    story = runner.play(decorate, down, "good", down, down, pauses=(0, 0, 90))
    assert story.answers == ["nothing", "good", "good", "nothing"]
    assert [each.source for each in story.events] == ["replica", "default", "replica", "stale", "replica", "default"]


def test_only_results_of_the_function_itself_are_stored(runner: Runner):
    cache: dict[object, object] = {}
    story = runner.play(fallback(chain={"network": lambda: "replica"}, stale=cache, default=1), down, TimeoutError())
    assert story.answer == "replica"
    assert cache == {}


def test_entries_can_be_pickled_for_a_remote_cache():
    assert pickle.loads(pickle.dumps(StaleEntry("good", 1.0))) == StaleEntry("good", 1.0)


def test_a_block_is_refused():
    for enter in (lambda: fallback(stale={}).__enter__(), lambda: anyio.run(fallback(stale={}).__aenter__)):
        with pytest.raises(TypeError, match="a block has no arguments to keep its value by; decorate a function"):
            enter()


def test_without_stale_a_success_takes_the_fast_path():
    assert fallback(default=1).policies()[0].fast_path
    assert fallback(chain={"network": len}).policies()[0].fast_path
    assert not fallback(stale={}).policies()[0].fast_path


def test_a_description_shows_the_kind_of_cache_and_nothing_in_it():
    @fallback(stale={"secret": "secret"}, max_age=60, default=())
    def search() -> object: ...

    assert describe(search).policies == ("fallback(stale=dict, max_age=60, default=tuple, on=infrastructure|rejected)",)


async def async_key() -> str: ...


@pytest.mark.parametrize(
    ("parameters", "kind", "says"),
    [
        ({"stale": 3}, TypeError, "stale=3: give a mutable mapping, or an object with get(key), set(key, value)"),
        ({"stale": True}, TypeError, "stale=True: give a mutable mapping"),
        ({"stale": dict}, TypeError, "stale=<class 'dict'>: give a mutable mapping"),
        ({"stale": {}, "key": "user"}, TypeError, "key='user': give a plain function of the call's arguments"),
        ({"stale": {}, "key": async_key}, TypeError, "give a plain function of the call's arguments"),
        ({"stale": {}, "max_age": 0}, ValueError, "max_age=0: give seconds"),
        ({"stale": {}, "max_age": "60"}, TypeError, "max_age='60': give seconds"),
        ({"default": 1, "max_age": 60}, TypeError, "max_age=60: give it with stale=, a cache of good answers"),
        ({"default": 1, "key": len}, TypeError, "give it with stale=, a cache of good answers"),
    ],
)
def test_invalid_options_are_refused(parameters: dict, kind: type[Exception], says: str):
    with pytest.raises(kind, match=re.escape(says)):
        fallback(**parameters)
