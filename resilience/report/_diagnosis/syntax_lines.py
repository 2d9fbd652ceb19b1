"""Diagnosis by the line itself of habits from other languages, for which the parser says `invalid syntax`.

`_HABITS` is a table of patterns of such lines, ``x++``, ``else if``, ``const n = 1``, with the cause, the advice and
the Python for it. Patterns are matched with texts and comments blanked out, so that what stands in quotes is neither
recognised nor changed. The look of a line is weak evidence: a habit counts where its correction compiles, or where the
parser's place is at it.

Lines of more than 1000 characters are not looked at.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from typing import NamedTuple

from resilience.report._diagnosis.ast_utils import parsed_line
from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.line_edits import correct_line
from resilience.report._diagnosis.regex_cache import compiled_pattern, search_pattern
from resilience.report._diagnosis.text import single_line
from resilience.report.diagnosis import Diagnosis

__all__ = ["brace_above", "habit_of"]

_BRACE = re.compile(r"^(\s*)(if|elif|while|for|else|try|def|class|with)\b(.*?)\s*\{\s*$")
_TEXTS = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\#.*)""")


class Habit(NamedTuple):
    """A habit from another language: the *pattern* of such a line, its cause, advice, and the corrected line.

    *fix* replaces each match of the pattern, as ``re.sub`` takes it; without one there is advice alone. A pattern with
    ``^`` or ``$`` is applied to the whole line, any other to the parts outside of texts.
    """

    pattern: str
    cause: str
    tip: str
    fix: str | Callable[[re.Match[str]], str] | None = None


def _habit(pattern: str, cause: str, tip: str, fix: str | Callable[[re.Match[str]], str] | None = None) -> Habit:
    return Habit(pattern, cause, tip, fix)


_HABITS = (
    _habit(r"^\s*[!%]\s*\w+", "commands with ! or % belong to notebooks", "Leave the line out of the program."),
    _habit(r"\belse\s+if\b", "`else if` is written `elif` in Python", "Write elif instead of else if.", "elif"),
    _habit(r"\b(?:elseif|elsif)\b", "`elif` is how Python spells it", "Write elif.", "elif"),
    _habit(r"\s*&&\s*", "&& is written `and` in Python", "Write and instead of &&.", " and "),
    _habit(r"\s*\|\|\s*", "|| is written `or` in Python", "Write or instead of ||.", " or "),
    _habit(r"!(?=[\w(])", "! is written `not` in Python", "Write not instead of !.", "not "),
    _habit(
        r"(\w+)(\+\+|--)",
        "Python has no ++ and no --",
        "Write += 1 or -= 1.",
        lambda found: f"{found[1]} {found[2][0]}= 1",
    ),
    _habit(r"(?<![=<>!])=\s*>", "=> is no operator of Python: >= compares", "Write >= instead of =>.", ">="),
    _habit(r"(?<![=<>!])=\s*<", "=< is no operator of Python: <= compares", "Write <= instead of =<.", "<="),
    _habit(r"<>", "<> is written != in Python 3", "Write != instead of <>.", "!="),
    _habit(r"=!\s*(?=[\w'\"])", "=! is no operator of Python: != compares", "Write != instead of =!.", "!= "),
    _habit(r"===", "=== is written == in Python", "Write == instead of ===.", "=="),
    _habit(r"!==", "!== is written != in Python", "Write != instead of !==.", "!="),
    _habit(
        r"(?P<open>[\[({])(?P<each>[^\[\](){}]+?) for (?P<loop>.+?) if (?P<test>.+?) "
        r"else (?P<other>[^\[\](){}]+?)(?P<close>[\])}])",
        "a comprehension with `else` has the condition in front of `for`",
        "Write [a if condition else b for ...].",
        r"\g<open>\g<each> if \g<test> else \g<other> for \g<loop>\g<close>",
    ),
    _habit(
        r"([\w.\[\]()]+)\s*\?\s*([^:?]+?)\s*:\s*([^:]+)$",
        "Python has no ?: operator",
        "Write `a if condition else b`.",
        r"\2 if \1 else \3",
    ),
    _habit(
        r"^(\s*)(?:const|let|var|int|float|double|string|str|bool|auto)\s+(?=\w+\s*=)",
        "Python declares no variables with a word in front",
        "Write the name and its value alone: name = value.",
        r"\1",
    ),
    _habit(
        r"^(\s*)(?:async\s+)?(?:function|func|fn|fun|sub)\s+(\w+\s*\([^)]*\))\s*\{?\s*$",
        "a function begins with `def` in Python",
        "Write def name(...): and indent what belongs to it.",
        r"\1def \2:",
    ),
    _habit(
        r"\b(?:function|func|fn)\s+\w+\s*\(",
        "a function begins with `def` in Python",
        "Write def name(...): and indent what belongs to it.",
    ),
    _habit(r"^\s*switch\b", "Python has no `switch`", "Use match and case, or if and elif, or a dict."),
    _habit(
        _BRACE.pattern,
        "blocks begin with a colon in Python, and are indented",
        "Write : instead of {, and remove the } that belongs to it.",
        r"\1\2\3:",
    ),
    _habit(r"^\s*\}\s*$", "} closes nothing: blocks are indented in Python", "Remove the }."),
    _habit(
        r"^(\s*)(?:catch|rescue)\b",
        "`except` is what catches exceptions in Python",
        "Write except SomeError as error:.",
    ),
    _habit(
        r"^(\s*)throw\s+(?:new\s+)?",
        "`raise` is what throws exceptions in Python",
        "Write raise instead of throw.",
        r"\1raise ",
    ),
    _habit(r"\bnew\s+(?=[A-Z]\w*\()", "objects are made without `new` in Python", "Leave out new.", ""),
    _habit(
        r"^(\s*)raise\s+([\w.]+)\s*,\s*(.+)$",
        "an exception takes its message in parentheses",
        "Write raise Error(message).",
        r"\1raise \2(\3)",
    ),
    _habit(
        r"^(\s*)except\s+([\w.]+)\s*,\s*(\w+)\s*:",
        "an exception gets its name with `as`",
        "Write except Error as name:.",
        r"\1except \2 as \3:",
    ),
    _habit(r"^(\s*)print\s+(?=>>)", "print >> belongs to Python 2", "Write print(..., file=...)."),
    _habit(r"\bdo\s*[:{]|^\s*do\s*$", "Python has no `do ... while`", "Write while True: and leave with break."),
    _habit(r"^\s*for\s*\(.*;.*;.*\)", "Python's `for` goes through values", "Write for i in range(n):."),
    _habit(r"\bforeach\b", "`for` is how Python spells it", "Write for each in values:."),
    _habit(r"//(?=\s+[A-Za-z])", "comments begin with # in Python", "Write # instead of //.", "#"),
    _habit(r"/\*|\*/", "comments begin with # in Python", "Write # in front of each line of the comment."),
    _habit(r"^(\s*)(\w+)\s*:=", ":= alone is no statement", "Write = instead of :=.", r"\1\2 ="),
    _habit(r"\$(?=\w)", "names have no $ in Python", "Leave out the $.", ""),
    _habit(
        r"\(\s*\w+(?:\s*,\s*\w+)*\s*\)\s*=>|\w\s*=>\s*\{",
        "Python has no arrow functions",
        "Write lambda x: ..., or def.",
    ),
    _habit(
        r"^\s*(?:pip3?|conda|apt(?:-get)?|npm|git|cd|ls|python3?)\s+[\w-]",
        "the line is a command for a shell, and no Python",
        "Run it in a shell, and leave it out of the program.",
    ),
    _habit(
        r"^\s*(?:using|#include|package|import\s+java|public|private|static|void)\b",
        "the line is of another language",
        "Write it in Python.",
    ),
    _habit(r"\bnot\s+=", "`not =` is written != in Python", "Write != instead of not =.", "!="),
    _habit(r"\bis\s+equal(?:s)?\s+to\b", "equality is written == in Python", "Write ==.", "=="),
    _habit(r"^(\s*)def\s*\(", "the function has no name", "Write a name after def: def name(...):."),
    _habit(
        r"^(\s*)(def\s+\w+)\s*:",
        "the parentheses with the parameters are missing",
        "Write def name():, with parentheses.",
        r"\1\2():",
    ),
    _habit(
        r"^(\s*)from\s+([\w.]+)\s+import\s*$",
        "`import` names nothing to import",
        "Write what is to be imported after it.",
    ),
    _habit(
        r"^(\s*)import\s+([\w.]+(?:\s*,\s*[\w.]+)*)\s+from\s+([\w.]+)\s*$",
        "`from` comes first in Python",
        "Write from module import name.",
        r"\1from \3 import \2",
    ),
    _habit(r"^\s*(?:if|elif|while)\s*:", "the condition is missing", "Write a condition before the colon."),
    _habit(
        r"(?:=|\+|-|\*|/|%|,|\band|\bor|\bnot|\bin|\bis|==|<|>)\s*$",
        "the line ends where a value is expected",
        "Write the value, or put the expression in brackets to go on in the next line.",
    ),
    _habit(
        r"^(\s*)else\s+(?!if\b)([^:]+:.*)$",
        "else has no condition",
        "Write elif in front of a condition.",
        r"\1elif \2",
    ),
    _habit(
        r"^\s*case\s+[^:]*$",
        "the colon after case is missing",
        "Write a colon at the end of the line.",
        lambda found: f"{found[0].rstrip()}:",
    ),
    _habit(
        r"^\s*(?:elif|else|except|finally|case)\b",
        "the line goes on with a block that is not there",
        "Indent it as the if, try, for or while it belongs to; nothing may stand between.",
    ),
)


def brace_above(context: FailureContext) -> Diagnosis | None:
    """Recognise a block in braces, which the parser takes for a dict and complains of further down: ``if x > 1 {``."""
    number = (context.line or 1) - 1
    found = _BRACE.match(context.line_at(number)) if context.source_is_known else None
    if found is None:
        return None
    fix = f"{found[1]}{found[2]}{found[3]}:"
    code = single_line(found[0].strip(), 60)
    return Diagnosis(
        immediate_cause=f"blocks begin with a colon and are indented: line {number}, {code}",
        suggestions=(f"Write : instead of {{ on line {number}, and remove the }} that belongs to it.",),
        suggested_fix=fix if parsed_line(fix.strip()) is not None else None,
        specifics={"fix_applies_to": f"line {number}"},
    )


def habit_of(context: FailureContext) -> Diagnosis | None:
    """Recognise a line that is written in the habit of another language, or uses a word of Python's own as a name.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.SYNTAX,
    ...     error_type="SyntaxError",
    ...     message="invalid syntax",
    ...     source="count++",
    ...     line=1,
    ... )
    >>> habit_of(FailureContext(failure)).suggested_fix
    'count += 1'
    """
    line = context.raw_line
    if not line.strip() or len(line) > 1000:
        return None
    blank = _without_texts(line)
    for habit in _HABITS:
        found = search_pattern(habit.pattern, blank)
        if found is not None:
            fixed = _fixed(context, habit, line) if habit.fix is not None else None
            # Without a correction that Python takes, the look of a line is little evidence.
            if fixed is None and habit.fix is not None and not _at(context, found):
                continue
            return Diagnosis(
                immediate_cause=f"{habit.cause}: {single_line(line.strip(), 80)}",
                suggestions=(habit.tip, "Look at the other lines for the same."),
                suggested_fix=fixed,
            )
    return _keyword(context, blank)


def _fixed(context: FailureContext, habit: Habit, line: str) -> str | None:
    """Apply a habit's correction outside of texts and comments."""
    assert habit.fix is not None
    pattern = compiled_pattern(habit.pattern)
    if "^" in habit.pattern or "$" in habit.pattern:
        new = pattern.sub(habit.fix, line)
    else:
        parts = enumerate(_TEXTS.split(line))
        new = "".join(part if number % 2 else pattern.sub(habit.fix, part) for number, part in parts)
    return correct_line(context, context.line or 1, new.rstrip(" ;") if new.rstrip().endswith(";") else new)


def _at(context: FailureContext, found: re.Match[str]) -> bool:
    """Whether the place that the parser names is within what a pattern found, or next to it."""
    column = context.frame.column
    return column is None or found.start() - 1 <= column <= found.end() + 1


def _keyword(context: FailureContext, blank: str) -> Diagnosis | None:
    """Recognise a word of Python's own used as a name: ``class = 3``, ``draw(from=1)``.

    An argument is renamed to ``from_``. Not in ``dict(...)``: there the name is the key, and another one is another
    key.
    """
    for found in re.finditer(
        r"(?:(?<=\.)|(?<=[(,])\s*|^\s*|\b(?:def|class|import|for)\s+)([a-z]+)(?=\s*=[^=]|\s*\(|\s*$|\s+in\b|\s*,)",
        blank,
        re.IGNORECASE,
    ):
        word = found[1]
        if keyword.iskeyword(word) and word not in (
            "lambda",
            "not",
            "await",
            "yield",
            "None",
            "True",
            "False",
            "pass",
            "return",
            "else",
            "try",
        ):
            code = single_line(context.code, 80)
            argument = re.search(rf"[(,]\s*{word}\s*=(?!=)", context.raw_line)
            is_key = re.search(r"\bdict\(", context.raw_line) is not None  # by another name it is another key
            renamed = re.sub(rf"(?<=[(,\s]){word}(?=\s*=(?!=))", f"{word}_", context.raw_line, count=1)
            return Diagnosis(
                suggested_fix=correct_line(context, context.line or 1, renamed) if argument and not is_key else None,
                immediate_cause=f"{word} is a word of Python itself and cannot be a name: {code}",
                suggestions=(
                    f"Choose another name, such as {word}_.",
                    "Reach a key of that name with brackets: data['class'].",
                ),
            )
    return None


def _without_texts(line: str) -> str:
    """Blank out texts and comments, which may hold anything; comments of other languages stay."""
    return _TEXTS.sub(
        lambda found: (
            " " * len(found[0]) if found[0][0] == "#" else found[0][0] + "_" * (len(found[0]) - 2) + found[0][-1]
        ),
        line,
    )
