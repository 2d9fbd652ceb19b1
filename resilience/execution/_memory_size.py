"""Memory sizes as text: ``100MB`` and the like."""

from __future__ import annotations

import functools
import re

__all__ = ["format_size", "parse_size"]

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_MIB = 1 << 20


def parse_size(parameter: str, value: object) -> int:
    """Return *value* in bytes: a whole number of them, or a text such as ``100MB``. A MB is 2**20 bytes.

    Raises TypeError and ValueError that name *parameter*.

    >>> parse_size("memory_limit", "100MB"), parse_size("memory_limit", "1.5 GiB"), parse_size("memory_limit", 4096)
    (104857600, 1610612736, 4096)
    >>> parse_size("memory_limit", "lots")
    Traceback (most recent call last):
    ...
    ValueError: memory_limit='lots': give a size such as '100MB' or '1GB', or a number of bytes
    """
    right = "give a size such as '100MB' or '1GB', or a number of bytes"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{parameter}={value!r}: {right}")
    size = value if isinstance(value, int) else _read(value)
    if size is None:
        raise ValueError(f"{parameter}={value!r}: {right}")
    if size <= 0:
        raise ValueError(f"{parameter}={value!r}: {right}, more than 0")
    return size


@functools.lru_cache(maxsize=64)
def _read(text: str) -> int | None:
    found = _SIZE.fullmatch(text)
    return None if found is None else int(float(found[1]) * 1024 ** _POWERS[found[2].upper()])


def format_size(size: int) -> str:
    """Return a number of bytes as megabytes, as reports show it.

    >>> format_size(2_621_440), format_size(104_857_600)
    ('2.5MB', '100MB')
    """
    return f"{size / _MIB:.1f}".removesuffix(".0") + "MB"
