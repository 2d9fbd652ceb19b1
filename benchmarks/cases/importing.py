"""What an import costs a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from benchmarks.candidate import candidates
from benchmarks.measure import Progress, Sample, Settings, Taken, interleaved
from benchmarks.outcome import CaseResult, rows

__all__ = ["Importing"]

# tenacity and pybreaker import tornado where it is installed, for coroutines of its own: none of them needs it.
_CHILD = """
import sys, time
sys.modules["tornado"] = None
before = set(sys.modules)
start = time.perf_counter()
{statement}
print(time.perf_counter() - start, len(set(sys.modules) - before))
"""
_REFERENCE = "tenacity"


@dataclass(frozen=True)
class Importing:
    """The time of the import statement, taken inside the child process, and the modules it brings along."""

    name: str = "import"
    group: str = "import"
    label: str = "time, with bytecode cached"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""
        modules: dict[str, float] = {}
        samplers: dict[str, Sample] = {}
        failed: dict[str, str] = {}
        left_out: dict[str, str] = {}
        with tempfile.TemporaryDirectory() as cache:
            environment = _environment(cache)
            for candidate in candidates():
                if candidate.problem:
                    failed[candidate.name] = candidate.problem
                if candidate.unsupported:
                    left_out[candidate.name] = candidate.unsupported
                for row, statement in candidate.imports.items():
                    progress(f"importing {row}")
                    try:
                        _, modules[row] = _child(statement, environment)  # also writes the bytecode
                    except Exception as error:
                        failed[row] = f"{type(error).__name__}: {error}"
                    else:
                        samplers[row] = _sampler(statement, environment)
            taken, lost = interleaved(samplers, _REFERENCE, settings.slow_rounds, progress)
        failed |= lost
        counted = {row: Taken((modules[row],), (modules[_REFERENCE],)) for row in taken}
        name = f"{self.name}-modules"
        times = rows(self.name, taken, failed, 1000)
        return [
            CaseResult(self.name, self.group, self.label, "ms", _REFERENCE, times, left_out),
            CaseResult(
                name, self.group, "modules imported", "modules", _REFERENCE, rows(name, counted, failed), left_out
            ),
        ]


def _environment(cache: str) -> dict[str, str]:
    """Return the variables of a child that finds its bytecode in *cache*: compiling is paid once, not each time."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": cache}


def _sampler(statement: str, environment: dict[str, str]) -> Sample:
    return lambda: _child(statement, environment)[0]


def _child(statement: str, environment: dict[str, str]) -> tuple[float, int]:
    # -P: from where it is installed, not from where the command was started.
    command = [sys.executable, "-P", "-c", _CHILD.format(statement=statement)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    seconds, modules = done.stdout.split()
    return float(seconds), int(modules)
