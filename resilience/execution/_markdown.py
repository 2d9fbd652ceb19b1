"""Extraction of code from a model's Markdown answer."""

from __future__ import annotations

import re
import textwrap

from resilience.execution._analysis.parsing import UNPARSABLE, parse

__all__ = ["strip_fences"]

_FENCE = re.compile(r"[ \t]*(?:>[ \t]?)?(?P<mark>`{3,}|~{3,})[ \t]*(?P<label>[^\s`{]*)[^`\n]*")
_PYTHON_LABELS = frozenset({"python", "py", "python3", "py3"})


def strip_fences(text: str) -> str:
    r"""Return the code in *text*: what stands in fenced blocks, where it has any; else all of it.

    Blocks labelled as Python are taken before those without a label, others not at all; several are joined in order.
    Text that is Python as it stands stays so, whatever its strings hold.

    >>> strip_fences("Here you are:\n```python\nprint(1)\n```\nThat prints 1.")
    'print(1)\n'
    """
    if "```" not in text and "~~~" not in text:
        return text
    if _is_python(text):
        return text
    blocks = _blocks(text)
    labels = {label for label, _ in blocks}
    wanted = labels & _PYTHON_LABELS or labels & {""}
    if not wanted:
        return text
    return "\n".join(code for label, code in blocks if label in wanted)


def _blocks(text: str) -> list[tuple[str, str]]:
    """Return the label and the code of each fenced block; one that is not closed ends with the text."""
    blocks: list[tuple[str, str]] = []
    lines: list[str] = []
    mark = label = ""
    for line in text.splitlines(keepends=True):
        fence = _FENCE.fullmatch(line.rstrip("\r\n"))
        if not mark:
            if fence is not None:
                mark, label, lines = fence["mark"], fence["label"].lower(), []
        elif fence is not None and fence["mark"].startswith(mark) and not fence["label"]:
            blocks.append((label, textwrap.dedent("".join(lines))))
            mark = ""
        else:
            lines.append(line)
    if mark:
        blocks.append((label, textwrap.dedent("".join(lines))))
    return blocks


def _is_python(text: str) -> bool:
    try:
        parse(text)
    except UNPARSABLE:
        return False
    return True
