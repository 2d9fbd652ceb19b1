"""PyInstaller hook: the modules that the toolkit imports by names that no ``import`` statement has.

A package of the toolkit imports its modules when one of their names is first asked for (`resilience._lazy`), so a
frozen program that says ``resilience.report`` would not find them. Left out is what only an explicit import reaches:
the command line, pytest's plugin, and integrations of libraries that the program need not have.
"""

from __future__ import annotations

from PyInstaller.utils.hooks import collect_submodules

_LEFT_OUT = (
    "resilience._pyinstaller",
    "resilience.__main__",
    "resilience.cli",
    "resilience.execution._jupyter",
    "resilience.integrations._prometheus_multiprocess",
    "resilience.integrations.http.django",
    "resilience.integrations.http.starlette",
    "resilience.integrations.opentelemetry",
    "resilience.integrations.prometheus",
    "resilience.testing._pytest_plugin",
)


def _is_reached_by_name(module: str) -> bool:
    return not any(module == each or module.startswith(f"{each}.") for each in _LEFT_OUT)


hiddenimports = collect_submodules("resilience", filter=_is_reached_by_name)

# The process that executes code reads its program from files: `SubprocessExecutor(python=...)`.
module_collection_mode = {"resilience": "pyz+py"}
