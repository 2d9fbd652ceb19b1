"""Document C's retry, clause by clause, and its waits for any parameters."""

from __future__ import annotations

import concurrent.futures
import inspect
import logging
import random

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience import CircuitOpenError
from resilience.contrib import service
from resilience.contrib.legacy.service import retry_with_backoff
from resilience.integrations.logging import log_events
from resilience.testing import virtual_time
from tests.contrib.legacy.calls import play

down = ConnectionResetError("down")


def test_its_parameters_and_defaults_are_the_documents():
    parameters = inspect.signature(retry_with_backoff).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    assert defaults.pop("func") is inspect.Parameter.empty
    assert defaults == {
        "max_retries": 3,
        "base_delay": 1.0,
        "max_delay": 60.0,
        "exponential_base": 2.0,
        "jitter": True,
        "retry_on": (Exception,),
    }
    assert inspect.iscoroutinefunction(retry_with_backoff)


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
def test_three_retries_are_four_attempts(backend: str, is_async: bool):
    story = play(retry_with_backoff, down, backend=backend, is_async=is_async, jitter=False)
    assert (story.answer, story.calls, story.waits, story.seconds) == (down, 4, [1, 2, 4], 7)


@pytest.mark.parametrize("most", [0, 1, 7])
def test_max_retries_count_the_attempts_after_the_first(most: int):
    story = play(retry_with_backoff, down, max_retries=most)
    assert (story.calls, len(story.waits)) == (most + 1, most)


def test_waits_grow_up_to_the_cap():
    story = play(retry_with_backoff, down, max_retries=5, base_delay=2, exponential_base=3, max_delay=20, jitter=False)
    assert story.waits == [2, 6, 18, 20, 20]


def test_without_jitter_and_with_the_other_defaults_the_cap_is_a_minute():
    assert play(retry_with_backoff, down, max_retries=8, jitter=False).waits == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(("drawn", "share"), [(0.0, 0.5), (0.5, 0.75), (0.999, 0.9995)])
def test_jitter_multiplies_after_the_cap_by_half_to_one(drawn: float, share: float):
    with virtual_time() as clock:
        clock.random = lambda: drawn
        waits = []

        async def main() -> None:
            began = clock.now()

            def fail() -> None:
                waits.append(clock.now() - began)
                raise down

            with pytest.raises(ConnectionResetError):
                await retry_with_backoff(fail, max_retries=2, base_delay=100, max_delay=8)

        anyio.run(main)
    assert waits == pytest.approx([0, 8 * share, 16 * share])


@given(
    seed=st.integers(0, 2**32),
    most=st.integers(0, 12),
    base=st.floats(0, 1e6),
    cap=st.floats(0, 1e6),
    factor=st.floats(0, 100),
    jitter=st.booleans(),
)
def test_every_wait_is_the_formulas_whatever_the_parameters(
    seed: int, most: int, base: float, cap: float, factor: float, jitter: bool
):
    draws = random.Random(seed)
    expected = [
        min(base * factor**number, cap) * (0.5 + draws.random() * 0.5 if jitter else 1) for number in range(most)
    ]
    story = play(
        retry_with_backoff,
        down,
        seed=seed,
        is_async=False,
        max_retries=most,
        base_delay=base,
        max_delay=cap,
        exponential_base=factor,
        jitter=jitter,
    )
    assert story.waits == expected
    assert story.seconds == pytest.approx(sum(expected))


@pytest.mark.parametrize(("base", "waits"), [(1.0, 60.0), (0.0, 0.0)])
def test_a_power_longer_than_any_number_is_the_cap(base: float, waits: float):
    story = play(retry_with_backoff, down, max_retries=1200, base_delay=base, jitter=False, is_async=False)
    assert story.waits[-1] == waits


def test_an_error_outside_of_retry_on_is_raised_at_once():
    error = ValueError("bug")
    story = play(retry_with_backoff, error, retry_on=(OSError, KeyError))
    assert (story.answer, story.calls, story.seconds, story.names) == (error, 1, 0, ["attempt.failed"])


def test_an_error_outside_of_retry_on_ends_the_retries():
    story = play(retry_with_backoff, down, KeyError("bug"), retry_on=(OSError,))
    assert (type(story.answer), story.calls) == (KeyError, 2)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("unknown to the toolkit"),
        service.InvalidInputError("the caller's fault"),
        CircuitOpenError("billing", 30.0),
        service.RateLimitError(10, 60, retry_after=3000),
        ExceptionGroup("both", [KeyError(), OSError()]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("listening", [True, False])
def test_what_is_in_retry_on_is_retried_whatever_its_category(error: Exception, listening: bool):
    calls = 0

    async def fail() -> None:
        nonlocal calls
        calls += 1
        raise error

    async def main() -> None:
        with pytest.raises(type(error)):
            await retry_with_backoff(fail, jitter=False)

    if listening:
        assert play(retry_with_backoff, error, jitter=False).waits == [1, 2, 4]
        return
    with virtual_time(patience=5) as clock:
        anyio.run(main)
        assert (calls, clock.now()) == (4, 7)


def test_what_was_cancelled_is_not_tried_again():
    assert play(retry_with_backoff, concurrent.futures.CancelledError()).calls == 1


def test_cancellation_and_ctrl_c_pass():
    async def main() -> None:
        calls = 0

        def interrupted() -> None:
            nonlocal calls
            calls += 1
            raise KeyboardInterrupt

        try:
            await retry_with_backoff(interrupted)
        except KeyboardInterrupt:
            assert calls == 1
        else:
            pytest.fail("it was caught")

    anyio.run(main, backend="trio")


def test_the_last_error_is_raised_unchanged():
    last = OSError("last")
    story = play(retry_with_backoff, down, down, down, last)
    assert story.answer is last
    assert (last.args, last.__cause__, last.__context__) == (("last",), None, None)
    assert "failed 4 times" in last.__notes__[0]


def test_each_retry_is_a_warning_with_attempt_wait_and_error_and_the_end_is_an_error(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO), log_events():
        play(retry_with_backoff, ValueError("secret"), max_retries=1, jitter=False)
    lines = [
        (record.levelname, record.msg % record.args)
        for record in caplog.records
        if "attempt.f" not in record.msg % record.args
    ]
    assert [level for level, _ in lines] == ["WARNING", "ERROR"]
    assert lines[0][1].startswith("retry.scheduled ")
    assert all(part in lines[0][1] for part in ("attempt=1", "wait=1", "error=ValueError"))
    assert lines[1][1].startswith("retry.exhausted ")
    assert "secret" not in caplog.text


def test_one_class_may_stand_without_its_tuple():
    assert play(retry_with_backoff, down, retry_on=OSError).calls == 4


@pytest.mark.parametrize(
    ("parameters", "kind", "says"),
    [
        ({"max_retries": -1}, ValueError, "max_retries=-1: give a whole number of 0 or more"),
        ({"max_retries": 1.5}, TypeError, "max_retries=1.5"),
        ({"base_delay": -1}, ValueError, "base_delay=-1"),
        ({"max_delay": float("inf")}, ValueError, "max_delay=inf"),
        ({"exponential_base": -2}, ValueError, "exponential_base=-2: give a number of 0 or more"),
        ({"jitter": "equal"}, TypeError, "jitter='equal': give True or False"),
        ({"retry_on": ()}, ValueError, "retry_on=(): give an Exception class, or a tuple of them, at least one"),
        ({"retry_on": (BaseException,)}, TypeError, "retry_on=<class 'BaseException'>: give an Exception class"),
        ({"retry_on": (OSError, "timeout")}, TypeError, "retry_on=(<class 'OSError'>, 'timeout')"),
        ({"retry_on": [OSError]}, TypeError, "retry_on=[<class 'OSError'>]"),
    ],
    ids=str,
)
def test_invalid_options_are_refused(parameters: dict[str, object], kind: type[Exception], says: str):
    story = play(retry_with_backoff, "never", **parameters)
    assert type(story.answer) is kind
    assert str(story.answer).startswith(says)
    assert story.calls == 0


def test_what_cannot_be_called_is_refused():
    async def main() -> None:
        with pytest.raises(TypeError, match="func=None: give a function without arguments"):
            await retry_with_backoff(None)

    anyio.run(main)
