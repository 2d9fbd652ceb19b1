"""Output that all commands share: exit codes, errors of one line, JSON documents, hints at missing libraries."""

from __future__ import annotations

import enum
import importlib.util
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar, TypeVarTuple, Unpack

__all__ = ["ExitCode", "UserError", "counted", "libraries_of", "print_json", "require_libraries", "run_async"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ExitCode(enum.IntEnum):
    """Exit codes of all commands. `resilience run` has more, by category: `script.EXIT_CODES`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130
    """128 + SIGINT, as shells count."""


class UserError(Exception):
    """A failure of a command that the user can mend, as one line for the terminal."""

    def __init__(self, line: str, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(line)
        self.code = code

    def document(self) -> dict[str, object]:
        """Return the document that `--json` prints."""
        return {"error": str(self), "exit_code": int(self.code)}


def print_json(document: Mapping[str, object]) -> None:
    """Print the one document of a `--json` run."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    sys.stdout.flush()


def run_async(function: Callable[[Unpack[Ts]], Awaitable[T]], *arguments: *Ts, backend: str) -> T:
    """Run an async function on the event loop named."""
    import anyio

    # Ctrl-C on trio lands on whatever line runs, in a destructor too, where Python prints it and carries on.
    options = {"trio": {"restrict_keyboard_interrupt_to_checkpoints": True}}
    return anyio.run(function, *arguments, backend=backend, backend_options=options.get(backend, {}))


def libraries_of(backend: str) -> tuple[str, ...]:
    """Return the libraries that an event loop needs beside anyio."""
    return {"trio": ("trio",)}.get(backend, ())


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "attempt"), counted(3, "attempt")
    ('1 attempt', '3 attempts')
    """
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


def require_libraries(*libraries: str) -> None:
    """Raise UserError unless all of *libraries* can be imported."""
    missing = [library for library in libraries if importlib.util.find_spec(library) is None]
    if missing:
        verb = {1: "is"}.get(len(missing), "are")
        raise UserError(
            f"{' and '.join(missing)} {verb} missing; install it with: pip install 'category-resilience[cli]'"
        )
