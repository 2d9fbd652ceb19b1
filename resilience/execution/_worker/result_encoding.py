"""What the program leaves behind, as JSON takes it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from resilience.report._safe_repr import SafeRepr
    from resilience.report.captured_exception import Json

__all__ = ["looks", "value_of", "variables_of"]

_MOST_TEXT = 100_000
_MOST_NODES = 10_000
_MOST_DEEP = 20
_MOST_BITS = 256  # longer whole numbers are read by few, and str() of very long ones raises


def looks() -> SafeRepr:
    """Return what looks at values that may show themselves as they like."""
    from resilience.report._safe_repr import SafeRepr

    return SafeRepr()


def variables_of(
    namespace: dict[str, object], names: Sequence[str] | None, get_looks: Callable[[], SafeRepr] = looks
) -> dict[str, Json]:
    """Return the variables called *names*, those that there are; without names, those that hold data."""
    if names is not None:
        namespace = {name: namespace[name] for name in names if name in namespace}
    elif all(name[:2] == name[-2:] == "__" for name in namespace):
        return {}
    return get_looks().variables(namespace, module=names is None)


def value_of(value: object, get_looks: Callable[[], SafeRepr] = looks) -> Json:
    """Return a value as it is, where JSON has it; anything else as a short text."""
    try:
        return _Plain().of(value, 0)
    except (_NotPlain, RuntimeError):  # or a thread of the program has changed it meanwhile
        return get_looks().render(value)


class _NotPlain(Exception):
    pass


class _Plain:
    """One walk through a value: no code of the program runs, and what is too much ends it."""

    def __init__(self) -> None:
        self._nodes = _MOST_NODES
        self._text = _MOST_TEXT

    def of(self, value: Any, depth: int) -> Json:
        exactly: object = value
        kind = type(exactly)
        self._nodes -= 1
        if self._nodes < 0 or depth > _MOST_DEEP:
            raise _NotPlain
        if kind is str:
            return self._counted(value)
        if kind is list:
            return [self.of(item, depth + 1) for item in value]
        if kind is dict:
            return {self._key(key): self.of(item, depth + 1) for key, item in value.items()}
        if (
            value is None
            or kind is bool
            or (kind is int and value.bit_length() <= _MOST_BITS)
            or (kind is float and value - value == 0)  # finite
        ):
            return value  # type: ignore[no-any-return]
        raise _NotPlain

    def _key(self, key: object) -> str:
        if type(key) is not str:
            raise _NotPlain
        return self._counted(key)

    def _counted(self, text: str) -> str:
        self._text -= len(text)
        if self._text < 0:
            raise _NotPlain
        return text
