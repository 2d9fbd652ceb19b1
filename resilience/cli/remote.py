"""`resilience circuits --url`: the circuits of a running service, asked of its admin application.

The service's answer is printed as the circuits of an application are, with those who have set one by hand. A token goes
into the header, and neither into the URL nor into any output; redirects are not followed, so that it goes nowhere else.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from resilience.cli.circuit_table import print_circuits
from resilience.cli.output import ExitCode, UserError, counted, print_json

__all__ = ["run_remote_circuits"]

_WATCH = 1.0
"""Seconds between two tables of ``--watch``."""
_TIMEOUT = 10.0
_MAX_ANSWER = 10_000_000
_VARIABLE = "RESILIENCE_ADMIN_TOKEN"
_ADVICE = "give the URL that the admin application is mounted at, such as https://shop.example/resilience"

Answer = Mapping[str, Any]


def run_remote_circuits(arguments: argparse.Namespace) -> int:
    """Print the circuits of a service, once, or with ``--watch`` every second until Ctrl-C.

    Under ``--watch`` a service that does not answer is a line, and is asked again.
    """
    base = _checked(arguments.url)
    token = arguments.token or os.environ.get(_VARIABLE)
    _print(_circuits(base, token, arguments.find), as_json=arguments.json, clears=False)
    while arguments.watch:
        time.sleep(_WATCH)
        try:
            found = _circuits(base, token, arguments.find)
        except UserError as error:
            sys.stderr.write(f"resilience circuits: {error}\n")
            continue
        _print(found, as_json=arguments.json, clears=sys.stdout.isatty())
    return ExitCode.OK


def _checked(url: str) -> str:
    """Return a URL without a slash at its end. Raises UserError, which does not repeat it: it may hold a password."""
    try:
        parts = urlsplit(url)
        has_host, _ = bool(parts.hostname), parts.port
    except ValueError:
        has_host = False
        parts = urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not has_host
        or any(not each.isprintable() or each == " " for each in url)
    ):
        raise UserError(f"--url is no http or https URL; {_ADVICE}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UserError(f"--url has a user, a query or a fragment; {_ADVICE}, and the token by --token or ${_VARIABLE}")
    return url.rstrip("/")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is for the server that was named."""

    def redirect_request(
        self, req: urllib.request.Request, fp: object, code: int, msg: str, headers: object, newurl: str
    ) -> None:
        """Answer that there is nothing to follow."""


def _circuits(base: str, token: str | None, find: str) -> Answer:
    """Ask a service for its circuits. Raises UserError where it does not answer, or answers something else."""
    request = urllib.request.Request(f"{base}/circuits?{urlencode({'limit': 1000, 'name': find})}")  # noqa: S310 - checked
    if token is not None:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=_TIMEOUT) as response:
            answer = json.loads(response.read(_MAX_ANSWER))
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error.code) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UserError(f"the service does not answer: {reason}", ExitCode.FAILED) from None
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "circuits" not in answer:
        raise UserError(f"the answer is not that of an admin application; {_ADVICE}", ExitCode.FAILED)
    return cast("Answer", answer)


def _refused(status: int) -> UserError:
    if status == http.HTTPStatus.UNAUTHORIZED:
        return UserError(f"the service asks for its token: give --token, or set ${_VARIABLE}", ExitCode.FAILED)
    return UserError(f"the service has answered {status}; {_ADVICE}", ExitCode.FAILED)


def _print(answer: Answer, *, as_json: bool, clears: bool) -> None:
    if as_json:
        print_json(answer)
        return
    if clears:
        sys.stdout.write("\x1b[H\x1b[2J")
    circuits = answer["circuits"]
    states = ", ".join(f"{number} {state.replace('_', '-')}" for state, number in sorted(answer["counts"].items()))
    at = datetime.datetime.fromtimestamp(answer["at"], datetime.UTC).astimezone()
    sys.stdout.write(f"process {answer['pid']} at {at:%H:%M:%S}: {counted(answer['total'], 'circuit')}")
    sys.stdout.write(f" ({states})\n\n" if states else "\n")
    if circuits:
        print_circuits([(each, "") for each in circuits], _note(answer))
    sys.stdout.flush()


def _note(answer: Answer) -> list[str]:
    left_out = answer["total"] - len(answer["circuits"])
    if not left_out:
        return []
    return [f"{counted(left_out, 'other circuit')}: find some by a part of their name or key with --find."]
