"""Scenarios, the verdicts on a library, and how a scenario is run in each style of calls."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable

from benchmarks.half_open.circuit import CircuitUnderTest
from benchmarks.half_open.terms import BLOCKS, TASKS, THREADS, Library, NotApplicable, Settings, Violation

__all__ = ["ERROR", "NOT_APPLICABLE", "RIGHT", "WRONG", "Cell", "Finding", "Scenario", "scenario"]

RIGHT, WRONG, NOT_APPLICABLE, ERROR = "right", "wrong", "-", "error"


@dataclasses.dataclass(frozen=True)
class Finding:
    """The verdict on one style of calls, and the reason: what happened, or why the scenario does not apply."""

    style: str
    verdict: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Cell:
    """The verdicts on a library in one scenario."""

    library: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """The worst verdict; `-` if the scenario applies to no style."""
        found = {finding.verdict for finding in self.findings}
        return next((verdict for verdict in (ERROR, WRONG, RIGHT) if verdict in found), NOT_APPLICABLE)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One bug, and the steps that show whether a library has it."""

    title: str
    steps: Callable[[CircuitUnderTest], None]
    styles: tuple[str, ...]
    settings: Settings
    #: Whether it is about decorators alone, so that a style with a reason in `STYLES` is judged too.
    decorating: bool

    @property
    def name(self) -> str:
        """The name in results and in `LACKS`."""
        return self.steps.__name__.replace("_", "-")

    @property
    def expected(self) -> str:
        """What a right circuit does."""
        return inspect.cleandoc(self.steps.__doc__ or "")

    def run(self, library: Library) -> Cell:
        """Run it in every style that *library* offers."""
        if self.name in library.LACKS:
            return Cell(library.NAME, (Finding("", NOT_APPLICABLE, library.LACKS[self.name]),))
        return Cell(library.NAME, tuple(self._findings(library)))

    def _findings(self, library: Library) -> Iterable[Finding]:
        for style in self.styles:
            if style not in library.STYLES:
                yield Finding(style, NOT_APPLICABLE, library.LACKS[style])
            elif library.STYLES[style] and not self.decorating:
                yield Finding(style, NOT_APPLICABLE, library.STYLES[style])
            else:
                yield Finding(style, *self._verdict(library, style))

    def _verdict(self, library: Library, style: str) -> tuple[str, str]:
        try:
            with CircuitUnderTest(library, style, self.settings).prepared() as circuit:
                self.steps(circuit)
        except Violation as found:
            return WRONG, str(found)
        except NotApplicable as reason:
            return NOT_APPLICABLE, str(reason)
        except Exception as error:  # a SetupError, or a bug in the scenario or the library's file
            return ERROR, f"{type(error).__name__}: {error}"
        return RIGHT, ""


def scenario(
    title: str,
    *,
    styles: tuple[str, ...] = (THREADS, BLOCKS, TASKS),
    decorating: bool = False,
    **settings: object,
) -> Callable[[Callable[[CircuitUnderTest], None]], Scenario]:
    """Make a scenario of a function with its steps, whose docstring is what a right circuit does."""
    wanted = Settings(**settings)  # type: ignore[arg-type]  # the parameters of Settings
    return lambda steps: Scenario(title, steps, styles, wanted, decorating)
