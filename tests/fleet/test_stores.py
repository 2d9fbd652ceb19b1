"""The Lua scripts of `RedisStore`, answer by answer beside `MemoryStore`, the model of the protocol."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import redis

from resilience.fleet import _redis_store
from resilience.fleet._memory_store import MemoryStore
from resilience.fleet._protocol import Ask, Beat, CircuitView, Command, Result, Stamp, Take, Vote
from resilience.fleet._redis_store import RedisStore, parse_client
from tests.redis_server import Server, executable, valkey_executable


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    server = Server(executable() if request.param == "redis" else valkey_executable())
    yield server
    server.close()


class Both:
    """The two stores, whose server's clocks a test sets."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch, *, text: bool = False) -> None:
        scripts = {
            verb: script.replace("redis.call('TIME')", "redis.call('HMGET', '{test}clock', 's', 'us')")
            for verb, script in _redis_store.SCRIPTS.items()
        }
        monkeypatch.setattr(_redis_store, "SCRIPTS", scripts)
        self.client = server.client(text=text)
        self.client.flushall()
        self.time = 1_800_000_000_000_000
        self.memory = MemoryStore(lambda: self.time)
        self.redis = RedisStore(self.client, "test", 5.0)
        self.set(self.time)

        self.name_incarnation()

    def name_incarnation(self) -> None:
        self.memory._incarnation = "same"
        self.client.hset("resilience:fleet:1:{test}:meta", "incarnation", "same")

    def set(self, time: int) -> None:
        self.time = time
        self.client.hset("{test}clock", mapping={"s": time // 1_000_000, "us": time % 1_000_000})

    def flush(self) -> None:
        self.client.flushall()
        self.memory.flush()
        self.set(self.time)
        self.name_incarnation()

    def ask(self, verb: str, *arguments: object) -> object:
        """Return the answer that both give."""
        answers = [getattr(store, verb)(*arguments) for store in (self.memory, self.redis)]
        assert answers[0] == answers[1], verb
        return answers[0]


@pytest.fixture
def both(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    both = Both(server, monkeypatch)
    yield both
    both.redis.close()


@pytest.mark.parametrize("seed", range(12))
def test_the_scripts_answer_as_the_model_does(both: Both, seed: int):
    chance = random.Random(seed)
    names, nodes = ["payments", "payments[eu]"], ["one", "two", "three"]
    cursors = dict.fromkeys(nodes, 0)
    views = {name: CircuitView(name, 0) for name in names}
    tokens = ["0:none"]
    fleet_now = 0.0
    for step in range(150):
        both.set(both.time + chance.choice([0, 1000, 300_000, 1_000_000, 4_000_000]))
        if chance.random() < 0.02:
            both.set(both.time + chance.choice([-1, 1]) * 3_600_000_000)
        if chance.random() < 0.01:
            both.flush()
        name, node = chance.choice(names), chance.choice(nodes)
        stamp = Stamp(node, chance.choice([0.0, fleet_now]), chance.choice(["same", "same", "lost"]))
        kind = chance.choice(["beat", "vote", "vote", "lease", "lease", "result", "command", "take"])
        if kind == "beat":
            answer = both.ask(
                "beat",
                stamp,
                Beat(cursors[node], chance.choice(["same", "same", ""]), chance.choice([[], ["payments"]])),
            )
            cursors[node] = max([cursors[node], *(view.epoch for view in answer.views)])
            fleet_now = answer.now
        elif kind == "vote":
            seconds = chance.choice([0.0, 2.5, 10.0])
            vote = Vote(name, "payments", seconds, 0.6, views[name].epoch, 1, 5, "network", "ConnectionError")
            views[name] = both.ask("vote", stamp, vote).view
        elif kind == "lease":
            known = chance.choice([views[name], CircuitView(name, 0)])
            ask = Ask(name, f"n{step}", 3.0, chance.choice([1, 2]), known, chance.random() < 0.9)
            answer = both.ask("lease", stamp, ask)
            views[name] = answer.view
            tokens.append(answer.token or "0:none")
        elif kind == "result":
            result = Result(
                name,
                tokens[-1],
                chance.choice(["ok", "bad", "none"]),
                chance.choice([1, 2]),
                chance.choice([1, 2]),
                2.0,
            )
            views[name] = both.ask("result", stamp, result)
        elif kind == "command":
            mode = chance.choice(["isolated", "shadow", "normal"])
            both.ask("command", stamp, Command(name, mode, chance.choice([0.0, 5.0]), "ada", "why"))
        else:
            both.ask("take", stamp, Take("openai", 0.05, chance.choice([5, 20]), chance.choice([1, 8]), 2))
        if step % 10 == 0:
            found = [store.read() for store in (both.memory, both.redis)]
            for each in found:
                each["circuits"] = [(view, sorted(votes), leases) for view, votes, leases in each["circuits"]]
            assert found[0]["circuits"] == found[1]["circuits"]
            assert found[0]["nodes"] == pytest.approx(found[1]["nodes"])
            assert found[0]["audit"] == found[1]["audit"]


def test_more_changes_than_fit_into_one_answer_come_in_pages(both: Both):
    stamp = Stamp("one")
    for number in range(250):
        both.ask("command", stamp, Command(f"circuit {number}", "isolated", 60.0, "ada", ""))
    first = both.ask("beat", stamp, Beat())
    second = both.ask("beat", stamp, Beat(first.views[-1].epoch, first.incarnation))
    assert (len(first.views), first.more, second.more) == (200, True, False)


def test_every_key_has_the_hash_tag_of_the_fleet_and_expires(both: Both):
    stamp = Stamp("one")
    both.ask("beat", stamp, Beat(names=["payments"]))
    for node in ("one", "two"):
        both.ask("vote", Stamp(node), Vote("payments", "payments", 1.0, 0.5))
    known = both.ask("beat", stamp, Beat()).views[0]
    both.set(both.time + 2_000_000)
    both.ask("lease", stamp, Ask("payments", "n", 3.0, 1, known))
    both.ask("take", stamp, Take("openai", 0.05, 5, 1, 1))
    both.ask("command", stamp, Command("payments", "shadow", 60.0, "ada", ""))
    keys = [key.decode() for key in both.client.keys("resilience:*")]
    assert {key.split(":")[4] for key in keys} == {
        "meta", "nodes", "members", "votes", "leases", "circuit", "rate", "audit", "changes",
    }  # fmt: skip
    assert all(key.startswith("resilience:fleet:1:{test}:") for key in keys)
    assert all(both.client.ttl(key) > 0 for key in keys)


def test_a_client_with_decode_responses_is_as_good(server: Server, monkeypatch: pytest.MonkeyPatch):
    both = Both(server, monkeypatch, text=True)
    both.ask("beat", Stamp("one"), Beat(names=["payments"]))
    both.ask("vote", Stamp("one"), Vote("payments", "payments", 1.0, 0.5))
    both.ask("vote", Stamp("two"), Vote("payments", "payments", 1.0, 0.5, category="network"))
    both.redis.close()


def test_a_server_that_has_forgotten_the_scripts_is_sent_them(both: Both):
    both.ask("beat", Stamp("one"), Beat())
    both.client.script_flush()
    both.ask("beat", Stamp("one"), Beat())


def test_a_user_with_a_few_rights_is_enough(server: Server):
    admin = server.client()
    admin.execute_command(
        "ACL", "SETUSER", "shop", "on", ">hush", "resetkeys", "~resilience:fleet:*", "resetchannels",
        "&resilience:fleet:*", "-@all", "+@read", "+@write", "+@scripting", "+@pubsub", "+@connection", "+time",
    )  # fmt: skip
    client = redis.Redis(port=server.port, username="shop", password="hush")
    store = RedisStore(client, "acl", 5.0)
    store.beat(Stamp("one"), Beat(names=["payments"]))
    for node in ("one", "two"):
        reply = store.vote(Stamp(node), Vote("payments", "payments", 1.0, 0.5))
    assert reply.view.state == "open"
    end = store.listen(print, int)
    end()
    end.__self__.join(10)
    store.close()
    client.close()


@pytest.mark.parametrize(
    ("client", "problem"),
    [
        (object(), "client=<object"),
        ("mysql://cache", "client='mysql://...'"),
        (7, "client=7"),
    ],
)
def test_what_is_no_client_is_refused(client: object, problem: str):
    with pytest.raises((TypeError, ValueError), match=problem):
        parse_client("client", client)


def test_an_async_client_is_refused_with_the_reason():
    import redis.asyncio

    with pytest.raises(TypeError, match="a sync client"):
        parse_client("client", redis.asyncio.Redis())


def test_a_password_in_a_url_is_not_in_the_error():
    with pytest.raises(ValueError, match="give a redis") as caught:
        parse_client("client", "http://me:hunter2@cache")
    assert "hunter2" not in str(caught.value)
