"""Alternatives to a word that a library refused: what its own tables have that is written much the same.

It runs in the worker process of an execution as well, and is imported once there is a failure. It reads the variables
of the library's innermost calls without running any code: dicts, lists and sets of texts, and the names that classes
have. A colour that matplotlib does not know is compared with the colours that matplotlib knows.

A proposal is an entry of one such table, never an invented word, and only where it is similar to the refused one. At
most 150 tables of 3000 words are compared, so that a failure within a large library is reported without delay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from resilience.report._frames import Call, line_of, locals_of
from resilience.report._path_redaction import is_library
from resilience.report._static_introspection import class_of, exception_slot, instance_attributes, mro_of

if TYPE_CHECKING:
    from resilience.report.captured_exception import Json

__all__ = ["alternative_hints"]

_CALLS = 6
_MAX_CONTAINERS = 150
_MAX_WORDS = 3000
_MAX_STATEMENT = 20
_CUTOFF = 0.75
_SHORTEST = 3
_LONGEST = 60
_MAX_NEAR = 4


def alternative_hints(exc: BaseException, calls: Sequence[Call], own: Call) -> dict[str, Json]:
    """Return the ``refused`` word of the program's line that the message quotes, and its ``alternatives``.

    *own* is the program's call in *calls*. Empty where the program itself raised: its own words are not the library's.
    """
    args = exception_slot(exc, BaseException, "args")
    message = args[0] if args and type(args[0]) is str else ""
    if not message or not is_library(calls[-1].frame.f_code.co_filename):
        return {}
    words, keywords = _words(own)
    for word in words:
        if word in message and _is_refused(word, message):
            others = keywords - {word} | _parameters(calls[-_CALLS:])
            near = _near(word, list(_containers(calls[-_CALLS:], own, with_classes=word in keywords)), others)
            if near:
                return {"refused": word, "alternatives": [*near]}
    return {}


def _is_refused(word: str, message: str) -> bool:
    """Whether a message is about a word: it quotes it, or ends with it, as in ``Unknown solver nelder``."""
    return re.search(rf"['\"`]{re.escape(word)}['\"`]|(?<![\w.]){re.escape(word)}[.!]?$", message) is not None


def _words(own: Call) -> tuple[list[str], set[str]]:
    """Return the texts and the keywords of the failing statement, the longest first; and the keywords alone.

    Texts of less than three characters are similar to too much, and those of more than 60 are no names.
    """
    import ast

    text, tree = "", None
    for line in range(own.line, own.line + _MAX_STATEMENT):
        text += line_of(own, line)
        try:
            tree = ast.parse(text.strip() if not text.rstrip().endswith(":") else f"{text.strip()} pass")
            break
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    found: set[str] = set()
    keywords: set[str] = set()
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Constant) and type(node.value) is str:
            found.add(node.value)
        elif isinstance(node, ast.keyword) and node.arg:
            keywords.add(node.arg)
    words = {each for each in found | keywords if _SHORTEST <= len(each) <= _LONGEST}
    return sorted(words, key=len, reverse=True), keywords


def _parameters(calls: Sequence[Call]) -> set[str]:
    """Return the names of the parameters of *calls*: a table that has two of them holds arguments (see `_near`)."""
    codes = [call.frame.f_code for call in calls]
    return {name for code in codes for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]}


def _near(word: str, containers: Iterable[Iterable[Any]], keywords: set[str]) -> list[str]:
    """Return the words of the first container that has one near enough.

    One that has keywords of the call or parameters holds arguments, and no values that one of them may have.

    A word that begins with the refused one counts as near where it is the only one of its kind: ``nelder`` and
    ``nelder-mead``.
    """
    import difflib

    for container in islice(containers, _MAX_CONTAINERS):
        words = [each for each in islice(container, _MAX_WORDS) if type(each) is str and 1 < len(each) <= _LONGEST]
        if word in words or len(keywords.intersection(words)) > 1:
            continue
        begin = [
            each
            for each in words
            if each.lower().startswith(word.lower()) and each[len(word) : len(word) + 1] in "-_ ."
        ]
        near = [*(begin if len(begin) == 1 else ()), *difflib.get_close_matches(word, words, _MAX_NEAR, _CUTOFF)]
        if near:
            return list(dict.fromkeys(near))
    return []


def _containers(calls: Sequence[Call], own: Call, *, with_classes: bool) -> Iterator[Iterable[Any]]:
    """Yield what the library's calls hold: the variables of each, then those of the modules of the innermost ones.

    The names of classes count for a keyword alone, which may be meant for one of their attributes.
    """
    inner: list[Call] = []
    for call in reversed(calls):
        if call is own:
            break
        inner.append(call)
    for call in inner:
        for name, value in list(locals_of(call.frame).items()):
            yield from _words_of(value, with_classes=with_classes)
            if name == "self" and with_classes:
                yield _public_names(class_of(value))
    for call in inner[:2]:
        for name, value in list(call.frame.f_globals.items()):
            if not name.startswith("__"):
                yield from _words_of(value, with_classes=False)


def _words_of(value: Any, *, with_classes: bool) -> Iterator[Iterable[Any]]:
    """Yield the tables that a value is or holds: keys of dicts, elements of lists and sets, names of a class.

    Of an object the dicts among its attributes are taken. Subclasses of list may iterate by code of their own, so they
    are left out.
    """
    kind = class_of(value)
    plain: Any = dict
    if issubclass(kind, dict):
        yield islice(plain.keys(value), _MAX_WORDS)
    elif kind in (list, tuple, set, frozenset):
        yield islice(value, _MAX_WORDS)
    elif with_classes and issubclass(kind, type):
        yield _public_names(value)
    elif not issubclass(kind, type):
        yield from (
            islice(plain.keys(each), _MAX_WORDS)
            for name, each in list(instance_attributes(value).items())
            if not name.startswith("__") and issubclass(class_of(each), dict)
        )


def _public_names(kind: Any) -> list[str]:
    """Return the public attributes and annotated fields of a class and its bases."""
    names = {name for each in mro_of(kind) for name in type.__getattribute__(each, "__dict__")}
    names |= {
        name for each in mro_of(kind) for name in type.__getattribute__(each, "__dict__").get("__annotations__", ())
    }
    return sorted(name for name in names if type(name) is str and not name.startswith("_"))
