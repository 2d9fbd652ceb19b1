"""Short texts of any value: bounded, without secrets, whatever the value's own code does.

A value of a failed program may be huge, circular, slow or hostile. Containers are read through the methods of the
built-in types, other objects through their attributes; only where no static view exists, the value's own ``repr`` runs,
under a limit of steps. An error of that code becomes part of the text and never leaves. Two runs of one program give
the same texts: sets are sorted, and memory addresses are removed.

It runs in the worker process of an execution as well, so it imports nothing that is slow to import before it is used.
"""

from __future__ import annotations

import builtins
import sys
from itertools import islice

from resilience.report._static_introspection import class_attribute, class_of, instance_attributes, module_of, name_of
from resilience.report._step_limit import STEPS, StepLimitError, with_step_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from resilience.report.captured_exception import Json

__all__ = ["SafeRepr", "cut", "is_distinctive"]

_MAX_VARIABLES = 50
_MAX_TEXT = 400  # characters of one value
_MAX_STRING = 200
_MAX_ITEMS = 20
_MAX_ATTRIBUTES = 6
_MAX_DEPTH = 4
_MAX_NODES = 4000  # values looked at, in all
_MAX_BITS = 256  # str() of a very long whole number takes long, or raises
_MAX_SECRETS = 100
_MAX_SLOW_REPRS = 5  # objects whose repr may take too long; the next ones are not asked
_OF_TABLES = ("pandas", "polars", "numpy", "xarray")  # columns and shapes tell more than the first rows
_NOT_JSON = ("inf", "-inf", "nan")

_MODULE = class_of(sys)
_FUNCTION: type[Any] = type(lambda: None)
_FUNCTIONS: tuple[type[Any], ...] = (_FUNCTION, type(len))
_BRACKETS: dict[Any, tuple[str, str]] = {list: ("[", "]"), tuple: ("(", ")")}
_STRINGS = (str, bytes, bytearray)
# `frozendict` is built in from Python 3.15 on, and no subclass of dict.
_ITEMS: dict[Any, Any] = {kind: vars(kind)["items"] for kind in (dict, getattr(builtins, "frozendict", dict))}
_CONTAINERS: tuple[Any, ...] = (*_ITEMS, list, tuple, set, frozenset)
# Shown by their elements, too, though they are none of the above: by module and name, so as not to import them.
_SEQUENCES = frozenset(
    {
        ("builtins", "dict_keys"),
        ("builtins", "dict_values"),
        ("builtins", "dict_items"),
        ("collections", "deque"),
        ("array", "array"),
    }
)


class SafeRepr:
    """Renders the values of one report as bounded texts without secrets.

    Owns the budget of the report (how many values, how many slow ``repr`` calls) and the secrets it has met. Runs a
    value's own ``repr`` only where no static view exists, and under a step limit.

    One instance serves all values of a report. When 4000 values have been looked at, the others are shown as ``...``.

    >>> safe_repr = SafeRepr()
    >>> safe_repr.render([1, "two", {"password": "hunter2"}]), safe_repr.render("a text"), safe_repr.render(2.5)
    ("[1, 'two', {'password': '[redacted]'}]", 'a text', 2.5)
    >>> safe_repr.secrets
    {'hunter2'}
    """

    __slots__ = ("_is_secret", "_nodes_left", "_path", "_redacted", "_slow_reprs_left", "secrets")

    def __init__(self) -> None:
        # Not before: it needs regular expressions, and a program that succeeds needs none of this.
        from resilience.errors._secrets import REDACTED, is_secret

        self._is_secret = is_secret
        self._redacted = REDACTED
        self._nodes_left = _MAX_NODES
        self._slow_reprs_left = _MAX_SLOW_REPRS
        self._path: set[int] = set()
        self.secrets: set[str] = set()
        """The texts that stood under secret names, to be taken out of every other text."""

    def variables(self, variables: Mapping[str, object], *, module: bool = False) -> dict[str, Json]:
        """Return variables by their names, the first ones. Modules and dunders are left out.

        Of a *module*, functions and classes are left out, too: its source shows them.

        Beyond the first 50, the key ``...`` says that there are more. A value under a secret name is ``[redacted]``.
        """
        found: dict[str, Json] = {}
        for name, value in list(variables.items()):
            if type(name) is not str or not name.isidentifier() or name[:2] == name[-2:] == "__":
                continue
            if type(value) is _MODULE or (module and (issubclass(type(value), type) or type(value) in _FUNCTIONS)):
                continue
            if len(found) == _MAX_VARIABLES:
                found["..."] = "more"
                break
            found[name] = self.render(value, name)
        return found

    def render(self, value: Any, name: str = "") -> Json:
        """Return a number, a string, a boolean and None as it is, and of anything else a short text.

        *name* is that of the variable, which decides whether the value is a secret. Whole numbers of more than 256
        bits, ``nan`` and ``inf`` become texts. A text that begins like a number gets the name of its class, as in
        ``Integer(3)`` of sympy, so that it does not pass for a string of the program.
        """
        if name and self._secret(name, value):
            return self._redacted
        kind = class_of(value)
        if value is None or kind is bool or (kind is int and value.bit_length() <= _MAX_BITS):
            found: Json = value
        elif kind is str:
            found = cut(value, _MAX_TEXT)
        elif kind is float and str(value) not in _NOT_JSON:
            found = value
        else:
            found = cut(self._render_text(value, 0), _MAX_TEXT)
            if found.removeprefix("-")[:1].isdigit():  # or it would be taken for a text
                found = f"{name_of(kind)}({found})"
        return found

    def _secret(self, name: object, value: Any) -> bool:
        """Whether *value* stands under a secret name; a distinctive text is added to `secrets`."""
        if type(name) is not str or not self._is_secret(name, value):
            return False
        if type(value) is bytes:
            value = value[:1000].decode("utf-8", "replace")
        if type(value) is str and len(self.secrets) < _MAX_SECRETS and is_distinctive(value):
            self.secrets.add(value)
        return True

    def _render_text(self, value: Any, depth: int) -> str:
        """Return the text of one value, within the budgets of the report.

        A note stands for a value that has no text: ``<circular>``, ``<Order whose repr takes too long>``,
        ``<Order whose repr fails with ValueError>``; below four levels ``<Order>``.
        """
        kind = class_of(value)
        self._nodes_left -= 1
        if self._nodes_left < 0:
            return "..."
        if id(value) in self._path:
            return "<circular>"
        if depth > _MAX_DEPTH:
            return f"<{name_of(kind)}>"
        self._path.add(id(value))
        try:
            return self._render_by_type(value, kind, depth)
        except StepLimitError:
            self._slow_reprs_left -= 1
            return f"<{name_of(kind)} whose repr takes too long>"
        except Exception as error:  # whatever a foreign object does when it is looked at
            return f"<{name_of(kind)} whose repr fails with {name_of(type(error))}>"
        finally:
            self._path.discard(id(value))

    def _render_by_type(self, value: Any, kind: Any, depth: int) -> str:
        """Return the text of a value by the first rule that fits its class.

        Rules that need no code of the value come first, its own ``repr`` comes last: a new rule belongs above that.
        """
        shown_by = class_attribute(kind, "__repr__")
        if kind is int and value.bit_length() > _MAX_BITS:
            return f"<int of {value.bit_length()} bits>"
        if any(shown_by is vars(each)["__repr__"] for each in _STRINGS):
            return _string(value)
        # Never by a repr of a subclass: one of a million elements would make a text of them all.
        if issubclass(kind, _CONTAINERS):
            return self._container(value, kind, depth)
        if (module_of(kind), name_of(kind)) in _SEQUENCES:
            return self._sequence(iter(value), len(value), f"{name_of(kind)}([", "])", depth)
        if kind in _FUNCTIONS:
            return f"<function {value.__name__}>"
        if issubclass(kind, type):
            return f"<class {name_of(value)}>"
        if kind is _MODULE:
            return f"<module {value.__name__}>"
        if shown_by is vars(BaseException)["__repr__"]:
            args: tuple[Any, ...] = vars(BaseException)["args"].__get__(value)
            return self._sequence(iter(args), len(args), f"{name_of(kind)}(", ")", depth)
        if shown_by is object.__repr__:
            return self._object(value, kind, depth)
        if _is_made_by_dataclass(kind, shown_by) or name_of(kind) == "SimpleNamespace":
            held = instance_attributes(value)
            return self._named(held.items(), len(held), f"{name_of(kind)}(", ")", depth)
        return self._call_repr(value, kind)

    def _container(self, value: Any, kind: Any, depth: int) -> str:
        """Return the text of a built-in container, or of a subclass, by its first elements.

        Methods of the built-in base read it, whatever the subclass overrides. Named tuples show their fields,
        ``Point(x=1, y=2)``, other subclasses their name, ``OrderedDict({'a': 1})``.
        """
        base: Any = next(each for each in _CONTAINERS if issubclass(kind, each))
        size: int = base.__len__(value)
        items: Iterator[Any] = base.__iter__(value)
        fields = class_attribute(kind, "_fields")
        if base is tuple and class_of(fields) is tuple and len(fields) == size:
            pairs = zip(fields, items, strict=True)
            return self._named(pairs, size, f"{name_of(kind)}(", ")", depth)
        begin, end = _BRACKETS.get(base, ("{", "}"))
        if kind is tuple and size == 1:
            end = ",)"
        if not size and base in (set, frozenset):
            begin = end = ""
        if kind not in (dict, list, tuple, set) or not begin:
            begin, end = f"{name_of(kind)}({begin}", f"{end})"
        if base in _ITEMS:
            return self._mapping(_ITEMS[base](value), size, begin, end, depth)
        return self._sequence(items, size, begin, end, depth, ordered=base in (list, tuple))

    def _sequence(
        self, items: Iterator[Any], size: int, begin: str, end: str, depth: int, *, ordered: bool = True
    ) -> str:
        """Return the first 20 elements of *size*, between *begin* and *end*; those of a set sorted by their texts."""
        parts = [self._render_text(item, depth + 1) for item in islice(items, _MAX_ITEMS)]
        if not ordered:
            parts.sort()  # else two runs of one program would have different reports
        return _joined(parts, size, begin, end)

    def _mapping(self, items: Iterable[tuple[Any, Any]], size: int, begin: str, end: str, depth: int) -> str:
        """Return the first 20 items of *size* as ``key: value``, without the values of secret keys."""
        parts: list[str] = []
        for key, item in list(islice(items, _MAX_ITEMS)):
            shown = repr(self._redacted) if self._secret(key, item) else self._render_text(item, depth + 1)
            parts.append(f"{self._render_text(key, depth + 1)}: {shown}")
        return _joined(parts, size, begin, end)

    def _named(
        self, pairs: Iterable[tuple[str, Any]], size: int, begin: str, end: str, depth: int, between: str = ", "
    ) -> str:
        """Return pairs as ``name=value``, joined by *between*, without the values under secret names."""
        parts: list[str] = []
        for name, item in pairs:
            shown = self._redacted if self._secret(name, item) else self._render_text(item, depth + 1)
            parts.append(f"{name}={shown}")
            if len(parts) == _MAX_ITEMS:
                break
        return _joined(parts, size, begin, end, between)

    def _object(self, value: Any, kind: type[Any], depth: int) -> str:
        """Return an object without a ``__repr__`` of its own by its first attributes: ``<Order id=7 paid=False>``."""
        held = instance_attributes(value)
        if not held:
            return f"<{name_of(kind)}>"
        few = islice(held.items(), _MAX_ATTRIBUTES)
        return self._named(few, len(held), f"<{name_of(kind)} ", ">", depth, " ")

    def _call_repr(self, value: Any, kind: type[Any]) -> str:
        """Return what the value's own ``repr`` says, under the limit of steps and without addresses.

        Tables and arrays of known libraries are described by columns and shape instead. Once five values have taken too
        long, the next ones are only named, so that the delay of a report is bounded.
        """
        if self._slow_reprs_left <= 0:
            return f"<{name_of(kind)}>"
        if any(each in sys.modules for each in _OF_TABLES):
            from resilience.report._library_objects import text_of

            described = text_of(value)
            if described is not None:
                return described
        ask: Callable[[], str] = lambda: repr(value)  # noqa: E731 - `partial` would need functools
        shown = with_step_limit(ask, STEPS)
        return _without_addresses(cut(str.__str__(shown), _MAX_TEXT))


def cut(text: str, limit: int) -> str:
    """Return a text that is not much longer than *limit*, and says what is missing.

    *limit* counts the characters that are kept; the note is added to them.

    >>> cut("a very long text", 6)
    'a very... (10 more)'
    """
    if len(text) <= limit:
        return text
    return f"{text[:limit]}... ({len(text) - limit} more)"


def is_distinctive(text: str) -> bool:
    """Return whether a secret is telling enough to be looked for in other texts; ``test`` and ``admin`` are not.

    A ``password`` may be ``test``, and a report without any ``test`` would be hard to read. Twelve characters are
    enough, or six with a digit or a mark among them.
    """
    return len(text) >= 12 or (len(text) >= 6 and not text.isalpha())


def _string(value: Any) -> str:
    """Return the repr of the first 200 characters or bytes, and the number of those left out."""
    few = str.__getitem__(value, slice(_MAX_STRING)) if isinstance(value, str) else bytes(value[:_MAX_STRING])
    more = len(value) - _MAX_STRING
    if more > 0:
        return f"{few!r}... ({more} more)"
    return repr(few)


def _joined(parts: list[str], size: int, begin: str, end: str, between: str = ", ") -> str:
    """Join *parts* between brackets; what is missing of *size* elements is counted: ``[1, 2, ... 998 more]``."""
    if size > len(parts):
        parts.append(f"... {size - len(parts)} more")
    return f"{begin}{between.join(parts)}{end}"


def _is_made_by_dataclass(kind: type[Any], shown_by: Any) -> bool:
    """Whether *shown_by* is the ``__repr__`` that `dataclass` writes, which has a wrapper against recursion.

    It is never called: it shows all of every field, and a list of a million elements is a text of megabytes.
    """
    return (
        type(shown_by) is _FUNCTION
        and "__wrapped__" in vars(shown_by)
        and bool(class_attribute(kind, "__dataclass_fields__"))
    )


def _without_addresses(text: str) -> str:
    if " at 0x" not in text:
        return text
    import re

    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)
