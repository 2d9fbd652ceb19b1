"""Any value has short looks, whatever it does when it is looked at."""

from __future__ import annotations

import array
import builtins
import collections
import dataclasses
import enum
import json
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.report._safe_repr import SafeRepr
from resilience.report._step_limit import StepLimitError, with_step_limit

Point = namedtuple("Point", "x y")  # noqa: PYI024


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Basket:
    owner: str
    items: list[int] = dataclasses.field(default_factory=list)
    password: str = "hunter2"


class Plain:
    def __init__(self, **held):
        self.__dict__.update(held)


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self):
        self.left = 1


class Endless:
    def __repr__(self):
        while True:
            pass


class Deep:
    def __repr__(self):
        return repr(self)


class Liar:
    def __repr__(self):
        return 42


class Broken:
    def __repr__(self):
        raise LookupError("no")

    __str__ = __len__ = __iter__ = __eq__ = __bool__ = __repr__
    __hash__ = None

    def __getattribute__(self, name):
        raise RuntimeError(name)


def odd() -> object:
    """Return an object of a class that refuses to say anything; pytest would ask one at the top of a module."""

    class Meta(type):
        @property
        def __name__(cls):
            raise RuntimeError

        def __getattribute__(cls, name):
            raise RuntimeError(name)

    class Odd(metaclass=Meta):
        pass

    return Odd()


class Pretender:
    @property
    def __class__(self):
        raise RuntimeError


class Whole(int):
    """A number whose repr is that of a number."""


class List(list):
    def __repr__(self):
        raise AssertionError("a container is shown by its elements")

    __len__ = __iter__ = __repr__


def look(value: object) -> object:
    return SafeRepr().render(value)


@pytest.mark.parametrize("value", [None, True, 0, -7, 2.5, "", "a text", 2**200])
def test_what_json_has_stays_as_it_is(value: object):
    assert look(value) == value
    assert type(look(value)) is type(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([10, 20], "[10, 20]"),
        ((1,), "(1,)"),
        ((), "()"),
        ({"a": (1, {2})}, "{'a': (1, {2})}"),
        (set(), "set()"),
        (frozenset({1}), "frozenset({1})"),
        (b"abc", "b'abc'"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2 + 3j, "(2+3j)"),
        (range(3), "range(0, 3)"),
        (2**300, "<int of 301 bits>"),
        (Point(1, "b"), "Point(x=1, y='b')"),
        (Counter("aab"), "Counter({'a': 2, 'b': 1})"),
        (OrderedDict(a=1), "OrderedDict({'a': 1})"),
        (defaultdict(list, a=[]), "defaultdict({'a': []})"),
        (deque([1, 2]), "deque([1, 2])"),
        (array.array("i", [1, 2]), "array([1, 2])"),
        ({"a": 1}.keys(), "dict_keys(['a'])"),
        (types.SimpleNamespace(a=1), "SimpleNamespace(a=1)"),
        (Basket("ada", [1]), "Basket(owner='ada', items=[1], password=[redacted])"),
        (Plain(width=None, height=3), "<Plain width=None height=3>"),
        (Plain(), "<Plain>"),
        (Slotted(), "<Slotted left=1>"),
        (Colour.RED, "<Colour.RED: 'red'>"),
        (ValueError("bad", 3), "ValueError('bad', 3)"),
        (Whole(3), "Whole(3)"),
        (2j, "complex(2j)"),
        (int, "<class int>"),
        (len, "<function len>"),
        (look, "<function look>"),
        (sys, "<module sys>"),
        (List([1, 2]), "List([1, 2])"),
        (object(), "<object>"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
def test_anything_else_is_shown_as_its_repr_would_say_it(value: object, shown: str):
    assert look(value) == shown


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (Endless, "<Endless whose repr takes too long>"),
        (Deep, "<Deep whose repr fails with RecursionError>"),
        (Liar, "<Liar whose repr fails with TypeError>"),
        (Broken, "<Broken whose repr fails with LookupError>"),
        (Pretender, "<Pretender>"),
        (odd, "<Odd>"),
    ],
    ids=lambda made: getattr(made, "__name__", ""),
)
def test_a_value_that_cannot_be_shown_says_so(make: Callable[[], object], shown: str):
    value = make()
    assert look(value) == shown
    assert look([value, 1]) == f"[{shown}, 1]"


def test_after_a_few_endless_ones_no_more_are_asked():
    shown = str(SafeRepr().render([Endless() for _ in range(8)]))
    assert shown.startswith("[<Endless whose repr takes too long>, ")
    assert shown.endswith("<Endless>, <Endless>, <Endless>]")


def test_what_refers_to_itself_says_so():
    ring: list[object] = [1]
    ring.append({"ring": ring})
    assert look(ring) == "[1, {'ring': <circular>}]"


def test_a_large_container_costs_no_more_than_a_small_one():
    asked = 0

    class Loud:
        def __repr__(self):
            nonlocal asked
            asked += 1
            return "loud"

    shown = look([Loud() for _ in range(10_000)])
    assert asked == 20
    assert shown == f"[{', '.join(['loud'] * 20)}, ... 9980 more]"


def test_a_long_text_is_cut_and_says_by_how_much():
    assert look("x" * 1000) == "x" * 400 + "... (600 more)"
    assert look(["x" * 1000]) == f"['{'x' * 200}'... (800 more)]"
    assert look({"k": b"x" * 1000}) == f"{{'k': b'{'x' * 200}'... (800 more)}}"


def test_all_looks_together_have_an_end():
    wide = [[[[i] * 20 for i in range(20)] for _ in range(20)] for _ in range(20)]
    safe_repr = SafeRepr()
    for _ in range(10):
        safe_repr.render(wide)
    assert safe_repr.render([1]) == "..."
    assert safe_repr.render(7) == 7


def test_a_set_looks_the_same_in_every_process():
    assert look({"b", "a", "c"}) == "{'a', 'b', 'c'}"


def test_addresses_are_left_out():
    class Connection:
        def __repr__(self):
            return f"<Connection to {object.__repr__(self)}>"

    assert "0x" not in str(look(Connection()))
    assert look(iter([])) == "<list_iterator>"


def test_secrets_are_kept_out_by_their_names_and_noted():
    safe_repr = SafeRepr()
    found = safe_repr.variables({"api_key": "sk-canary-1", "user": "ada", "config": {"db": {"password": "canary-22"}}})
    assert found == {"api_key": "[redacted]", "user": "ada", "config": "{'db': {'password': '[redacted]'}}"}
    assert safe_repr.secrets == {"sk-canary-1", "canary-22"}


def test_modules_dunders_and_odd_names_are_no_variables():
    names = {"sys": sys, "__name__": "x", ".0": iter([]), "total": 1, "f": look, "C": Plain}
    assert SafeRepr().variables(names) == {"total": 1, "f": "<function look>", "C": "<class Plain>"}
    assert SafeRepr().variables(names, module=True) == {"total": 1}


def test_many_variables_are_cut():
    found = SafeRepr().variables({f"v{i}": i for i in range(80)})
    assert len(found) == 51
    assert found["..."] == "more"


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda of: st.lists(of) | st.dictionaries(st.text(), of),
    )
)
def test_looks_are_json_and_bounded(value: object):
    shown = look(value)
    json.dumps(shown)
    assert len(str(shown)) < 450


def test_a_signal_that_is_no_exception_passes():
    class TimeLimit(BaseException):
        pass

    class Interrupted:
        def __repr__(self):
            raise TimeLimit

    with pytest.raises(TimeLimit):
        look([Interrupted()])


def test_bounded_gives_back_the_tracer_that_was_there():
    seen = []

    def tracer(frame, event, arg):
        seen.append(event)

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        assert with_step_limit(lambda: 1) == 1
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


def test_bounded_stops_what_catches_every_exception():
    def stubborn():
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue

    with pytest.raises(StepLimitError, match="more than 500 steps"):
        with_step_limit(stubborn, 500)


def test_bounded_passes_errors_on():
    with pytest.raises(ZeroDivisionError):
        with_step_limit(lambda: 1 // 0)


def test_collections_of_the_standard_library_are_known_by_name():
    assert look(collections.ChainMap({"a": 1})) == "ChainMap({'a': 1})"


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit])
def test_a_repr_that_wants_to_end_the_program_does_not(kind):
    class Leaving:
        def __repr__(self):
            raise kind(0)

    assert "Leaving" in str(SafeRepr().render(Leaving()))


@pytest.mark.skipif(sys.version_info < (3, 15), reason="frozendict of 3.15")
def test_a_frozendict_is_shown_by_its_elements_and_without_its_secrets():
    class Settings(builtins.frozendict):
        pass

    shown = SafeRepr()
    assert shown.render(builtins.frozendict(password="hunter2", user="ada")) == (
        "frozendict({'password': '[redacted]', 'user': 'ada'})"
    )
    assert (
        shown.render(Settings(token="abcdef123456", user="ada")) == "Settings({'token': '[redacted]', 'user': 'ada'})"
    )
    assert shown.secrets == {"hunter2", "abcdef123456"}
    assert shown.render(builtins.frozendict.fromkeys(range(100), 1)).endswith("... 80 more})")
