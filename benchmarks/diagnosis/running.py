"""Runs of a program in this process, each in a fresh directory and under a file name of its own."""

from __future__ import annotations

import contextlib
import io
import itertools
import linecache
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Run", "directory", "run"]

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Run:
    """The end of a program: what it printed, and what it raised."""

    stdout: str
    stderr: str
    error: BaseException | None
    path: str

    @property
    def succeeded(self) -> bool:
        """Whether it came to its end."""
        return self.error is None


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """Make a directory the working directory for a while."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="diagnosis-") as name:
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)


def run(code: str) -> Run:
    """Run a program as a file in the working directory."""
    path = Path.cwd() / f"program{next(_numbers)}.py"
    path.write_text(code, "utf-8")
    linecache.checkcache(str(path))
    out, err = io.StringIO(), io.StringIO()
    arguments, modules = sys.argv, dict(sys.modules)
    sys.argv = [str(path)]
    error: BaseException | None = None
    main = sys.modules["__main__"]
    names: dict[str, object] = {"__name__": "__main__", "__file__": str(path)}
    program = type(sys)("__main__")
    vars(program).update(names)
    sys.modules["__main__"] = program
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                exec(compile(code, str(path), "exec", dont_inherit=True), vars(program))  # noqa: S102
            except BaseException as raised:  # noqa: BLE001 - SystemExit is an end of a program, too
                error = _own(raised)
    finally:
        sys.argv = arguments
        sys.modules["__main__"] = main
        for name in set(sys.modules) - set(modules):
            if name.startswith("program"):
                del sys.modules[name]
    if isinstance(error, SystemExit) and error.code in (None, 0):
        error = None
    return Run(out.getvalue(), err.getvalue(), error, str(path))


def _own(error: BaseException) -> BaseException:
    """Return an exception without the frame of this module."""
    traceback = error.__traceback__
    return error.with_traceback(traceback.tb_next if traceback is not None else None)
