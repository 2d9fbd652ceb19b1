from __future__ import annotations

import signal
from collections.abc import Generator

import pytest

from tests.runners import RUNNERS, Runner

# A shell starts background jobs with SIGINT ignored, and their children inherit that: Ctrl-C would do nothing in them.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have reports hold nothing that cannot be sent: tests of hostile texts log lone surrogates."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> Runner:
    """A runner: a test that takes it runs sync, on asyncio and on trio."""
    return Runner(request.param)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each event loop."""
    return request.param
