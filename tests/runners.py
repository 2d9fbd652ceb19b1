"""`Runner`: plays one scenario sync, on asyncio and on trio.

The fixture `runner` runs a test three times. Each time the same script of a dependency is played behind the same
policies, in virtual time, and the `Story` has the answers, the events and the waits to assert on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import anyio

import resilience
from resilience.clock import current_clock
from resilience.events import Event, RetryScheduled
from resilience.testing import VirtualClock, virtual_time

RUNNERS = ("sync", "asyncio", "trio")


class Takes:
    """A step of a script: let *seconds* of virtual time pass, then do *step*."""

    def __init__(self, seconds: float, step: object = "done") -> None:
        self.seconds = seconds
        self.step = step


@dataclasses.dataclass
class Story:
    """The record of a played script: answers of the calls, how often the dependency was reached, events, the clock."""

    answers: list[object] = dataclasses.field(default_factory=list)
    reached: int = 0
    events: list[Event] = dataclasses.field(default_factory=list)
    clock: VirtualClock | None = None

    @property
    def answer(self) -> object:
        (only,) = self.answers
        return only

    @property
    def waits(self) -> list[float]:
        return [event.wait for event in self.events if isinstance(event, RetryScheduled)]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    @property
    def now(self) -> float:
        assert self.clock is not None
        return self.clock.now()


class Runner:
    """Runs calls in one of the three ways: sync, or on an event loop of asyncio or trio."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    @property
    def is_async(self) -> bool:
        return self.name != "sync"

    def play(
        self,
        decorate: Callable[..., object],
        *script: object,
        pauses: tuple[float, ...] = (),
        patience: float = 5,
    ) -> Story:
        """Call what *decorate* makes of a function that does the steps of *script*, one a call.

        An exception is raised, a `Takes` takes its time, anything else is returned. Called once, and once more after
        each of *pauses* seconds. An answer is what came back, or the exception that did. *patience* is that of the
        virtual clock: small where the call is known to hang.
        """
        story = Story()
        steps = iter(script)

        def step() -> object:
            story.reached += 1
            return next(steps, "script over")

        def do(what: object) -> object:
            if isinstance(what, BaseException):
                raise what
            return what

        if self.is_async:

            async def dependency(*args: object, **kwargs: object) -> object:
                what = step()
                while isinstance(what, Takes):
                    await current_clock().sleep_async(what.seconds)
                    what = what.step
                return do(what)

        else:

            def dependency(*args: object, **kwargs: object) -> object:
                what = step()
                while isinstance(what, Takes):
                    current_clock().sleep(what.seconds)
                    what = what.step
                return do(what)

        guarded = decorate(dependency)

        def note(answer: object) -> None:
            story.answers.append(answer)

        async def drive_async() -> None:
            for pause in (0.0, *pauses):
                story.clock.advance(pause)
                try:
                    note(await guarded())
                except Exception as error:
                    note(error)

        with virtual_time(patience=patience) as clock, resilience.subscribe(story.events.append):
            story.clock = clock
            if self.is_async:
                anyio.run(drive_async, backend=self.name)
            else:
                for pause in (0.0, *pauses):
                    clock.advance(pause)
                    try:
                        note(guarded())
                    except Exception as error:
                        note(error)
        return story

    def run(self, sync: Callable[[], object], asynchronous: Callable[[], object]) -> object:
        """Run *sync* as it is, or *asynchronous* on the event loop."""
        return anyio.run(asynchronous, backend=self.name) if self.is_async else sync()
