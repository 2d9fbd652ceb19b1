# ruff: noqa: RUF001, RUF002 - characters that look like others are what this is about
"""Diagnosis of characters that do not belong in a program, and of text that a model leaves around code.

Typographic quotes, dashes and blanks look like those of a keyboard and come from word processors, chats and web pages;
code fences, prompts and prose come from answers and transcripts. `_PLAIN` maps each such character to the one that is
meant. Texts and comments of the program may have any character: only a line that the parser refuses is changed.

At most the first 200,000 characters are searched, and `_MAX_FENCES` fences are listed.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice

from resilience.report._diagnosis.context import FailureContext, known_facts
from resilience.report._diagnosis.line_edits import correct_line
from resilience.report._diagnosis.text import join_words, phrase, single_line
from resilience.report.diagnosis import Diagnosis

__all__ = ["foreign_text", "invalid_character", "plain_line"]

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("“”„‟″«»＂", '"'),
        **dict.fromkeys("‘’‚‛′`´＇", "'"),
        **dict.fromkeys("‐‑‒–—−－", "-"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u202f\u3000", " "),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\x00", ""),
        **dict.fromkeys("×·∗＊", "*"),
        **dict(zip("（）［］｛｝，：；＝、。＋／＜＞！", "()[]{},:;=,.+/<>!", strict=True)),
        **dict(zip("÷≤≥≠…→•", ["/", "<=", ">=", "!=", "...", "->", ""], strict=True)),
    }
)
_MAX_FENCES = 20
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_PROMPT = re.compile(r"^[ \t]*(>>>|\.\.\.|In \[\d+\]:|\$) ?", re.MULTILINE)
_CHARACTER = re.compile(r"invalid (?:non-printable )?character (?:'.' \()?U\+(?P<code>[0-9A-Fa-f]{1,6})")
_PROSE = re.compile(
    r"^(?:sure|here(?:'s| is| are)|certainly|of course|this (?:code|script|program|function)|the following|below is|"
    r"to (?:do|solve|fix|run)|note:|explanation|i (?:have|will|can)|let(?:'s| me)|you can|output:)\b",
    re.IGNORECASE,
)


def plain_line(line: str) -> str:
    r"""Return a line with the characters of a keyboard for typographic ones.

    Characters that are not seen, such as a zero-width space, are taken out.

    >>> plain_line("print(“lamp”)\u00a0# 3 × 4")
    'print("lamp") # 3 * 4'
    """
    return line.translate(_PLAIN)


def foreign_text(context: FailureContext) -> Diagnosis | None:
    """Diagnose text around a program: code fences, prompts, prose, null bytes.

    The first line that fails decides: fences elsewhere count only where the parser stopped at one. Prose is recognised
    by the words it begins with, ``Here is the code:``, and is made a comment.
    """
    if "null bytes" in context.message or "\x00" in context.source[:100_000]:
        return _null_bytes(context)
    first = context.line_at(context.line) or context.frame.code
    found = islice(_FENCE.finditer(context.source[:200_000]), _MAX_FENCES)
    fences = [context.source.count("\n", 0, each.start()) + 1 for each in found]
    if (fences and context.line in (None, *fences)) or _FENCE.match(first):
        lines = join_words([str(number) for number in fences], 4) if fences else str(context.line)
        return Diagnosis(
            immediate_cause=f"the code still has the fences of Markdown around it (```): line {lines}",
            suggestions=(
                f"Remove the fences on line {lines}; only what is between them is Python.",
                "Send the bare code, without Markdown and without words around it.",
            ),
            specifics={"fence_lines": [*fences]},
        )
    prompt = _PROMPT.match(first)
    if prompt is not None and prompt[1] != "...":
        bare = _PROMPT.sub("", first)
        return Diagnosis(
            immediate_cause=f"the line begins with a prompt, {prompt[1]}, which is not part of the code",
            suggestions=(f"Remove {prompt[1]} from the beginning of the lines, and lines that are output.",),
            suggested_fix=correct_line(context, context.line or 1, bare),
        )
    if _PROSE.match(first.strip()) and context.source_is_known:
        return Diagnosis(
            immediate_cause=f"line {context.line} is prose and not Python: {single_line(first.strip(), 60)}",
            suggestions=(
                f"Remove line {context.line}, or make it a comment with # in front.",
                "Send the bare code, without words around it.",
            ),
            suggested_fix=correct_line(context, context.line or 1, f"# {first.strip()}"),
        )
    return None


def invalid_character(context: FailureContext) -> Diagnosis | None:
    """Diagnose a character that looks right and is another one: ``invalid character '“' (U+201C)``.

    The character is named by its code and its name in Unicode, as many of them are invisible or look the same.
    """
    found = _CHARACTER.search(context.message)
    if found is None:
        return None
    character = chr(min(int(found["code"], 16), 0x10FFFF))
    name = unicodedata.name(character, "").lower() or {"\ufeff": "byte order mark"}.get(
        character, "a control character"
    )
    code = f"U+{int(found['code'], 16):04X}"
    line = context.raw_line or context.code
    plain = plain_line(character)
    if character == "\ufeff":
        cause = "the code begins with a byte order mark (U+FEFF), which no editor shows"
        tips = ["Remove the mark; when the code comes from a file, read that with encoding='utf-8-sig'."]
    elif plain == character:
        cause = f"Python has no use for {character} ({code}, {name}) outside texts and comments"
        tips = [f"Remove {character}, or put it in quotes if it is part of a text."]
    else:
        seen = (
            f"the invisible character {code}" if not character.strip() or not plain.strip() else f"{character} ({code})"
        )
        cause = f"{seen}, {name}, stands where Python wants {_described(plain)}"
        tips = [
            f"Write {_described(plain)} instead of {code}, on line {context.line or 1} and wherever else it stands."
        ]
        tips.append(
            "Text that went through a word processor, a chat or a web page often has such characters: type them anew."
        )
    return Diagnosis(
        immediate_cause=cause,
        suggestions=tuple(tips),
        suggested_fix=correct_line(context, context.line or 1, plain_line(line)),
        specifics={"character": code},
    )


def _described(plain: str) -> str:
    """Return what a character is called in a sentence; one that cannot be seen there gets words."""
    return {"": "nothing", " ": "a plain space", '"': 'the straight quote "', "'": "the straight quote '"}.get(
        plain, plain
    )


def _null_bytes(context: FailureContext) -> Diagnosis:
    """Diagnose ``source code string cannot contain null bytes``: most often a text in UTF-16 that was read as UTF-8."""
    where = context.source.find("\x00")
    line: int | None = None
    if where >= 0:
        line = context.source.count("\n", 0, where) + 1
    return Diagnosis(
        immediate_cause=f"the code has null bytes in it{phrase(' on line {}', line)}, which Python rejects",
        suggestions=(
            "Remove them: code.replace('\\x00', '').",
            "Null bytes often mean that the text is UTF-16, or no text at all: decode it with the right encoding.",
        ),
        specifics=known_facts(null_byte_line=line),
    )
