"""The kinds of values that options have in a configuration, and how each is read.

The type of an option, as its policy declares it, decides its kind: an option that is added to a policy can be
configured without a line here, as long as its type is one of those below. Options that take functions cannot.

A value comes from a TOML file with a type of its own, or from the environment as a text. Each kind has one function
that takes either and returns what the policy takes. What it cannot read raises ValueError with what would be right.

The functions check the type alone: ranges, such as a number of attempts of at least 1, are checked by the policy, which
has to check them for code as well. Messages begin with what would be right, since `put_option` writes "give" before
them, and the source and the path of the option before that.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, get_args

from resilience._validation import did_you_mean
from resilience.categories import ErrorCategory, combine
from resilience.faults import Lognormal, Uniform
from resilience.policies._retry_config import OnExhausted
from resilience.policies.backoff import Jitter
from resilience.policies.bulkhead import Order
from resilience.policies.idempotency import by_method, unless_post
from resilience.policies.timeout import Mode

__all__ = ["Kind", "kind_of_type", "read_duration"]


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: *read* takes what a source gives, *schema* describes it in JSON Schema.

    The schema describes what a file is to have, and may be stricter than *read*, which also takes the texts of the
    environment, such as names with commas between them.
    """

    name: str
    read: Callable[[object], object]
    schema: Mapping[str, object]


_DURATION = re.compile(r"\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>[a-zµ]*)\s*")
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def read_duration(value: object) -> float:
    """Return a duration in seconds: a number, or a text of a number and a unit.

    >>> read_duration(2), read_duration("500ms"), read_duration("1.5 h")
    (2.0, 0.5, 5400.0)

    Raises ValueError for anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = None
    if isinstance(value, str):
        found = _DURATION.fullmatch(value)
    if found is not None and found["unit"] in {*_SECONDS, ""}:
        return float(found["number"]) * _SECONDS[found["unit"] or "s"]
    raise ValueError(f"a duration: seconds as a number, or a text such as '500ms', '2s', '1.5m', '1h', not {value!r}")


def _number(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    _expected(is_number and math.isfinite(cast("float", value)), "a number", value)
    return value


def _expected(valid: bool, what: str, value: object) -> None:
    if not valid:
        raise ValueError(f"{what}, not {value!r}")


def _integer(value: object) -> object:
    _expected(isinstance(value, int) and not isinstance(value, bool), "a whole number", value)
    return value


def _boolean(value: object) -> object:
    _expected(isinstance(value, bool), "true or false", value)
    return value


def _text(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"a text, not {value!r}")
    return value


def _names(value: object) -> object:
    """Return names as a tuple: of a list, or of a text with commas, as the environment has it."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, list) or not all(isinstance(part, str) for part in cast("list[object]", value)):
        raise ValueError(f"a list of names, not {value!r}")
    return tuple(cast("list[str]", value))


def _choice(choices: Sequence[str]) -> Kind:
    def read(value: object) -> object:
        if value not in choices:
            known = ", ".join(map(repr, choices))
            raise ValueError(f"one of {known}, not {value!r}{did_you_mean(str(value), choices)}")
        return value

    return Kind("choice", read, {"enum": list(choices)})


def _categories(value: object) -> ErrorCategory:
    """Return the group of categories that labels name. The message of `combine` is cut to what would be right."""
    labels = _names(value)
    try:
        return combine("category", cast("Sequence[str]", labels))
    except (TypeError, ValueError) as error:
        message = str(error)
        raise ValueError(message.partition(": give ")[2] or message) from None


def _by_category(read: Callable[[object], object]) -> Callable[[object], object]:
    def read_all(value: object) -> object:
        _expected(isinstance(value, Mapping), "a table by category, such as {timeout = 2}", value)
        return {_categories(label): read(each) for label, each in cast("Mapping[str, object]", value).items()}

    return read_all


_IDEMPOTENT: Mapping[object, object] = {
    True: True,
    False: False,
    "by_method": by_method,
    "unless_post": unless_post,
}


def _idempotent(value: object) -> object:
    if not isinstance(value, str | bool) or value not in _IDEMPOTENT:
        raise ValueError(f"true, false, 'by_method' or 'unless_post', not {value!r}")
    return _IDEMPOTENT[value]


def _after(value: object) -> object:
    if isinstance(value, str) and value.lstrip().startswith("p"):
        return value
    return read_duration(value)


def _latency(value: object) -> object:
    """Return the latency of a fault: seconds, or a distribution, which its table names by its parameters."""
    if not isinstance(value, Mapping):
        return read_duration(value)
    table = cast("Mapping[str, object]", value)
    for names, distribution in _DISTRIBUTIONS.items():
        if set(table) == set(names):
            return distribution(*(read_duration(table[name]) for name in names))
    raise ValueError(f"a duration, or a table such as {_EXAMPLES}, not {value!r}")


_EXAMPLES = "{p50 = '40ms', p99 = '300ms'} or {low = 1, high = 2}"
_DISTRIBUTIONS: Mapping[tuple[str, str], Callable[[float, float], object]] = {
    ("p50", "p99"): Lognormal,
    ("low", "high"): Uniform,
}


def _anything(value: object) -> object:
    return value


_DURATION_SCHEMA: Mapping[str, object] = {
    "oneOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^\s*(\d+(\.\d*)?|\.\d+)\s*(ms|s|m|min|h|d)?\s*$"},
    ]
}
_LATENCY_SCHEMA: Mapping[str, object] = {
    "oneOf": [
        *cast("list[object]", _DURATION_SCHEMA["oneOf"]),
        *(
            {
                "type": "object",
                "properties": dict.fromkeys(names, _DURATION_SCHEMA),
                "required": list(names),
                "additionalProperties": False,
            }
            for names in _DISTRIBUTIONS
        ),
    ]
}
_CATEGORY_SCHEMA: Mapping[str, object] = {
    "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}
_COUNTS_SCHEMA: Mapping[str, object] = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
_WAITS_SCHEMA: Mapping[str, object] = {"type": "object", "additionalProperties": _DURATION_SCHEMA}
_NAMES_SCHEMA: Mapping[str, object] = {"type": "array", "items": {"type": "string"}}

DURATION = Kind("duration", read_duration, _DURATION_SCHEMA)
ANYTHING = Kind("value", _anything, {})

_KINDS: Mapping[str, Kind] = {
    "int": Kind("whole number", _integer, {"type": "integer"}),
    "float": Kind("number", _number, {"type": "number"}),
    "bool": Kind("boolean", _boolean, {"type": "boolean"}),
    "str": Kind("text", _text, {"type": "string", "minLength": 1}),
    "float | timedelta": DURATION,
    "Wait": DURATION,
    "str | float | timedelta": Kind("quantile or duration", _after, {"type": ["string", "number"]}),
    "float | RetryBudget": Kind("number", _number, {"type": "number"}),
    "Jitter": _choice(get_args(Jitter)),
    "OnExhausted": _choice(get_args(OnExhausted)),
    "Order": _choice(get_args(Order)),
    "Mode": _choice(get_args(Mode)),
    "Enabled": Kind("boolean", _boolean, {"type": "boolean"}),
    "LatencyLike": Kind("latency", _latency, _LATENCY_SCHEMA),
    "CategoryLike": Kind("categories", _categories, _CATEGORY_SCHEMA),
    "Mapping[CategoryLike, int]": Kind("numbers by category", _by_category(_integer), _COUNTS_SCHEMA),
    "Mapping[CategoryLike, Backoff | Wait]": Kind("durations by category", _by_category(read_duration), _WAITS_SCHEMA),
    "bool | Callable[..., object]": Kind(
        "idempotence", _idempotent, {"enum": [True, False, "by_method", "unless_post"]}
    ),
    "float | Callable[..., float]": Kind("number", _number, {"type": "number"}),
}
"""By the type of an option, without ``| None``."""


def kind_of_type(declared: Any) -> Kind | None:
    """Return the kind of an option by its declared type; None for one that takes a function, an object, or a class.

    >>> kind_of_type("float | timedelta | None").name, kind_of_type("Callable[..., object]")
    ('duration', None)
    """
    text = getattr(declared, "__forward_arg__", declared)
    if not isinstance(text, str):
        text = getattr(declared, "__name__", str(declared))
    return _KINDS.get(text.removesuffix(" | None"))
