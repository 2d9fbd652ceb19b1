"""Options of a retry: their names, types and defaults, the check of each, and what `describe` shows of them.

To add an option, write it in `RetryOptions` and in the `__init__` of `RetryConfig` (a test compares the two), check it
there, and document it in `retry_on_category`. The decision that reads it is in `_retry_decision`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, TypedDict, get_args

from resilience._runtime.method_selection import MethodSelection, select_methods
from resilience._runtime.protocol import SuccessCounter
from resilience._validation import (
    given_options,
    optional,
    parse_count,
    parse_duration,
    require,
    require_bool,
    require_callable,
    require_choice,
)
from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.integrations.tenacity import Strategies, Strategy
from resilience.policies._retry_rule import RetryRule, parse_max_attempts, parse_waits, require_by_category
from resilience.policies.backoff import Backoff, Jitter
from resilience.policies.base import Policy
from resilience.policies.retry_report import CallReport
from resilience.policies.revision import NO_REVISIONS, REVISED, ArgumentReviser, Arguments
from resilience.profiles import DerivedTable, Profile, changed_profiles
from resilience.settings import ATTEMPTS_CAP

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from resilience._runtime.worst_case import WorstCase
    from resilience.events import RetryScheduled
    from resilience.policies.idempotency import Idempotency
    from resilience.policies.retry_budget import RetryBudget

    Wait = Callable[[RetryCallState], float] | float
    Predicate = Callable[[RetryCallState], bool]
    ProfileRows = Mapping[CategoryLike, Mapping[str, object] | Profile]

__all__ = ["OnExhausted", "RetryConfig", "RetryOptions"]

OnExhausted: TypeAlias = Literal["raise", "wrap"]
"""The end of a retried call: the last error is raised, or wrapped in `RetriesExhaustedError`."""


class _Default(int):
    """A default that is distinguishable from the same number given by the caller."""


_DEFAULT_ATTEMPTS = _Default(3)
_DEFAULT_REVISIONS = 3

#: Options with one of these values are not shown: they are switched off, or have their default.
_NOT_SHOWN = (None, False, 0.0, math.inf, "", "raise")


class RetryOptions(TypedDict, total=False):
    """Names and types of the options of a retry, for type checkers and editors.

    Defaults and checks are those of `RetryConfig`; `retry_on_category` says what each option does.
    """

    attempts: int | None
    max_retries: int | None
    max_attempts: Mapping[CategoryLike, int] | None
    reset_after: float | timedelta | None
    base_delay: float | timedelta | None
    max_delay: float | timedelta
    exponential_base: float
    jitter: Jitter
    waits: Mapping[CategoryLike, Backoff | Wait] | None
    wait: Wait | None
    stop: Predicate | None
    retry_if: Predicate | None
    retry_if_result: Callable[[Any], object] | None
    budget: RetryBudget | None
    idempotent: bool | Callable[..., object] | None
    min_attempt_time: float | timedelta
    retry_exhausted: bool
    no_progress: int | None
    revise: Callable[[Arguments, CallReport], object] | None
    revise_on: CategoryLike | None
    max_revisions: int
    on_retry: Callable[[RetryScheduled], object] | None
    on_success: Callable[[CallReport], object] | None
    on_exhausted: OnExhausted
    profiles: ProfileRows | None
    only: Sequence[str] | None
    exclude: Sequence[str]


class RetryConfig(Policy):
    """The options of a retry, checked where they are written, and what follows from them alone.

    `retry_on_category` documents the options. Without *on* the table of categories decides: those whose row says
    ``retry`` are retried, which are TRANSIENT as shipped.

    The object is shared by all calls, threads and event loops, and never changes. State of one call belongs in a
    `RetryState`. Mappings by category have the bit of a leaf as their key: hashing a member of an enum is a call of
    Python code.

    A retry whose first attempt may be made without it is on the fast path (`fast_path`): a call that succeeds at once
    costs nothing. It is not where strategies or callbacks have to know of every call.

    Raises TypeError or ValueError, with the option, its value and what would be right, for invalid options
    alone or together.

    >>> from resilience import retry_on_category
    >>> retry_on_category("timeout", attempts=5, base_delay=0.5, max_attempts={"timeout": 2})
    retry_on_category(timeout, attempts=5, base_delay=0.5, max_delay=60, jitter=equal, max_attempts={timeout: 2})
    """

    def __init__(
        self,
        *on: object,
        attempts: int | None = _DEFAULT_ATTEMPTS,
        max_retries: int | None = None,
        max_attempts: Mapping[CategoryLike, int] | None = None,
        reset_after: float | timedelta | None = None,
        base_delay: float | timedelta | None = None,
        max_delay: float | timedelta = 60.0,
        exponential_base: float = 2.0,
        jitter: Jitter = "equal",
        waits: Mapping[CategoryLike, Backoff | Wait] | None = None,
        wait: Wait | None = None,
        stop: Predicate | None = None,
        retry_if: Predicate | None = None,
        retry_if_result: Callable[[Any], object] | None = None,
        budget: RetryBudget | None = None,
        idempotent: bool | Callable[..., object] | None = None,
        min_attempt_time: float | timedelta = 0.0,
        retry_exhausted: bool = False,
        no_progress: int | None = None,
        revise: Callable[[Arguments, CallReport], object] | None = None,
        revise_on: CategoryLike | None = None,
        max_revisions: int = _DEFAULT_REVISIONS,
        on_retry: Callable[[RetryScheduled], object] | None = None,
        on_success: Callable[[CallReport], object] | None = None,
        on_exhausted: OnExhausted = "raise",
        profiles: ProfileRows | None = None,
        only: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        #: The calls in all; infinity: no limit.
        self.attempts: float = _parse_attempts(attempts, max_retries, stop)
        self.max_attempts: Mapping[int, int] = parse_max_attempts(max_attempts)
        #: Seconds: a failed attempt that took as long begins the count of attempts anew; infinity: none does.
        self.reset_after: float = optional(parse_duration, "reset_after", reset_after) or math.inf
        self.backoff: Backoff = Backoff(base_delay, max_delay, exponential_base, jitter)
        _refuse_unused_backoff(self.backoff, wait)
        #: The waits of the categories that have their own.
        self.waits: Mapping[int, Backoff | Strategy] = parse_waits(waits, self.backoff)
        wait_strategies = {bit: each for bit, each in self.waits.items() if not isinstance(each, Backoff)}
        self.strategies: Strategies = Strategies(wait, stop, retry_if, wait_strategies)
        self.budget: RetryBudget | None = optional(_parse_budget, "budget", budget)
        #: Whether a call may happen twice; None: any.
        self.idempotency: Idempotency | None = _parse_idempotent(idempotent)
        #: Whether nothing is said of that, and `settings.repeat_posts` decides.
        self.leaves_posts_to_settings: bool = idempotent is None
        self.retry_if_result: Callable[[Any], object] | None = optional(
            _parse_judge, "retry_if_result", retry_if_result
        )
        self.on_retry: Callable[[RetryScheduled], object] | None = optional(_parse_hook, "on_retry", on_retry)
        self.on_success: Callable[[CallReport], object] | None = optional(_parse_hook, "on_success", on_success)
        #: How many failures in a row may look the same; infinity: any number.
        self.no_progress: float = optional(parse_count, "no_progress", no_progress) or math.inf
        self.reviser: ArgumentReviser = _parse_revise(revise, revise_on, max_revisions, no_progress)
        self.on: ErrorCategory | None = _parse_categories(on)
        #: Whether a failure that has exhausted a nested retry is retried.
        self.retry_exhausted: bool = require_bool("retry_exhausted", retry_exhausted)
        #: Seconds: with fewer left no attempt begins.
        self.min_attempt_time: float = parse_duration("min_attempt_time", min_attempt_time, zero=True)
        self.on_exhausted: str = require_choice("on_exhausted", on_exhausted, get_args(OnExhausted))
        self.wraps: bool = self.on_exhausted == "wrap"
        self.methods: MethodSelection | None = select_methods(only, exclude)
        #: By category, how its failures are retried.
        self.rules: DerivedTable[RetryRule] = self._rules(profiles)
        self._hooks: dict[str, Callable[..., object]] = given_options(
            on_retry=on_retry, on_success=on_success, retry_if_result=retry_if_result, revise=revise
        )
        self._hooks |= self.strategies.hooks()
        #: Whether callbacks judge results.
        self.judges_results: bool = not self._hooks.keys().isdisjoint(("retry_if", "retry_if_result"))
        #: Whether failures are compared with the one before.
        self.limits_repeats: bool = no_progress is not None or revise is not None
        #: Whether each failure involves a callback, or a comparison with the one before.
        self.needs_slow_path: bool = bool(self._hooks) or self.limits_repeats or self.reset_after < math.inf
        #: Waits of so many seconds are skipped: none where no number ends the attempts, so that other tasks get to run.
        self.skipped_wait: float = {math.inf: -1.0}.get(self.attempts, 0.0)
        # Strategies measure from the start of the call, and may judge its result.
        self.fast_path: bool = self._hooks.keys() <= {"on_retry", "revise"}
        # The result of a stream is known only when its items have been handed out.
        self.supports_generators: bool = retry_if_result is None
        self.success_counter: SuccessCounter | None = self.budget

    def _rules(self, profiles: ProfileRows | None) -> DerivedTable[RetryRule]:
        """Return the rules by category, which are read from the table, or from the rows of this retry's own.

        Made anew when `override_profiles` changes a row, for policies as well that were made before.
        """
        example = "{'timeout': {'base': 0.5}}"
        own_rows = changed_profiles("profiles", dict(require_by_category("profiles", profiles, example)))
        # Not a method of this: a loop makes a policy each time, which must not wait for the garbage collector.
        rule_of = functools.partial(
            RetryRule.of, self.on, self.backoff, self.strategies.wait, self.waits, self.max_attempts
        )
        return DerivedTable(rule_of, own_rows)

    def _policy(self) -> NoReturn:
        raise TypeError(f"with {self}: a block cannot run twice; use `for attempt in retrying(...)`")

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        """Return the functions that the retry was given, by option: none may be async around a sync call."""
        return self._hooks

    # -- description -------------------------------------------------------------------------------------------------

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return the worst case: every attempt fails, and every wait is as long as its jitter allows.

        *inside* is the worst case of one attempt. A failure that has exhausted a nested retry is final, so the attempts
        multiply only where this retry is for categories that the nested one is not for.

        Its `hint` is the longest wait that a server can ask for: beyond the cap of the backoff the retry stops, and a
        tenth is added at random.
        """
        retried = [leaf._value_ for leaf in ErrorCategory if self.rules[leaf._value_].retried]
        attempts = self._worst_attempts(sum(retried) & ~inside.retried != 0)
        waits = self._longest_waits(retried, attempts - 1)
        inner_waits = hint = 0.0
        if inside.waits:  # infinity times 0 is no number
            inner_waits = attempts * inside.waits
        if attempts > 1:
            own = (wait for wait in self.waits.values() if isinstance(wait, Backoff))
            hint = 1.1 * max(backoff.cap for backoff in (self.backoff, *own))
        return inside._replace(
            calls=attempts * inside.calls,
            waits=waits + inner_waits,
            seconds=attempts * inside.seconds + waits,
            hint=max(inside.hint, hint),
            retried=inside.retried | self._exhausted(retried),
        )

    def _exhausted(self, retried: list[int]) -> int:
        """Return the bits of the *retried* categories that an enclosing retry does not retry after this one.

        None of a retry of one attempt, which has retried nothing, and none where a call may turn out not to be
        idempotent: such a failure is left to the enclosing retry.
        """
        if self.attempts == 1 or self.idempotency is not None:
            return 0
        return sum(bit for bit in retried if self.rules[bit].max_failures > 1)

    def _worst_attempts(self, retries_more_than_inner: bool) -> float:
        """Return how many attempts a call can take: one where a nested retry has retried all that this one would.

        Where attempts that work for a while are not counted, there may be any number of them.
        """
        attempts = 1.0
        if self.retry_exhausted or self.judges_results or retries_more_than_inner:
            attempts = min(self.attempts, ATTEMPTS_CAP.lowest())
            if attempts > 1 and self.reset_after < math.inf:
                attempts = math.inf
        return attempts + self.reviser.max_revisions

    def _longest_waits(self, retried: list[int], retries: float) -> float:
        """Return the most seconds that a call can wait between attempts, in whatever category all of them fail."""
        from resilience.policies.backoff import longest_waits

        if retries and self.strategies.has_waits:
            return math.inf  # a wait strategy may return anything
        rules = [self.rules[bit] for bit in retried]
        return max((longest_waits(rule.backoff, rule.base_delay, retries) for rule in rules), default=0.0)

    def __str__(self) -> str:
        """Return the retry as it would be written: limits and waits in any case, other options where they are set."""
        options = {
            "attempts": _number(self.attempts),
            **self._shown_waits(),
            "max_attempts": _by_label(self.max_attempts),
            "reset_after": self.reset_after,
            "budget": self.budget and (self.budget.name or "unnamed"),
            "idempotent": self.idempotency,
            **self.reviser.options(),
            "no_progress": self.no_progress,
            "min_attempt_time": self.min_attempt_time,
            "retry_exhausted": self.retry_exhausted,
            "on_exhausted": self.on_exhausted,
        }
        on = self.on or ErrorCategory.TRANSIENT
        shown = [f"{name}={_text(value)}" for name, value in options.items() if value not in _NOT_SHOWN]
        return f"retry_on_category({', '.join([on.label, *shown])})"

    def _shown_waits(self) -> dict[str, object]:
        strategies = self.strategies.options()
        if "wait" in strategies:  # in place of the backoff
            return dict(strategies)
        return {**self.backoff.options(), **strategies}

    def __repr__(self) -> str:
        return str(self)


def _by_label(limits: Mapping[int, int]) -> str:
    """Return limits by category as text, empty without any.

    >>> _by_label({ErrorCategory.TIMEOUT.value: 2})
    '{timeout: 2}'
    """
    shown = ", ".join(f"{ErrorCategory(bit)}: {limit}" for bit, limit in limits.items())
    return shown and f"{{{shown}}}"


def _number(limit: float) -> object:
    return "unlimited" if limit == math.inf else limit


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# -- checks of options -------------------------------------------------------------------------------------------------


def _parse_categories(on: tuple[object, ...]) -> ErrorCategory | None:
    """Return the categories that are retried, None where the table decides.

    Raises ValueError where CANCELLED is named: a cancelled call is over. As a member of a group it has no effect.
    """
    if not on:
        return None
    categories = combine("on", on)
    for each in on:
        if combine("on", [each]) is ErrorCategory.CANCELLED:
            raise ValueError("on='cancelled': a cancelled call is never retried; name another category")
    return categories


def _parse_attempts(attempts: int | None, max_retries: int | None, stop: object) -> float:
    """Return how many calls are made in all; infinity: no number ends them.

    A stop strategy decides alone unless a number is given: the default must not cut it short.
    """
    if max_retries is not None:
        if attempts is not _DEFAULT_ATTEMPTS:
            raise TypeError(
                f"attempts={attempts!r}, max_retries={max_retries!r}: give one of them;"
                " attempts counts all calls, max_retries the ones after the first"
            )
        return parse_count("max_retries", max_retries, least=0) + 1
    if attempts is None or (stop is not None and attempts is _DEFAULT_ATTEMPTS):
        return math.inf
    return int(parse_count("attempts", attempts))  # a plain one: it is compared at every failure


def _refuse_unused_backoff(backoff: Backoff, wait: object) -> None:
    """Raise TypeError where options of the *backoff* are given beside the *wait* that replaces it."""
    if wait is None:
        return
    unused = {"base_delay": backoff.first, "exponential_base": backoff.exponential_base, "jitter": backoff.jitter}
    for option, value in unused.items():
        if value not in _UNUSED_BESIDE_WAIT[option]:
            raise TypeError(
                f"{option}={value!r}, wait={wait!r}: give one of them; wait replaces the backoff, and is not jittered"
            )


_UNUSED_BESIDE_WAIT: Mapping[str, tuple[object, ...]] = {
    "base_delay": (None, 0.0),
    "exponential_base": (2.0,),
    "jitter": ("equal", "none"),  # "none" is true of a wait
}
"""The options of a backoff that a wait replaces, and the values that mean nothing beside it."""


def _parse_budget(parameter: str, budget: RetryBudget) -> RetryBudget:
    from resilience.policies.retry_budget import RetryBudget

    expected = "a RetryBudget, one object for all callers of the same dependency"
    require(isinstance(budget, RetryBudget), parameter, budget, expected, TypeError)
    return budget


def _parse_idempotent(idempotent: object) -> Idempotency | None:
    """Return what knows whether a call may happen twice; None where any may, which is the default.

    The module is imported where it is needed: most retries are of calls that may happen twice.
    """
    if idempotent is True or idempotent is None:
        return None
    from resilience.policies.idempotency import idempotency_of

    return idempotency_of(idempotent)


def _parse_revise(
    revise: Callable[[Arguments, CallReport], object] | None,
    revise_on: CategoryLike | None,
    max_revisions: int,
    no_progress: int | None,
) -> ArgumentReviser:
    """Return what revises the arguments: `NO_REVISIONS` without a function that does.

    Without a limit of its own a retry with *revise* stops at 3 failures in a row that look the same.
    """
    if revise is None:
        expected = "it with revise=, a function that returns new arguments"
        require(revise_on is None, "revise_on", revise_on, expected, TypeError)
        require(max_revisions == _DEFAULT_REVISIONS, "max_revisions", max_revisions, expected, TypeError)
        return NO_REVISIONS
    expected = "a function of the call's Arguments and its CallReport, which returns new arguments or None"
    require_callable("revise", revise, expected, takes=2)
    on = optional(lambda parameter, category: combine(parameter, [category]), "revise_on", revise_on) or REVISED
    return ArgumentReviser(revise, parse_count("max_revisions", max_revisions), no_progress or 3, on)


_TAKES = {
    "retry_if_result": "a function of the result, true of one to try again",
    "on_retry": "a function that takes a RetryScheduled event",
    "on_success": "a function that takes a CallReport",
}


def _parse_hook(parameter: str, hook: Callable[[Any], object]) -> Callable[[Any], object]:
    return require_callable(parameter, hook, _TAKES[parameter], takes=1)


def _parse_judge(parameter: str, judge: Callable[[Any], object]) -> Callable[[Any], object]:
    is_strategy = type(judge).__module__.startswith("tenacity")
    require(not is_strategy, parameter, judge, "a function of the result, or this as retry_if=", TypeError)
    return _parse_hook(parameter, judge)
