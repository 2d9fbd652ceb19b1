"""The check of the words finds what stands in docstrings, comments, messages, names and pages, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import words

PYTHON = '''"""Who is let in."""

_MOST_WAITS = 3  # nobody waits longer


class Room:
    """A state machine, told once."""

    def untold(self, spokesman):
        """What the method says is no riddle."""
        return f"somebody else's {self} came to nothing, and everybody in {spokesman} left"
'''


def found(tmp_path: Path, name: str, text: str) -> list[tuple[int, str, str]]:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return sorted((find.line, find.kind, find.word) for find in words.finds(words.Words.read(), path))


def test_a_word_is_found_where_it_stands_in_a_module(tmp_path: Path):
    assert found(tmp_path, "rooms.py", PYTHON) == [
        (1, "names", "rooms"),
        (1, "phrases", "is let in"),
        (1, "riddles", "Who"),
        (3, "names", "_MOST_WAITS"),
        (3, "people", "nobody"),
        (7, "phrases", "told once"),
        (9, "names", "spokesman"),
        (9, "names", "untold"),
        (11, "people", "everybody"),
    ]


def test_a_word_is_found_where_it_stands_on_a_page(tmp_path: Path):
    page = "# Retry\n\nThe listener is told.\nNobody waits; `whoever()` is found too, `tame` and x.theirs are names.\n"
    assert found(tmp_path, "retry.md", page) == [
        (3, "phrases", "is told"),
        (4, "people", "Nobody"),
        (4, "people", "whoever"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "The breaker admits every call and records its outcome.",
        "Somebody else's service has failed.",
        "The remainder comes to mind; the retry gives up; floor division.",
        "The caller told the server nothing.",
    ],
)
def test_plain_english_and_terms_of_the_field_are_left_alone(tmp_path: Path, text: str):
    assert found(tmp_path, "page.md", text) == []


def test_a_find_says_what_to_write_instead(tmp_path: Path):
    path = tmp_path / "page.md"
    path.write_text("The other side answers.\n", "utf-8")
    (find,) = words.finds(words.Words.read(), path)
    assert str(find) == "page.md:1: phrases: 'The other side'; write: the server, the peer"


def test_a_folder_may_have_what_it_is_allowed_and_an_unknown_one_nothing():
    found = {"docs": 3, "resilience": 2, "website": 1}
    assert words.exceeded(found, {"docs": 3, "resilience": 1}) == ["resilience", "website"]


def test_tightening_lowers_what_is_allowed_and_never_raises_it():
    assert words.tightened({"docs": 5, "tests": 1}, {"docs": 3, "tests": 2, "resilience": 4}) == {"docs": 3, "tests": 1}


def test_the_words_of_pages_are_those_of_wc_without_what_is_looked_up(tmp_path: Path):
    (tmp_path / "retry.md").write_text("# Retry\n\n| `a` | b |\n")
    (tmp_path / "pipeline.md").write_text("one two\n")
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "lint.md").write_text("rules\n" * 99)
    assert words.words_of_pages(tmp_path) == 9


def test_pages_with_too_many_words_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(words, "MAX_WORDS_OF_PAGES", 100)
    monkeypatch.setattr(words, "_files", lambda: iter(()))
    assert words.main(["--check"]) == 1
    assert re.search(r"docs/\*\.md have \d+ words, at most 100: say less", capsys.readouterr().err)
