from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("text", "category", "http"),
    [
        ("httpx.ReadTimeout", "timeout", 504),
        ("status 503", "unavailable", 503),
        ("503", "unavailable", 503),
        ("grpc UNAVAILABLE", "unavailable", 503),
        ("errno ECONNRESET", "network", 502),
        ("sqlstate 23505", "conflict", 409),
        ("TimeoutError", "timeout", 504),
        ("ConnectionResetError", "network", 502),
        ("KeyboardInterrupt", "cancelled", 499),
    ],
)
def test_a_failure_that_is_named_is_classified(resilience, text, category, http):
    run = resilience("explain", text, "--json")
    assert run.code == 0
    assert run.err == ""
    assert run.document["category"] == category
    assert run.document["http"] == http


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("CircuitOpenError", "rejected"),
        ("resilience.CircuitOpenError", "rejected"),
        ("resilience.errors.circuit.CircuitOpenError: circuit 'billing' is open", "rejected"),
        ("RES-E005", "rejected"),
        ("CallTimeoutError", "timeout"),
        ("DeadlineExceededError", "timeout"),
        ("RetriesExhaustedError", "attempts_exhausted"),
    ],
)
def test_an_error_of_the_toolkit_is_known_by_class_and_by_code(resilience, text, category):
    assert resilience("explain", text, "--json").document["category"] == category


def test_every_code_that_the_command_codes_lists_can_be_explained(resilience):
    for row in resilience("codes", "--json").document["codes"]:
        assert resilience("explain", row["code"], "--json").document["category"] == row["category"]
        assert resilience("explain", row["error"], "--json").document["category"] == row["category"]


@pytest.mark.parametrize(
    ("line", "category"),
    [
        ("503 Service Unavailable", "unavailable"),
        ("HTTP/1.1 503 Service Unavailable", "unavailable"),
        ("HTTP/2 429", "rate_limit"),
        ("http 404", "not_found"),
        ("418 I'm a teapot", "validation"),
    ],
)
def test_a_status_line_is_understood(resilience, line, category):
    assert resilience("explain", line, "--json").document["category"] == category


def test_the_known_libraries_are_listed(resilience):
    lines = resilience("explain", "--list").out.splitlines()
    assert any(line.split()[0] == "httpx" and "exceptions, such as httpx." in line for line in lines)
    libraries = resilience("explain", "--list", "--json").document["libraries"]
    assert "ReadTimeout" in libraries["httpx"]
    assert len(libraries) >= len(lines) - 1 > 20


def test_without_a_failure_it_says_what_to_give(resilience):
    assert "give a failure such as httpx.ReadTimeout" in resilience("explain").complaint


def test_several_words_are_joined(resilience):
    assert resilience("explain", "status", "404", "--json").document["text"] == "status 404"


@pytest.mark.parametrize("line", ["httpx.ReadTimeout: The read operation timed out", "httpx.ReadTimeout('timed out')"])
def test_the_last_line_of_a_traceback_is_understood(resilience, line):
    assert resilience("explain", line, "--json").document["category"] == "timeout"


def test_the_document_says_what_follows_from_the_category(resilience):
    assert resilience("explain", "httpx.ConnectError", "--json").document == {
        "text": "httpx.ConnectError",
        "category": "network",
        "rule": "client",
        "reason": "httpx.ConnectError is in the httpx table",
        "groups": ["system", "transient", "infrastructure"],
        "recovery": "retry",
        "advice": "try again, the same call may well succeed",
        "retried_by_default": True,
        "first_wait": 0.0,  # these tests do not wait
        "counts_for_circuit": 1,
        "http": 502,
        "grpc": "UNAVAILABLE",
        "severity": "warning",
    }


def test_the_text_for_people_has_the_same_content(resilience):
    run = resilience("explain", "status 401")
    assert run.code == 0
    assert run.out.splitlines()[0] == "authentication"
    for words in (
        "status 401",
        "client_error",
        "reauthenticate: sign in again",
        "no, not by default",
        "does not count",
    ):
        assert words in run.out
    assert "UNAUTHENTICATED" in run.out


def test_an_unknown_failure_is_one_line_with_near_matches(resilience):
    run = resilience("explain", "ReadTimeot")
    assert run.code == 2
    assert run.out == ""
    assert "did you mean ReadTimeout" in run.complaint


@pytest.mark.parametrize("text", ["nonsense", "status 9999", "grpc MAYBE", "errno 99999", "two words", " ", "a\nb"])
def test_invalid_options_are_one_line_and_exit_code_2(resilience, text):
    run = resilience("explain", text)
    assert run.code == 2
    assert run.complaint.startswith("resilience explain: ")


def test_with_json_an_unknown_failure_is_a_document_too(resilience):
    run = resilience("explain", "nonsense", "--json")
    assert run.code == run.document["exit_code"] == 2
    assert "nonsense" in run.document["error"]
    assert run.complaint
