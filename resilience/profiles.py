"""The profile table: one row for each category, with what every policy needs to know of it.

`PROFILES` is the table as shipped. `override_profiles` changes rows for the whole process, and policies that exist
already follow: what they derive from the table is kept in `DerivedTable` objects, which are cleared at each change.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from resilience._forks import fork_safe
from resilience._undo import Undo
from resilience.categories import CategoryLike, ErrorCategory, Recovery, Severity, combine

__all__ = [
    "PROFILES",
    "DerivedTable",
    "Profile",
    "RetrySafety",
    "changed_profiles",
    "override_profiles",
    "profile_for",
    "profile_of",
]

T = TypeVar("T")


class RetrySafety(enum.Enum):
    """The safety of retrying a call that is not idempotent: after which failures the server has not executed it."""

    NEVER = "never"
    UNCONNECTED = "unconnected"
    """Only where no connection was made."""
    HINTED = "hinted"
    """Only where the server sends Retry-After, or no connection was made."""
    ALWAYS = "always"


@dataclasses.dataclass(frozen=True, slots=True)
class Profile:
    """A row of the table: what policies do about failures of one leaf category.

    *recovery* is what the caller should do next, *retry* whether `retry_on_category` without categories retries it.
    *base* is the first backoff in seconds; where it is None, a retry that names the category begins with 0.1. *cost* is
    the number of tokens that a retry takes from a retry budget of 500; 14 where it is 0 and *retry* is not set. *weight*
    is what one failure counts for a circuit breaker; with 0 it never opens one. *pressure* is 1 where the failure says
    that the dependency has too much to do, so that policies send it less, and 0 where it says nothing of its load.
    *unsafe* says when a call that is not idempotent may be repeated, *http* and *grpc* the status that a service answers
    with, *severity* the level of a log line.

    >>> profile_of(ErrorCategory.RATE_LIMIT).base
    1.0
    """

    category: ErrorCategory
    recovery: Recovery
    retry: bool
    base: float | None
    cost: int
    weight: int
    pressure: int
    unsafe: RetrySafety
    http: int
    grpc: str
    severity: Severity

    def __post_init__(self) -> None:
        self._check(
            "base",
            self.base is None or (_is_number(self.base) and 0 <= self.base < float("inf")),
            "seconds >= 0, or None",
        )
        self._check("cost", _is_count(self.cost), "a whole number >= 0")
        self._check("weight", _is_count(self.weight), "a whole number >= 0")
        self._check("pressure", _is_count(self.pressure) and self.pressure <= 1, "1 or 0")
        self._check("http", _is_count(self.http) and 100 <= self.http <= 599, "an HTTP status, 100 to 599")
        self._check("retry", isinstance(self.retry, bool), "True or False")
        self._check("recovery", isinstance(self.recovery, Recovery), "a Recovery")
        self._check("unsafe", isinstance(self.unsafe, RetrySafety), "a RetrySafety")
        self._check("severity", isinstance(self.severity, Severity), "a Severity")
        self._check(
            "grpc", isinstance(self.grpc, str) and self.grpc.isupper(), "a gRPC status name, such as UNAVAILABLE"
        )

    def _check(self, field: str, valid: bool, expected: str) -> None:
        if not valid:
            raise ValueError(f"profile of {self.category.label}: {field}={getattr(self, field)!r}; give {expected}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _table() -> dict[ErrorCategory, Profile]:
    c, r, s = ErrorCategory, Recovery, Severity
    never, unconnected, hinted, always = (
        RetrySafety.NEVER,
        RetrySafety.UNCONNECTED,
        RetrySafety.HINTED,
        RetrySafety.ALWAYS,
    )
    rows = [
        #       category             recovery             retry  base  cost weight pressure unsafe      http  grpc                  severity
        Profile(c.TIMEOUT,           r.RETRY,             True,  0.1,  14, 1,     1,       unconnected, 504, "DEADLINE_EXCEEDED",   s.WARNING),
        Profile(c.NETWORK,           r.RETRY,             True,  0.1,  14, 1,     0,       unconnected, 502, "UNAVAILABLE",         s.WARNING),
        Profile(c.RATE_LIMIT,        r.WAIT,              True,  1.0,   5, 0,     1,       always,      429, "RESOURCE_EXHAUSTED",  s.WARNING),
        Profile(c.UNAVAILABLE,       r.RETRY,             True,  0.5,   5, 1,     1,       hinted,      503, "UNAVAILABLE",         s.WARNING),
        Profile(c.SERVER_ERROR,      r.RETRY,             True,  0.25, 14, 1,     0,       never,       502, "INTERNAL",            s.ERROR),
        Profile(c.DEPENDENCY,        r.USE_ALTERNATIVE,   False, 0.25, 14, 1,     0,       never,       502, "UNKNOWN",             s.ERROR),
        Profile(c.REJECTED,          r.WAIT,              False, None,  0, 0,     0,       always,      503, "UNAVAILABLE",         s.WARNING),
        Profile(c.CAPACITY,          r.USE_ALTERNATIVE,   False, None,  0, 0,     1,       never,       503, "RESOURCE_EXHAUSTED",  s.ERROR),
        Profile(c.AUTHENTICATION,    r.REAUTHENTICATE,    False, None,  0, 0,     0,       never,       401, "UNAUTHENTICATED",     s.ERROR),
        Profile(c.AUTHORIZATION,     r.ESCALATE,          False, None,  0, 0,     0,       never,       403, "PERMISSION_DENIED",   s.ERROR),
        Profile(c.VALIDATION,        r.FIX_INPUT,         False, None,  0, 0,     0,       never,       400, "INVALID_ARGUMENT",    s.INFO),
        Profile(c.NOT_FOUND,         r.FIX_INPUT,         False, None,  0, 0,     0,       never,       404, "NOT_FOUND",           s.INFO),
        Profile(c.CONFLICT,          r.FIX_INPUT,         False, None,  0, 0,     0,       never,       409, "ABORTED",             s.WARNING),
        Profile(c.CONFIGURATION,     r.FIX_CONFIGURATION, False, None,  0, 0,     0,       never,       500, "FAILED_PRECONDITION", s.CRITICAL),
        Profile(c.SYNTAX,            r.REGENERATE,        False, None,  0, 0,     0,       never,       422, "INVALID_ARGUMENT",    s.INFO),
        Profile(c.RUNTIME,           r.REGENERATE,        False, None,  0, 0,     0,       never,       422, "FAILED_PRECONDITION", s.INFO),
        Profile(c.IMPORT,            r.REGENERATE,        False, None,  0, 0,     0,       never,       422, "FAILED_PRECONDITION", s.INFO),
        Profile(c.GENERATION,        r.REGENERATE,        False, None,  0, 0,     0,       never,       502, "INTERNAL",            s.WARNING),
        Profile(c.MEMORY,            r.REGENERATE,        False, None,  0, 0,     0,       never,       422, "RESOURCE_EXHAUSTED",  s.WARNING),
        Profile(c.SECURITY,          r.ESCALATE,          False, None,  0, 0,     0,       never,       403, "PERMISSION_DENIED",   s.ERROR),
        Profile(c.EXECUTION_TIMEOUT, r.ESCALATE,          False, None,  0, 0,     0,       never,       504, "DEADLINE_EXCEEDED",   s.WARNING),
        Profile(c.EXHAUSTED,         r.ESCALATE,          False, None,  0, 0,     0,       never,       503, "UNAVAILABLE",         s.ERROR),
        Profile(c.APPROVAL,          r.ESCALATE,          False, None,  0, 0,     0,       never,       403, "FAILED_PRECONDITION", s.INFO),
        Profile(c.CANCELLED,         r.GIVE_UP,           False, None,  0, 0,     0,       never,       499, "CANCELLED",           s.INFO),
        Profile(c.INTERNAL,          r.GIVE_UP,           False, None,  0, 0,     0,       never,       500, "INTERNAL",            s.CRITICAL),
        Profile(c.UNKNOWN,           r.GIVE_UP,           False, None,  0, 1,     0,       never,       500, "UNKNOWN",             s.ERROR),
    ]  # fmt: skip
    return {row.category: row for row in rows}


PROFILES: Mapping[ErrorCategory, Profile] = MappingProxyType(_table())
"""The table as shipped. `profile_of` returns the row in force."""

# By bit: hashing a member of an Enum is a call of Python code.
_SHIPPED: Mapping[int, Profile] = {category.value: row for category, row in PROFILES.items()}
_in_force: dict[int, Profile] = dict(_SHIPPED)
_overrides: list[Mapping[int, Profile]] = []
_derived: dict[int, weakref.ref[DerivedTable[Any]]] = {}
_lock = fork_safe(threading.Lock())


def profile_for(leaf: ErrorCategory) -> Profile:
    """Return the row in force for a leaf, without a check."""
    return _in_force[leaf._value_]


class DerivedTable(dict[int, T]):
    """Values that a policy derives from the table, by the bit of a leaf: cached until a row is overridden.

    *own* are rows of the policy itself, which have precedence.
    """

    __slots__ = ("__weakref__", "_own", "_read")

    def __init__(self, read: Callable[[Profile], T], own: Mapping[int, Profile]) -> None:
        super().__init__()
        self._read = read
        self._own = own
        key = id(self)
        _derived[key] = weakref.ref(self, lambda _: _derived.pop(key, None))

    def __missing__(self, bit: int) -> T:
        with _lock:  # else a value of a row that is overridden meanwhile would be kept
            found = self[bit] = self._read(self._own.get(bit) or _in_force[bit])
        return found


def profile_of(category: CategoryLike) -> Profile:
    """Return the row in force for a leaf, or its label.

    Raises ValueError for a group: only leaves have a row.
    """
    leaf = combine("category", [category])
    if not leaf.is_leaf:
        raise ValueError(
            f"category={leaf.label!r}: give one leaf, such as {next(iter(leaf)).label!r}; groups have no row"
        )
    return profile_for(leaf)


class ProfileOverride(Undo):
    """An override in force: call it, or leave its ``with`` block, to end it."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Mapping[int, Profile]) -> None:
        self._rows = rows

    def __call__(self) -> None:
        """End this override, whatever was overridden before or since. Idempotent."""
        with _lock:
            _overrides[:] = [rows for rows in _overrides if rows is not self._rows]
            _in_force.update((bit, _row_of(_overrides, bit)) for bit in self._rows)
            _recompute_derived()


def override_profiles(rows: Mapping[CategoryLike, Mapping[str, object] | Profile]) -> ProfileOverride:
    """Change rows of the table for the whole application; call it once, at start-up.

    A key may be a group: every leaf in it changes. Policies that exist already follow. Raises TypeError or ValueError
    for an invalid row, and changes nothing then.

    >>> with override_profiles({"rate_limit": {"base": 5.0}}):
    ...     profile_of(ErrorCategory.RATE_LIMIT).base
    5.0
    """
    override = replace_override(None, rows)
    return ProfileOverride({}) if override is None else override


def replace_override(
    before: ProfileOverride | None, rows: Mapping[CategoryLike, Mapping[str, object] | Profile]
) -> ProfileOverride | None:
    """Change rows of the table in place of the override *before*, at once; return the new one, None for no rows.

    A row is derived from the table without that override. Raises as `override_profiles`, and changes nothing then.
    """
    replaced: Mapping[int, Profile] = {} if before is None else before._rows
    with _lock:
        others = [known for known in _overrides if known is not replaced]
        changed = changed_profiles("override_profiles", rows, functools.partial(_row_of, others))
        _overrides[:] = [*others, changed] if changed else others
        _in_force.update((bit, _row_of(_overrides, bit)) for bit in (*replaced, *changed))
        _recompute_derived()
    return ProfileOverride(changed) if changed else None


def _row_of(overrides: Sequence[Mapping[int, Profile]], bit: int) -> Profile:
    """Return the row of a leaf as *overrides* make it, the later ones winning."""
    return next((rows[bit] for rows in reversed(overrides) if bit in rows), _SHIPPED[bit])


def _recompute_derived() -> None:
    for reference in list(_derived.values()):
        reading = reference()
        if reading is not None:
            reading.clear()


def changed_profiles(
    parameter: str,
    rows: Mapping[CategoryLike, Mapping[str, object] | Profile],
    row_of: Callable[[int], Profile] | None = None,
) -> dict[int, Profile]:
    """Return the changed rows, checked, by the bit of their leaf; *row_of* gives the present ones unless in force."""
    row_of = row_of or _in_force.__getitem__
    changed: dict[int, Profile] = {}
    for key, change in rows.items():
        for leaf in combine(parameter, [key]):
            if isinstance(change, Profile):
                changed[leaf.value] = dataclasses.replace(change, category=leaf)
                continue
            fields = {field.name for field in dataclasses.fields(Profile)} - {"category"}
            unknown = sorted(set(change) - fields)
            if unknown:
                raise ValueError(
                    f"{parameter}: {unknown[0]!r} is not a field of Profile; give one of {', '.join(sorted(fields))}"
                )
            changed[leaf.value] = dataclasses.replace(changed.get(leaf.value) or row_of(leaf.value), **change)  # type: ignore[arg-type]  # checked by __post_init__
    return changed
