"""Code that does not compile: SyntaxError, IndentationError, TabError."""

from __future__ import annotations

import re

from resilience.report._diagnosis.confusables import foreign_text, invalid_character
from resilience.report._diagnosis.context import Case
from resilience.report._diagnosis.line_edits import corrected
from resilience.report._diagnosis.regex_cache import searched
from resilience.report._diagnosis.rules import filled
from resilience.report._diagnosis.syntax_fixes import FIXERS
from resilience.report._diagnosis.syntax_lines import brace_above, habit_of
from resilience.report._diagnosis.syntax_table import ROWS
from resilience.report._diagnosis.text import one_line
from resilience.report.diagnosis import Diagnosis

__all__ = ["syntax_error"]

_GENERIC = re.compile(
    r"^(?:[ft]-string: )?invalid syntax(?:\.  Maybe you meant '!=' instead of '<>'\?)?$"
    r"|^expected ':'$|^expected '\('$|^unterminated string|^invalid (?:decimal )?literal$"
)


def syntax_error(case: Case) -> Diagnosis | None:
    """A program, or a text that a program wanted to evaluate, that is no Python."""
    found = foreign_text(case) or invalid_character(case) or brace_above(case)
    if found is None and _GENERIC.search(case.message):
        found = habit_of(case)
    found = found or _of_message(case) or _generic(case)
    return _placed(case, found)


def _of_message(case: Case) -> Diagnosis | None:
    for row in ROWS:
        matched = searched(row.pattern, case.message)
        if matched is None:
            continue
        values = {key: value or "" for key, value in matched.groupdict().items()}
        values |= {"line": str(case.line or 1), "code": one_line(case.code, 80), "marked": one_line(case.marked, 60)}
        number, fix = _fixed(case, row.fixer)
        return Diagnosis(
            immediate_cause=filled(row.cause, values),
            suggestions=tuple(filled(tip, values) for tip in row.tips),
            suggested_fix=fix,
            specifics={} if fix is None else {"fix_applies_to": f"line {number}"},
        )
    return None


def _fixed(case: Case, fixer: str | None) -> tuple[int, str | None]:
    if fixer is not None and case.raw_line:
        for number, line, entirely in FIXERS[fixer](case):
            good = corrected(case, number, line, entirely=entirely)
            if good is not None:
                return number, good
    return 0, None


def _generic(case: Case) -> Diagnosis:
    at = f" at {one_line(case.marked, 40)}" if case.marked.strip() else ""
    where = f" on line {case.line}{at}" if case.line else ""
    tips = [
        "Look at what stands right before that place: a missing operator, comma, quote or bracket shows only there."
    ]
    previous = case.line_at((case.line or 1) - 1).strip() if case.is_at_hand else ""
    if previous and previous.count("(") + previous.count("[") + previous.count("{") > (
        previous.count(")") + previous.count("]") + previous.count("}")
    ):
        tips.insert(0, f"Line {(case.line or 1) - 1} opens a bracket that it does not close: {one_line(previous, 60)}")
    tips.append("Write the statement anew in a simpler form.")
    return Diagnosis(
        immediate_cause=f"Python cannot make sense of the code{where}: {case.message or 'invalid syntax'}",
        suggestions=tuple(tips),
    )


def _placed(case: Case, found: Diagnosis) -> Diagnosis:
    """Add where it is, and say so where it is not the program itself that is no Python."""
    specifics = {"problematic_code": case.code, **found.specifics} if case.code else dict(found.specifics)
    facts = list(found.contributing_factors)
    if case.frames and not case.is_at_hand:
        caller = case.frames[case.position] if case.position >= 0 else None
        if caller is not None:
            how = "evaluates a text" if case.frame.filename.startswith("<") else "reads another file"
            facts.append(f"it is no line of the program itself: line {caller.line} {how}, {one_line(caller.code, 60)}")
    return Diagnosis(
        immediate_cause=found.immediate_cause,
        contributing_factors=tuple(facts),
        suggestions=found.suggestions,
        suggested_fix=found.suggested_fix,
        specifics=specifics,
    )
