"""Messages of policy violations, shared by the analysis of the source and the guard in the worker.

Runs in the child, too: standard library only, and nothing is imported here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import TypedDict

    class Policy(TypedDict):
        """A `SecurityPolicy.to_dict()`."""

        level: str
        modules: list[str] | None
        files: str
        paths: list[str]
        network: bool
        processes: bool
        dynamic: bool


__all__ = ["ATTRIBUTES", "DYNAMIC", "covers", "denied", "violation_message"]

DYNAMIC = frozenset({"breakpoint", "compile", "eval", "exec"})
"""Builtins that run code which no analysis has seen."""

ATTRIBUTES = frozenset(
    {
        # From any object to every class there is, and from any function to the module it is from.
        *("__subclasses__", "__globals__", "__builtins__", "__code__", "__closure__", "__self__"),
        *("__loader__", "__spec__"),
        # From a generator, a coroutine or a traceback to the frames that run it.
        *("gi_frame", "gi_code", "gi_yieldfrom", "cr_frame", "cr_code", "ag_frame", "ag_code", "tb_frame"),
        *("f_back", "f_builtins", "f_code", "f_globals", "f_locals"),
    }
)
"""Attributes that lead from the program's objects to the interpreter's internals."""

_MAX_NAMED = 12
_MAX_TEXT = 500

_NO_MODULES = "Write it in plain Python: no module may be imported."
_NO_FILES = "Keep the data in variables, and leave the result as the last expression."
_NO_NETWORK = "Have the data passed in, or write it into the code as a literal."
# Alternatives to a module, the best first: each with the module that it needs.
_ALTERNATIVES: dict[str, tuple[tuple[str | None, str], ...]] = {
    "collections": ((None, "Use dict.setdefault() and plain lists."),),
    "decimal": ((None, "Count in whole cents with int."),),
    "numpy": (("math", "Use lists and the module math."),),
    "os": (("pathlib", "Use pathlib to read files below the working directory."), (None, _NO_FILES)),
    "pandas": ((None, "Use lists of dicts."),),
    "pathlib": ((None, _NO_FILES),),
    "pickle": (("json", "Use json.dumps() and json.loads()."),),
    "re": ((None, "Use the methods of str: split(), find(), replace()."),),
    "shutil": ((None, _NO_FILES),),
    "statistics": ((None, "Compute it: sum(values) / len(values)."),),
    "subprocess": ((None, "Compute the result in Python."),),
    "sys": ((None, "Use print() for output, and raise an exception to stop."),),
    "tempfile": ((None, _NO_FILES),),
    "time": (("datetime", "Use datetime.datetime.now()."),),
    **dict.fromkeys(
        ("aiohttp", "ftplib", "http", "httpx", "requests", "smtplib", "socket", "urllib"), ((None, _NO_NETWORK),)
    ),
}
_CALL_ALTERNATIVES = {
    "breakpoint": "Use print() to look at values.",
    "compile": "Write the code out as a function.",
    "eval": "Use int() and float() to read numbers, or a dict of functions to choose one.",
    "exec": "Write the code out as a function.",
}
_MESSAGES = {
    "blocked_import": ("Attempted to access restricted module {!r}", "importing {subject!r} {verdict}"),
    "blocked_call": ("Attempted to call restricted function {!r}", "calling {subject} {verdict}"),
    "blocked_attribute": (
        "Attempted to access restricted attribute {!r}",
        "{subject} leads into the interpreter, which {verdict}",
    ),
    "file_read": ("Attempted to read a file: {!r}", "reading files{where} {verdict}"),
    "file_write": ("Attempted to write a file: {!r}", "writing files{where} {verdict}"),
    "network": ("Attempted to use the network: {!r}", "using the network {verdict}"),
    "process": ("Attempted to use a process: {!r}", "starting or signalling processes {verdict}"),
}


def violation_message(kind: str, subject: str) -> str:
    """Return the message of the exception that a violation raises.

    >>> violation_message("blocked_import", "os")
    "Attempted to access restricted module 'os'"
    """
    return _MESSAGES[kind][0].format(subject)


def covers(modules: Collection[str] | None, name: str) -> bool:
    """Return whether *modules* include *name* or one of its parent packages; None includes all.

    >>> covers({"json"}, "json.decoder"), covers({"os.path"}, "os"), covers(None, "os")
    (True, False, True)
    """
    if modules is None or name in modules or name == "__future__":
        return True
    while "." in name:
        name = name.rpartition(".")[0]
        if name in modules:
            return True
    return False


def denied(
    policy: Policy,
    kind: str,
    subject: str,
    operation: str,
    code: str = "",
    line: int | None = None,
    column: int | None = None,
) -> dict[str, object]:
    """Return the fields of a `Violation` of *policy*."""
    where = " outside the working directory" if _allows_some_files(policy, kind) else ""
    level = policy["level"]
    verdict = "would be denied in strict mode" if level == "permissive" else f"is denied in {level} mode"
    return {
        "kind": kind,
        "attempted_operation": _cut(operation),
        "blocked_code": _cut(code),
        "reason": _MESSAGES[kind][1].format(subject=_cut(subject), where=where, verdict=verdict),
        "subject": _cut(subject),
        "alternatives": _alternatives(policy, kind, subject),
        "line": line,
        "column": column,
    }


def _allows_some_files(policy: Policy, kind: str) -> bool:
    files = policy["files"]
    return files == "write" if kind == "file_write" else files in ("read", "write")


def _alternatives(policy: Policy, kind: str, subject: str) -> list[str]:
    if kind == "blocked_import":
        return _import_alternatives(policy, subject)
    if kind == "blocked_call":
        return [_CALL_ALTERNATIVES.get(subject, "Write out what it would do.")]
    if kind == "blocked_attribute":
        return ["Use the values and functions themselves, by their names.", "Use type(value).__name__ for its type."]
    if kind in ("file_read", "file_write"):
        some = "Use a file below the working directory, by a relative path."
        return [some] if _allows_some_files(policy, kind) else [_NO_FILES]
    return [_NO_NETWORK if kind == "network" else "Compute the result in Python, in this process."]


def _import_alternatives(policy: Policy, name: str) -> list[str]:
    top = name.partition(".")[0]
    if not top:  # a relative import
        return ["Import by the full name: the code is part of no package."]
    modules = policy["modules"]
    found = [text for needed, text in _ALTERNATIVES.get(top, ()) if needed is None or covers(modules, needed)][:1]
    if not modules:
        return [*found, _NO_MODULES]
    named = ", ".join(modules[:_MAX_NAMED]) + (", ..." if len(modules) > _MAX_NAMED else "")
    return [*found, f"Use only what may be imported: {named}."]


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."
