"""Client libraries, guarded in one line: ``client = protect(httpx.AsyncClient())``.

`protect` returns the genuine client, whose calls go through the policies. Each library has an adapter in the module of
its name, which is imported when a client of it is protected, and not before:

* ``adapter``: the contract, `Adapter`, and how one is found;
* ``exchange``: one call, as policies see it, and its attempts;
* ``guards``: what takes it through the policies;
* ``bodies``: which bodies can be sent again;
* ``call_options``: what the caller says of a single call.
"""

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience.clients._error_tree import ErrorTree
    from resilience.clients._protect import OnUnsupported, protect
    from resilience.clients._protection import Protection, protection_of
    from resilience.clients.adapter import Adapter, Finding, register_adapter
    from resilience.clients.call_options import CallOptions, request_options
    from resilience.clients.deadlines import SendDeadline, send_deadline
    from resilience.clients.exchange import AsyncExchange, ErrorResponse, Exchange, by_host, current_attempt
    from resilience.clients.inspection import Inspection, inspect_client

__all__ = [
    "Adapter",
    "AsyncExchange",
    "CallOptions",
    "ErrorResponse",
    "ErrorTree",
    "Exchange",
    "Finding",
    "Inspection",
    "OnUnsupported",
    "Protection",
    "SendDeadline",
    "by_host",
    "current_attempt",
    "inspect_client",
    "protect",
    "protection_of",
    "register_adapter",
    "request_options",
    "send_deadline",
]

attach_lazy(
    __name__,
    {
        "Adapter": "adapter",
        "AsyncExchange": "exchange",
        "CallOptions": "call_options",
        "ErrorResponse": "exchange",
        "ErrorTree": "_error_tree",
        "Exchange": "exchange",
        "Finding": "adapter",
        "Inspection": "inspection",
        "OnUnsupported": "_protect",
        "Protection": "_protection",
        "SendDeadline": "deadlines",
        "by_host": "exchange",
        "current_attempt": "exchange",
        "inspect_client": "inspection",
        "protect": "_protect",
        "protection_of": "_protection",
        "register_adapter": "adapter",
        "request_options": "call_options",
        "send_deadline": "deadlines",
    },
    ("adapter", "bodies", "call_options", "deadlines", "exchange", "guards", "inspection"),
)
