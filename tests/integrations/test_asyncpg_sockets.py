"""A transaction of asyncpg waits for a server whose Unix socket is not there yet, as for one that refuses."""

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
