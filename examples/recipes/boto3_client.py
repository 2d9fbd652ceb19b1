"""boto3: a protected client, whose attempts, waits and budget are those of the stack."""

from __future__ import annotations

from typing import Any

import boto3

from resilience.clients import protect


def open_client(endpoint_url: str | None = None) -> Any:
    """Open a client. Its own retries are switched off."""
    make: Any = boto3.client  # which has no types
    return protect(make("s3", region_name="eu-central-1", endpoint_url=endpoint_url))


def bucket_names(client: Any) -> list[str]:
    """Return the names of the buckets."""
    return [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
