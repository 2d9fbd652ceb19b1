"""The tables against the real libraries: nothing they raise is missing, and nothing in a table is gone."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import warnings
from collections.abc import Iterator
from types import ModuleType

import pytest

from resilience.categories import ErrorCategory
from resilience.classification import classify
from resilience.classification.libraries import known_libraries, library_named
from resilience.classification.library import UNKNOWN_LIBRARY

pytestmark = pytest.mark.slow  # imports every client library and goes through its exceptions

# Importing these starts something, needs another system, or is a test suite.
_NOT_IMPORTED = (
    "__main__", ".test", "._test", ".testing", "_testbase", "conftest", "windows", "win32", "idlelib", "kqueue",
)  # fmt: skip

# Rows whose class the installed version of the library does not have.
_OF_OTHER_VERSIONS = {
    "asyncio.QueueShutDown": "Python 3.13 and later",
    "asyncio.CycleFoundException": "Python 3.14 and later",
    **{
        f"concurrent.{name}": "Python 3.14 and later"
        for name in (
            "ExecutionFailed InterpreterError InterpreterNotFoundError ItemInterpreterDestroyed NotShareableError "
            "QueueEmpty QueueError QueueFull QueueNotFoundError"
        ).split()
    },
    **{
        f"django.{name}": "Django 6.0 and later"
        for name in "ObjectNotUpdated InvalidTask TaskException TaskResultDoesNotExist TaskResultMismatch".split()
    },
    "ssl._GiveupOnSSLSendfile": "Python 3.15 and later",
    "queue.Empty": "of the accelerator, _queue",
    "queue.ShutDown": "Python 3.13 and later",
    "multiprocessing.ReentrantCallError": "Python 3.11.4 and later",
    "pydantic_core.MissingDefinitionError": "private to the compiled part",
    "httpx2.QueueShutDown": "httpx2 brings its own where Python has none",
}


def _modules(top: str) -> Iterator[ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = importlib.import_module(top)
        yield package
        for found in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{top}.", onerror=lambda name: None):
            if any(part in found.name for part in _NOT_IMPORTED):
                continue
            try:
                yield importlib.import_module(found.name)
            except Exception:  # wants something that is not installed
                continue


@functools.lru_cache(maxsize=1)
def _types(top: str) -> dict[str, type]:
    """Every class of a library that stands in one of its modules, or in a class there, by qualified name."""
    found: dict[str, type] = {}
    for module in list(_modules(top)):
        waiting = list(vars(module).values())
        while waiting:
            kind = waiting.pop()
            if not issubclass(type(kind), type) or str(kind.__module__).partition(".")[0] != top:
                continue
            if found.setdefault(kind.__qualname__, kind) is kind:
                inside = [one for one in vars(kind).values() if issubclass(type(one), type)]
                waiting += [one for one in inside if one.__qualname__.startswith(f"{kind.__qualname__}.")]
    return found


def _classes(top: str) -> dict[str, type]:
    return {name: kind for name, kind in _types(top).items() if issubclass(kind, Exception)}


# What has to be installed for a library to have all its classes.
_NEEDED = {"anthropic": "mcp", "google": "google.api_core", "httpx2": "wsproto"}


def _covered(top: str, kind: type) -> bool:
    """Whether a row speaks for the class: its own, or one of a base class that says more than UNKNOWN."""
    rows = library_named(top).categories
    if kind.__qualname__ in rows:
        return True
    bases = [base for base in kind.__mro__ if str(base.__module__).partition(".")[0] == top]
    return any(rows.get(base.__qualname__, ErrorCategory.UNKNOWN) is not ErrorCategory.UNKNOWN for base in bases)


@pytest.fixture(scope="module", params=known_libraries())
def library(request: pytest.FixtureRequest) -> str:
    """Each library. Tests of one follow each other, so that its modules are gone through once."""
    return request.param


def test_every_exception_of_the_library_is_in_its_table(library: str) -> None:
    pytest.importorskip(library)
    missing = sorted(
        f"{kind.__module__}.{name}"
        for name, kind in _classes(library).items()
        if not issubclass(kind, Warning) and not _covered(library, kind)
    )
    assert not missing, f"no row of resilience/classification/clients/{library}.py covers {', '.join(missing)}"


def test_every_row_of_the_table_is_an_exception_of_the_library(library: str) -> None:
    pytest.importorskip(_NEEDED.get(library, library))
    there = _types(library)
    gone = [
        f"{library}.{name}"
        for name in library_named(library).categories
        if name not in there and f"{library}.{name}" not in _OF_OTHER_VERSIONS
    ]
    assert not gone, f"no longer there: {', '.join(gone)}"


def test_every_row_answers_for_a_bare_exception_without_failing(library: str) -> None:
    for name, row in library_named(library).categories.items():
        kind = type(name.rpartition(".")[2], (Exception,), {"__module__": library, "__qualname__": name})
        category = classify(kind())
        assert category.is_leaf
        if isinstance(row, ErrorCategory):
            assert category is row


def test_a_library_that_has_no_table_is_unknown() -> None:
    assert library_named("no_such_library") is UNKNOWN_LIBRARY
    assert library_named("../httpx") is UNKNOWN_LIBRARY
    assert library_named("_smtp") is UNKNOWN_LIBRARY
    assert library_named("") is UNKNOWN_LIBRARY


def test_the_tables_are_named_after_the_libraries() -> None:
    assert {"httpx", "httpx2", "requests", "redis", "grpc", "botocore", "openai", "anthropic"} <= set(known_libraries())
