"""Transactions of asyncpg whose server is not there yet, or is lost as a connection is given back to its pool."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from resilience import ErrorCategory, report_of
from resilience.integrations.asyncpg import in_transaction


def test_a_transaction_is_tried_again_while_the_socket_of_its_server_is_missing(tmp_path: Path):
    asyncpg = pytest.importorskip("asyncpg")

    async def main() -> FileNotFoundError:
        async with asyncpg.create_pool(host=str(tmp_path), user="x", database="x", min_size=0) as pool:

            @in_transaction(pool, attempts=3, base_delay=0.001)
            async def work(connection: Any) -> None: ...

            with pytest.raises(FileNotFoundError) as caught:
                await work()
        return caught.value

    report = report_of(asyncio.run(main()))
    assert report is not None
    assert [attempt.category for attempt in report.attempts] == [ErrorCategory.NETWORK] * 3


def test_a_connection_that_cannot_be_given_back_neither_hides_a_failure_nor_undoes_a_success():
    class Lost:
        """A pool whose connections are lost as they are given back."""

        began = 0

        async def acquire(self) -> Lost:
            self.began += 1
            return self

        async def release(self, connection: object) -> None:
            raise ConnectionResetError("lost")

        def transaction(self, isolation: str | None) -> Lost:
            return self

        async def start(self) -> None: ...

        async def commit(self) -> None: ...

        async def rollback(self) -> None: ...

    pool, wrong = Lost(), KeyError("wrong")

    @in_transaction(pool, attempts=3, base_delay=0)
    async def work(connection: Any, fails: bool) -> str:
        if fails:
            raise wrong
        return "made"

    assert asyncio.run(work(False)) == "made"
    assert pool.began == 1
    with pytest.raises(KeyError) as caught:
        asyncio.run(work(True))
    assert caught.value is wrong
