"""Whatever its signature and whatever the call: a guarded function and its original answer the same."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable
from inspect import Parameter
from types import FunctionType
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience import circuit_breaker, retry_on_category, timeout
from resilience._runtime import fast_path as wrappers

NAMES = ["a", "b", "c", "self", "args", "kwargs", "wrapper", "function", "call", "Exception", "_", "match", "type"]
NAMES += ["__a", "__call", "_Class__private", "été", "данные"]
KINDS = list(type(Parameter.VAR_POSITIONAL))

one, two = (circuit_breaker(name, failure_threshold=10**9) for name in ("one", "two"))
retry = retry_on_category(attempts=2, base_delay=0)
# One for each way a wrapper is written; the innermost first.
GUARDS = {
    "free": [retry],
    "gated": [one, retry],
    "limited": [timeout(60), retry],
    "gated and limited": [timeout(60), one, retry],
    "driven": [one, two, retry],
}


def guarded_by(guards: str, original: FunctionType, form: str) -> Callable[..., object]:
    general = mock.patch.object(wrappers, "parameters_of", lambda function: wrappers.ANYTHING)
    with general if form == "general" else contextlib.nullcontext():
        return functools.reduce(lambda function, guard: guard(function), GUARDS[guards], original)


def made(signature: inspect.Signature, kind: str, hear: Callable[[dict], dict]) -> FunctionType:
    scope: dict = {"hear": hear}
    exec(f"{kind} f{signature}:\n    return hear(locals())", scope)
    return scope["f"]


@st.composite
def signatures(draw: st.DrawFn) -> inspect.Signature:
    """Every kind of parameter, in any number, with defaults wherever Python allows them."""
    parameters: list[Parameter] = []
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=7))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=len(names), max_size=len(names)))
    for name, kind in zip(names, sorted(kinds), strict=True):
        if kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            if all(parameter.kind != kind for parameter in parameters):  # there can be one
                parameters.append(Parameter(name, kind))
            continue
        begun = any(parameter.default is not Parameter.empty for parameter in parameters)
        optional = draw(st.booleans()) or (begun and kind != Parameter.KEYWORD_ONLY)
        parameters.append(Parameter(name, kind, default=-len(parameters) if optional else Parameter.empty))
    return inspect.Signature(parameters)


@st.composite
def calls(draw: st.DrawFn, signature: inspect.Signature) -> tuple[tuple[int, ...], dict[str, int]]:
    """Arguments that fit *signature*, or nearly do: one missing, one too many, one given twice."""
    args: list[int] = []
    kwargs: dict[str, int] = {}
    for number, parameter in enumerate(signature.parameters.values()):
        if parameter.kind == Parameter.VAR_POSITIONAL:
            args += [] if kwargs else draw(st.lists(st.just(100), max_size=2))
        elif parameter.kind == Parameter.VAR_KEYWORD:
            kwargs |= draw(st.dictionaries(st.sampled_from(NAMES), st.just(200), max_size=2))
        elif parameter.default is not Parameter.empty and draw(st.booleans()):
            continue
        elif parameter.kind == Parameter.KEYWORD_ONLY or kwargs:
            kwargs[parameter.name] = number
        elif parameter.kind == Parameter.POSITIONAL_ONLY or draw(st.booleans()):
            args.append(number)
        else:
            kwargs[parameter.name] = number
    if draw(st.booleans()):
        kwargs |= draw(st.dictionaries(st.sampled_from(NAMES), st.just(300), max_size=1))
        args = args[draw(st.integers(0, 1)) :] + draw(st.lists(st.just(400), max_size=1))
    return tuple(args), kwargs


def answer(function: Callable[..., object], args: tuple[int, ...], kwargs: dict[str, int]) -> tuple[str, str]:
    """Return what came back, or what was wrong with the arguments and when that was found."""
    try:
        value = function(*args, **kwargs)
    except TypeError as error:
        return "called", str(error)
    try:
        return "answered", repr(asyncio.run(value) if inspect.iscoroutine(value) else value)
    except TypeError as error:
        return "awaited", str(error)


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("guards", GUARDS)
@pytest.mark.parametrize("form", [pytest.param("generated", marks=pytest.mark.generated_wrapper), "general"])
def test_a_guarded_function_returns_what_its_original_does_also_after_a_failure(form: str, guards: str, kind: str):
    @given(st.data())
    def check(data: st.DataObject) -> None:
        signature = data.draw(signatures())
        args, kwargs = data.draw(calls(signature))
        failures = data.draw(st.sampled_from([[], [ConnectionResetError]]))

        def hear(given: dict) -> dict:
            if failures:
                raise failures.pop()
            return given

        when, said = answer(made(signature, kind, lambda given: given), args, kwargs)
        original = made(signature, kind, hear)
        exact = form == "generated" and wrappers.parameters_of(original) != wrappers.ANYTHING
        if when == "called" and kind == "async def" and not exact:
            when = "awaited"  # the general form takes anything, and hands it on when it is awaited
        assert answer(guarded_by(guards, original, form), args, kwargs) == (when, said)

    check()


# -- odd signatures -------------------------------------------------------------------------------------------------


def with_parameters(*names: str) -> FunctionType:
    """Return a function of parameters no source text can have: those a tool wrote."""
    tree = ast.parse(f"def f({', '.join(f'p{number}' for number, _ in enumerate(names))}): return locals()")
    for argument, name in zip(tree.body[0].args.args, names, strict=True):
        argument.arg = name
    scope: dict = {}
    exec(compile(tree, "<tool>", "exec"), scope)
    return scope["f"]


def test_there_may_be_more_than_255_parameters():
    names = [f"p{number}" for number in range(300)]
    given = {name: number for number, name in enumerate(names)}
    guarded = retry(with_parameters(*names))
    assert guarded(*given.values()) == guarded(**given) == given


def test_a_name_is_given_as_python_writes_it_whatever_the_letters():
    scope: dict = {}
    exec("def f(ﬁrst): return ﬁrst", scope)  # with a ligature: Python reads `first`
    assert retry(scope["f"])(first=1) == 1


unwritable = [
    pytest.mark.generated_wrapper,
]


@pytest.mark.parametrize(
    "name", [pytest.param("class", marks=unwritable), pytest.param("ﬁrst", marks=unwritable), "not a name", "0", ".0"]
)
def test_a_parameter_may_be_called_what_no_source_text_can_call_it(name: str):
    assert retry(with_parameters(name))(**{name: 1}) == {name: 1}


@pytest.mark.generated_wrapper
def test_two_parameters_may_even_have_one_name():
    twins = FunctionType(with_parameters("a", "b").__code__.replace(co_varnames=("a", "a")), globals())
    assert retry(twins)(1, 2) == twins(1, 2)


def test_a_private_parameter_is_called_what_the_class_made_of_it():
    class Shop:
        @retry
        def order(self, __item: str, *, __count: int = 1) -> tuple:  # noqa: PYI063  # it can be given by name
            return __item, __count

    assert Shop().order("lamp", _Shop__count=2) == ("lamp", 2)
    assert Shop().order(_Shop__item="lamp") == ("lamp", 1)


@pytest.mark.generated_wrapper
def test_an_async_method_with_a_private_parameter_refuses_wrong_arguments_at_the_call():
    class Shop:
        @retry
        async def order(self, __item: str) -> str:  # noqa: PYI063
            return __item

    with pytest.raises(TypeError, match="missing 1 required positional argument: '_Shop__item'"):
        Shop().order().close()


# -- what is changed later ------------------------------------------------------------------------------------------


@pytest.mark.generated_wrapper
def test_defaults_of_a_guarded_function_can_be_changed():
    def price(item: str = "lamp", *, count: int = 1) -> tuple:
        return item, count

    guarded = retry(price)
    guarded.__defaults__, guarded.__kwdefaults__ = ("desk",), {"count": 2}
    assert guarded() == ("desk", 2)


@pytest.mark.generated_wrapper
def test_defaults_are_read_when_the_function_is_decorated():
    def price(item: str = "lamp") -> str:
        return item

    guarded = retry(price)
    price.__defaults__ = ("desk",)
    assert (guarded(), retry(price)()) == ("lamp", "desk")
