"""Data for a program: variables that its namespace begins with, and files in its working directory.

Plain values travel as JSON. Any other value is pickled here and unpickled by the worker, which trusts this process.
Nothing that a worker sends is ever unpickled.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from resilience.errors._json_safe import Json
from resilience.execution._options import FileContent

__all__ = ["EncodedVariables", "content_of", "write_files"]

_MAX_NODES = 10_000
_MAX_TEXT = 1_000_000
_MAX_DEPTH = 50
_MAX_BITS = 1000


@dataclass(frozen=True, slots=True)
class EncodedVariables:
    """Variables as they are sent to a worker."""

    plain: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Those that JSON has, exactly."""
    pickled: bytes = b""
    """The others, as one pickled dict; empty if there are none."""

    @classmethod
    def of(cls, variables: Mapping[str, object]) -> EncodedVariables:
        """Encode *variables*. Raises TypeError for a value that cannot be pickled.

        >>> EncodedVariables.of({"limit": 5, "tags": ["a", None]})
        EncodedVariables(plain={'limit': 5, 'tags': ['a', None]}, pickled=b'')
        """
        budget = _Budget()
        plain = {name: value for name, value in variables.items() if budget.is_plain(value, 0)}
        others = {name: value for name, value in variables.items() if name not in plain}
        return cls(cast("Mapping[str, Json]", plain), _pickled(others) if others else b"")


class _Budget:
    """Decides which values are small and plain enough for JSON."""

    def __init__(self) -> None:
        self._nodes = _MAX_NODES
        self._text = _MAX_TEXT

    def is_plain(self, value: Any, depth: int) -> bool:
        """Return whether JSON has *value*, by its exact type."""
        self._nodes -= 1
        if self._nodes < 0 or self._text < 0 or depth > _MAX_DEPTH:
            return False
        exactly: object = value
        kind = type(exactly)
        if kind is str:
            self._text -= len(value)
            return self._text >= 0
        if kind is list:
            return all(self.is_plain(item, depth + 1) for item in value)
        if kind is dict:
            return all(type(key) is str and self.is_plain(item, depth + 1) for key, item in value.items())
        if kind is float:
            return bool(value - value == 0)  # finite
        return value is None or kind is bool or (kind is int and value.bit_length() <= _MAX_BITS)


def _pickled(variables: Mapping[str, object]) -> bytes:
    try:
        return pickle.dumps(variables, pickle.HIGHEST_PROTOCOL)
    except Exception:
        for name, value in variables.items():
            try:
                pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
            except Exception as error:
                raise TypeError(
                    f"variables[{name!r}]: a {type(value).__qualname__} cannot be pickled, and so not be sent: {error}"
                ) from error
        raise


def write_files(files: Mapping[str, FileContent], directory: str) -> None:
    """Write *files* below *directory*. Raises OSError, as for the path of a file that does not exist."""
    for name, content in files.items():
        path = Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content_of(content))


def content_of(content: FileContent) -> bytes:
    """Return the content of a file as bytes: a text in UTF-8, or the file at a path.

    >>> content_of("id,price")
    b'id,price'
    """
    if isinstance(content, os.PathLike):
        return Path(content).read_bytes()
    return content.encode() if isinstance(content, str) else content
