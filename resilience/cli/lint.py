"""`resilience lint`: the mistakes in the stacks of policies that an application defines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from types import ModuleType

from resilience._runtime.callables import under_descriptor
from resilience._runtime.decorate import guarded
from resilience._runtime.pipeline import Decorator, Pipeline
from resilience.cli.application import import_application
from resilience.cli.output import ExitCode, UserError, counted, print_json
from resilience.policies.linting import Finding, lint

__all__ = ["run_lint", "targets_of"]


def run_lint(arguments: argparse.Namespace) -> int:
    """Import an application, and print what its stacks break; return FAILED where that is anything."""
    _, value = import_application(arguments.application)
    looked_at = dict(targets_of(value, arguments.application))
    found = [(name, finding) for name, target in looked_at.items() for finding in lint(target)]
    if arguments.json:
        print_json(
            {
                "application": arguments.application,
                "checked": len(looked_at),
                "findings": [_document(name, finding) for name, finding in found],
            }
        )
    else:
        for name, finding in found:
            sys.stdout.write(f"{name}: {finding}\n")
        if not found:
            sys.stdout.write(f"{arguments.application}: {counted(len(looked_at), 'stack')}, nothing wrong\n")
    if found:
        return ExitCode.FAILED
    return ExitCode.OK


def targets_of(value: object, name: str) -> Iterator[tuple[str, object]]:
    """Yield what is to be looked at by name: *value*, or of a module its functions, classes and pipelines."""
    if not isinstance(value, ModuleType):
        if not callable(under_descriptor(value)) and not isinstance(value, Decorator):
            raise UserError(f"{name} is {value!r}: give a function, a class or a pipeline, or the module alone")
        yield name, value
        return
    for attribute, target in vars(value).items():
        is_own_class = isinstance(target, type) and target.__module__ == value.__name__
        if is_own_class or isinstance(target, Pipeline) or _is_guarded(target):
            yield f"{value.__name__}:{attribute}", target


def _is_guarded(target: object) -> bool:
    return callable(target) and guarded(under_descriptor(target)) is not None


def _document(name: str, finding: Finding) -> dict[str, str]:
    return {"target": name, "rule": finding.rule, "message": finding.message}
