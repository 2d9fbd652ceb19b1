"""`docs/reference/libraries.md` says what the tables say; files of each library with a table are named to freezers."""

from __future__ import annotations

import inspect
import modulefinder
from pathlib import Path

from resilience.classification import clients
from resilience.classification.libraries import known_libraries, library_named
from tests.classification.libraries_page import PAGE, page


def test_the_page_is_made_from_the_tables() -> None:
    assert PAGE.read_text() == page(), "run: uv run python -m tests.classification.libraries_page"


def test_at_least_sixty_libraries_have_tables() -> None:
    assert len(known_libraries()) >= 60
    assert sum(len(library_named(name).categories) for name in known_libraries()) >= 1000


def test_a_tool_that_freezes_applications_finds_every_table() -> None:
    finder = modulefinder.ModuleFinder()
    code = compile(Path(inspect.getfile(clients)).read_text(), "clients", "exec")
    waiting, named = [code], set()
    while waiting:
        block = waiting.pop()
        waiting += [constant for constant in block.co_consts if inspect.iscode(constant)]
        for kind, found in finder.scan_opcodes(block):
            if kind == "absolute_import" and found[1] == "resilience.classification.clients":
                named |= set(found[0])
    assert named == set(known_libraries())
