"""Checks of the options of executors and requests: names, environment variables, data and files for a program."""

from __future__ import annotations

import keyword
import os
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TypeAlias

from resilience._validation import require, require_mapping

__all__ = ["FileContent", "check_files", "check_variables", "parse_dotted_names", "parse_environment"]

FileContent: TypeAlias = "bytes | str | os.PathLike[str]"
"""Content of a file: bytes, a text, or the path of a file to copy."""


def parse_dotted_names(parameter: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return several names of modules or variables as a tuple."""
    if isinstance(given, str):
        raise TypeError(f"{parameter}={given!r}: give several names, such as [{given!r}]")
    names = tuple(given)
    for name in names:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"{parameter}: {name!r} is no name")
    return names


def parse_environment(parameter: str, given: Mapping[str, str] | None) -> dict[str, str]:
    """Return environment variables as a dict.

    >>> parse_environment("environment", {"TZ": "UTC"})
    {'TZ': 'UTC'}
    >>> parse_environment("environment", {"JOBS": 4})
    Traceback (most recent call last):
    ...
    TypeError: environment['JOBS']=4: give a text
    """
    if given is None:
        return {}
    require_mapping(parameter, given, "a mapping of names to texts, such as {'TZ': 'UTC'}")
    for name, value in given.items():
        right = "a name without '=' and without a null character"
        require(isinstance(name, str), parameter, name, "names of variables as texts", TypeError)
        require(bool(name) and not {"=", "\0"} & {*name}, parameter, name, right)
        require(isinstance(value, str), f"{parameter}[{name!r}]", value, "a text", TypeError)
        require("\0" not in value, f"{parameter}[{name!r}]", value, "a text without a null character")
    return dict(given)


def check_variables(given: Mapping[str, object]) -> None:
    """Raise TypeError or ValueError unless *given* maps names that a program may use to values.

    >>> check_variables({"orders": [1, 2]})
    >>> check_variables({"class": 1})
    Traceback (most recent call last):
    ...
    ValueError: variables='class': give names of variables, such as 'orders'
    """
    require_mapping("variables", given, "a mapping of names to values, such as {'orders': orders}")
    for name in given:
        is_name = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
        require(is_name and not name.startswith("__"), "variables", name, "names of variables, such as 'orders'")


def check_files(given: Mapping[str, FileContent]) -> None:
    """Raise TypeError or ValueError unless *given* maps relative paths to contents.

    >>> check_files({"data/orders.csv": "id,price"})
    >>> check_files({"../orders.csv": b""})
    Traceback (most recent call last):
    ...
    ValueError: files='../orders.csv': give paths below the working directory, such as 'data/orders.csv'
    """
    require_mapping("files", given, "a mapping of paths to contents, such as {'orders.csv': b'id,price'}")
    right = "paths below the working directory, such as 'data/orders.csv'"
    for name, content in given.items():
        require(isinstance(name, str), "files", name, right, TypeError)
        path = PurePath(name)
        require(bool(path.parts) and not path.is_absolute() and ".." not in path.parts, "files", name, right)
        known = isinstance(content, bytes | str | os.PathLike)
        require(known, f"files[{name!r}]", content, "bytes, a text, or the path of a file as a Path", TypeError)
