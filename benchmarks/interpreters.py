"""Finds other interpreters, and runs the command on each, in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["VERSIONS", "find", "run"]

VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
_ROOT = Path(__file__).parent.parent
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def run(versions: Sequence[str], arguments: Sequence[str]) -> int:
    """Run ``python -m benchmarks`` with *arguments* on each of *versions* that is found, one after the other.

    Each writes its own results, so that an interrupted run keeps those it has. Return 1 if one failed, 2 if none of
    *versions* was found, else 0.
    """
    uv = _uv()
    if uv is None:
        _log(f"uv is not found, which makes environments: there is only the interpreter this runs on, Python {_HERE}")
    found = {version: python for version in versions if (python := find(version, uv))}
    missing = [version for version in versions if version not in found]
    _log(f"measured on Python {', '.join(found) or '-'}; not found: {', '.join(missing) or '-'}")
    if not found:
        return 2
    codes = [_measure(version, python, uv, arguments) for version, python in found.items()]
    return int(any(codes))


def find(version: str, uv: str | None) -> str | None:
    """Return the path of an interpreter: the running one, one of pyenv's, or one that *uv* finds.

    None if there is none. Without *uv*, which makes the environments, only the running one is found.
    """
    if version == _HERE:
        return sys.executable
    return uv and (_from_pyenv(version) or _from_uv(version, uv))


def _from_pyenv(version: str) -> str | None:
    # On the disk, not by name: the shims of versions that are not active fail.
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    of_version = re.compile(rf"{re.escape(version)}\.(\d+)")
    installed = [(int(name[1]), path) for path in root.glob("versions/*") if (name := of_version.fullmatch(path.name))]
    for _, path in sorted(installed, reverse=True):
        python = path / "bin" / f"python{version}"
        if python.exists():
            return str(python)
    return None


def _from_uv(version: str, uv: str) -> str | None:
    # --system: no environment, neither the active one nor that of this directory.
    command = [uv, "python", "find", "--no-project", "--system", version]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT, env=_environment())
    return done.stdout.strip() or None if done.returncode == 0 else None


def _measure(version: str, python: str, uv: str | None, arguments: Sequence[str]) -> int:
    """Run the command on one interpreter, in a temporary environment; return its exit status."""
    if version == _HERE or uv is None:
        return _run_benchmarks(python, arguments)
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as environment:
        _log(f"Python {version}: making its environment")
        variables = _environment() | {"UV_PROJECT_ENVIRONMENT": environment}
        command = [uv, "sync", "--locked", "--python", python]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT, env=variables)
        if done.returncode:
            _log(f"Python {version} is left out, since it has no environment:\n{done.stderr.strip()}")
            return 1
        inside = Path(environment, "Scripts" if os.name == "nt" else "bin", "python")
        return _run_benchmarks(str(inside), arguments)


def _run_benchmarks(python: str, arguments: Sequence[str]) -> int:
    return subprocess.run(
        [python, "-m", "benchmarks", *arguments], check=False, cwd=_ROOT, env=_environment()
    ).returncode


def _environment() -> dict[str, str]:
    """Return the variables of a child without an active environment; it must not download an interpreter."""
    variables = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "UV_PYTHON")}
    return variables | {"UV_PYTHON_DOWNLOADS": "never"}


def _uv() -> str | None:
    # `uv run` sets UV.
    return os.environ.get("UV") or shutil.which("uv")


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
