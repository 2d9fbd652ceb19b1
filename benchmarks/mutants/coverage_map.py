"""The coverage map: which tests execute which line, and how long each test takes.

`record` runs the tests once in a process of their own, where `sys.monitoring` reports each line once for each test;
`CoverageMap` reads the lines that it has written. No lock and no trace function is involved, for some tests interrupt
code anywhere, and trace it themselves.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any, Final

import pytest

__all__ = ["CoverageMap", "environment", "record"]

_monitoring: Any = getattr(sys, "monitoring", None)
"""None before Python 3.12."""
_LINES: Final = "lines.jsonl"
_PYTEST: Final = ["-q", "-n0", "-p", "no:cacheprovider"]


class CoverageMap:
    """The tests of each line, read from the folder that `record` has written."""

    def __init__(self, folder: Path) -> None:
        #: The processor time of each test that passed, by its id.
        self.seconds: dict[str, float] = {}
        #: For each file the tests that execute any of its lines, and a set of bits with a one for each such line.
        self._executed: dict[str, dict[str, int]] = defaultdict(dict)
        with (folder / _LINES).open(encoding="utf-8") as rows:
            for test, seconds, files in map(json.loads, rows):
                self.seconds[test] = seconds
                for path, lines in files.items():
                    self._executed[path][test] = int(lines, 16)

    def tests(self, path: str, lines: tuple[int, int] | None) -> dict[str, int]:
        """Return the tests that execute any of *lines* of a file, with how many lines of the file they execute.

        Without *lines*, return the tests that execute any line of it.
        """
        first, last = lines or (0, 0)
        wanted = ((1 << last - first + 1) - 1) << first if lines else -1
        executed = self._executed[path].items()
        return {test: bits.bit_count() for test, bits in executed if bits & wanted}


def record(tree: Path, folder: Path, tests: Sequence[str], sources: Sequence[str]) -> None:
    """Run *tests* in *tree*, and write into *folder* which of them execute which lines below *sources*.

    Raises:
        RuntimeError: pytest could not run the tests. Tests that fail are left out of the map.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", __name__, str(folder), json.dumps(list(sources)), *_PYTEST, *tests]
    status = subprocess.run(command, cwd=tree, env=environment(tree), check=False).returncode  # noqa: S603
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise RuntimeError(f"pytest ended with status {status} while it recorded which tests execute which lines")


def environment(tree: Path) -> dict[str, str]:
    """Return the environment in which processes import the package from *tree*."""
    return os.environ | {"PYTHONPATH": str(tree)}


class _ExecutedLines:
    """Has the interpreter report the lines of some files: each is in `lines` once, until they are taken out."""

    def __init__(self, tree: Path, sources: Sequence[str]) -> None:
        self._tree = f"{tree}/"
        self._wanted = tuple(str(tree / source) for source in sources)
        self.lines: set[tuple[str, int]] = set()

    def start(self) -> None:
        """Begin to report."""
        events = _monitoring.events
        _monitoring.use_tool_id(_monitoring.COVERAGE_ID, "mutants")
        _monitoring.register_callback(_monitoring.COVERAGE_ID, events.PY_START, self._started)
        _monitoring.register_callback(_monitoring.COVERAGE_ID, events.LINE, self._reached)
        _monitoring.set_events(_monitoring.COVERAGE_ID, events.PY_START)

    def stop(self) -> None:
        """Report nothing more."""
        _monitoring.free_tool_id(_monitoring.COVERAGE_ID)

    def take(self) -> dict[str, int]:
        """Return the lines since the last time, by file, each a set of bits, and begin anew."""
        taken, self.lines = self.lines, set()
        _monitoring.restart_events()
        found: dict[str, int] = defaultdict(int)
        for file, line in taken:
            found[file.removeprefix(self._tree)] |= 1 << line
        return dict(found)

    def _started(self, code: CodeType, _: int) -> object:
        if code.co_filename.startswith(self._wanted):
            _monitoring.set_local_events(_monitoring.COVERAGE_ID, code, _monitoring.events.LINE)
        return _monitoring.DISABLE

    def _reached(self, code: CodeType, line: int) -> object:
        self.lines.add((code.co_filename, line))
        return _monitoring.DISABLE


class _Recorder:
    """The plugin of pytest that writes a row for each test that passes: its id, its processor time and its lines."""

    def __init__(self, executed: _ExecutedLines, to: Path) -> None:
        self._executed = executed
        self._failed: set[str] = set()
        self._rows = to.open("w", encoding="utf-8")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._executed.take()
        began = time.process_time()
        try:
            return (yield)
        finally:
            seconds = round(time.process_time() - began, 4)
            lines = {file: f"{bits:x}" for file, bits in self._executed.take().items()}
            if item.nodeid not in self._failed:
                self._rows.write(f"{json.dumps([item.nodeid, seconds, lines])}\n")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed":
            self._failed.add(report.nodeid)

    def pytest_unconfigure(self) -> None:
        self._rows.close()


def _main(folder: Path, sources: Sequence[str], arguments: Sequence[str]) -> int:
    executed = _ExecutedLines(Path.cwd(), sources)
    executed.start()
    try:
        status = pytest.main([*arguments], plugins=[_Recorder(executed, folder / _LINES)])
    finally:
        executed.stop()
    return int(status)


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]))
