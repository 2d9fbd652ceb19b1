"""The hierarchy as it is drawn is the hierarchy as it is, and the table in the documentation is right."""

from __future__ import annotations

import importlib
import json
import pathlib
import pkgutil
import re
import subprocess
import sys

import pytest

import resilience.errors
from resilience.contrib import executor, service
from resilience.errors import ResilienceError

_NAMES = [module.name for module in pkgutil.iter_modules(resilience.errors.__path__)]
MODULES = [*(importlib.import_module(f"resilience.errors.{name}") for name in _NAMES), executor, service]
DOCS = pathlib.Path(resilience.errors.__file__).parents[2] / "docs"

_LINE = re.compile(r"^    ((?:│   |    )*(?:[├└]── )?)([A-Z]\w+) +\S")


def drawn(text: str) -> dict[str, str | None]:
    """Return each class that is drawn, and the one it hangs on."""
    found: dict[str, str | None] = {}
    path: list[str] = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            found[match[2]] = path[depth - 1] if depth else None
    return found


def classes(root: type) -> dict[str, str | None]:
    """Return each class of the toolkit, and the first of its bases that is one."""
    kinds = [root]
    for kind in kinds:
        kinds += [each for each in kind.__subclasses__() if each in _public(root)]
    return {
        kind.__name__: next((base.__name__ for base in kind.__bases__ if base in kinds), None)
        if kind is not root
        else None
        for kind in kinds
    }


def _public(root: type) -> set[type]:
    ported = root.__module__.startswith("resilience.contrib.")
    modules = [module for module in MODULES if ported or not module.__name__.startswith("resilience.contrib.")]
    values = [value for module in modules for value in vars(module).values()]
    return {value for value in values if isinstance(value, type) and issubclass(value, BaseException)}


@pytest.mark.parametrize(
    ("module", "root"),
    [
        (resilience.errors, ResilienceError),
        (service, service.OctoLLMError),
        (executor, executor.PythonExecutorException),
    ],
    ids=["errors", "service", "executor"],
)
def test_the_tree_is_drawn_as_it_is(module, root):
    tree = drawn(module.__doc__)
    assert tree == classes(root)
    assert len(tree) > 5


def test_every_error_of_these_modules_derives_from_the_base_and_is_exported():
    for module in MODULES:
        for name, value in vars(module).items():
            ours = isinstance(value, type) and issubclass(value, BaseException) and value.__module__ == module.__name__
            assert not ours or (issubclass(value, ResilienceError) and name in module.__all__)


def test_all_names_that_are_listed_are_there():
    for module in [resilience.errors, *MODULES]:
        assert all(hasattr(module, name) for name in module.__all__)
    with pytest.raises(AttributeError, match="no attribute 'eror_chain'"):
        _ = resilience.errors.eror_chain


@pytest.mark.parametrize(
    ("page", "modules"),
    [
        ("reference/errors.md", []),
        ("reference/contrib.md", ["resilience.contrib.service"]),
        ("reference/contrib.md", ["resilience.contrib.executor"]),
    ],
)
def test_the_table_in_the_documentation_has_every_code(page: str, modules: list[str]):
    # In a process of its own: the tests declare classes that the table knows nothing of.
    done = codes("--check", str(DOCS / page), *modules)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_the_core_declares_the_codes_of_the_core_alone():
    listed = json.loads(codes("--json").stdout)["codes"]
    assert {row["code"].partition("-")[0] for row in listed} == {"RES"}
    assert {row["error"] for row in listed} == {*drawn(resilience.errors.__doc__)}


def test_a_ported_family_is_declared_by_its_import():
    for module, prefix in [("service", "OCTO"), ("executor", "PYX")]:
        listed = json.loads(codes("--json", f"resilience.contrib.{module}").stdout)["codes"]
        assert {row["code"].partition("-")[0] for row in listed} == {prefix}


def codes(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "resilience.cli", "codes", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_making_an_error_imports_nothing_that_only_showing_one_needs():
    heavy = {"decimal", "uuid", "pathlib", "pickle", "resilience.errors._json_safe", "resilience.errors._pickling"}
    program = (
        f"import sys; before = {heavy} & set(sys.modules)\n"
        "from resilience.errors import ResilienceError\n"
        "class Locked(ResilienceError, code='LIGHT-E001', category='conflict'): ...\n"
        "Locked('m', details={'a': 1}, retry_after=2).with_context(b=2)\n"
        f"assert {heavy} & set(sys.modules) == before, {heavy} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
