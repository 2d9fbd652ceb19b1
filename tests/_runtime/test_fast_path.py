"""A guarded function is called like the original, whatever its signature."""

from __future__ import annotations

import inspect
import itertools
import sys
import traceback
import types
from types import FunctionType

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience import circuit_breaker, retry_on_category
from resilience._runtime import fast_path as wrappers
from resilience.testing import virtual_time

retry = retry_on_category(attempts=2, base_delay=0)
SHAPES = [
    "",
    "a",
    "a, b=1",
    "a, /",
    "a, /, b",
    "a=1, /, b=2, *, c=3",
    "*a",
    "**a",
    "*a, **b",
    "a, *b, c, d=4, **e",
    "*, a",
    "*, a, b=2",
    "self, function, call, state, error, first, target, stack, gate, outcome, args=1, kwargs=2, Exception=3",
    "a, __b=1",
    "__call, __first=None",
    "été, *żółć, **данные",
]


def made(shape: str, body: str = "return locals()", kind: str = "def") -> FunctionType:
    scope: dict = {}
    exec(f"{kind} f({shape}):\n    {body}", scope)
    return scope["f"]


def outcome_of(function, args: tuple, kwargs: dict) -> object:
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        return str(error)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("guard", [retry, circuit_breaker("b", failure_threshold=1000)], ids=["free", "gated"])
def test_every_shape_is_called_like_the_original(shape: str, guard):
    @given(
        st.lists(st.integers(), max_size=6).map(tuple),
        st.dictionaries(
            st.sampled_from(["a", "b", "c", "d", "e", "f", "self", "call", "__b", "Exception"]),
            st.integers(),
            max_size=4,
        ),
    )
    def check(args: tuple, kwargs: dict) -> None:
        assert outcome_of(guarded, args, kwargs) == outcome_of(original, args, kwargs)

    original = made(shape)
    guarded = guard(original)
    check()


@pytest.mark.parametrize("shape", ["a, b=1, *c, d, e=2, **f", "a, /, b", "*args, **kwargs", "__a, *, b"])
def test_a_call_that_fails_first_is_made_again_with_the_same_arguments(shape: str):
    calls: list = []
    original = made(shape, "return hear(locals())")

    def hear(given: dict) -> dict:
        calls.append(given)
        if len(calls) == 1:
            raise ConnectionResetError
        return given

    original.__globals__["hear"] = hear
    guarded = retry(original)
    args, kwargs = (
        ((1, 2, 3), {"d": 4, "x": 5}) if "**f" in shape else ((1,), {"b": 2}) if "b" in shape else ((1,), {"z": 2})
    )
    assert guarded(*args, **kwargs) == calls[0] == calls[1]


@pytest.mark.generated_wrapper
def test_the_wrappers_own_signature_is_the_originals():
    def original(a: int, /, b: str = "x", *c: int, d: float, e: object = None, **f: object) -> None: ...

    guarded = retry(original)
    assert inspect.signature(guarded, follow_wrapped=False) == inspect.signature(original)
    assert guarded.__defaults__ is original.__defaults__
    assert guarded.__kwdefaults__ == original.__kwdefaults__
    assert inspect.getfullargspec(guarded) == inspect.getfullargspec(original)


def test_mutable_defaults_are_the_originals_own():
    def original(item: int, into: list = []) -> list:  # noqa: B006
        into.append(item)
        return into

    guarded = retry(original)
    assert guarded(1) is original.__defaults__[0]
    assert guarded(2) == [1, 2]


def test_wrong_arguments_fail_as_they_would_without_us_and_count_for_nothing():
    breaker = circuit_breaker("b", failure_threshold=1)
    guarded = breaker(made("a"))
    with pytest.raises(TypeError, match=r"^f\(\) missing 1 required positional argument: 'a'$"):
        guarded()
    assert breaker.fail_counter == 0


@pytest.mark.generated_wrapper
def test_a_coroutine_function_with_wrong_arguments_fails_when_it_is_called_not_when_it_is_awaited():
    guarded = retry(made("a", "return a", "async def"))
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        guarded()


def test_async_functions_have_the_same_shapes(backend: str):
    for shape in SHAPES:
        original = made(shape, "return locals()", "async def")
        guarded = retry(original)
        for args, kwargs in [((), {}), ((1,), {}), ((1, 2), {"c": 3}), ((), {"a": 1})]:
            expected = outcome_of(made(shape), args, kwargs)
            if isinstance(expected, dict):
                assert anyio.run(lambda: guarded(*args, **kwargs), backend=backend) == expected  # noqa: B023
            elif wrappers.parameters_of(original) != wrappers.ANYTHING:  # those fail when they are awaited
                assert outcome_of(guarded, args, kwargs) == expected


def test_functions_of_one_shape_share_their_wrappers_code():
    one, two = retry(made("a, b=1")), retry(made("a, b=2"))
    assert one.__code__ is two.__code__
    assert (one(0)["b"], two(0)["b"]) == (1, 2)


def test_functions_whose_signatures_differ_in_names_alone_share_a_text():
    one, two = retry(made("a, *, b")), retry(made("c, *, d"))
    assert one.__code__.co_filename == two.__code__.co_filename
    assert (one(1, b=2), two(3, d=4)) == ({"a": 1, "b": 2}, {"c": 3, "d": 4})


def test_parameters_called_as_a_wrappers_own_variables_keep_their_values_under_a_tracer():
    names = "function, slow, gate, state, error, call, value, outcome, context, since"
    breaker = circuit_breaker("traced", failure_threshold=1000)
    failures = [ConnectionResetError]

    def fail_once(given: dict) -> dict:
        if failures:
            raise failures.pop()
        return given

    original = made(names, "return hear(locals())")
    original.__globals__["hear"] = fail_once
    guarded = breaker(retry(original))
    given = {name: number for number, name in enumerate(names.split(", "))}

    def look(frame: types.FrameType, event: str, argument: object) -> object:
        _ = frame.f_locals  # a debugger reads them, and Python writes them back when it returns
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        assert guarded(**given) == given
    finally:
        sys.settrace(before)


def test_a_traceback_shows_the_line_of_the_wrapper():
    @retry
    def fail(a: int) -> None:
        raise ValueError

    with pytest.raises(ValueError) as caught:
        fail(1)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[1].filename.startswith("<resilience wrapper ")
    assert frames[1].line == "raise error"


def test_a_callable_that_is_no_python_function_takes_any_arguments():
    assert wrappers.parameters_of(len) is wrappers.ANYTHING
    assert retry(len).__code__.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)


@pytest.mark.generated_wrapper
def test_a_python_function_takes_its_own_parameters():
    assert wrappers.parameters_of(made("a, /, b, *c, d, **e")) == (
        ("a", "b", "d", "c", "e"),
        (2, 1, 1, True, True),
    )


def test_the_form_of_a_wrapper_is_the_one_the_tests_are_run_with(pytestconfig: pytest.Config):
    general = pytestconfig.getoption("wrappers") == "general"
    assert str(inspect.signature(retry(made("a, *, b")), follow_wrapped=False)) == (
        "(*args, **kwargs)" if general else "(a, *, b)"
    )


def test_a_success_after_a_retry_is_timed_from_the_beginning_of_the_call():
    with virtual_time() as clock:
        clock.advance(1000)
        slow = circuit_breaker("slow", failure_threshold=None, slow_call_rate=0.5, slow_call_seconds=5, minimum_calls=2)
        calls = itertools.count()

        @slow
        @retry
        def fetch() -> str:
            if next(calls) % 2 == 0:
                raise ConnectionResetError
            return "ok"

        for _ in range(4):
            assert fetch() == "ok"
        assert slow.current_state == "closed"
