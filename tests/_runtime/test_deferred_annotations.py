"""From Python 3.14 on annotations are evaluated when they are read: they may name what is not defined yet.

This module has no `from __future__ import annotations`, which would make texts of them.
"""

# ruff: noqa: F821, FA100, FA102, FURB189
import asyncio
import inspect
import sys
import types
import typing
from collections.abc import Awaitable

import pytest

from resilience import (
    ErrorCategory,
    Pipeline,
    circuit_breaker,
    describe,
    fallback,
    retry_on_category,
    timeout,
    translating,
)
from resilience._runtime.callables import Kind, kind_of, may_be_async
from resilience.metrics import track_errors
from resilience.policies import Policy, Proceed

pytestmark = pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated where they stand")

Reply = Awaitable[int]
MaybeReply = Awaitable[int] | int

DECORATORS = {
    "retry": retry_on_category(attempts=2, base_delay=0),
    "circuit": circuit_breaker("later"),
    "circuit for each key": circuit_breaker("later for each", key=lambda *items, **others: items[-1]),
    "timeout": timeout(60),
    "fallback": fallback(default=None),
    "track_errors": track_errors(component="shop"),
    "translating": translating({ValueError: RuntimeError}),
    "pipeline": Pipeline(fallback(default=None), retry_on_category(attempts=2), timeout(60)),
}


@pytest.fixture(params=DECORATORS)
def decorate(request: pytest.FixtureRequest):
    return DECORATORS[request.param]


def test_a_function_is_decorated_before_its_annotations_can_be_evaluated(decorate):
    @decorate
    def find(item: Lamp, /, *more: Lamp, shop: Lamp = None, **others: Lamp) -> Lamp:
        return item

    assert find("lamp") == "lamp"
    with pytest.raises(NameError):
        typing.get_type_hints(find)

    class Lamp: ...

    assert typing.get_type_hints(find)["item"] is Lamp
    assert inspect.signature(find).return_annotation is Lamp


def test_an_async_function_is_decorated_before_its_annotations_can_be_evaluated(decorate):
    @decorate
    async def find(item: Lamp) -> Lamp:
        return item

    assert asyncio.run(find("lamp")) == "lamp"


def test_methods_are_decorated_before_their_annotations_can_be_evaluated(decorate):
    class Shop:
        lamps: Lamp

        @decorate
        def find(self, item: Lamp) -> Shop:
            return item

        @classmethod
        @decorate
        def first(cls, item: Lamp) -> Shop:
            return item

    assert (Shop().find("lamp"), Shop.first("lamp")) == ("lamp", "lamp")


def test_the_methods_of_a_class_are_guarded_before_their_annotations_can_be_evaluated():
    @circuit_breaker("class of later")
    class Shop:
        lamps: Lamp

        def find(self, item: Lamp) -> Lamp:
            return item

    assert Shop().find("lamp") == "lamp"


def test_no_annotation_is_evaluated_by_decorating():
    def evaluated() -> type:
        raise AssertionError

    for decorate in DECORATORS.values():

        @decorate
        def find(item: evaluated()) -> evaluated():
            return item

        assert find("lamp") == "lamp"
        describe(find)


def test_functions_that_policies_call_may_have_such_annotations():
    def revised(arguments: Later, report: Later) -> Later:
        return None

    def on_retry(attempt: Later) -> Later: ...

    def other(item: Later) -> Later:
        return "another lamp"

    def made(error: Later) -> Later:
        return "a new lamp"

    @fallback(chain={ErrorCategory.TIMEOUT: other}, factory=made)
    @retry_on_category(attempts=2, base_delay=0, on_retry=on_retry, revise=revised)
    def find(item: Later) -> Later:
        raise item

    assert find(TimeoutError()) == "another lamp"
    assert find(ConnectionResetError()) == "a new lamp"


def test_errors_and_policies_may_have_such_annotations():
    class NoLampError(Exception):
        def __init__(self, message: Later) -> None:
            super().__init__(message)

    @translating({ValueError: NoLampError})
    def find(item: Later) -> Later:
        raise ValueError("no lamp")

    with pytest.raises(NoLampError, match="no lamp"):
        find("lamp")

    class Once(Policy):
        seen: Later

        def __init__(self, times: Later = 1) -> None:
            self.times = times

        def run(self, call: Later) -> Later:
            return (yield Proceed())

    @Once(2)
    def guarded(item: Later) -> Later:
        return item

    assert guarded("lamp") == "lamp"
    assert "times=2" in str(describe(guarded))


def returning(annotation: str) -> types.FunctionType:
    """A plain function with such an annotation, in this module."""
    exec(compile(f"def function() -> {annotation}: ...", __file__, "exec", dont_inherit=True), globals())
    return globals().pop("function")


@pytest.mark.parametrize(
    "annotation", ["Awaitable[Later]", "typing.Awaitable[Later]", "typing.Coroutine[None, None, Later]", "Reply"]
)
def test_an_awaitable_of_an_undefined_name_makes_a_function_async(annotation: str):
    assert kind_of(returning(annotation)) is Kind.COROUTINE


@pytest.mark.parametrize("annotation", ["Awaitable[Later] | None", "typing.Optional[Awaitable[Later]]", "MaybeReply"])
def test_a_function_that_may_return_an_awaitable_is_known_before_its_annotation_can_be_evaluated(annotation: str):
    function = returning(annotation)
    assert kind_of(function) is Kind.PLAIN
    assert may_be_async(function)


@pytest.mark.parametrize("annotation", ["Later", "dict[str, Later]", "Later[Awaitable[int]]", "1 / 0"])
def test_other_annotations_do_not_make_a_function_async(annotation: str):
    function = returning(annotation)
    assert kind_of(function) is Kind.PLAIN
    assert not may_be_async(function)
