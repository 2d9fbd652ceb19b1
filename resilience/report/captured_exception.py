"""The captured exception: plain values, as JSON takes them, that may leave the process.

Made by `resilience.report._capture` where the exception was raised, or by the parser of saved tracebacks, and read by
everything else in this package. A child process sends it to its parent, so its keys are a protocol between the two, and
nothing here, or in what makes it, may import more than the standard library.
"""

from __future__ import annotations

from typing import Literal, TypedDict

__all__ = ["Captured", "CapturedFrame", "CapturedSyntax", "Relation"]

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

Relation = Literal["raised", "cause", "context", "member"]
"""The relation of an exception to the one that refers to it: its cause, its context, or the member of a group."""


class CapturedFrame(TypedDict):
    """One call of the traceback. Lines count from 1, columns from 0 and in characters, as an editor's cursor does.

    ``function`` is the name of the code, ``<module>`` at the top level. A saved traceback has no columns and no
    variables.
    """

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
    """The place of a syntax error, as the parser reports it.

    Only the file name is always there. A program can raise a SyntaxError by itself, with any arguments.
    """

    filename: str
    line: int | None
    end_line: int | None
    column: int | None
    end_column: int | None
    code: str


class Captured(TypedDict):
    """One exception, with its cause, its context and the members of its group.

    A tree of bounded size without cycles. All keys are always there; a fact that is not known is None or empty, so that
    a diagnosis reads a parsed traceback like a live exception.
    """

    type: str
    module: str
    bases: list[str]
    """The classes it is an instance of, itself first, dotted: ``builtins.KeyError``, ``builtins.LookupError``, ..."""
    message: str
    notes: list[str]
    frames: list[CapturedFrame]
    """The outermost first, without the frames of the executor."""
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
    """Facts that only live objects have, by the type of the exception.

    NameError: ``name``, and ``names`` in reach. AttributeError: ``name``, ``owner`` (the type of the object), ``names``
    of its attributes. ImportError: ``name``, ``from`` (the module), ``names`` in it. ModuleNotFoundError: ``name``,
    ``package`` that was searched (none for a top-level module), ``names`` of the modules there; of top-level modules
    only similar ones. KeyError: ``key``, and ``keys`` of the mapping, where it is known. IndexError: ``index``, and
    ``length`` of the sequence, where it is known."""
    relation: Relation
    cause: Captured | None
    """Its ``__cause__``, or without one its ``__context__``, unless that is suppressed."""
    members: list[Captured]
    """Of a group."""
