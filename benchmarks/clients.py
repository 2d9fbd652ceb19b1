"""The conformance matrix of HTTP clients as a page: ``python -m benchmarks.clients [--check]``.

Takes every row of `tests/clients/rows.py` through every client and through the peers, against a real server on
loopback, and writes `docs/benchmarks/clients.md`. ``--check`` writes nothing, and ends with 1 where one of our clients
differs from what its row expects. One of the peers, clientwright, needs Python 3.12, and is left out below that.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["main"]

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "clients.md"
_MATRIX: Any = importlib.import_module("tests.clients.conformance")
_ROWS: Sequence[Any] = importlib.import_module("tests.clients.rows").ROWS
_DRIVERS: Sequence[Any] = importlib.import_module("tests.clients.drivers").DRIVERS
_PEERS: Sequence[Any] = importlib.import_module("tests.clients.peers").PEERS

_TRIES = 3
_SAME, _NOT_ASKED, _OTHER = "yes", "", "**no**"

_INTRODUCTION = """\
# Conformance of the clients

{situations} situations, and the end of a call in each of them, for each [protected client](clients.md). A real server
on loopback resets, cuts, redirects and hangs by a script, keeps a record of the requests, and hashes their bodies.
A row says what every client must do: how the call ends, the requests that the server has read, and the seconds
waited in between. `tests/clients` has the rows and the server; `uv run python -m benchmarks.clients` writes this page.

A client passes where the end, the requests and the waits are those of the row, no request brings another body than
the first, no connection is left in use, and the exception is one of the client's own. An empty cell: the situation
does not exist for this client, as a sync one cannot be cancelled.

Unless the row says otherwise, a retry of three attempts with waits of 0.1 and 0.2 seconds guards the client, and it
calls `GET /`.

## Protected clients

"""

_OTHERS = """
## Other ways to retry

The same rows, but for those that need a policy or an option of ours: `yes` where the end and the requests are those of
the row, whatever the waits, in one of three tries. Else the end and the number of requests, and other faults. Each
makes three attempts, and has its own defaults otherwise.

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or check. Return 1 where a client of ours differs from a row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where a protected client differs")
    options = parser.parse_args(arguments)
    failed: list[str] = []
    ours = [[_ours(driver, row, failed) for driver in _DRIVERS] for row in _ROWS]
    print(*failed, sep="\n", end="\n" * bool(failed), file=sys.stderr)
    if not options.check:
        asked = [row for row in _ROWS if row.is_for_any]
        theirs = [[_theirs(peer, row) for peer in _PEERS] for row in asked]
        text = _INTRODUCTION.format(situations=len(_ROWS)) + _table(_DRIVERS, _ROWS, ours)
        PAGE.write_text(text + _OTHERS + _table(_PEERS, asked, theirs), "utf-8")
    return int(bool(failed))


def _ours(driver: Any, row: Any, failed: list[str]) -> str:
    if not row.needs <= driver.features:
        return _NOT_ASKED
    seen = _MATRIX.observe(driver, row)
    found = [*_MATRIX.differences(row, seen, driver.error_root)]
    failed += [f"{driver.name}: {row.name}: {difference}" for difference in found]
    return _OTHER if found else _SAME


def _theirs(peer: Any, row: Any) -> str:
    """Return what a peer has made of a row, the best of some tries: a busy machine is no fault of a peer's."""
    if not row.needs <= peer.features:
        return _NOT_ASKED
    found = _OTHER
    for _ in range(_TRIES):
        found = _try_of(peer, row)
        if found == _SAME:
            break
    return found


def _try_of(peer: Any, row: Any) -> str:
    """Return what a peer has made of a row once; the time that it takes to wait is its own."""
    seen = _MATRIX.observe(peer, row)
    faults = [
        *(["**another body**"] if any(len(hashes) > 1 for hashes in seen.bodies.values()) else []),
        *([f"**{seen.busy} connections in use**"] if seen.busy else []),
        *(["**another exception**"] if not _is_theirs(peer, row, seen) else []),
        *(["**a cut body**"] if row.answered is not None and seen.body not in (None, row.answered) else []),
    ]
    if (seen.outcome, seen.calls) == (row.outcome, row.expected_calls()) and not faults:
        return _SAME
    return ", ".join([f"{seen.outcome}, {len(seen.calls)}", *faults])


def _is_theirs(peer: Any, row: Any, seen: Any) -> bool:
    return seen.error is None or row.outcome == "cancelled" or isinstance(seen.error, peer.error_root)


def _table(columns: Sequence[Any], rows: Sequence[Any], cells: Sequence[Sequence[str]]) -> str:
    names = [column.name for column in columns]
    lines = [
        f"| situation | end | requests | waits | {' | '.join(names)} |",
        f"|{'---|' * (len(names) + 4)}",
    ]
    for row, line in zip(rows, cells, strict=True):
        lines.append(f"| {row.name} | {row.outcome} | {_requests(row)} | {_waits(row)} | {' | '.join(line)} |")
    return "\n".join(lines) + "\n"


def _requests(row: Any) -> str:
    """Return the requests of a row, those that are the same together."""
    counts: dict[str, int] = {}
    for call in row.expected_calls():
        counts[call] = counts.get(call, 0) + 1
    return ", ".join(f"{count} x {call}" if count > 1 else call for call, count in counts.items())


def _waits(row: Any) -> str:
    if row.waits is None:
        return "any"
    if len(row.waits) > 2:
        return f"{len(row.waits)} waits"
    return ", ".join(_wait(wait) for wait in row.waits)


def _wait(wait: Any) -> str:
    if not isinstance(wait, tuple):
        return f"{wait:g}"
    least, most = wait
    return f"{least:g} to {most:g}"


if __name__ == "__main__":
    sys.exit(main())
