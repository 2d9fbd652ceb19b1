"""`send_deadline`: the header of a request by which the server knows how much time its client has left."""

from __future__ import annotations

from typing import Any

from resilience._deadline_context import remaining
from resilience._deadline_header import DeadlineHeader, TimeFormat
from resilience._outcome import Outcome
from resilience._runtime.protocol import Call
from resilience._runtime.worst_case import WorstCase
from resilience.clients.exchange import BaseExchange
from resilience.policies.base import Policy, Steps

__all__ = ["SendDeadline", "send_deadline"]


class SendDeadline(Policy):
    """Send what is left of the time with each attempt of a protected client, in the header *header*.

    Give it to `protect` among the policies; wherever it stands there it is the innermost. It sends the seconds until
    the earliest deadline or time limit around the attempt, and nothing where there is none. The server's side is
    `DeadlineMiddleware`, or a proxy such as Envoy. gRPC sends the deadline by itself.

    Raises TypeError or ValueError for invalid options, as `DeadlineHeader` does.

    >>> import httpx
    >>> from resilience import deadline
    >>> from resilience.clients import protect
    >>> shop = httpx.MockTransport(lambda request: httpx.Response(200, text=request.headers["x-time-left-ms"]))
    >>> client = protect(httpx.Client(transport=shop), deadline(5), send_deadline("x-time-left-ms"))
    >>> 4000 < int(client.get("http://shop.example").text) <= 5000
    True
    """

    supports_generators = False

    def __init__(
        self,
        header: str | DeadlineHeader,
        format: TimeFormat | None = None,  # noqa: A002 - its name everywhere
    ) -> None:
        if not isinstance(header, DeadlineHeader):
            header = DeadlineHeader(header, format)
        self.header: DeadlineHeader = header

    def send(self, exchange: BaseExchange[Any]) -> None:
        """Have *exchange* send what is left of the time, in an attempt that begins now."""
        left = remaining()
        if left is not None:
            exchange.set_header(self.header.name, self.header.encode(left))

    def run(self, call: Call) -> Steps:
        """Fail: `protect` has each attempt `send` it, and no other call has headers."""
        yield from ()
        return Outcome.failed(TypeError(f"{self} is for protect(client, ...): {call.target} sends no headers"))

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside*: a header changes nothing."""
        return inside

    def __str__(self) -> str:
        return f"send_deadline({self.header.name!r})"


send_deadline = SendDeadline
"""The policy, as policies are named."""
