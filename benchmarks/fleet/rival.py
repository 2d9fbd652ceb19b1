"""One process that guards its calls by a library of others, whose circuit is shared through Redis.

It imports nothing of this project: it runs in an environment that has the library alone, by `uv run --isolated`. Each
library is set up as its documentation has it, with the same threshold and open time.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THRESHOLD, RESET = 2, 1.0


def interlock(url: str) -> Callable[[Callable[[], None]], object]:
    import redis
    from interlock import CircuitBreaker, Config
    from interlock.integrations.redis import RedisStorage

    config = Config(
        failure_rate_threshold=1.0,
        minimum_number_of_calls=THRESHOLD,
        window_size=THRESHOLD,
        wait_duration_in_open=RESET,
        permitted_calls_in_half_open=1,
    )
    breaker: Any = CircuitBreaker(name="payments", config=config, storage=RedisStorage(redis.Redis.from_url(url)))
    return lambda function: breaker.call(function)


def nopanic(url: str) -> Callable[[Callable[[], None]], object]:
    import redis

    library: Any = importlib.import_module("nopanic_redis")
    # It knows rates of a time, over all processes: all calls of a second have failed.
    breaker = library.redis_circuit_breaker(
        redis.Redis.from_url(url),
        name="payments",
        failure_threshold=1.0,
        min_calls=THRESHOLD,
        window=1.0,
        reset_timeout=RESET,
    )
    return lambda function: breaker(function)()


def pybreaker(url: str) -> Callable[[Callable[[], None]], object]:
    import pybreaker as library
    import redis

    storage = library.CircuitRedisStorage(library.STATE_CLOSED, redis.Redis.from_url(url), namespace="payments")
    breaker: Any = library.CircuitBreaker(fail_max=THRESHOLD, reset_timeout=RESET, state_storage=storage)
    return lambda function: breaker.call(function)


def grelmicro(url: str) -> Callable[[Callable[[], None]], object]:
    from grelmicro.providers.redis import RedisProvider
    from grelmicro.resilience import CircuitBreaker
    from grelmicro.resilience.circuitbreaker.redis import RedisCircuitBreakerAdapter

    loop = asyncio.new_event_loop()
    provider: Any = RedisProvider(url)
    adapter: Any = RedisCircuitBreakerAdapter(provider=provider)
    loop.run_until_complete(provider.__aenter__())
    loop.run_until_complete(adapter.__aenter__())
    breaker: Any = CircuitBreaker.consecutive_count(
        "payments",
        error_threshold=THRESHOLD,
        success_threshold=1,
        reset_timeout=RESET,
        half_open_capacity=1,
        log_level="CRITICAL",
        backend=adapter,
    )

    async def guarded(function: Callable[[], None]) -> None:
        async with breaker:
            function()  # the one call of this process: nothing else runs on its loop

    return lambda function: loop.run_until_complete(guarded(function))


def ours(url: str) -> Callable[[Callable[[], None]], object]:
    from resilience import circuit_breaker
    from resilience.fleet import Fleet

    breaker: Any = circuit_breaker(
        "payments",
        fleet=Fleet(url, name="rivals"),
        failure_threshold=THRESHOLD,
        reset_timeout=RESET,
        probe_timeout=1.0,
    )
    return lambda function: breaker.call(function)


RIVALS: dict[str, Callable[[str], Callable[[Callable[[], None]], object]]] = {
    "resilience": ours,
    "interlock-cb": interlock,
    "nopanic-redis": nopanic,
    "pybreaker": pybreaker,
    "grelmicro": grelmicro,
}


def main() -> None:
    name, url, port, path = sys.argv[1:]
    guarded = RIVALS[name](url)
    reached = 0

    def call() -> None:
        nonlocal reached
        reached += 1
        with socket.create_connection(("127.0.0.1", int(port))) as connection:
            connection.sendall(f"{os.getpid()} probe inf 0 0\n".encode())
            if connection.recv(16) != b"ok":
                raise ConnectionResetError

    ends = time.monotonic() + 300
    with Path(path).open("w", buffering=1) as file:
        while time.monotonic() < ends:
            before, began, answer = reached, time.monotonic(), "ok"
            try:
                guarded(call)
            except ConnectionResetError:
                answer = "bad"
            except Exception as error:
                # Neither the dependency's failure nor a plain rejection: the store's trouble has reached the caller.
                answer = type(error).__name__
            file.write(f"{began} {time.monotonic() - began} {int(reached > before)} {answer}\n")
            time.sleep(0.05)


if __name__ == "__main__":
    main()
