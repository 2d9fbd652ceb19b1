"""`resilience call`: one real request through retry, circuit and time limit, told attempt by attempt."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING

from resilience._listeners import subscribe
from resilience.categories import ErrorCategory, Recovery
from resilience.classification import Explanation, explain
from resilience.cli.address import checked_headers, checked_method, checked_url, shown_url
from resilience.cli.advice import ADVICE
from resilience.cli.call_trace import Account, happened
from resilience.cli.output import ExitCode, need, print_json, run
from resilience.clock import current_clock

if TYPE_CHECKING:
    import httpx

__all__ = ["run_call"]

# RFC 9110, 9.2.2: what may be sent twice without harm.
_IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}


@dataclasses.dataclass(frozen=True)
class _Request:
    url: str
    method: str
    headers: list[tuple[str, str]]
    attempts: int
    limit: float


@dataclasses.dataclass(frozen=True)
class _Reply:
    status: int
    reason: str
    size: int


def run_call(arguments: argparse.Namespace) -> int:
    """Make the request and tell what happened; the exit code says whether it worked."""
    need("httpx", *(["trio"] if arguments.backend == "trio" else []))
    method = checked_method(arguments.method)
    attempts = arguments.attempts or (3 if method in _IDEMPOTENT else 1)
    headers = checked_headers(arguments.header)
    request = _Request(checked_url(arguments.url), method, headers, attempts, arguments.timeout)
    account = Account(tell=_silent if arguments.json else _say)
    shown = shown_url(request.url)
    if not arguments.json:
        _say(f"{method} {shown} ({'' if attempts == 1 else 'at most '}{_attempts(attempts)}, {request.limit:g} s each)")
    reply: _Reply | None = None
    failure: Exception | None = None
    with subscribe(account.heard):
        try:
            reply = run(_call, request, account, backend=arguments.backend)
        except Exception as error:
            failure = error
    elapsed = current_clock().now() - account.began
    document: dict[str, object] = {"url": shown, "method": method, "ok": failure is None}
    if reply is not None:
        account.answered(reply.status, reply.reason)
        document |= {"status": reply.status, "bytes": reply.size}
    code = ExitCode.OK if failure is None else ExitCode.FAILED
    document |= {"elapsed": round(elapsed, 4), "circuit": account.circuit, "attempts": account.attempts}
    document |= {"error": None if failure is None else _told(failure), "exit_code": int(code)}
    if failure is not None:
        _complain(shown, failure, len(account.attempts))
    if arguments.json:
        print_json(document)
    elif reply is not None:
        _say(f"{reply.status} {reply.reason}, {reply.size} bytes, {_attempts(len(account.attempts))}, {elapsed:.2f} s")
    return code


async def _call(request: _Request, account: Account) -> _Reply:
    import httpx

    from resilience import __version__, circuit_breaker, retry_on_category, timeout

    # httpx limits each step by itself; `timeout` covers the whole attempt, from the name's look-up to the last byte.
    agent = {"User-Agent": f"resilience/{__version__}"}
    async with httpx.AsyncClient(timeout=request.limit, headers=agent) as client:

        @retry_on_category(ErrorCategory.TRANSIENT, attempts=request.attempts)
        @circuit_breaker(shown_host(request.url), failure_threshold=5, reset_timeout=30)
        @timeout(request.limit)
        async def send() -> _Reply:
            async with client.stream(request.method, request.url, headers=request.headers) as response:
                if response.is_error:  # raise_for_status would refuse redirects too
                    response.raise_for_status()
                async for _ in response.aiter_raw():
                    pass  # counted, not kept: it may be large
                return _reply(response)

        account.began = current_clock().now()  # libraries are loaded by now, and are no part of the call
        return await send()


def _reply(response: httpx.Response) -> _Reply:
    return _Reply(response.status_code, response.reason_phrase, response.num_bytes_downloaded)


def shown_host(url: str) -> str:
    """Return the host and port of *url*: the circuit's name."""
    return shown_url(url).split("/")[2].partition("?")[0]


def _told(failure: Exception) -> dict[str, object]:
    found = explain(failure)
    return {
        "what": happened(failure),
        "category": found.category.label,
        "rule": found.rule,
        "reason": found.reason,
        "recovery": found.recovery.value,
        "advice": _advice(found),
    }


def _complain(shown: str, failure: Exception, tried: int) -> None:
    found = explain(failure)
    sys.stdout.flush()  # the attempts first, where both streams are one terminal
    sys.stderr.write(
        f"resilience call: {shown} failed after {_attempts(max(1, tried))}:"
        f" {happened(failure)} [{found.category.label}]; {found.recovery.value}: {_advice(found)}\n"
    )


def _advice(found: Explanation) -> str:
    if found.category is ErrorCategory.NETWORK and found.recovery is Recovery.RETRY:
        return "check that the host is right and that something listens there, then try again"
    return ADVICE[found.recovery]


def _attempts(number: int) -> str:
    return "1 attempt" if number == 1 else f"{number} attempts"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _silent(line: str) -> None:
    pass
