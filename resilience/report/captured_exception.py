"""The captured exception: plain values, as JSON takes them, that may leave the process.

Made by `resilience.report._capture` where the exception was raised, read by everything else in this package. A child
process sends it to its parent, so nothing here, or in what makes it, may import more than the standard library.
"""

from __future__ import annotations

from typing import Literal, TypedDict

__all__ = ["Captured", "CapturedFrame", "CapturedSyntax", "Relation"]

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

Relation = Literal["raised", "cause", "context", "member"]
"""How a failure hangs on the one above it: ``raise ... from`` it, raised while it was handled, part of the group."""


class CapturedFrame(TypedDict):
    """One call of the traceback. Lines count from 1, columns from 0 and in characters, as an editor's cursor does."""

    filename: str
    function: str
    line: int
    end_line: int | None
    column: int | None
    end_column: int | None
    code: str
    """The source line, without indentation; empty where there is no source."""
    locals: dict[str, Json]
    """Numbers, strings, booleans and None as they are, anything else as a short repr."""


class CapturedSyntax(TypedDict):
    """Where the parser gave up."""

    filename: str
    line: int | None
    end_line: int | None
    column: int | None
    end_column: int | None
    code: str


class Captured(TypedDict):
    """One exception, and what hangs on it."""

    type: str
    module: str
    bases: list[str]
    """The classes it is an instance of, itself first, dotted: ``builtins.KeyError``, ``builtins.LookupError``, ..."""
    message: str
    notes: list[str]
    frames: list[CapturedFrame]
    """The outermost first; the machinery's own are left out."""
    frames_dropped: int
    globals: dict[str, Json]
    """The variables of the module that the innermost frame belongs to: no modules, functions, classes or dunders."""
    traceback: str
    """As CPython prints it, with source lines, bounded."""
    code: str | None
    category: str | None
    """The label an exception declares for itself."""
    syntax: CapturedSyntax | None
    hints: dict[str, Json]
    """What only the live objects could tell. Of a NameError: ``name``, ``names`` in reach. Of an AttributeError:
    ``name``, ``owner`` (its type), ``names`` it has. Of an ImportError: ``name``, ``from`` (the module), ``names``
    in it. Of a ModuleNotFoundError: ``name``, ``package`` (where it was looked for; none for the top), ``names`` of the
    modules there; at the top those that are like it. Of a KeyError: ``key``, ``keys`` of the mapping that was asked,
    where it could be told. Of an IndexError: ``index`` and ``length`` of the sequence that was asked, where it could be
    told."""
    relation: Relation
    cause: Captured | None
    """The next one down: its cause, or without one its context unless that is suppressed."""
    members: list[Captured]
    """Of a group."""
