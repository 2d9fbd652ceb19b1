"""`resilience lint` in a process of its own, on applications written to a directory."""

from __future__ import annotations

import pathlib
import textwrap

import pytest

from tests.cli.conftest import Run, in_own_process

pytestmark = pytest.mark.slow  # each command is a process

SHOP = """
    from resilience import Pipeline, circuit_breaker, retry_on_category, timeout

    print("the shop is open")

    @retry_on_category(attempts=2)
    @timeout(1)
    def search(query): ...

    @circuit_breaker("billing")
    @retry_on_category(attempts=2)
    def charge(card): ...

    catalogue = Pipeline(timeout(2), timeout(5))

    class Client:
        @circuit_breaker("client")
        @retry_on_category(attempts=2)
        def get(self): ...
"""


def run(path: pathlib.Path, *arguments: str) -> Run:
    (path / "shop.py").write_text(textwrap.dedent(SHOP))
    return in_own_process("lint", *arguments, cwd=path)


def test_each_mistake_is_a_line_and_the_exit_code_is_1(tmp_path: pathlib.Path):
    found = run(tmp_path, "shop")
    assert (found.code, found.err) == (1, "the shop is open\n")
    assert [line.split(": ")[:2] for line in found.out.splitlines()] == [
        ["shop:charge", "retry-inside-breaker"],
        ["shop:catalogue", "timeout-over-timeout"],
        ["shop:Client", "retry-inside-breaker"],
    ]


def test_one_function_that_is_right(tmp_path: pathlib.Path):
    found = run(tmp_path, "shop:search")
    assert (found.code, found.out) == (0, "shop:search: 1 stack, nothing wrong\n")


def test_as_a_document(tmp_path: pathlib.Path):
    found = run(tmp_path, "shop:catalogue", "--json")
    assert found.code == 1
    assert found.document == {
        "application": "shop:catalogue",
        "checked": 1,
        "findings": [
            {
                "target": "shop:catalogue",
                "rule": "timeout-over-timeout",
                "message": "timeout(5) never passes: timeout(2) around it does first; give it less",
            }
        ],
    }


def test_what_cannot_be_linted_is_a_usage_error(tmp_path: pathlib.Path):
    (tmp_path / "other.py").write_text("limit = 3\n")
    found = run(tmp_path, "other:limit")
    assert (found.code, found.out) == (2, "")
    assert found.complaint.startswith("resilience lint: other:limit is 3: give a function")
