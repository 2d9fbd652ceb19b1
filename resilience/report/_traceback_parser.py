"""Parser of saved tracebacks, back to the values that `capture` makes of a live exception.

A saved traceback has no live objects: names, keys and lengths are known only where the text shows them, and columns not
at all. The result is otherwise the same as that of a capture, so that diagnosis and rendering need not know.

The text may be a log from anywhere. The parser reads the formats of CPython 3.8 to 3.14 and of IPython, opens no file
that the text names, and is bounded in frames, notes, members and depth. Lines that it does not know are passed over.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator

from resilience.categories import ErrorCategory
from resilience.classification.parse import explain_text
from resilience.errors._json_safe import Json
from resilience.report._explain import explain
from resilience.report._location import program_frame
from resilience.report._notebook_parser import is_cell, notebook_frames
from resilience.report._traceback_text import HEADER, NOTEBOOK_HEADER, last_traceback
from resilience.report.captured_exception import Captured, CapturedFrame, CapturedSyntax, Relation
from resilience.report.failure import Failure
from resilience.report.model import ErrorReport

__all__ = ["parse_traceback", "report_of_text"]

_MAX_FRAMES = 200
_MAX_NOTES = 20
_MAX_MEMBERS = 20
_MAX_TEXT = 20_000
_MAX_DEPTH = 10

_FRAME = re.compile(r'^(?P<indent>\s+)File "(?P<filename>[^"]*)", line (?P<line>\d{1,9})(?:, in (?P<function>.+))?$')
_REPEATED = re.compile(r"^\s+\[Previous line repeated (?P<times>\d{1,9}) more times?\]$")
_MARKS = re.compile(r"^\s*[~^][~^\s]*$")
_EXCEPTION = re.compile(r"^(?P<type>[A-Za-z_][\w.]*(?:\.<locals>\.[\w.<>]+)?)(?:: (?P<message>.*)|:)?$")
_PHRASES: dict[str, Relation] = {
    "The above exception was the direct cause of the following exception:": "cause",
    "During handling of the above exception, another exception occurred:": "context",
}
# What comes after a traceback in a log, and is no part of what the exception says.
_OTHER = re.compile(
    r"^(?:\d{4}-\d\d-\d\d|\d\d:\d\d|\[|(?:DEBUG|INFO|WARNING|ERROR|CRITICAL|WARN|FATAL|TRACE)\b|>>> |\$ "
    r"|Process finished|During handling|The above exception|make: |npm |[\w.-]+@[\w.-]+[:~])"
)
_GROUP = re.compile(r"^\s*\+ Exception Group Traceback")
_FIRST_MEMBER = re.compile(r"^\s*\+-\+-+ (?:\d+|\.\.\.) -+$")
_NEXT_MEMBER = re.compile(r"^\s*\+-+ (?:\d+|\.\.\.) -+$")
_END = re.compile(r"^\s*\+-{20,}$")
_MEANT = re.compile(r"Did you mean: '(?:self\.)?(\w+)'\?$")
_ERRNO = re.compile(r"^\[(?:Errno|WinError) (\d{1,5})\]")


def report_of_text(text: str) -> ErrorReport:
    """Explain the last traceback in a text: a file, a log, what a terminal or a notebook showed.

    The category is that of the exception's class, by its name. Nothing is read that the text only names. Raises
    ValueError where there is no traceback in it.

    >>> report = report_of_text('''Traceback (most recent call last):
    ...   File "shop.py", line 3, in <module>
    ...     print(prices["lmap"])
    ... KeyError: 'lmap'
    ... ''')
    >>> report.error_summary, report.filename, report.line_number
    ("KeyError on line 3: 'lmap'", 'shop.py', 3)
    """
    raised = parse_traceback(text)
    if raised is None:
        raise ValueError(f"there is no traceback in the text; one begins with {HEADER!r}")
    frame, syntax = program_frame(raised), raised["syntax"]
    filename = (syntax or frame or {"filename": "<string>"})["filename"]
    return explain(
        Failure(
            category=_category(raised),
            error_type=raised["type"],
            message=raised["message"],
            exception=raised,
            filename=filename,
        )
    )


def parse_traceback(text: str) -> Captured | None:
    """Return the exception of the last traceback in a text, as `capture` would; None where there is none.

    As CPython 3.8 to 3.14 prints them, with causes, groups, notes, marks and repeated lines, and as IPython does.
    Columns are not known, as a traceback shows lines without their indentation.

    >>> parse_traceback("all is well") is None
    True
    """
    lines = last_traceback(text)
    if not lines:
        return None
    return _parse_chain(lines, 0)


def _parse_chain(lines: list[str], depth: int) -> Captured | None:
    """Read one exception after another; the last one is the one that was raised, those before it led to it.

    A phrase such as ``During handling of the above exception, another exception occurred:`` stands between two of them,
    and says how the upper one is related to the lower one.
    """
    found: Captured | None = None
    relation: Relation = "raised"
    for part, how in _parts(lines):
        if how is not None:
            relation = how
            continue
        made = _parse_exception(part, depth)
        if made is None:
            continue
        if found is not None and relation != "raised" and depth < _MAX_DEPTH:
            found["relation"] = relation
            made["cause"] = found
        found, relation = made, "raised"
    return found


def _parse_exception(lines: list[str], depth: int) -> Captured | None:
    """Read one exception, in the format that its lines show first: a group's, a notebook's, or CPython's plain one."""
    for line in lines:
        if _GROUP.match(line):
            return _parse_group(lines, depth)
        if NOTEBOOK_HEADER.match(line) or is_cell(line):
            return _parse_notebook(lines)
    return _parse_block(lines)


def _parts(lines: list[str]) -> Iterator[tuple[list[str], Relation | None]]:
    """Split at the phrases that chain one exception to the next.

    Yields the lines of an exception with None, and for a phrase no lines with the relation that it states.
    """
    part: list[str] = []
    for line in lines:
        phrase = _PHRASES.get(line.strip().lstrip("|").strip())
        # Within a group the phrase belongs to a member.
        if phrase is not None and not (any(_GROUP.match(each) for each in part) and line.lstrip().startswith("|")):
            yield part, None
            yield [], phrase
            part = []
        else:
            part.append(line)
    yield part, None


def _parse_block(lines: list[str]) -> Captured | None:
    """Read frames, down to the line that ends them, ``KeyError: 'lmap'``; None without such a line.

    The head of a frame without ``, in <function>`` is the place of a syntax error, as the parser shows it. Lines below
    the exception are its notes.
    """
    frames: list[CapturedFrame] = []
    syntax: CapturedSyntax | None = None
    dropped, marked, number = 0, "", 0
    while number < len(lines):
        line = lines[number]
        repeated, head = _REPEATED.match(line), _FRAME.match(line)
        if repeated is not None:
            dropped += int(repeated["times"])
        elif head is not None:
            below = _source_lines(lines, number, len(head["indent"]))
            code, marked = _code_and_marks(below)
            number += len(below)
            if head["function"] is None:
                syntax = _syntax(head["filename"], int(head["line"]), code)
            else:
                frames.append(_frame(head["filename"], head["function"], int(head["line"]), code))
        elif (last := _EXCEPTION.match(line)) is not None and (frames or syntax or _is_exception(last)):
            made = _captured(last, lines[number + 1 :], frames, syntax, marked)
            made["frames_dropped"] = dropped + max(0, len(frames) - _MAX_FRAMES)
            made["traceback"] = "\n".join(lines)[:_MAX_TEXT]
            return made
        number += 1
    return None


def _is_exception(last: re.Match[str]) -> bool:
    """Whether a line is the end of a traceback without a frame, as members of a group have: `KeyError: 'a'`."""
    return last["message"] is not None or isinstance(getattr(builtins, last["type"], None), type)


def _source_lines(lines: list[str], head: int, indent: int) -> list[str]:
    """Return the lines of source, and the marks, that stand below the head of a frame."""
    found: list[str] = []
    for line in lines[head + 1 :]:
        if not line.strip() or len(line) - len(line.lstrip()) <= indent or _REPEATED.match(line):
            break
        found.append(line)
    return found


def _code_and_marks(below: list[str]) -> tuple[str, str]:
    """Return the first line of source, and what of it is marked.

    Python 3.11 and later mark the part that failed: ``cart["lmap"]`` in the line ``total = cart["lmap"] * 2``. Of
    several lines of source no part is taken as marked.
    """
    code = [line for line in below if not _MARKS.match(line)]
    if not code:
        return "", ""
    if len(below) > 1 and _MARKS.match(below[1]) and not _MARKS.match(below[0]) and len(code) == 1:
        start = len(below[1]) - len(below[1].lstrip())
        return below[0].strip(), below[0][start : len(below[1])]
    return code[0].strip(), ""


def _parse_group(lines: list[str], depth: int) -> Captured | None:
    """Read an exception group from its header on; the column of the ``+`` in the header is the margin of the group."""
    head = next(number for number, line in enumerate(lines) if _GROUP.match(line))
    return _parse_members(lines[head + 1 :], lines[head].index("+"), depth)


def _parse_members(lines: list[str], margin: int, depth: int) -> Captured | None:
    """Read a group: what stands at its margin is its own, what is indented more are its members.

    A member begins below ``+---------------- 1 ----------------``, two columns behind the margin; a line of dashes
    alone ends the last one. A member may be a group, with the same lines further to the right.
    """
    own: list[str] = [HEADER]
    members: list[list[str]] = []
    for line in lines:
        column = line.find("+")
        if (column == margin and _FIRST_MEMBER.match(line)) or (column == margin + 2 and _NEXT_MEMBER.match(line)):
            members.append([])
        elif column == margin + 2 and _END.match(line):
            break
        elif members:
            members[-1].append(line)
        elif line[margin : margin + 1] == "|":
            own.append(line[margin + 2 :])
    made = _parse_block(own)
    if made is None:
        return None
    made["traceback"] = "\n".join(lines)[:_MAX_TEXT]
    for each in members[:_MAX_MEMBERS] if depth < _MAX_DEPTH else ():
        member = _parse_member(each, margin + 2, depth + 1)
        if member is not None:
            member["relation"] = "member"
            made["members"].append(member)
    return made


def _parse_member(lines: list[str], margin: int, depth: int) -> Captured | None:
    """Read one member of a group: an exception with what led to it, or a group in its turn.

    A member that was never raised has no frames and no header, so that its text is the line of the exception alone.
    """
    if any(_GROUP.match(line) for line in lines):
        return _parse_chain(lines, depth)
    if any(_FIRST_MEMBER.match(line) for line in lines):  # a group that was never raised has no traceback
        return _parse_members(lines, margin, depth)
    bare = [line[margin + 2 :] for line in lines if line[margin : margin + 1] == "|"]
    return _parse_chain([HEADER, *bare] if bare and not bare[0].startswith(HEADER) else bare, depth)


def _parse_notebook(lines: list[str]) -> Captured | None:
    """Read a traceback of IPython, whose header begins with the name of the exception's class.

    The last line that has this class ends it, since lines of source above may look like the end of an exception.
    """
    heads = [found["type"] for line in lines if (found := NOTEBOOK_HEADER.match(line)) is not None]
    name = heads[0] if heads else ""
    for number in range(len(lines) - 1, 0, -1):
        last = _EXCEPTION.match(lines[number])
        if last is not None and (last["type"].rpartition(".")[2] == name or not name):
            frames, bare = notebook_frames(lines[:number])
            syntax = _syntax(bare[0], bare[1], bare[2]) if bare is not None else None
            made = _captured(last, lines[number + 1 :], [_frame(*each) for each in frames], syntax, "")
            made["traceback"] = "\n".join(lines[: number + 1])[:_MAX_TEXT]
            return made
    return None


def _captured(
    last: re.Match[str],
    below: list[str],
    frames: list[CapturedFrame],
    syntax: CapturedSyntax | None,
    marked: str,
) -> Captured:
    """Return the exception that *last* and the lines *below* it show, with *frames* read before.

    Only for Python's own exceptions the base classes are known. Another class gets ``Exception`` as its base, and
    without a module before its name it counts as one of ``__main__``.
    """
    qualified = last["type"]
    module, _, name = qualified.rpartition(".")
    bases = [] if module else _bases(name)
    return {
        "type": name,
        "module": module or ("builtins" if bases else "__main__"),
        "bases": bases or [qualified, "builtins.Exception", "builtins.BaseException"],
        "message": last["message"] or "",
        "notes": _notes(below),
        "frames": frames[-_MAX_FRAMES:],
        "frames_dropped": 0,
        "globals": {},
        "traceback": "",
        "code": None,
        "category": None,
        "syntax": syntax,
        "hints": _hints(last["message"] or "", marked),
        "relation": "raised",
        "cause": None,
        "members": [],
    }


def _bases(name: str) -> list[str]:
    """Return the classes that one of Python's own exceptions is an instance of; none for what is no such class."""
    kind: object = getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return []
    return [f"builtins.{base.__name__}" for base in kind.__mro__[:-1]]


def _hints(message: str, marked: str) -> dict[str, Json]:
    """Return what the text tells beside the message: what is underlined, and which name Python itself proposes.

    A message such as ``name 'pirce' is not defined. Did you mean: 'price'?`` gives the name ``price``.
    """
    hints: dict[str, Json] = {"marked": marked} if marked.strip() else {}
    meant = _MEANT.search(message)
    if meant is not None:
        hints["names"] = [meant[1]]
    return hints


def _notes(below: list[str]) -> list[str]:
    """Return the lines after the exception's first one: CPython shows notes and longer messages alike."""
    found: list[str] = []
    for line in below[:_MAX_NOTES]:
        if not line.strip() or _OTHER.match(line) or HEADER in line:
            break
        found.append(line)
    return found


def _frame(filename: str, function: str, line: int, code: str) -> CapturedFrame:
    return {
        "filename": filename,
        "function": function,
        "line": line,
        "end_line": None,
        "column": None,
        "end_column": None,
        "code": code,
        "locals": {},
    }


def _syntax(filename: str, line: int, code: str) -> CapturedSyntax:
    return {"filename": filename, "line": line, "end_line": None, "column": None, "end_column": None, "code": code}


def _category(raised: Captured) -> ErrorCategory:
    """Classify by name, as `resilience explain` does: by the full one, by the class alone, by the errno."""
    errno = _ERRNO.match(raised["message"])
    qualified = f"{raised['module']}.{raised['type']}"
    names = [qualified, raised["type"]] if raised["module"] not in ("builtins", "__main__") else [raised["type"]]
    if raised["type"] == "OSError" and errno is not None:
        names.insert(0, f"errno {errno[1]}")
    for name in names:
        try:
            found = explain_text(name).category
        except ValueError:
            continue
        if found is not ErrorCategory.UNKNOWN:
            return found
    return ErrorCategory.UNKNOWN
