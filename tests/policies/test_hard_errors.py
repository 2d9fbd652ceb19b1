"""Errors that are hard to look through for the exhaustion of a nested retry."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resilience import StopReason, last_call, retry_on_category


def refused() -> None:
    raise ConnectionResetError


def nest(depth: int) -> Exception:
    error: Exception = ConnectionResetError()
    for _ in range(depth):
        error = ExceptionGroup("more", [error])
    return error


def shared(depth: int) -> Exception:
    error: Exception = ConnectionResetError()
    for _ in range(depth):
        error = ExceptionGroup("twice", [error, error])
    return error


def looped() -> Exception:
    member = ConnectionResetError()
    member.__cause__ = ExceptionGroup("around", [member])
    return member


def chained(length: int) -> Exception:
    first = error = ConnectionResetError()
    for _ in range(length):
        error.__cause__ = ConnectionResetError()
        error = error.__cause__
    return first


def circular() -> Exception:
    one, two = ConnectionResetError(), ConnectionResetError()
    one.__cause__, two.__cause__ = two, one
    return one


class Hidden(ExceptionGroup):
    @property
    def exceptions(self) -> tuple:
        raise RuntimeError("hands off")


HARD = {
    "deep": lambda: nest(5_000),
    "shared": lambda: shared(60),
    "looped": looped,
    "chained": lambda: chained(100_000),
    "circular": circular,
    "hidden": lambda: Hidden("members", [ConnectionResetError()]),
}


@pytest.mark.parametrize("make", HARD.values(), ids=HARD)
def test_an_error_with_hostile_causes_is_retried_like_any_other(make: Callable[[], Exception]):
    error, reached = make(), []
    retried = retry_on_category("transient", attempts=3, base_delay=0, retry_if=lambda state: True)

    def fail() -> None:
        reached.append(1)
        with pytest.raises(ConnectionResetError):  # another retry is exhausted, so that this error is searched
            retry_on_category(attempts=2, base_delay=0)(refused)()
        raise error

    caught = None
    try:
        retried(fail)()
    except Exception as raised:
        caught = raised
    assert caught is error
    assert len(reached) == 3
    assert last_call().reason is StopReason.ATTEMPTS
    error.__cause__ = None  # a chain this long is not to be taken down by recursion
