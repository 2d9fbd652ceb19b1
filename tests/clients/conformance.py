"""The conformance matrix: one table of situations, the same expectations for every HTTP client.

A `Row` is a situation: what the server does, what is called, and what must come of it. A `Driver` knows how one client
library is called. `observe` takes a row through a driver, against a real server on loopback, and returns an
`Observed`; `differences` compares it with what the row expects.

To add a client, write a `Driver` (`drivers.py`). To add a situation, write a row in `rows.py`. `python -m
benchmarks.clients` makes the table in the documentation from the same rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple

from resilience import classify, report_of
from resilience._runtime.pipeline import Decorator
from resilience.clients import protect
from resilience.events import RetryScheduled, subscribe
from resilience.testing import no_waits
from tests.clients.server import Received, Server, refusing_address, silent_address

__all__ = [
    "BODY",
    "AsyncDriver",
    "Driver",
    "Observed",
    "Reply",
    "Request",
    "Row",
    "Setup",
    "differences",
    "observe",
]

BODY = b"a brass lamp and a desk lamp, " * 50
"""The content of each request that has a body of bytes, of a file or of a generator."""


class Setup(NamedTuple):
    """The options that a client is made with."""

    limit: float = 30.0
    """Its own time limit for connecting, reading and writing, in seconds."""
    pool: int = 10
    """The most connections that it may have."""
    max_redirects: int = 5
    proxy: str | None = None
    http2: bool = False


class Request(NamedTuple):
    """One call of a client."""

    method: str
    url: str
    body: str = "none"
    """One of: none, bytes, form, multipart, file, generator, list."""
    headers: dict[str, str] = {}
    streams: bool = False
    options: object = None
    """The options of the single call."""


class Reply(NamedTuple):
    """The client's response, as its caller has read it."""

    status: int
    body: bytes
    response: object


class Driver:
    """A sync client library, as the matrix calls it. A subclass says how."""

    name: str
    features: frozenset[str] = frozenset()
    """What only some clients can do: cancel, http2, proxy, pool, files."""
    error_root: type[Exception]
    """The root of the library's exceptions."""
    waits: Callable[[], AbstractContextManager[list[float]]] | None = None
    """Of a peer: a block in which its waits are skipped, and noted."""

    def open(self, setup: Setup) -> Any:
        """Return a client, not protected."""
        raise NotImplementedError

    def guard(self, client: Any, policies: Sequence[Decorator]) -> Any:
        """Return the client guarded; a peer does it in its own way, or in `open`."""
        return protect(client, *policies)

    def send(self, client: Any, request: Request) -> Reply:
        """Make one call, and read the body."""
        raise NotImplementedError

    def busy(self, client: Any) -> int | None:
        """Return the connections of its pool that are in use; None where that cannot be seen."""
        return None

    def close(self, client: Any) -> None:
        client.close()


class AsyncDriver(Driver):
    """An async client library: `send` and `close` are async, and what `open` does happens in the event loop."""

    features = frozenset({"cancel"})

    async def send(self, client: Any, request: Request) -> Reply:  # type: ignore[override]
        raise NotImplementedError

    async def close(self, client: Any) -> None:  # type: ignore[override]
        await client.aclose()


Wait = float | tuple[float, float]
Expected = int | str


@dataclasses.dataclass(frozen=True)
class Row:
    """A situation: what the server does, what is called, and what must come of it."""

    name: str
    script: dict[str, list[Any]]
    outcome: Expected
    """The status of the response, or the label of the exception's category."""
    calls: Sequence[str]
    """The requests that the server has read: methods and paths; a method alone is for ``/``."""
    waits: Sequence[Wait] | None = ()
    """Seconds before each retry; a pair is the least and the most. None: it depends on chance whether there is one."""
    reason: str | None = None
    """Why there was no further attempt, by the report."""
    method: str = "GET"
    body: str = "none"
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    streams: bool = False
    options: object = None
    policies: Callable[[str], Sequence[Decorator]] | None = None
    """The policies, made for a name that is unique; None: a retry."""
    setup: Setup = Setup()
    on_connect: Sequence[Any] = ()
    address: str = "server"
    """Where the request goes: server, refusing, silent, proxied."""
    times: int = 1
    """How often the call is made; the last one is judged, and the calls of all are counted."""
    answered: bytes | None = None
    """The body that the caller reads."""
    cancel: str | None = None
    """When the call is cancelled: "retry", when one is scheduled; "request", when one has arrived; "connect"."""
    needs: frozenset[str] = frozenset()
    """The features that a client must have."""
    slow: bool = False
    """Whether it waits for time limits in real time."""
    server: Callable[..., Any] = Server
    """The class of the server."""

    @property
    def is_for_any(self) -> bool:
        """Whether it can be put to a peer: it needs neither our policies nor options of a single call."""
        return self.policies is None and self.options is None

    def expected_calls(self) -> list[str]:
        return [call if " " in call else f"{call} /" for call in self.calls]


class Observed(NamedTuple):
    """The outcome of a row."""

    outcome: Expected
    calls: list[str]
    waits: list[float]
    reason: str | None
    bodies: dict[str, set[str]]
    """For each path the hashes of the bodies that the server has read there."""
    body: bytes | None
    busy: int | None
    """Connections in use when the call had ended."""
    error: Exception | None = None


def observe(driver: Driver, row: Row) -> Observed:
    """Take *row* through *driver*, and return what came of it."""
    with ExitStack() as stack:
        server = stack.enter_context(row.server(row.script, row.on_connect))
        address, setup = _place(row, server, stack)
        request = Request(row.method, f"http://{address}/", row.body, row.headers, row.streams, row.options)
        waits = stack.enter_context(_skipped_waits(driver, row))
        policies = (row.policies or _retry)(f"conformance: {driver.name}: {row.name}")
        if isinstance(driver, AsyncDriver):
            ended = asyncio.run(_call_async(driver, row, server, setup, policies, request, waits))
        else:
            ended = _call(driver, row, setup, policies, request)
        reply, error, busy = ended
        return _observed(server, waits, reply, error, busy)


def _retry(_: str) -> Sequence[Decorator]:
    from resilience import retry_on_category

    return (retry_on_category(attempts=3, base_delay=0.1, max_delay=10, jitter="none"),)


def _place(row: Row, server: Server, stack: ExitStack) -> tuple[str, Setup]:
    """Return the address that the client calls, and how it is made."""
    if row.address == "refusing":
        return stack.enter_context(refusing_address()), row.setup
    if row.address == "silent":
        return stack.enter_context(silent_address()), row.setup
    if row.address == "proxied":
        return "shelf.example", row.setup._replace(proxy=server.url)
    if row.address == "proxied by nothing":
        return "shelf.example", row.setup._replace(proxy=f"http://{stack.enter_context(refusing_address())}")
    return server.address, row.setup


@contextlib.contextmanager
def _skipped_waits(driver: Driver, row: Row) -> Iterator[list[float]]:
    """Skip the waits of the toolkit, or of a peer, and note them. Nothing is skipped where a wait is cancelled."""
    waits: list[float] = []
    if driver.waits is not None:
        with driver.waits() as waits:
            yield waits
        return

    def note(event: object) -> None:
        if isinstance(event, RetryScheduled):
            waits.append(event.wait)

    subscription = subscribe(note)
    try:
        with contextlib.nullcontext() if row.cancel == "retry" else no_waits():
            yield waits
    finally:
        subscription()


_Ended = tuple[Reply | None, Exception | None, int | None]


def _call(driver: Driver, row: Row, setup: Setup, policies: Sequence[Decorator], request: Request) -> _Ended:
    client = driver.guard(driver.open(setup), policies)
    reply = error = None
    try:
        for _ in range(row.times):
            reply = error = None
            try:
                reply = driver.send(client, request)
            except Exception as failure:
                error = failure
        return reply, error, driver.busy(client)
    finally:
        driver.close(client)


async def _call_async(
    driver: AsyncDriver,
    row: Row,
    server: Server,
    setup: Setup,
    policies: Sequence[Decorator],
    request: Request,
    waits: list[float],
) -> _Ended:
    client = driver.guard(driver.open(setup), policies)
    reply = error = None
    try:
        for _ in range(row.times):
            reply = error = None
            try:
                reply = await _or_cancelled(driver.send(client, request), row, server, waits)
            except Exception as failure:
                error = failure
        return reply, error, driver.busy(client)
    finally:
        await driver.close(client)


class Cancelled(Exception):
    """The call was cancelled, as the row wants it."""


async def _or_cancelled(call: Any, row: Row, server: Server, waits: list[float]) -> Reply:
    """Await a call, or cancel it when the row says so."""
    if row.cancel is None:
        return await call
    task = asyncio.ensure_future(call)
    moment: Callable[[], bool] = {
        "retry": lambda: bool(waits),
        "request": server.arrived.is_set,
        "connect": functools.partial(_counted, iter(range(20))),
    }[row.cancel]
    while not moment():
        await asyncio.sleep(0.005)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    raise Cancelled


def _counted(rounds: Iterator[int]) -> bool:
    return next(rounds, None) is None


def _observed(
    server: Server, waits: list[float], reply: Reply | None, error: Exception | None, busy: int | None
) -> Observed:
    reason: str | None = None
    report = report_of(error) if error is not None else None
    outcome: Expected = "nothing"
    if reply is not None:
        outcome = reply.status
        report = report_of(reply.response)  # type: ignore[arg-type]
    elif isinstance(error, Cancelled):
        outcome = "cancelled"
    elif error is not None:
        outcome = classify(error).label
    if report is not None:
        reason = report.reason.value
    requests: list[Received] = list(server.requests)
    bodies: dict[str, set[str]] = {}
    for request in requests:
        bodies.setdefault(f"{request.method} {request.path}", set()).add(request.body)
    calls = [f"{request.method} {request.path}" for request in requests]
    return Observed(outcome, calls, list(waits), reason, bodies, reply and reply.body, busy, error)


def differences(row: Row, seen: Observed, error_root: type[Exception]) -> Iterator[str]:
    """Yield a line for each way in which *seen* differs from what *row* expects."""
    if seen.outcome != row.outcome:
        yield f"outcome {seen.outcome!r} in place of {row.outcome!r}: {seen.error!r}"
    if seen.calls != row.expected_calls():
        yield f"calls {seen.calls} in place of {row.expected_calls()}"
    if row.waits is not None and not _match(seen.waits, row.waits):
        yield f"waits {seen.waits} in place of {list(row.waits)}"
    if row.reason is not None and seen.reason != row.reason:
        yield f"reason {seen.reason} in place of {row.reason}"
    for path, hashes in seen.bodies.items():
        if len(hashes) > 1:
            yield f"{len(hashes)} different bodies were sent to {path}"
    if row.answered is not None and seen.body != row.answered:
        yield f"the caller has read {seen.body!r} in place of {row.answered!r}"
    if seen.busy:
        yield f"{seen.busy} connections are still in use"
    if seen.error is not None and row.outcome != "cancelled" and not isinstance(seen.error, error_root):
        yield f"{type(seen.error).__mro__} is not within {error_root}"


def _match(seen: Sequence[float], expected: Sequence[Wait]) -> bool:
    pairs = [wait if isinstance(wait, tuple) else (wait, wait) for wait in expected]
    if len(seen) != len(pairs):
        return False
    return all(least - 1e-6 <= wait <= most + 1e-6 for wait, (least, most) in zip(seen, pairs, strict=True))


async def agenerate(body: bytes = BODY) -> AsyncIterator[bytes]:
    """Yield *body* in two parts, once."""
    yield body[:20]
    yield body[20:]


def generate(body: bytes = BODY) -> Iterator[bytes]:
    """Yield *body* in two parts, once."""
    yield body[:20]
    yield body[20:]
