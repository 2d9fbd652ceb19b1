"""Trials: the tests near a mutant run against it, each time in a forked child that imports the package anew.

The mistake is written into the file, where processes that a test starts find it too.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from benchmarks.mutants.coverage_map import CoverageMap
from benchmarks.mutants.mutations import Mutation, mutated

__all__ = ["Selection", "Trials", "Verdict", "nearest"]

_FIRST_FILES: Final = 6
_FIRST_SECONDS: Final = 10.0
_SLOWEST: Final = 2.0
"""Seconds: a slower test is not among the first."""
_MEMORY: Final = 6 << 30
"""Bytes of address space: a mutant may fill a list for ever."""
_UNREWRITTEN: Final = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
"""Plugins of pytest that the parent has imported are no reason to warn."""
_ENDED_BY_A_SIGNAL: Final = 128


class Selection(NamedTuple):
    """Tests to run, the nearest first, and the seconds that they take without a mutant."""

    tests: tuple[str, ...]
    seconds: float

    @classmethod
    def of(cls, tests: Collection[str], seconds: Mapping[str, float]) -> Selection:
        """Return the selection of *tests*, of which *seconds* has how long each takes."""
        return cls(tuple(tests), sum(seconds[test] for test in tests))


class Verdict(NamedTuple):
    """The end of a trial."""

    killed: bool
    #: The test that failed, or else the reason: ``timeout``, ``no import``.
    by: str
    #: How many tests were there to run.
    tests: int
    seconds: float


def nearest(coverage_map: CoverageMap, mutation: Mutation) -> tuple[Selection, Selection]:
    """Return the tests that execute the mutation: a quick choice of the nearest, and all others.

    The nearest files are those whose tests execute most lines of the mutated file. A line that is executed when the
    module is imported belongs to all tests of the file, or to all that there are where no test executes a line of it.
    """
    seconds = coverage_map.seconds
    reached = coverage_map.tests(mutation.path, None if mutation.at_import else mutation.lines)
    if mutation.at_import and not reached:
        reached = dict.fromkeys(seconds, 0)
    by_file: dict[str, list[str]] = {}
    for test in sorted(reached, key=lambda test: (-reached[test], seconds[test], test)):
        by_file.setdefault(test.partition("::")[0], []).append(test)
    first: list[str] = []
    rest: list[str] = []
    spent = 0.0
    for number, tests in enumerate(by_file.values()):
        for test in tests:
            near = number < _FIRST_FILES and spent < _FIRST_SECONDS and seconds[test] < _SLOWEST
            (first if near else rest).append(test)
            spent += seconds[test] if near else 0.0
    return Selection.of(first, seconds), Selection.of(rest, seconds)


class _Chosen:
    """The plugin of pytest that keeps the chosen tests, the nearest first, and writes the first that fails."""

    def __init__(self, tests: Sequence[str], to: int) -> None:
        self._places = {test: place for place, test in enumerate(tests)}
        self._to = to

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._places]
        items.sort(key=lambda item: self._places[item.nodeid])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            os.write(self._to, f"no import: {report.nodeid}\n".encode())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os.write(self._to, f"{report.nodeid}\n".encode())


class Trials:
    """Runs tests against mutants of *tree*, the current folder of this process, which has imported pytest and no more.

    It must not import ahead what the tests need: asyncio, for one, does not work in a child after some libraries.
    """

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._number = 0

    @contextlib.contextmanager
    def mistake(self, mutation: Mutation) -> Iterator[None]:
        """Have the file of *mutation* hold the mistake for as long as the block lasts."""
        file = self._tree / mutation.path
        source, before = file.read_text("utf-8"), file.stat()
        self._number += 1
        file.write_text(mutated(source, mutation), "utf-8")
        # Cached bytecode is known by the time and the size of its source: each mutant has a time of its own.
        os.utime(file, (0, before.st_mtime + self._number))
        try:
            yield
        finally:
            file.write_text(source, "utf-8")
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    def run(self, selection: Selection) -> Verdict:
        """Run the tests in a child until one fails. One that takes far longer than before is killed."""
        if not selection.tests:
            return Verdict(killed=False, by="", tests=0, seconds=0.0)
        began = time.monotonic()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._run_in_child(selection, writing)
        os.close(writing)
        status = _wait(child, 120 + 30 * selection.seconds)
        with os.fdopen(reading, "rb") as said:
            by = said.read().decode().partition("\n")[0]  # a test may fail once more when it is torn down
        killed = status != pytest.ExitCode.OK
        if killed and not by:
            by = (
                "timeout" if status is None or status > _ENDED_BY_A_SIGNAL else f"no import: pytest ended with {status}"
            )
        return Verdict(killed, by, len(selection.tests), time.monotonic() - began)

    def _run_in_child(self, selection: Selection, writing: int) -> None:
        status = 70
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nowhere, descriptor)
            limit = int(60 + 10 * selection.seconds)
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            files = dict.fromkeys(test.partition("::")[0] for test in selection.tests)
            arguments = ["-q", "-x", "-n0", "-p", "no:cacheprovider", "-m", "", *_UNREWRITTEN, *files]
            status = int(pytest.main(arguments, plugins=[_Chosen(selection.tests, writing)]))
        finally:
            os._exit(status)


def _reason(status: int | None) -> str:
    """Return why a child that named no test has not ended well."""
    if status is None or status > _ENDED_BY_A_SIGNAL:
        return "timeout"
    return f"no import: pytest ended with {status}"


def _wait(child: int, seconds: float) -> int | None:
    """Return the exit status of *child*, above 128 if a signal ended it, or None if it took too long; end its group."""
    until = time.monotonic() + seconds
    status: int | None = None
    while status is None and time.monotonic() < until:
        ended, code = os.waitpid(child, os.WNOHANG)
        if ended:
            status = os.waitstatus_to_exitcode(code)
        else:
            time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
        return None
    return status if status >= 0 else _ENDED_BY_A_SIGNAL - status
