"""Diagnosis of executions that hit a limit: time, memory, signals, exit codes.

No exception says where a stopped program was, so these diagnosers go by the progress that the worker has recorded: the
last line, the loop around it, the variables of its condition. The loop is judged by its source alone, and is called
endless only where nothing in it can change its condition or leave it. Limits are named as the caller gave them, times
in seconds.
"""

from __future__ import annotations

import ast
import re
import signal

from resilience.report._diagnosis.ast_utils import parsed
from resilience.report._diagnosis.context import FailureContext, as_int, as_texts, known_facts
from resilience.report._diagnosis.text import join_words, phrase, plural, single_line
from resilience.report._diagnosis.variable_origins import variable_factors
from resilience.report.diagnosis import Diagnosis

__all__ = ["ended", "memory", "timeout"]

_SIGNAL = re.compile(r"\b(SIG[A-Z0-9]+)\b|signal (\d{1,2})\b")
_EXIT = re.compile(r"exit(?:ed|s)?(?: with)?(?: code| status)? (-?\d+)|exit code:? (-?\d+)")
_WAITS = ("sleep", "input", "wait", "join", "recv", "accept", "acquire", "get", "read", "select")
_SIGNALS = {
    "SIGSEGV": (
        "it read or wrote memory that is not its own (segmentation fault)",
        "Look for the call into C code on the last line that was reached: ctypes, an extension, very deep recursion.",
        "Do it in plain Python.",
    ),
    "SIGKILL": (
        "it was killed from outside, most often for its use of memory",
        "Use less memory: go through the data piece by piece.",
        "Look whether the limit for memory is too small for the data.",
    ),
    "SIGABRT": (
        "it aborted itself, from C code or the interpreter",
        "Look at what it printed last, and at the extension that was called.",
    ),
    "SIGXCPU": (
        "it used up its time on the processor",
        "Take a better algorithm, or less data.",
        "Raise the limit for time if the work is needed.",
    ),
    "SIGXFSZ": ("it wrote a file larger than it may", "Write less, or in several files."),
    "SIGTERM": ("it was asked to end from outside", "Run it again if that was not intended."),
    "SIGINT": ("it was interrupted by Ctrl-C", "Run it again if it should continue."),
    "SIGFPE": (
        "C code computed something impossible, such as a division of whole numbers by zero",
        "Test the numbers before they go into C code.",
    ),
    "SIGILL": (
        "the processor does not know an instruction of it",
        "Install a build of the package that is made for this machine.",
    ),
    "SIGBUS": (
        "it read memory that is no longer there, such as of a file that became shorter",
        "Do not shorten files that are mapped into memory.",
    ),
    "SIGPIPE": ("the reader of its output has ended", "Find out why the reader ended first."),
    "SIGALRM": ("its own alarm went off, and no handler is set", "Remove signal.alarm(), or handle SIGALRM."),
}


def timeout(context: FailureContext) -> Diagnosis | None:
    r"""Diagnose a program that ran longer than it may, by the innermost loop around the last line.

    A ``while`` loop that cannot end, by its source, is the cause. Of any other loop the advice is to bring it nearer to
    its end, or to do less in each round; of a call that waits, to wait for a shorter time.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.EXECUTION_TIMEOUT,
    ...     error_type="ExecutionTimeout",
    ...     message="",
    ...     source="while True:\n    count += 1",
    ...     line=2,
    ... )
    >>> timeout(FailureContext(failure)).contributing_factors
    ('`while True` on line 1 has no break: it never ends',)
    """
    limit = context.specific("timeout_limit")
    line = _line(context)
    code = context.line_at(line).strip() or context.code
    during = phrase("{} seconds", limit) or "the time limit"
    loop = _loop(context, line)
    tips: list[str] = []
    facts = variable_factors(context)
    if isinstance(loop, ast.While):
        condition = single_line(ast.unparse(loop.test), 60)
        unchanged = _unchanged(loop)
        if _is_always(loop.test) and not _leaves(loop):
            facts.insert(0, f"`while {condition}` on line {loop.lineno} has no break: it never ends")
            tips.append(f"Give the loop on line {loop.lineno} a way out: a break, or a condition that becomes false.")
        elif unchanged:
            facts.insert(
                0, f"the loop on line {loop.lineno} changes none of the variables of its condition, {condition}"
            )
            tips.append(
                f"Change {unchanged[0]} in the loop on line {loop.lineno}, so that `{condition}` becomes false."
            )
        else:
            tips.append(
                f"Make sure that every round of the loop on line {loop.lineno} comes nearer to its end: `while "
                f"{condition}`."
            )
    elif loop is not None:
        tips.append(
            f"The loop on line {loop.lineno} goes through {single_line(ast.unparse(loop.iter), 60)}: take less of it, "
            "or do less in each round."
        )
    waits = _call(code)
    if waits:
        tips.append(f"{waits}() on line {line} waits: leave it out, or give it a shorter time.")
    tips.append("Try it on a small part of the data first, and measure how the time grows.")
    tips.append("Replace loops in loops by a dict or set look-up; keep what was computed already (functools.cache).")
    tips.append(f"Raise the limit ({during}) only if the work really needs longer.")
    where = phrase(", at line {}", line) + phrase(": {}", single_line(code, 80))
    return Diagnosis(
        immediate_cause=f"the program was still running after {during}{where}",
        contributing_factors=tuple(facts),
        suggestions=tuple(tips),
        specifics=known_facts(last_executed_line=line),
    )


def memory(context: FailureContext) -> Diagnosis | None:
    """Diagnose a program that needs more memory than it may have, by the look of the last line.

    It tells a value that is large at once, ``[0] * 10**9``, from a list that grows and a file that is read as a whole.
    Where the limit is below what imported libraries take, these are the cause.
    """
    limit, used = context.specific("memory_limit"), context.specific("memory_used")
    line = _line(context)
    code = context.line_at(line).strip() or context.code
    needed, libraries = context.specific("memory_needed"), as_texts(context.specifics.get("libraries"))
    if needed and libraries:
        return _libraries(context, libraries, needed, limit)
    tips: list[str] = []
    if re.search(r"\[[^\]]*\]\s*\*|\*\s*\[|\*\s*10\s*\*\*|\*\s*\d{6,}|<<\s*\d{2,}", code):
        tips.append(
            f"Line {line} makes a very large value at once: make it smaller, or make its parts when they are needed."
        )
    elif re.search(r"\[.+ for .+ in .+\]", code):
        tips.append(f"Make a generator of the list on line {line}: ( ) in place of [ ], and go through it once.")
    elif re.search(r"\.append\(|\+=|\.extend\(", code):
        tips.append(f"Line {line} lets something grow: keep only what is needed, and make sure that the loop ends.")
    elif re.search(r"\.read\(\)|readlines\(\)|read_csv|json\.load", code):
        tips.append(f"Line {line} reads everything at once: go through the file line by line, `for line in file:`.")
    tips.append("Go through the data piece by piece, with generators, and keep only the result.")
    tips.append("Delete large values that are no longer needed: del name.")
    tips.append(f"Raise the limit{phrase(' ({})', limit)} if all of it must be in memory at once.")
    what = f"more memory than {phrase('the limit of {}', limit) or 'there is'}"
    where = phrase(" on line {}", line) + phrase(": {}", single_line(code, 80))
    return Diagnosis(
        immediate_cause=f"the program needs {what}{phrase(' (it had {})', used)}{where}",
        contributing_factors=tuple(variable_factors(context)),
        suggestions=tuple(tips),
    )


def _libraries(context: FailureContext, libraries: tuple[str, ...], needed: str, limit: str) -> Diagnosis:
    """Say that the limit is too low for the libraries alone: *needed* is the least that they take, as in ``600MB``."""
    number = len(libraries)
    named, verb = join_words(libraries), plural(number, "takes", "take")
    allowed = f"the limit{phrase(' of {}', limit)}"
    return Diagnosis(
        immediate_cause=f"{named} {verb} more memory than {allowed}: at least {needed}",
        contributing_factors=tuple(variable_factors(context)),
        suggestions=(
            *_fewer_threads(context),
            f"Raise the limit to at least {needed} for {named}: memory_limit={needed!r}.",
            f"Or do without {plural(number, 'it', 'them')}: the standard library takes next to nothing.",
        ),
    )


def _fewer_threads(context: FailureContext) -> tuple[str, ...]:
    """Advise one thread where the environment of the program asks for more: the libraries of numpy reserve memory for
    each.
    """
    threads = as_int(context.specifics.get("threads"))
    if threads is None:
        return ()
    return (f"Leave OPENBLAS_NUM_THREADS and OMP_NUM_THREADS at 1: each of the {threads} threads takes 40 to 100MB.",)


def ended(context: FailureContext) -> Diagnosis | None:
    """Diagnose a process that ended by a signal or with an exit code, and without an exception.

    The signal is one that the worker reported, or that the message names: ``SIGSEGV``, ``signal 11``.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> message = "the process exited with code 3"
    >>> failure = Failure(category=ErrorCategory.RUNTIME, error_type="ProcessEnded", message=message)
    >>> ended(FailureContext(failure)).specifics
    {'exit_code': 3}
    """
    name = context.specific("signal") or _named_signal(context.message)
    line = _line(context)
    reached = tuple(filter(None, [phrase("Line {} was the last that was reached.", line)]))
    if name:
        why, *tips = _SIGNALS.get(name, (f"it was ended by {name}", "Look at what it printed last."))
        return Diagnosis(
            immediate_cause=f"the process was ended by {name}: {why}",
            contributing_factors=reached,
            suggestions=tuple(tips),
            specifics={"signal": name},
        )
    found = _EXIT.search(context.message)
    code = context.specific("exit_code") or (next(filter(None, found.groups())) if found else "")
    if not code:
        return None
    return Diagnosis(
        immediate_cause=f"the process ended with exit code {code} and said no more",
        contributing_factors=reached,
        suggestions=(
            "Look at what it printed before, on stderr too.",
            "Look for os._exit() or sys.exit() in the code, and raise an exception in their place.",
        ),
        specifics={"exit_code": int(code)} if re.fullmatch(r"-?\d{1,9}", code) else {},
    )


def _named_signal(message: str) -> str:
    """Return the name of the signal in a message, ``SIGSEGV`` for ``signal 11``, by the numbers of this system."""
    found = _SIGNAL.search(message)
    if found is None:
        return ""
    if found[1]:
        return found[1]
    try:
        return signal.Signals(int(found[2])).name
    except ValueError:
        return ""


def _line(context: FailureContext) -> int | None:
    """Return the failing line, or the last one that the worker has recorded."""
    path = context.failure.progress.path if context.failure.progress is not None else ()
    return context.line or (path[-1] if path else None)


def _loop(context: FailureContext, line: int | None) -> ast.While | ast.For | None:
    """Return the loop around a line: the innermost ``while``, as that may be endless, else the innermost ``for``."""
    tree = context.tree or (parsed(context.source) if context.source else None)
    if tree is None or line is None:
        return None
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.While, ast.For)) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    endless = [node for node in around if isinstance(node, ast.While)]
    return max(endless or around, key=lambda node: node.lineno, default=None)


def _is_always(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def _leaves(loop: ast.While) -> bool:
    """Whether a loop has a statement that may end it. An exception from a call in it does not count."""
    return any(isinstance(node, (ast.Break, ast.Return, ast.Raise)) for node in ast.walk(loop))


def _unchanged(loop: ast.While) -> list[str]:
    """Return the variables of a loop's condition, where the loop changes none of them.

    Empty where the condition calls a function or reads an attribute, and where a call in the loop gets one of the
    variables: these may change it out of sight.
    """
    read = [node.id for node in ast.walk(loop.test) if isinstance(node, ast.Name)]
    if any(isinstance(node, (ast.Call, ast.Attribute)) for node in ast.walk(loop.test)):
        return []
    for statement in loop.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id in read and isinstance(node.ctx, ast.Store):
                return []
            # A method may change it: stack.pop().
            if isinstance(node, ast.Call) and any(
                isinstance(each, ast.Name) and each.id in read for each in ast.walk(node)
            ):
                return []
    return read


def _call(code: str) -> str:
    found = re.search(rf"\b({'|'.join(_WAITS)})\(", code)
    return found[1] if found else ""
