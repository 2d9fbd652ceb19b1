"""The report as text for a model: what failed, the program's own line, what to do, the values that matter.

It is never longer than the traceback plus a third, so that a model loses nothing by reading it in the traceback's
place; what the program printed comes on top of that, folded. Parts are chosen by their use for a repair and shown in a
fixed order, and the same report gives the same text. What the program says is indented, so that it cannot pass for a
title.

Each candidate line is a `_Part` with a rank. The parts with the lowest ranks are taken as long as tokens are left; a
new kind of line needs a rank that says how much it helps a repair, compared with the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import NamedTuple

from resilience.categories import ErrorCategory
from resilience.report._explain import PYTHONS_GUESS
from resilience.report._folding import folded
from resilience.report._text import causes, printable, value_text
from resilience.report.model import ErrorReport

__all__ = ["cut_to", "ending", "estimated_tokens", "llm_text"]

_MAX_LINE = 400
_MAX_VALUE = 100
_MAX_VALUES = 6
_MAX_CALLS = 3
_MAX_CAUSES = 4
_MAX_MESSAGE_LINES = 8
_NEIGHBOUR = 6
"""The rank behind which the lines around the failing one are chosen."""
_PIECE = re.compile(r"[A-Za-z]+|[0-9]|[^\x00-\x7f]|\n|[^\w\s]|_|[ \t]{2,}|[^\S\n]")
_WORD = re.compile(r"[^\W\d]\w*")
_MARKS = re.compile(r"^[\s|]*[~^]+[~^\s]*$\n?", re.MULTILINE)
_RENAMES = re.compile(r"Write \S+ instead of \S+\.$")
_OF_LINE, _IMPORT = re.compile(r"a new line before line (\d+)$"), "a new line at the top"
_CODE = (
    ErrorCategory.CODE_RELATED
    | ErrorCategory.SECURITY
    | ErrorCategory.EXECUTION_TIMEOUT
    | ErrorCategory.INTERNAL
    | ErrorCategory.UNKNOWN
)
_TRACEBACK_SHARE = 1.12
"""Of the estimated tokens of the traceback. Prose is estimated higher than paths and code, so that by the tokenisers of
models this is less than a traceback plus a third."""
_MIN_OF_EXIT = 40
_MIN_ADVICE = 5
_OUTPUT_SHARE = 0.25
_OUTPUT_TITLES = ("Standard error, its end:", "Output, its end:")
_CUT = "..."
_HEADER = "Traceback (most recent call last):"
_CHAINED = ("direct cause of the following exception:", "another exception occurred:")
_PARSED = re.compile(r"\s*File \"")


def estimated_tokens(text: str) -> int:
    """Return how many tokens a text may be, estimated high for the tokenisers of today's models.

    Letters count a token for each three of a word; digits, marks, line ends and runs of blanks one each; every other
    character one for each of its bytes. A single blank belongs to the word behind it.

    >>> estimated_tokens("NameError on line 3"), estimated_tokens("x = 10")
    (7, 4)
    """
    total = 0
    for piece in _PIECE.findall(text):
        if piece == " ":
            continue
        if piece.isascii() and piece.isalpha():
            total += -(-len(piece) // 3)
        else:
            total += 1 if piece.isascii() else len(piece.encode("utf-8", "replace"))
    return total


class _Part(NamedTuple):
    """A line of the text: where it stands, and how soon it is chosen.

    ``place`` is the section and the number within it: the order of printing. ``rank`` is the order of choosing, from 0.
    They differ, as the neighbours of the failing line are printed early and chosen late.
    """

    place: tuple[int, int]
    rank: int
    text: str


_SUMMARY, _SOURCE, _DO, _WHY, _VALUES, _CALLS = range(6)
_TITLES = {_DO: "What to do:"}


def llm_text(report: ErrorReport, max_tokens: int) -> str:
    """Return a report in at most *max_tokens*. Raises ValueError for a limit that holds nothing.

    Standard error and the output get at most a quarter of it each. The explanation gets the rest, up to the limit that
    the traceback sets; where even headline and first advice are longer, both are cut.
    """
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1:
        raise ValueError(f"max_tokens={max_tokens!r}: give a whole number, 1 or more")
    printed = _printed(report, int(max_tokens * _OUTPUT_SHARE))
    limit = max_tokens - _cost(printed)
    first = _line(_headline(report))
    advice = next((part.text for part in _advice(report)), "")
    allowed = min(limit, _allowance(report))
    if _cost([first, _TITLES[_DO], advice]) > allowed:
        return "\n".join([*_short(first, advice, allowed), *printed])
    return "\n".join([*_chosen(report, first, allowed), *printed])


def _allowance(report: ErrorReport) -> int:
    """Return the tokens of the traceback plus a third; as many as are asked for, where there is none.

    Lines of marks (``~~^^~~``) are left out of the count. For SystemExit, standard error takes the traceback's place.
    """
    if report.error_type == "SystemExit":  # Python shows no traceback of it
        return max(_MIN_OF_EXIT, estimated_tokens(report.stderr) // 3)
    traceback = report.exception.full_traceback if report.exception is not None else ""
    if not traceback.strip():
        return 1 << 30
    return int(estimated_tokens(_MARKS.sub("", traceback)) * _TRACEBACK_SHARE)


def _short(first: str, advice: str, limit: int) -> list[str]:
    """Return the headline and the first advice, cut, where there is no more to be had.

    The advice stays whole where a third of *limit* is left for the headline; otherwise the headline gets half.
    """
    rest = max(1, limit - estimated_tokens(advice) - 2)
    if not advice or rest < limit // 3:
        rest = limit // 2 if advice else limit
    head = cut_to(first, max(1, rest))
    left = limit - estimated_tokens(head) - 1
    return [head, cut_to(advice, left)] if advice and left > _MIN_ADVICE else [head]


def _chosen(report: ErrorReport, first: str, limit: int) -> Iterator[str]:
    """Yield the lines that fit into *limit* tokens, with the titles of their sections.

    Parts are taken by rank, and one that is too long is passed over; then they are printed by place. A title is paid
    for with the first part below it. Neighbours of the failing line are taken only with that line.
    """
    parts = [_Part((_SUMMARY, 0), 0, first), *_parts(report)]
    taken: list[_Part] = []
    left = limit
    for part in sorted(parts, key=lambda part: (part.rank, part.place)):
        if part.rank > _NEIGHBOUR and part.place[0] == _SOURCE and not any(each.place[0] == _SOURCE for each in taken):
            continue  # neighbours of a line that is not shown
        title = _TITLES.get(part.place[0])
        new = title is not None and all(each.place[0] != part.place[0] for each in taken)
        cost = _cost([part.text]) + (_cost([title]) if new and title else 0)
        if cost <= left:
            taken.append(part)
            left -= cost
    section = -1
    for part in sorted(taken):
        if part.place[0] != section and part.place[0] in _TITLES:
            yield _TITLES[part.place[0]]
        section = part.place[0]
        yield part.text


def _parts(report: ErrorReport) -> Iterator[_Part]:
    yield from _advice(report)
    yield from _source(report)
    yield from _reasons(report)
    yield from _values(report)
    yield from _own_calls(report)


def _headline(report: ErrorReport) -> str:
    """Return the summary; with the category, where that is not of the code.

    A category such as that of a rate limit shows that a correction of the code would not help.
    """
    category = "" if report.category in _CODE else f" [{report.category.label}]"
    return f"{report.error_summary}{category}"


def _source(report: ErrorReport) -> Iterator[_Part]:
    """Yield the lines of the excerpt, the failing one marked: ``> 3 | prices["lmap"]``.

    A correction repeats the failing line, which then ranks lower. Neighbours rank lower the further away they are.
    """
    width = max((len(str(line.line_number)) for line in report.excerpt), default=0)
    fixed = report.suggested_fix is not None and report.specifics.get("fix_applies_to") == f"line {report.line_number}"
    for number, line in enumerate(report.excerpt):
        fails = line.line_number == report.line_number
        away = abs(line.line_number - (report.line_number or 0))
        shown = f"{'>' if fails else ' '} {line.line_number:>{width}} | {line.code}".rstrip()
        # A correction repeats the failing line.
        rank = (3 if fixed else 2) if fails else _NEIGHBOUR + away
        if line.code.strip():
            yield _Part((_SOURCE, number), rank, _line(f"  {shown}"))


def _advice(report: ErrorReport) -> Iterator[_Part]:
    """Yield the corrected line, the suggestions, and the options of recovery that say something of their own.

    The first one has rank 1, directly after the headline. A suggestion that only renames,
    ``Write print instead of pritn.``, is left out below a corrected line, which shows the same.
    """
    fix = report.suggested_fix
    rank = 1
    if fix is not None:
        yield _Part((_DO, 0), rank, _line(f"- {_place_of_fix(report)}: {_without_indentation(report, fix)}"))
        rank = 4
    for number, suggestion in enumerate(report.suggestions):
        if fix is not None and _RENAMES.match(suggestion):
            continue
        yield _Part((_DO, 1 + number), rank, _line(f"- {suggestion}"))
        rank = 4 if rank == 1 else 7
    for number, option in enumerate(report.recovery_options):
        if option.kind not in ("fix_and_retry", "partial_execution", "debug_mode"):
            yield _Part((_DO, 20 + number), 8, _line(f"- {option.description}"))


def _place_of_fix(report: ErrorReport) -> str:
    """Return where a correction belongs: ``Corrected line 3`` or ``Insert before line 5``.

    The diagnosis gives it as ``fix_applies_to``; without that, the correction is one of the failing line.
    """
    place = report.specifics.get("fix_applies_to")
    if place == _IMPORT:
        return "Insert before line 1"
    if isinstance(place, str):
        found = _OF_LINE.match(place)
        if found is not None:
            return f"Insert before line {found[1]}"
        if place.startswith("line "):
            return f"Corrected {place}"
    return f"Corrected line {report.line_number}"


def _without_indentation(report: ErrorReport, fix: str) -> str:
    """Return a correction without the indentation that the line had; one with another is shown with it."""
    place = str(report.specifics.get("fix_applies_to"))
    old = next((line.code for line in report.excerpt if place == f"line {line.line_number}"), "")
    same = old[: len(old) - len(old.lstrip())] == fix[: len(fix) - len(fix.lstrip())]
    return fix.strip() if same or place == _IMPORT else fix.rstrip()


def _reasons(report: ErrorReport) -> Iterator[_Part]:
    """Yield the cause, its factors, the exceptions before this one, and the lines of the message.

    Lines that the headline or the message contains are left out. So is Python's own guess, which may contradict the
    fix.
    """
    message = report.error_message.strip()
    if report.immediate_cause and report.immediate_cause not in message:
        yield _Part((_WHY, 0), 5, _line(f"Why: {report.immediate_cause}"))
    for number, factor in enumerate(report.contributing_factors):
        yield _Part((_WHY, 1 + number), 5 if number == 0 else 7, _line(f"  {factor}"))
    for number, line in enumerate(_first(causes(report), _MAX_CAUSES)):
        yield _Part((_WHY, 20 + number), 4, _line(f"  {line}"))
    lines = (PYTHONS_GUESS.sub("", line) for line in message.splitlines() if line.strip())
    said = [line for line in lines if line not in report.error_summary]
    for number, line in enumerate(said[:_MAX_MESSAGE_LINES]):
        yield _Part((_WHY, 40 + number), 4 if number == 0 else 6, _line(f"  {line.strip()}"))


def _values(report: ErrorReport) -> Iterator[_Part]:
    """Yield the variables of the failing line, then the others, as far as no reason has them.

    At most six lines such as ``price = 9.5``. Values of the failing line rank higher than those of other lines.
    """
    used = dict.fromkeys(_WORD.findall(report.code_line))
    given = " ".join(report.contributing_factors)
    names = [name for name in used if name in report.local_variables]
    others = [name for name in report.local_variables if name not in used and name != "..."]
    for number, name in enumerate([*names, *others][:_MAX_VALUES]):
        if f"{name} = " in given:
            continue
        shown = value_text(report.local_variables[name])
        if len(shown) > _MAX_VALUE:
            shown = f"{shown[:_MAX_VALUE]}..."
        yield _Part((_VALUES, number), 5 if name in used else 9, _line(f"  {name} = {shown}"))


def _own_calls(report: ErrorReport) -> Iterator[_Part]:
    """Yield the program's own calls around the located line: the one that fails below it, and its callers.

    For example ``fails in helpers.py line 7: return a / b`` and ``called by line 12: total(cart)``. Calls of libraries
    are left out, as a model cannot correct them.
    """
    if report.exception is None:
        return
    own = [frame for frame in report.exception.traceback if frame.is_own]
    places = [at for at, frame in enumerate(own) if frame.line_number == report.line_number]
    here = places[-1] if places else len(own) - 1
    if here + 1 < len(own):  # in a file of the working directory, which the program has called
        frame = own[-1]
        text = f"  fails in {PurePath(frame.filename).name} line {frame.line_number}: {frame.code_line}".rstrip(": ")
        yield _Part((_CALLS, -1), 3, _line(text))
    callers = own[:here][-_MAX_CALLS:]
    for number, frame in enumerate(reversed(callers)):
        text = f"  called by line {frame.line_number}: {frame.code_line}".rstrip(": ")
        yield _Part((_CALLS, number), 6, _line(text))


def _printed(report: ErrorReport, limit: int) -> list[str]:
    """Return the ends of standard error and of the output, each in at most *limit* tokens.

    Floods of similar lines are folded. Each line is indented by four, so that it cannot pass for a title.
    """
    done = report.partial_results or {}
    outputs = (_without_traceback(report), done.get("stdout_before_error"))
    lines: list[str] = []
    for title, output in zip(_OUTPUT_TITLES, outputs, strict=True):
        if not isinstance(output, str) or not output.strip():
            continue
        end = ending([_line(f"    {line}") for line in folded(output)], limit - _cost([title]))
        if end:
            lines += [title, *end]
    return lines


def _without_traceback(report: ErrorReport) -> str:
    """Return standard error without the traceback of the failure itself, which Python writes at its end."""
    text = report.stderr.rstrip()
    if report.exception is None or report.error_type == "SystemExit":
        return text
    return _before_traceback(text, report)


def _before_traceback(text: str, report: ErrorReport) -> str:
    """Cut a text at the traceback that ends with this exception, and at those that it was raised from.

    Python prints a syntax error without the header, from ``File "..."`` on: of such a text nothing remains.
    """
    if report.error_type not in text:
        return text
    if _HEADER not in text:
        return "" if _PARSED.match(text) else text
    before, _, end = text.rpartition(_HEADER)
    if report.error_type not in end:
        return text
    while _HEADER in before and before.rstrip().endswith(_CHAINED):
        before = before.rpartition(_HEADER)[0]
    return before


def ending(lines: list[str], limit: int) -> list[str]:
    """Return the last ones of *lines* that fit into *limit* tokens, and how many are before them.

    The note ``... 12 lines before`` counts against *limit*, too. Empty where not even the last line fits.
    """
    taken: list[str] = []
    left = limit
    for line in reversed(lines):
        if _cost([line]) > left:
            break
        left -= _cost([line])
        taken.append(line)
    note = "    ... {} lines before"
    while taken and len(taken) < len(lines) and left < _cost([note.format(len(lines))]):
        left += _cost([taken.pop()])
    if taken and len(taken) < len(lines):
        taken.append(note.format(len(lines) - len(taken)))
    return taken[::-1]


def _first(lines: Iterable[str], limit: int) -> list[str]:
    return [line for line, _ in zip(lines, range(limit), strict=False)]


def _cost(lines: Iterable[str]) -> int:
    """Return the tokens of *lines*, with one for each line end."""
    return sum(estimated_tokens(line) + 1 for line in lines)


def cut_to(text: str, limit: int) -> str:
    """Return the beginning of a text that is not more than *limit* tokens."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if estimated_tokens(text[:middle]) <= limit:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def _line(text: str) -> str:
    """Return a text as one printable line of at most 400 characters: a line end in a value begins no new line."""
    text = printable(text).replace("\n", " ")
    if len(text) <= _MAX_LINE:
        return text
    return f"{text[:_MAX_LINE]}{_CUT}"
