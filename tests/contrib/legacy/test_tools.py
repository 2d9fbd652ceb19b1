"""Document E, clause by clause: five kinds of failure, and a retry of one of them."""

from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import timedelta

import anyio
import httpx
import pytest

from resilience import deadline
from resilience.contrib.legacy.tools import ErrorCategory, classify_error, with_retry
from resilience.testing import virtual_time
from tests.contrib.legacy.calls import play

REQUEST = httpx.Request("GET", "https://tool.test")


def status(code: int, **headers: str) -> httpx.HTTPStatusError:
    response = httpx.Response(code, request=REQUEST, headers={name.replace("_", "-"): v for name, v in headers.items()})
    return httpx.HTTPStatusError(str(code), request=REQUEST, response=response)


busy = status(503)


def test_there_are_five_categories_by_these_names_and_values():
    assert {member.name: member.value for member in ErrorCategory} == {
        "RETRYABLE": "retryable",
        "NON_RETRYABLE": "non_retryable",
        "AUTH_FAILURE": "auth_failure",
        "TIMEOUT": "timeout",
        "NETWORK": "network",
    }


@pytest.mark.parametrize("kind", [httpx.TimeoutException, httpx.ReadTimeout, httpx.WriteTimeout])
def test_a_timeout_is_timeout(kind: type[httpx.TimeoutException]):
    assert classify_error(kind("slow")) is ErrorCategory.TIMEOUT


@pytest.mark.parametrize("kind", [httpx.ConnectTimeout, httpx.PoolTimeout])
def test_the_time_out_of_connecting_is_timeout_and_not_network(kind: type[httpx.TimeoutException]):
    assert classify_error(kind("slow")) is ErrorCategory.TIMEOUT


def test_a_connection_that_cannot_be_made_is_network():
    assert classify_error(httpx.ConnectError("refused")) is ErrorCategory.NETWORK


@pytest.mark.parametrize("code", range(400, 600))
def test_every_status_is_what_the_list_says_and_else_non_retryable(code: int):
    listed = {401: "auth_failure", 403: "auth_failure"} | dict.fromkeys((429, 500, 502, 503), "retryable")
    assert classify_error(status(code)).value == listed.get(code, "non_retryable")


@pytest.mark.parametrize("code", [404, 408, 425, 504])
def test_a_status_that_the_toolkit_itself_takes_for_passing_is_non_retryable_here(code: int):
    assert classify_error(status(code)) is ErrorCategory.NON_RETRYABLE


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadError("cut"),
        httpx.WriteError("cut"),
        httpx.RemoteProtocolError("cut"),
        httpx.ProxyError("no proxy"),
        httpx.LocalProtocolError("wrong"),
        httpx.UnsupportedProtocol("gopher"),
        httpx.InvalidURL("no url"),
        TimeoutError(),
        ConnectionRefusedError(),
        ValueError(),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_anything_else_is_non_retryable(error: BaseException):
    assert classify_error(error) is ErrorCategory.NON_RETRYABLE


def test_classifying_imports_no_httpx():
    program = (
        "import sys; from resilience.contrib.legacy import classify_error; assert classify_error(OSError()).value =="
        " 'non_retryable'; assert not {'httpx', 'pybreaker'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# -- with_retry -------------------------------------------------------------------------------------------------------


def test_its_parameters_and_defaults_are_the_documents():
    parameters = inspect.signature(with_retry).parameters
    assert list(parameters) == ["fn", "max_retries", "base_delay"]
    assert [parameters[name].default for name in ("max_retries", "base_delay")] == [3, 1.0]
    assert inspect.iscoroutinefunction(with_retry)


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
def test_three_retries_are_three_attempts_after_one_and_two_seconds(backend: str, is_async: bool):
    story = play(with_retry, busy, backend=backend, is_async=is_async)
    assert (story.answer, story.calls, story.waits, story.seconds) == (busy, 3, [1, 2], 3)


def test_it_returns_what_the_function_returns_as_soon_as_it_does(backend: str):
    story = play(with_retry, busy, "found", backend=backend)
    assert (story.answer, story.calls, story.waits) == ("found", 2, [1])


def test_what_an_async_function_was_made_to_return_by_a_lambda_is_awaited(backend: str):
    async def fetch() -> str:
        return "found"

    async def main() -> str:
        return await with_retry(lambda: fetch())

    assert anyio.run(main, backend=backend) == "found"


@pytest.mark.parametrize(
    "error",
    [httpx.ReadTimeout("slow"), httpx.ConnectError("refused"), status(401), status(404), status(504), OSError()],
    ids=repr,
)
def test_every_other_category_is_raised_after_the_first_attempt(error: Exception):
    story = play(with_retry, error)
    assert (story.answer, story.calls, story.seconds) == (error, 1, 0)
    assert story.names == ["attempt.failed"]


def test_a_category_that_turns_up_later_ends_the_retries_too():
    story = play(with_retry, busy, status(403))
    assert story.calls == 2
    assert story.answer.response.status_code == 403


@pytest.mark.parametrize("attempts", [1, 2, 5, 12])
def test_each_wait_is_twice_the_one_before_without_jitter_and_without_a_cap(attempts: int):
    story = play(with_retry, busy, max_retries=attempts, base_delay=0.25)
    assert story.calls == attempts
    assert story.waits == [0.25 * 2 ** (attempt - 1) for attempt in range(1, attempts)]
    assert story.seconds == sum(story.waits)


def test_nothing_is_waited_after_the_last_attempt():
    story = play(with_retry, busy, max_retries=2, base_delay=10)
    assert story.names == ["attempt.failed", "retry.scheduled", "attempt.failed", "retry.exhausted"]
    assert story.seconds == 10


def test_the_last_error_is_raised_unchanged_and_knows_what_was_tried():
    last = status(500)
    story = play(with_retry, busy, busy, last)
    assert story.answer is last
    assert (str(last), last.__cause__, last.__context__) == ("500", None, None)
    assert last.__notes__[0].endswith(
        "failed 3 times (unavailable, unavailable, server_error), 3 s waited in between"
        "\n  stopped: no attempt left; the last failure took 0 s"
    )
    assert [attempt.wait for attempt in last.resilience.attempts] == [0, 1, 2]


def test_a_retry_after_changes_nothing():
    assert play(with_retry, status(429, Retry_After="30")).waits == [1, 2]
    assert play(with_retry, status(429, Retry_After="3000")).waits == [1, 2]


def test_one_that_is_nested_in_another_multiplies():
    async def outer(fn, **parameters):
        return await with_retry(lambda: with_retry(fn, 2), 3)

    story = play(outer, busy)
    assert (story.calls, story.seconds) == (6, 3 * 1 + 1 + 2)


def test_there_is_no_attempt_a_deadline_leaves_no_time_for(backend: str):
    async def main() -> int:
        calls = 0

        async def fetch() -> None:
            nonlocal calls
            calls += 1
            raise busy

        with pytest.raises(httpx.HTTPStatusError):
            async with deadline(2.5):
                await with_retry(fetch)
        return calls

    with virtual_time(patience=5) as clock:
        assert (anyio.run(main, backend=backend), clock.now()) == (2, 1)


@pytest.mark.parametrize("wrong", [0, -1])
def test_less_than_one_attempt_is_refused(wrong: int):
    story = play(with_retry, "never", max_retries=wrong)
    assert isinstance(story.answer, ValueError)
    assert str(story.answer) == f"max_retries={wrong}: give a whole number of 1 or more"
    assert story.calls == 0


@pytest.mark.parametrize("parameters", [{"max_retries": 2.0}, {"max_retries": True}, {"base_delay": "1"}])
def test_what_is_no_number_is_refused(parameters: dict[str, object]):
    assert isinstance(play(with_retry, "never", **parameters).answer, TypeError)


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf")])
def test_a_base_delay_that_cannot_be_waited_is_refused(wrong: float):
    story = play(with_retry, "never", base_delay=wrong)
    assert isinstance(story.answer, ValueError)
    assert str(story.answer).startswith("base_delay=")


def test_a_coroutine_in_place_of_a_function_is_refused(backend: str):
    async def fetch() -> None: ...

    async def main() -> None:
        with pytest.raises(TypeError, match="fn=<coroutine object .* give a function without arguments"):
            await with_retry(fetch())

    anyio.run(main, backend=backend)


def test_delays_may_be_timedeltas():
    assert play(with_retry, busy, base_delay=timedelta(minutes=1)).waits == [60, 120]
