"""Diagnosis of code that does not compile: SyntaxError, IndentationError, TabError.

The text may be the program itself, or one that the program evaluates or imports; `_placed` tells them apart. Four
sources are asked in turn: characters and words that belong in no program (`confusables`), habits from other languages
(`syntax_lines`), the parser's message (`syntax_table`), and a general hint at the place. A line is corrected only if
the program compiles with it, or fails further down only: it may have several faults.

The place where the parser gave up is often one line or one bracket after the fault, so it is evidence and no proof.
"""

from __future__ import annotations

import re

from resilience.report._diagnosis.confusables import foreign_text, invalid_character
from resilience.report._diagnosis.context import FailureContext, known_facts
from resilience.report._diagnosis.line_edits import correct_line
from resilience.report._diagnosis.regex_cache import search_pattern
from resilience.report._diagnosis.rules import fill_template
from resilience.report._diagnosis.syntax_fixes import FIXERS
from resilience.report._diagnosis.syntax_lines import brace_above, habit_of
from resilience.report._diagnosis.syntax_table import ROWS
from resilience.report._diagnosis.text import phrase, single_line
from resilience.report.diagnosis import Diagnosis

__all__ = ["syntax_error"]

_GENERIC = re.compile(
    r"^(?:[ft]-string: )?invalid syntax(?:\.  Maybe you meant '!=' instead of '<>'\?)?$"
    r"|^expected ':'$|^expected '\('$|^unterminated string|^invalid (?:decimal )?literal$"
)


def syntax_error(context: FailureContext) -> Diagnosis | None:
    r"""Diagnose a program, or a text that a program wanted to evaluate, that is no Python.

    The look of the line is asked for its habits only where the message is one of the generic ones, ``invalid syntax``.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.SYNTAX,
    ...     error_type="SyntaxError",
    ...     message="expected ':'",
    ...     source="if x > 1\n    pass",
    ...     line=1,
    ... )
    >>> syntax_error(FailureContext(failure)).suggested_fix
    'if x > 1:'
    """
    found = foreign_text(context) or invalid_character(context) or brace_above(context)
    if found is None and _GENERIC.search(context.message):
        found = habit_of(context)
    found = found or _of_message(context) or _generic(context)
    return _placed(context, found)


def _of_message(context: FailureContext) -> Diagnosis | None:
    """Return what the first row of `syntax_table` says whose pattern is in the message, with the corrected line."""
    for row in ROWS:
        matched = search_pattern(row.pattern, context.message)
        if matched is None:
            continue
        values = {key: value or "" for key, value in matched.groupdict().items()}
        values |= {
            "line": str(context.line or 1),
            "code": single_line(context.code, 80),
            "marked": single_line(context.marked, 60),
        }
        number, fix = _fixed(context, row.fixer)
        return Diagnosis(
            immediate_cause=fill_template(row.cause, values),
            suggestions=tuple(fill_template(tip, values) for tip in row.tips),
            suggested_fix=fix,
            specifics=known_facts(fix_applies_to=phrase("line {}", number)),
        )
    return None


def _fixed(context: FailureContext, fixer: str | None) -> tuple[int | None, str | None]:
    """Return the number and the text of the first line of a fixer with which the program compiles; else two Nones."""
    if fixer is not None and context.raw_line:
        for number, line, entirely in FIXERS[fixer](context):
            good = correct_line(context, number, line, entirely=entirely)
            if good is not None:
                return number, good
    return None, None


def _generic(context: FailureContext) -> Diagnosis:
    """Name the place, and the bracket that the line above leaves open, where that is so."""
    where = phrase(" on line {}", context.line) + phrase(" at {}", single_line(context.marked, 40))
    tips = [
        "Look at what stands right before that place: a missing operator, comma, quote or bracket shows only there."
    ]
    previous = context.line_at((context.line or 1) - 1).strip() if context.source_is_known else ""
    if previous and previous.count("(") + previous.count("[") + previous.count("{") > (
        previous.count(")") + previous.count("]") + previous.count("}")
    ):
        tips.insert(
            0, f"Line {(context.line or 1) - 1} opens a bracket that it does not close: {single_line(previous, 60)}"
        )
    tips.append("Write the statement anew in a simpler form.")
    return Diagnosis(
        immediate_cause=f"Python cannot make sense of the code{where}: {context.message or 'invalid syntax'}",
        suggestions=tuple(tips),
    )


def _placed(context: FailureContext, found: Diagnosis) -> Diagnosis:
    """Add where it is, and say so where it is not the program itself that is no Python.

    The line of the program that evaluates the text, or imports the file, is the fact to know then.
    """
    specifics = {**known_facts(problematic_code=context.code), **found.specifics}
    facts = list(found.contributing_factors)
    if context.frames and not context.source_is_known:
        caller = context.frames[context.frame_index] if context.frame_index >= 0 else None
        if caller is not None:
            how = "evaluates a text" if context.frame.filename.startswith("<") else "reads another file"
            facts.append(
                f"it is no line of the program itself: line {caller.line} {how}, {single_line(caller.code, 60)}"
            )
    return Diagnosis(
        immediate_cause=found.immediate_cause,
        contributing_factors=tuple(facts),
        suggestions=found.suggestions,
        suggested_fix=found.suggested_fix,
        specifics=specifics,
    )
