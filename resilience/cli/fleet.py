"""`resilience circuits --fleet` and `resilience fleet`: the circuits of a fleet, asked of its store, and its commands.

The store is asked directly: no process of the fleet has to answer. A URL may hold a password and is never printed.
"""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from resilience.cli.output import ExitCode, UserError, counted, print_json

if TYPE_CHECKING:
    from resilience.fleet import Fleet, FleetCircuitSnapshot, FleetSnapshot

__all__ = ["run_fleet", "run_fleet_circuits"]

_WATCH = 1.0
"""Seconds between two tables of ``--watch``."""
_KEYS = "resilience:fleet:1:{*}:meta"


def run_fleet_circuits(arguments: argparse.Namespace) -> int:
    """Print the circuits of a fleet, once, or with ``--watch`` every second until Ctrl-C."""
    fleet = _fleet_of(arguments)
    _print(_snapshot(fleet), as_json=arguments.json)
    while arguments.watch:
        time.sleep(_WATCH)
        _print(_snapshot(fleet), as_json=arguments.json)
    return ExitCode.OK


def run_fleet(arguments: argparse.Namespace) -> int:
    """Isolate, shadow or release a circuit in all processes of a fleet."""
    fleet = _fleet_of(arguments)
    by = arguments.by or _user()
    options: dict[str, Any] = {"by": by, "why": arguments.why, "key": arguments.key}
    if arguments.action != "release":
        options["until"] = arguments.until
    act = {"isolate": fleet.isolate, "shadow": fleet.shadow, "release": fleet.release}[arguments.action]
    try:
        act(arguments.circuit, **options)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from None
    except Exception as error:
        raise _unreachable(error) from None
    done: dict[str, object] = {"fleet": fleet.name, "action": arguments.action, "circuit": arguments.circuit, "by": by}
    if arguments.json:
        print_json(done | {"until": arguments.until, "why": arguments.why})
    else:
        ends = "until it is released"
        if arguments.until is not None:
            ends = f"for {arguments.until:g} s"
        if arguments.action == "release":
            ends = "now"
        sys.stdout.write(f"{arguments.action} {arguments.circuit!r} in fleet {fleet.name!r} {ends}, by {by}\n")
    return ExitCode.OK


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user's name
        raise UserError("there is no user's name here; give --by NAME") from None


# -- the fleet --------------------------------------------------------------------------------------------------------


def _fleet_of(arguments: argparse.Namespace) -> Fleet:
    from resilience.fleet import Fleet

    try:
        return Fleet(arguments.fleet, name=arguments.name or _only_name(arguments.fleet), timeout=5.0)
    except ImportError as error:
        raise UserError(f"{error.name} is missing; install it with: pip install {error.name}") from None
    except (TypeError, ValueError) as error:
        raise UserError(f"--fleet: {error}") from None


def _only_name(url: str) -> str:
    """Return the name of the only fleet of a server. Raises UserError where there is none, or several."""
    from resilience.fleet._redis_store import own_client, parse_client

    try:
        client = own_client(parse_client("client", url), 5.0)
        keys = sorted(str(key, "utf-8", "replace") for key in client.scan_iter(match=_KEYS, count=1000))
    except (TypeError, ValueError, ImportError):
        raise
    except Exception as error:
        raise _unreachable(error) from None
    names = [key.partition("{")[2].rpartition("}")[0] for key in keys]
    if not names:
        raise UserError("the server has no fleet: no process of one was there in the last day", ExitCode.FAILED)
    if len(names) > 1:
        raise UserError(f"the server has {len(names)} fleets; give --name with one of {', '.join(names)}")
    return names[0]


def _snapshot(fleet: Fleet) -> FleetSnapshot:
    try:
        return fleet.snapshot()
    except Exception as error:
        raise _unreachable(error) from None


def _unreachable(error: Exception) -> UserError:
    return UserError(f"the store of the fleet cannot be asked: {type(error).__name__}: {error}", ExitCode.FAILED)


# -- output -----------------------------------------------------------------------------------------------------------


def _print(found: FleetSnapshot, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    sys.stdout.write(f"fleet {found['name']}: {counted(len(found['nodes']), 'live node')}\n\n")
    rows = [_cells(circuit) for circuit in found["circuits"]]
    if rows:
        _print_table([["circuit", "state", "mode", "votes", "probes", "last", "next probe", "by", "why"], *rows])
    else:
        sys.stdout.write("all circuits are closed\n")
    for entry in found["audit"][:10]:
        why = f": {entry['why']}" if entry["why"] else ""
        sys.stdout.write(f"{entry['ago']:.0f} s ago  {entry['by']} set {entry['circuit']} to {entry['mode']}{why}\n")
    sys.stdout.write("\n")
    sys.stdout.flush()


def _cells(circuit: FleetCircuitSnapshot) -> list[str]:
    mode = circuit["mode"].replace("normal", "")
    if circuit["mode_left"] is not None:
        mode += f" for {circuit['mode_left']:.0f} s"
    next_probe = ""
    if circuit["next_probe"] is not None:
        next_probe = f"in {circuit['next_probe']:.1f} s"
    return [
        circuit["name"],
        circuit["state"].replace("_", "-"),
        mode,
        str(len(circuit["votes"])),
        str(circuit["probes"]),
        circuit["last_category"] or "",
        next_probe,
        circuit["by"],
        circuit["why"],
    ]


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their heads, without empty columns, and with a mark for what is not printable."""
    shown = [["".join(each if each.isprintable() else "?" for each in cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    kept = [column for column in range(len(widths)) if any(row[column] for row in shown[1:])]
    for row in shown:
        sys.stdout.write("  ".join(f"{row[column]:<{widths[column]}}" for column in kept).rstrip() + "\n")
    sys.stdout.write("\n")
