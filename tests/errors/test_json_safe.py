"""Details become JSON, whatever they are."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import uuid
from collections import OrderedDict
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience import ErrorCategory
from resilience.errors import ResilienceError
from resilience.errors._json_safe import message_of, safe_details, safe_value
from resilience.errors._secrets import REDACTED, is_secret


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


@dataclasses.dataclass
class Settings:
    user: str
    password: str


class Plain:
    def __repr__(self):
        return "Plain(user='ada', password='hunter2', api_key=abc123, retries=3)"


class Hostile:
    def __repr__(self):
        raise RuntimeError("no")

    __str__ = __len__ = __iter__ = __eq__ = __repr__
    __hash__ = None

    def __getattr__(self, name):
        raise RuntimeError(name)


class HostileMapping(Mapping):
    def __getitem__(self, key):
        raise RuntimeError

    def __len__(self):
        return 3

    def __iter__(self):
        raise RuntimeError


class Liar(str):  # noqa: SLOT000
    def __str__(self):
        raise RuntimeError

    __len__ = __str__


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (10**30, 10**30),
        (10**5000, "<int of 16610 bits>"),
        (float("inf"), "inf"),
        ("a\ud800b", "a?b"),
        (b"abc", "<3 bytes>"),
        (decimal.Decimal("1.20"), "1.20"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (pathlib.PurePosixPath("/srv/a"), "/srv/a"),
        (datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC), "2024-02-29T00:00:00+00:00"),
        (datetime.timedelta(minutes=1), 60.0),
        (Colour.RED, "red"),
        (Number.ONE, 1),
        (ErrorCategory.TIMEOUT, "timeout"),
        (KeyError("lamp"), "KeyError: 'lamp'"),
        (ValueError, "ValueError"),
        ((1, [2, {3}]), [1, [2, [3]]]),
        (OrderedDict(a=1), {"a": 1}),
        ({1: "a", None: "b", (1, 2): "c"}, {"1": "a", "None": "b", "<tuple>": "c"}),
        (Settings("ada", "hunter2"), {"user": "ada", "password": REDACTED}),
        (Plain(), f"Plain(user='ada', password={REDACTED}, api_key={REDACTED}, retries=3)"),
        (Hostile(), "<Hostile that cannot be shown>"),
        (HostileMapping(), "<HostileMapping that cannot be shown>"),
        (Liar("text"), "text"),
        ("postgres://ada:hunter2@db/shop", f"postgres://{REDACTED}@db/shop"),
        ("sent Authorization: Bearer abcdef123456", f"sent Authorization: Bearer {REDACTED}"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_shown_as_json_takes_it(value, expected):
    found = safe_value(value)
    assert found == expected
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "key",
    "password passwd PWD dbPassword user_password secret client_secret clientSecret token access_token refreshToken"
    " Authorization auth Proxy-Authorization api_key apiKey X-API-Key apikey cookie Set-Cookie private_key credential"
    " credentials session_id csrf_token jwt dsn connection_string aws_secret_access_key AccessKeyId passphrase".split(),
)
def test_a_key_that_looks_secret_loses_its_value(key):
    assert safe_details({key: "hunter2", "deep": [{key: {"a": "hunter2"}}]}) == {
        key: REDACTED,
        "deep": [{key: REDACTED}],
    }


@pytest.mark.parametrize("key", "author authors key keyboard compass monkey pinned spinning item passed field".split())
def test_a_key_that_only_sounds_alike_keeps_its_value(key):
    assert not is_secret(key)


def test_a_number_of_tokens_is_no_secret_and_a_number_as_a_password_is():
    assert safe_details({"max_tokens": 4096, "tokens": "abc", "password": 1234}) == {
        "max_tokens": 4096,
        "tokens": REDACTED,
        "password": REDACTED,
    }


def test_a_circle_is_cut_and_the_same_value_twice_is_none():
    ring: dict = {"again": []}
    ring["again"].append(ring)
    shared = ["a"]
    assert safe_value(ring) == {"again": ["<circular>"]}
    assert safe_value([shared, shared]) == [["a"], ["a"]]


def test_what_is_long_wide_or_deep_is_cut():
    assert safe_value("a" * 5000) == "a" * 2000 + "... (3000 more)"
    assert safe_value(list(range(60)))[50:] == ["... 10 more"]
    assert safe_value({str(n): n for n in range(60)})["..."] == "10 more"
    deep = value = []
    for _ in range(500):
        value.append([])
        value = value[0]
    assert json.dumps(safe_value(deep)) == '[[[[[["<list>"]]]]]]'
    assert len(json.dumps(safe_value([[[["x"] * 50] * 50] * 50] * 50))) < 20_000


def test_an_iterator_is_not_used_up():
    values = iter([1, 2])
    assert "iterator" in safe_value(values)
    assert list(values) == [1, 2]


def test_details_that_became_something_else_are_an_empty_object():
    error = ResilienceError("m")
    error.details = 5
    assert error.to_dict()["details"] == {}


def test_an_error_whose_str_raises_is_survived():
    class Silent(ResilienceError):
        def __str__(self):
            raise RuntimeError

    class Numb(ResilienceError):
        def __str__(self):
            return 5  # noqa: PLE0307

    for kind in (Silent, Numb):
        said = f"<{kind.__name__} whose message cannot be read>"
        assert kind().message == kind().to_dict()["message"] == message_of(kind()) == said
        assert kind().to_problem(public=True)["detail"] == said


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates() | st.builds(Hostile),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
)


@pytest.mark.slow  # seconds of examples
@given(st.dictionaries(st.text(), values))
def test_whatever_the_details_the_body_can_be_sent(details):
    body = ResilienceError("m", details=details).to_dict()
    assert json.loads(json.dumps(body, allow_nan=False, ensure_ascii=False).encode()) == body
