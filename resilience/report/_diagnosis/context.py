"""`FailureContext`: a failure as the diagnosers read it.

Owns every view of a failure that is derived once and used often: the program's frame among those of libraries, the
failing line, its syntax tree, the variables. Its input may be incomplete or malformed, as it may come from another
process or from a text; all that is read from here is typed, bounded, and empty where nothing is known. Reading from it
never raises, and never runs code of the program: values are their captured JSON or repr, and no objects.

The functions ``as_...`` do the checking. Diagnosers use them for all that they read from hints and specifics.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from resilience.errors._json_safe import Json
from resilience.report._diagnosis.ast_utils import parsed, parsed_expression, parsed_line
from resilience.report._location import own_frame_index
from resilience.report.failure import Failure

__all__ = [
    "FailureContext",
    "Frame",
    "FunctionNode",
    "as_int",
    "as_list",
    "as_mapping",
    "as_text",
    "as_texts",
    "known_facts",
]

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

_LINE_END = re.compile(r"\r\n|\r|\n")
_MAX_TEXT = 20_000
_MAX_MESSAGE = 2000  # patterns are searched in it
_MAX_NAMES = 2000
_MAX_FRAMES = 500


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of the traceback.

    Lines count from 1, columns from 0, in characters, as a traceback gives them. Each is None where it is not known.
    ``locals`` holds the captured values of the variables: JSON, or the repr of what is no JSON, cut where it is long.
    """

    filename: str = ""
    function: str = ""
    line: int | None = None
    end_line: int | None = None
    column: int | None = None
    end_column: int | None = None
    code: str = ""
    locals: Mapping[str, Json] = field(default_factory=dict[str, Json])

    @property
    def is_top_level(self) -> bool:
        """Whether this is the module itself and not a function in it."""
        return self.function in ("", "<module>")


class FailureContext:
    """One failure, with views of it that are computed when they are first read.

    The fields of the failure may be incomplete or malformed; all that is read from here is not. The attributes set at
    once are ``type``, the name of the exception's class without its module; ``message``, of at most `_MAX_MESSAGE`
    characters because patterns are searched in it; ``hints``, the facts that were captured with the exception, such as
    the names that an object has; ``specifics``, the facts that the caller handed in, such as a limit; and ``source``,
    the program.
    """

    def __init__(self, failure: Failure) -> None:
        self.failure: Failure = failure
        self.exception: Mapping[str, object] = as_mapping(failure.exception)
        self.specifics: Mapping[str, object] = as_mapping(failure.specifics)
        self.hints: Mapping[str, object] = as_mapping(self.exception.get("hints"))
        self.type: str = as_text(self.exception.get("type")) or as_text(failure.error_type)
        self.message: str = as_text(self.exception.get("message"), _MAX_MESSAGE) or as_text(
            failure.message, _MAX_MESSAGE
        )
        self.source: str = as_text(failure.source, 10_000_000)

    @cached_property
    def bases(self) -> tuple[str, ...]:
        """The classes that the exception is an instance of, dotted, the nearest first: its own is the first."""
        given = as_texts(self.exception.get("bases"))
        module = as_text(self.exception.get("module")) or "builtins"
        own = f"{module}.{self.type}"
        return tuple(dict.fromkeys([own, *given]))

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """All calls, the outermost first; the innermost `_MAX_FRAMES` of a longer traceback."""
        given = as_list(self.exception.get("frames"))
        return tuple(_frame(each) for each in given[-_MAX_FRAMES:] if as_mapping(each))

    @cached_property
    def frame_index(self) -> int:
        """The number of the innermost frame of the program itself, not of a library that it called; -1 without one."""
        frames = [(frame.filename, frame.function) for frame in self.frames]
        return own_frame_index(frames, self.source or None, self.failure.filename)

    @cached_property
    def frame(self) -> Frame:
        """The innermost frame of the program itself.

        Where the failure is a syntax error, it is the place where the parser gave up. Where no frame is the program's
        own, it is the innermost of all; without frames, an empty one.
        """
        if self.is_syntax_error:
            return _frame(self.exception.get("syntax"))
        return next(iter(self.frames[self.frame_index :]), Frame())

    @cached_property
    def is_syntax_error(self) -> bool:
        """Whether a text was no Python: this program, or one that it wanted to evaluate."""
        return bool(as_mapping(self.exception.get("syntax"))) and "builtins.SyntaxError" in self.bases

    @cached_property
    def library_function(self) -> str:
        """The library's function that `frame` called and that raised; empty where the program itself raised."""
        return next((frame.function for frame in self.frames[self.frame_index + 1 :]), "")

    @property
    def line(self) -> int | None:
        """The line of the program that failed."""
        if self.frame.line is None:
            return as_int(self.failure.line)
        return self.frame.line

    @cached_property
    def lines(self) -> list[str]:
        """The program, line by line."""
        if not self.source:
            return []
        return _LINE_END.split(self.source)

    def line_at(self, number: int | None) -> str:
        """Return a line of the program as it stands there, by its number from 1; empty where it is not at hand."""
        if number is None or not 0 < number <= len(self.lines):
            return ""
        return self.lines[number - 1]

    @cached_property
    def source_is_known(self) -> bool:
        """Whether `source` is what the failing frame ran: a traceback may end in another file.

        The line of the frame must be the same text in both. Else nothing may be concluded from the tree of `source`,
        and no line of it may be corrected.
        """
        there = self.line_at(self.line).strip()
        return bool(there) and (not self.frame.code or self.frame.code.partition("\n")[0].strip() == there)

    @cached_property
    def raw_line(self) -> str:
        """The failing line with its indentation, where that is known."""
        if self.source_is_known:
            return self.line_at(self.line)
        return self.frame.code

    @cached_property
    def code(self) -> str:
        """The failing line without its indentation."""
        return self.raw_line.strip()

    @cached_property
    def tree(self) -> ast.Module | None:
        """The syntax tree of the program; None where it is not at hand, is not what ran, or does not parse."""
        if not self.source_is_known:
            return None
        return parsed(self.source)

    @cached_property
    def function(self) -> FunctionNode | None:
        """The function of the program that failed; None at the top level, and where its source is not at hand.

        Of several functions of that name the innermost one around the failing line is taken.
        """
        line = self.line
        if line is None or self.frame.is_top_level or self.tree is None:
            return None
        named = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, FunctionNode)
            and node.name == self.frame.function
            and node.lineno <= line <= (node.end_lineno or node.lineno)
        ]
        return max(named, key=lambda node: node.lineno, default=None)

    @cached_property
    def line_tree(self) -> ast.Module | None:
        """The tree of the failing line alone, or of the statement it begins: ``elif x > 1:`` has one, too."""
        if not self.code:
            return None
        return parsed_line(self.code)

    @cached_property
    def statement(self) -> ast.stmt | None:
        """The statement on the failing line, where there is just one."""
        match self.line_tree:
            case ast.Module(body=[statement]):
                return statement
            case _:
                return None

    @cached_property
    def marked(self) -> str:
        """The part of the line that failed, as a traceback underlines it; empty where that is not known.

        It is exactly what the program has there, and may span lines: corrections replace it. Where the indentation of
        the line is not known, it is the one expression that is as wide as what was underlined; of two there is none.
        """
        given = as_text(self.hints.get("marked"))
        frame = self.frame
        if given or frame.column is None or frame.end_column is None or frame.line is None:
            return given
        end_line = frame.end_line or frame.line
        if not self.source_is_known:
            return _by_width(self.line_tree, frame, self.code) if end_line == frame.line else ""
        if end_line == frame.line:
            return self.raw_line[frame.column : frame.end_column]
        between = self.lines[frame.line - 1 : end_line]
        if len(between) < 2 or len(between) > 200:
            return ""
        return "\n".join([between[0][frame.column :], *between[1:-1], between[-1][: frame.end_column]])

    @cached_property
    def expression(self) -> ast.expr | None:
        """The tree of `marked`.

        Its positions count from the beginning of that part: `line_edits.segment_of` reads its nodes.
        """
        return parsed_expression(self.marked)

    @cached_property
    def globals(self) -> Mapping[str, Json]:
        """The captured values of the variables of the module that failed."""
        return cast("Mapping[str, Json]", as_mapping(self.exception.get("globals")))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What names there were to choose from: those in reach, or those an object, module or mapping has."""
        return as_texts(self.hints.get("names"))

    def hint(self, key: str) -> str:
        """Return a hint that is a text; empty where there is none."""
        return as_text(self.hints.get(key))

    def specific(self, key: str) -> str:
        """Return what was handed in under *key* as a text; empty where there is none."""
        value = self.specifics.get(key)
        if type(value) in (int, float):
            return f"{value:g}"
        return as_text(value)

    def knows(self, name: str) -> bool:
        """Whether the value of a variable is known."""
        return name in self.frame.locals or name in self.globals

    def value_of(self, name: str) -> Json:
        """Return the value of a variable at the moment of the failure; None too where it is not known."""
        return self.frame.locals.get(name, self.globals.get(name))


def known_facts(**values: Json) -> dict[str, Json]:
    """Return the values that are known, by name: those that are neither None nor empty. They become ``specifics``."""
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def as_text(value: object, limit: int = _MAX_TEXT) -> str:
    """Return *value* where it is a text, bounded and fit to be sent; else an empty one."""
    if not isinstance(value, str):
        return ""
    return value[:limit].encode("utf-8", "replace").decode("utf-8")


def as_texts(value: object) -> tuple[str, ...]:
    """Return the texts in a list."""
    return tuple(as_text(each, 200) for each in as_list(value)[:_MAX_NAMES] if isinstance(each, str))


def as_list(value: object) -> list[object]:
    """Return what is in a list or tuple; nothing of anything else."""
    if not isinstance(value, (list, tuple)):
        return []
    return list(cast("Iterable[object]", value))


def as_int(value: object) -> int | None:
    """Return *value* where it counts something, such as a line or a length. None of negative numbers and booleans."""
    if type(value) is not int or not 0 <= value < 1 << 31:
        return None
    return value


def as_mapping(value: object) -> Mapping[str, object]:
    """Return *value* where it is a mapping with texts as keys; else an empty one."""
    if not isinstance(value, Mapping):
        return {}
    given = cast("Mapping[object, object]", value)
    return {key: each for key, each in given.items() if isinstance(key, str)}


def _frame(given: object) -> Frame:
    """Make a `Frame` of a captured one; each field is checked by itself. A method is named without its class."""
    found = as_mapping(given)
    return Frame(
        filename=as_text(found.get("filename"), 1000),
        function=as_text(found.get("function"), 200).rpartition(".")[2],
        line=as_int(found.get("line")),
        end_line=as_int(found.get("end_line")),
        column=as_int(found.get("column")),
        end_column=as_int(found.get("end_column")),
        code=as_text(found.get("code"), 2000).strip(),
        locals=cast("Mapping[str, Json]", as_mapping(found.get("locals"))),
    )


def _by_width(tree: ast.Module | None, frame: Frame, code: str) -> str:
    """Find the marked part where the indentation of the line is not known: the one expression that is as wide."""
    if tree is None or frame.column is None or frame.end_column is None or not code.isascii():
        return ""
    width = frame.end_column - frame.column
    found = {
        (node.col_offset, node.end_col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.expr)
        and node.lineno == node.end_lineno == 1
        and (node.end_col_offset or 0) - node.col_offset == width
        and node.col_offset <= frame.column
    }
    if len(found) != 1:
        return ""
    start, end = found.pop()
    return code[start:end]
