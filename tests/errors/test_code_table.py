"""A table remembers what every code has meant."""

from __future__ import annotations

import copy
import itertools
import pathlib

import pytest

from resilience import ErrorCategory, classify
from resilience.errors import CodeRegistry, ResilienceError, check_codes
from resilience.testing import assert_codes
from tests.errors.chainweaver import CLASSES, ROWS, TABLE

_numbers = itertools.count()


class App:
    """An application with a package and a prefix of its own."""

    def __init__(self) -> None:
        number = next(_numbers)
        self.prefix, self.package = f"APP{number}", f"app{number}"
        self.registry = CodeRegistry(self.prefix)
        self.kept: list[type] = []
        self.base = self.declares("Base", 0)

    def declares(self, name: str, number: int | None, base: type | None = None, package: str = "") -> type:
        code = {} if number is None else {"code": f"{self.prefix}-E{number:03}"}
        body = {"__module__": f"{package or self.package}.errors", "__qualname__": name}
        kind = type(name.rpartition(".")[2], (base or getattr(self, "base", ResilienceError),), body, **code)
        self.kept.append(kind)
        return kind

    def problems(self, *rows: str) -> list[str]:
        table = "\n".join(f"| {self.prefix}-{row.replace(' ', ' | ')} | why |" for row in rows)
        return [str(problem).replace(f"{self.prefix}-", "") for problem in check_codes(self.prefix, table)]


@pytest.fixture
def app() -> App:
    return App()


# -- the 42 -----------------------------------------------------------------------------------------------------------


def test_a_real_table_of_42_codes_holds():
    assert len(CLASSES) == len(ROWS) == 42
    assert check_codes("CW", TABLE) == []
    assert_codes("CW", TABLE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_row_of_it_is_missed_when_it_is_gone(row):
    code, name, _ = row
    without = "\n".join(line for line in TABLE.splitlines() if code not in line)
    (problem,) = check_codes("CW", without)
    assert (problem.code, problem.what) == (code, f"{code} (chainweaver.exceptions.{name}) is missing from the table")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_class_of_it_has_its_code_and_category_on_class_and_instance(row):
    code, name, category = row
    kind = CLASSES[code]
    wants = kind.__init__.__closure__
    names = next((cell.cell_contents for cell in wants or () if isinstance(cell.cell_contents, tuple)), ())
    error = kind(*names)
    assert (kind.__name__, kind.code, error.code, error.to_dict()["error"]) == (name, code, code, code)
    assert classify(error) is ErrorCategory(category)
    assert code not in str(error)
    for attribute in names:
        assert getattr(error, attribute) == error.details[attribute] == attribute
    assert copy.deepcopy(error).to_dict() == error.to_dict()


# -- what is found ----------------------------------------------------------------------------------------------------


def test_a_table_that_is_right_has_no_problems(app):
    app.declares("StockLocked", 1)
    assert app.problems("E000 Base", "`E001` `shop.StockLocked`".replace("`", "")) == []


def test_a_code_that_is_missing_from_the_table(app):
    app.declares("StockLocked", 1)
    (problem,) = app.problems("E000 Base")
    assert problem == (
        f"E001 ({app.package}.errors.StockLocked) is missing from the table;"
        " add the row | E001 | StockLocked | unknown |"
    )


def test_a_row_that_nothing_declares(app):
    (problem,) = app.problems("E000 Base", "E001 StockMissing")
    assert problem == (
        "E001 (StockMissing) is in the table, and no class declares it; declare it, import its module, or say"
        f' CodeRegistry("{app.prefix}").retire("E001", "was StockMissing until ...")'
    )


def test_a_retired_row_is_fine_and_has_to_stay(app):
    app.registry.retire(f"{app.prefix}-E001", "was StockMissing until 1.4")
    assert app.problems("E000 Base", "E001 StockMissing") == []
    (problem,) = app.problems("E000 Base")
    assert problem == (
        "E001 is retired (was StockMissing until 1.4) and its row is gone from the table;"
        " put it back: the table is the memory of what codes have meant"
    )


def test_a_code_twice_in_the_table(app):
    app.declares("StockLocked", 1)
    (problem,) = app.problems("E000 Base", "E001 StockLocked", "E001 StockMissing")
    assert problem == (
        "E001 stands in the table twice: StockLocked and StockMissing;"
        " keep the row of the class that had it first, and give the other E002"
    )


def test_a_code_that_was_another_class_s(app):
    app.declares("StockLocked", 1)
    (problem,) = app.problems("E000 Base", "E001 StockMissing")
    assert problem == (
        "E001 was StockMissing and is StockLocked now; give StockLocked a code of its own, such as E002, or, if it is"
        " StockMissing by a new name, change the name in the table"
    )


def test_a_class_that_was_renumbered(app):
    app.declares("StockLocked", 2)
    found = app.problems("E000 Base", "E001 StockLocked")
    assert found[0] == "StockLocked was E001 and is E002 now; codes are never renumbered: give it E001 again"


@pytest.mark.parametrize("derives", ["from its base", "from the toolkit's"])
def test_a_public_error_without_a_code(app, derives):
    app.declares("Naked", None, app.base if derives == "from its base" else ResilienceError)
    assert app.problems("E000 Base") == [
        f'{app.package}.errors.Naked has no code of its own; declare one: class Naked(..., code="E001")'
    ]


def test_who_needs_no_code(app):
    app.declares("_Private", None)
    app.declares("make.<locals>.Local", None)
    app.declares("Plugged", None, package="a_plugin_without_codes")
    assert app.problems("E000 Base") == []


def test_a_class_that_was_made_again_with_a_code_is_no_class_without(app):
    app.declares("StockLocked", None)
    app.declares("StockLocked", 1)
    assert app.problems("E000 Base", "E001 StockLocked") == []


def test_a_class_that_was_refused_is_none(app):
    with pytest.raises(ValueError, match="tiemout") as refused:
        type("Refused", (app.base,), {"__module__": app.base.__module__, "__qualname__": "Refused"}, category="tiemout")
    assert app.base.__subclasses__()  # kept alive by the traceback
    assert app.problems("E000 Base") == []
    del refused


def test_what_else_is_in_the_text_is_passed_over(app):
    assert (
        check_codes(app.prefix, f"{app.prefix}-E009 is prose\n| {app.prefix}-E000 | Base |\n| OTHER-E001 | X |\n") == []
    )


# -- in a test suite --------------------------------------------------------------------------------------------------


def test_the_helper_takes_a_path_or_a_text(app, tmp_path):
    file = tmp_path / "errors.md"
    file.write_text(f"| {app.prefix}-E000 | Base |\n")
    assert_codes(app.prefix, file)
    assert_codes(app.prefix, str(file))
    assert_codes(app.prefix, file.read_text())


def test_the_helper_fails_with_a_line_for_each_problem(app):
    app.declares("StockLocked", 1)
    with pytest.raises(AssertionError) as failed:
        assert_codes(app.prefix, "| nothing |\n")
    head, *lines = str(failed.value).splitlines()
    assert head == f"2 problems with the codes of {app.prefix}:"
    assert [line.split()[0] for line in lines] == [f"{app.prefix}-E000", f"{app.prefix}-E001"]


def test_the_helper_fails_where_nothing_is_declared():
    with pytest.raises(AssertionError, match="import the modules that do first"):
        assert_codes("NOTHINGATALL", "| nothing |\n")


def test_a_missing_file_is_reported(app):
    with pytest.raises(FileNotFoundError):
        assert_codes(app.prefix, pathlib.Path("nowhere.md"))
