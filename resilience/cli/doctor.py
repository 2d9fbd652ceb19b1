"""`resilience doctor`: what an application's clients do by themselves, and what the policies around them make of it.

A guarded function is examined with the clients that it uses: those among its globals, its closure and its defaults.
Nothing is called, and no client sends anything.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any, cast

from resilience._runtime.callables import under_descriptor
from resilience._runtime.decorate import guarded
from resilience._runtime.description import describe
from resilience.cli.application import import_application
from resilience.cli.output import ExitCode, UserError, counted, print_json
from resilience.clients.adapter import adapter_for
from resilience.clients.inspection import Inspection, inspect_client

__all__ = ["run_doctor"]

_MAX_WRAPPED = 32


def run_doctor(arguments: argparse.Namespace) -> int:
    """Import an application, and print what its clients do.

    Return FAILED where that is a problem; with ``--strict`` also where it may be one, by what the calls say.
    """
    module, value = import_application(arguments.application)
    found = dict(_examined(module, value, arguments.application))
    if arguments.json:
        print_json(
            {
                "application": arguments.application,
                "clients": [_document(name, inspection) for name, inspection in found.items()],
            }
        )
    else:
        for name, inspection in found.items():
            sys.stdout.write(_text(name, inspection))
        if not found:
            sys.stdout.write(f"{arguments.application}: no client\n")
    problems = sum(len(inspection.problems) for inspection in found.values())
    warnings = sum(len(inspection.warnings) for inspection in found.values())
    noted = [counted(number, noun) for number, noun in ((problems, "problem"), (warnings, "warning")) if number]
    if noted:
        sys.stderr.write(f"{', '.join(noted)}\n")
    if problems or (warnings and arguments.strict):
        return ExitCode.FAILED
    return ExitCode.OK


def _examined(module: ModuleType, value: object, name: str) -> Iterator[tuple[str, Inspection]]:
    """Yield the inspections by name: of *value*, or of the clients and the guarded functions of a module."""
    if value is not module:
        found = dict(_of(value, name))
        if not found and not callable(value):
            raise UserError(f"{name} is {value!r}: give a client, a function that uses one, or the module alone")
        yield from found.items()
        return
    for attribute, target in vars(module).items():
        if _is_client(target) or _is_guarded(target):
            yield from _of(target, f"{module.__name__}:{attribute}")


def _of(target: object, name: str) -> Iterator[tuple[str, Inspection]]:
    """Yield the inspection of a client; of a function those of the clients that it uses, with its own attempts."""
    if _is_client(target):
        yield name, inspect_client(target)
        return
    attempts = 1.0
    if _is_guarded(target):
        attempts = describe(target).worst.calls
    for used, client in _clients_of(target):
        yield f"{name} uses {used}", inspect_client(client, attempts=attempts)


def _is_client(value: object) -> bool:
    return not isinstance(value, type | ModuleType) and adapter_for(value) is not None


def _is_guarded(target: object) -> bool:
    return callable(target) and guarded(under_descriptor(target)) is not None


def _clients_of(target: object) -> Iterator[tuple[str, object]]:
    """Yield name and value of the clients that a function uses."""
    function = _innermost(target)
    if not isinstance(function, FunctionType):
        return
    code, used = function.__code__, dict[str, object]()
    used.update((name, function.__globals__[name]) for name in code.co_names if name in function.__globals__)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            used[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    names = code.co_varnames[: code.co_argcount]
    used.update(zip(reversed(names), reversed(function.__defaults__ or ()), strict=False))
    used.update(function.__kwdefaults__ or {})
    for name, value in used.items():
        if _is_client(value):
            yield name, value


def _innermost(target: object) -> object:
    """Return the function below decorators that follow `functools.wraps`."""
    inner: Any = under_descriptor(target)
    for _ in range(_MAX_WRAPPED):
        below: object = getattr(inner, "__wrapped__", None)
        if below is None:
            break
        inner = below
    return cast("object", inner)


def _text(name: str, inspection: Inspection) -> str:
    lines = [f"{name}: {inspection.client}"]
    for finding in inspection.findings:
        mark = " "
        if finding.problem:
            mark = "!"
        elif finding.warning:
            mark = "?"
        lines.append(f"{mark} {finding.kind.replace('_', ' '):<11} {finding.text}")
    return "\n".join([*lines, ""])


def _document(name: str, inspection: Inspection) -> dict[str, Any]:
    """Return an inspection as plain JSON; a number of calls without a bound is null."""
    calls: float | None = inspection.calls
    if calls == float("inf"):
        calls = None
    return {
        "name": name,
        "client": inspection.client,
        "calls": calls,
        "findings": [
            {
                "kind": finding.kind,
                "text": finding.text,
                "calls": finding.calls,
                "problem": finding.problem,
                "warning": finding.warning,
            }
            for finding in inspection.findings
        ],
    }
