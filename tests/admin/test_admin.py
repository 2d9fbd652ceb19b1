"""The admin application: what it shows of a process, what it does to circuits, and to whom."""

from __future__ import annotations

import gc
import json
import threading

import pytest

from resilience import (
    CircuitBreaker,
    CircuitOpenError,
    RetryBudget,
    adaptive_limit,
    bulkhead,
    circuit_breaker,
    fallback,
    rate_limit,
    retry_on_category,
    subscribe,
    throttle,
    timeout,
    track_errors,
)
from resilience.admin import admin
from resilience.admin._actions import ACTIONS, Hands
from resilience.circuits import CircuitMode
from resilience.config import Policies
from resilience.events import CircuitSetByHand, Event
from resilience.fleet import Fleet
from tests.admin.conftest import TOKEN, Asking


def circuit_named(ask: Asking, name: str, key: str | None = None) -> dict[str, object]:
    found = ask.get(f"/circuits?name={name}").body["circuits"]
    return next(each for each in found if (each["name"], each["key"]) == (name, key))


def failing(breaker: CircuitBreaker, times: int) -> None:
    @breaker
    def call() -> None:
        raise ConnectionResetError("card 4111111111111111")

    for _ in range(times):
        with pytest.raises(ConnectionResetError):
            call()


# -- reading ----------------------------------------------------------------------------------------------------------


def test_it_lists_circuits_with_those_that_are_not_closed_first(ask: Asking):
    breakers = [circuit_breaker(f"admin list {letter}", failure_threshold=1) for letter in "abc"]
    failing(breakers[2], 1)
    answer = ask.get("/circuits?name=admin list")
    assert [each["name"] for each in answer.body["circuits"]] == ["admin list c", "admin list a", "admin list b"]
    first = answer.body["circuits"][0]
    assert (first["state"], first["last_category"]) == ("open", "network")
    assert answer.body["counts"]["open"] >= 1


def test_circuits_of_keys_are_found_by_a_part_of_their_key(ask: Asking):
    hosts = circuit_breaker("admin hosts", key=lambda host: host)

    @hosts
    def fetch(host: str) -> str:
        return host

    for number in range(300):
        fetch(f"host-{number}")
    answer = ask.get("/circuits?name=host-29&limit=5").body
    assert {each["key"] for each in answer["circuits"]} <= {"host-29", *(f"host-29{digit}" for digit in range(10))}
    assert len(answer["circuits"]) == 5
    assert answer["total"] > 300


def test_it_shows_the_last_events_and_those_after_a_number(ask: Asking):
    failing(circuit_breaker("admin events", failure_threshold=1), 1)
    events = ask.get("/events").body["events"]
    opened = next(each for each in events if each["event"] == "circuit.opened" and each["circuit"] == "admin events")
    after = ask.get(f"/events?after={opened['number']}").body["events"]
    assert all(each["number"] > opened["number"] for each in after)


def test_it_counts_the_calls_of_tracked_functions(ask: Asking):
    @track_errors()
    def admin_counted() -> None: ...

    admin_counted()
    (found,) = [each for each in ask.get("/calls").body["calls"] if each["target"].endswith("admin_counted")]
    assert (found["succeeded"], found["failed"]) == (1, 0)


@retry_on_category(attempts=4)
def explained() -> None: ...


def test_it_explains_a_function_of_a_module_that_is_imported(ask: Asking):
    answer = ask.get(f"/explain?target={__name__}.explained").body
    assert answer["worst"]["calls"] == 4
    assert "attempts=4" in answer["policies"][0]
    missing = ask.get("/explain?target=shop.nothing")
    assert (missing.status, missing.body["error"].startswith("no function 'shop.nothing'")) == (404, True)


def test_it_lists_bulkheads_limits_and_budgets_with_their_load_and_the_fullest_first(ask: Asking):
    stock, shelf = bulkhead("admin stock", 2), bulkhead("admin shelf", 2)
    quota, search, mail = (
        rate_limit("admin quota", "10/s", burst=2),
        adaptive_limit("admin search"),
        throttle("admin mail"),
    )
    budget = RetryBudget("admin budget", tokens=20, reserve=0)
    assert quota.try_acquire()
    budget.spend(5, now=0.0)
    with stock:
        bulkheads = [each for each in ask.get("/bulkheads").body["bulkheads"] if each["name"].startswith("admin s")]
    assert [(each["name"], each["in_flight"], each["limit"], each["load"]) for each in bulkheads] == [
        ("admin stock", 1, 2, 0.5),
        ("admin shelf", 0, 2, 0.0),
    ]
    limits = {each["name"]: each for each in ask.get("/limits").body["limits"]}
    assert "admin" not in limits, "the application's own limit of changes is no limit of the program's"
    assert [limits[each.name]["kind"] for each in (quota, search, mail)] == ["rate_limit", "adaptive_limit", "throttle"]
    assert limits["admin quota"]["load"] == pytest.approx(0.5, abs=0.2)
    (found,) = [each for each in ask.get("/budgets").body["budgets"] if each["name"] == "admin budget"]
    assert (found["left"], found["tokens"], found["load"]) == (15.0, 20.0, 0.25)
    assert shelf.limit == 2


def test_a_limit_that_nothing_uses_any_more_is_not_listed(ask: Asking):
    bulkhead("admin passing", 2)
    gc.collect()
    assert "admin passing" not in [each["name"] for each in ask.get("/bulkheads").body["bulkheads"]]


def test_it_says_which_policy_has_rejected_calls_of_which_function(ask: Asking):
    breaker = circuit_breaker("admin rejecting")
    breaker.isolate()

    @breaker
    def rejected() -> None: ...

    for _ in range(3):
        with pytest.raises(CircuitOpenError):
            rejected()
    found = ask.get("/rejections").body["rejections"][0]
    assert (found["kind"], found["policy"], found["number"], found["shadow"]) == (
        "circuit_breaker",
        "admin rejecting",
        3,
        0,
    )
    assert found["target"].endswith("rejected")


def test_a_flood_of_other_events_does_not_push_out_the_transition_that_led_to_it(ask: Asking):
    breaker = circuit_breaker("admin flood", failure_threshold=1)
    failing(breaker, 1)
    for _ in range(600):
        with pytest.raises(CircuitOpenError):
            breaker.call(len, "")
    events = ask.get("/events").body["events"]
    assert [each["event"] for each in events if each.get("circuit") == "admin flood"].count("call.rejected") <= 500
    assert "circuit.opened" in [each["event"] for each in events if each.get("circuit") == "admin flood"]
    assert [each["number"] for each in events] == sorted(each["number"] for each in events)


def test_readiness_lists_circuits_that_are_open_and_is_never_unhealthy_for_them(ask: Asking):
    failing(circuit_breaker("admin health", failure_threshold=1), 1)
    answer = ask.get("/health")
    assert (answer.status, answer.body["status"]) == (200, "ok")
    assert "admin health" in [each["name"] for each in answer.body["not_closed"]]


def test_the_page_loads_nothing_from_elsewhere_and_runs_no_script_but_its_own(ask: Asking):
    answer = ask.get("/")
    assert answer.status == 200
    assert "<script>" in answer.body
    assert "http://" not in answer.body.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in answer.body
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


CANARY = "canary-4111111111111111"
READ = (
    "circuits",
    "bulkheads",
    "limits",
    "budgets",
    "calls",
    "rejections",
    "fleet",
    "events",
    "health",
    "configuration",
)


class CanaryError(ConnectionError):
    """An error whose every attribute is a secret."""

    def __init__(self) -> None:
        super().__init__(CANARY)
        self.password = CANARY
        self.add_note(CANARY)

    __repr__ = lambda self: f"CanaryError({CANARY!r})"


@track_errors()
@fallback(default=CANARY)
@retry_on_category(attempts=2, base_delay=0.0, jitter="none", budget=RetryBudget("admin canary"))
@circuit_breaker("admin canary", failure_threshold=1)
@bulkhead("admin canary", 2)
@rate_limit("admin canary", "1000/s")
@throttle("admin canary")
@timeout(5)
def charge(card: str, *, secret: str = CANARY) -> str:
    raise CanaryError


def test_no_argument_default_result_message_or_token_is_in_any_answer():
    policies = Policies.load({"policies": {"shop": {"retry": 2}}}, environment={})
    application = admin(token=TOKEN, policies=policies, fleet=Fleet("memory://", name="admin canary"))
    ask = Asking(application)
    for _ in range(3):
        assert charge(CANARY, secret=CANARY) == CANARY
    posted = [
        ask.post("/circuits/admin canary/isolate"),
        ask.post("/circuits/admin canary/isolate", None, authorization=f"Bearer {CANARY}"),
        ask.post("/circuits/admin canary/explode", {"by": "ada"}),
        ask.post("/configuration", {"policy": "shop", "option": "retry", "value": {}, "by": "ada", "why": "x"}),
    ]
    read = [ask.get(path) for path in ("/", *(f"/{path}" for path in READ), f"/explain?target={__name__}.charge")]
    assert {answer.status for answer in read} == {200}
    assert read[-1].body["policies"]
    texts = [f"{answer.body} {answer.headers}" for answer in (*posted, *read)]
    assert [text for text in texts if CANARY in text or TOKEN in text] == []
    application.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nothing", 404), ("/circuits?limit=0", 422), ("/circuits?limit=x", 422), ("/events?after=-1", 422)],
)
def test_what_cannot_be_answered_is_a_status_and_a_sentence(ask: Asking, path: str, status: int):
    answer = ask.get(path)
    assert answer.status == status
    assert answer.body["error"]


# -- changing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "mode"), [("isolate", "isolated"), ("disable", "disabled"), ("shadow", "shadow"), ("reset", "normal")]
)
def test_a_circuit_is_set_by_hand_with_an_author_a_reason_and_an_event(ask: Asking, action: str, mode: str):
    breaker = circuit_breaker(f"admin {action}")
    events: list[Event] = []
    with subscribe(events.append):
        answer = ask.post(f"/circuits/admin%20{action}/{action}", {"by": "ada", "why": "tonight"})
    assert answer.status == 200
    assert breaker.mode.value == mode
    assert [event for event in events if isinstance(event, CircuitSetByHand)] == [
        CircuitSetByHand(target=breaker.name, policy=breaker.name, action=action, by="ada", why="tonight")
    ]


def test_a_circuit_is_set_for_a_time_and_shows_by_whom_and_why(ask: Asking):
    breaker = circuit_breaker("admin hold")
    ask.post("/circuits/admin hold/isolate", {"by": "ada", "why": "maintenance", "until": 600})
    hold = circuit_named(ask, "admin hold")["hold"]
    assert (hold["by"], hold["why"]) == ("ada", "maintenance")
    assert hold["until"] > 1_700_000_000
    ask.post("/circuits/admin hold/reset")
    assert breaker.mode.value == "normal"
    assert "hold" not in circuit_named(ask, "admin hold")


def test_what_was_set_for_a_time_is_taken_back_unless_another_has_acted_since(ask: Asking):
    holds = ask.application._service.hands
    breaker = circuit_breaker("admin expires")
    first = holds.act("admin expires", None, "isolate", 600, "ada", "first")
    second = holds.act("admin expires", None, "shadow", 600, "bob", "second")
    holds._expire(("admin expires", None), breaker, first)
    assert breaker.mode.value == "shadow"
    holds._expire(("admin expires", None), breaker, second)
    assert breaker.mode.value == "normal"


def test_the_circuit_of_one_key_is_set_alone(ask: Asking):
    hosts = circuit_breaker("admin one key", key=lambda host: host)
    fetch = hosts(lambda host: host)
    fetch("a"), fetch("b")
    assert ask.post("/circuits/admin one key/isolate", {"by": "ada", "why": "x", "key": "a"}).status == 200
    assert [hosts.of(key).mode.value for key in "ab"] == ["isolated", "normal"]
    assert ask.post("/circuits/admin one key/isolate", {"by": "ada", "why": "x", "key": "z"}).status == 404


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"why": "x"}, "by: say it"),
        ({"by": "ada", "why": " "}, "why: say it"),
        ({"by": "ada", "why": "x", "until": -1}, "until=-1: give seconds"),
        ({"by": "ada", "why": "x", "for": 600}, "for: no such field"),
        ({"by": "ada", "why": "x" * 501}, "at most 500 letters"),
    ],
)
def test_a_change_that_cannot_be_meant_is_refused_and_nothing_changes(ask: Asking, body: object, says: str):
    breaker = circuit_breaker("admin refused")
    answer = ask.post("/circuits/admin refused/isolate", body)
    assert answer.status == 422
    assert says in answer.body["error"]
    assert breaker.mode.value == "normal"


def test_a_circuit_that_there_is_not_is_404_with_the_nearest(ask: Asking):
    breaker = circuit_breaker("admin nearest")
    answer = ask.post("/circuits/admin neares/isolate")
    assert (answer.status, "did you mean 'admin nearest'" in answer.body["error"]) == (404, True)
    assert breaker.mode.value == "normal"


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"content_type": "text/plain"}, 415),
    ],
)
def test_a_change_needs_the_token_and_comes_from_no_other_site(ask: Asking, headers: dict[str, str], status: int):
    breaker = circuit_breaker("admin guarded")
    assert ask.post("/circuits/admin guarded/isolate", None, **headers).status == status
    assert breaker.mode.value == "normal"


@pytest.mark.parametrize(
    "path", ["configuration", "nothing", *(f"circuits/x/{action}" for action in (*ACTIONS, "release"))]
)
def test_every_change_without_the_token_is_401_and_from_another_site_403(ask: Asking, path: str):
    assert ask.post(f"/{path}", authorization="").status == 401
    assert ask.post(f"/{path}", origin="https://evil.example").status == 403
    assert ask.post(f"/{path}", sec_fetch_site="same-site").status == 403


def test_a_page_of_the_same_origin_may_change(ask: Asking):
    same = {"origin": "https://shop.example", "sec_fetch_site": "same-origin"}
    kept = circuit_breaker("admin same origin")
    assert ask.post("/circuits/admin same origin/isolate", None, **same).status == 200
    assert kept.mode.value == "isolated"


@pytest.mark.parametrize("options", [{"token": None}, {"token": TOKEN, "read_only": True}])
def test_nothing_can_be_changed_without_a_token_or_read_only(options: dict[str, object]):
    application = admin(**options)  # type: ignore[arg-type]
    ask = Asking(application)
    breaker = circuit_breaker("admin read only")
    assert ask.post("/circuits/admin read only/isolate").status == 403
    assert ask.get("/circuits").body["read_only"] is True
    assert breaker.mode.value == "normal"
    application.close()


def test_reading_can_need_the_token_as_well():
    application = admin(token=TOKEN, reading_needs_token=True)
    ask = Asking(application)
    assert ask.get("/circuits").status == 401
    assert ask.get("/circuits", authorization=f"Bearer {TOKEN}").status == 200
    assert ask.get("/").status == 200
    application.close()


def test_changes_are_limited(ask: Asking):
    breaker = circuit_breaker("admin limited")
    statuses = [ask.post("/circuits/admin limited/shadow").status for _ in range(15)]
    assert (statuses[:10], statuses[-1]) == ([200] * 10, 429)
    assert breaker.mode.value == "shadow"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(ask: Asking, body: bytes):
    assert ask.post("/circuits/x/isolate", body).status == 400


def test_a_body_that_is_too_large_is_refused(ask: Asking):
    assert ask.post("/circuits/x/isolate", {"why": "x" * 20_000}).status == 413


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": ""}, "token=''"),
        ({"token": 5}, "token=5"),
        ({"reading_needs_token": True}, "reading_needs_token=True: give a token with it"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, object], message: str):
    with pytest.raises((TypeError, ValueError), match=message):
        admin(**options)  # type: ignore[arg-type]


# -- configuration ----------------------------------------------------------------------------------------------------


def test_it_shows_a_configuration_and_changes_it():
    policies = Policies.load({"policies": {"shop": {"retry": 2}}}, environment={})
    application = admin(token=TOKEN, policies=policies)
    ask = Asking(application)
    change = {"policy": "shop", "option": "retry", "value": 5, "by": "ada", "why": "tonight"}
    assert ask.post("/configuration", change).body == {
        "changes": ["shop.retry.attempts: 2 -> 5 (set at run time (by ada, tonight))"]
    }
    shown = ask.get("/configuration").body["policies"]["shop"]["retry.attempts"]
    assert shown == {"value": 5, "origin": "set at run time (by ada, tonight)"}
    assert ask.post("/configuration", {"policy": "shop", "option": "retry"}).status == 200
    assert policies.value("shop", "retry") == 2
    assert ask.post("/configuration", {**change, "value": 0}).status == 422
    assert ask.post("/configuration", {**change, "policy": "shp"}).status == 404
    application.close()


# -- servers ----------------------------------------------------------------------------------------------------------


def test_events_stream_under_asgi(backend: str):
    import anyio

    application = admin(token=TOKEN)
    sent: list[bytes] = []

    async def main() -> None:
        left = anyio.Event()
        arrived = anyio.Event()

        async def receive() -> dict[str, object]:
            if not hasattr(receive, "asked"):
                receive.asked = True  # type: ignore[attr-defined]
                return {"type": "http.request", "body": b""}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            sent.append(bytes(message.get("body", b"")))  # type: ignore[call-overload]
            if b"circuit.opened" in sent[-1]:
                arrived.set()

        scope = {"type": "http", "method": "GET", "path": "/events", "headers": [(b"accept", b"text/event-stream")]}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(application, scope, receive, send)  # type: ignore[arg-type]
            while len(sent) < 2:
                await anyio.sleep(0.01)
            failing(circuit_breaker(f"admin stream {backend}", failure_threshold=1), 1)
            with anyio.fail_after(20):
                await arrived.wait()
            left.set()

    anyio.run(main, backend=backend)
    assert not application._service.journal._feeds
    data = next(part for part in b"".join(sent).split(b"\n\n") if b"circuit.opened" in part).split(b"data: ")[1]
    assert json.loads(data)["circuit"] == f"admin stream {backend}"
    application.close()


def test_it_can_be_mounted_by_starlette():
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.testclient import TestClient

    application = admin(token=TOKEN)
    client = TestClient(Starlette(routes=[Mount("/resilience", application)]))
    breaker = circuit_breaker("admin mounted")
    assert client.get("/resilience/circuits").status_code == 200
    assert "<title>" in client.get("/resilience/").text
    said = {"by": "ada", "why": "x"}
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.post("/resilience/circuits/admin mounted/isolate", json=said, headers=headers).status_code == 200
    assert breaker.mode.value == "isolated"
    application.close()


def test_a_hold_of_a_month_is_not_over_after_a_week(monkeypatch: pytest.MonkeyPatch):
    timers: list[threading.Timer] = []

    class Timer(threading.Timer):
        def start(self) -> None:  # this test fires it
            timers.append(self)

    monkeypatch.setattr(threading, "Timer", Timer)
    month, week = 30 * 86400.0, 7 * 86400.0
    circuit = circuit_breaker("held for a month")
    hands = Hands()
    hands.act("held for a month", None, "isolate", month, "ada", "moving house")
    for timer in timers:  # each of the first four makes the next one
        assert circuit.mode is CircuitMode.ISOLATED
        timer.function(*timer.args)
    assert circuit.mode is CircuitMode.NORMAL
    assert [timer.interval for timer in timers] == [week, week, week, week, month - 4 * week]
    hands.close()
