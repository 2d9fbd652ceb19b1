"""Introspection of a guarded function by the standard library shows the original."""

from __future__ import annotations

import abc
import asyncio
import concurrent.futures
import copy
import dataclasses
import functools
import inspect
import multiprocessing
import pickle
import pydoc
import sys
import types
import typing
import warnings
from collections.abc import Callable
from types import FunctionType
from unittest import mock

import pytest

from resilience import circuit_breaker, describe, fallback, retry_on_category

retry = retry_on_category(attempts=2, base_delay=0)
circuit = circuit_breaker("introspection", failure_threshold=10**9)

T = typing.TypeVar("T")


def order(item: str, /, count: int = 1, *notes: str, by: Customer | None = None, **extras: list[T]) -> list[T]:
    """Order an item."""
    return [item, count, notes, by, extras]


async def aorder(item: str, count: int = 1) -> str:
    """Order an item, in time."""
    return f"{count} {item}"


class Customer:
    """The customer of an order."""

    def order(self, item: str, *, by: Customer) -> str:
        """Order for a customer."""
        return item

    async def aorder(self, item: str) -> str:
        """Order for a customer, in time."""
        return item

    @classmethod
    def named(cls, name: str) -> Customer:
        """Look a customer up."""
        return cls()


def nested() -> Callable[[int], int]:
    start = 1

    def add(number: int) -> int:
        """Add to what is outside."""
        return start + number

    return add


@functools.wraps(order)
def wrapped(*args: object, **kwargs: object) -> object:
    return order(*args, **kwargs)


def signed(*args: object) -> tuple:
    return args


signed.__signature__ = inspect.signature(lambda what, *, why: None)


def made() -> FunctionType:
    scope = {"__name__": __name__}
    exec("def made(*, _: int, type: 'str' = 'x'): 'Made of text.'", scope)
    return scope["made"]


def generic() -> FunctionType:
    if sys.version_info < (3, 12):
        return made()
    scope = {"__name__": __name__}
    exec("def generic[T: int](item: T) -> list[T]: return [item]", scope)
    return scope["generic"]


FUNCTIONS = {
    "function": order,
    "async function": aorder,
    "method": Customer.order,
    "async method": Customer.aorder,
    "nested function": nested(),
    "lambda": lambda match, case=1: (match, case),
    "decorated function": wrapped,
    "function with a signature": signed,
    "single dispatch": functools.singledispatch(order),
    "function made of text": made(),
    "generic function": generic(),
}


def code_parameters(function: FunctionType) -> tuple:
    """Return what tools read that go past `inspect.signature`."""
    code = function.__code__
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    return *counts, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def asyncio_iscoroutinefunction(function: FunctionType) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.14 on
        return asyncio.iscoroutinefunction(function)


LOOKS = {
    "signature": inspect.signature,
    "signature with types": functools.partial(inspect.signature, eval_str=True),
    "type hints": typing.get_type_hints,
    "annotations": inspect.get_annotations,
    "annotations as types": functools.partial(inspect.get_annotations, eval_str=True),
    "source": inspect.getsource,
    "lines": inspect.getsourcelines,
    "module": inspect.getmodule,
    "docstring": inspect.getdoc,
    "help": lambda function: pydoc.plain(pydoc.render_doc(function)),
    "coroutine function": inspect.iscoroutinefunction,
    "coroutine function to asyncio": asyncio_iscoroutinefunction,
    "generator function": inspect.isgeneratorfunction,
    "function": inspect.isfunction,
    "routine": inspect.isroutine,
    "end of the chain": inspect.unwrap,
    **{
        name: lambda function, name=name: getattr(function, name, None)
        for name in ["__name__", "__qualname__", "__module__", "__doc__", "__annotations__", "__type_params__"]
    },
}
PAST_SIGNATURE = {
    "own signature": functools.partial(inspect.signature, follow_wrapped=False),
    "full argspec": inspect.getfullargspec,
    "code": code_parameters,
    "defaults": lambda function: function.__defaults__,
    "keyword defaults": lambda function: function.__kwdefaults__,
}


def said_by(look: Callable[..., object], function: object) -> object:
    try:
        return look(function)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("look", LOOKS)
def test_introspection_shows_the_original(look: str):
    expected = {kind: said_by(LOOKS[look], function) for kind, function in FUNCTIONS.items()}
    for guard in (retry, lambda function: circuit(retry(function))):
        assert {kind: said_by(LOOKS[look], guard(function)) for kind, function in FUNCTIONS.items()} == expected


@pytest.mark.generated_wrapper
@pytest.mark.parametrize("look", PAST_SIGNATURE)
def test_introspection_without_signatures_shows_the_originals_parameters(look: str):
    expected = {kind: said_by(PAST_SIGNATURE[look], function) for kind, function in FUNCTIONS.items()}
    guarded = {kind: retry(function) for kind, function in FUNCTIONS.items()}
    assert {kind: said_by(PAST_SIGNATURE[look], function) for kind, function in guarded.items()} == expected


@pytest.mark.parametrize(
    "original",
    [
        len,
        min,
        "".join,
        functools.partial(order, "lamp"),
        functools.partial(aorder, count=2),
        Customer().order,
        mock.Mock(),
    ],
    ids=["builtin", "builtin without signature", "method of a builtin", "partial", "async partial", "method", "mock"],
)
def test_a_guarded_callable_object_keeps_its_signature_and_docstring(original: Callable[..., object]):
    for look in ("signature", "signature with types", "docstring", "coroutine function"):
        assert said_by(LOOKS[look], retry(original)) == said_by(LOOKS[look], original)
    assert inspect.isfunction(retry(original))
    assert retry(original).__wrapped__ is original


def test_a_bound_method_has_the_signature_without_self():
    class Shop(Customer):
        order = retry(Customer.order)

    assert inspect.signature(Shop().order) == inspect.signature(Customer().order)
    assert inspect.ismethod(Shop().order)
    with pytest.raises(TypeError, match=r"^Customer\.order\(\) missing 1 required keyword-only argument: 'by'$"):
        Shop().order("lamp")


def test_a_guarded_class_looks_like_itself():
    class Shop(Customer):
        @staticmethod
        def where(*, street: bool) -> str:
            """Say where it is."""
            return "here"

    def look() -> tuple:
        members = [(each.name, each.kind) for each in inspect.classify_class_attrs(Shop)]
        return (
            members,
            str(inspect.signature(Shop.named)),
            str(inspect.signature(Shop.where)),
            inspect.getsource(Shop.order),
        )

    before = look()
    assert retry(Shop) is Shop
    assert look() == before


def test_globals_are_those_of_the_original():
    assert retry(order).__globals__ is order.__globals__
    assert retry(order).__builtins__ is order.__builtins__


def test_code_that_asks_for_the_callers_module_gets_one():
    def caller() -> str:
        return sys._getframe(1).f_globals["__name__"]

    assert retry(caller)() == __name__


def test_a_coroutine_has_the_name_of_the_original():
    coroutine = retry(aorder)("lamp")
    assert (coroutine.__name__, coroutine.__qualname__) == ("aorder", "aorder")
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
    coroutine.close()


# -- where a function is taken for an object ------------------------------------------------------------------------


@retry
def stored(number: int) -> int:
    return number + 1


class Store:
    @retry
    def fetch(self, number: int) -> int:
        return number + 2

    @retry
    @staticmethod
    def parse(number: int) -> int:
        return number + 3

    @retry
    @classmethod
    async def make(cls, number: int) -> int:
        return number + 4


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_function_of_a_module_is_pickled_by_its_name(protocol: int):
    for function in (stored, Store.fetch, Store.parse):
        assert pickle.loads(pickle.dumps(function, protocol)) is function
    assert pickle.loads(pickle.dumps(Store.make, protocol)) == Store.make
    assert pickle.loads(pickle.dumps(Store().fetch, protocol))(1) == 3


def test_another_process_calls_a_guarded_function():
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert list(pool.map(stored, [1, 2])) == [2, 3]


def test_a_copy_is_the_function_itself():
    assert copy.copy(stored) is stored
    assert copy.deepcopy({"call": stored})["call"] is stored


def test_single_dispatch_reads_the_type_of_the_parameter():
    @functools.singledispatch
    def price(item: object) -> str:
        return "unknown"

    @price.register
    @retry
    def _(item: int) -> str:
        return "a number"

    assert price(1) == "a number"
    assert retry(price)(1) == "a number"
    assert price.dispatch(int) is retry(price).dispatch(int)


@pytest.mark.parametrize("place", ["above", "below", "between"])
def test_an_abstract_method_stays_abstract(place: str):
    def describe(self) -> str: ...

    guards = {
        "above": lambda function: abc.abstractmethod(retry(function)),
        "below": lambda function: retry(abc.abstractmethod(function)),
        "between": lambda function: retry(abc.abstractmethod(circuit(function))),
    }
    shop = abc.ABCMeta("Shop", (), {"describe": guards[place](describe)})
    with pytest.raises(TypeError, match="abstract"):
        shop()


def test_attributes_that_an_inner_decorator_sets_stay():
    def marked(function):
        function.mark = "mine"
        function.__doc__ = "Marked."
        return typing.final(function)

    @fallback(default=1)
    @marked
    @retry
    def fused() -> None: ...

    @retry
    @marked
    @staticmethod
    def static() -> None: ...

    for guarded in (fused, static):
        assert (guarded.mark, guarded.__doc__, guarded.__final__) == ("mine", "Marked.", True)
    assert len(describe(fused)) == 2
    assert fused.__wrapped__ is inspect.unwrap(fused)


def test_a_dataclass_with_slots_keeps_its_guarded_methods():
    @dataclasses.dataclass(frozen=True, slots=True)
    class Item:
        price: float

        @retry
        def twice(self) -> float:
            return self.price * 2

    assert Item(2.5).twice() == 5


def test_other_attributes_of_a_c_callable_are_found_on_the_original():
    cached = retry(functools.lru_cache(order))
    assert cached("lamp") is cached("lamp")
    assert not hasattr(cached, "cache_clear")
    assert cached.__wrapped__.cache_info().hits == 1


def test_a_callable_that_does_not_bind_is_a_staticmethod_in_a_class_body():
    class Shop:
        buy = staticmethod(retry(functools.partial(order, "lamp")))
        size = staticmethod(retry(len))

    assert Shop().buy(2)[:2] == ["lamp", 2]
    assert Shop().size([1, 2]) == 2


# -- mocks ----------------------------------------------------------------------------------------------------------


def test_a_mock_of_a_guarded_function_takes_the_same_arguments():
    double = mock.create_autospec(retry(order), return_value="done")
    assert double("lamp", by=None) == "done"
    with pytest.raises(TypeError, match="missing a required"):
        double()
    assert isinstance(mock.create_autospec(retry(aorder)), types.FunctionType)
    assert inspect.iscoroutine(waiting := mock.create_autospec(retry(aorder))("lamp"))
    waiting.close()


def test_a_guarded_method_is_patched_like_any_other():
    with mock.patch.object(Store, "fetch", autospec=True, return_value=7) as fetch:
        store = Store()
        assert store.fetch(1) == 7
        fetch.assert_called_once_with(store, 1)
        with pytest.raises(TypeError, match="missing a required"):
            store.fetch()
    assert Store().fetch(1) == 3


@pytest.mark.parametrize(
    "double",
    [
        lambda: mock.Mock(return_value="done"),
        lambda: mock.MagicMock(return_value="done"),
        lambda: mock.create_autospec(order, return_value="done"),
        lambda: mock.Mock(spec=order, return_value="done"),
    ],
    ids=["mock", "magic mock", "autospec", "mock of a function"],
)
def test_a_mock_can_be_guarded(double: Callable[[], mock.Mock]):
    original = double()
    original.side_effect = [ConnectionResetError, mock.DEFAULT]
    assert retry(original)("lamp") == "done"
    assert original.mock_calls == [mock.call("lamp")] * 2


@pytest.mark.parametrize("spec", [None, aorder], ids=["any", "of a function"])
def test_an_async_mock_can_be_guarded(spec: Callable[..., object] | None):
    original = mock.AsyncMock(spec=spec, side_effect=[ConnectionResetError, "done"])
    guarded = retry(original)
    assert inspect.iscoroutinefunction(guarded)
    assert asyncio.run(guarded("lamp")) == "done"
    assert original.await_count == 2
