"""`resilience check`: a configuration, before it is deployed: what it means, its mistakes, and its worst cases."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from resilience._runtime.worst_case import worst_case
from resilience.cli.output import ExitCode, UserError, counted, print_json
from resilience.config import ConfigurationError, Policies
from resilience.policies.linting import Finding, lint

__all__ = ["run_check"]


def run_check(arguments: argparse.Namespace) -> int:
    """Load a configuration, print what its policies are and what is wrong; return FAILED where that is anything."""
    if arguments.schema:
        print_json(Policies.schema())
        return ExitCode.OK
    if arguments.file is None:
        raise UserError("give the FILE to check, or --schema")
    try:
        policies = Policies.load(arguments.file)
    except ConfigurationError as error:
        return _refused(arguments, error)
    try:
        reports = {name: _report(policies, name) for name in policies}
        findings = {name: lint(policies[name]) for name in policies}
        if arguments.module is not None:
            findings |= _findings_of_module(arguments.module)
    finally:
        policies.close()
    if arguments.json:
        documents = {name: [_document(each) for each in found] for name, found in findings.items()}
        print_json({"file": arguments.file, "policies": reports, "findings": documents})
    elif arguments.github:
        for name, found in findings.items():
            for each in found:
                _annotate(arguments.file, f"{name}: {each}")
    else:
        _print(policies, findings)
    return ExitCode.FAILED if any(findings.values()) else ExitCode.OK


def _refused(arguments: argparse.Namespace, error: ConfigurationError) -> int:
    """Say why a configuration is invalid."""
    if arguments.json:
        print_json({"file": arguments.file, "error": str(error)})
    elif arguments.github:
        _annotate(arguments.file, str(error))
    else:
        sys.stdout.write(f"{error}\n")
    return ExitCode.FAILED


def _annotate(file: str, message: str) -> None:
    """Print an error as GitHub's runners show it beside the file."""
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    sys.stdout.write(f"::error file={Path(file).as_posix()}::{escaped}\n")


def _findings_of_module(module: str) -> dict[str, tuple[Finding, ...]]:
    """Return the findings in the stacks of an application, which is imported."""
    from resilience.cli.application import import_application
    from resilience.cli.lint import targets_of

    _, value = import_application(module)
    return {name: lint(target) for name, target in targets_of(value, module)}


def _report(policies: Policies, name: str) -> dict[str, object]:
    worst = worst_case(policies[name].policies())
    return {
        "stack": [str(policy) for policy in policies[name].policies()],
        "options": {
            option: {"value": _plain(setting.value), "origin": setting.origin}
            for option, setting in policies.options()[name].items()
        },
        "calls": _finite(worst.calls),
        "seconds": _finite(worst.seconds),
    }


def _finite(number: float) -> float | None:
    """Return a number for JSON, which has no infinity; None where nothing limits it."""
    return number if math.isfinite(number) else None


def _plain(value: object) -> object:
    """Return a value of an option as JSON has it; others by their text."""
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(each) for key, each in cast("Mapping[object, object]", value).items()}
    if value is None or isinstance(value, bool | int | float | str | list):
        return cast("object", value)
    return getattr(value, "label", None) or getattr(value, "__name__", str(value))


def _document(finding: Finding) -> dict[str, str]:
    return {"rule": finding.rule, "message": finding.message}


def _print(policies: Policies, findings: Mapping[str, tuple[Finding, ...]]) -> None:
    for name in policies:
        stack = policies[name].policies()
        sys.stdout.write(f"{name}\n")
        for policy in stack:
            sys.stdout.write(f"  {policy}\n")
        sys.stdout.write(f"  {worst_case(stack)}\n")
    found = [f"{name}: {each}\n" for name, all_found in findings.items() for each in all_found]
    sys.stdout.write("\n" + ("".join(found) or f"{counted(len(findings), 'stack')}, nothing wrong\n"))
