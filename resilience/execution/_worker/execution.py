"""Run of a program inside the worker: compile, execute within limits, report to the parent.

Limits and guard are in force while code of the program runs, and lifted while its report is made. The process ends by
`os._exit` or by the parent's SIGKILL: Python's own exit runs destructors, and may wait for threads without end.

The program shares the interpreter with this module and may have changed anything in it: builtins, `sys.stdout`, signal
handlers, the recursion limit, descriptors. So nothing here trusts a value of the program to behave. A method of it is
called within the time limit and may raise anything; what cannot be rendered is left out of the result. And where no
result can be made at all, the worker says so: silence with exit status 0 must not pass for success.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import warnings

from resilience.execution._worker.artifacts import Artifacts
from resilience.execution._worker.event_loop import ProgramLoop
from resilience.execution._worker.exit_handlers import ExitHandlers
from resilience.execution._worker.fallback_capture import capture_class_only
from resilience.execution._worker.framing import HEADER, ChannelClosed, decode_message, encode_frame
from resilience.execution._worker.guard import install
from resilience.execution._worker.import_hooks import ImportHooks
from resilience.execution._worker.line_tracer import LineTracer
from resilience.execution._worker.loading import limit_extension_loading
from resilience.execution._worker.program_names import names_of, renamed
from resilience.execution._worker.result_encoding import (
    encode_named,
    encode_value,
    encode_variables,
    has_special_floats,
    safe_repr,
)
from resilience.execution._worker.statements import FILENAME, Program, main_module, register_source, session_filename
from resilience.execution._worker.timer import Timer
from resilience.execution._worker.variables import VariablesError, load_variables
from resilience.report._capture import capture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO

    from resilience.execution._worker.framing import Channel
    from resilience.execution._worker.guard import Guard
    from resilience.execution._worker.limits import Limits
    from resilience.execution._worker.messages import Policy, Request
    from resilience.execution._worker.recorder import Recorder
    from resilience.execution._worker.statements import Statement
    from resilience.report._safe_repr import SafeRepr
    from resilience.report.captured_exception import Captured

__all__ = ["ProgramRun"]

_HERE = os.path.dirname(__file__)  # noqa: PTH120  # pathlib is slow to import
_MAX_WARNINGS = 100
_MAX_TEXT = 1000
_MIN_RECURSION_LIMIT = 1000
_COLLECTING_SECONDS = 10.0
"""Time for figures and tables. The parent kills the worker a little later."""
_MAX_UNLIMITED_COMPILE = 4096
"""Characters of a source that is compiled without a memory limit: it needs only some megabytes."""


_REHEARSALS = 8
_REHEARSAL: Request = {
    "kind": "run",
    "code": "pass\n1",
    "timeout": 30.0,
    "memory": 1 << 30,
    "checked": True,
    "session": 0,
}


class ProgramRun:
    """Runs the program of this process.

    Owns the ``__main__`` module, the timer, the guard and the limits. `sanitize_process` and `prepare` may be called
    before the request is known; `run` executes it, sends the result and does not return. In a session it executes one
    program after the other, which share the module.

    A program passes through stages: ``compile``, ``split`` into statements, ``run``. The stage in which an exception
    comes decides whether it is a syntax error or the program's own. A fork of the process carries the program on, but
    neither sends nor records.
    """

    def __init__(self, channel: Channel, recorder: Recorder, limits: Limits) -> None:
        self._channel = channel
        self._recorder = recorder
        self._limits = limits
        self._is_fork = False
        self._is_rehearsal = False
        self._main = main_module()
        self._imports = ImportHooks()
        self._artifacts = Artifacts(self._send)
        self._timer = Timer(FILENAME, channel, recorder.descriptor)
        self._lines = LineTracer(self._on_line)
        self._loop = ProgramLoop()
        self._exit_handlers = ExitHandlers()
        self._request: Request
        self._statements: list[Statement] = []
        self._guard: Guard | None = None
        self._stage = "compile"
        self._warnings_left = _MAX_WARNINGS
        self._value: object = None
        self._wanted: dict[str, object] = {}
        """Variables that the request names."""
        self._has_artifacts = False
        self._can_render = False
        self._is_measured = False
        self._limits_loading = False
        self._filename = FILENAME
        self._sources: dict[str, str] = {}

    def sanitize_process(self) -> None:
        """Make this process look like a fresh interpreter that runs a script: remove the toolkit from `sys.modules`."""
        names = [name for name in sys.modules if name.partition(".")[0] == "resilience"]
        self._own_modules = {name: sys.modules.pop(name) for name in names}
        self._main.__dict__["__builtins__"] = sys.modules["builtins"]
        sys.modules["__main__"] = self._main
        sys.argv[:] = [FILENAME]
        self._show_warning = warnings.showwarning
        warnings.showwarning = self._warn
        os.register_at_fork(after_in_child=self._detach_fork)
        faulthandler.enable(self._recorder.descriptor, all_threads=False)
        self._timer.install()

    def prepare(self, policy: Policy) -> None:
        """Do in advance whatever is slow the first time. Called while the worker is idle."""
        self.install(policy)
        Program("1").statements()
        self._exit_handlers.prepare()
        self._rehearse()
        self._limits.compare_peaks()
        self._limits.measure()
        self._is_measured = True

    def _rehearse(self) -> None:
        """Run a program that does nothing, and drop its results.

        The first call of a function takes several times as long as the next ones, and CPython specialises it after
        eight. The program is one of a session, so that its limits can be lifted afterwards. It leaves no trace: nothing
        is recorded as begun, no module is imported, and no name defined.
        """
        self._is_rehearsal = True
        for _ in range(_REHEARSALS):
            frame = encode_frame(self._channel.token, _REHEARSAL)
            request: Any = decode_message(frame[HEADER:])
            self._execute(request)
            self._forget_program()
        self._sources.clear()
        sys.modules["linecache"].cache.pop(FILENAME, None)
        self._is_rehearsal = False

    def install(self, policy: Policy) -> Guard:
        """Install the guard, switched off."""
        self._policy = policy
        if not policy["processes"]:
            os.environ.setdefault("JOBLIB_MULTIPROCESSING", "0")  # joblib then runs its jobs in this process
        self._guard = install(policy, self._main.__dict__, warn=self._warn_of_violation)
        self._guard.off()
        return self._guard

    def run(self, request: Request) -> None:
        """Run the program of *request*, send the result, and exit the process; in a session, once that has ended."""
        code = 1
        try:
            code = self._execute(request)
            while "session" in request and not self._is_fork:
                request = self._next_request()
                code = self._execute(request)
            self._await_kill(code)
        except ChannelClosed:
            pass
        except VariablesError as problem:
            self._send({"kind": "no_variables", "text": str(problem)[:_MAX_TEXT]})
        except BaseException as problem:  # there is no report, and the parent must not take that for a success
            code = 1
            self._send({"kind": "no_report", "text": f"{type(problem).__name__}: {problem}"[:_MAX_TEXT]})
        finally:
            os._exit(code)  # Python's own exit runs destructors, and may wait for threads without end

    def _execute(self, request: Request) -> int:
        """Run the program of *request*, send the result, and return the exit code."""
        self._begin(request)
        error = self._run_limited(self._compile_and_run if request["checked"] else self._compile)
        if isinstance(error, VariablesError):
            raise error
        if error is None and not request["checked"]:
            self._channel.receive()  # the start message
            error = self._run_limited(self._run)
        if error is None and self._has_artifacts:
            self._collect_artifacts()
            error = self._run_limited(self._end_program)
        result, code = self._result(error)
        self._resume_program()
        if error is not None and not self._timer.fired:
            self._run_limited(self._end_program)
        _flush()
        if self._can_render:
            self._timer.stop_rendering()
        self._send({**result, "exit_code": code, "seconds": self._timer.elapsed, "peak": self._limits.peak_memory()})
        return code

    def _begin(self, request: Request) -> None:
        """Take over a request. From the record of it on, the parent gives the program to no other worker."""
        self._request = request
        self._filename = self._timer.filename = self._loop.filename = session_filename(request.get("session", 0))
        self._limits.is_for_session = "session" in request
        if not self._is_rehearsal:
            self._recorder.begin()
        self._timer.set_limit(request["timeout"])
        if "directory" in request:
            os.chdir(request["directory"])

    def _next_request(self) -> Request:
        """Wait for the next program of the session, and make ready for it."""
        request: Any = self._channel.receive()
        self._forget_program()
        return request  # type: ignore[no-any-return]

    def _forget_program(self) -> None:
        """Make ready for another program: undo everything but what the last one has defined."""
        if self._guard is not None:
            self._guard.off()
            self._guard.forget()
        self._recorder.reset()
        self._limits.lift()
        self._stage = "compile"
        self._statements = []
        self._warnings_left = _MAX_WARNINGS
        self._value, self._wanted, self._has_artifacts = None, {}, False
        self._can_render = self._is_measured = False

    def _detach_fork(self) -> None:
        """Detach a fork of this process: it continues the program and must neither send messages nor record."""
        self._channel.detach()
        self._recorder.detach()
        self._is_fork = True

    def _run_limited(self, function: Callable[[], object]) -> BaseException | None:
        """Call *function* within the time limit; return its exception, also that of the limit."""
        try:
            try:
                self._timer.start()
                function()
            finally:
                self._timer.stop()
        except BaseException as error:
            self._limits.release_reserve()
            self._timer.stop()  # again: the alarm may have come within the first `stop`
            return error
        return None

    def _load_variables(self) -> None:
        """Define the variables of the request."""
        pickled = self._channel.receive_bytes(self._request.get("pickled", 0))
        self._stage = "run"  # a MemoryError here is not the compiler's
        self._main.__dict__.update(load_variables(self._request.get("given", {}), pickled))
        self._is_measured = self._is_measured and not pickled  # they count for the interpreter, not for the program
        self._stage = "compile"

    def _compile(self) -> None:
        """Compile the program, and define its variables. A long source has a memory limit even for that."""
        if "given" in self._request:
            self._load_variables()
        if len(self._request["code"]) > _MAX_UNLIMITED_COMPILE:
            self._limits.limit_compiler(self._request["memory"])
        program = Program(self._request["code"], self._filename)
        self._stage = "split"
        self._statements = program.statements()

    def _compile_and_run(self) -> None:
        self._compile()
        self._run()

    def _run(self) -> None:
        """Execute the statements under guard and limits, and the end of the program if nothing comes before it.

        Each statement is recorded when it has completed: of a process that is killed, only the record is left.
        """
        statements = self._statements
        self._limits.set_processor(self._request["timeout"])
        self._lines.watch(statements, functions=self._request.get("trace", False))
        namespace = self._main.__dict__
        self._watch()
        self._add_directory()
        self._sources[self._filename] = self._request["code"]
        self._imports.add("linecache", self._register_source)
        self._artifacts.watch(self._imports)
        self._imports.install()
        if (
            not self._is_measured or len(self._request["code"]) > _MAX_UNLIMITED_COMPILE
        ):  # compiling may have taken much
            self._limits.measure()
        self._limits.set_memory(self._request["memory"])
        if not self._limits_loading:
            self._limits_loading = True
            limit_extension_loading(self._limits)
        self._stage = "run"
        completed = last = 0
        for statement in statements:
            self._lines.begin_statement(statement)
            value: Any = eval(statement.code, namespace)  # noqa: S307  # the program itself
            if statement.is_async:
                value = self._loop.run(value)
            if statement.is_value:
                self._value = value
            completed += statement.end_line - max(statement.line, last + 1) + 1
            last = statement.end_line
            self._recorder.statement_done(completed, last, statement.end_column)
        self._wanted = {name: namespace[name] for name in self._request.get("variables", ()) if name in namespace}
        self._has_artifacts = self._artifacts.are_expected(self._value, self._wanted)
        if not self._has_artifacts:  # they come before the exit handlers, one of which closes all figures
            self._end_program()

    def _register_source(self, linecache: Any) -> None:
        """Have tracebacks and `inspect` find the sources of this program, and of the session's earlier ones."""
        for filename, source in self._sources.items():
            register_source(linecache, source, filename)

    def _end_program(self) -> None:
        """Cancel the tasks of the program, wait for its threads and run its exit handlers. A session keeps them."""
        if "session" not in self._request:
            self._loop.close()
            self._exit_handlers.run()

    def _collect_artifacts(self) -> None:
        """Capture figures and tables, with some time of their own: the program has ended within its limit."""
        self._send({"kind": "collecting"})
        before = self._timer.begin_extra(_COLLECTING_SECONDS)
        error = self._run_limited(lambda: self._artifacts.collect(self._value, self._wanted))
        self._timer.end_extra(before)
        if error is not None:
            self._send({"kind": "note", "text": f"figures and tables are not complete: {_one_line(error)}"})

    def _watch(self) -> None:
        """Switch the guard on; install a new one if the prepared one has another policy or directory."""
        request, guard = self._request, self._guard
        if guard is None or "policy" in request or "directory" in request:
            guard = self.install(request.get("policy") or self._policy)
        guard.source, guard.filename = request["code"], self._filename
        guard.on = True

    def _add_directory(self) -> None:
        """Append the working directory to `sys.path`, unless the program may write there.

        The code of a module is not guarded while it is imported: a module that the program could write would escape the
        policy.
        """
        request = self._request
        policy = request.get("policy") or self._policy
        if "directory" in request and policy["files"] != "write":
            sys.path.append(request["directory"])

    def _result(self, error: BaseException | None) -> tuple[dict[str, object], int]:
        """Return the result message and the exit code. The program's main thread has ended."""
        if self._timer.is_near_limit:
            self._send({"kind": "program_ended"})
        self._suspend_program()
        code = 1 if self._timer.fired else 0 if error is None else _exit_code(error)
        result: dict[str, object] = {
            "kind": "result",
            "stage": "run" if self._stage == "run" or self._is_out_of_memory(error) else "compile",
            "timed_out": self._timer.fired,
            "variables": {},
            "notes": [],
        }
        if self._timer.fired:
            result["timed_out_at"] = self._timer.line
        if "session" in self._request:
            result["names"] = names_of(self._main.__dict__)
        violation = self._violation(error)
        if violation is not None:
            result["violation"] = violation
        self._add_values(result, is_success=code == 0)
        if code and error is not None:
            captured = self._captured(error)
            result["exception"] = captured
            result["at_memory_limit"] = self._limits.was_memory_exhausted()
            _print_traceback(error, captured["traceback"])
        return result, code

    def _add_values(self, result: dict[str, Any], *, is_success: bool) -> None:
        """Add value and variables to *result*: of a success whole, of a failure as short texts."""
        names = self._request.get("variables")
        namespace = self._main.__dict__
        try:
            if is_success:
                result["value"], result["notes"] = encode_value(self._value, self._safe_repr)
            if is_success and names is not None:
                result["variables"], notes = encode_named(namespace, names, self._safe_repr)
                result["notes"] = result["notes"] + notes
            else:
                result["variables"] = encode_variables(namespace, names, self._safe_repr)
        except BaseException:  # a value whose methods raise anything
            result["variables"] = {}
        if has_special_floats(result.get("value")) or has_special_floats(result["variables"]):
            import json

            values = {name: result.pop(name, None) for name in ("value", "variables")}

            result["special"] = json.dumps(values)  # as a text: a frame takes no NaN

    def _captured(self, error: BaseException) -> Captured:
        """Return *error* as plain data. An exception that breaks the capture is reported by its class alone."""
        self._prepare_rendering()
        try:
            captured = capture(error, source=self._request["code"], filename=self._filename, hidden=_is_own_file)
            return renamed(captured, self._filename)  # type: ignore[arg-type, return-value]  # JSON of the same shape
        except BaseException:  # an exception, or a value it refers to, whose methods raise anything
            return capture_class_only(error)

    def _suspend_program(self) -> None:
        """Lift what would disturb the report: limits, guard, a low recursion limit, trace functions."""
        self._limits.release_reserve()
        if self._guard is not None:
            self._guard.off()
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _MIN_RECURSION_LIMIT))
        sys.settrace(None)
        sys.setprofile(None)

    def _safe_repr(self) -> SafeRepr:
        self._prepare_rendering()
        return safe_repr()

    def _prepare_rendering(self) -> None:
        """Make the toolkit importable again and limit the time that rendering values may take."""
        if not self._can_render:
            self._can_render = True
            sys.modules.update(self._own_modules)
            self._timer.limit_rendering()

    def _resume_program(self) -> None:
        """Let the program continue with its threads and exit handlers: guard on, toolkit hidden again."""
        if self._guard is not None:
            self._guard.on = True
        if self._can_render:
            for name in self._own_modules:
                sys.modules.pop(name, None)

    def _is_out_of_memory(self, error: BaseException | None) -> bool:
        return _is_instance(error, MemoryError) and self._limits.is_compiler_out_of_memory()

    def _violation(self, error: BaseException | None) -> object:
        """Return the violation that fails the program, also one whose exception it has caught."""
        return None if self._guard is None else self._guard.violation(error)

    def _on_line(self, line: int) -> None:
        """Record a line that is reached for the first time, and report it if the request traces lines."""
        self._recorder.line_reached(line)
        if self._request.get("trace"):
            self._send({"kind": "line", "line": line})

    def _warn_of_violation(self, violation: dict[str, object]) -> None:
        self._send_warning(str(violation["reason"]), violation["line"])

    def _warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Take the place of `warnings.showwarning`: report a warning of the program, and show it as usual."""
        if self._stage == "split":
            return  # compiling the whole source has warned already
        if filename == self._filename:
            self._send_warning(f"{category.__name__}: {message}", lineno)
        self._show_warning(message, category, filename, lineno, file, line)

    def _send_warning(self, text: str, line: object) -> None:
        if self._warnings_left:
            self._warnings_left -= 1
            self._send({"kind": "warning", "text": text[:_MAX_TEXT], "line": line})

    def _await_kill(self, code: int) -> None:
        """Wait for the parent's SIGKILL. An exit takes 1 ms of CPU that the parent would compete for."""
        if not self._is_fork:
            self._timer.exit_soon(code)
            self._channel.wait()

    def _send(self, message: dict[str, object]) -> None:
        if self._is_rehearsal:
            encode_frame(self._channel.token, message)
        elif not self._is_fork:
            self._channel.send(message)


def _one_line(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:_MAX_TEXT]
    except BaseException:  # its own __str__ fails
        return type(error).__name__


def _is_own_file(filename: str) -> bool:
    return filename.startswith(_HERE)


def _is_instance(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Return whether *error* is a *kind* by its type: `isinstance` would also ask its `__class__`, which may lie."""
    return issubclass(type(error), kind)


def _exit_code(error: Any) -> int:
    """Return Python's exit code for *error*."""
    if not _is_instance(error, SystemExit):
        return 1
    code = error.code
    if code is None:
        return 0
    return code & 0xFF if type(code) is int else 1


def _print_traceback(error: Any, traceback: str) -> None:
    """Write to the program's stderr what Python would write."""
    if _is_instance(error, SystemExit):
        traceback = "" if error.code is None or type(error.code) is int else f"{error.code}"
    if not traceback:
        return
    try:
        sys.stderr.write(f"{traceback.rstrip()}\n")
    except BaseException:  # closed or replaced by the program
        os.write(2, f"{traceback.rstrip()}\n".encode("utf-8", "replace"))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: S112  # closed or replaced by the program
            continue
