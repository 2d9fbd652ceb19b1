"""Of an exception that was raised from another one, the other one is explained."""

from __future__ import annotations

import textwrap

from resilience.report import ErrorReport
from resilience.report._traceback_parser import report_of_text


def report_on(code: str) -> ErrorReport:
    source = textwrap.dedent(code)
    try:
        exec(compile(source, "<string>", "exec"), {"__name__": "__main__"})
    except Exception as error:
        return ErrorReport.from_exception(error, source=source)
    raise AssertionError("it did not fail")


ORDER = """
    class OrderError(Exception): ...

    prices = {"lamp": 3}

    def price(item):
        try:
            return prices[item]
        except KeyError as error:
            raise OrderError("no price") from error

    try:
        price("lmap")
    except OrderError as error:
        raise RuntimeError("the order failed") from error
"""


def test_the_first_exception_of_a_chain_is_explained_and_the_last_one_is_named():
    report = report_on(ORDER)
    assert report.error_summary == "RuntimeError on line 15: the order failed"
    assert report.immediate_cause.startswith("it began with KeyError on line 8:")
    assert "'lamp'" in report.suggestions[0]
    assert (report.specifics["root_cause"], report.specifics["root_cause_line"]) == ("KeyError", 8)
    assert report.recovery_options[0].description.startswith("Correct line 8 and run it again.")


def test_an_exception_that_explains_itself_is_not_put_down_to_another_one():
    report = report_on(
        """
        try:
            {}["lamp"]
        except KeyError:
            undefined
        """
    )
    assert "root_cause" not in report.specifics
    assert "'undefined'" in report.immediate_cause


def test_an_unknown_root_changes_nothing():
    report = report_on(
        """
        class Odd(Exception): ...
        try:
            raise Odd("one")
        except Odd as error:
            raise RuntimeError("two") from error
        """
    )
    assert report.immediate_cause == "RuntimeError: two"


def test_the_root_of_a_saved_traceback_is_explained_too():
    report = report_of_text(
        textwrap.dedent(
            """\
            Traceback (most recent call last):
              File "/srv/shop.py", line 41, in place
                total = item["price"]
            KeyError: 'price'

            The above exception was the direct cause of the following exception:

            Traceback (most recent call last):
              File "/srv/shop.py", line 44, in place
                raise OrderError("cannot price") from error
            shop.OrderError: cannot price
            """
        )
    )
    assert report.immediate_cause == "it began with KeyError on line 41: item has no key 'price'"


def test_a_division_by_a_literal_zero_is_called_what_it_is():
    report = report_on("print(sum([1, 2]) / 0)")
    assert report.immediate_cause == "sum([1, 2]) / 0 divides by 0 itself"
    assert report.suggestions == ("Divide by something else: nothing can be divided by 0.",)
