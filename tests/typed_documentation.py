"""The documentation as modules for type checkers: the Python blocks of a page, in order, are one module.

`write_modules` writes them. Both checkers read them in their strict modes. Left out is what concerns the layout
of a page, where a name is defined again in a later block and a prompt shows the value of an expression.
"""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: The recipes are files that a test of their own checks.
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name != "recipes.md")]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

#: Said in the module: settings that are not the project's would have mypy check the project once more.
_MYPY = '# mypy: disable-error-code="no-redef"\n'
_PYRIGHT = {
    "typeCheckingMode": "strict",
    "pythonVersion": "3.11",
    "reportRedeclaration": False,
    "reportUnusedExpression": False,
    "reportUnusedFunction": False,
    "reportUnusedClass": False,
}


def module_of(page: str) -> str:
    """Return the code of a page: a prompt's lines as statements, what it prints as comments."""
    blocks = [doctest.script_from_examples(block) if ">>>" in block else block for block in BLOCK.findall(page)]
    return "\n\n".join(blocks)


def write_modules(folder: Path) -> None:
    """Write a module for each page that has code, and the settings of pyright."""
    for page in PAGES:
        code = module_of(page.read_text("utf-8"))
        if code:
            name = page.stem.lower().replace("-", "_")
            (folder / f"{name}_page.py").write_text(_MYPY + code, "utf-8")
    write_settings(folder)


def write_settings(folder: Path) -> None:
    """Write the settings of pyright."""
    (folder / "pyrightconfig.json").write_text(json.dumps(_PYRIGHT), "utf-8")


def errors_of_mypy(folder: Path) -> list[str]:
    """Return the errors that mypy finds in the modules of *folder*, with the settings of the project."""
    settings, cache = ROOT / "pyproject.toml", ROOT / ".mypy_cache"
    command = ["mypy", "--config-file", str(settings), "--cache-dir", str(cache), "--no-pretty", "."]
    found = _run([sys.executable, "-m", *command, "--python-executable", sys.executable], folder)
    return [line for line in found.splitlines() if ": error: " in line]


def errors_of_pyright(folder: Path) -> list[str]:
    """Return the errors that pyright finds in the modules of *folder*, each in a line."""
    found = _run([sys.executable, "-m", "pyright", "-p", ".", "--pythonpath", sys.executable, "--outputjson"], folder)
    return [
        f"{Path(each['file']).name}:{each['range']['start']['line'] + 1}: {each['message'].splitlines()[0]}"
        for each in json.loads(found)["generalDiagnostics"]
        if each["severity"] == "error"
    ]


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    return done.stdout
