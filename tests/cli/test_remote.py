"""`resilience circuits --url`: the circuits of a running service, over a real server with its admin application."""

from __future__ import annotations

import threading
import wsgiref.simple_server
from collections.abc import Iterator

import pytest

from resilience import CircuitBreaker, circuit_breaker
from resilience.admin import AdminApplication, admin
from resilience.cli import main
from resilience.cli import remote as remote_module
from tests.cli.conftest import Run, Site

TOKEN = "a long random text"


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None: ...


class Service:
    """A server with an admin application for which even reading needs the token."""

    def __init__(self) -> None:
        self.application: AdminApplication = admin(token=TOKEN, reading_needs_token=True)
        self.server = wsgiref.simple_server.make_server("127.0.0.1", 0, self.application, handler_class=_Quiet)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        self.application.close()


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    yield found
    found.close()


def open_circuit(name: str) -> CircuitBreaker:
    breaker = circuit_breaker(name, failure_threshold=1)
    breaker.open()
    return breaker


def test_it_prints_the_circuits_of_a_service_with_those_set_by_hand(resilience, service: Service):
    payments, stock = open_circuit("remote payments"), circuit_breaker("remote stock")
    service.application._service.hands.act("remote stock", None, "isolate", None, "ada", "inventory\x1b[31m")
    run: Run = resilience("circuits", "--url", f"{service.url}/", "--token", TOKEN, "--find", "remote ")
    lines = run.out.splitlines()
    assert lines[0].startswith("process ")
    assert "by hand" in lines[2]
    assert [line.split("  ")[0] for line in lines[3:5]] == ["remote payments", "remote stock"]
    assert "isolate by ada: inventory?[31m" in lines[4]
    assert (run.code, run.err, payments.current_state, stock.mode.value) == (0, "", "open", "isolated")


def test_the_token_can_come_from_the_environment(resilience, service: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RESILIENCE_ADMIN_TOKEN", TOKEN)
    kept = open_circuit("remote environment")
    run: Run = resilience("circuits", "--url", service.url, "--find", kept.name, "--json")
    assert [each["state"] for each in run.document["circuits"]] == ["open"]


def test_without_its_token_the_service_says_nothing(resilience, service: Service):
    run: Run = resilience("circuits", "--url", service.url, "--token", "wrong")
    assert (run.code, run.out) == (1, "")
    assert run.complaint.endswith("give --token, or set $RESILIENCE_ADMIN_TOKEN\n")


def test_it_follows_no_redirect_with_the_token(resilience, service: Service, site: Site):
    site.answers = [(302, {"Location": service.url})]
    run: Run = resilience("circuits", "--url", site.url, "--token", TOKEN)
    assert (run.code, "has answered 302" in run.complaint) == (1, True)
    assert len(site.seen) == 1


def test_it_watches_until_ctrl_c_and_outlives_a_service_that_does_not_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    kept = open_circuit("remote watched")
    turns = iter(range(4))

    def sleep(seconds: float) -> None:
        turn = next(turns)
        if turn == 1:
            service.close()
        if turn == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(remote_module.time, "sleep", sleep)
    monkeypatch.setattr(remote_module, "_TIMEOUT", 5.0)
    monkeypatch.setattr(service, "close", _once(service.close))
    code = main(["circuits", "--url", service.url, "--token", TOKEN, "--find", kept.name, "--watch"])
    shown = capsys.readouterr()
    assert code == 130
    assert shown.out.count("remote watched") == 2
    assert shown.err.count("the service does not answer") == 2


def _once(action):
    done: list[None] = []
    return lambda: done or (done.append(None), action())


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--url", "shop.example"), "no http or https URL"),
        (("--url", "ftp://shop.example/"), "no http or https URL"),
        (("--url", "http://["), "no http or https URL"),
        (("--url", "http://ada:hunter2@shop.example/"), "a user, a query or a fragment"),
        (("--url", "http://shop.example/?token=hunter2"), "a user, a query or a fragment"),
        (("--url", "http://shop.example/", "--fleet", "redis://cache"), "one of them"),
        (("shop.main", "--token", "hunter2"), "go with --url"),
        (("--url", "http://127.0.0.1:1/", "--token", "hunter2"), "does not answer"),
    ],
)
def test_what_cannot_be_meant_is_one_line_without_secrets(resilience, arguments: tuple[str, ...], problem: str):
    run: Run = resilience("circuits", *arguments)
    assert problem in run.complaint
    assert "hunter2" not in run.err
    assert run.code in (1, 2)


@pytest.mark.parametrize("answer", ["hello", "html"])
def test_an_answer_that_is_no_admin_applications_is_one_line(resilience, site: Site, answer: str):
    run: Run = resilience("circuits", "--url", f"{site.url}/{answer}")
    assert (run.code, "is not that of an admin application" in run.complaint) == (1, True)
