"""Type checkers see the class of a protected client."""

from typing import assert_type

import httpx

from resilience import deadline
from resilience.clients import by_host, inspect_client, protect, protection_of
from resilience.clients.inspection import Inspection

assert_type(protect(httpx.Client()), httpx.Client)
assert_type(protect(httpx.AsyncClient(), deadline(5)), httpx.AsyncClient)
assert_type(inspect_client(httpx.Client()), Inspection)
protection = protection_of(httpx.Client())
assert protection is None
key = by_host
