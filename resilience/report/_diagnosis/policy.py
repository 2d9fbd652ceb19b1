"""Diagnosis of code that an execution policy has stopped.

It says what was attempted, why that is not allowed, and what may be done in its place: first what the policy itself
proposes, then `_INSTEAD`. The last suggestion is to allow it. A way around the policy is never advised.
"""

from __future__ import annotations

import re

from resilience.report._diagnosis.context import FailureContext, as_text, as_texts, known_facts
from resilience.report._diagnosis.text import join_words, phrase, single_line
from resilience.report.diagnosis import Diagnosis

__all__ = ["violation"]

_INSTEAD = {
    "blocked_import": ("Do it with the modules that are allowed, or with none.",),
    "blocked_call": (
        "Write out what is to be computed, in plain functions.",
        "Read values with json.loads() or ast.literal_eval(), which run no code.",
    ),
    "blocked_attribute": ("Use the public methods of the object, without names that begin with two underscores.",),
    "file_read": (
        "Put the data into the code as a text, and use io.StringIO where a file is expected.",
        "Let the caller hand in the content of the file.",
    ),
    "file_write": (
        "Keep the result in a variable, and print() or return it.",
        "Use io.StringIO or io.BytesIO where a file is expected.",
    ),
    "network": ("Let the caller fetch the data, and work on what is handed in.", "Use example data in the code."),
    "process": ("Compute it in Python, in this process.",),
}
_RAISE_LEVEL = {
    "strict": "If it is needed, run the code at a higher level: security_level='moderate'.",
    "moderate": "If it is needed, run the code at a higher level: security_level='permissive'.",
}
_NAMED = re.compile(r"(?:restricted|blocked|forbidden) (?:module|function|name) '([\w.]+)'")


def violation(context: FailureContext) -> Diagnosis:
    """Diagnose an attempt at something that is not allowed, by the violation, or else by the specifics and the message.

    Specifics count where there is no violation: ``violation_type``, a key of `_INSTEAD`, ``attempted_action``, the code
    that was stopped, and ``security_level``.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.SECURITY,
    ...     error_type="SecurityViolation",
    ...     message="",
    ...     specifics={"violation_type": "process", "attempted_action": "os.system('ls')"},
    ... )
    >>> found = violation(FailureContext(failure))
    >>> found.immediate_cause, found.suggestions[0]
    ("os.system('ls') is not allowed", 'Compute it in Python, in this process.')

    Fields of the violation are read with care: it may be an object of the caller's, or lack some of them.
    """
    found = context.failure.violation
    kind = as_text(getattr(found, "kind", "")) or context.specific("violation_type")
    subject = as_text(getattr(found, "subject", "")) or _subject(context)
    code = single_line(
        as_text(getattr(found, "blocked_code", "")) or context.specific("attempted_action") or context.code, 100
    )
    level = context.specific("security_level")
    allowed = list(as_texts(context.specifics.get("available_modules")))
    given = [each for each in as_texts(getattr(found, "alternatives", None)) if each]
    instead = given or _INSTEAD.get(kind, ())
    tips = [*(instead or ("Leave it out, or do it in a way that is allowed.",))]
    if kind == "blocked_import" and allowed and not any(allowed[0] in tip for tip in tips):
        tips.append(f"These modules are allowed: {join_words(allowed, 12)}.")
    if kind == "blocked_import" and subject:
        tips.append(f"If it is needed, allow it: allowed_imports=[{subject.partition('.')[0]!r}].")
    else:
        tips.append(_RAISE_LEVEL.get(level, "If it is needed, change the policy that the code runs under."))
    reason = single_line(as_text(getattr(found, "reason", "")), 200)
    what = code or subject or "what the code attempts"
    stopped = phrase("it was stopped before it happened, on line {}", context.line)
    return Diagnosis(
        immediate_cause=f"{what} is not allowed{phrase(' at level {}', level)}{phrase(': {}', reason)}",
        contributing_factors=tuple(filter(None, [stopped])),
        suggestions=tuple(dict.fromkeys(tips)),
        specifics={
            **known_facts(violation_type=kind, attempted_action=code),
            "alternative_approaches": [*instead],
        },
    )


def _subject(context: FailureContext) -> str:
    """Return the module or function that the message of a restricted interpreter names."""
    found = _NAMED.search(context.message)
    return found[1] if found else ""
