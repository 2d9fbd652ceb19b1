"""Time of an import in a fresh process, and the modules it imports."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from benchmarks.candidate import candidates
from benchmarks.measure import Measurement, Progress, Sampler, Settings, sample_in_turn
from benchmarks.outcome import CaseResult, rows

__all__ = ["Importing"]

# tenacity and pybreaker import tornado if it is installed, for its coroutines, which no case uses.
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
    """The time of the import statement, measured in the child process, and the number of modules it imports."""

    name: str = "import"
    group: str = "import"
    label: str = "time, with bytecode cached"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""
        modules: dict[str, float] = {}
        samplers: dict[str, Sampler] = {}
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
            measurements, failures = sample_in_turn(samplers, _REFERENCE, settings.slow_rounds, progress)
        failed |= failures
        counted = {row: Measurement((modules[row],), (modules[_REFERENCE],)) for row in measurements}
        name = f"{self.name}-modules"
        times = rows(self.name, measurements, failed, 1000)
        return [
            CaseResult(self.name, self.group, self.label, "ms", _REFERENCE, times, left_out),
            CaseResult(
                name, self.group, "modules imported", "modules", _REFERENCE, rows(name, counted, failed), left_out
            ),
        ]


def _environment(cache: str) -> dict[str, str]:
    """Return the variables of a child with its bytecode in *cache*, so that only the first child compiles."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return variables | {"PYTHONPYCACHEPREFIX": cache}


def _sampler(statement: str, environment: dict[str, str]) -> Sampler:
    return lambda: _child(statement, environment)[0]


def _child(statement: str, environment: dict[str, str]) -> tuple[float, int]:
    # -P: from where it is installed, not from where the command was started.
    command = [sys.executable, "-P", "-c", _CHILD.format(statement=statement)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    seconds, modules = done.stdout.split()
    return float(seconds), int(modules)
