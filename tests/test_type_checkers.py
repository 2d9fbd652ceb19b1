"""mypy and pyright, run on what users write: the pages of the documentation, and the mistakes of a first afternoon."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.typed_documentation import ROOT, errors_of_mypy, errors_of_pyright, write_modules, write_settings

pytestmark = pytest.mark.slow  # two type checkers in processes of their own

WRONG = ROOT / "tests" / "wrong_calls.py"
CHECKERS: Mapping[str, Callable[[Path], list[str]]] = {"mypy": errors_of_mypy, "pyright": errors_of_pyright}
EXPECTED = re.compile(r" *# by (\w+): (.*)")


@pytest.mark.parametrize("checker", CHECKERS)
def test_every_block_of_the_documentation_passes_in_strict_mode(checker: str, tmp_path: Path) -> None:
    write_modules(tmp_path)
    assert CHECKERS[checker](tmp_path) == []


def expected_errors(checker: str) -> dict[int, list[str]]:
    """What the comments of `wrong_calls` say, by the number of the line below them."""
    expected: dict[int, list[str]] = defaultdict(list)
    waiting: list[str] = []
    for number, line in enumerate(WRONG.read_text("utf-8").splitlines(), 1):
        found = EXPECTED.fullmatch(line)
        if found:
            waiting += [found[2]] if found[1] == checker else []
        elif waiting:
            expected[number] = waiting
            waiting = []
    return expected


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_mistake_is_an_error_that_says_so_and_nothing_else_is_one(checker: str, tmp_path: Path) -> None:
    shutil.copy(WRONG, tmp_path)
    write_settings(tmp_path)
    found: dict[int, list[str]] = defaultdict(list)
    for error in CHECKERS[checker](tmp_path):
        number, _, message = error.removeprefix("wrong_calls.py:").partition(":")
        found[int(number)].append(message)
    expected = expected_errors(checker)
    assert len(expected) >= 10
    assert found.keys() == expected.keys()
    unsaid = [text for number, texts in expected.items() for text in texts if text not in "\n".join(found[number])]
    assert unsaid == []
