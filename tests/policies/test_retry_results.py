"""A response that was returned is retried as one that was raised: its hint, its pushback, its category's base."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
import httpx
import pytest
import requests
import tenacity

from resilience import RetryBudget, StopReason, by_method, retry_on_category
from resilience.errors.base import RetriesExhaustedError
from resilience.events import RetryScheduled
from resilience.profiles import RetrySafety
from tests.classification.peers import Peer
from tests.runners import Runner

Make = Callable[..., object]


def _httpx(status: int, **headers: str) -> object:
    return httpx.Response(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def _requests(status: int, **headers: str) -> object:
    response = requests.Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-").title(): value for name, value in headers.items()})
    return response


def _like_aiohttp(status: int, **headers: str) -> object:
    """What aiohttp, urllib3, urllib and http.client have in common."""
    return SimpleNamespace(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def _status(response: object) -> int:
    return int(getattr(response, "status_code", None) or getattr(response, "status", 0))


def _failed(response: object) -> bool:
    return response != "ok" and _status(response) >= 400


def _waits(runner: Runner, *script: object, **options: object) -> list[float]:
    options.setdefault("jitter", "none")
    policy = retry_on_category(attempts=len(script) + 1, retry_if_result=_failed, **options)
    return runner.play(policy, *script, "ok").waits


each = pytest.mark.parametrize("make", [_httpx, _requests, _like_aiohttp], ids=["httpx", "requests", "aiohttp"])


@each
def test_the_hint_of_a_returned_response_is_waited_for(runner: Runner, make: Make) -> None:
    class Raised(Exception):
        status_code = 429
        headers = {"retry-after": "20"}  # noqa: RUF012

    raised = runner.play(retry_on_category(attempts=2, jitter="none"), Raised(), "ok").waits
    returned = _waits(runner, make(429, retry_after="20"))
    assert returned == raised
    assert 20 <= returned[0] <= 22


@each
def test_a_returned_response_that_asks_for_too_long_ends_the_retry(runner: Runner, make: Make) -> None:
    answer = make(429, retry_after="3600")
    story = runner.play(retry_on_category(attempts=3, retry_if_result=_failed), answer, answer, answer)
    assert story.reached == 1
    assert story.answer is answer
    assert story.waits == []


@each
@pytest.mark.parametrize(
    ("status", "base"), [(429, 1.0), (503, 0.5), (502, 0.5), (500, 0.25), (504, 0.1), (404, 0.1), (499, 0.1)]
)
def test_the_first_wait_is_that_of_the_category_of_the_status(
    runner: Runner, make: Make, status: int, base: float
) -> None:
    assert _waits(runner, make(status), make(status)) == [base, 2 * base]


def test_a_hint_in_a_response_that_went_well_is_waited_for(runner: Runner) -> None:
    """A job that is not done: 202 with a Retry-After."""
    policy = retry_on_category(attempts=2, jitter="none", retry_if_result=lambda result: result != "ok")
    [wait] = runner.play(policy, _httpx(202, retry_after="5"), "ok").waits
    assert 5 <= wait <= 5.5


def test_a_result_that_is_no_response_waits_by_default(runner: Runner) -> None:
    policy = retry_on_category(attempts=4, jitter="none", retry_if_result=lambda result: result != "ok")
    odd = SimpleNamespace(status=503)  # of a job, say
    assert runner.play(policy, 503, odd, {"headers": {"retry-after": "9"}}, "ok").waits == [0.1, 0.2, 0.4]


def test_options_by_category_go_by_the_category_of_the_response(runner: Runner) -> None:
    answer = _httpx(429)
    assert _waits(runner, answer, answer, waits={"rate_limit": 7}) == [7, 7]
    few = retry_on_category(attempts=5, jitter="none", max_attempts={"rate_limit": 2}, retry_if_result=_failed)
    assert runner.play(few, *[answer] * 5).reached == 2
    budget = RetryBudget()
    full = budget.left()
    runner.play(retry_on_category(attempts=2, retry_if_result=_failed, budget=budget), answer, answer)
    assert full - budget.left() == 5


def test_the_event_names_the_category_of_the_response(runner: Runner) -> None:
    story = runner.play(retry_on_category(attempts=2, jitter="none", retry_if_result=_failed), _httpx(503), "ok")
    [scheduled] = [event for event in story.events if isinstance(event, RetryScheduled)]
    assert (scheduled.category.label, scheduled.wait, scheduled.error) == ("unavailable", 0.5, None)


def test_a_retry_after_is_waited_for_with_a_retry_if_of_tenacity(runner: Runner) -> None:
    judge = tenacity.retry_if_result(_failed)
    policy = retry_on_category(attempts=3, jitter="none", retry_if=judge)
    assert runner.play(policy, _httpx(429), "ok").waits == [1.0]
    answer = _httpx(429, retry_after="3600")
    assert runner.play(policy, answer, "ok").answer is answer


def test_the_wrapped_error_has_the_retry_after_of_the_response(runner: Runner) -> None:
    policy = retry_on_category(attempts=2, jitter="none", retry_if_result=_failed, on_exhausted="wrap")
    error = runner.play(policy, _httpx(429, retry_after="3600")).answer
    assert isinstance(error, RetriesExhaustedError)
    assert error.retry_after == 3600


@pytest.mark.parametrize("idempotent", [False, by_method, lambda: False], ids=["False", "by_method", "function"])
@pytest.mark.parametrize(
    ("status", "hint", "reached"),
    [(429, None, 2), (503, "1", 2), (503, None, 1), (502, "1", 1), (500, None, 1), (504, "1", 1), (202, "1", 1)],
)
def test_a_returned_response_proves_as_much_as_a_raised_one(
    runner: Runner, idempotent: object, status: int, hint: str | None, reached: int
) -> None:
    answer = _httpx(status, retry_after=hint) if hint else _httpx(status)
    policy = retry_on_category(
        attempts=2, base_delay=0, idempotent=idempotent, retry_if_result=lambda result: result != "ok"
    )  # type: ignore[arg-type]
    assert runner.play(policy, answer, answer).reached == reached


def test_a_row_of_the_retrys_own_decides_what_a_response_proves(runner: Runner) -> None:
    policy = retry_on_category(
        attempts=2,
        base_delay=0,
        idempotent=False,
        retry_if_result=_failed,
        profiles={"unavailable": {"unsafe": RetrySafety.ALWAYS}},
    )
    assert runner.play(policy, _httpx(503), _httpx(503)).reached == 2
    assert runner.play(policy, _httpx(502), _httpx(502)).reached == 1


class _Hostile:
    def __getattr__(self, name: str) -> object:
        raise OSError(name)


def test_a_result_whose_attributes_raise_waits_by_default(runner: Runner) -> None:
    policy = retry_on_category(attempts=2, jitter="none", retry_if_result=lambda result: result != "ok")
    assert runner.play(policy, _Hostile(), "ok").waits == [0.1]


def test_real_responses_of_real_clients_are_read() -> None:
    peer = Peer()
    peer.answers["503"] = (503, {"Retry-After": "3"}, b"{}")
    from resilience.classification._attributes import category_of_result
    from resilience.classification.retry_hints import retry_after_of_result

    async def of_aiohttp() -> tuple[object, object]:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return category_of_result(response).label, retry_after_of_result(response)

    url = f"http://127.0.0.1:{peer.port}/503"
    for response in (httpx.get(url, trust_env=False), requests.get(url, timeout=1)):
        assert (category_of_result(response).label, retry_after_of_result(response)) == ("unavailable", 3.0)
    assert asyncio.run(of_aiohttp()) == ("unavailable", 3.0)
    peer.close()
    assert math.isclose(retry_after_of_result(SimpleNamespace(retry_after=1.5)) or 0, 1.5)


# -- retries within retries ------------------------------------------------------------------------------------------


def test_the_last_attempt_of_an_inner_retry_proves_nothing_about_the_others(runner: Runner) -> None:
    inner = retry_on_category(attempts=2, base_delay=0)
    outer = retry_on_category(attempts=2, base_delay=0, idempotent=False, retry_exhausted=True)
    sent_and_refused = (TimeoutError(), ConnectionRefusedError())
    story = runner.play(lambda fn: outer(inner(fn)), *sent_and_refused, *sent_and_refused)
    assert story.reached == 2
    assert story.answer.resilience.reason is StopReason.NOT_IDEMPOTENT
