"""`resilience simulate` in a process of its own, on an application written to a directory."""

from __future__ import annotations

import pathlib
import textwrap
import xml.etree.ElementTree as ET

import pytest

from tests.cli.conftest import Run, in_own_process

pytestmark = pytest.mark.slow  # each command is a process

SHOP = """
    from resilience import retry_on_category, timeout

    @retry_on_category(attempts=3)
    @timeout(0.5)
    def search(query):
        raise AssertionError("never called")

    price = 5
"""
SMALL = ("--rps", "50", "--capacity", "70", "--at", "5s", "--duration", "40s")


def run(path: pathlib.Path, *arguments: str) -> Run:
    (path / "shop.py").write_text(textwrap.dedent(SHOP))
    return in_own_process("simulate", *arguments, cwd=path)


def test_a_function_that_does_not_come_back_is_said_so_and_the_exit_code_is_1(tmp_path: pathlib.Path):
    found = run(tmp_path, "shop:search", *SMALL, "--slow", "0.4x15s", "--plot", "search.svg")
    assert (found.code, found.err) == (1, "")
    lines = found.out.splitlines()
    assert lines[0] == "shop.search"
    assert lines[1].startswith("Metastable: it never comes back.")
    assert "requests per call" in found.out
    assert "Metastable" in "".join(ET.parse(tmp_path / "search.svg").getroot().itertext())


def test_a_function_that_comes_back_as_a_document_the_same_each_time(tmp_path: pathlib.Path):
    first, again = (run(tmp_path, "shop:search", *SMALL, "--pause", "200ms", "--json") for _ in range(2))
    assert (first.code, first.err) == (0, "")
    assert first.out == again.out
    assert first.document["verdict"] == "safe"
    assert first.document["scenario"]["events"] == [{"kind": "pause", "at": 5.0, "lasts": 0.2, "every": None}]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("shop",), "give a function of it, as shop:search"),
        (("shop:price",), "give a function that is guarded by policies"),
        (("shop:search", "--slow", "0.5"), "'0.5' has no duration: write 0.5x30s"),
        (("shop:search", "--outage", "soon"), "'soon' is no duration: write 40ms, 1.5s, 2m or 1h"),
        (("shop:search", "--latency", "p50=1s"), "is no latency"),
        (("shop:search", "--capacity", "1"), "capacity=1: give"),
        (("shop:search", "--outage", "die:5s"), "mode='die'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_meant_is_one_line(tmp_path: pathlib.Path, arguments: tuple[str, ...], says: str):
    found = run(tmp_path, *arguments)
    assert found.code == 2
    assert says in found.err
    assert found.err.count("\n") == 1
