"""Worker threads, where no thread can be started: the work is done by the caller."""

from __future__ import annotations

import pytest

from resilience._runtime import worker_threads
from resilience._runtime.worker_threads import OneShotEvent, begin_work


class Noted:
    target = "noted"

    def __init__(self) -> None:
        self.done = OneShotEvent()
        self.ran = 0

    def run(self) -> None:
        self.ran += 1


def test_work_that_begins_while_the_interpreter_ends_is_done_by_the_caller(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker_threads.sys, "is_finalizing", lambda: True)
    work = Noted()
    begin_work(work)
    assert work.ran == 1
    assert work.done.wait(0)
