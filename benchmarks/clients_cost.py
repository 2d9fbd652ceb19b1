"""The cost of protection for a call that succeeds: ``python -m benchmarks.clients_cost``.

A client that is protected and one that is not send requests in turn to a server in a process of its own, on loopback.
For each stack it prints the processor time that protection adds, and its share of the time that a request takes. Of
each sample the fastest twentieth is compared: what is slower has been interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx

from resilience import circuit_breaker, deadline, retry_on_category, timeout
from resilience.clients import by_host, protect

if TYPE_CHECKING:
    from resilience._runtime.pipeline import Decorator

__all__ = ["main"]

_REQUESTS = 2_000
_WARM_UP = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or with ``serve`` be the server of it."""
    if (sys.argv[1:] if arguments is None else arguments) == ["serve"]:
        return _serve()
    print(f"{'stack':24} {'request':>10} {'sync':>16} {'async':>16}")
    with _server() as url:
        for name, policies in _stacks().items():
            plain, added = _measure(url, policies("sync"))
            plain_async, added_async = asyncio.run(_measure_async(url, policies("async")))
            shown = f"{_share(added, plain):>16} {_share(added_async, plain_async):>16}"
            print(f"{name:24} {plain * 1e6:7.0f} us {shown}", flush=True)
    return 0


def _stacks() -> Mapping[str, Callable[[str], Sequence[Decorator]]]:
    return {
        "retry": lambda _: (retry_on_category(),),
        "retry > circuit": lambda kind: (retry_on_category(), circuit_breaker(f"cost: {kind}")),
        "retry > circuit by host": lambda kind: (
            retry_on_category(),
            circuit_breaker(f"cost by host: {kind}", key=by_host),
        ),
        "deadline > retry": lambda _: (deadline(10), retry_on_category()),
        "timeout": lambda _: (timeout(3),),
        "the standard stack": lambda _: (),
    }


def _share(added: float, plain: float) -> str:
    return f"{added * 1e6:5.0f} us {added / plain:6.1%}"


def _measure(url: str, policies: Sequence[Decorator]) -> tuple[float, float]:
    """Return the seconds of a request, and those that protection adds."""
    spent: dict[bool, list[float]] = {False: [], True: []}
    took: list[float] = []
    with httpx.Client() as plain, protect(httpx.Client(), *policies) as protected:
        for number in range(_REQUESTS):
            for client in (plain, protected):
                began, at = time.thread_time(), time.perf_counter()
                client.get(url)
                if number >= _WARM_UP:
                    spent[client is protected].append(time.thread_time() - began)
                    took.append(time.perf_counter() - at)
    return _fast(took), _fast(spent[True]) - _fast(spent[False])


async def _measure_async(url: str, policies: Sequence[Decorator]) -> tuple[float, float]:
    """Do what `_measure` does, with async clients."""
    spent: dict[bool, list[float]] = {False: [], True: []}
    took: list[float] = []
    async with httpx.AsyncClient() as plain, protect(httpx.AsyncClient(), *policies) as protected:
        for number in range(_REQUESTS):
            for client in (plain, protected):
                began, at = time.thread_time(), time.perf_counter()
                answered: Awaitable[object] = client.get(url)
                await answered
                if number >= _WARM_UP:
                    spent[client is protected].append(time.thread_time() - began)
                    took.append(time.perf_counter() - at)
    return _fast(took), _fast(spent[True]) - _fast(spent[False])


def _fast(sample: Sequence[float]) -> float:
    return sorted(sample)[len(sample) // 20]


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
