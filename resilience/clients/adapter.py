"""The contract between `protect` and a client library: one `Adapter` for each library.

An adapter knows where its client makes a call, puts the guard there, and builds the exchange of each call. Those of the
package are modules named like the library; others are found by the entry point group ``resilience.clients``, where an
entry point is named like the top-level module of the library and resolves to an `Adapter`:

    [project.entry-points."resilience.clients"]
    acme = "acme_resilience:ADAPTER"
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import importlib
import importlib.util
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, cast

from resilience._standard import Standard
from resilience._validation import require
from resilience.clients._error_tree import ErrorTree
from resilience.clients._protection import Protection
from resilience.clients.exchange import by_host
from resilience.clients.guards import AsyncGuard, Guard

__all__ = [
    "GROUP",
    "Adapter",
    "ErrorTree",
    "Finding",
    "FindingKind",
    "adapter_for",
    "register_adapter",
    "why_no_adapter",
]

C = TypeVar("C")

GROUP: Final = "resilience.clients"
"""The entry point group of adapters."""

FindingKind: TypeAlias = Literal["retries", "time_limit", "pool", "protection"]

_MODULES: Final = {
    "aiohttp": "aiohttp",
    "anthropic": "openai",
    "boto3": "botocore",
    "botocore": "botocore",
    "elasticsearch": "elasticsearch",
    "elasticsearch_serverless": "elasticsearch",
    "groq": "openai",
    "grpc": "grpc",
    "httpx": "httpx",
    "httpx2": "httpx2",
    "openai": "openai",
    "redis": "redis",
    "requests": "requests",
    "urllib3": "urllib3",
}
"""By the top-level module of a client's class: the module of this package that has its adapter."""

_IN_TRANSACTION: Final = {
    "asyncpg": "asyncpg",
    "django": "django",
    "psycopg": "psycopg",
    "psycopg2": "sqlalchemy",
    "psycopg_pool": "psycopg",
    "sqlalchemy": "sqlalchemy",
}
"""By the top-level module of what makes transactions: the module of `resilience.integrations` that retries them."""

_BY_STRUCTURE: Final = ("openai",)
"""Modules whose adapter knows clients of any module by their structure, such as generated ones."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One finding of `inspect_client`: its *kind*, a sentence, and the factor by which it multiplies the *calls*."""

    kind: FindingKind
    text: str
    calls: int = 1
    problem: bool = False
    """Whether a program should do something about it. `resilience doctor` fails then."""
    warning: bool = False
    """Whether it is a problem where the calls do nothing about it, which the client does not show.

    A session of requests has no time limit, but each of its calls may have one. `resilience doctor --strict` fails
    then.
    """

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class Adapter(abc.ABC, Generic[C]):
    """All that `protect` and `inspect_client` know of a client library. One object serves all its clients."""

    @abc.abstractmethod
    def covers(self, client: object) -> bool:
        """Return whether *client* is one that this adapter can protect."""

    @abc.abstractmethod
    def is_async(self, client: C) -> bool:
        """Return whether calls of *client* are awaited."""

    @abc.abstractmethod
    def errors(self, client: C) -> ErrorTree:
        """Return the classes of the client's exception tree that errors of policies become instances of."""

    def target(self, client: C) -> str:
        """Return the name of what is called, for errors and events: the top-level module, a dot, and the rest."""
        kind = type(client)
        return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"

    def dependency(self, client: C) -> str:
        """Return the name of the standard stack, where the caller gives no policies: the host, if there is one."""
        return type(client).__module__.partition(".")[0]

    def repeats_posts(self, client: C) -> bool:
        """Return whether the client by itself repeats a POST: a retry that says nothing of it then does so, too."""
        return False

    def sends_headers(self, client: C) -> bool:
        """Return whether exchanges have `set_header`, by which `send_deadline` tells the server what is left."""
        return False

    def standard(self, client: C, name: str) -> Standard:
        """Return the stack, called *name*, of a client for which the caller gives no policies."""
        return Standard(name, key=by_host)

    @abc.abstractmethod
    def install(self, client: C, guard: Guard | AsyncGuard, protection: Protection) -> C:
        """Put *guard* around the calls of *client*, and return the client, or a copy of the same class.

        The adapter switches the client's own retries off, and says so by `Protection.note`.
        """

    def inspect(self, client: C) -> list[Finding]:
        """Return what the client does by itself: its retries, missing time limits, the size of its pool."""
        return []


_registered: Final[dict[str, Adapter[Any]]] = {}


def register_adapter(module: str, adapter: Adapter[Any]) -> None:
    """Use *adapter* for clients whose class is defined in the top-level *module*, before any other.

    For a program's own client. A distribution that others install has an entry point in place of this.

    Raises TypeError for what is not an `Adapter`, and ValueError for a module with a dot.
    """
    require(isinstance(adapter, Adapter), "adapter", adapter, "an Adapter", TypeError)
    require(module.isidentifier(), "module", module, "the top-level module of the client's class, such as 'acme'")
    _registered[module] = adapter


def adapter_for(client: object) -> Adapter[Any] | None:
    """Return the adapter for *client*, by the modules of its class and their bases; None where there is none."""
    names = dict.fromkeys(base.__module__.partition(".")[0] for base in type(client).__mro__)
    for name in names:
        adapter = _adapter_named(name)
        if adapter is not None and adapter.covers(client):
            return adapter
    for module in _BY_STRUCTURE:
        adapter = _of_package(module)
        if adapter is not None and adapter.covers(client):
            return adapter
    return None


def why_no_adapter(client: object) -> str:
    """Return why there is no adapter for *client*, and what guards its calls instead."""
    module = type(client).__module__
    integration = _IN_TRANSACTION.get(module.partition(".")[0])
    if integration is None:
        return f"no adapter for {module}; write one, or guard functions"
    return (
        "a statement that failed is lost with its transaction: retry the transaction, by in_transaction of"
        f" resilience.integrations.{integration}"
    )


def _adapter_named(name: str) -> Adapter[Any] | None:
    """Return the adapter for the top-level module *name*.

    One that the program has registered comes before those of this package, and these before entry points.
    """
    if name in _registered:
        return _registered[name]
    if name in _MODULES:
        return _of_package(_MODULES[name])
    point = _entry_points().get(name)
    if point is None:
        return None
    adapter: object = point.load()
    require(isinstance(adapter, Adapter), point.value, adapter, "an Adapter", TypeError)
    return cast("Adapter[Any]", adapter)


@functools.cache
def _of_package(module: str) -> Adapter[Any] | None:
    """Return the adapter of a module of this package; None where the module, or its library, is not installed."""
    if importlib.util.find_spec(f"{__package__}.{module}") is None:
        return None
    try:
        adapter: Adapter[Any] = importlib.import_module(f"{__package__}.{module}").ADAPTER
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("resilience"):
            raise  # a module of ours that is not there is no library that is not installed
        return None
    return adapter


@functools.cache
def _entry_points() -> dict[str, Any]:
    """Return the adapters of other distributions by the module they are for, looked up once."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}
