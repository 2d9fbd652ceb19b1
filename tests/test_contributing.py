"""CONTRIBUTING.md names the layers that import-linter holds, and files that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def section(heading: str) -> str:
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_layers_are_those_that_import_linter_holds():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    held = [set(row.split(" : ")) for row in contracts[0]["layers"]]
    rows = re.findall(r"^\| (`.*?`) \|", section("Layers"), re.MULTILINE)
    assert [set(re.findall(r"`(.*?)`", row)) for row in rows] == held


def test_the_table_to_find_the_place_has_ten_rows_at_most():
    rows = [line for line in section("Find the place").splitlines() if line.startswith("| ")]
    assert 1 < len(rows) <= 11  # with its heading


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`([a-z_./]+(?:/|\.py|\.toml|\.json|\.yaml|\.txt|\.md))`", TEXT)))
)
def test_each_file_that_is_named_exists(path: str):
    places = (ROOT, ROOT / "resilience", ROOT / "resilience" / "circuits")
    if path not in ("dist/", "docs/", "test_client_"):
        assert any((place / path).exists() for place in places), path
