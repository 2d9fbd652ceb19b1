"""`resilience codes`: list the error codes of an application, or check its documented table of them."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from resilience.cli.application import import_application
from resilience.cli.output import ExitCode, UserError, print_json
from resilience.errors._user_messages import leaf_of
from resilience.errors.code_table import CodeProblem, check_codes
from resilience.errors.codes import CodeRegistry, registries
from resilience.profiles import profile_for

__all__ = ["run_codes"]

_HEADINGS = ("code", "error", "category", "HTTP", "module")


def run_codes(arguments: argparse.Namespace) -> int:
    """Import the modules that declare codes; print the codes, or the problems of a table."""
    selected = _select_registries(arguments.modules, arguments.prefix)
    if arguments.check is not None:
        return _check_table(selected, arguments.check, as_json=arguments.json)
    if arguments.json:
        codes = [row for registry in selected for row in _rows(registry)]
        retired = [
            {"code": code, "why": why} for registry in selected for code, why in sorted(registry.retired.items())
        ]
        print_json({"codes": codes, "retired": retired})
    else:
        _print_table(selected)
    return ExitCode.OK


def _select_registries(modules: Sequence[str], prefix: str | None) -> list[CodeRegistry]:
    """Return the registries of a prefix, of the modules, or of the toolkit."""
    importlib.import_module("resilience.errors.circuit")  # not imported with the other errors
    for module in modules:
        import_application(module)
    known = registries()
    if prefix is not None:
        if prefix not in known:
            what = ", ".join(known)
            raise UserError(f"nothing declares a code with the prefix {prefix!r}; known are {what}. {_IMPORT}")
        return [known[prefix]]
    theirs = [registry for registry in known.values() if not _is_own(registry)]
    if not modules:
        return [registry for registry in known.values() if _is_own(registry)]
    if not theirs:
        raise UserError(f"{' and '.join(modules)} declares no codes: {_DECLARE}")
    return theirs


_IMPORT = "Name the module that declares it, such as shop.errors"
_DECLARE = 'give a class one with class StockLocked(ResilienceError, code="SHOP-E001")'


def _is_own(registry: CodeRegistry) -> bool:
    modules = {kind.__module__ for kind in registry.codes().values()}
    return any(name.startswith("resilience.") and not name.startswith("resilience.contrib.") for name in modules)


def _rows(registry: CodeRegistry) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for code, kind in registry.codes().items():
        leaf = leaf_of(getattr(kind, "category", None))
        found.append(
            {
                "code": code,
                "error": kind.__qualname__,
                "category": leaf.label,
                "http": profile_for(leaf).http,
                "module": kind.__module__,
            }
        )
    return found


def _print_table(selected: Sequence[CodeRegistry]) -> None:
    rows = [tuple(str(cell) for cell in row.values()) for registry in selected for row in _rows(registry)]
    rows += [
        (code, "(retired)", "", "", why) for registry in selected for code, why in sorted(registry.retired.items())
    ]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    for row in (_HEADINGS, *rows):
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")


def _check_table(selected: Sequence[CodeRegistry], path: str, *, as_json: bool) -> int:
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "it is no UTF-8 text")
        raise UserError(f"{path} cannot be read: {why}; give the Markdown file that holds the table") from None
    problems = [problem for registry in selected for problem in check_codes(registry.prefix, text)]
    number = sum(len(registry.codes()) for registry in selected)
    if as_json:
        print_json({"checked": number, "problems": [_document(problem) for problem in problems]})
    else:
        for problem in problems:
            sys.stdout.write(f"{problem}\n")
        if not problems:
            prefixes = ", ".join(registry.prefix for registry in selected)
            sys.stdout.write(f"{path}: {number} codes of {prefixes}, nothing wrong\n")
    if problems:
        return ExitCode.FAILED
    return ExitCode.OK


def _document(problem: CodeProblem) -> dict[str, object]:
    return {"code": problem.code, "what": problem.what, "do": problem.fix}
