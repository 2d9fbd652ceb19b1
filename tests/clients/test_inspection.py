"""`inspect_client`: what retries by itself, what has no time limit, what the pool can bear."""

from __future__ import annotations

import httpx
import httpx_retries
import openai
import pytest

from resilience import deadline, retry_on_category, timeout
from resilience.clients import Finding, inspect_client, protect


def lines(client: object, **options: float) -> list[str]:
    return [str(finding) for finding in inspect_client(client, **options).findings]


@pytest.mark.parametrize("kind", [httpx.Client, httpx.AsyncClient])
def test_a_plain_client_of_httpx_has_a_pool_and_nothing_else(kind: type):
    client = kind(verify=False)
    assert lines(client) == ["pool: 100 connections; a further call waits up to 5 s for one"]
    assert inspect_client(client).calls == 1
    assert inspect_client(client).problems == []


def test_missing_time_limits_are_a_problem():
    client = httpx.Client(timeout=httpx.Timeout(5, read=None), verify=False)
    (problem,) = inspect_client(client).problems
    assert problem == Finding("time_limit", "no time limit for read", problem=True)
    endless = httpx.Client(timeout=None, limits=httpx.Limits(max_connections=2), verify=False)
    assert lines(endless) == [
        "time_limit: no time limit for connect, read, write, pool",
        "pool: 2 connections; a further call waits until one is free",
    ]


def test_a_deadline_around_a_call_limits_what_the_client_does_not():
    client = protect(httpx.Client(timeout=None, verify=False), deadline(5))
    assert inspect_client(client).problems == []
    assert lines(client)[-1] == "protection: deadline(5)"


def test_connects_that_are_repeated_send_nothing_twice():
    client = httpx.Client(transport=httpx.HTTPTransport(retries=3, verify=False))
    assert lines(client)[0] == "retries: the transport connects up to 4 times; no request is sent twice by that"
    assert inspect_client(client).calls == 1


def test_a_transport_that_retries_multiplies_with_the_policies():
    retry = httpx_retries.Retry(total=4)
    transport = httpx_retries.RetryTransport(httpx.HTTPTransport(verify=False), retry=retry)
    client = protect(httpx.Client(transport=transport), retry_on_category(attempts=3), timeout(2))
    inspection = inspect_client(client)
    assert inspection.calls == 15
    assert [str(problem) for problem in inspection.problems] == [
        "retries: 3 of its policies x 5 of the client = 15 calls"
    ]


def test_a_transport_of_another_library_may_retry():
    client = httpx.Client(transport=type("Caching", (httpx.BaseTransport,), {"__module__": "hishel"})())
    assert lines(client) == ["retries: hishel.Caching is a transport of another library: it may retry by itself"]


def test_retries_on_three_levels_multiply():
    client = openai.OpenAI(api_key="k", base_url="http://127.0.0.1:1")
    inspection = inspect_client(client, attempts=3)
    assert inspection.calls == 9
    assert "3 attempts here x 3 of the client = 9 calls" in str(inspection)
    assert inspect_client(protect(client, retry_on_category(attempts=4)), attempts=2).calls == 8


def test_what_is_no_client_is_refused():
    with pytest.raises(TypeError, match="no adapter for builtins"):
        inspect_client(5)
