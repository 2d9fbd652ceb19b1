"""Capture of a live exception as plain JSON values, which outlive the exception and its process.

A live traceback keeps every frame and its variables alive, and cannot be sent to another process; a `Captured` can. The
module owns the limits of a capture: the length of a message, the number of notes and members, the depth of causes.
Objects are looked at statically. The few attributes that may be code of the program, such as ``__str__``, are read
under a limit of steps, and where they fail, a short note takes the place of the message.

It runs in the worker process of an execution as well. So it imports the standard library alone, and that only once
there is a failure. A worker that hides the toolkit from the program makes it importable again during the call.
"""

from __future__ import annotations

from resilience.report._frames import calls_of, frames_of
from resilience.report._safe_repr import SafeRepr, cut
from resilience.report._static_introspection import class_of, exception_slot, is_instance, module_of, mro_of, name_of
from resilience.report._step_limit import with_step_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeGuard

    from resilience.report._frames import Call
    from resilience.report.captured_exception import Captured, CapturedSyntax, Json, Relation

__all__ = ["capture"]

_MAX_TEXT = 4000
_MAX_NOTES = 20
_MAX_NOTE = 1000
_MAX_DEPTH = 10
_MAX_MEMBERS = 10
_MAX_EXCEPTIONS = 30
_MAX_CODE = 500
_MAX_LABEL = 100


def capture(
    exc: BaseException,
    *,
    source: str | None = None,
    filename: str = "<string>",
    hidden: Callable[[str], bool] | None = None,
) -> Captured:
    """Return an exception as plain JSON: type, message, frames with their variables, causes and members.

    *source* is the text that was compiled as *filename*, so that its lines can be shown. Calls in files for which
    *hidden* returns True are left out. The result is valid and bounded in size even where a ``__str__``, a ``__repr__``
    or a property of the exception or of a variable raises, lies or does not end. Values under secret names are
    redacted. No Exception leaves it; a BaseException does, such as the signal of a time limit.

    An *exc* that was never raised has no frames and no variables, and is captured all the same.

    >>> try:
    ...     {"lamp": 9.5}["sofa"]
    ... except KeyError as error:
    ...     found = capture(error)
    >>> found["type"], found["message"], found["frames"][-1]["function"]
    ('KeyError', "'sofa'", '<module>')
    """
    import linecache

    before = linecache.cache.get(filename)
    if source is not None:
        # Without a time of change: `linecache.checkcache` leaves it alone.
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    try:
        capturer = _Capturer(hidden)
        found = capturer.capture_one(exc, "raised", 0)
        found["traceback"] = _traceback(exc, hidden)
        return _redacted(found, capturer.safe_repr.secrets)
    finally:
        if source is not None:
            if before is None:
                linecache.cache.pop(filename, None)
            else:
                linecache.cache[filename] = before


class _Capturer:
    """Captures one exception, its causes, and the members of its group, within common limits.

    The limits hold for the whole tree: 30 exceptions, 10 levels, and one budget of values in `safe_repr`. `seen` has
    the exceptions captured so far, by identity; it ends cycles such as a cause that leads back to its effect.
    """

    def __init__(self, hidden: Callable[[str], bool] | None) -> None:
        self.hidden = hidden
        self.safe_repr = SafeRepr()
        self.seen: set[int] = set()

    def capture_one(self, exc: BaseException, relation: Relation, depth: int) -> Captured:
        """Return *exc* as plain values, with its causes and members, in the order of the keys of `Captured`.

        *relation* is the one to the exception that refers to it, *depth* the distance from the exception that was
        raised. ``traceback`` stays empty: `capture` sets it once, as CPython's text covers the whole tree.
        """
        self.seen.add(id(exc))
        kind = type(exc)
        calls = calls_of(exception_slot(exc, BaseException, "__traceback__"), self.hidden)
        frames, dropped = frames_of(calls, self.safe_repr)
        return {
            "type": name_of(kind),
            "module": module_of(kind),
            "bases": [f"{module_of(base)}.{name_of(base)}" for base in mro_of(kind)[:-1]],
            "message": self._message(exc),
            "notes": _notes(exc),
            "frames": frames,
            "frames_dropped": dropped,
            "globals": self._globals(calls),
            "traceback": "",
            "code": _label_of(exc, "code"),
            "category": _label_of(exc, "category"),
            "syntax": self._syntax(exc),
            "hints": self._hints(exc, calls),
            "relation": relation,
            "cause": self._cause(exc, depth),
            "members": self._members(exc, depth),
        }

    def _message(self, exc: BaseException) -> str:
        """Return the message, bounded; of a syntax error without the file and line that ``str()`` appends.

        A ``__str__`` that raises, returns no text or takes too many steps gives
        ``<PaymentError whose message cannot be read>``.
        """
        if is_instance(exc, SyntaxError):
            message = exception_slot(exc, SyntaxError, "msg")
            if type(message) is str and message:  # str() would append the file and the line
                return cut(message, _MAX_TEXT)
        try:
            return cut(str.__str__(with_step_limit(lambda: str(exc))), _MAX_TEXT)
        except Exception:
            return f"<{name_of(type(exc))} whose message cannot be read>"

    def _globals(self, calls: list[Call]) -> dict[str, Json]:
        """Return the variables of the module that the innermost call belongs to; none without a traceback."""
        if not calls:
            return {}
        return self.safe_repr.variables(calls[-1].frame.f_globals, module=True)

    def _syntax(self, exc: BaseException) -> CapturedSyntax | None:
        """Return the place that the parser gives for a SyntaxError; None for any other exception.

        A program may raise a SyntaxError with arguments of any type, so a field of the wrong type counts as not known.
        """
        if not is_instance(exc, SyntaxError):
            return None
        name, text = exception_slot(exc, SyntaxError, "filename"), exception_slot(exc, SyntaxError, "text")
        line, offset = (
            _number(exception_slot(exc, SyntaxError, "lineno")),
            _number(exception_slot(exc, SyntaxError, "offset")),
        )
        end_offset = _number(exception_slot(exc, SyntaxError, "end_offset"))
        return {
            "filename": name if type(name) is str else "<unknown>",
            "line": line,
            "end_line": _number(exception_slot(exc, SyntaxError, "end_lineno")),
            "column": _column(offset),
            "end_column": _column(end_offset),
            "code": _first_line(text) if type(text) is str else "",
        }

    def _hints(self, exc: BaseException, calls: list[Call]) -> dict[str, Json]:
        """Return the facts that only live objects have: see `Captured`. A report does without them where they fail."""
        from resilience.report._hints import hints_of

        try:
            return hints_of(exc, calls, self.safe_repr)
        except Exception:  # a report without hints is better than none
            return {}

    def _cause(self, exc: BaseException, depth: int) -> Captured | None:
        """Return the exception that led to this one, captured: ``__cause__``, else ``__context__``.

        The context is left out after ``raise ... from None``, as in CPython's own text. None beyond the limits.
        """
        relation: Relation = "cause"
        down = exception_slot(exc, BaseException, "__cause__")
        if down is None and not exception_slot(exc, BaseException, "__suppress_context__"):
            relation = "context"
            down = exception_slot(exc, BaseException, "__context__")
        if not self._is_new(down, depth):
            return None
        return self.capture_one(down, relation, depth + 1)

    def _members(self, exc: BaseException, depth: int) -> list[Captured]:
        """Return the first members of an exception group, captured; an empty list for any other exception."""
        if not issubclass(type(exc), BaseExceptionGroup):
            return []
        members: tuple[BaseException, ...] = exception_slot(exc, BaseExceptionGroup, "exceptions")
        return [
            self.capture_one(each, "member", depth + 1) for each in members[:_MAX_MEMBERS] if self._is_new(each, depth)
        ]

    def _is_new(self, exc: object, depth: int) -> TypeGuard[BaseException]:
        """Whether *exc* is an exception that has not been captured yet, within the limits of depth and number."""
        return (
            is_instance(exc, BaseException)
            and depth < _MAX_DEPTH
            and id(exc) not in self.seen
            and len(self.seen) < _MAX_EXCEPTIONS
        )


def _traceback(exc: BaseException, hidden: Callable[[str], bool] | None) -> str:
    from resilience.report._tracebacks import traceback_text

    return traceback_text(exc, hidden)


def _notes(exc: BaseException) -> list[str]:
    """Return the notes of an exception, as `BaseException.add_note` leaves them, bounded in number and length.

    ``__notes__`` is an ordinary attribute, which a program may set to anything: only texts in a list are notes.
    """
    held = exception_slot(exc, BaseException, "__dict__").get("__notes__")
    kind = class_of(held)
    if kind is not list:
        return []
    return [cut(note, _MAX_NOTE) for note in held[:_MAX_NOTES] if type(note) is str]


def _label_of(exc: BaseException, name: str) -> str | None:
    """Return an attribute of an exception that is a word, or an enum-like object with a label.

    *name* is ``code`` or ``category``. It may be a property, so reading it is limited in steps; a text of more than 100
    characters is no label.
    """
    try:
        found = with_step_limit(lambda: getattr(exc, name, None))
        label = found if isinstance(found, str) else getattr(found, "label", None)
    except Exception:
        return None
    if not isinstance(label, str) or not 0 < len(label) <= _MAX_LABEL:
        return None
    return str.__str__(label)


def _number(value: object) -> int | None:
    if type(value) is not int or value <= 0:
        return None
    return value


def _column(offset: int | None) -> int | None:
    """Return a column from 0; the parser's offsets begin with 1."""
    if offset is None:
        return None
    return offset - 1


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:_MAX_CODE].rstrip()


def _redacted(found: Captured, secrets: set[str]) -> Captured:
    """Return *found* with each of *secrets* redacted in every text: the values found under secret names.

    A password in a variable often stands in the message, too: ``cannot log in with hunter2``. Longer secrets are
    replaced first, so that a secret within another one leaves no part of it.
    """
    if not secrets:
        return found
    from resilience.errors._secrets import REDACTED

    longest_first = sorted(secrets, key=len, reverse=True)

    def clean(value: Any) -> Any:
        kind = class_of(value)
        if kind is str:
            for secret in longest_first:
                value = value.replace(secret, REDACTED)
            return value
        if kind is list:
            return [clean(each) for each in value]
        if kind is dict:
            return {key: clean(each) for key, each in value.items()}
        return value

    cleaned: Captured = clean(found)
    return cleaned
