"""The shop of the examples, with real processes for all that it depends on: one outage after the other."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from examples.shop import outage
from examples.shop.outage import ROOT, World
from tests.redis_server import executable

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the servers are handed their sockets"),
    pytest.mark.slow,  # servers in processes of their own
]

PAGE = ROOT / "docs" / "reference" / "shop.md"
TARGET = "examples.shop.prices.price_of"


@pytest.fixture
def world() -> Iterator[World]:
    with outage.running(executable()) as world:
        yield world


@contextlib.contextmanager
def upstream(world: World, mode: str) -> Iterator[None]:
    world.upstream.put(f"/mode/{mode}")
    yield
    world.upstream.put("/mode/up")


def shown(line: dict[str, object]) -> dict[str, object]:
    """A line of the log without what differs from run to run."""
    return {key: value for key, value in line.items() if key not in ("timestamp", "wait", "rejected", "lasted")}


def test_the_log_of_an_outage_is_the_one_on_the_page_and_each_request_is_answered(world: World) -> None:
    answers = outage.play(world)
    assert answers.keys() == {"200 fresh", "200 stale"}
    [block] = re.findall(r"^```json\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert [shown(line) for line in world.lines()] == [shown(json.loads(line)) for line in block.splitlines()]
    # Two requests opened the circuit, by five attempts. All others were rejected, but for probes: those may have made
    # another attempt, which was.
    probes = world.upstream.get("/calls").json()["/prices"] - answers["200 fresh"] - 5
    most = answers["200 stale"] - 1
    assert most - 1 - probes <= world.lines()[-1]["rejected"] <= most


def test_the_page_says_how_many_lines_concern_the_toolkit() -> None:
    concerned, lines = outage.count_lines()
    assert f"{concerned} of its {lines} lines of code" in PAGE.read_text("utf-8")


def test_the_code_on_the_page_is_that_of_the_shop() -> None:
    blocks = re.findall(r"^```py\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    code = "\n".join((ROOT / "examples" / "shop" / f"{name}.py").read_text("utf-8") for name in outage.CODE)
    assert len(blocks) >= 4
    assert [block for block in blocks if block not in code] == []


def test_a_catalogue_that_hangs_costs_a_request_no_more_than_its_deadline(world: World) -> None:
    world.shop.get("/prices/lamp")
    with upstream(world, "hang"):
        took = []
        for _ in range(8):
            began = time.monotonic()
            answer = world.shop.get("/prices/lamp")
            took.append(time.monotonic() - began)
            assert (answer.status_code, answer.json()["stale"]) == (200, True)
    assert max(took) < 3.5
    assert world.circuit("catalogue") == "open"  # what the deadline has cut off counts as a failure


def test_without_a_price_of_earlier_the_request_is_answered_by_the_category_of_the_failure(world: World) -> None:
    with upstream(world, "down"):
        answers = [world.shop.get("/prices/lamp") for _ in range(30)]
    assert {answer.status_code for answer in answers} == {503}
    assert answers[-1].json()["category"] == "rejected"
    assert answers[-1].headers["retry-after"] in ("1", "2")
    lines = world.lines()
    assert len(lines) <= 8
    assert [line for line in lines if "exception" in line and line["category"] == "rejected"] == []


def test_an_item_that_there_is_not_is_the_callers_mistake_and_no_failure(world: World) -> None:
    answers = [world.shop.get("/prices/unicorn") for _ in range(10)]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "SHOP-E001")}
    assert world.circuit("catalogue") == "closed"
    assert world.upstream.get("/calls").json()["/prices"] == 10


def test_a_redis_that_hangs_or_is_gone_costs_no_good_answer(world: World) -> None:
    world.shop.get("/prices/lamp")
    world.redis.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        answer = world.shop.get("/prices/lamp")
        assert (answer.status_code, answer.json()["stale"]) == (200, False)
        assert time.monotonic() - began < 1
    finally:
        world.redis.send_signal(signal.SIGCONT)
    world.redis.kill()
    assert world.shop.get("/prices/lamp").json()["stale"] is False


def unlock_once_retried(world: World, locked: sqlite3.Connection) -> None:
    until = time.monotonic() + outage.PATIENCE
    while not world.lines() and time.monotonic() < until:
        time.sleep(0.01)  # another process has no event to wait for
    locked.rollback()


def test_an_order_is_paid_once_though_the_database_is_locked_meanwhile(world: World) -> None:
    database = world.folder / "shop.db"
    locked = sqlite3.connect(database, check_same_thread=False)
    locked.execute("BEGIN IMMEDIATE")
    unlocking = threading.Thread(target=unlock_once_retried, args=(world, locked))
    unlocking.start()
    answer = world.shop.post("/orders/lamp")
    unlocking.join()
    locked.close()
    assert (answer.status_code, answer.json()) == (201, {"order": 1})
    assert world.upstream.get("/calls").json()["/payments"] == 1
    [retried] = [line for line in world.lines() if line["event"] == "retry.scheduled"]
    assert (retried["target"], retried["category"]) == ("examples.shop.orders.store", "unavailable")
    assert "SQLITE_BUSY" in str(retried["reason"]) or "locked" in str(retried["reason"])
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT item, cents, payment FROM orders").fetchall() == [("lamp", 1250, "p-1")]


def test_a_payment_that_may_have_been_taken_is_not_taken_again(world: World) -> None:
    price = world.shop.get("/prices/lamp").json()
    assert price["stale"] is False
    with upstream(world, "payments_lost"):
        answer = world.shop.post("/orders/lamp")
    assert (answer.status_code, answer.json()["category"]) == (504, "timeout")
    assert world.upstream.get("/calls").json()["/payments"] == 1


def test_the_metrics_show_the_outage(world: World) -> None:
    world.shop.get("/prices/lamp")
    with upstream(world, "down"):
        for _ in range(10):
            world.shop.get("/prices/lamp")
    text = world.shop.get("/metrics/").text
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    fallbacks = [value for (name, *_), value in samples.items() if name == "resilience_fallbacks_total"]
    assert sum(fallbacks) == 10
    assert samples["resilience_calls_total", ("outcome", "success"), ("target", TARGET)] == 11
    assert samples["resilience_circuit_transitions_total", ("circuit", "catalogue"), ("state", "open")] == 1
