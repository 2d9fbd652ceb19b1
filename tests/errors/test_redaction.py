"""One set of rules takes secrets out of errors, reports and log lines."""

from __future__ import annotations

import json
import logging

import pytest

from resilience import ErrorCategory, ResilienceError, error_chain
from resilience.errors._redaction import redact, redact_text
from resilience.integrations.logging import log_events, redact_processor
from resilience.report import Failure, explain

TEXTS = {
    "password of a URL": ("cannot reach postgres://ada:canary@db/shop", "cannot reach postgres://[redacted]@db/shop"),
    "password with an @": ("amqp://ada:ca@nary@mq:5672/", "amqp://[redacted]@mq:5672/"),
    "token in a query string": (
        "GET https://example.org/a?page=2&access_token=canary&x=1 failed",
        "GET https://example.org/a?page=2&access_token=[redacted]&x=1 failed",
    ),
    "first parameter of a query string": ("/login?password=canary#top", "/login?password=[redacted]"),
    "signature of a presigned URL": (
        "https://b.s3.example.org/k?X-Amz-Signature=canary&part=1",
        "https://b.s3.example.org/k?X-Amz-Signature=[redacted]&part=1",
    ),
    "shared access signature": (
        "https://a.example.net/c?sv=1&sig=can%2Fary",
        "https://a.example.net/c?sv=1&sig=[redacted]",
    ),
    "authorization header": ("sent Authorization: Bearer canary-canary", "sent Authorization: Bearer [redacted]"),
    "literal in a repr": ("Client(user='ada', api_key='canary')", "Client(user='ada', api_key='[redacted]')"),
    "JSON": ('{"db_password": "canary", "port": 1}', '{"db_password": "[redacted]", "port": 1}'),
    "word": ("login failed: password=canary, user=ada", "login failed: password=[redacted], user=ada"),
    "token of a form of its own": ("denied for ghp_canarycanarycanarycanary0123456789", "denied for [redacted]"),
}
HARMLESS = [
    "password: must be longer than 8 characters",
    "max_tokens=4096, temperature=0.5",
    "name 'token' is not defined",
    "TokenError: expired",
    "https://example.org/search?q=signature&page=2",
    "git clone ssh://git@example.org/shop.git",
    "ratio 3:4 at 10:30 in a=b",
]


@pytest.mark.parametrize(("text", "left"), TEXTS.values(), ids=TEXTS)
def test_secrets_are_taken_out_of_a_text(text: str, left: str):
    assert redact_text(text) == left
    assert redact_text(left) == left


@pytest.mark.parametrize("text", HARMLESS)
def test_a_text_without_secrets_stays_as_it_is(text: str):
    assert redact_text(text) == text


@pytest.mark.parametrize("text", [text for text, _ in TEXTS.values()], ids=TEXTS)
def test_no_document_of_an_error_holds_the_secret_of_its_message(text: str):
    error = ResilienceError(text, details={"url": text, "deep": [{"seen": text}]}, category=ErrorCategory.CONFLICT)
    error.add_note(text)
    documents = [
        error.to_dict(full=True),
        error.to_problem(public=True),
        [link.to_dict() for link in error_chain(error)],
    ]
    assert "canary" not in json.dumps(documents)


@pytest.mark.parametrize("text", [text for text, _ in TEXTS.values()], ids=TEXTS)
def test_no_report_holds_the_secret_of_a_message(text: str):
    report = explain(Failure(category=ErrorCategory.RUNTIME, error_type="ValueError", message=text))
    assert "canary" not in report.to_json(4)


@pytest.mark.parametrize("text", [text for text, _ in TEXTS.values()], ids=TEXTS)
def test_no_log_line_holds_a_bound_secret(text: str, caplog: pytest.LogCaptureFixture):
    from resilience.events import TimedOut, emit

    caplog.set_level(logging.DEBUG, "resilience")
    with log_events(bind={"upstream": text, "more": [{"url": text}]}):
        emit(TimedOut(target="shop.search", policy="timeout", limit=2.0))
    assert len(caplog.records) == 1
    assert "canary" not in caplog.text
    assert "canary" not in str(redact_processor(None, "info", {"event": "called", "url": text}))


def test_a_long_text_of_colons_takes_no_time_to_search():
    assert redact_text("://" + ":" * 100_000).startswith("://")


def test_fields_keep_what_is_no_secret():
    assert redact({"port": 5432, "url": "https://example.org/", "tokens": 7, "tags": ("a", "b")}) == {
        "port": 5432,
        "url": "https://example.org/",
        "tokens": 7,
        "tags": ["a", "b"],
    }
