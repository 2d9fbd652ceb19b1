"""The types of `standard`: what it decorates keeps its type, its options are checked. Never run."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import assert_type

from resilience import Description, Pipeline, describe, standard


def host_of(url: str) -> str:
    return url.split("/")[2]


catalogue = standard("catalogue", deadline=2.5, timeout=None, key=host_of)


@catalogue
def search(query: str, *, page: int = 0) -> tuple[str, ...]:
    return (query,)


@standard("stock")
async def stock(item: str) -> int:
    return 4


@standard("client", only=("get",))
class Client:
    def get(self, path: str) -> bytes:
        return path.encode()


def count() -> int:
    for attempt in catalogue.retrying():
        with attempt:
            assert_type(attempt.number, int)
            return 4
    return 0


async def count_async() -> int:
    async for attempt in catalogue.retrying():
        async with attempt:
            return 4
    return 0


def right() -> None:
    assert_type(search("lamp", page=2), tuple[str, ...])
    assert_type(Client().get("/"), bytes)
    assert_type(catalogue.call(len, "lamp"), int)
    assert_type(describe(catalogue), Description)
    pipeline: Pipeline = catalogue
    coroutine: Awaitable[int] = stock("lamp")
    del pipeline, coroutine


def wrong() -> None:
    standard()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    standard("catalogue", attempts="three")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    standard("catalogue", retries=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    search(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
