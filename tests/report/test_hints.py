"""Hints from live objects, made without running any code of the objects."""

from __future__ import annotations

import pytest

from resilience.report._capture import capture
from tests.report.failing import captured


def hints(source: str) -> dict[str, object]:
    return captured(source)["hints"]


def test_a_name_comes_with_the_names_in_reach_the_nearest_first():
    found = hints("total = 1\ndef f(width):\n    inner = 2\n    return widht\nf(1)\n")
    names = found["names"]
    assert found["name"] == "widht"
    assert names[:4] == ["width", "inner", "total", "f"]
    assert "print" in names


def test_a_name_that_the_object_has_comes_with_its_owner():
    source = """
    class Box:
        def __init__(self):
            self.width = 2

        def area(self):
            return width * width

    Box().area()
    """
    assert hints(source)["names"][0] == "self.width"


def test_a_variable_used_before_it_has_a_value_is_a_name_too():
    assert hints("def f():\n    print(x)\n    x = 1\nf()\n")["name"] == "x"


def test_an_attribute_comes_with_those_that_the_object_has():
    found = hints("'abc'.uper()")
    assert (found["name"], found["owner"]) == ("uper", "str")
    assert "upper" in found["names"]
    assert not [name for name in found["names"] if name.startswith("__")]


@pytest.mark.parametrize(
    ("source", "owner", "name"),
    [
        ("import math\nmath.sqroot(2)", "module math", "sqrt"),
        ("class Box:\n    def open(self): ...\nBox.opn", "class Box", "open"),
        ("class Box:\n    __slots__ = ('lid',)\nBox().lip", "Box", "lid"),
        ("class Box:\n    def __init__(self): self.lid = 1\nBox().lip", "Box", "lid"),
        ("None.lip", "NoneType", None),
    ],
    ids=["module", "class", "slots", "instance", "none"],
)
def test_an_owner_is_named_by_what_it_is(source: str, owner: str, name: str | None):
    found = hints(source)
    assert found["owner"] == owner
    assert name is None or name in found["names"]


def test_nothing_of_the_program_is_run_to_find_the_names():
    source = """
    ran = []

    class Meta(type):
        def __dir__(cls):
            ran.append("class dir")

    class Box(metaclass=Meta):
        @property
        def lid(self):
            ran.append("property")

        def __dir__(self):
            ran.append("dir")

        __dict__ = property(lambda self: ran.append("dict"))
        __class__ = property(lambda self: ran.append("class"))

    class Keys(dict):
        def keys(self):
            ran.append("keys")

        __iter__ = __len__ = keys

    box = Box()
    kept = Keys(a=1)
    error = {which}
    raise error
    """
    found = captured(source.replace("{which}", "AttributeError(name='lip', obj=box)"))
    # CPython asks for `dir` itself to say "Did you mean" in the text of the traceback.
    assert "property" not in found["globals"]["ran"]
    assert "lid" in found["hints"]["names"]


@pytest.mark.parametrize(
    "source",
    [
        "prices = {'lamp': 1, 'sofa': 2}\nprices['lmap']",
        "def f():\n    prices = {'lamp': 1, 'sofa': 2}\n    return 1 + prices['lm' + 'ap']\nf()",
        "shop = {'prices': [0, {'lamp': 1, 'sofa': 2}]}\nshop['prices'][-1]['lmap']",
        "class Shop:\n    def __init__(self): self.prices = {'lamp': 1, 'sofa': 2}\nshop = Shop()\nshop.prices['lmap']",
        "prices = {'lamp': 1, 'sofa': 2}\nprices.pop('lmap')",
        "from collections import OrderedDict\nprices = OrderedDict(lamp=1, sofa=2)\nprices['lmap']",
        "prices = {'lamp': 1, 'sofa': 2}\nprices[\n    'lmap'\n]",
    ],
    ids=["name", "local", "nested", "attribute", "pop", "subclass", "lines"],
)
def test_a_key_comes_with_those_of_the_mapping_that_was_asked(source: str):
    assert hints(source) == {"key": "lmap", "keys": ["lamp", "sofa"]}


@pytest.mark.parametrize(
    "source",
    ["def f():\n    return {'a': 1}\nf()['b']", "raise KeyError('b')", "import os\nos.environ['b']"],
    ids=["call", "raised", "library"],
)
def test_where_it_is_not_sure_which_mapping_was_asked_there_are_no_keys(source: str):
    assert hints(source) == {"key": "b"}


def test_a_mapping_of_another_kind_is_not_asked():
    source = """
    class Keys:
        def __getitem__(self, key): raise KeyError(key)
        def keys(self): raise AssertionError

    Keys()['a']
    """
    assert hints(source) == {"key": "a"}


def test_an_index_comes_with_the_length():
    assert hints("items = [1, 2]\ni = 5\nitems[i]") == {"index": 5, "length": 2}
    assert hints("'abc'[-7]") == {"index": -7, "length": 3}


def test_a_name_that_a_module_does_not_have_comes_with_those_that_it_has():
    found = hints("from math import sqroot")
    assert (found["name"], found["from"]) == ("sqroot", "math")
    assert "sqrt" in found["names"]


def test_a_module_that_is_not_there_is_named_with_those_that_are_like_it():
    found = hints("import numpyy.linalg")
    assert found["name"] == "numpyy" and "numpy" in found["names"]
    assert hints("import nothing_is_like_this") == {"name": "nothing_is_like_this"}


def test_a_module_that_a_package_does_not_have_comes_with_those_that_it_has():
    found = hints("import json.decodr")
    assert (found["name"], found["package"]) == ("json.decodr", "json")
    assert {"decoder", "encoder"} <= set(found["names"])
    assert "pyplot" in hints("from matplotlib import pylot")["names"]


def test_a_package_whose_path_is_nonsense_has_no_modules():
    code = (
        "import sys, types\nsys.modules['odd'] = odd = types.ModuleType('odd')\nodd.__path__ = [3]\nfrom odd import er"
    )
    assert hints(code)["name"] == "er"


@pytest.mark.parametrize(
    "error",
    [NameError("x"), AttributeError("x"), ImportError("x"), KeyError(), IndexError(), KeyError(1, 2)],
    ids=repr,
)
def test_exceptions_made_by_hand_give_no_wrong_hints(error: Exception):
    assert capture(error)["hints"] == {}
