"""The admin application over a fleet: what is set by hand holds in all processes that share the circuit."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import anyio
import pytest

from resilience import CircuitBreaker, CircuitOpenError, circuit_breaker, subscribe
from resilience.admin import admin
from resilience.events import CircuitSetByHand, Event
from resilience.fleet import Fleet
from tests.admin.conftest import TOKEN, Asking
from tests.redis_server import executable


class Members:
    """Two members of one fleet: this process, and one whose circuits stand in a module of their own."""

    def __init__(self, name: str) -> None:
        self.here, self.there = (Fleet("memory://", name=name) for _ in range(2))

    def circuits(self, name: str, **options: object) -> tuple[CircuitBreaker, CircuitBreaker]:
        elsewhere = {"__name__": "elsewhere", "circuit_breaker": circuit_breaker}
        exec("def make(*names, **options): return circuit_breaker(*names, **options)", elsewhere)
        return circuit_breaker(name, fleet=self.here, **options), elsewhere["make"](name, fleet=self.there, **options)


@pytest.fixture
def members(request: pytest.FixtureRequest) -> Members:
    return Members(request.node.name.replace("[", " ").replace("]", ""))


@pytest.fixture
def ask(members: Members) -> Iterator[Asking]:
    application = admin(token=TOKEN, fleet=members.here)
    yield Asking(application)
    application.close()


def entry_of(ask: Asking, name: str, key: str | None = None) -> dict[str, object]:
    found = ask.get(f"/circuits?name={name}").body["circuits"]
    return next(each for each in found if each["name"] == f"{__name__}.{name}" and each["key"] == key)


def path_of(name: str, action: str) -> str:
    return f"/circuits/{__name__}.{name}/{action}"


def test_isolate_and_release_act_on_every_process_that_shares_the_circuit(members: Members, ask: Asking):
    here, there = members.circuits("admin shared")
    here.call(len, ""), there.call(len, "")
    answer = ask.post(path_of("admin shared", "isolate"), {"by": "ada", "why": "the bank asks", "until": 600})
    assert (answer.status, answer.body["fleet"]) == (200, members.here.name)
    for breaker in (here, there):
        with pytest.raises(CircuitOpenError):
            breaker.call(len, "")
    assert entry_of(ask, "admin shared")["fleet"] == members.here.name
    assert ask.post(path_of("admin shared", "release")).body["action"] == "release"
    assert [breaker.call(len, "") for breaker in (here, there)] == [0, 0]


def test_what_another_process_has_set_is_shown_with_its_author_reason_and_end(members: Members, ask: Asking):
    here, there = members.circuits("admin other")
    there.call(len, "")
    members.there.isolate("admin other", by="bob", why="maintenance", until=600)
    with pytest.raises(CircuitOpenError):
        here.call(len, "")
    hold = entry_of(ask, "admin other")["hold"]
    assert (hold["action"], hold["by"], hold["why"]) == ("isolate", "bob", "maintenance")
    assert hold["until"] > 1_700_000_000
    members.there.release("admin other", by="bob")
    here.call(len, "")
    assert "hold" not in entry_of(ask, "admin other")


def test_each_action_is_an_event_here_and_in_the_audit_of_the_fleet(members: Members, ask: Asking):
    kept = members.circuits("admin audit")
    events: list[Event] = []
    with subscribe(events.append):
        ask.post(path_of("admin audit", "shadow"), {"by": "ada", "why": "tonight"})
    (event,) = [each for each in events if isinstance(each, CircuitSetByHand)]
    assert (event.policy, event.action, event.by, event.why) == ("admin audit", "shadow", "ada", "tonight")
    found = ask.get("/fleet").body["fleet"]
    assert (found["audit"][0]["by"], found["audit"][0]["mode"]) == ("ada", "shadow")
    assert [(each.call(len, ""), each.mode.value) for each in kept] == [(0, "shadow")] * 2


def test_the_circuit_of_one_key_is_set_in_all_processes(members: Members, ask: Asking):
    kept = members.circuits("admin keyed", key=lambda host: host)
    for breaker in kept:
        breaker.call(len, "eu"), breaker.call(len, "us")
    assert ask.post(path_of("admin keyed", "isolate"), {"by": "ada", "why": "x", "key": "eu"}).status == 200
    for breaker in kept:
        with pytest.raises(CircuitOpenError):
            breaker.call(len, "eu")
        assert breaker.call(len, "us") == 2


def test_a_circuit_that_the_fleet_does_not_share_is_set_in_this_process(ask: Asking):
    breaker = circuit_breaker("admin own")
    answer = ask.post("/circuits/admin own/isolate")
    assert (answer.body["fleet"], breaker.mode.value) == (None, "isolated")
    assert ask.post("/circuits/admin own/release").status == 409
    assert breaker.mode.value == "isolated"


def test_what_a_fleet_cannot_do_is_refused(members: Members, ask: Asking):
    kept = members.circuits("admin cannot")
    assert ask.post(path_of("admin cannot", "disable")).status == 409
    assert [each.mode.value for each in kept] == ["normal", "normal"]


def test_a_store_that_cannot_be_asked_is_an_answer_without_its_address():
    redis = pytest.importorskip("redis")
    secret = "hunter2 of the store"
    client = redis.Redis(unix_socket_path="/nonexistent/redis.sock", password=secret)
    fleet = Fleet(client, name="admin lost", timeout=0.2)
    application = admin(token=TOKEN, fleet=fleet)
    ask = Asking(application)
    breaker = circuit_breaker("admin unreachable", fleet=fleet)
    answers = [ask.post("/circuits/admin unreachable/isolate"), ask.get("/fleet")]
    assert [answer.status for answer in answers] == [503, 503]
    assert not [answer for answer in answers if secret in str(answer) or "nonexistent" in str(answer)]
    assert breaker.mode.value == "normal"
    application.close()
    fleet.close()


def test_the_store_is_not_asked_in_the_event_loop(members: Members, backend: str, monkeypatch: pytest.MonkeyPatch):
    import threading

    asked: list[threading.Thread] = []
    monkeypatch.setattr(members.here, "snapshot", lambda: asked.append(threading.current_thread()) or {})
    application = admin(token=TOKEN, fleet=members.here)

    async def main() -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b""}

        async def send(message: dict[str, object]) -> None: ...

        await application({"type": "http", "method": "GET", "path": "/fleet", "headers": []}, receive, send)

    anyio.run(main, backend=backend)
    assert len(asked) == 1
    assert asked[0] is not threading.main_thread()
    application.close()


def test_only_a_fleet_is_a_fleet():
    with pytest.raises(TypeError, match="fleet='shop': give a resilience.fleet.Fleet"):
        admin(fleet="shop")  # type: ignore[arg-type]


OTHER_PROCESS = """
    import sys, time
    from resilience import CircuitOpenError, circuit_breaker
    from resilience.fleet import Fleet

    payments = circuit_breaker("admin of processes", fleet=Fleet(sys.argv[1], name="shop"))
    shown = None
    for _ in range(10_000):
        try:
            payments.call(len, "")
            now = "admitted"
        except CircuitOpenError:
            now = "rejected"
        if now != shown:
            print(now, flush=True)
            shown = now
        time.sleep(0.02)
"""


@pytest.mark.slow
def test_a_real_other_process_follows(tmp_path: pathlib.Path):
    socket = tmp_path / "redis"
    server = [executable(), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    program = [sys.executable, "-c", textwrap.dedent(OTHER_PROCESS), f"unix://{socket}"]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as redis:
        assert redis.stdout is not None
        next(line for line in redis.stdout if "ready to accept" in line.lower())
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            try:
                assert other.stdout.readline() == "admitted\n"
                fleet = Fleet(f"unix://{socket}", name="shop", timeout=5)
                application = admin(token=TOKEN, fleet=fleet)
                ask = Asking(application)
                here = circuit_breaker("admin of processes", fleet=fleet)
                assert ask.post("/circuits/admin of processes/isolate").status == 200
                assert other.stdout.readline() == "rejected\n"
                assert str(other.pid) in str(ask.get("/fleet").body["fleet"]["nodes"])
                assert ask.post("/circuits/admin of processes/release").status == 200
                assert other.stdout.readline() == "admitted\n"
                assert here.name == "admin of processes"
                application.close()
                fleet.close()
            finally:
                other.kill()
                redis.terminate()
