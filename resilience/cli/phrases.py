"""Phrases of people and of operating systems: the failures that they name, or are near to.

`resilience explain` is given what stands in a log: "connection refused", "too many requests", "rate limit". A phrase
that is the text of an errno or of an HTTP or gRPC status names a failure. Any other phrase is
only answered with what is near it: its words are never taken for a category.
"""

from __future__ import annotations

import builtins
import difflib
import errno
import os
import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus

from resilience.categories import ErrorCategory
from resilience.classification._code_words import CODE_WORDS
from resilience.classification.grpc_status import GRPC_STATUS
from resilience.classification.libraries import known_libraries, library_named
from resilience.errors.codes import registries

__all__ = ["group_named", "near", "notation_of"]

_MOST = 6  # suggestions
_SHORTEST = 3  # letters of a word that is looked for inside of others


def notation_of(phrase: str) -> str | None:
    """Return the failure that *phrase* names, as `explain_text` takes it; None where it names none.

    >>> notation_of("Connection refused"), notation_of("ECONNRESET"), notation_of("too many requests")
    ('errno ECONNREFUSED', 'errno ECONNRESET', 'status 429')
    >>> notation_of("deadline exceeded"), notation_of("out of luck")
    ('grpc DEADLINE_EXCEEDED', None)
    """
    wanted = _plain(phrase)
    for notation, texts in _notations():
        if wanted in map(_plain, texts):
            return notation
    return None


def group_named(phrase: str) -> ErrorCategory | None:
    """Return the group of categories whose label *phrase* is; None where there is none.

    >>> group_named("any timeout") is ErrorCategory.ANY_TIMEOUT, group_named("timeout")
    (True, None)
    """
    wanted = _plain(phrase)
    groups = (category for category in ErrorCategory.__members__.values() if not category.is_leaf)
    return {_plain(group.label): group for group in groups}.get(wanted)


def near(phrase: str) -> list[str]:
    """Return what can be explained and is near *phrase*, each as it can be given to ``resilience explain``.

    First what has all of its words, or the longest of them, in it; then what is spelled like it.

    >>> near("connection")[:3]
    ['ConnectionError', 'ConnectionAbortedError', 'ConnectionRefusedError']
    """
    candidates = {notation: " ".join(map(_plain, (notation, *texts))) for notation, texts in _everything()}
    words = sorted((word for word in _plain(phrase).split() if len(word) >= _SHORTEST), key=len, reverse=True)
    found = [notation for notation, text in candidates.items() if words and all(word in text for word in words)]
    if not found and words:
        found = [notation for notation, text in candidates.items() if words[0] in text]
    spelled = {_plain(notation.rpartition(".")[2]): notation for notation in candidates}
    alike = difflib.get_close_matches(_plain(phrase), spelled, n=_MOST, cutoff=0.7)
    return list(dict.fromkeys([*found[:_MOST], *(spelled[each] for each in alike)]))[:_MOST]


def _plain(text: str) -> str:
    """Return *text* in small letters, words parted by one space: ``rate_limit`` is "rate limit"."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def _everything() -> Iterator[tuple[str, Iterable[str]]]:
    """Yield each failure that can be named, and other texts for it; Python's own first, libraries last."""
    for name, kind in vars(builtins).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, Warning):
            yield name, ()
    for registry in registries().values():
        for code, kind in registry.codes().items():
            yield kind.__name__, (code,)
    for leaf in ErrorCategory:
        yield leaf.label, (str(leaf.name),)
    yield from _notations()
    for word in CODE_WORDS:
        yield word, ()
    for library in sorted(known_libraries()):
        for name in sorted(library_named(library).categories):
            if not name.startswith("_"):
                yield f"{library}.{name}", ()


def _notations() -> Iterator[tuple[str, Iterable[str]]]:
    """Yield errnos and statuses as `explain_text` takes them, with their names and texts."""
    for number, name in errno.errorcode.items():
        yield f"errno {name}", (name, os.strerror(number))
    for status in HTTPStatus:
        if status >= HTTPStatus.BAD_REQUEST:
            yield f"status {status.value}", (status.phrase,)
    for name in GRPC_STATUS:
        yield f"grpc {name}", (name,)
