"""The documentation is executed: every Python block of a page, in order, in one namespace per page."""

from __future__ import annotations

from sybil import Document, Example, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.typing import Evaluator


class Page(Document):
    """A page whose blocks build on each other, wherever pytest-xdist runs them.

    A worker that is given a block in the middle of a page runs the ones before it first, each once.
    """

    def __init__(self, text: str, path: str) -> None:
        super().__init__(text, path)
        self._begun: set[int] = set()

    def evaluate(self, example: Example, evaluator: Evaluator) -> None:
        for earlier in self.examples():
            if earlier.start < example.start:
                self._once(earlier)
        self._once(example)

    def _once(self, example: Example) -> None:
        if example.start not in self._begun and example.region.evaluator is not None:
            self._begun.add(example.start)
            super().evaluate(example, example.region.evaluator)


def _in_a_shop(namespace: dict[str, object]) -> None:
    # Events and notes name what was called: the examples stand in a module called shop.
    namespace["__name__"] = "shop"


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md"],
    setup=_in_a_shop,
    document_types={".md": Page},
).pytest()
