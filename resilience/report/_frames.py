"""Frames of a traceback, limited in number and without repetitions.

Endless recursion leaves a thousand equal calls. A report keeps the first 15 and the last 25 calls, and counts the
others. The module owns the positions as well: the compiler's columns count bytes, those of a report count characters.
Variables are rendered by `SafeRepr`.

It runs in the worker process of an execution as well, so it imports nothing that is slow to import before it is used.
"""

from __future__ import annotations

from itertools import islice

from resilience.report._static_introspection import class_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import FrameType, TracebackType
    from typing import Any

    from resilience.report._safe_repr import SafeRepr
    from resilience.report.captured_exception import CapturedFrame

__all__ = ["Call", "calls_of", "frames_of", "line_of", "locals_of", "span_of"]

MAX_FRAMES = 40
_FIRST = 15  # of them where there are more: how it began; the rest is how it ended
_MAX_REPEATS = 3
_MAX_CODE = 500


class Call:
    """One entry of a traceback: the frame, and the line and instruction that it was at when the exception passed.

    The frame itself does not tell: its ``f_lineno`` moves on while the exception is handled. *instruction* is the
    offset of the bytecode in bytes, negative where there is none.
    """

    __slots__ = ("frame", "instruction", "line")

    def __init__(self, entry: TracebackType) -> None:
        self.frame: FrameType = entry.tb_frame
        self.line: int = entry.tb_lineno
        self.instruction: int = entry.tb_lasti


def calls_of(entry: TracebackType | None, hidden: Callable[[str], bool] | None) -> list[Call]:
    """Return the calls of a traceback, the outermost first, without those in files that are *hidden*.

    *entry* is the ``__traceback__`` of an exception, None for one that was never raised. *hidden* decides by the file
    name; the executor leaves its own frames out so.
    """
    found: list[Call] = []
    while entry is not None:
        if hidden is None or not hidden(entry.tb_frame.f_code.co_filename):
            found.append(Call(entry))
        entry = entry.tb_next
    return found


def frames_of(calls: Sequence[Call], safe_repr: SafeRepr) -> tuple[list[CapturedFrame], int]:
    """Return the captured frames of *calls*, and the number of those left out.

    Rendering begins with the innermost call, so that the budget of `SafeRepr` runs out at the outermost ones.
    """
    kept = _few(_without_repeats(calls))
    # What is innermost is looked at first: it matters most, and there is an end to looking.
    return [_frame(call, safe_repr) for call in reversed(kept)][::-1], len(calls) - len(kept)


def _without_repeats(calls: Sequence[Call]) -> list[Call]:
    """Return the calls without those in the middle of a run of the same one.

    Of a run three calls stay: the first two and the last one.
    """
    found: list[Call] = []
    run = 0
    for call in calls:
        same = bool(found) and found[-1].frame.f_code is call.frame.f_code and found[-1].line == call.line
        run = run + 1 if same else 1
        if run > _MAX_REPEATS:
            found[-1] = call  # the last of the run is the one that tells how it ended
        else:
            found.append(call)
    return found


def _few(calls: list[Call]) -> list[Call]:
    """Return the first 15 and the last 25 of more than 40 calls: how it began, and how it ended."""
    if len(calls) <= MAX_FRAMES:
        return calls
    return calls[:_FIRST] + calls[_FIRST - MAX_FRAMES :]


def _frame(call: Call, safe_repr: SafeRepr) -> CapturedFrame:
    frame = call.frame
    code = frame.f_code
    end_line, column, end_column = span_of(call)
    return {
        "filename": code.co_filename,
        "function": code.co_name,
        "line": call.line,
        "end_line": end_line,
        "column": column,
        "end_column": end_column,
        "code": line_of(call, call.line).strip()[:_MAX_CODE],
        "locals": safe_repr.variables(locals_of(frame), module=frame.f_locals is frame.f_globals),
    }


_items_of: Callable[[Any], Iterable[tuple[str, Any]]] = vars(dict)["items"]


def locals_of(frame: FrameType) -> Mapping[str, Any]:
    """Return the variables of a frame; none where `eval` was given a mapping of its own kind, which runs code.

    Libraries of formulas evaluate so: statsmodels, seaborn.
    """
    found: Any = frame.f_locals
    kind = class_of(found)
    if issubclass(kind, dict):
        return dict(_items_of(found))
    if kind.__name__ == "FrameLocalsProxy":  # of a function, since CPython 3.13
        proxy: Mapping[str, Any] = found
        return proxy
    return {}


def span_of(call: Call) -> tuple[int | None, int | None, int | None]:
    """Return the last line, the first column and the column behind the end of what a call was at, in characters.

    The columns are None where the interpreter keeps none (``python -X no_debug_ranges``), and all three where the
    instruction belongs to another line than the traceback names.
    """
    if call.instruction < 0:
        return None, None, None
    where = next(islice(call.frame.f_code.co_positions(), call.instruction // 2, None), (None,) * 4)
    line, end_line, column, end_column = where
    if line != call.line:
        return None, None, None
    return end_line, _characters(call, line, column), _characters(call, end_line, end_column)


def line_of(call: Call, line: int) -> str:
    """Return a line of the source that a call stands in; empty where there is no source.

    The globals of the frame let `linecache` ask the loader of a module, which a module in an archive needs.
    """
    import linecache

    return linecache.getline(call.frame.f_code.co_filename, line, call.frame.f_globals)


def _characters(call: Call, line: int | None, column: int | None) -> int | None:
    """Return a column in characters; the compiler counts the bytes of UTF-8."""
    if line is None or column is None:
        return None
    text = line_of(call, line)
    if text.isascii():
        return column
    return len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "replace"))
