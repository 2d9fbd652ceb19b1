"""Code in the arguments of a tool call: ``{"name": "python", "arguments": {"code": "print(1)"}}``.

Models that know tools write their calls into the answer, too: as JSON alone, in a fence, or in a tag.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

__all__ = ["code_of_tool_call"]

_CODE_KEYS = ("code", "python_code", "source", "program", "script", "python")
_ARGUMENT_KEYS = ("arguments", "parameters", "input", "args", "function", "tool_call", "action_input")
_MAX_DEPTH = 4
_MAX_LENGTH = 1_000_000
_CALL = re.compile(
    r"\A\s*(?P<alone>\{.*\})\s*\Z|<(?P<tag>tool_call|function_call)>\s*(?P<tagged>\{.*?\})\s*</(?P=tag)>", re.DOTALL
)
_FENCED = re.compile(r"^[ \t]*`{3,}json[^\n]*\n(?P<fenced>\{.*?\})\s*^[ \t]*`{3,}", re.DOTALL | re.MULTILINE)


def code_of_tool_call(text: str, *, fenced: bool = False) -> str | None:
    r"""Return the code that a call of a tool has among its arguments; None of any other text.

    The call is all of the text, or stands in a tag for it; with *fenced*, in a fence labelled as JSON.

    >>> code_of_tool_call('{"name": "python", "arguments": {"code": "print(1)\\n"}}')
    'print(1)\n'
    >>> code_of_tool_call('{"a": 1}') is None
    True
    """
    if "{" not in text or len(text) > _MAX_LENGTH:
        return None
    found = (_FENCED if fenced else _CALL).search(text)
    if found is None:
        return None
    written = next(each for name, each in found.groupdict().items() if each and name != "tag")
    return next(_codes(written, _MAX_DEPTH), None)


def _codes(value: object, depth: int) -> Iterator[str]:
    """Yield the texts under a key for code, in a call or in its arguments, which may be JSON in a text."""
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, Mapping) or depth == 0:
        return
    given = cast("Mapping[str, object]", value)
    for key in _CODE_KEYS:
        code = given.get(key)
        if isinstance(code, str) and code.strip():
            yield code
    for key in _ARGUMENT_KEYS:
        yield from _codes(given.get(key), depth - 1)


def _parsed(text: str) -> object:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
