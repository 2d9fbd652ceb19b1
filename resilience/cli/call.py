"""`resilience call`: one real request through retry, circuit breaker and time limit, shown attempt by attempt.

Retry, breaker and timeout are the public decorators. Redirects are not followed, and the body is counted, not kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING

from resilience._listeners import subscribe
from resilience.categories import ErrorCategory, Recovery
from resilience.classification import Explanation, explain
from resilience.cli.address import parse_headers, parse_method, parse_url, redacted_url
from resilience.cli.advice import ADVICE
from resilience.cli.call_trace import CallTrace, describe_error
from resilience.cli.output import ExitCode, counted, libraries_of, print_json, require_libraries, run_async
from resilience.clock import current_clock

if TYPE_CHECKING:
    import httpx

__all__ = ["run_call"]

# RFC 9110, 9.2.2: methods that may be sent twice without harm.
_ATTEMPTS = dict.fromkeys(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"], 3)


@dataclasses.dataclass(frozen=True)
class _Request:
    """The request, from the arguments of the command; *limit* is the seconds for each attempt."""

    url: str
    method: str
    headers: list[tuple[str, str]]
    attempts: int
    limit: float


@dataclasses.dataclass(frozen=True)
class _Reply:
    """The successful response: its status line, and the size of its body in bytes."""

    status: int
    reason: str
    size: int


def run_call(arguments: argparse.Namespace) -> int:
    """Make the request and print what happened; the exit code says whether it succeeded."""
    require_libraries("httpx", *libraries_of(arguments.backend))
    method = parse_method(arguments.method)
    attempts = arguments.attempts or _ATTEMPTS.get(method, 1)
    headers = parse_headers(arguments.header)
    request = _Request(parse_url(arguments.url), method, headers, attempts, arguments.timeout)
    write = _print_line
    if arguments.json:
        write = _discard
    trace = CallTrace(write)
    shown = redacted_url(request.url)
    write(f"{method} {shown} ({_at_most(attempts)}, {request.limit:g} s each)")
    reply: _Reply | None = None
    failure: Exception | None = None
    with subscribe(trace.on_event):
        try:
            reply = run_async(_call, request, trace, backend=arguments.backend)
        except Exception as error:
            failure = error
    if trace.write_error is not None:
        raise trace.write_error
    elapsed = current_clock().now() - trace.started_at
    document: dict[str, object] = {"url": shown, "method": method, "ok": failure is None}
    if reply is not None:
        trace.record_response(reply.status, reply.reason)
        document |= {"status": reply.status, "bytes": reply.size}
    code, error_document = ExitCode.OK, None
    if failure is not None:
        code, error_document = ExitCode.FAILED, _error_document(failure)
    document |= {"elapsed": round(elapsed, 4), "circuit": trace.circuit, "attempts": trace.attempts}
    document |= {"error": error_document, "exit_code": int(code)}
    if failure is not None:
        _print_failure(shown, failure, len(trace.attempts))
    if arguments.json:
        print_json(document)
    elif reply is not None:
        attempts_made = counted(len(trace.attempts), "attempt")
        _print_line(f"{reply.status} {reply.reason}, {reply.size} bytes, {attempts_made}, {elapsed:.2f} s")
    return code


async def _call(request: _Request, trace: CallTrace) -> _Reply:
    import httpx

    from resilience import __version__, circuit_breaker, retry_on_category, timeout

    # httpx limits each step by itself; `timeout` covers the whole attempt, from the name's look-up to the last byte.
    agent = {"User-Agent": f"resilience/{__version__}"}
    async with httpx.AsyncClient(timeout=request.limit, headers=agent) as client:

        @retry_on_category(ErrorCategory.TRANSIENT, attempts=request.attempts, idempotent=True)
        @circuit_breaker(host_of(request.url), failure_threshold=5, reset_timeout=30)
        @timeout(request.limit)
        async def send() -> _Reply:
            async with client.stream(request.method, request.url, headers=request.headers) as response:
                if response.is_error:  # raise_for_status would refuse redirects too
                    response.raise_for_status()
                async for _ in response.aiter_raw():
                    pass  # counted, not kept: the body may be large
                return _reply(response)

        trace.started_at = current_clock().now()  # after the imports, which are no part of the call
        return await send()


def _reply(response: httpx.Response) -> _Reply:
    return _Reply(response.status_code, response.reason_phrase, response.num_bytes_downloaded)


def host_of(url: str) -> str:
    """Return the host and port of *url*: the circuit's name."""
    return redacted_url(url).split("/")[2].partition("?")[0]


def _error_document(failure: Exception) -> dict[str, object]:
    found = explain(failure)
    return {
        "what": describe_error(failure),
        "category": found.category.label,
        "rule": found.rule,
        "reason": found.reason,
        "recovery": found.recovery.value,
        "advice": _advice(found),
    }


def _print_failure(shown: str, failure: Exception, tried: int) -> None:
    found = explain(failure)
    sys.stdout.flush()  # the attempts first, where both streams are one terminal
    sys.stderr.write(
        f"resilience call: {shown} failed after {counted(max(1, tried), 'attempt')}:"
        f" {describe_error(failure)} [{found.category.label}]; {found.recovery.value}: {_advice(found)}\n"
    )


def _advice(found: Explanation) -> str:
    if found.category is ErrorCategory.NETWORK and found.recovery is Recovery.RETRY:
        return "check that the host is right and that something listens there, then try again"
    return ADVICE[found.recovery]


def _at_most(attempts: int) -> str:
    return "1 attempt" if attempts == 1 else f"at most {attempts} attempts"


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _discard(line: str) -> None:
    pass
