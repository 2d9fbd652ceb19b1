"""`resilience schema`: the JSON Schemas of the documents that commands print."""

from __future__ import annotations

import argparse

from resilience.cli.output import ExitCode, print_json
from resilience.report.schema import report_schema

__all__ = ["run_schema"]


def run_schema(arguments: argparse.Namespace) -> int:
    """Print the JSON Schema of the report."""
    print_json(report_schema(arguments.level))
    return ExitCode.OK
