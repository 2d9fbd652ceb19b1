"""The coverage map: which tests execute which line, and how long each test takes.

`record` runs the tests once under coverage in a process of their own; `CoverageMap` reads what that wrote.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import coverage
import pytest

__all__ = ["CoverageMap", "record"]

_LINES: Final = "lines.sqlite"
_SECONDS: Final = "seconds.json"
_MODULES: Final = "modules.json"
_PYTEST: Final = ["-q", "-n0", "-p", "no:cacheprovider"]


class CoverageMap:
    """The tests of each line, read from the folder that `record` has written."""

    def __init__(self, folder: Path) -> None:
        self._data = coverage.CoverageData(str(folder / _LINES))
        self._data.read()
        #: The processor time of each test that passed, by its id.
        self.seconds: dict[str, float] = json.loads((folder / _SECONDS).read_text("utf-8"))
        #: The names of the modules that the tests have imported.
        self.modules: list[str] = json.loads((folder / _MODULES).read_text("utf-8"))

    def tests(self, path: str, lines: tuple[int, int] | None) -> dict[str, int]:
        """Return the tests that execute any of *lines* of a file, with how many lines of the file they execute.

        Without *lines*, return the tests that execute any line of it.
        """
        by_line, counts = self._of_file(path)
        if lines is None:
            return counts
        first, last = lines
        chosen = {test for line in range(first, last + 1) for test in by_line.get(line, ())}
        return {test: counts[test] for test in chosen}

    @functools.lru_cache(maxsize=2)  # noqa: B019  # there is one map for each process
    def _of_file(self, path: str) -> tuple[dict[int, list[str]], dict[str, int]]:
        # It was recorded in a copy of the tree that may be gone.
        measured = next((file for file in self._data.measured_files() if file.endswith(f"/{path}")), path)
        by_line = self._data.contexts_by_lineno(measured)
        counts: dict[str, int] = defaultdict(int)
        for line, tests in by_line.items():
            by_line[line] = [test for test in tests if test in self.seconds]
            for test in by_line[line]:
                counts[test] += 1
        return by_line, dict(counts)


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


class _Recorder:
    """The plugin of pytest that names the test to coverage, and measures its processor time."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self._measured = measured
        self._failed: set[str] = set()
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._measured.switch_context(item.nodeid)
        tracing, began = sys.gettrace(), time.process_time()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = round(time.process_time() - began, 4)
            if sys.gettrace() is not tracing:
                sys.settrace(tracing)
            self._measured.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed":
            self._failed.add(report.nodeid)

    def passed(self) -> dict[str, float]:
        """Return the seconds of the tests that passed."""
        return {test: seconds for test, seconds in self.seconds.items() if test not in self._failed}


def _main(folder: Path, sources: Sequence[str], arguments: Sequence[str]) -> int:
    paths = [str(Path(source).resolve()) for source in sources]
    include = [*paths, *(f"{path}/*" for path in paths)]
    measured = coverage.Coverage(data_file=str(folder / _LINES), config_file=False, include=include, messages=False)
    measured.erase()
    recorder = _Recorder(measured)
    measured.start()
    try:
        status = pytest.main([*arguments], plugins=[recorder])
    finally:
        measured.stop()
        measured.save()
    (folder / _SECONDS).write_text(json.dumps(recorder.passed()), "utf-8")
    (folder / _MODULES).write_text(json.dumps(sorted(sys.modules)), "utf-8")
    return int(status)


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]))
