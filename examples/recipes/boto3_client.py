"""boto3: its own retries off, so that attempts, waits and the budget are those of the stack."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config  # type: ignore[import-untyped]

from resilience import standard

storage = standard("storage of boto3", timeout=None)  # botocore keeps the limits, in the caller's thread


def open_client(endpoint_url: str | None = None) -> Any:
    """Open a client that makes each call once."""
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=3)
    return boto3.client("s3", region_name="eu-central-1", endpoint_url=endpoint_url, config=once)


@storage
def bucket_names(client: Any) -> list[str]:
    """Return the names of the buckets."""
    return [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
