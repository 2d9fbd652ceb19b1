from __future__ import annotations

import pytest


def test_a_successful_request_is_shown_with_status_size_and_time(resilience, site):
    run = resilience("call", site.url + "/health")
    assert run.code == 0
    assert run.err == ""
    first, attempt, result = run.out.splitlines()
    assert first == f"GET {site.url}/health (at most 3 attempts, 5 s each)"
    assert attempt == "  1. status 200 OK; circuit closed"
    assert result.startswith("200 OK, 5 bytes, 1 attempt, ")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_transient_failure_is_retried_and_each_attempt_is_shown(resilience, site, backend):
    site.answers = [(503, {"Retry-After": "0"}), (503, {"Retry-After": "0"}), (200, {})]
    run = resilience("call", site.url, "--json", "--backend", backend)
    assert run.code == 0
    assert run.err == ""
    assert len(site.seen) == 3
    document = run.document
    assert (document["ok"], document["status"], document["bytes"]) == (True, 200, 5)
    assert [(attempt["outcome"], attempt["category"]) for attempt in document["attempts"]] == [
        ("status 503 Service Unavailable", "unavailable"),
        ("status 503 Service Unavailable", "unavailable"),
        ("status 200 OK", None),
    ]
    assert [attempt["waited"] for attempt in document["attempts"]] == [0, 0, None]


def test_an_error_status_that_stays_is_one_line_and_exit_code_1(resilience, site):
    site.answers = [(404, {})]
    run = resilience("call", site.url + "/missing")
    assert run.code == 1
    assert len(site.seen) == 1, "asking again would not help"
    assert "failed after 1 attempt: status 404 Not Found [not_found]; fix_input: " in run.complaint


def test_attempts_run_out(resilience, site):
    site.answers = [(500, {})]
    run = resilience("call", site.url, "--attempts", "4")
    assert run.code == 1
    assert len(site.seen) == 4
    assert "that was the last" in run.out.splitlines()[-1]
    assert "failed after 4 attempts: status 500 Internal Server Error [server_error]" in run.complaint


def test_the_circuit_opens_and_ends_the_attempts(resilience, site):
    site.answers = [(503, {})]
    run = resilience("call", site.url, "--attempts", "9", "--json")
    assert run.code == 1
    assert len(site.seen) == 5
    assert [attempt["circuit"] for attempt in run.document["attempts"]] == ["closed"] * 4 + ["open"] * 2
    assert run.document["attempts"][-1]["category"] == "rejected"
    assert run.document["circuit"] == "open"


def test_a_redirect_is_an_answer(resilience, site):
    site.answers = [(302, {"Location": "/elsewhere"})]
    run = resilience("call", site.url)
    assert run.code == 0
    assert len(site.seen) == 1
    assert run.out.splitlines()[-1].startswith("302 Found, ")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_dead_host_is_one_line_and_exit_code_1(resilience, site, backend):
    site.close()
    run = resilience("call", site.url + "/", "--backend", backend)
    assert run.code == 1
    assert run.complaint == (
        f"resilience call: {site.url}/ failed after 3 attempts: httpx.ConnectError: Connection refused [network];"
        " retry: check that the host is right and that something listens there, then try again\n"
    )


def test_a_dead_host_is_a_document_with_json(resilience, site):
    site.close()
    run = resilience("call", site.url, "--json")
    assert run.code == run.document["exit_code"] == 1
    assert run.document["ok"] is False
    assert run.document["error"]["category"] == "network"
    assert len(run.document["attempts"]) == 3
    assert run.complaint


def test_an_answer_that_does_not_come_is_cut_off(resilience, site):
    site.server.shutdown()  # the backlog still takes connections without an answer
    run = resilience("call", site.url, "--timeout", "0.05", "--attempts", "2")
    site.server.server_close()
    assert run.code == 1
    assert "no answer within 0.05 s [timeout]; retry: " in run.complaint


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("example.org", "http or https"),
        ("ftp://example.org", "not 'ftp'"),
        ("http://", "no host"),
        ("http:///path", "no host"),
        ("", "http or https"),
        ("http://[::1", "ipv6"),
        ("http://example.org:99999", "port"),
        ("http://example.org:port", "port"),
        ("http://example.org:0", "port 0"),
        ("http://exa mple.org", "blank"),
        ("http://example.org/\n", "blank"),
        ("http://xn--.org/", "malformed"),
    ],
)
def test_a_malformed_url_is_one_line_that_says_what_is_right(resilience, url, right):
    run = resilience("call", url)
    assert run.code == 2
    assert run.out == ""
    assert right in run.complaint
    assert "https://example.org/health" in run.complaint


def test_a_malformed_url_is_a_document_with_json(resilience):
    run = resilience("call", "nowhere", "--json")
    assert run.code == run.document["exit_code"] == 2
    assert "malformed" in run.document["error"]


SECRETS = ("hunter2", "s3cret", "t0ken", "fr4gment")


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize("status", [200, 500, None])
def test_secrets_are_sent_and_never_printed(resilience, site, form, status):
    site.answers = [(status, {})]
    if status is None:
        site.close()
    url = site.url.replace("//", "//user:hunter2@") + "/a?key=s3cret&flag#fr4gment"
    run = resilience("call", url, "--header", "X-Key: t0ken", *form)
    for secret in SECRETS:
        assert secret not in run.out + run.err
    assert f"{site.url}/a?key=...&flag" in run.out
    if status is not None:
        assert site.seen[0][1] == "/a?key=s3cret&flag"
        assert site.seen[0][2]["X-Key"] == "t0ken"


@pytest.mark.parametrize(
    "url", ["ftp://user:hunter2@x/", "http://user:hunter2@x:p/", "http://user:hunter2@[/", "hunter2"]
)
def test_a_malformed_url_is_not_repeated(resilience, url):
    assert "hunter2" not in resilience("call", url, "--json").out


@pytest.mark.parametrize(
    "header", ["Authorization hunter2", "Bad Name: hunter2", ": hunter2", "X: hunter2\r\nY: z", "X: hünter2"]
)
def test_a_wrong_header_is_one_line_without_its_value(resilience, site, header):
    run = resilience("call", site.url, "--header", header)
    assert run.code == 2
    assert "nter2" not in run.complaint
    assert not site.seen


@pytest.mark.parametrize(("method", "calls"), [("GET", 3), ("delete", 3), ("POST", 1)])
def test_what_may_not_be_sent_twice_is_sent_once(resilience, site, method, calls):
    site.answers = [(503, {})]
    resilience("call", site.url, "--method", method)
    assert [seen[0] for seen in site.seen] == [method.upper()] * calls


def test_attempts_that_are_asked_for_are_made(resilience, site):
    site.answers = [(503, {})]
    resilience("call", site.url, "--method", "POST", "--attempts", "2")
    assert len(site.seen) == 2
