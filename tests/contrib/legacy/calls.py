"""Calls through the shims in virtual time, on one of the event loops."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

import anyio

import resilience
from resilience.events import Event, RetryScheduled
from resilience.testing import virtual_time

UNSET = object()


class Script:
    """A function without arguments that does one step a call, the last one again and again; async or sync."""

    def __init__(self, *steps: object) -> None:
        self.steps = list(steps)
        self.calls = 0

    def __call__(self) -> object:
        step = self.steps[min(self.calls, len(self.steps) - 1)]
        self.calls += 1
        if isinstance(step, BaseException):
            raise step
        return step

    async def asynchronously(self) -> object:
        await anyio.lowlevel.checkpoint()
        return self()


@dataclasses.dataclass
class Story:
    answer: object = UNSET
    calls: int = 0
    seconds: float = 0.0
    events: list[Event] = dataclasses.field(default_factory=list)

    @property
    def waits(self) -> list[float]:
        return [event.wait for event in self.events if isinstance(event, RetryScheduled)]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]


def play(
    retry: Callable[..., Awaitable[object]],
    *steps: object,
    backend: str = "asyncio",
    is_async: bool = True,
    seed: int = 0,
    **parameters: object,
) -> Story:
    """Have *retry* call a function that does *steps*."""
    story = Story()
    script = Script(*steps)

    async def main() -> None:
        try:
            story.answer = await retry(script.asynchronously if is_async else script, **parameters)
        except Exception as error:
            story.answer = error

    with virtual_time(seed=seed, patience=5) as clock, resilience.subscribe(story.events.append):
        anyio.run(main, backend=backend)
        story.seconds = clock.now()
    story.calls = script.calls
    return story
