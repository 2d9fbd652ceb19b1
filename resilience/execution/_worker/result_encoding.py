"""Encoding of the program's value and variables as JSON."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from resilience.report._safe_repr import SafeRepr
    from resilience.report.captured_exception import Json

__all__ = ["encode_value", "encode_variables", "safe_repr"]

_MAX_TEXT = 100_000
_MAX_NODES = 10_000
_MAX_DEPTH = 20
_MAX_BITS = 256  # longer whole numbers are read by few, and str() of very long ones raises


def safe_repr() -> SafeRepr:
    """Return the renderer for values that JSON does not have. Imported late: most programs need none."""
    from resilience.report._safe_repr import SafeRepr

    return SafeRepr()


def encode_variables(
    namespace: dict[str, object], names: Sequence[str] | None, get_repr: Callable[[], SafeRepr] = safe_repr
) -> dict[str, Json]:
    """Return the existing variables of *names*; without names, all that hold data."""
    if names is not None:
        namespace = {name: namespace[name] for name in names if name in namespace}
    elif all(name[:2] == name[-2:] == "__" for name in namespace):
        return {}
    return get_repr().variables(namespace, module=names is None)


def encode_value(value: object, get_repr: Callable[[], SafeRepr] = safe_repr) -> Json:
    """Return *value* itself if JSON has it, and a short text for anything else."""
    try:
        return _JsonEncoder().of(value, 0)
    except (_NotJsonError, RuntimeError):  # or a thread of the program has changed it meanwhile
        return get_repr().render(value)


class _NotJsonError(Exception):
    pass


class _JsonEncoder:
    """Walks through one value within limits of size and depth. Calls no code of the program."""

    def __init__(self) -> None:
        self._nodes = _MAX_NODES
        self._text = _MAX_TEXT

    def of(self, value: Any, depth: int) -> Json:
        exactly: object = value
        kind = type(exactly)
        self._nodes -= 1
        if self._nodes < 0 or depth > _MAX_DEPTH:
            raise _NotJsonError
        if kind is str:
            return self._counted(value)
        if kind is list:
            return [self.of(item, depth + 1) for item in value]
        if kind is dict:
            return {self._key(key): self.of(item, depth + 1) for key, item in value.items()}
        if (
            value is None
            or kind is bool
            or (kind is int and value.bit_length() <= _MAX_BITS)
            or (kind is float and value - value == 0)  # finite
        ):
            return value  # type: ignore[no-any-return]
        raise _NotJsonError

    def _key(self, key: object) -> str:
        if type(key) is not str:
            raise _NotJsonError
        return self._counted(key)

    def _counted(self, text: str) -> str:
        self._text -= len(text)
        if self._text < 0:
            raise _NotJsonError
        return text
