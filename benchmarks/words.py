"""The words of the text: ``python -m benchmarks.words [--list] [--check] [--tighten]``.

Looks for the words in `words.toml` in the docstrings, comments, messages and names of `resilience/`, `tests/` and
`benchmarks/`, and in the pages. Prints for each folder how many it found, and the figures that go with them:

* **people**: people as subjects, such as "nobody".
* **phrases**: expressions that are not the field's.
* **riddles**: docstrings of modules and classes that begin with "What", "Who", "Whether" and the like.
* **names**: of modules, classes, functions, variables and parameters.
* **docstrings**: docstring lines per 100 code lines, as `benchmarks.house` counts them.

``--list`` prints each find with its line and what to write instead. ``--check`` compares each folder with
`words_allowed.json` and ends with 1 where there are more; a folder that the file does not name may have none.
``--tighten`` lowers the numbers of that file to what is found, and never raises one. ``--check`` also fails where the
pages that are read, `docs/*.md`, have more than `MAX_WORDS_OF_PAGES` words together, code and tables included.
"""

from __future__ import annotations

import argparse
import ast
import collections
import io
import json
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.house import ROOT, measure

__all__ = ["ALLOWED", "Find", "Words", "exceeded", "finds", "main", "tightened", "words_of_pages"]

LIST = Path(__file__).with_name("words.toml")
ALLOWED = Path(__file__).with_name("words_allowed.json")
MAX_WORDS_OF_PAGES = 24_000
KINDS = ("people", "phrases", "riddles", "names")
#: Files that are about these words, or are made to look like another's.
_LEFT_OUT = re.compile(r"benchmarks/words\.|tests/benchmarks/test_words|tests/execution/hostile/|tests/public_api\.txt")
_NAMED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Find(NamedTuple):
    """One word, where it stands, and what to write instead."""

    path: str
    line: int
    kind: str
    word: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}: {self.word!r}; write: {self.instead}"


class Words:
    """The patterns of `words.toml`, compiled: one for each kind, whose groups are the rows."""

    def __init__(self, rows: Mapping[str, Mapping[str, str]]) -> None:
        self._fine = re.compile("|".join(rows["fine"]), re.IGNORECASE)
        self._instead = {kind: list(rows[kind].values()) for kind in KINDS}
        self._patterns = {
            "people": _alternatives(rows["people"], r"\b(?:{})\b", re.IGNORECASE),
            "phrases": _alternatives(rows["phrases"], r"(?<![\w`.])(?:{})(?![\w`(])", re.IGNORECASE),
            "riddles": _alternatives(rows["riddles"], r"\A(?:{})\b"),
            "names": _alternatives(rows["names"], r"\A(?:{})\Z"),
        }

    @classmethod
    def read(cls) -> Words:
        """Read the list."""
        return cls(tomllib.loads(LIST.read_text("utf-8")))

    def search(self, kind: str, text: str) -> Iterator[tuple[int, str, str]]:
        """Yield for each find in *text* how many lines it is below the first, the word, and what to write instead."""
        blanked = self._fine.sub(lambda match: "\0" * len(match[0]), text)
        for match in self._patterns[kind].finditer(blanked):
            instead = self._instead[kind][(match.lastindex or 1) - 1]
            yield blanked.count("\n", 0, match.start()), match[0], instead


def _alternatives(rows: Iterable[str], around: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(around.replace("{}", "|".join(f"({row})" for row in rows)), flags)


# -- what is read -----------------------------------------------------------------------------------------------------


def finds(words: Words, path: Path) -> Iterator[Find]:
    """Search one file, Python or Markdown."""
    text = path.read_text("utf-8")
    shown = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    for line, kind, part in _parts_of_python(path.stem, text) if path.suffix == ".py" else _parts_of_page(text):
        for below, word, instead in words.search(kind, part):
            yield Find(shown, line + below, kind, word, instead)


def _parts_of_page(text: str) -> Iterator[tuple[int, str, str]]:
    yield 1, "people", text
    yield 1, "phrases", text


def _parts_of_python(module: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the kind of words to look for, and the text, of each string, comment, docstring and name."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], "people", token.string
            yield token.start[0], "phrases", token.string
    yield 1, "names", module
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, "people", node.value
            yield node.lineno, "phrases", node.value
        if isinstance(node, ast.Module | ast.ClassDef):
            yield getattr(node, "lineno", 1), "riddles", ast.get_docstring(node) or ""
        yield from ((getattr(node, "lineno", 1), "names", name) for name in _names(node))


def _names(node: ast.AST) -> Iterator[str]:
    """The names that *node* defines."""
    if isinstance(node, _NAMED):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.attr


def _files() -> Iterator[Path]:
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for folder in ("resilience", "tests", "benchmarks", "examples", "website"):
        found += (ROOT / folder).rglob("*.py")
    for path in sorted(found):
        if path.name != "CHANGELOG.md" and not _LEFT_OUT.search(path.relative_to(ROOT).as_posix()):
            yield path


def _folder(path: str) -> str:
    """The folder that a file counts for: in `resilience/` the package, elsewhere the first one."""
    parts = path.split("/")[:-1]
    return "/".join(parts[: 2 if parts[:1] == ["resilience"] else 1]) or "."


# -- allowance, output ------------------------------------------------------------------------------------------------


def exceeded(found: Mapping[str, int], allowed: Mapping[str, int]) -> list[str]:
    """Return the folders that have more finds than they may."""
    return [folder for folder in sorted(found) if found[folder] > allowed.get(folder, 0)]


def tightened(found: Mapping[str, int], allowed: Mapping[str, int]) -> dict[str, int]:
    """Return *allowed* with each number lowered to what was found, without those that have become 0."""
    lower = {folder: min(number, found.get(folder, 0)) for folder, number in allowed.items()}
    return {folder: number for folder, number in sorted(lower.items()) if number}


def words_of_pages(docs: Path) -> int:
    """Count the words of the pages in *docs*, as ``wc -w`` does, without those of its folders, which are looked up."""
    return sum(len(page.read_text("utf-8").split()) for page in docs.glob("*.md"))


def _table(all_finds: Sequence[Find], allowed: Mapping[str, int]) -> Iterator[str]:
    counts = collections.Counter((_folder(find.path), find.kind) for find in all_finds)
    yield f"{'':32}" + "".join(f"{heading:>11}" for heading in (*KINDS, "all", "allowed", "docstrings"))
    for folder in sorted({_folder(path.relative_to(ROOT).as_posix()) for path in _files()}):
        numbers = [counts[folder, kind] for kind in KINDS]
        code = sorted((ROOT / folder).glob("*.py" if folder in (".", "resilience") else "**/*.py"))
        documented = measure(folder, [(path.stem, path) for path in code if not _LEFT_OUT.search(str(path))])
        cells = (*numbers, sum(numbers), allowed.get(folder, 0), f"{documented.docstring_lines:.1f}")
        yield f"{folder:32}" + "".join(f"{cell:>11}" for cell in cells)
    yield f"{'all':32}" + "".join(f"{sum(counts[of] for of in counts if of[1] == kind):>11}" for kind in KINDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Search and print. Return 1 where `--check` finds more than a folder may have."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.words", description="The words of the text that are not the field's."
    )
    parser.add_argument("--list", action="store_true", help="each find, and what to write instead")
    parser.add_argument("--check", action="store_true", help="1 where a folder has more than words_allowed.json says")
    parser.add_argument("--tighten", action="store_true", help="lower words_allowed.json to what is found")
    options = parser.parse_args(arguments)
    words = Words.read()
    files = list(_files())
    all_finds = [find for path in files for find in finds(words, path)]
    found = collections.Counter(_folder(find.path) for find in all_finds)
    allowed: dict[str, int] = json.loads(ALLOWED.read_text("utf-8"))
    if options.tighten:
        allowed = tightened(found, allowed)
        ALLOWED.write_text(json.dumps(allowed, indent=2) + "\n", "utf-8")
    over = exceeded(found, allowed) if options.check else []
    for find in all_finds:
        if options.list or _folder(find.path) in over:
            print(find)
    pages = words_of_pages(ROOT / "docs")
    if options.check and pages > MAX_WORDS_OF_PAGES:
        print(
            f"over: docs/*.md have {pages} words, at most {MAX_WORDS_OF_PAGES}: say less, or put what is looked up into"
            " docs/reference/ and docstrings",
            file=sys.stderr,
        )
        return 1
    if options.check and not over:
        print(f"{len(files)} files: no folder has more than it may; the pages have {pages} words")
        return 0
    for line in _table(all_finds, allowed):
        print(line)
    for folder in over:
        print(f"over: {folder}: {found[folder]}, at most {allowed.get(folder, 0)}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
