"""Extraction of code from a model's answer: fences, tags, thoughts, and answers that were cut off.

Models wrap code in fences, tags or prose, nest fences in strings, and are cut off at their token limit. The extraction
prefers code that parses, and says where an answer was cut off, so that the generator can be asked for the rest.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from resilience.execution._code_repairs import (
    has_prompts,
    is_python,
    repaired,
    visible,
    without_prompts,
    without_prose,
)
from resilience.execution._tool_calls import code_of_tool_call

__all__ = ["Extraction", "extract_code", "strip_fences"]

_FENCE = re.compile(r"(?P<indent>[ \t]*(?:>[ \t]?)?)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)")
_LABEL = re.compile(r"[{.\s]*([\w+#-]*)")
_STRAY = re.compile(r"<[^>\n]*>\s*")
"""A tag behind a closing fence, such as ``<end_code>``."""
_PYTHON_LABELS = frozenset({"python", "py", "python3", "py3", "ipython", "ipython3", "pycon", "tool_code"})
_DIFFERENCE_LABELS = frozenset({"diff", "patch"})
_DOCUMENT_LABELS = frozenset({"markdown", "md", "mdx"})
_OF_DIFFERENCES, _IGNORED = 3, 4
_ANNOUNCED = re.compile(r"\b(?:code|script|program)\W*$", re.IGNORECASE)
"""The line before an unlabelled block that says it is code."""

_THOUGHT_TAGS = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad"
# A tag that opens stands at the beginning of a line, and nothing but a fence stands behind one that closes: code may
# have such tags in its strings.
_THOUGHTS = re.compile(rf"^[ \t]*<({_THOUGHT_TAGS})>.*?</\1>", re.IGNORECASE | re.DOTALL | re.MULTILINE)
_OPEN_THOUGHTS = re.compile(rf"^[ \t]*<(?:{_THOUGHT_TAGS})>", re.IGNORECASE | re.MULTILINE)
_END_OF_THOUGHTS = re.compile(rf"</(?:{_THOUGHT_TAGS})>[ \t]*(?=[\r\n`~]|$)", re.IGNORECASE)
_TOKENS = re.compile(r"<\|[\w/]+\|>|</?s>|<end_of_turn>|<end_code>")
"""Special tokens of model templates."""
_BEFORE_FENCE = re.compile(
    r"^(?:[\ufeff\u200b\u2060]+|(?:<\|\w+\|>|</?(?:answer|code|python|execute|response|assistant|final)>)+)"
    r"[ \t]*(?=`{3}|~{3})",
    re.MULTILINE,
)
"""Marks of no width, and tokens or tags, that stand before a fence on one line with it."""
_FINAL_CHANNEL = re.compile(r"\A.*<\|channel\|>final[^<\n]*<\|message\|>", re.DOTALL)
"""Everything before the final channel of an answer that has several."""
_TAGGED = re.compile(
    r"<(code|python|py|execute|execute_python|answer|script|tool_code)(?:\s[^>\n]*)?>(?:\s*<!\[CDATA\[)?(.*?)(?:\]\]>\s*)?"
    r"</\1>|\[(PYTHON)\](.*?)\[/PYTHON\]",
    re.IGNORECASE | re.DOTALL,
)
_INLINE = re.compile(r"\s*(`{1,3})(?:(?:python|py)[ \t]+)?([^`\n]+)\1\s*")

_MAX_CLOSINGS = 20
"""Closing fences that are tried for one block. Each costs a parse."""

_CUT_IN_THOUGHTS = "the answer was cut off within the model's thoughts, before any code"
_PART_OF_FILE = re.compile(r"^@@ -(?!0,0 |1[, ])", re.MULTILINE)
_PART_OF_PROGRAM = "the answer is a list of differences, and not the whole program: ask for all of it"
_CUT_IN_CODE = "the answer was cut off within its code: the last block is not closed, and does not compile"


@dataclass(frozen=True, slots=True)
class Extraction:
    """Code of an answer. *problem* says that the answer was cut off, and where; it is empty for a whole answer."""

    code: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Block:
    """A fenced block.

    *rank* is 0 for Python by its label, 1 if announced as code, 2 without a label, 3 for differences, 4 otherwise.
    """

    rank: int
    code: str
    is_closed: bool
    is_session: bool
    """Whether it is an interactive session, which shows the use of code rather than the code."""
    is_part: bool
    """Whether it is a list of differences that does not begin with the first line of the program."""


def strip_fences(text: str) -> str:
    r"""Return the code in *text*: the content of its fenced blocks or code tags, or all of it if it has none.

    Blocks labelled as Python come before those announced by a line such as ``Code:``, and these before unlabelled ones;
    blocks with another label are ignored. Several labelled blocks are joined in order if the result parses, otherwise
    the longest block that parses is taken. A fence in a string of the code does not end the block. Thoughts in
    ``<think>`` tags are dropped. Text that is Python as it stands is returned unchanged.

    >>> strip_fences("Here you are:\n```python\nprint(1)\n```\nThat prints 1.")
    'print(1)\n'
    >>> strip_fences("<think>```\nx = ?\n```</think>```python\nprint(1)\n```<end_code>")
    'print(1)\n'
    """
    return extract_code(text).code


def extract_code(text: str) -> Extraction:
    r"""Return the code in *text* as `strip_fences` does, and whether the answer was cut off.

    >>> extract_code("<think>The user wants a sum. First")
    Extraction(code='', problem="the answer was cut off within the model's thoughts, before any code")
    """
    called = code_of_tool_call(text)
    if called is not None:
        return extract_code(called) if "```" in called else Extraction(called)
    if is_python(text):
        return Extraction(text)
    if not any(mark in text for mark in ("`", "~~~", "<", "[PYTHON]")):
        return Extraction(_bare(text))
    answer = _END_OF_THOUGHTS.split(_THOUGHTS.sub("", _FINAL_CHANNEL.sub("", text)))[-1]
    thoughts = _OPEN_THOUGHTS.search(answer)
    if thoughts is not None:
        before = extract_code(answer[: thoughts.start()])
        return before if before.code.strip() else Extraction("", _CUT_IN_THOUGHTS)
    return _of_blocks(_BEFORE_FENCE.sub("", answer)) or Extraction(_without_fences(text, answer))


def _of_blocks(answer: str) -> Extraction | None:
    """Return the code of the fenced blocks of the best rank; None where no block may be the program."""
    blocks = [block for block in _blocks(answer) if block.rank < _IGNORED]
    if not blocks:
        return None
    best = min(block.rank for block in blocks)
    if best == _OF_DIFFERENCES and any(block.is_part for block in blocks):
        return Extraction("", _PART_OF_PROGRAM)
    chosen = [block for block in blocks if block.rank == best]
    return _choose([each for each in chosen if not each.is_session] or chosen, can_join=best == 0)


def _without_fences(text: str, answer: str) -> str:
    called = code_of_tool_call(answer, fenced=True)
    return _without_tags(text, answer) if called is None else called


def _bare(text: str) -> str:
    """Return the code of an answer without any marks: a session, or code between sentences; else *text* as it is."""
    if has_prompts(text):
        return without_prompts(text)
    return without_prose(visible(text)) or text


def _choose(blocks: list[_Block], *, can_join: bool) -> Extraction:
    """Return the code of *blocks*, which have the same rank."""
    joined = "\n".join(block.code for block in blocks)
    if can_join and is_python(joined):
        return Extraction(joined)
    runnable = [block.code for block in blocks if is_python(block.code)]
    if runnable:
        return Extraction(max(runnable, key=len))
    return Extraction(joined if can_join else max((block.code for block in blocks), key=len), _cut_off(blocks))


def _cut_off(blocks: list[_Block]) -> str:
    return "" if blocks[-1].is_closed else _CUT_IN_CODE


def _without_tags(text: str, answer: str) -> str:
    """Return the code in an answer without fenced blocks: in code tags, in backticks, or *text* as it is."""
    bare = _TOKENS.sub("", answer)
    tagged = [found[1] or found[3] for found in _TAGGED.findall(bare)]
    if tagged:
        return "\n".join(textwrap.dedent(each).strip("\n") + "\n" for each in tagged)
    inline = _INLINE.fullmatch(bare)
    if inline is not None:
        return inline[2].strip()
    return bare if bare != text and is_python(bare) else _bare(text)


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the fenced blocks. One that is not closed ends with the text."""
    lines = text.splitlines(keepends=True)
    at = 0
    while at < len(lines):
        fence = _FENCE.fullmatch(lines[at].rstrip("\r\n"))
        if fence is None:
            at += 1
            continue
        if _labelled(fence["info"]) in _DOCUMENT_LABELS:
            at += 1  # a document, in which blocks of code may stand
            continue
        previous = next((line for line in reversed(lines[:at]) if line.strip()), "")
        end, code = _content(lines, at, fence)
        written = "".join(lines[at + 1 : end])
        yield _Block(
            rank=_rank(fence["info"], previous),
            code=code,
            is_closed=end < len(lines),
            is_session=has_prompts(written),
            is_part=_PART_OF_FILE.search(written) is not None,
        )
        at = end + 1


def _rank(info: str, previous: str) -> int:
    name = _labelled(info)
    if name in _PYTHON_LABELS:
        return 0
    if name:
        return _OF_DIFFERENCES if name in _DIFFERENCE_LABELS else _IGNORED
    return 1 if _ANNOUNCED.search(previous.rstrip()) else 2


def _labelled(info: str) -> str:
    label = _LABEL.match(info)
    return "" if label is None else label[1].lower()


def _content(lines: list[str], start: int, opening: re.Match[str]) -> tuple[int, str]:
    """Return the line of the closing fence and the content before it.

    The first closing fence after which the content parses; a fence within a string leaves the string open before it. If
    none does, the first one.
    """
    first: tuple[int, str] | None = None
    closings = (at for at in range(start + 1, len(lines)) if _closes(lines[at], opening))
    for _, end in zip(range(_MAX_CLOSINGS), closings, strict=False):
        code, is_python = _cleaned(lines[start + 1 : end])
        first = first or (end, code)
        if is_python:
            return end, code
    return first or _unclosed(lines, start, opening["mark"])


def _unclosed(lines: list[str], start: int, mark: str) -> tuple[int, str]:
    """Return the content of a block without a closing fence on a line of its own: at the end of a line, or cut off."""
    for at in range(start + 1, len(lines)):
        before, fence, after = lines[at].rstrip("\r\n").rpartition(mark)
        if fence and not after.strip():
            code, is_code = _cleaned([*lines[start + 1 : at], f"{before}\n"])
            if is_code:
                return at, code
    code, is_code = _cleaned(lines[start + 1 :])
    return len(lines), code if is_code else without_prose(code) or code


def _closes(line: str, opening: re.Match[str]) -> bool:
    """Return whether *line* may close the block: a fence as long as the opening one, not deeper, without a label."""
    fence = _FENCE.fullmatch(line.rstrip("\r\n"))
    if fence is None or not fence["mark"].startswith(opening["mark"]):
        return False
    return len(fence["indent"]) <= len(opening["indent"]) and not _STRAY.sub("", fence["info"]).strip()


def _cleaned(lines: list[str]) -> tuple[str, bool]:
    """Return the content of a block without its indentation, and whether it parses.

    What does not parse is also freed of special tokens, and repaired as `_code_repairs` says.
    """
    code = textwrap.dedent("".join(lines))
    if is_python(code):
        return code, True
    code = _TOKENS.sub("", code)
    better = repaired(code)
    return (code, False) if better is None else (better, True)
