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
        "reason": "httpx.ConnectError is network",
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


def test_a_misspelt_error_of_the_toolkit_is_answered_with_its_name(resilience):
    assert "did you mean CircuitOpenError?" in resilience("explain", "CircutOpenError").complaint
    assert "did you mean CallTimeoutError?" in resilience("explain", "resilience.CallTimoutError").complaint


def test_an_error_of_the_toolkit_is_explained_by_what_its_documentation_says(resilience):
    document = resilience("explain", "CircuitOpenError", "--json").document
    assert document["reason"].startswith("CircuitOpenError: The circuit *name* rejected a call")


def test_a_word_is_explained_as_the_class_of_python_that_it_names(resilience):
    document = resilience("explain", "connection", "--json").document
    assert (document["category"], document["reason"]) == ("network", "ConnectionError is network")


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


# -- phrases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "category", "reason"),
    [
        ("Connection refused", "network", "ConnectionError"),
        ("connection reset by peer", "network", "ConnectionError"),
        ("ECONNREFUSED", "network", "ConnectionError"),
        ("No space left on device", "capacity", "ENOSPC"),
        ("too many requests", "rate_limit", "status 429"),
        ("Service Unavailable", "unavailable", "status 503"),
        ("deadline exceeded", "timeout", "gRPC status DEADLINE_EXCEEDED"),
        ("RESOURCE_EXHAUSTED", "rate_limit", "gRPC status RESOURCE_EXHAUSTED"),
        ("rate limit", "rate_limit", "rate_limit is a category itself"),
        ("timeout", "timeout", "timeout is a category itself"),
    ],
)
def test_the_text_of_an_errno_or_a_status_and_the_label_of_a_category_are_understood(
    resilience, phrase, category, reason
):
    document = resilience("explain", phrase, "--json").document
    assert document["category"] == category
    assert reason in document["reason"]


@pytest.mark.parametrize(
    ("words", "suggested"),
    [
        ("refused", ["ConnectionRefusedError", "'errno ECONNREFUSED'"]),
        ("timed out", ["'errno ETIMEDOUT'"]),
        ("circuit is open", ["CircuitOpenError"]),
        ("retries exhausted", ["RetriesExhaustedError"]),
        ("validaton", ["validation"]),
        ("deadlock", ["redis.ChildDeadlockedError"]),
    ],
)
def test_of_other_words_it_says_what_is_near(resilience, words, suggested):
    run = resilience("explain", words)
    assert run.code == 2
    for name in suggested:
        assert name in run.complaint.partition("did you mean")[2]


def test_of_a_class_that_is_misspelled_it_names_that_of_the_same_library(resilience):
    assert "did you mean httpx.ReadTimeout" in resilience("explain", "httpx.ReadTimeuot").complaint


def test_of_a_group_it_names_the_members(resilience):
    complaint = resilience("explain", "transient").complaint
    assert "'transient' is a group of categories; give one of them: " in complaint
    assert "timeout" in complaint


# -- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "category", "reason"),
    [
        ("sqlite3.OperationalError: database is locked", "unavailable", "database is locked (SQLITE_BUSY)"),
        ("sqlite3.OperationalError('database is locked')", "unavailable", "database is locked (SQLITE_BUSY)"),
        (
            "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked",
            "unavailable",
            "database is locked (SQLITE_BUSY)",
        ),
        (
            "sqlalchemy.exc.OperationalError: (psycopg.errors.DeadlockDetected) deadlock detected",
            "unavailable",
            "SQLSTATE 40P01, deadlock detected",
        ),
        (
            "sqlalchemy.exc.OperationalError: (pymysql.err.OperationalError) (1213, 'Deadlock found')",
            "unavailable",
            "MySQL error 1213 ER_LOCK_DEADLOCK",
        ),
        ("pymysql.err.OperationalError: (1045, 'Access denied')", "authentication", "MySQL error 1045"),
        ("mysql.connector.errors.DatabaseError: 1205 (HY000): Lock wait timeout", "timeout", "MySQL error 1205"),
        (
            "httpx.HTTPStatusError: Server error '503 Service Unavailable' for url 'http://x'",
            "unavailable",
            "status 503",
        ),
        ("requests.exceptions.HTTPError: 429 Client Error: Too Many Requests", "rate_limit", "status 429"),
        ("urllib.error.HTTPError: HTTP Error 503: Service Unavailable", "unavailable", "status 503"),
        ("openai.APIStatusError: Error code: 429 - {'error': {}}", "rate_limit", "status 429"),
        ("aiohttp.ClientResponseError: 503, message='Service Unavailable'", "unavailable", "status 503"),
        (
            "botocore.exceptions.ClientError: An error occurred (ThrottlingException) when calling the Put operation",
            "rate_limit",
            "AWS error code ThrottlingException",
        ),
        ("oracledb.exceptions.DatabaseError: ORA-00060: deadlock detected", "unavailable", "Oracle error ORA-00060"),
        (
            "grpc.RpcError: <_InactiveRpcError status = StatusCode.UNAVAILABLE>",
            "unavailable",
            "gRPC status UNAVAILABLE",
        ),
        ("OSError: [Errno 28] No space left on device", "capacity", "No space left on device (ENOSPC)"),
        ("requests.exceptions.SSLError: [SSL: CERTIFICATE_VERIFY_FAILED]", "configuration", "the certificate was not"),
    ],
)
def test_an_exception_that_is_judged_by_what_it_carries_is_explained_by_its_message(resilience, line, category, reason):
    document = resilience("explain", line, "--json").document
    assert document["category"] == category
    assert document["reason"].startswith(reason)
    assert document["reason"].endswith(", by the message")
    assert document["reason"].count("message") == 1


@pytest.mark.parametrize(
    ("line", "category"),
    [
        ("ERROR 1213 (40001): Deadlock found when trying to get lock", "unavailable"),
        ("ORA-00060: deadlock detected while waiting for resource", "unavailable"),
        ("[Errno 111] Connection refused", "network"),
    ],
)
def test_a_line_without_a_class_is_explained_by_the_code_in_it(resilience, line, category):
    assert resilience("explain", line, "--json").document["category"] == category


@pytest.mark.parametrize(
    ("line", "category"),
    [
        ("httpx.ReadTimeout: 503 seconds have passed", "timeout"),  # the class decides
        ("ValueError: 5 apples", "unknown"),
        ("sqlite3.OperationalError: no such table: orders", "internal"),
        ("sqlite3.OperationalError: near timeout", "internal"),
    ],
)
def test_a_message_without_a_code_or_of_a_class_that_decides_changes_nothing(resilience, line, category):
    assert resilience("explain", line, "--json").document["category"] == category


def test_where_the_message_would_decide_it_says_what_to_give(resilience):
    assert "more      give the last line of a traceback" in resilience("explain", "httpx.HTTPStatusError").out
    assert "last line of a traceback" not in resilience("explain", "httpx.ReadTimeout").out
