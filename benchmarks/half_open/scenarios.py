"""What a scenario is, and running one."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable

from benchmarks.half_open.play import Play
from benchmarks.half_open.terms import BLOCKS, TASKS, THREADS, DoesNotApply, Library, Settings, Wrong

__all__ = ["ERROR", "NOT", "RIGHT", "WRONG", "Cell", "Finding", "Scenario", "scenario"]

RIGHT, WRONG, NOT, ERROR = "right", "wrong", "-", "error"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one way through a breaker came to: *what* happened, or why it does not apply."""

    road: str
    verdict: str
    what: str = ""


@dataclasses.dataclass(frozen=True)
class Cell:
    """What all ways through a breaker came to."""

    library: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """The worst of them; `-` where there is none."""
        found = {finding.verdict for finding in self.findings}
        return next((verdict for verdict in (ERROR, WRONG, RIGHT) if verdict in found), NOT)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One bug, and what shows whether a library has it."""

    title: str
    play: Callable[[Play], None]
    roads: tuple[str, ...]
    settings: Settings
    #: Whether it is about what a decorator makes of a function, whatever else works.
    decorating: bool

    @property
    def name(self) -> str:
        return self.play.__name__.replace("_", "-")

    @property
    def right(self) -> str:
        """What must happen."""
        return inspect.cleandoc(self.play.__doc__ or "")

    def run(self, library: Library) -> Cell:
        """Run it every way *library* offers."""
        if self.name in library.LACKS:
            return Cell(library.NAME, (Finding("", NOT, library.LACKS[self.name]),))
        return Cell(library.NAME, tuple(self._findings(library)))

    def _findings(self, library: Library) -> Iterable[Finding]:
        for road in self.roads:
            if road not in library.ROADS:
                yield Finding(road, NOT, library.LACKS[road])
            elif library.ROADS[road] and not self.decorating:
                yield Finding(road, NOT, library.ROADS[road])
            else:
                yield Finding(road, *self._play(library, road))

    def _play(self, library: Library, road: str) -> tuple[str, str]:
        try:
            with Play(library, road, self.settings).on() as play:
                self.play(play)
        except Wrong as found:
            return WRONG, str(found)
        except DoesNotApply as reason:
            return NOT, str(reason)
        except Exception as error:  # a SetupError, or a mistake in the scenario or the library's file
            return ERROR, f"{type(error).__name__}: {error}"
        return RIGHT, ""


def scenario(
    title: str,
    *,
    roads: tuple[str, ...] = (THREADS, BLOCKS, TASKS),
    decorating: bool = False,
    **settings: object,
) -> Callable[[Callable[[Play], None]], Scenario]:
    """Make a scenario of a function whose docstring says what must happen."""
    wanted = Settings(**settings)  # type: ignore[arg-type]  # the parameters of Settings
    return lambda play: Scenario(title, play, roads, wanted, decorating)
