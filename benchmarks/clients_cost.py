"""The cost of protection for a call that succeeds: ``python -m benchmarks.clients_cost``.

Clients that are protected and one that is not send requests in turn to a server in a process of its own, on loopback.
For each stack it prints the processor time that protection adds, and its share of the time that a request takes. Of
each sample the fastest twentieth is compared: what is slower has been interrupted. ``--median`` compares the medians,
which mean something on an idle machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import httpx
import requests
import urllib3

from resilience import circuit_breaker, deadline, retry_on_category, timeout
from resilience.clients import by_host, protect

if TYPE_CHECKING:
    from resilience._runtime.pipeline import Decorator

__all__ = ["main"]

_ROUNDS = 1_000
_WARM_UP = 50


class _Library(NamedTuple):
    """The functions that make a client of a library, and ask it for a URL; the answer of an async one is awaited."""

    make: Callable[[], Any]
    get: Callable[[Any, str], Any]
    is_async: bool = False


class _Cost(NamedTuple):
    """The seconds that a request takes, and those of the processor that each stack adds."""

    request: float
    added: Mapping[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of the libraries that are named, or of all; with ``serve`` be the server of it."""
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["serve"]:
        return _serve()
    pick = statistics.median if "--median" in given else _fast
    names = [name for name in given if name != "--median"]
    costs: dict[str, _Cost] = {}
    with _server() as url:
        for name in names or _LIBRARIES:
            costs[name] = asyncio.run(_measure(url, name, pick))
            print(f"{name}: measured", file=sys.stderr, flush=True)
    print(f"{'':24}", *(f"{name:>15}" for name in costs))
    print(f"{'a request':24}", *(f"{cost.request * 1e6:12.0f} us" for cost in costs.values()))
    for stack in _STACKS:
        print(f"{stack:24}", *(_share(cost.added[stack], cost.request) for cost in costs.values()))
    return 0


_STACKS: Mapping[str, Callable[[str], Sequence[Decorator]]] = {
    "retry": lambda _: (retry_on_category(),),
    "retry > circuit": lambda name: (retry_on_category(), circuit_breaker(f"cost: {name}")),
    "retry > circuit by host": lambda name: (
        retry_on_category(),
        circuit_breaker(f"cost by host: {name}", key=by_host),
    ),
    "deadline > retry": lambda _: (deadline(10), retry_on_category()),
    "timeout": lambda _: (timeout(3),),
    "the standard stack": lambda _: (),
}


async def _read(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as response:
        await response.read()


_LIBRARIES: Mapping[str, _Library] = {
    "httpx": _Library(httpx.Client, lambda client, url: client.get(url)),
    "requests": _Library(requests.Session, lambda session, url: session.get(url)),
    "urllib3": _Library(urllib3.PoolManager, lambda pools, url: pools.request("GET", url)),
    "httpx async": _Library(httpx.AsyncClient, lambda client, url: client.get(url), is_async=True),
    "aiohttp": _Library(aiohttp.ClientSession, _read, is_async=True),
}


def _share(added: float, request: float) -> str:
    return f"{added * 1e6:5.0f} us {added / request:6.1%}"


async def _measure(url: str, name: str, pick: Callable[[Sequence[float]], float]) -> _Cost:
    """Have an unprotected client, and one for each stack, ask for *url* in turn."""
    library = _LIBRARIES[name]
    clients = {stack: protect(library.make(), *policies(name)) for stack, policies in _STACKS.items()}
    plain = library.make()
    spent: dict[str, list[float]] = {stack: [] for stack in clients}
    spent_plain: dict[str, list[float]] = {stack: [] for stack in clients}
    took: list[float] = []
    for number in range(_ROUNDS):
        for stack, client in clients.items():
            request, processor = await _timed(library, plain, url)
            _, guarded = await _timed(library, client, url)
            if number >= _WARM_UP:
                took.append(request)
                spent_plain[stack].append(processor)
                spent[stack].append(guarded)
    for client in (plain, *clients.values()):
        await _close(client)
    return _Cost(pick(took), {stack: pick(spent[stack]) - pick(spent_plain[stack]) for stack in clients})


def _fast(sample: Sequence[float]) -> float:
    return sorted(sample)[len(sample) // 20]


async def _timed(library: _Library, client: Any, url: str) -> tuple[float, float]:
    """Return the seconds of a request, and those of the processor in this thread."""
    began, at = time.thread_time(), time.perf_counter()
    answer = library.get(client, url)
    if library.is_async:
        await answer
    return time.perf_counter() - at, time.thread_time() - began


async def _close(client: Any) -> None:
    for name in ("aclose", "close", "clear"):
        close: Callable[[], Awaitable[object] | None] | None = getattr(client, name, None)
        if close is not None:
            closing = close()
            if closing is not None:
                await closing
            return


def _serve() -> int:
    """Answer requests by uvicorn, as a service does, until the input ends; print the address."""
    uvicorn: Any = importlib.import_module("uvicorn")

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"lamp"})

    async def run() -> None:
        server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error", lifespan="off"))
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        print(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving

    asyncio.run(run())
    return 0


@contextlib.contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.clients_cost", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        yield child.stdout.readline().strip()
        child.stdin.close()


if __name__ == "__main__":
    sys.exit(main())
