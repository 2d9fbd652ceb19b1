"""Kafka, by aiokafka: a message is committed when it has been handled, or set aside; an outage is waited for."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import aiokafka  # type: ignore[import-untyped]
import httpx

from resilience import Backoff, retry_on_category
from resilience.integrations.retry_hooks import countdown_for

OUTAGE = Backoff(base_delay=float(os.environ.get("BASE_DELAY", "10")), max_delay=60)  # below max_poll_interval_ms


@retry_on_category(attempts=2, max_delay=1)  # here: a lost packet, over in a second
async def charge(client: httpx.AsyncClient, order: str) -> None:
    """Charge the card for an order. The key makes a second request harmless: a message may come twice."""
    response = await client.post("/orders", json={"order": order}, headers={"Idempotency-Key": order})
    response.raise_for_status()


async def handle(client: httpx.AsyncClient, failed: Any, message: Any) -> None:
    """Return when the message has been handled. One that will never succeed goes to another topic, with the reason."""
    retries = 0
    while True:
        try:
            await charge(client, message.value.decode())
            return
        except Exception as error:
            countdown = countdown_for(error, retries, backoff=OUTAGE)
            if countdown is None:
                await failed.send_and_wait("orders.failed", message.value, headers=[("error", repr(error).encode())])
                return
        retries += 1
        await asyncio.sleep(countdown)  # the messages behind it wait as well: they would fail, too


async def main() -> None:
    """Consume the orders until the program ends."""
    servers = os.environ.get("KAFKA", "kafka:9092")
    consumer = aiokafka.AIOKafkaConsumer(
        "orders",
        bootstrap_servers=servers,
        group_id="payments",
        auto_offset_reset="earliest",
        enable_auto_commit=False,  # which would commit what is being handled: lost with its consumer
    )
    failed = aiokafka.AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True)
    async with (
        consumer,
        failed,
        httpx.AsyncClient(base_url=os.environ.get("PAYMENTS", "http://payments:8000")) as client,
    ):
        async for message in consumer:
            await handle(client, failed, message)
            await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main())
