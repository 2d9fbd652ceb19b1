"""Tests that are marked slow run when they are asked for, and never in silence otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each starts pytest

ROOT = Path(__file__).parent.parent
SLOW = "tests/integrations/test_prometheus_multiprocess.py"
QUICK = "tests/integrations/test_prometheus.py"


def collected(*arguments: str) -> tuple[set[str], str]:
    """Return the files that pytest would run tests of, and all that it prints."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", *arguments]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return {line.partition("::")[0] for line in printed.splitlines() if "::" in line}, printed


def test_a_folder_is_run_without_its_slow_tests_and_that_is_said():
    files, printed = collected("tests/integrations")
    assert QUICK in files
    assert SLOW not in files
    assert "--slow runs them" in printed


@pytest.mark.parametrize("argument", ["--slow", "-mslow or not slow"])
def test_on_demand_a_folder_is_run_with_its_slow_tests(argument: str):
    files, printed = collected(argument, "tests/integrations")
    assert {QUICK, SLOW} <= files
    assert "left out" not in printed


def test_a_file_that_is_named_is_run_with_its_slow_tests():
    files, printed = collected(SLOW)
    assert files == {SLOW}
    assert "left out" not in printed


def test_quick_tests_of_other_files_are_left_out_on_demand():
    files, _ = collected("--slow", "--quick-of", "tests/integrations/http", "tests/integrations")
    assert {SLOW, "tests/integrations/http/test_problem_details.py"} <= files
    assert QUICK not in files


def test_the_mark_chooses_as_any_other_does():
    files, _ = collected("-m", "slow", "tests/integrations")
    assert SLOW in files
    assert QUICK not in files
