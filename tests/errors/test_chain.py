"""The complete sequence of failures."""

from __future__ import annotations

import json

import pytest

from resilience import classify, retry_on_category
from resilience.errors import ErrorLink, ResilienceError, error_chain
from resilience.testing import no_waits


class Priceless(ResilienceError, code="CHAIN-E001", category="dependency"): ...


def caught(function) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def shape(error: BaseException) -> list[tuple[int, str, str]]:
    return [(link.depth, link.relation, link.type) for link in error_chain(error)]


def test_a_cause_goes_before_a_context():
    def raised():
        try:
            try:
                raise KeyError("lamp")
            except KeyError:
                raise OSError("disk")
        except OSError as error:
            raise Priceless("no price") from error

    assert shape(caught(raised)) == [(0, "raised", "Priceless"), (1, "cause", "OSError"), (2, "context", "KeyError")]


def test_a_suppressed_context_is_none():
    def raised():
        try:
            raise KeyError("lamp")
        except KeyError:
            raise Priceless from None

    assert shape(caught(raised)) == [(0, "raised", "Priceless")]


def test_members_of_groups_come_with_their_own_causes_and_before_the_group_s():
    inner = ValueError("a")
    inner.__cause__ = KeyError("b")
    group = ExceptionGroup("both", [inner, ExceptionGroup("deeper", [TypeError("c")])])
    group.__cause__ = OSError("d")
    assert shape(group) == [
        (0, "raised", "ExceptionGroup"),
        (1, "member", "ValueError"),
        (2, "cause", "KeyError"),
        (1, "member", "ExceptionGroup"),
        (2, "member", "TypeError"),
        (1, "cause", "OSError"),
    ]


def test_a_cycle_is_cut():
    one, other = KeyError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one
    assert [link.message for link in error_chain(one)] == ["'one'", "'other'"]


def test_a_chain_without_end_is_bounded():
    error: BaseException = KeyError(0)
    for number in range(3000):
        following = KeyError(number)
        following.__cause__ = error
        error = following
    assert len(error_chain(error)) == 1000


def test_a_link_of_the_chain_has_code_category_and_notes():
    error = Priceless("no price").with_context("pricing the basket")
    assert error_chain(error) == (
        ErrorLink("Priceless", "no price", "CHAIN-E001", "dependency", "raised", 0, ("pricing the basket",)),
    )
    assert error_chain(error)[0].to_dict() == {
        "type": "Priceless",
        "message": "no price",
        "code": "CHAIN-E001",
        "category": "dependency",
        "relation": "raised",
        "depth": 0,
        "notes": ["pricing the basket"],
    }


def test_a_foreign_error_has_a_category_when_it_is_classified():
    error = Priceless("no price")
    error.__cause__ = ConnectionResetError("down")
    assert [link.category for link in error_chain(error)] == ["dependency", None]
    assert [link.category for link in error_chain(error, classify)] == ["dependency", "network"]


def test_the_report_of_a_retry_is_in_its_link():
    @retry_on_category(attempts=3)
    def fetch():
        raise ConnectionResetError("down")

    def raised():
        try:
            fetch()
        except ConnectionResetError as error:
            raise Priceless("no price") from error

    with no_waits():
        first, second = error_chain(caught(raised))
    assert first.report is None
    assert (second.report["made"], second.report["reason"]) == (3, "attempts")
    json.dumps([first.to_dict(), second.to_dict()], allow_nan=False)


class Hostile(Exception):
    def __str__(self):
        raise RuntimeError

    def __getattribute__(self, name):
        raise RuntimeError(name)


@pytest.mark.parametrize("how", ["alone", "classified"])
def test_an_error_that_fights_back_is_a_link_like_others(how):
    error = Hostile()
    BaseException.__dict__["__cause__"].__set__(error, KeyError("lamp"))
    links = error_chain(error, *([classify] if how == "classified" else []))
    assert [(link.type, link.message) for link in links] == [
        ("Hostile", "<Hostile whose message cannot be read>"),
        ("KeyError", "'lamp'"),
    ]


def test_a_classifier_that_raises_costs_the_category_only():
    def broken(error):
        raise RuntimeError

    assert error_chain(Priceless("m"), broken)[0].category is None


def test_links_keep_no_error_alive():
    import weakref

    error = Priceless("m")
    links, gone = error_chain(error), weakref.ref(error)
    del error
    assert gone() is None
    assert links[0].type == "Priceless"
