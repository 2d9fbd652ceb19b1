"""A program that PyInstaller has frozen: what is imported by name is there. Needs PyInstaller (group ``libraries``)."""

from __future__ import annotations

import pathlib
import runpy
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import resilience
from resilience._pyinstaller import hook_directories

PROGRAM = """
import sys
import resilience
from resilience import CircuitOpenError, circuit_breaker, classify, explain, fallback, retry_on_category, timeout

@fallback(default="other")
@retry_on_category(attempts=3, base_delay=0)
@circuit_breaker("frozen", failure_threshold=2)
@timeout(5)
def fetch():
    raise ConnectionResetError

print(fetch())
for name in resilience.__all__:
    getattr(resilience, name)
for package in PACKAGES:
    for name in getattr(getattr(resilience, package), "__all__", ()):
        getattr(getattr(resilience, package), name)
print(len(resilience.classification.libraries.known_libraries()) > 100)
try:
    1 / 0
except ZeroDivisionError as error:
    print(resilience.report.ErrorReport.from_exception(error).category.label)
try:
    resilience.execution.SubprocessExecutor()
except Exception as error:
    print(type(error).__name__, error)
with resilience.execution.SubprocessExecutor(python=sys.argv[1]) as executor:
    print(executor.execute_sync("1 + 1").execution_result.return_value)
"""


def installed_beside() -> list[str]:
    """Return the modules of all that is installed but what resilience requires: PyInstaller would take minutes."""
    required, todo = set[str](), ["category-resilience"]
    while todo:
        name = canonicalize_name(todo.pop())
        if name not in required:
            required.add(name)
            needs = map(Requirement, metadata.requires(name) or ())
            todo += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return [
        module
        for module, names in metadata.packages_distributions().items()
        if module.isidentifier() and not required & set(map(canonicalize_name, names))
    ]


def test_the_hook_is_where_pyinstaller_looks_for_it():
    (directory,) = hook_directories()
    assert (pathlib.Path(directory) / "hook-resilience.py").is_file()


def test_pytest_is_no_part_of_a_frozen_program_that_has_the_helpers_for_tests():
    pytest.importorskip("PyInstaller")
    found = runpy.run_path(f"{hook_directories()[0]}/hook-resilience.py")["hiddenimports"]
    assert "resilience.testing._faults" in found
    assert "resilience.testing._pytest_plugin" not in found


def test_a_frozen_program_has_all_that_is_imported_by_name(tmp_path: pathlib.Path):
    pytest.importorskip("PyInstaller")
    packages = sorted(resilience._SUBMODULES - {"contrib"})
    (tmp_path / "program.py").write_text(PROGRAM.replace("PACKAGES", repr(packages)))
    excluded = [f"--exclude-module={name}" for name in installed_beside()]
    build = [sys.executable, "-m", "PyInstaller", "--onedir", "--noconfirm", "--log-level", "ERROR", "program.py"]
    subprocess.run([*build, *excluded], cwd=tmp_path, check=True, timeout=600)
    run = [str(tmp_path / "dist" / "program" / "program"), sys.executable]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "other",
        "True",
        "unknown",
        (
            "ContainerConfigurationError python=None: the executable of a frozen application is no interpreter, and"
            " would start it once more; give the path of a Python"
        ),
        "2",
    ]
