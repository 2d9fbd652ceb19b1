"""The directory of the PyInstaller hook, which PyInstaller finds by the entry point ``pyinstaller40``.

Programs need no option for it: where the toolkit is installed, ``pyinstaller program.py`` uses the hook.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["hook_directories"]


def hook_directories() -> list[str]:
    """Return the directories that PyInstaller looks for hooks in."""
    return [str(Path(__file__).parent)]
