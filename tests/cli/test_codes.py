"""`resilience codes` in a process of its own, on applications written to a directory."""

from __future__ import annotations

import pathlib
import textwrap

import pytest

from tests.cli.conftest import Run, in_own_process

pytestmark = pytest.mark.slow  # each command is a process

SHOP = """
    from resilience.errors import CodeRegistry, ResilienceError

    print("the shop is open")

    class ShopError(ResilienceError, code="SHOP-E000"): ...
    class StockLocked(ShopError, code="SHOP-E002", category="conflict"): ...

    CodeRegistry("SHOP").retire("SHOP-E001", "was StockMissing until 1.4")
"""
TABLE = """
    | code | error |
    |---|---|
    | `SHOP-E000` | ShopError |
    | `SHOP-E001` | StockMissing, retired |
    | `SHOP-E002` | StockLocked |
"""


class Shop:
    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.holds("shop.py", SHOP)
        self.holds("errors.md", TABLE)

    def holds(self, name: str, text: str) -> None:
        (self.path / name).write_text(textwrap.dedent(text))

    def run(self, *arguments: str) -> Run:
        return in_own_process("codes", *arguments, cwd=self.path)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def test_an_application_s_codes_are_a_table(shop):
    run = shop.run("shop")
    assert (run.code, run.err) == (0, "the shop is open\n")
    assert run.out == textwrap.dedent("""\
        code       error        category  HTTP  module
        SHOP-E000  ShopError    unknown   500   shop
        SHOP-E002  StockLocked  conflict  409   shop
        SHOP-E001  (retired)                    was StockMissing until 1.4
    """)


def test_as_a_document(shop):
    document = shop.run("shop", "--json").document
    assert document["codes"][1] == {
        "code": "SHOP-E002",
        "error": "StockLocked",
        "category": "conflict",
        "http": 409,
        "module": "shop",
    }
    assert document["retired"] == [{"code": "SHOP-E001", "why": "was StockMissing until 1.4"}]


def test_without_a_module_the_toolkit_s_own_are_listed(resilience):
    run = resilience("codes", "--prefix", "RES", "--json")
    codes = {row["code"]: row["error"] for row in run.document["codes"]}
    assert codes["RES-E000"] == "ResilienceError"
    assert codes["RES-E005"] == "CircuitOpenError"
    assert "OCTO-E000" not in resilience("codes").out
    assert "OCTO-E000" in resilience("codes", "resilience.contrib.service").out


def test_a_prefix_chooses(shop):
    assert "SHOP" not in shop.run("shop", "--prefix", "RES").out
    run = shop.run("--prefix", "SHOP")
    assert run.code == 2
    assert run.complaint.startswith("resilience codes: nothing declares a code with the prefix 'SHOP'; known are RES.")


def test_a_table_that_is_right_passes(shop):
    run = shop.run("shop", "--check", "errors.md")
    assert (run.code, run.out) == (0, "errors.md: 2 codes of SHOP, nothing wrong\n")
    assert shop.run("shop", "--check", "errors.md", "--json").document == {"checked": 2, "problems": []}


def test_each_problem_is_a_line_with_what_to_do_and_exit_code_1(shop):
    shop.holds("errors.md", TABLE.replace("StockLocked", "StockStolen").replace("SHOP-E000", "SHOP-E009"))
    shop.holds("more.py", "from shop import ShopError\nclass Naked(ShopError): ...")
    run = shop.run("shop", "more", "--check", "errors.md")
    assert run.code == 1
    assert [line.partition(";")[0] for line in run.out.splitlines()] == [
        "ShopError was SHOP-E009 and is SHOP-E000 now",
        "SHOP-E002 was StockStolen and is StockLocked now",
        "SHOP-E009 (ShopError) is in the table, and no class declares it",
    ]
    problems = shop.run("shop", "--check", "errors.md", "--json").document["problems"]
    assert problems[0] == {
        "code": "SHOP-E000",
        "what": "ShopError was SHOP-E009 and is SHOP-E000 now",
        "do": "codes are never renumbered: give it SHOP-E009 again",
    }


def test_a_class_without_a_code_is_found(shop):
    shop.holds("shop.py", SHOP + "\n    class Naked(ShopError): ...\n")
    run = shop.run("shop", "--check", "errors.md")
    assert (run.code, run.out) == (
        1,
        'shop.Naked has no code of its own; declare one: class Naked(..., code="SHOP-E003")\n',
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["shop", "--check", "nowhere.md"], "nowhere.md cannot be read: No such file or directory; give the Markdown"),
        (["shop", "--check", "."], ". cannot be read: Is a directory"),
        (["shop", "--check", "binary.md"], "binary.md cannot be read: it is no UTF-8 text"),
        (["plain"], "plain declares no codes: give a class one with class StockLocked(ResilienceError, code="),
        (["shopp"], "did you mean shop?"),
    ],
)
def test_invalid_options_are_one_line_and_exit_code_2(shop, arguments, says):
    shop.holds("plain.py", "")
    (shop.path / "binary.md").write_bytes(b"\xff\xfe")
    run = shop.run(*arguments)
    assert (run.code, run.out) == (2, "")
    (line,) = [line for line in run.err.splitlines() if line != "the shop is open"]
    assert line.startswith("resilience codes: ")
    assert says in line


def test_a_duplicate_code_is_an_error_where_it_is_imported(shop):
    shop.holds("store.py", 'from shop import ShopError\nclass Other(ShopError, code="SHOP-E002"): ...')
    run = shop.run("store")
    assert run.code == 1
    assert "it is taken by shop.StockLocked; give a free one, such as 'SHOP-E003'" in run.err.splitlines()[-1]
