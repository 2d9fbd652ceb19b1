"""Run the cases under callgrind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.instructions.cases import SIDES, Case
from benchmarks.instructions.dumps import MARK, DumpError, per_call

__all__ = ["Count", "CountingError", "ValgrindMissingError", "count", "valgrind_version"]

_ROOT = Path(__file__).parents[2]
_CHILD = (sys.executable, "-m", "benchmarks.instructions.child")
#: Seconds after which something hangs. It usually takes a quarter of a minute.
_PATIENCE = 600.0


class CountingError(Exception):
    """A side does not do what its case says, or could not be counted."""


class ValgrindMissingError(Exception):
    """There is no valgrind."""

    def __init__(self) -> None:
        super().__init__("valgrind is not on PATH. On Debian and Ubuntu: apt-get install valgrind")


@dataclass(frozen=True)
class Count:
    """Instructions per call, of ours and of the reference."""

    case: Case
    ours: float
    reference: float

    @property
    def ratio(self) -> float:
        """How many times the instructions of the reference ours takes."""
        return self.ours / self.reference


def valgrind_version() -> str:
    """Return the version of valgrind, or raise ValgrindMissingError."""
    return subprocess.run([_valgrind(), "--version"], capture_output=True, text=True, check=True).stdout.strip()


def count(cases: Sequence[Case], progress: Callable[[str], None], *, seed: int = 0) -> list[Count]:
    """Count the instructions of *cases*, after seeing without valgrind that they do what they say.

    *seed* is that of Python's hashes. With another one the objects of the interpreter lie elsewhere in memory, which
    changes a count a little. Now and then it changes it by a fifth: two methods that a call uses in turn then share an
    entry of CPython's cache of methods.
    """
    valgrind = _valgrind()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        environment = _environment(directory / "bytecode", seed)
        names = [case.name for case in cases]
        progress("verifying")
        _reports([*_CHILD, "--verify", *names], environment, directory, len(cases), progress)
        counting = [
            valgrind,
            "--tool=callgrind",
            "--quiet",
            f"--log-file={directory}/valgrind.%p",
            f"--callgrind-out-file={directory}/callgrind.%p",
            f"--dump-before={MARK}",
            *_CHILD,
            f"--jobs={min(os.cpu_count() or 1, 8)}",
            *names,
        ]
        progress("importing")
        found = _reports(counting, environment, directory, len(SIDES) * len(cases), progress)
        try:
            return [_counted(case, found, directory) for case in cases]
        except DumpError as error:
            raise CountingError(str(error)) from None


def _valgrind() -> str:
    found = shutil.which("valgrind")
    if found is None:
        raise ValgrindMissingError
    return found


def _environment(bytecode: Path, seed: int) -> dict[str, str]:
    """Return the variables of the children: no hashes or options from outside, no compiling while it counts."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") or name in {"PYTHONPATH", "PYTHONHOME"}
    }
    return kept | {"PYTHONHASHSEED": str(seed), "PYTHONPYCACHEPREFIX": str(bytecode)}


def _reports(
    command: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    expected: int,
    progress: Callable[[str], None],
) -> dict[tuple[str, str], int]:
    """Run *command*, which reports *expected* times; return which process counted what."""
    found: dict[tuple[str, str], int] = {}
    problems = []
    errors = directory / "stderr"
    with errors.open("w") as stderr, _started(command, environment, stderr.fileno()) as process:
        assert process.stdout is not None
        for line in process.stdout:
            report = json.loads(line)
            what = f"{report['case']}, {report['side']}"
            if report["problem"] is not None:
                problems.append(f"{what}: {report['problem']}")
            found[report["case"], report["side"]] = report["pid"]
            progress(f"[{len(found)}/{expected}] {what}")
    if problems:
        raise CountingError("\n".join(problems))
    if process.returncode or len(found) != expected:
        said = [path.read_text(errors="replace") for path in (errors, *sorted(directory.glob("valgrind.*")))]
        ended = f"{Path(command[0]).name} ended with {process.returncode}, {len(found)} of {expected} done"
        raise CountingError("\n".join([ended, *(text.strip()[-2000:] for text in said if text.strip())]))
    return found


@contextlib.contextmanager
def _started(command: Sequence[str], environment: Mapping[str, str], stderr: int) -> Iterator[subprocess.Popen[str]]:
    """Run *command* in a group of its own, which is gone after the block."""
    process = subprocess.Popen(
        command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
    )

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    patience = threading.Timer(_PATIENCE, end)
    patience.start()
    try:
        with process:
            try:
                yield process
            except BaseException:
                end()
                raise
    finally:
        patience.cancel()


def _counted(case: Case, found: Mapping[tuple[str, str], int], directory: Path) -> Count:
    ours, reference = (per_call(directory, found[case.name, side], case.calls) for side in SIDES)
    return Count(case, ours, reference)
