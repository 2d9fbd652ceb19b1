"""Names, values and lists of them as parts of a sentence; near matches of a misspelt name.

The diagnosers put all names and values into their sentences by these functions, which bound and quote them the same
way. A near match is proposed as a correction only where it is clearly nearer than every other name.

`near_matches` finds candidates for "Did you mean"; `clear_match` decides whether one of them is sure enough to be
written into a line. Work is bounded: at most `_MAX_NAMES` names of `_LONGEST_NAME` characters are compared.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from resilience.errors._json_safe import Json

__all__ = [
    "clear_among",
    "clear_match",
    "format_value",
    "join_words",
    "near_matches",
    "phrase",
    "plural",
    "single_line",
    "with_article",
]

_MAX_NAMES = 1000
_LONGEST_NAME = 60
_NEAR = 0.7
_MISTAKEN = re.compile(r"-?\d|(None|True|False)$")
"""Texts that would look like what is no text."""
_COMPARED = 4
_SHORTEST_PART = 4
_CLEAR = 0.72
_AHEAD = 0.06
"""How much nearer than the next one a name must be to be the one that was meant."""


def near_matches(word: str, names: Iterable[str], limit: int = 3) -> list[str]:
    """Return those of *names* that *word* may have been meant for, the nearest first.

    A name that the word begins or ends comes before one that is written much the same: where a module has `heappush`,
    `push` is a part of it and not misspelt.

    >>> near_matches("lenght", ["length", "width", "Lenght"]), near_matches("push", ["heappush", "heappop", "pus"])
    (['Lenght', 'length'], ['heappush', 'pus'])
    """
    if not word or len(word) > _LONGEST_NAME:
        return []
    given = _bounded(names, word)
    same = [name for name in given if _plain(name) == _plain(word)]
    if len(word) < 3:
        return same[:limit]
    near = difflib.get_close_matches(word, given, n=2 * limit, cutoff=_NEAR)
    if not word.startswith("_"):
        near = [name for name in near if not name.startswith("_")]
    longer = [name for name in given if _is_part_of(word, name)]
    longer.sort(key=lambda name: (name not in near, "_" not in name.replace(word, ""), len(name)))
    return list(dict.fromkeys([*same, *longer, *near, *_of_one_stem(word, given)]))[:limit]


def clear_match(word: str, names: Iterable[str]) -> str | None:
    """Return the one of *names* that *word* was meant for, None where there is doubt.

    >>> clear_match("pritn", ["print", "sprint"]), clear_match("dat", ["data", "date"]), clear_match("Total", ["total"])
    ('print', None, 'total')
    """
    return clear_among(word, near_matches(word, names, _COMPARED))


def _differs_in_digits(word: str, name: str) -> bool:
    """Whether two names have other numbers in them and are the same else: ``col1`` is no misspelt ``col2``."""
    numbers, given = (re.findall(r"\d", each) for each in (word, name))
    same_letters = re.sub(r"\d", "", word) == re.sub(r"\d", "", name)
    return same_letters and bool(numbers and given) and sorted(numbers) != sorted(given)


def clear_among(word: str, near: list[str]) -> str | None:
    """Do what `clear_match` does with what `near_matches` has found.

    The nearest name must be near by itself, `_CLEAR`, and ahead of the next one by `_AHEAD`; both are ratios of
    `difflib.SequenceMatcher`, from 0 to 1. Names that differ in their digits are never taken for each other.
    """
    if not near:
        return None
    best, *others = near
    if _differs_in_digits(word, best):
        return None
    if _plain(best) == _plain(word):
        return best if all(_plain(other) != _plain(word) for other in others) else None
    ratio = _ratio(word, best)
    ahead = all(ratio - _ratio(word, other) >= _AHEAD for other in others)
    return best if ratio >= _CLEAR and ahead else None


def join_words(words: Iterable[str], limit: int = 6, last: str = "and") -> str:
    """Return words as a list in a sentence.

    >>> join_words(["a", "b", "c"]), join_words(["a", "b"], last="or"), join_words("abcdefgh", 3)
    ('a, b and c', 'a or b', 'a, b, c and 5 more')
    """
    given = list(words)
    if len(given) > limit:
        return f"{', '.join(given[:limit])} and {len(given) - limit} more"
    return f" {last} ".join(filter(None, [", ".join(given[:-1]), *given[-1:]]))


def format_value(value: Json, limit: int = 60) -> str:
    """Return a captured value on one line, cut where it is long.

    >>> format_value("text"), format_value("3"), format_value(3)
    ('text', "'3'", '3')
    """
    if not isinstance(value, str) or _MISTAKEN.match(value):
        value = repr(value)
    return single_line(value, limit)


def single_line(text: str, limit: int = 100) -> str:
    r"""Return *text* on one line of at most *limit* characters.

    >>> single_line("total = sum(\n    prices)", 40), single_line("abcdefghij", 6)
    ('total = sum( prices)', 'abc...')
    """
    words = " ".join(text[: 4 * limit].split())
    if len(words) <= limit:
        return words
    return words[: limit - 3] + "..."


def phrase(template: str, value: object) -> str:
    """Return *template* with *value* in its place; nothing where there is no value.

    >>> phrase(" on line {}", 3), phrase(" on line {}", None), phrase(": {}", "")
    (' on line 3', '', '')
    """
    return "" if value in (None, "") else template.format(value)


def plural(number: int, one: str, many: str) -> str:
    """Return the form of a word that goes with a number."""
    return one if number == 1 else many


def with_article(noun: str) -> str:
    """Return a noun with its article.

    >>> with_article("int"), with_article("str"), with_article("f-string")
    ('an int', 'a str', 'an f-string')
    """
    if noun.lower().startswith(("a", "e", "i", "o", "f-")):
        return f"an {noun}"
    return f"a {noun}"


def _bounded(names: Iterable[str], word: str) -> list[str]:
    """Return the names that may be compared, each once, without *word* itself and without those that are too long."""
    found: dict[str, None] = {}
    for name in names:
        if name and name != word and len(name) <= _LONGEST_NAME:
            found[name] = None
            if len(found) >= _MAX_NAMES:
                break
    return list(found)


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _of_one_stem(word: str, names: list[str]) -> list[str]:
    """Return the one name that begins as a word does and ends otherwise: ``retries`` for ``retry``."""
    stem = word[: len(word) - 2] if len(word) > _SHORTEST_PART else word
    found = [name for name in names if name.startswith(stem) and abs(len(name) - len(word)) <= len("ies")]
    return found if len(found) == 1 else []


def _is_part_of(word: str, name: str) -> bool:
    """Whether a name begins or ends with a word, without regard to case and underscores; false of short words."""
    short, long = _plain(word), _plain(name)
    return len(short) >= _SHORTEST_PART and not name.startswith("_") and long.startswith(short) | long.endswith(short)


def _ratio(one: str, other: str) -> float:
    """Return how much alike two names are, from 0 to 1."""
    return difflib.SequenceMatcher(None, other, one).ratio()
