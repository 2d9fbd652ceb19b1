"""`Stream`: one scripted generator, sync and async, guarded and read the same way by every `Runner`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import anyio

import resilience
from resilience.clock import current_clock
from resilience.events import Event, RetryScheduled
from resilience.testing import VirtualClock, virtual_time
from tests.runners import Runner, Takes


class Stream:
    """A generator function that plays one of *runs* each time it is called, and the record of its runs.

    In a run an exception is raised, a `Takes` takes its time, anything else is an item.
    """

    def __init__(self, runner: Runner, decorate: Callable[..., object], *runs: list[object]) -> None:
        self.runner = runner
        self.runs = iter(runs)
        self.begun = 0
        self.closed = 0
        self.events: list[Event] = []
        self.clock: VirtualClock | None = None

        def sync(*args: object) -> Iterator[object]:
            self.begun += 1
            try:
                for step in next(self.runs):
                    what = step
                    if isinstance(what, Takes):
                        current_clock().sleep(what.seconds)
                        what = what.step
                    if isinstance(what, BaseException):
                        raise what
                    yield what
            finally:
                self.closed += 1

        async def asynchronous(*args: object) -> AsyncIterator[object]:
            self.begun += 1
            try:
                for step in next(self.runs):
                    what = step
                    if isinstance(what, Takes):
                        await current_clock().sleep_async(what.seconds)
                        what = what.step
                    if isinstance(what, BaseException):
                        raise what
                    yield what
            finally:
                self.closed += 1

        self.guarded = decorate(asynchronous if runner.is_async else sync)

    @property
    def waits(self) -> list[float]:
        return [event.wait for event in self.events if isinstance(event, RetryScheduled)]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def read(self, *args: object, stop_after: int = 99, each: Callable[[], object] = lambda: None) -> list[object]:
        """Return the items, and the error that came after them if one did; *each* is done between items."""
        got: list[object] = []

        def take(item: object) -> bool:
            got.append(item)
            each()
            return len(got) == stop_after

        async def main() -> None:
            async with contextlib.aclosing(self.guarded(*args)) as items:
                async for item in items:
                    if take(item):
                        break

        with virtual_time(patience=5) as clock, resilience.subscribe(self.events.append):
            self.clock = clock
            try:
                if self.runner.is_async:
                    anyio.run(main, backend=self.runner.name)
                else:
                    with contextlib.closing(self.guarded(*args)) as items:
                        for item in items:
                            if take(item):
                                break
            except Exception as error:
                got.append(error)
        return got
