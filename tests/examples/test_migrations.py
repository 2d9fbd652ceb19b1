"""Each usage of another library and what is written here in its place do the same, whatever the function does."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from resilience.testing import no_waits

pytestmark = pytest.mark.slow  # 600 calls by two libraries each

LIBRARIES = ("tenacity", "stamina", "backoff", "pybreaker")
RESET, LATE, BUG = ConnectionResetError, TimeoutError, KeyError
#: By name: what a function does at its calls; the last entry is repeated.
SCRIPTS: dict[str, list[object]] = {
    "succeeds": ["there"],
    "fails once": [RESET, "there"],
    "fails twice": [RESET, RESET, "there"],
    "has nothing at first": [None, "there"],
    "fails for good": [RESET],
    "is late for good": [LATE],
    "has a bug": [BUG],
    "has nothing": [None],
}
_ERRORS = ("fails once", "fails twice", "fails for good", "is late for good")
#: By library and usage, the scripts for which the two differ on purpose. `docs/migrating.md` says so.
DIFFERENT = {
    # Here a transient failure is retried as well where results are judged.
    ("tenacity", "retry_if_result"): _ERRORS,
    ("backoff", "on_predicate"): _ERRORS,
    ("backoff", "on_predicate with a function"): _ERRORS,
    # The last result is returned; tenacity raises a RetryError.
    ("tenacity", "errors and results"): ("has nothing",),
    # The attempt that opens the circuit is the last one, and raises its own failure; tenacity makes one to be rejected.
    ("pybreaker", "below tenacity"): ("fails for good", "is late for good"),
    # The class is one of the program's own.
    ("tenacity", "TryAgain"): ("has nothing",),
}
#: Without an end a failure that lasts is retried for ever; retries of a time are bounded by a clock that stands still.
ENDLESS = {"no end", "max_time", "no number of attempts"}


class Service:
    """A function that does the steps of a script, and counts its calls."""

    def __init__(self, script: list[object]) -> None:
        self.script = list(script)
        self.calls = 0

    def __call__(self) -> object:
        step = self.script[min(self.calls, len(self.script) - 1)]
        self.calls += 1
        if isinstance(step, type) and issubclass(step, Exception):
            raise step("x")
        return step


def outcome(usage: Callable[[Any], object], script: list[object]) -> tuple[object, int]:
    service = Service(script)

    def ask() -> object:
        return service()

    try:
        result = usage(ask)
    except Exception as error:
        result = type(error)
    return result, service.calls


def cases() -> Iterator[Any]:
    for library in LIBRARIES:
        for usage in importlib.import_module(f"examples.migrations.{library}_usages").USAGES:
            for script in SCRIPTS:
                endless = usage in ENDLESS and len(SCRIPTS[script]) == 1 and script != "succeeds"
                bug = library == "tenacity" and script == "has a bug"  # without a category tenacity retries bugs
                if not endless and not bug and script not in DIFFERENT.get((library, usage), ()):
                    yield pytest.param(library, usage, script, id=f"{library}: {usage}, {script}")


@pytest.mark.parametrize(("library", "usage", "script"), list(cases()))
def test_before_and_after_do_the_same(library: str, usage: str, script: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    before, after = importlib.import_module(f"examples.migrations.{library}_usages").USAGES[usage]
    with no_waits():
        assert outcome(after, SCRIPTS[script]) == outcome(before, SCRIPTS[script])
