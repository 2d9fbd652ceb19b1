"""`Arguments`: what a call is made with, and with other values for some of its parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from resilience import Arguments, CallReport, ErrorCategory, retry_on_category


class Wrong(Exception):
    category = ErrorCategory.VALIDATION


def revising(answer: Callable[[Arguments, CallReport], object]) -> Callable:
    return retry_on_category(revise=answer)


def longer(call: Arguments, report: CallReport) -> object:
    return {"code": call["code"] + "!"}


def arguments_of(function: Callable, *args: object, **kwargs: object) -> Callable[..., tuple]:
    def replaced(**changes: object) -> tuple:
        new = Arguments(function, args, kwargs).replace(**changes)
        function(*new.args, **new.kwargs)  # it takes them
        return new.args, dict(new.kwargs)

    return replaced


def plain(a, b=2): ...
def only(a=1, b=2, /, c=3): ...
def many(a, *rest, key=0): ...
def named(a, /, **more): ...


@pytest.mark.parametrize(
    ("given", "changes", "expected"),
    [
        (arguments_of(plain, 1), {"a": 9}, ((9,), {})),
        (arguments_of(plain, 1), {"b": 9}, ((1, 9), {})),
        (arguments_of(plain, b=1, a=0), {"b": 9}, ((0, 9), {})),
        (arguments_of(only), {"a": 9}, ((9, 2), {})),
        (arguments_of(only), {"b": 9}, ((1, 9), {})),
        (arguments_of(only), {"c": 9}, None),
        (arguments_of(only, 5), {"c": 9}, None),
        (arguments_of(many, 1, 2, 3), {"a": 9}, ((9, 2, 3), {})),
        (arguments_of(many, 1, 2, 3), {"key": 9}, ((1, 2, 3), {"key": 9})),
        (arguments_of(named, 1), {"a": 9}, ((9,), {})),
        (arguments_of(named, 1, x=1), {"y": 9}, ((1,), {"x": 1, "y": 9})),
        (arguments_of(named, 1, a=5), {"x": 9}, ((1,), {"a": 5, "x": 9})),
    ],
)
def test_a_parameter_is_replaced_where_it_was_given(given: Callable, changes: dict, expected: tuple | None):
    new = given(**changes)
    if expected is not None:
        assert new == expected
    else:
        assert 9 in (*new[0], *new[1].values())


@pytest.mark.parametrize(("function", "name"), [(plain, "c"), (many, "rest"), (many, "x")])
def test_an_unknown_parameter_is_refused(function: Callable, name: str):
    with pytest.raises(TypeError, match=f"^{name}=9: .* has no such parameter"):
        Arguments(function, (1,)).replace(**{name: 9})


def test_arguments_are_read_by_name():
    call = Arguments(named, (1,), {"x": 2})
    assert (call["a"], call["x"], call["more"]) == (1, 2, {"x": 2})
    assert Arguments(plain, (1,))["b"] == 2
    assert repr(call) == "<Arguments (1,), {'x': 2}>"
    with pytest.raises(KeyError, match="y"):
        call["y"]


class Runner:
    def __init__(self) -> None:
        self.seen: list = []

    @revising(longer)
    def method(self, code: str) -> str:
        self.seen.append(code)
        if "!" not in code:
            raise Wrong
        return code

    @classmethod
    @revising(longer)
    def of_class(cls, code: str) -> tuple:
        if "!" not in code:
            raise Wrong
        return cls, code

    @staticmethod
    @revising(longer)
    def static(code: str = "default") -> str:
        if "!" not in code:
            raise Wrong
        return code

    @revising(lambda call, report: {"self": other})
    def of_another(self) -> Runner:
        if self is not other:
            raise Wrong
        return self


other = Runner()


def test_methods_are_called_again_on_their_object():
    runner = Runner()
    assert (runner.method("a"), runner.seen) == ("a!", ["a", "a!"])
    assert Runner.of_class("a") == (Runner, "a!")
    assert Runner.static() == "default!"
    assert runner.of_another() is other


def test_partials_and_objects_that_call_are_called_again():
    class Call:
        def __call__(self, code: str) -> str:
            if "!" not in code:
                raise Wrong
            return code

    assert revising(longer)(Call())("a") == "a!"
    assert revising(longer)(functools.partial(Call(), code="a"))() == "a!"
