"""Guard that holds a running program to a policy: its imports, its builtins, and the operations it performs.

A guard rail for cooperative code, not a security boundary: all of this lives in the process of the program. Runs in the
worker: standard library only, and nothing that is slow to import.

Three parts work together. The namespace of the program has builtins of its own, in which `__import__` and the functions
that run text are replaced; modules keep the real ones. An audit hook sees files, the network and processes, however the
code reaches them. And each refusal is kept until the end: code that swallows the exception is reported all the same.

Libraries probe: they try to read a file or to start a process, and go on without. That must not fail a program. So the
stack decides for whom an operation is: it counts against the program unless an installed package asked for it by
itself, and handled the refusal.
"""

from __future__ import annotations

import builtins
import os
import sys
from _weakref import ref
from errno import EACCES

from resilience.execution._worker import audit, importing
from resilience.execution._worker.policy_messages import ATTRIBUTES, DYNAMIC, denied, violation_message
from resilience.execution._worker.source import Source
from resilience.execution._worker.statements import FILENAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType
    from typing import NoReturn

    from resilience.execution._worker.policy_messages import Policy

__all__ = ["Guard", "SecurityViolation", "install"]

_MAX_REFUSALS = 100
_MAX_CAUSES = 20
# Taken from BaseException, since a class of the program may override the names.
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_NOT_GIVEN = object()
_HERE = os.path.dirname(__file__)  # noqa: PTH120  # pathlib is slow to import
_STANDARD = os.path.dirname(os.__file__)  # noqa: PTH120


class SecurityViolation(PermissionError):
    """The program violated its policy. *violation* holds the fields of a `resilience.report.failure.Violation`.

    It is a PermissionError, as if the system had denied the operation: libraries that probe for optional files handle
    an OSError.
    """

    def __init__(self, violation: dict[str, object]) -> None:
        super().__init__(violation_message(str(violation["kind"]), str(violation["subject"])))
        self.errno: int | None = EACCES
        self.violation = violation

    def __del__(self) -> None:
        refusal = _pending.pop(id(self), None)
        if refusal is not None:
            refusal.judge(self)


class Refusal:
    """One rejected operation. It counts against the program unless a library requested it and handled the exception."""

    def __init__(self, error: SecurityViolation, namespace: dict[str, object], *, counts: bool) -> None:
        self.violation: dict[str, object] = error.violation
        self._namespace = namespace
        self._counts = counts
        # Not kept alive: that would keep the variables of all calls alive.
        self._error = ref(error)
        if not counts:
            _pending[id(error)] = self

    def judge(self, error: SecurityViolation) -> None:
        """Let it count if *error* passed through the program's own code, or if that is unknown."""
        entry = error.__traceback__
        self._counts = self._counts or entry is None
        while entry is not None and not self._counts:
            self._counts = entry.tb_frame.f_globals is self._namespace
            entry = entry.tb_next

    @property
    def is_open(self) -> bool:
        """Whether its exception still exists."""
        return self._error() is not None

    def is_held_against_program(self) -> bool:
        """Return whether it counts against the program."""
        error = self._error()
        if error is not None and not self._counts:
            self.judge(error)
        return self._counts


_pending: dict[int, Refusal] = {}
"""Refusals to judge when their exception is destroyed, by its id. The program could reach an attribute of it."""


class Guard:
    """Holds one namespace to a policy. Its owner can switch it off; the program has no reference to it."""

    __slots__ = (
        "_policy",
        "_refusals",
        "_slots_left",
        "_warn",
        "_warned",
        "filename",
        "libraries",
        "namespace",
        "on",
        "source",
    )

    def __init__(
        self,
        policy: Policy,
        namespace: dict[str, object],
        source: str,
        warn: Callable[[dict[str, object]], object] | None,
    ) -> None:
        self.namespace: dict[str, object] = namespace
        #: Whether operations are checked.
        self.on: bool = True
        self._refusals: list[Refusal] = []
        self._slots_left = {True: _MAX_REFUSALS, False: _MAX_REFUSALS}
        self._policy = policy
        #: Source of the program, for the code in reports. Set later than the policy.
        self.source: str = source
        #: File name of the program. Functions of a session's earlier programs have others.
        self.filename: str = FILENAME
        self._warn = warn
        self._warned: set[tuple[object, ...]] = set()
        #: Directories of installed packages. The program's own modules lie elsewhere.
        self.libraries: tuple[str, ...] = tuple(f"{each}/" for each in sys.path if each and not _is_standard(each))

    def off(self) -> None:
        """Stop checking operations; imports and builtins of the namespace stay guarded."""
        self.on = False

    def refuse(self, kind: str, subject: str, operation: str) -> NoReturn:
        """Raise a `SecurityViolation` with the position in the program."""
        violation = self._violation(kind, subject, operation)
        error = SecurityViolation(violation)
        # Refusals of libraries must not use up the slots for those of the program.
        if not self._slots_left[True]:
            self._drop_harmless()
        by_library = self._slots_left[True] > 0 and self.is_requested_by_library(subject)
        if self._slots_left[by_library]:
            self._slots_left[by_library] -= 1
            self._refusals.append(Refusal(error, self.namespace, counts=not by_library))
        try:
            raise error
        finally:
            del error  # its traceback refers to this frame, which would keep it alive

    def _drop_harmless(self) -> None:
        """Forget refusals that a library has handled, to have slots for more."""
        kept = [refusal for refusal in self._refusals if refusal.is_held_against_program() or refusal.is_open]
        self._slots_left[True] += len(self._refusals) - len(kept)
        self._refusals = kept

    def violation(self, error: BaseException | None) -> dict[str, object] | None:
        """Return the violation that fails a program which ended with *error*, also one whose exception it has caught.

        An operation that a library tried and continued without does not fail it.
        """
        for _ in range(_MAX_CAUSES):
            if error is None:
                break
            if issubclass(type(error), SecurityViolation):
                return error.violation  # type: ignore[attr-defined, no-any-return]
            error = _cause_of(error) or _context_of(error)
        return next(iter(self.violations), None)

    @property
    def violations(self) -> list[dict[str, object]]:
        """Rejected operations that count against the program, in order."""
        return [refusal.violation for refusal in self._refusals if refusal.is_held_against_program()]

    def is_requested_by_library(self, subject: str) -> bool:
        """Return whether an installed package requests *subject* by itself and not for the program.

        The standard library acts for its caller, so the code that called it matters. A subject that the program names
        or passes on is requested by the program: `pandas.read_csv("/etc/passwd")`.
        """
        if subject in self.source:
            return False
        frame: FrameType | None = sys._getframe(1)
        called: FrameType | None = None
        by_library = False
        while frame is not None and frame.f_globals is not self.namespace:
            filename = frame.f_code.co_filename
            if not by_library and not filename.startswith(_HERE):
                by_library = filename.startswith(self.libraries)
                if not by_library and not _is_standard(filename):
                    return False
            frame, called = frame.f_back, frame
        if not by_library:
            return False
        places = [self.namespace, *(each.f_locals for each in (called, frame) if each is not None)]
        return not any(_is_path_to(value, subject) for place in places for value in list(place.values()))

    def warn(self, kind: str, subject: str, operation: str) -> None:
        """Call *warn* once for each line, and allow the operation."""
        if self._warn is None or len(self._warned) >= _MAX_REFUSALS:
            return
        violation = self._violation(kind, subject, operation)
        key = (kind, subject, violation["line"])
        if key not in self._warned:
            self._warned.add(key)
            self._warn(violation)

    def user_frame(self) -> FrameType | None:
        """Return the innermost frame of the program in this thread."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and not self._is_of_program(frame):
            frame = frame.f_back
        return frame

    def _is_of_program(self, frame: FrameType) -> bool:
        earlier = self.filename not in (FILENAME, frame.f_code.co_filename)
        return frame.f_globals is self.namespace and not earlier

    def forget(self) -> None:
        """Forget the rejected operations: the next program of a session begins."""
        self._refusals.clear()
        self._warned.clear()
        self._slots_left = {True: _MAX_REFUSALS, False: _MAX_REFUSALS}

    def _violation(self, kind: str, subject: str, operation: str) -> dict[str, object]:
        """Return a refused operation with the expression of the program that asked for it, by the code's positions."""
        frame = self.user_frame()
        if frame is None:
            return denied(self._policy, kind, subject, operation)  # a thread that runs no function of the program
        source = Source(self.source)
        positions = list(frame.f_code.co_positions())[frame.f_lasti // 2]
        line, end_line, offset, end_offset = positions
        if line is None or end_line is None or offset is None or end_offset is None:
            number = frame.f_lineno
            return denied(self._policy, kind, subject, operation, source.line(number).strip(), number)
        code = source.piece(line, offset, end_line, end_offset)
        return denied(self._policy, kind, subject, operation, code, line, source.column(line, offset))


def _is_path_to(value: object, path: str) -> bool:
    pathlib = sys.modules.get("pathlib")
    if pathlib is not None and (type(value) is pathlib.PosixPath or type(value) is pathlib.PurePosixPath):
        value = str(value)
    return type(value) is str and value.endswith(path)


def _is_standard(filename: str) -> bool:
    inside = filename == _STANDARD or filename.startswith((f"{_STANDARD}/", "<frozen "))
    return (inside and "-packages" not in filename) or filename.endswith(".zip")


def install(
    policy: Mapping[str, object],
    namespace: dict[str, object],
    *,
    source: str = "",
    warn: Callable[[dict[str, object]], object] | None = None,
) -> Guard:
    """Hold the program that will run in *namespace* to *policy*, a `SecurityPolicy.to_dict()`; return its guard.

    *source* is the program, for reports. At level permissive nothing is rejected: *warn* is called with what strict
    would reject. Call it once in a process, after the working directory was changed to the program's: an audit hook
    cannot be removed. Modules that the policy allows are not guarded while they are imported.
    """
    rules: Policy = policy  # type: ignore[assignment]  # typing.cast would cost an import
    guard = Guard(rules, namespace, source, warn)
    namespace["__builtins__"] = _builtins(guard, rules)
    if rules["files"] != "all":
        sys.dont_write_bytecode = True  # what is imported later would write where it must not
    audit.install_hook(guard, rules)
    return guard


def _builtins(guard: Guard, policy: Policy) -> dict[str, object]:
    """Return the builtins of the program's namespace: the real ones, but for those that the policy holds back."""
    found = dict(vars(builtins))
    if policy["modules"] is not None:
        # From Python 3.15 on `lazy import os` asks `__lazy_import__`: what it imports is decided there and then.
        found |= dict.fromkeys(
            {"__import__", "__lazy_import__"} & found.keys(), importing.guarded_importer(guard, policy)
        )
    if policy["files"] == "none":
        found["open"] = _denied_open(guard)
    if not policy["dynamic"]:
        for name in DYNAMIC:
            found[name] = _denied_call(guard, name)
        found["getattr"] = _guarded_getattr(guard)
        del found["__loader__"], found["__spec__"]
    return found


def _denied_call(guard: Guard, name: str) -> Callable[..., object]:
    def refused(*_arguments: object, **_options: object) -> NoReturn:
        guard.refuse("blocked_call", name, f"call {name}")

    return _named(refused, name)


def _denied_open(guard: Guard) -> Callable[..., object]:
    def refused(file: object = "", mode: object = "r", *_arguments: object, **_options: object) -> NoReturn:
        kind = "file_write" if isinstance(mode, str) and audit.is_write_mode(mode) else "file_read"
        guard.refuse(kind, audit.path_name(file), kind)

    return _named(refused, "open")


def _guarded_getattr(guard: Guard) -> Callable[..., object]:
    real = getattr

    def guarded(target: object, name: str, default: object = _NOT_GIVEN, /) -> object:
        # A subclass of str may say that it is anything.
        plain = str.__str__(name) if isinstance(name, str) else name
        if plain in ATTRIBUTES:
            guard.refuse("blocked_attribute", plain, f"access {plain}")
        return real(target, plain) if default is _NOT_GIVEN else real(target, plain, default)

    return _named(guarded, "getattr")


def _named(function: Callable[..., object], name: str) -> Callable[..., object]:
    function.__name__ = function.__qualname__ = name
    function.__module__ = "builtins"
    return function
