"""Location of a failure: the program's own frame, and the lines around it.

Of a program that does not compile the parser gives the place. Else it is the program's own frame: the innermost one
whose file is no library and whose function the source defines. Without an exception the failure states its line.

Source lines come from the failure itself or from files that exist in this process; nothing is imported or executed to
find them. Where a file has changed since the failure, its neighbouring lines are left out.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json
from resilience.report._path_redaction import is_library
from resilience.report.captured_exception import Captured, CapturedFrame
from resilience.report.failure import Failure
from resilience.report.model import SourceLine

__all__ = ["Location", "is_generated", "locate_failure", "own_frame_index", "program_frame"]

_AROUND = 2
_MAX_LINE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """One place in a program. Lines count from 1, columns from 0.

    `code` is the line without indentation, `end_column` is behind the last character. `variables` are those of the
    frame, or of the top level where no exception was raised. A field is None or empty where it is not known.
    """

    filename: str | None = None
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None
    code: str = ""
    function: str | None = None
    variables: Mapping[str, Json] = field(default_factory=dict[str, Json])
    excerpt: tuple[SourceLine, ...] = ()


def locate_failure(failure: Failure) -> Location:
    """Return the place of a failure: of the exception, of the parser, or what *failure* itself says.

    The parser names the place of a SyntaxError where the category is SYNTAX or there are no frames. With another
    category the running program has raised it, by `compile` or `ast.parse`, and the place is that call.
    """
    raised = failure.exception
    syntax = raised["syntax"] if raised is not None else None
    if syntax is not None and (failure.category is ErrorCategory.SYNTAX or raised is None or not raised["frames"]):
        lines = _lines(failure, syntax["filename"])
        return Location(
            filename=syntax["filename"],
            line=syntax["line"],
            column=syntax["column"],
            end_line=syntax["end_line"],
            end_column=syntax["end_column"],
            code=syntax["code"] or _line(lines, syntax["line"]),
            excerpt=_excerpt(lines, syntax["line"], syntax["code"]),
        )
    frame = program_frame(raised, failure.source, failure.filename) if raised is not None else None
    if frame is not None:
        lines = _lines(failure, frame["filename"])
        return Location(
            filename=frame["filename"],
            line=frame["line"],
            column=frame["column"],
            end_line=frame["end_line"],
            end_column=frame["end_column"],
            code=frame["code"],
            function=frame["function"],
            variables=frame["locals"],
            excerpt=_excerpt(lines, frame["line"], frame["code"]),
        )
    return _stated_location(failure)


def program_frame(raised: Captured, source: str | None = None, filename: str = "<string>") -> CapturedFrame | None:
    """Return the innermost call of the program itself, *source* compiled as *filename*, not of what it called.

    None for an exception that was never raised. A report is about this frame, because the calls below it belong to a
    library, which the program cannot correct.
    """
    frames = raised["frames"]
    number = own_frame_index([(each["filename"], each["function"]) for each in frames], source, filename)
    return frames[number] if frames else None


def own_frame_index(frames: Sequence[tuple[str, str]], source: str | None, filename: str) -> int:
    """Return the number of the innermost frame of the program, of files and functions; that of the last without one.

    Frames of the executed source come first, then files that are no library's, then code that came from no file:
    a template engine calls its templates ``<unknown>``.

    *frames* are pairs of file and function, the outermost first; *source* is the program compiled as *filename*.

    >>> calls = [("<string>", "<module>"), ("/site-packages/jinja2/x.py", "render"), ("<unknown>", "root")]
    >>> own_frame_index(calls, "render()", "<string>")
    0
    """
    number = len(frames) - 1
    own = [at for at, (name, function) in enumerate(frames) if _is_own(name, function, source, filename)]
    executed = [at for at in own if source is not None and frames[at][0] == filename]
    files = [at for at in own if not frames[at][0].startswith("<")]
    for found in (executed, files, own):
        if found:
            return found[-1]
    return number


def _is_own(name: str, function: str, source: str | None, filename: str) -> bool:
    """Whether a frame is the program's own: its file is no library, or its function is defined in *source*."""
    return not (is_generated(function, source) if name == filename else is_library(name))


def is_generated(function: str, source: str | None) -> bool:
    """Whether *source* does not define a function: dataclasses generate methods, and compile them as ``<string>``.

    >>> is_generated("__init__", "class Point: ..."), is_generated("area", "def area(): ..."), is_generated("f", None)
    (True, False, False)
    """
    return (
        bool(source) and function.isidentifier() and re.search(rf"\b(?:def|class)\s+{function}\b", source or "") is None
    )


def _stated_location(failure: Failure) -> Location:
    """Return the location that *failure* itself states, for one without an exception.

    A forbidden operation names its line, and so does a time-out; the variables are those recorded before the failure.
    """
    line, column = failure.line, failure.column
    violation = failure.violation
    if line is None and violation is not None:
        line, column = violation.line, violation.column
    lines = _lines(failure, failure.filename)
    code = _line(lines, line)
    progress = failure.progress
    return Location(
        filename=failure.filename if line is not None else None,
        line=line,
        column=column,
        code=code,
        variables=progress.variables if progress is not None else {},
        excerpt=_excerpt(lines, line, code),
    )


def _lines(failure: Failure, filename: str) -> list[str]:
    """Return the source of a file: the program's, or what the file holds where its name means the same file here.

    No file of another process is opened: its name may mean any file here, or a pipe without an end.
    """
    if failure.source is not None and filename == failure.filename:
        return failure.source.splitlines()
    return linecache.getlines(filename) if failure.is_local else []


def _line(lines: list[str], line: int | None) -> str:
    return lines[line - 1].strip()[:_MAX_LINE] if line is not None and 0 < line <= len(lines) else ""


def _excerpt(lines: list[str], line: int | None, code: str) -> tuple[SourceLine, ...]:
    """Return *line* with two lines before and after it.

    *code* is the line when it failed. Where the file has another line there now, *code* is shown alone.
    """
    if line is None:
        return ()
    if _line(lines, line) != code[:_MAX_LINE].strip():
        return (SourceLine(line, code),) if code else ()
    first, last = max(1, line - _AROUND), min(len(lines), line + _AROUND)
    return tuple(SourceLine(number, lines[number - 1].rstrip()[:_MAX_LINE]) for number in range(first, last + 1))
