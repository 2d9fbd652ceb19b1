"""The documentation is executed: every Python block of a page, in order, in one namespace per page.

`--slow` runs the tests that are marked slow, too. Without it those of a file that is named run, so that
`pytest tests/test_storm.py` does what it says. `--quick-of PATH` leaves out the tests of other files that are not
marked.

`--wrappers=general` runs everything, the documentation too, with the general form of a guarded function's wrapper.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.typing import Evaluator

from resilience import Pipeline, lint
from resilience._runtime.decorate import guarded
from tests.docs_server import DocsServer, serving

# Hundreds of tests start an interpreter. Without cached bytecode each of them would compile all that it imports.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A busy machine is no reason to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

collect_ignore_glob = [
    "resilience/_pyinstaller/hook-*.py",  # PyInstaller runs it, and nothing imports it
    "tests/wrong_calls.py",  # type checkers read it
    "tests/typing/protected_clients.py",
    # Programs that a test starts in processes of their own.
    "tests/examples/django_recipe.py",
    "tests/integrations/arq_shop.py",
    "tests/integrations/celery_shop.py",
    "tests/integrations/dramatiq_shop.py",
    "tests/integrations/django_bank.py",
]

_FIXTURES = ("request", "docs_server", "_docs_server", "own_events")


class Page(Document):
    """A page whose blocks build on each other, wherever pytest-xdist runs them.

    A worker that is given a block in the middle of a page runs the ones before it first, each once.
    """

    def __init__(self, text: str, path: str) -> None:
        super().__init__(text, path)
        #: The directory of a page that writes a configuration: its files are not those of the checkout.
        self._folder = tempfile.TemporaryDirectory() if "resilience.toml" in text else None
        self._begun: set[int] = set()
        self._own: dict[str, object] = {}

    def evaluate(self, example: Example, evaluator: Evaluator) -> None:
        # Each example comes with the fixtures in its namespace, over the names that the page has given.
        for name in _FIXTURES:
            self.namespace.pop(name, None)
        self.namespace.update(self._own)
        with contextlib.chdir(self._folder.name) if self._folder else contextlib.nullcontext():
            for earlier in self.examples():
                if earlier.start < example.start:
                    self._once(earlier)
            self._once(example)
        self._own = {name: self.namespace[name] for name in _FIXTURES if name in self.namespace}

    def _once(self, example: Example) -> None:
        if example.start not in self._begun and example.region.evaluator is not None:
            self._begun.add(example.start)
            super().evaluate(example, example.region.evaluator)
            self._lint()

    def _lint(self) -> None:
        """Fail where a stack that the page shows breaks a rule; what is called `wrong` shows one that does."""
        for name, value in self.namespace.items():
            if not name.startswith("wrong") and (isinstance(value, Pipeline) or guarded(value) is not None):
                assert lint(value) == (), name


def _in_a_shop(namespace: dict[str, object]) -> None:
    # Events and notes name what was called: the examples stand in a module called shop.
    namespace["__name__"] = "shop"


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/reference/*.md"],
    setup=_in_a_shop,
    fixtures=["docs_server", "own_events"],
    document_types={".md": Page},
).pytest()


@pytest.fixture(scope="session")
def _docs_server() -> Iterator[DocsServer]:
    with serving() as server:
        yield server


@pytest.fixture
def _docs_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have ``REDIS_URL`` lead to a real server; the example is skipped where there is none."""
    from tests.redis_server import Server

    with contextlib.closing(Server()) as server:
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{server.port}/0")
        yield


@pytest.fixture
def docs_server(request: pytest.FixtureRequest, _docs_server: DocsServer) -> Iterator[DocsServer]:
    """Send the requests of an example to a server that answers the first one for each URL of a page with 503."""
    from resilience.testing import no_waits

    page = request.node.path.name
    if "REDIS_URL" in str(request.node.example.parsed):
        request.getfixturevalue("_docs_redis")
    # The README shows what a program is, without the line that would skip the pauses of its retries.
    with _docs_server.page(page), no_waits() if page == "README.md" else contextlib.nullcontext():
        yield _docs_server


@pytest.fixture(autouse=True)
def own_events() -> Iterator[None]:
    """Forget the kinds of events that a test, or an example, has declared."""
    from resilience import _event_type as events

    before = dict(events._declared)
    yield
    events._declared.clear()
    events._declared.update(before)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that are marked slow, too")
    parser.addoption(
        "--quick-of",
        action="append",
        default=[],
        metavar="PATH",
        help="of the tests that are not marked slow, run those of this file or folder only; may be repeated",
    )
    parser.addoption(
        "--wrappers",
        choices=["generated", "general", "replaceable"],
        default="generated",
        help="the form of guarded functions: made for each signature; `*args, **kwargs` for all; or as those whose"
        " policies a configuration may replace",
    )


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # while tests are collected: nothing of them is garbage
    config.addinivalue_line("markers", "slow: runs with --slow, with -m slow, or if its file is named")
    config.addinivalue_line(
        "markers", "generated_wrapper: about what only generated wrappers do; skipped with --wrappers=general"
    )
    config.addinivalue_line("markers", "asyncio: pytest-asyncio's, in an example of docs/pytest.md")
    if config.getoption("wrappers") == "general":  # here, before anything is decorated
        from resilience._runtime import fast_path as wrappers

        wrappers.parameters_of = lambda _: wrappers.ANYTHING
    elif config.getoption("wrappers") == "replaceable":
        from resilience._runtime import decorate

        decorate._WRAPPERS = {flavour: _replaceable(make) for flavour, make in decorate._WRAPPERS.items()}


def _replaceable(make: Callable[..., Callable[..., object]]) -> Callable[..., Callable[..., object]]:
    return lambda target, function, stack, _: make(target, function, stack, True)


def pytest_xdist_auto_num_workers() -> int | None:
    """Three processes for two processors: many tests wait for a process or a socket."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors * 3 // 2


def _all_slow(config: pytest.Config) -> bool:
    return config.option.slow or "slow" in config.option.markexpr


def _named_files(config: pytest.Config) -> set[Path]:
    paths = {(config.invocation_params.dir / argument.partition("::")[0]).resolve() for argument in config.args}
    return {path for path in paths if path.is_file()}


def _files_of_quick_tests(config: pytest.Config) -> list[Path]:
    return [(config.invocation_params.dir / path).resolve() for path in config.option.quick_of]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a file whose tests would all be left out: without the mark, where `--quick-of` names others."""
    quick, path = _files_of_quick_tests(config), collection_path.resolve()
    if not quick or path.suffix not in (".py", ".md") or any(path.is_relative_to(each) for each in quick):
        return None
    return None if "mark.slow" in path.read_text("utf-8") else True


def _left_out(config: pytest.Config) -> Callable[[pytest.Item], bool]:
    """Return what is true of a test that is not run: a slow one of a file that is not named, a quick one elsewhere."""
    named, all_slow, quick = _named_files(config), _all_slow(config), _files_of_quick_tests(config)

    def left_out(item: pytest.Item) -> bool:
        path = item.path.resolve()
        if item.get_closest_marker("slow"):
            return not all_slow and path not in named
        return bool(quick) and not any(path.is_relative_to(each) for each in quick)

    return left_out


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the slow tests of files that are not named, and the quick ones that `--quick-of` does not name."""
    left_out = list(filter(_left_out(config), items))
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        unwanted = set(left_out)
        items[:] = [item for item in items if item not in unwanted]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say that tests are left out: under xdist the number that pytest prints does not count them."""
    if not _all_slow(config) and len(_named_files(config)) < len(config.args):
        terminalreporter.write_line("Tests marked slow were left out, but for those of named files: --slow runs them.")


_frozen_modules = 0


def pytest_collection_finish() -> None:
    """Collect garbage again: tests do, and most of them need little more than what they have imported."""
    gc.enable()
    _freeze_imports()


def _freeze_imports() -> None:
    """Have the garbage collector leave alone what was imported, a million objects: many tests collect."""
    global _frozen_modules
    if len(sys.modules) >= _frozen_modules + 100:
        gc.collect()
        gc.freeze()
        _frozen_modules = len(sys.modules)


def pytest_runtest_setup(item: pytest.Item) -> None:
    _freeze_imports()
    if item.get_closest_marker("generated_wrapper") and item.config.getoption("wrappers") == "general":
        pytest.skip("only generated wrappers do this")
