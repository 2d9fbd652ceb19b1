"""The candidates: this project and its peers, and how each guards a function."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import pkgutil
from dataclasses import dataclass, field
from types import ModuleType

from benchmarks import peers
from benchmarks.terms import Unsupported, Wrap, require_python

__all__ = ["CAPABILITIES", "OURS", "Candidate", "candidates", "load"]

#: The functions that a candidate's file may define. Each but the last two guards a function, sync or async.
CAPABILITIES = (
    "retry",
    "breaker",
    "fallback",
    "fallback_breaker",
    "stack",
    "limit",
    "full",
    "bulkhead",
    "adaptive_limit",
    "rate_limit",
    "circuit",
    "keyed",
)
OURS = "resilience"


@dataclass(frozen=True)
class Candidate:
    """One library, or two composed, as its file in `benchmarks.peers` sets it up."""

    name: str
    #: The module with its setup.
    path: str
    module: ModuleType | None = None
    #: Why its file could not be loaded.
    problem: str = ""
    #: Why this interpreter does not have it.
    unsupported: str = ""
    lacks: dict[str, str] = field(default_factory=dict)

    def guard(self, capability: str, shape: str = "sync") -> Wrap:
        """Return the function that guards a function; raise `Unsupported` if the library has no such thing."""
        if self.unsupported:
            raise Unsupported(self.unsupported)
        if self.module is None:
            raise RuntimeError(self.problem)
        wrap: Wrap | None = getattr(self.module, capability, None)
        if wrap is None:
            raise Unsupported(self.lacks.get(capability, f"has no {_in_words(capability)}"))
        if shape == "class" and not getattr(self.module, "CLASSES", False):
            raise Unsupported("does not decorate whole classes")
        return wrap

    @property
    def versions(self) -> dict[str, str]:
        """Return the installed version of each distribution it is made of."""
        distributions: tuple[str, ...] = getattr(self.module, "DISTRIBUTIONS", ())
        return {name: _version(name) for name in distributions}

    @property
    def imports(self) -> dict[str, str]:
        """Return the import statements to measure, by the name of their row."""
        statements: dict[str, str] = getattr(self.module, "IMPORTS", {})
        return statements


def _in_words(capability: str) -> str:
    return capability.replace("fallback_", "fallback over ").replace("_", " ")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:  # imported from the current directory
        return "not installed"


@functools.cache
def candidates() -> tuple[Candidate, ...]:
    """Return this project first, then every file of `benchmarks.peers`, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(peers.__path__))
    return (load("benchmarks.ours"), *(load(f"{peers.__name__}.{name}") for name in names))


def load(path: str) -> Candidate:
    """Return the candidate that the module *path* sets up, or one with the reason why it could not be loaded."""
    name = path.rpartition(".")[2]
    try:
        require_python(name)
        module = importlib.import_module(path)
    except Unsupported as reason:
        return Candidate(name, path, unsupported=str(reason))
    except Exception as error:  # a peer that is not installed, or has changed: the others are still measured
        return Candidate(name, path, problem=f"{type(error).__name__}: {error}")
    return Candidate(module.NAME, path, module, lacks=getattr(module, "LACKS", {}))
