"""Encoding of the program's value and variables as JSON.

A value keeps its meaning where JSON has a form for it: a tuple is a list, a number of numpy is a number, a date is its
ISO 8601 text. What JSON has no form for is a short text, alone or as an element. NaN and the infinities stay floats.

Classes are compared by identity, with those of the loaded modules: a subclass, or a class that only has the name, may
run code of the program when it is converted. No module is imported for that: a value of a library's class can only be
there if the library is.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from resilience.report._safe_repr import SafeRepr
    from resilience.report.captured_exception import Json

__all__ = ["encode_named", "encode_value", "encode_variables", "has_special_floats", "safe_repr"]

_MAX_TEXT = 1_000_000
_MAX_NODES = 100_000
_MAX_DEPTH = 20
_MAX_BITS = 256  # longer whole numbers are read by few, and str() of very long ones raises
_MAPPINGS = ("Counter", "OrderedDict", "defaultdict")
_NUMERIC_KINDS = "biuf"
"""Kinds of numpy's types whose elements are numbers or truth values."""
_TEXTS = {"decimal": ("Decimal",), "uuid": ("UUID",), "fractions": ("Fraction",)}
"""Classes whose text is exact, by module."""
_DATES = ("date", "datetime", "time")
_MISSING = ("NA", "NaT")
"""Marks of pandas for a missing value or date."""
_NOTHING = object()
# A metaclass of the program may define properties of these names.
_name_of = type.__dict__["__name__"].__get__
_module_of = type.__dict__["__module__"].__get__


def safe_repr() -> SafeRepr:
    """Return the renderer for values that JSON does not have. Imported late: most programs need none."""
    from resilience.report._safe_repr import SafeRepr

    return SafeRepr()


def encode_variables(
    namespace: dict[str, object], names: Sequence[str] | None, get_repr: Callable[[], SafeRepr] = safe_repr
) -> dict[str, Json]:
    """Return a short text for each existing variable of *names*; without names, for all that hold data."""
    if names is not None:
        namespace = {name: namespace[name] for name in names if name in namespace}
    elif all(name[:2] == name[-2:] == "__" or type(value) is type(sys) for name, value in namespace.items()):
        return {}
    return get_repr().variables(namespace, module=names is None)


def encode_named(
    namespace: dict[str, object], names: Sequence[str], get_repr: Callable[[], SafeRepr] = safe_repr
) -> tuple[dict[str, Json], list[str]]:
    """Return the existing variables of *names* whole, and a note for each that is too large for that.

    A text under a secret name is redacted.
    """
    found: dict[str, Json] = {}
    notes: list[str] = []
    get_repr()  # the toolkit can be imported from now on
    from resilience.errors._secrets import REDACTED, is_secret

    for name in names:
        if name not in namespace:
            continue
        if is_secret(name, namespace[name]):
            found[name] = REDACTED
        else:
            found[name], note = encode_value(namespace[name], get_repr, name)
            notes += note
    return found, notes


def encode_value(
    value: object, get_repr: Callable[[], SafeRepr] = safe_repr, name: str = "return_value"
) -> tuple[Json, list[str]]:
    """Return *value* as JSON has it, or a short text, and a note if it is too large to be returned whole."""
    try:
        return _JsonEncoder(get_repr).of(value, 0), []
    except _TooLargeError as error:
        return get_repr().render(value), [f"{name} is too large to be returned whole ({error}): it is a short text"]
    except (TypeError, ValueError, RuntimeError):  # a thread of the program has changed it meanwhile
        return get_repr().render(value), []


class _TooLargeError(Exception):
    pass


class _JsonEncoder:
    """Walks through one value within limits of size and depth. Calls no code of the program, but for a `repr`.

    The limits are of one value as a whole, so that many small parts cannot make a large result.
    """

    def __init__(self, get_repr: Callable[[], SafeRepr]) -> None:
        self._nodes = _MAX_NODES
        self._text = _MAX_TEXT
        self._get_repr = get_repr
        self._repr: SafeRepr | None = None

    def of(self, value: Any, depth: int) -> Json:
        exactly: object = value
        kind = type(exactly)
        self._nodes -= 1
        if self._nodes < 0:
            raise _TooLargeError(f"more than {_MAX_NODES} values")
        if kind is str:
            return self._counted(value)
        if value is None or kind is bool or kind is float or (kind is int and value.bit_length() <= _MAX_BITS):
            return value  # type: ignore[no-any-return]
        if depth > _MAX_DEPTH:
            return self._rendered(value)
        if kind is list or kind is tuple:
            return [self.of(item, depth + 1) for item in value]
        if kind is dict or _is(kind, "collections", _MAPPINGS):
            return self._mapping(value, depth)
        return self._of_library(value, kind, depth)

    def _mapping(self, value: dict[object, Any], depth: int) -> Json:
        if all(type(key) is str for key in value):
            return {self._counted(str(key)): self.of(item, depth + 1) for key, item in value.items()}
        return self._rendered(value)

    def _of_library(self, value: Any, kind: type[object], depth: int) -> Json:
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None and _module_of(kind) == "numpy":
            return self._of_numpy(value, kind, depth, numpy)
        if _is_date(kind):
            return self._counted(value.isoformat())
        if any(_is(kind, module, names) for module, names in _TEXTS.items()):
            return self._counted(str(value))
        pandas: Any = sys.modules.get("pandas")
        if any(value is getattr(pandas, name, _NOTHING) for name in _MISSING):
            return None
        return self._rendered(value)

    def _of_numpy(self, value: Any, kind: type[object], depth: int, numpy: Any) -> Json:
        code: str = value.dtype.kind if kind is numpy.ndarray or issubclass(kind, numpy.generic) else ""
        if code in ("M", "U") or (code == "S" and kind is not numpy.ndarray):
            value = value.astype(str)
        elif code not in _NUMERIC_KINDS or not code:
            return self._rendered(value)
        if value.size > self._nodes:
            raise _TooLargeError(f"more than {_MAX_NODES} values")
        plain: object = value.tolist()
        return float(value) if type(plain) is kind else self.of(plain, depth + 1)  # a longdouble stays one

    def _rendered(self, value: object) -> Json:
        if self._repr is None:
            self._repr = self._get_repr()
        found = self._repr.render(value)
        return self._counted(found) if type(found) is str else found

    def _counted(self, text: str) -> str:
        self._text -= len(text)
        if self._text < 0:
            raise _TooLargeError(f"more than {_MAX_TEXT} characters")
        return text


def _is(kind: type[object], module: str, names: Sequence[str]) -> bool:
    """Return whether *kind* is one of the classes *names* of a loaded *module*."""
    name = _name_of(kind)
    return name in names and kind is getattr(sys.modules.get(module), name, None)


def _is_date(kind: type[object]) -> bool:
    return _is(kind, "datetime", _DATES) or _is(kind, "pandas", ("Timestamp",))


def has_special_floats(value: Json) -> bool:
    """Return whether *value* holds a NaN or an infinity, which no frame takes."""
    if isinstance(value, float):
        return value - value != 0
    if isinstance(value, dict):
        return any(map(has_special_floats, value.values()))
    return isinstance(value, list) and any(map(has_special_floats, value))
