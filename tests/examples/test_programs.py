"""The examples as they are: real processes, real sockets."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from resilience import ErrorCategory as C
from resilience import ResilienceError, profile_of
from resilience.integrations.http import error_from_response

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 60

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the servers are handed their sockets"),
    pytest.mark.slow,  # servers in processes of their own
]

REFUSED_US = C.VALIDATION | C.AUTH_FAILURE


@contextlib.contextmanager
def process(name: str, log: pathlib.Path | None = None, **environment: str) -> Iterator[str]:
    """One of the services as a process of its own, which writes its *log* there; its address."""
    # It is handed a socket that listens already: no other process can take the port, and no client has to wait.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "uvicorn", f"examples.two_services.{name}:app", "--fd", str(descriptor)]
        given = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
        with (log or pathlib.Path(os.devnull)).open("wb") as written:
            running = subprocess.Popen(
                [*command, "--log-level", "critical"], cwd=ROOT, env=given, pass_fds=[descriptor], stderr=written
            )
    try:
        yield url
    finally:
        running.terminate()
        running.wait(timeout=PATIENCE)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What the outer service logs."""
    return tmp_path_factory.mktemp("outer") / "log"


@pytest.fixture(scope="module")
def services(log: pathlib.Path) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Clients of the inner and the outer service."""
    with (
        process("inner") as inside,
        process("outer", log, INNER=inside) as outside,
        httpx.Client(base_url=inside, timeout=PATIENCE, trust_env=False) as inner,
        httpx.Client(base_url=outside, timeout=PATIENCE, trust_env=False) as outer,
    ):
        yield inner, outer


def test_while_nothing_is_hurt_there_is_an_offer(services: tuple[httpx.Client, httpx.Client]):
    assert services[1].get("/offers/lamp").json() == {"offer": "7 of lamp"}


@pytest.mark.parametrize("leaf", list(C), ids=str)
def test_each_way_to_fail_is_tried_as_often_as_it_should_and_answered_as_what_it_is(
    leaf: C, services: tuple[httpx.Client, httpx.Client]
):
    inner, outer = services
    item = f"item-{leaf.label}"
    answer = outer.get(f"/offers/{item}", params={"hurt": leaf.label})
    published = C.DEPENDENCY if leaf in REFUSED_US else leaf
    body = answer.json()
    assert answer.status_code == body["status"] == profile_of(published).http
    assert answer.headers["content-type"] == "application/problem+json"
    assert (body["category"], body["instance"]) == (published.label, f"/offers/{item}")
    assert "secret" not in answer.text
    waits = leaf in C.RETRYABLE | C.REJECTED
    assert answer.headers.get("retry-after") == ("1" if waits else None)
    assert body.get("retry_after") == (0.02 if waits else None)
    assert inner.get("/calls").json()[item] == (3 if leaf in C.TRANSIENT else 1)


@pytest.mark.parametrize("leaf", list(C), ids=str)
def test_each_way_to_fail_is_logged_and_counted_as_what_it_is(
    leaf: C, services: tuple[httpx.Client, httpx.Client], log: pathlib.Path
):
    _, outer = services
    item = f"logged-{leaf.label}"
    before = numbers(outer)
    begun = log.stat().st_size
    outer.get(f"/offers/{item}", params={"hurt": leaf.label})
    published = C.DEPENDENCY if leaf in REFUSED_US else leaf
    code = "OFR-E001" if leaf in REFUSED_US else "STK-E001" if leaf is C.NOT_FOUND else "STK-E000"

    lines = [json.loads(line) for line in log.read_bytes()[begun:].splitlines()]
    answered = [line for line in lines if line.get("path") == f"/offers/{item}"]
    assert [(line["category"], line["code"], line["status"]) for line in answered] == [
        (published.label, code, profile_of(published).http)
    ]
    assert answered[0]["level"] == profile_of(published).severity.value
    retries = ["retry.scheduled", "retry.exhausted"]
    seen = [line for line in lines if line.get("service") == "offers"]
    assert [line["event"].split()[0] for line in seen] == (retries if leaf in C.TRANSIENT else ["attempt.failed"])
    assert {line["category"] for line in seen} == {leaf.label}
    assert all("secret" not in line.get("event", "") for line in lines)

    after = numbers(outer)
    added = {sample: after[sample] - before.get(sample, 0) for sample in after}
    errors = {
        labels: number for (name, labels), number in added.items() if name == "resilience_errors_total" and number
    }
    gone = leaf is C.CANCELLED  # no failure of any dependency
    assert errors == ({} if gone else {(("category", published.label), ("code", code), ("component", "stock")): 1})
    target = ("target", "examples.two_services.outer.count_of")
    outcome = ("outcome", "cancelled" if gone else "failure")
    assert added["resilience_calls_total", (outcome, target)] == 1
    assert added["resilience_attempts_total", (target,)] == (3 if leaf in C.TRANSIENT else 1)


def numbers(client: httpx.Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What the service shows to Prometheus."""
    text = client.get("/metrics/").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_code_of_the_inner_service_goes_up_with_what_is_the_callers(services: tuple[httpx.Client, httpx.Client]):
    body = services[1].get("/offers/unicorn", params={"hurt": "not_found"}).json()
    assert (body["code"], body["status"]) == ("STK-E001", 404)
    assert services[1].get("/offers/lamp", params={"hurt": "validation"}).json()["code"] == "OFR-E001"


def test_a_bug_of_the_service_is_a_failure_without_details(services: tuple[httpx.Client, httpx.Client]):
    inner, outer = services
    answer = outer.get("/offers/bug", params={"hurt": "bug"})
    assert (answer.status_code, answer.json()["category"]) == (500, "unknown")
    assert "secret" not in answer.text
    assert inner.get("/calls").json()["bug"] == 1


def test_without_the_inner_service_the_outer_answers_all_the_same():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        unused = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with process("outer", INNER=unused) as outside, httpx.Client(base_url=outside, trust_env=False) as client:
        answer = client.get("/offers/lamp", timeout=PATIENCE)
    assert (answer.status_code, answer.json()["category"]) == (502, "network")
    found = error_from_response(answer)
    assert isinstance(found, ResilienceError)
    assert found.category is C.NETWORK
