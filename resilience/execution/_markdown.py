"""Extraction of code from a model's answer: fences, tags, thoughts, and answers that were cut off.

Models wrap code in fences, tags or prose, nest fences in strings, and are cut off at their token limit. The extraction
prefers code that parses, and says where an answer was cut off, so that the generator can be asked for the rest.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from resilience.execution._analysis.parsing import UNPARSABLE, parse

__all__ = ["Extraction", "extract_code", "strip_fences"]

_FENCE = re.compile(r"(?P<indent>[ \t]*(?:>[ \t]?)?)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)")
_LABEL = re.compile(r"[{.\s]*([\w+#-]*)")
_STRAY = re.compile(r"<[^>\n]*>\s*")
"""A tag behind a closing fence, such as ``<end_code>``."""
_PYTHON_LABELS = frozenset({"python", "py", "python3", "py3", "ipython", "ipython3", "pycon", "tool_code"})
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
_TAGGED = re.compile(
    r"<(code|python|py|execute|execute_python|answer)>(.*?)</\1>|\[(PYTHON)\](.*?)\[/PYTHON\]",
    re.IGNORECASE | re.DOTALL,
)
_INLINE = re.compile(r"\s*(`{1,3})(?:(?:python|py)[ \t]+)?([^`\n]+)\1\s*")

_MAX_CLOSINGS = 20
"""Closing fences that are tried for one block. Each costs a parse."""

_CUT_IN_THOUGHTS = "the answer was cut off within the model's thoughts, before any code"
_CUT_IN_CODE = "the answer was cut off within its code: the last block is not closed, and does not compile"


@dataclass(frozen=True, slots=True)
class Extraction:
    """Code of an answer. *problem* says that the answer was cut off, and where; it is empty for a whole answer."""

    code: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Block:
    """A fenced block. *rank* is 0 for Python by its label, 1 if announced as code, 2 without a label, 3 otherwise."""

    rank: int
    code: str
    is_closed: bool


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
    if not any(mark in text for mark in ("`", "~~~", "<", "[PYTHON]")) or _is_python(text):
        return Extraction(text)
    answer = _END_OF_THOUGHTS.split(_THOUGHTS.sub("", text))[-1]
    thoughts = _OPEN_THOUGHTS.search(answer)
    if thoughts is not None:
        before = extract_code(answer[: thoughts.start()])
        return before if before.code.strip() else Extraction("", _CUT_IN_THOUGHTS)
    blocks = [block for block in _blocks(answer) if block.rank < 3]
    if blocks:
        best = min(block.rank for block in blocks)
        return _choose([block for block in blocks if block.rank == best], can_join=best == 0)
    return Extraction(_without_tags(text, answer))


def _choose(blocks: list[_Block], *, can_join: bool) -> Extraction:
    """Return the code of *blocks*, which have the same rank."""
    joined = "\n".join(block.code for block in blocks)
    if can_join and _is_python(joined):
        return Extraction(joined)
    runnable = [block.code for block in blocks if _is_python(block.code)]
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
    return bare if bare != text and _is_python(bare) else text


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the fenced blocks. One that is not closed ends with the text."""
    lines = text.splitlines(keepends=True)
    at = 0
    while at < len(lines):
        fence = _FENCE.fullmatch(lines[at].rstrip("\r\n"))
        if fence is None:
            at += 1
            continue
        previous = next((line for line in reversed(lines[:at]) if line.strip()), "")
        end, code = _content(lines, at, fence)
        yield _Block(_rank(fence["info"], previous), code, is_closed=end < len(lines))
        at = end + 1


def _rank(info: str, previous: str) -> int:
    label = _LABEL.match(info)
    name = "" if label is None else label[1].lower()
    if name in _PYTHON_LABELS:
        return 0
    if name:
        return 3
    return 1 if _ANNOUNCED.search(previous.rstrip()) else 2


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
    return first or (len(lines), _cleaned(lines[start + 1 :])[0])


def _closes(line: str, opening: re.Match[str]) -> bool:
    """Return whether *line* may close the block: a fence as long as the opening one, not deeper, without a label."""
    fence = _FENCE.fullmatch(line.rstrip("\r\n"))
    if fence is None or not fence["mark"].startswith(opening["mark"]):
        return False
    return len(fence["indent"]) <= len(opening["indent"]) and not _STRAY.sub("", fence["info"]).strip()


def _cleaned(lines: list[str]) -> tuple[str, bool]:
    """Return the content of a block without its indentation, and whether it parses.

    What does not parse is also freed of special tokens, and of the prompts of an interactive session.
    """
    code = textwrap.dedent("".join(lines))
    if _is_python(code):
        return code, True
    code = _TOKENS.sub("", code)
    if code.lstrip().startswith(">>> "):
        code = "".join(line[4:] for line in code.splitlines(keepends=True) if line.startswith((">>> ", "... ")))
    return code, _is_python(code)


def _is_python(text: str) -> bool:
    try:
        parse(text)
    except UNPARSABLE:
        return False
    return True
