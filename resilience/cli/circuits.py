"""`resilience circuits`: the circuits that an application defines, how they are set, and their state after the import.

Chooses the circuits; `circuit_table` prints them. The application is imported, nothing of it is called.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from resilience._runtime.callables import under_descriptor
from resilience._runtime.decorate import guarded
from resilience._runtime.guard import public_methods
from resilience.cli.application import import_application
from resilience.cli.circuit_table import print_circuits
from resilience.cli.output import ExitCode, UserError, counted, print_json

if TYPE_CHECKING:
    from resilience._runtime.protocol import Policy
    from resilience.circuits import CircuitBreaker, CircuitSnapshot

__all__ = ["run_circuits"]

_NOTE = (
    "These are the states of this process, which has just imported the application; a running service has its own.",
    "To see those, mount resilience.admin.admin() in the service, and give its --url.",
)


def run_circuits(arguments: argparse.Namespace) -> int:
    """Import an application and print its circuits; with ``--fleet`` or ``--url`` ask a store or a service for them."""
    _check(arguments)
    if arguments.url is not None:
        from resilience.cli.remote import run_remote_circuits

        return run_remote_circuits(arguments)
    if arguments.fleet is not None:
        from resilience.cli.fleet import run_fleet_circuits

        return run_fleet_circuits(arguments)
    module, value = import_application(arguments.application)
    gc.collect()  # a circuit without a reference is not the application's
    breakers, scope = _circuits_of(value)
    found = _entries(breakers)
    if arguments.json:
        print_json(
            {
                "application": arguments.application,
                "note": " ".join(_NOTE),
                "circuits": [entry | {"parameters": parameters} for entry, parameters in found],
            }
        )
    elif not found:
        sys.stdout.write(
            f"{module.__name__} defines no circuits: nothing that it makes while it is imported is guarded by a"
            " circuit_breaker.\nCircuits that are made later, in a function or at the first request, are not listed.\n"
        )
    else:
        sys.stdout.write(f"{counted(len(breakers), 'circuit')} {scope} {arguments.application}\n\n")
        print_circuits(found, _NOTE)
    return ExitCode.OK


def _check(arguments: argparse.Namespace) -> None:
    """Raise UserError unless there is one of an application, a fleet and a service."""
    given = [each for each in (arguments.application, arguments.fleet, arguments.url) if each is not None]
    if len(given) != 1:
        raise UserError(
            "give a module such as shop.main, --fleet with the URL of a fleet's server, or --url with that of a"
            " service's admin application; one of them"
        )
    if arguments.fleet is None and arguments.name:
        raise UserError("--name goes with --fleet")
    if arguments.url is None and (arguments.token or arguments.find):
        raise UserError("--token and --find go with --url")
    if arguments.application is not None and arguments.watch:
        raise UserError("--watch goes with --fleet and --url")


def _circuits_of(value: object) -> tuple[list[CircuitBreaker], str]:
    """Return the circuits that guard *value*, or else all of the process, and the word for which of the two."""
    from resilience.circuits.breaker import REGISTRY

    own = list(dict.fromkeys(_guarding(value)))
    if own:
        return own, "of"
    return list(REGISTRY), "after importing"


def _guarding(value: object) -> Iterator[CircuitBreaker]:
    from resilience.circuits import CircuitBreaker

    if isinstance(value, CircuitBreaker):
        yield value
        return
    if isinstance(value, type):
        for _, method in public_methods(value):
            yield from _guarding(method)
        return
    for policy in _policies_of(value):
        owner = getattr(policy, "owner", None)
        if isinstance(owner, CircuitBreaker):
            yield owner


def _policies_of(value: object) -> Sequence[Policy]:
    from resilience._runtime.pipeline import Pipeline

    if isinstance(value, Pipeline):
        return value.policies()
    known = guarded(under_descriptor(value))
    if known is None:
        return ()
    return known.policies


def _entries(breakers: Iterable[CircuitBreaker]) -> list[tuple[CircuitSnapshot, str]]:
    from resilience.circuits._snapshot import snapshot_of

    found = [(entry, _parameters(breaker)) for breaker in breakers for entry in snapshot_of(breaker)]
    return sorted(found, key=lambda each: (each[0]["name"], each[0]["key"] or ""))


def _parameters(breaker: CircuitBreaker) -> str:
    return ", ".join(breaker.circuit.config.non_default_options())
