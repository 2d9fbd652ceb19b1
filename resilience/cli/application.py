"""Import of a user's application, with one line of explanation where it fails.

The current directory is importable, as for servers. What the application prints goes to stderr, so that stdout is left
to the command.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import pkgutil
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

from resilience._validation import did_you_mean
from resilience.cli.output import ExitCode, UserError

__all__ = ["import_application"]

_NAMES = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_MAX_FRAMES = 3


def import_application(text: str) -> tuple[ModuleType, object]:
    """Import ``MODULE[:ATTRIBUTE]`` with the current directory importable; return the module and the attribute's value.

    Output of the import goes to stderr. Raises UserError, with a short traceback on stderr where the application raised
    an exception.
    """
    name, colon, attribute = text.partition(":")
    if not _NAMES.fullmatch(name) or (colon and not _NAMES.fullmatch(attribute)):
        raise UserError(f"{text!r} cannot be a module; {_module_advice(name)}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            module = importlib.import_module(name)
            value: object = module
            for part in filter(None, attribute.split(".")):
                value = _attribute(value, part, text)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise _import_failure(name, error, f"install {error.name} where this runs: {sys.executable}") from None
            raise UserError(_not_found(error.name)) from None
        except SystemExit as error:
            raise _import_failure(
                name, error, "put the call that ends the program under if __name__ == '__main__'"
            ) from None
        except UserError:
            raise
        except Exception as error:
            raise _import_failure(name, error, f"check that `python -c 'import {name}'` works here") from None
    return module, value


def _module_advice(name: str) -> str:
    path = name.removesuffix(".py")
    if path != name or "/" in name:
        dotted = ".".join(part for part in Path(path).parts if part not in (".", "..", os.sep))
        if _NAMES.fullmatch(dotted):
            return f"give it as Python imports it: {dotted}"
    return "give it as Python imports it, such as shop.main or shop.main:app"


def _not_found(name: str) -> str:
    parent, _, last = name.rpartition(".")
    if parent:
        where = list(getattr(sys.modules.get(parent), "__path__", []))
        line = f"there is no {last!r} in {parent!r}"
    else:
        where = [str(Path.cwd())]
        line = f"there is no module {name!r}, neither in this directory ({where[0]}) nor installed"
    near = difflib.get_close_matches(last, [module.name for module in pkgutil.iter_modules(where)], n=1)
    if near:
        return f"{line}; did you mean {'.'.join(filter(None, [parent, near[0]]))}?"
    if parent:
        return line
    return f"{line}; run this in the directory that holds it"


def _attribute(value: object, part: str, text: str) -> object:
    try:
        return getattr(value, part)
    except AttributeError:
        meant = did_you_mean(part, dir(value))
        raise UserError(f"{text}: the module was imported, but there is no {part!r} in it{meant}") from None


def _import_failure(name: str, error: BaseException, advice: str) -> UserError:
    # Only the application's own frames, the last ones: not those of the import system or of this file.
    ours = (__file__, importlib.__file__)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in ours and not frame.filename.startswith("<frozen importlib")
    ]
    sys.stderr.write("Traceback (most recent call last):\n")
    if len(frames) > _MAX_FRAMES:
        sys.stderr.write(f"  ... {len(frames) - _MAX_FRAMES} more\n")
    sys.stderr.write("".join(traceback.format_list(frames[-_MAX_FRAMES:])))
    sys.stderr.write("".join(traceback.format_exception_only(error)))
    what = ": ".join(filter(None, [type(error).__qualname__, " ".join(str(error).split())]))
    return UserError(f"{name} raised while it was imported: {what}; {advice}", ExitCode.FAILED)
