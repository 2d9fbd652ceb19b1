"""Density of the code: ``python -m benchmarks.house [--json] [--package PATH ...] [--check]``.

Measures `resilience/`, its core, each of its folders, and the installed peers, from their text alone (`ast`,
`tokenize`). The core is all of `resilience/` but the packages in `NOT_CORE`.

* **lines**: all lines of all files. **code**: the lines that hold a token, without blank lines, comments, docstrings
  and other strings that stand alone as a statement.
* **ternaries**: ``a if b else c``.
* **branch points**: each ``if`` and ``elif``, ``for``, ``while``, ``except``, ``case``, each ``for`` of a
  comprehension, each operand of ``and`` and ``or`` beyond the first, each ternary (once, not as an ``if`` as well). Not
  ``else``, ``finally``, ``with``, ``assert``, nor the ``if`` of a comprehension.
* **docstring lines**: lines of the docstrings of modules, classes and functions as `ast.get_docstring` returns them:
  blank lines inside count, lines with nothing but quotes do not. A string below an attribute is neither code nor a
  docstring.
* **complexity** of a function: 1 and its branch points. A nested function is a function of its own; lambdas and
  comprehensions belong to the function around them.
* **parameters** of a function: all in its list, ``*args`` and ``**kwargs`` too, without the ``self`` or ``cls`` of a
  method.
* **lines of a function** (median, longest): its code lines from ``def`` on, nested functions included.

Ternaries, branch points and docstring lines are given for each 100 code lines. Functions marked ``@overload`` are left
out where functions are counted. Peers are measured as they are installed: trio with its tests, and once more without.

Below the table are the targets of the core (`benchmarks.targets.LIMITS`), each with what was measured, met or not met.
``--check`` compares the core, or the packages given, with them, names what is over, and ends with 1 if anything is.
The list of a class's ``__init__`` may be of any length: the class that owns options has to take them.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib.util
import io
import json
import statistics
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.targets import LIMITS

__all__ = [
    "NOT_CORE",
    "PEERS",
    "Function",
    "Package",
    "Verdict",
    "core",
    "exceeded",
    "main",
    "measure",
    "verdicts",
]

ROOT = Path(__file__).parent.parent
NOT_CORE = ("cli", "contrib", "execution", "report")
_CORE = "resilience, core"
PEERS = ("stamina", "anyio", "tenacity", "trio", "httpx")


#: The limits that are set on each function, and not on a package as a whole.
_OF_FUNCTIONS = ("complexity", "parameters")


@dataclasses.dataclass(frozen=True)
class Function:
    """One function, by its dotted name within what is measured: ``retry.Retry.decide``."""

    name: str
    complexity: int
    parameters: int
    lines: int


@dataclasses.dataclass(frozen=True)
class Package:
    """The figures of a package, counted in its files.

    `ternaries`, `branch_points` and `docstring_lines` are per 100 code lines.
    """

    name: str
    files: int
    lines: int
    code: int
    ternaries: float
    branch_points: float
    docstring_lines: float
    functions: tuple[Function, ...]

    def figures(self) -> dict[str, object]:
        """Return the figures of the package; of its functions the extremes, and whose they are."""
        found: dict[str, object] = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "functions"
        }
        for of in ("complexity", "parameters", "lines"):
            most = max(self.functions, key=lambda function: int(getattr(function, of)), default=Function("", 0, 0, 0))
            found[f"function_{of}"] = getattr(most, of)
            found[f"function_{of}_of"] = most.name
        lengths = [function.lines for function in self.functions]
        found["function_lines_median"] = statistics.median(lengths) if lengths else 0
        return found


class Verdict(NamedTuple):
    """A target, what was measured, and whether it is met."""

    text: str
    limit: str
    measured: float
    #: The function that has most of it, where the target is one for functions.
    function: str
    met: bool


# -- counting ---------------------------------------------------------------------------------------------------------

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DOCUMENTED = (ast.Module, ast.ClassDef, *_FUNCTIONS)
_BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.match_case,
    ast.comprehension,
    ast.IfExp,
)
_NO_CODE = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
)


def measure(name: str, files: Iterable[tuple[str, Path]]) -> Package:
    """Count in *files*, each given with the dotted name of its module, empty for that of a package itself."""
    number = lines = code = ternaries = branches = documented = 0
    functions: list[Function] = []
    for module, path in files:
        with tokenize.open(path) as opened:
            text = opened.read()
        tree = ast.parse(text, str(path))
        of_code = _code_lines(text, tree)
        number += 1
        lines += len(text.splitlines())
        code += len(of_code)
        ternaries += sum(isinstance(node, ast.IfExp) for node in ast.walk(tree))
        branches += sum(map(_branch_points, ast.walk(tree)))
        documented += sum(map(_docstring_lines, ast.walk(tree)))
        functions += _functions(tree, module, of_code)

    def per_100(count: int) -> float:
        return 100 * count / code if code else 0.0

    rates = (per_100(ternaries), per_100(branches), per_100(documented))
    return Package(name, number, lines, code, *rates, tuple(functions))


def _code_lines(text: str, tree: ast.Module) -> set[int]:
    """Return the numbers of the lines that hold code."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if _is_string_alone(node):
            found.difference_update(_span(node))
    # A text of several lines may have blank ones.
    return found.difference(number for number, line in enumerate(text.splitlines(), 1) if not line.strip())


def _is_string_alone(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _span(node: ast.AST) -> range:
    begin: int = getattr(node, "lineno", 0)
    end: int = getattr(node, "end_lineno", 0)
    return range(begin, end + 1)


def _branch_points(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    return int(isinstance(node, _BRANCHES))


def _docstring_lines(node: ast.AST) -> int:
    docstring = ast.get_docstring(node) if isinstance(node, _DOCUMENTED) else None
    return len(docstring.splitlines()) if docstring else 0


def _functions(tree: ast.AST, prefix: str, of_code: set[int], *, in_class: bool = False) -> Iterator[Function]:
    """Find the functions below *tree*, outermost first, each with its qualified name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _FUNCTIONS):
            name = f"{prefix}.{node.name}".lstrip(".")
            if "overload" not in _decorators(node):
                bound = in_class and "staticmethod" not in _decorators(node)
                length = len(of_code.intersection(_span(node)))
                yield Function(name, 1 + _complexity(node), _parameters(node.args) - bound, length)
            yield from _functions(node, name, of_code)
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}.{node.name}".lstrip("."), of_code, in_class=True)
        else:
            yield from _functions(node, prefix, of_code, in_class=in_class)


def _complexity(function: ast.AST) -> int:
    """Return the branch points of a function without those of the functions and classes in it."""
    inside = [node for node in ast.iter_child_nodes(function) if not isinstance(node, (ast.ClassDef, *_FUNCTIONS))]
    return sum(_branch_points(node) + _complexity(node) for node in inside)


def _parameters(given: ast.arguments) -> int:
    rest = (given.vararg is not None) + (given.kwarg is not None)
    return len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs) + rest


def _decorators(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {ast.unparse(decorator).rpartition(".")[2] for decorator in function.decorator_list}


# -- what is measured -------------------------------------------------------------------------------------------------


def _files(path: Path, *, without: Sequence[str] = (), deep: bool = True) -> list[tuple[str, Path]]:
    """Return the Python files at *path*, a folder or a file, but for those in folders called as in *without*."""
    if path.is_file():
        return [(path.stem, path)]
    found = sorted(path.rglob("*.py") if deep else path.glob("*.py"))
    kept = [file for file in found if not set(without).intersection(file.relative_to(path).parts[:-1])]
    return [(_module(file.relative_to(path)), file) for file in kept]


def _module(path: Path) -> str:
    return ".".join(part for part in path.with_suffix("").parts if part != "__init__")


def core() -> Package:
    """Measure the core: all of `resilience/` but the packages in `NOT_CORE`."""
    # Only folders directly below: a nested folder of such a name is a part of the core.
    ours = ROOT / "resilience"
    files = [pair for pair in _files(ours) if pair[1].relative_to(ours).parts[0] not in NOT_CORE]
    return measure(_CORE, files)


def _house() -> Iterator[Package]:
    """Measure our package, its core, its own modules, each folder, and the peers that are installed."""
    ours = ROOT / "resilience"
    yield measure("resilience", _files(ours))
    yield core()
    yield measure("resilience/*.py", _files(ours, deep=False))
    for folder in sorted({file.parent for _, file in _files(ours)} - {ours}):
        yield measure(folder.relative_to(ROOT).as_posix(), _files(folder))
    for peer in PEERS:
        spec = importlib.util.find_spec(peer)  # finds a package without importing it
        for place in (spec and spec.submodule_search_locations) or ():
            whole = _files(Path(place))
            yield measure(peer, whole)
            bare = _files(Path(place), without=("_tests", "tests"))
            if len(bare) < len(whole):
                yield measure(f"{peer}, without tests", bare)


def _given(paths: Sequence[Path]) -> list[Package]:
    packages = [measure(path.as_posix(), _files(path)) for path in paths]
    for package in packages:
        if not package.files:
            raise FileNotFoundError(f"{package.name}: no Python files there; give a folder or a file")
    return packages


# -- limits, output ---------------------------------------------------------------------------------------------------


def exceeded(package: Package) -> list[str]:
    """Return a line for each limit that *package* does not keep; of functions, one for each function."""
    if not package.code:
        return []
    return [
        f"{': '.join(filter(None, (package.name, function)))}: {LIMITS[name].text} {value:.6g}, {LIMITS[name]}"
        for name in LIMITS
        for function, value in _values(package, name)
        if not LIMITS[name].keeps(value)
    ]


def verdicts(package: Package) -> list[Verdict]:
    """Return each target with what *package* has; of a target for functions, with the function that has most of it."""
    found = []
    for name, limit in LIMITS.items():
        function, value = max(_values(package, name), key=lambda pair: pair[1], default=("", 0.0))
        found.append(Verdict(limit.text, str(limit), value, function, limit.keeps(value)))
    return found


def _values(package: Package, name: str) -> list[tuple[str, float]]:
    """Return the figure of that *name*: of the package, or of each of its functions with the name of the function."""
    if name not in _OF_FUNCTIONS:
        return [("", float(getattr(package, name)))]
    return [
        (function.name, float(getattr(function, name)))
        for function in package.functions
        if not (name == "parameters" and function.name.endswith(".__init__"))
    ]


#: Heading, key of `Package.figures`, format.
_COLUMNS = (
    ("files", "files", "d"),
    ("lines", "lines", "d"),
    ("code", "code", "d"),
    ("ternaries", "ternaries", ".1f"),
    ("branches", "branch_points", ".1f"),
    ("docstrings", "docstring_lines", ".1f"),
    ("complexity", "function_complexity", "d"),
    ("parameters", "function_parameters", "d"),
    ("median", "function_lines_median", "g"),
    ("longest", "function_lines", "d"),
)
_NAMES = (("most complex", "function_complexity_of"), ("most parameters", "function_parameters_of"))


def table(packages: Sequence[Package]) -> str:
    """Return the figures as lines of text, numbers to the right; then whose the extremes are."""
    figures = [package.figures() for package in packages]
    cells = [["", *(heading for heading, _, _ in _COLUMNS), *(heading for heading, _ in _NAMES)]]
    for found in figures:
        numbers = [format(found[key], how) for _, key, how in _COLUMNS]
        cells.append([str(found["name"]), *numbers, *(str(found[key]) for _, key in _NAMES)])
    return _aligned(cells, right=range(1, 1 + len(_COLUMNS)))


def targets(package: Package) -> str:
    """Return the targets as lines of text: the limit, what *package* has, met or not, and the function it is about."""
    cells = [[f"targets of {package.name}", "", "measured", "", ""]]
    cells += [
        [found.text, found.limit, f"{found.measured:.6g}", _VERDICTS[found.met], found.function]
        for found in verdicts(package)
    ]
    return _aligned(cells, right=range(2, 3))


_VERDICTS = {True: "met", False: "not met"}


def _aligned(cells: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    """Return *cells* as lines with columns of one width each; the columns *right* are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Return 1 where `--check` finds something over its limit, 2 where nothing can be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.house", description="How dense the code is, next to that of others."
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "--package", action="append", metavar="PATH", type=Path, default=[], help="only this folder or file; repeatable"
    )
    parser.add_argument(
        "--check", action="store_true", help="the core, or the packages given, against the limits; 1 if one is over"
    )
    options = parser.parse_args(arguments)
    try:
        packages = _given(options.package) or ([core()] if options.check else list(_house()))
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        print(f"benchmarks.house: {error}", file=sys.stderr)
        return 2
    over = [line for package in packages for line in exceeded(package)]
    if options.json:
        print(json.dumps(_document(packages, over if options.check else None), indent=1))
    else:
        print("\n\n".join([table(packages), *map(targets, _core_of(packages))]))
    if not options.check:
        return 0
    for line in over:
        print(f"over: {line}", file=sys.stderr)
    return int(bool(over))


def _core_of(packages: Sequence[Package]) -> list[Package]:
    """Return the core, if it was measured as a whole."""
    return [package for package in packages if package.name == _CORE]


def _document(packages: Sequence[Package], over: Sequence[str] | None) -> dict[str, object]:
    """Return the figures, the targets of the core, and what is *over* a limit, if that was asked for."""
    document: dict[str, object] = {"packages": [package.figures() for package in packages]}
    for package in _core_of(packages):
        document["targets"] = [verdict._asdict() for verdict in verdicts(package)]
    if over is not None:
        document |= {"limits": {name: limit.value for name, limit in LIMITS.items()}, "over": over}
    return document


if __name__ == "__main__":
    sys.exit(main())
