"""Other interpreters: where they are, an environment for each, and the same command run in it."""

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

    Each writes what it found by itself, so that an interrupted run keeps what it has. Return 0 when all went well, 1
    when one did not, 2 when none of them was found.
    """
    uv = _uv()
    if uv is None:
        _say(f"uv is not found, which makes environments: there is only the interpreter this runs on, Python {_HERE}")
    found = {version: python for version in versions if (python := find(version, uv))}
    missing = [version for version in versions if version not in found]
    _say(f"measured on Python {', '.join(found) or '-'}; not found: {', '.join(missing) or '-'}")
    if not found:
        return 2
    codes = [_measure(version, python, uv, arguments) for version, python in found.items()]
    return int(any(codes))


def find(version: str, uv: str | None) -> str | None:
    """Return the path of an interpreter: the running one, one that pyenv keeps, or what *uv* finds.

    None where there is none, and for every other than the running one where there is no *uv* to make its environment.
    """
    if version == _HERE:
        return sys.executable
    return uv and (_kept_by_pyenv(version) or _found_by_uv(version, uv))


def _kept_by_pyenv(version: str) -> str | None:
    # Looked for on the disk: those that are not switched on are shims, which answer with an error.
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    of_version = re.compile(rf"{re.escape(version)}\.(\d+)")
    kept = [(int(name[1]), path) for path in root.glob("versions/*") if (name := of_version.fullmatch(path.name))]
    for _, path in sorted(kept, reverse=True):
        python = path / "bin" / f"python{version}"
        if python.exists():
            return str(python)
    return None


def _found_by_uv(version: str, uv: str) -> str | None:
    # --system: not the environment of this directory, or one that is switched on.
    command = [uv, "python", "find", "--no-project", "--system", version]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT, env=_environment())
    return done.stdout.strip() or None if done.returncode == 0 else None


def _measure(version: str, python: str, uv: str | None, arguments: Sequence[str]) -> int:
    """Run the command on one interpreter, in an environment that goes away with it; return its exit status."""
    if version == _HERE or uv is None:
        return _command(python, arguments)
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as environment:
        _say(f"Python {version}: making its environment")
        variables = _environment() | {"UV_PROJECT_ENVIRONMENT": environment}
        command = [uv, "sync", "--locked", "--python", python]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT, env=variables)
        if done.returncode:
            _say(f"Python {version} is left out, since it has no environment:\n{done.stderr.strip()}")
            return 1
        inside = Path(environment, "Scripts" if os.name == "nt" else "bin", "python")
        return _command(str(inside), arguments)


def _command(python: str, arguments: Sequence[str]) -> int:
    return subprocess.run(
        [python, "-m", "benchmarks", *arguments], check=False, cwd=_ROOT, env=_environment()
    ).returncode


def _environment() -> dict[str, str]:
    """Return the variables of a child, which is in no environment yet and must not fetch an interpreter."""
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "UV_PYTHON")}
    return kept | {"UV_PYTHON_DOWNLOADS": "never"}


def _uv() -> str | None:
    # `uv run` says where it is.
    return os.environ.get("UV") or shutil.which("uv")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
