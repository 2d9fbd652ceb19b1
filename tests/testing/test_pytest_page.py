"""The examples of docs/pytest.md, as one test file in a run of pytest of its own, with all plugins that they name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # a run of pytest in a process of its own

PAGE = Path(__file__).parents[2] / "docs" / "pytest.md"


def test_each_test_of_the_page_passes_and_needs_no_more_than_it_shows(tmp_path):
    examples = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    tests = re.findall(r"^(?:async )?def (test_\w+)", "".join(examples), re.MULTILINE)
    (tmp_path / "test_page.py").write_text("\n\n".join(examples))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-W", "error", "-m", "pytest", "-v", "--strict-markers", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.findall(r"::(test_\w+)(?:\[\w+\])? PASSED", done.stdout)
    assert set(passed) == set(tests)
    assert len(tests) == 4
