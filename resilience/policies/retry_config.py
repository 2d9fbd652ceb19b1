"""Options of a retry, and the decision after a failed attempt: whether another one follows, and after how long."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict, TypeVar

from resilience._runtime.exhaustion import exhaustion_counter
from resilience._runtime.protocol import Call, SuccessCounter
from resilience._validation import a_function, a_mapping, count, need, one_of, seconds, yes_or_no
from resilience.category import CategoryLike, ErrorCategory, combine
from resilience.classify.decide import categories_of
from resilience.classify.hint import retry_after, retry_after_of_result
from resilience.outcome import Outcome
from resilience.policies.backoff import Backoff
from resilience.policies.base import Policy
from resilience.policies.nested_retries import inner_exhaustion
from resilience.policies.retry_report import CallReport, RetryState
from resilience.policies.stop_reason import StopReason
from resilience.profile import Profile, Reading, changed_profiles

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from resilience._runtime.worst_case import WorstCase
    from resilience.events import RetryScheduled
    from resilience.policies.idempotency import Idempotency
    from resilience.policies.retry_budget import RetryBudget
    from resilience.policies.revision import ArgumentReviser, Arguments
    from resilience.policies.tenacity_adapter import Strategies

    Wait = Callable[[RetryCallState], float] | float
    Predicate = Callable[[RetryCallState], bool]
    ProfileRows = Mapping[CategoryLike, Mapping[str, object] | Profile]

__all__ = ["DEFAULT_BASE_DELAY", "RetryConfig", "RetryOptions", "base_delay_of"]

T = TypeVar("T")

DEFAULT_BASE_DELAY = 0.1
"""Seconds, for a category that is not retried by default and so has no base delay of its own."""

_DEFAULT_COST = 14
"""Tokens that the retry of a result takes, or of a failure whose category has no cost as it is not retried."""

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_CANCELLED = ErrorCategory.CANCELLED
_NOT_RETRYABLE, _ATTEMPTS = StopReason.NOT_RETRYABLE, StopReason.ATTEMPTS


class _Default(int):
    """A default that can be told from the same number given by the caller."""


_DEFAULT_ATTEMPTS = _Default(3)


class RetryOptions(TypedDict, total=False):
    """Names and types of the options of a retry, for type checkers and editors. Defaults and checks: `RetryConfig`."""

    attempts: int
    max_retries: int | None
    max_attempts: Mapping[CategoryLike, int] | None
    base_delay: float | timedelta | None
    max_delay: float | timedelta
    exponential_base: float
    jitter: str
    waits: Mapping[CategoryLike, Backoff | Wait] | None
    wait: Wait | None
    stop: Predicate | None
    retry_if: Predicate | None
    retry_if_result: Callable[[Any], object] | None
    budget: RetryBudget | None
    idempotent: bool | Callable[..., object]
    min_attempt_time: float | timedelta
    retry_exhausted: bool
    no_progress: int | None
    revise: Callable[[Arguments, CallReport], object] | None
    revise_on: CategoryLike | None
    max_revisions: int
    on_retry: Callable[[RetryScheduled], object] | None
    on_success: Callable[[CallReport], object] | None
    on_exhausted: str
    profiles: ProfileRows | None


class RetryConfig(Policy):
    """Options of a retry, checked, and what they decide. `retry_on_category` documents them.

    Without *on* the table of categories decides: those whose row says ``retry``, which are TRANSIENT as shipped.
    Attributes that go by category are mappings by the bit of a leaf.
    """

    def __init__(
        self,
        *on: object,
        attempts: int = _DEFAULT_ATTEMPTS,
        max_retries: int | None = None,
        max_attempts: Mapping[CategoryLike, int] | None = None,
        base_delay: float | timedelta | None = None,
        max_delay: float | timedelta = 60.0,
        exponential_base: float = 2.0,
        jitter: str = "equal",
        waits: Mapping[CategoryLike, Backoff | Wait] | None = None,
        wait: Wait | None = None,
        stop: Predicate | None = None,
        retry_if: Predicate | None = None,
        retry_if_result: Callable[[Any], object] | None = None,
        budget: RetryBudget | None = None,
        idempotent: bool | Callable[..., object] = True,
        min_attempt_time: float | timedelta = 0.0,
        retry_exhausted: bool = False,
        no_progress: int | None = None,
        revise: Callable[[Arguments, CallReport], object] | None = None,
        revise_on: CategoryLike | None = None,
        max_revisions: int = 3,
        on_retry: Callable[[RetryScheduled], object] | None = None,
        on_success: Callable[[CallReport], object] | None = None,
        on_exhausted: str = "raise",
        profiles: ProfileRows | None = None,
    ) -> None:
        #: The calls in all; None: no limit.
        self.attempts: int | None = _parse_attempts(attempts, max_retries, stop)
        self.max_attempts_by_category: Mapping[int, int] = {
            leaf.value: count(f"max_attempts[{leaf.label!r}]", most)
            for leaf, most in _by_leaf("max_attempts", max_attempts, "{'timeout': 2}")
        }
        self.backoff: Backoff = Backoff(base_delay, max_delay, exponential_base, jitter)
        self.backoffs: Mapping[int, Backoff]
        self.backoffs, wait_strategies = _parse_waits(waits, self.backoff)
        self.strategies: Strategies | None = _parse_strategies(wait, stop, retry_if, wait_strategies)
        self.budget: RetryBudget | None = _parse_budget(budget)
        #: Whether a call may happen twice; None: any.
        self.idempotency: Idempotency | None = _parse_idempotent(idempotent)
        _check_functions(retry_if_result, on_retry, on_success)
        self.retry_if_result: Callable[[Any], object] | None = retry_if_result
        self.on_retry: Callable[[RetryScheduled], object] | None = on_retry
        self.on_success: Callable[[CallReport], object] | None = on_success
        #: How many failures in a row may look the same; None: any number.
        self.no_progress: int | None = None if no_progress is None else count("no_progress", no_progress)
        self.reviser: ArgumentReviser | None = _parse_revise(revise, revise_on, max_revisions, self.no_progress)
        self.on: ErrorCategory | None = _parse_categories(on)
        #: Whether a failure that has exhausted a nested retry is retried.
        self.retry_exhausted: bool = yes_or_no("retry_exhausted", retry_exhausted)
        #: Seconds: with fewer left no attempt begins.
        self.min_attempt_time: float = seconds("min_attempt_time", min_attempt_time, zero=True)
        self.wraps: bool = one_of("on_exhausted", on_exhausted, ("raise", "wrap")) == "wrap"
        own_rows = changed_profiles("profiles", dict(_mapping("profiles", profiles, "{'timeout': {'base': 0.5}}")))
        #: The rows of the table in force for this retry, and of each the first wait; None: not retried.
        # Not a method of this: a loop makes a policy each time, which must not wait for the garbage collector.
        self.rows: Reading[Profile] = Reading(_identity, own_rows)
        self.base_delays: Reading[float | None] = Reading(functools.partial(_retryable_base_delay, self.on), own_rows)
        #: Whether callbacks judge results.
        self.judges_results: bool = retry_if_result is not None or retry_if is not None
        #: Whether failures are compared with the one before.
        self.limits_repeats: bool = no_progress is not None or self.reviser is not None
        #: Whether each failure involves a callback, or a comparison with the one before.
        self.needs_slow_path: bool = any(
            each is not None
            for each in (self.strategies, retry_if_result, on_retry, on_success, no_progress, self.reviser)
        )
        # Strategies measure from the start of the call, and may judge its result.
        self.fast_path: bool = self.strategies is None and retry_if_result is None and on_success is None
        # The result of a stream is known only when its items have been handed out.
        self.supports_generators: bool = retry_if_result is None
        self.success_counter: SuccessCounter | None = self.budget

    def _policy(self) -> NoReturn:
        raise TypeError(f"with {self}: a block cannot run twice; use `for attempt in retrying(...)`")

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        given = {name: getattr(self, name) for name in ("on_retry", "on_success", "retry_if_result")}
        if self.reviser is not None:
            given["revise"] = self.reviser.callback
        if self.strategies is not None:
            given |= self.strategies.hooks()
        return {name: hook for name, hook in given.items() if hook is not None}

    def __repr__(self) -> str:
        return str(self)

    # -- the decision ------------------------------------------------------------------------------------------------

    def base_delay_after(self, category: ErrorCategory, error: Exception | None) -> float | None:
        """Return the first wait after a failure by *error*, in seconds; None: it is not retryable."""
        if error is None or (isinstance(error, BaseExceptionGroup) and not self._all_members_retryable(error)):
            return None
        return self.base_delays[category._value_]

    def next_delay(
        self, call: Call, outcome: Outcome, state: RetryState, wait: float | None = None
    ) -> StopReason | float:
        """Return the seconds to wait before another attempt follows the failed *outcome*, or why none does.

        *wait* is the answer of a wait strategy; without it the backoff is computed.
        """
        blocked = self._blocked_by(call, outcome, state)
        if blocked is not None:
            return blocked
        backoff = self.backoffs.get(state.category._value_, self.backoff)
        random = call.clock.random
        if wait is None:
            retries = state.attempts - state.revisions - 1
            wait = backoff.delay(retries, state.base_delay or 0.0, state.last_wait, random)
        server_delay = self.server_delay(outcome)
        if server_delay is not None:
            if server_delay > backoff.cap:
                return StopReason.PUSHBACK
            # At least as long as the server asks for. Clients that were given the same second must not come back in
            # the same second: a tenth of it at random.
            wait = max(server_delay, wait) + random() * 0.1 * server_delay
        # Checked now, not when the attempt failed: the wait strategy may have taken some time as well.
        return StopReason.DEADLINE if call.lacks_time(wait + self.min_attempt_time) else wait

    def _blocked_by(self, call: Call, outcome: Outcome, state: RetryState) -> StopReason | None:
        """Return why no further attempt may be made, whatever the wait; None: one may."""
        if state.base_delay is None:
            return _NOT_RETRYABLE
        if call.streaming_started:
            return StopReason.COMMITTED
        inner, error = None, outcome.error
        if state.exhaustions_at_start != exhaustion_counter.count and error is not None:
            # Some retry was exhausted since the attempt began. By this error?
            inner = inner_exhaustion(error, state.exhaustions_at_start)
            if inner is not None and not self.retry_exhausted:
                return StopReason.NESTED
        if self.idempotency is not None and not self._safe_to_repeat(call, outcome, state.category, inner):
            return StopReason.NOT_IDEMPOTENT
        if self.attempts is not None and state.attempts - state.revisions >= self.attempts:
            return _ATTEMPTS
        if self.max_attempts_by_category and self._category_exhausted(state):
            return _ATTEMPTS
        if self.no_progress is not None and state.repeated_failures >= self.no_progress:
            return StopReason.NO_PROGRESS
        return None

    def _all_members_retryable(self, group: Exception) -> bool:
        # The category of a group is that of one of its members.
        return all(self.base_delays[leaf.value] is not None for leaf in categories_of(group))

    def _category_exhausted(self, state: RetryState) -> bool:
        """Count a failure of a category whose number is limited; return whether that was the last one allowed."""
        bit = state.category._value_
        failures = state.failures_by_category[bit] = state.failures_by_category.get(bit, 0) + 1
        return failures >= self.max_attempts_by_category.get(bit, math.inf)

    def _safe_to_repeat(self, call: Call, outcome: Outcome, category: ErrorCategory, inner: CallReport | None) -> bool:
        """Whether the call may happen twice, or the failed *outcome* proves that it has not happened."""
        from resilience.policies.idempotency import may_be_sent_again, result_may_be_followed_by_another

        assert self.idempotency is not None
        row, error = self.rows[category._value_], outcome.error
        if error is None:
            proven = result_may_be_followed_by_another(row, outcome.value)
        else:
            # Of several attempts of a nested retry the last one proves nothing about the others.
            proven = inner is None and may_be_sent_again(row, error, lambda leaf: self.rows[leaf._value_])
        return proven or self.idempotency.allows(call)

    def server_delay(self, outcome: Outcome) -> float | None:
        """Return the seconds that the server asks to wait (Retry-After), if it does."""
        return retry_after_of_result(outcome.value) if outcome.error is None else retry_after(outcome.error)

    def cost(self, category: ErrorCategory) -> int:
        """Return the tokens that a retry after a failure of *category* takes from the budget."""
        row = self.rows[category._value_]
        if row.cost or row.retry:
            return row.cost
        return _DEFAULT_COST

    # -- description -------------------------------------------------------------------------------------------------

    def worst(self, inside: WorstCase) -> WorstCase:
        retried = [leaf._value_ for leaf in ErrorCategory if self.base_delays[leaf._value_] is not None]
        attempts = self._worst_attempts(sum(retried) & ~inside.retried != 0)
        waits = self._longest_waits(retried, attempts - 1)
        longest = max(backoff.cap for backoff in (self.backoff, *self.backoffs.values()))
        return inside._replace(
            calls=attempts * inside.calls,
            waits=waits + (attempts * inside.waits if inside.waits else 0.0),  # infinity times 0 is no number
            seconds=attempts * inside.seconds + waits,
            hint=max(inside.hint, 1.1 * longest if attempts > 1 else 0.0),
            retried=inside.retried | sum(retried),
        )

    def _worst_attempts(self, retries_more_than_inner: bool) -> float:
        """Return how many attempts a call can take. What exhausts a nested retry for the same categories is final."""
        attempts = 1.0
        if self.retry_exhausted or self.judges_results or retries_more_than_inner:
            attempts = math.inf if self.attempts is None else self.attempts
        return attempts if self.reviser is None else attempts + self.reviser.max_revisions

    def _longest_waits(self, retried: list[int], retries: float) -> float:
        """Return the most seconds that a call can wait between attempts."""
        from resilience._runtime.worst_case import longest_waits

        strategies = self.strategies
        if retries and strategies is not None and (strategies.wait is not None or strategies.waits):
            return math.inf  # a wait strategy may return anything
        backoffs = ((self.backoffs.get(bit, self.backoff), self.base_delays[bit] or 0.0) for bit in retried)
        return max((longest_waits(backoff, base, retries) for backoff, base in backoffs), default=0.0)

    def __str__(self) -> str:
        on = ErrorCategory.TRANSIENT if self.on is None else self.on
        shown = {**self._shown_limits(), **self._shown_waits(), **self._shown_extras()}
        return f"retry_on_category({', '.join([on.label, *(f'{name}={value}' for name, value in shown.items())])})"

    def _shown_limits(self) -> dict[str, object]:
        return {"attempts": "unlimited" if self.attempts is None else self.attempts}

    def _shown_waits(self) -> dict[str, object]:
        shown: dict[str, object] = {}
        strategies, backoff = self.strategies, self.backoff
        if strategies is None or strategies.wait is None:
            base = "by category" if backoff.base_delay is None else f"{backoff.base_delay:g}"
            shown |= {"base_delay": base, "max_delay": f"{backoff.cap:g}", "jitter": backoff.jitter}
        if strategies is not None:
            given = {name: getattr(strategies, name) for name in ("wait", "stop", "retry_if")}
            shown |= {name: type(strategy).__name__ for name, strategy in given.items() if strategy is not None}
        return shown

    def _shown_extras(self) -> dict[str, object]:
        """Return the other options where they differ from their defaults."""
        shown: dict[str, object] = {}
        if self.max_attempts_by_category:
            limits = (f"{ErrorCategory(bit)}: {most}" for bit, most in self.max_attempts_by_category.items())
            shown["max_attempts"] = f"{{{', '.join(limits)}}}"
        if self.budget is not None:
            shown["budget"] = self.budget.name or "unnamed"
        if self.idempotency is not None:
            shown["idempotent"] = self.idempotency
        if self.reviser is not None:
            shown["max_revisions"] = self.reviser.max_revisions
            if not self.reviser.is_default:
                shown["revise_on"] = self.reviser.on.label
        if self.no_progress is not None:
            shown["no_progress"] = self.no_progress
        if self.min_attempt_time:
            shown["min_attempt_time"] = f"{self.min_attempt_time:g}"
        if self.retry_exhausted:
            shown["retry_exhausted"] = True
        if self.wraps:
            shown["on_exhausted"] = "wrap"
        return shown


# -- parsing of options ---------------------------------------------------------------------------------------------


def _parse_categories(on: tuple[object, ...]) -> ErrorCategory | None:
    if not on:
        return None
    categories = combine("on", on)
    if categories is _CANCELLED:
        raise ValueError("on='cancelled': a cancelled call is never retried; name another category")
    return categories


def _parse_attempts(attempts: int, max_retries: int | None, stop: object) -> int | None:
    """Return how many calls are made in all; None: a stop strategy decides, which a default must not cut short."""
    if max_retries is not None:
        if attempts is not _DEFAULT_ATTEMPTS:
            raise TypeError(
                f"attempts={attempts!r}, max_retries={max_retries!r}: give one of them;"
                " attempts counts all calls, max_retries the ones after the first"
            )
        return count("max_retries", max_retries, least=0) + 1
    if stop is not None and attempts is _DEFAULT_ATTEMPTS:
        return None
    return count("attempts", attempts)


def _parse_waits(
    waits: Mapping[CategoryLike, Backoff | Wait] | None, default: Backoff
) -> tuple[dict[int, Backoff], dict[int, Callable[..., object]]]:
    """Return the backoffs, and the wait strategies, of the categories that have their own; a number is a fixed wait."""
    backoffs: dict[int, Backoff] = {}
    strategies: dict[int, Callable[..., object]] = {}
    for leaf, wait in _by_leaf("waits", waits, "{'rate_limit': 5}"):
        parameter = f"waits[{leaf.label!r}]"
        backoffs.pop(leaf.value, None)
        strategies.pop(leaf.value, None)
        if isinstance(wait, Backoff):
            backoffs[leaf.value] = wait
        elif callable(wait):
            from resilience.policies.tenacity_adapter import validate_strategy

            strategies[leaf.value] = validate_strategy(parameter, wait)
        else:
            fixed = seconds(parameter, wait, zero=True)
            need(fixed <= default.cap, parameter, wait, f"at most max_delay={default.cap:g}")
            backoffs[leaf.value] = Backoff(fixed, default.cap, 1.0, "none")
    return backoffs, strategies


def _parse_strategies(
    wait: Wait | None, stop: Predicate | None, retry_if: Predicate | None, waits: Mapping[int, Callable[..., object]]
) -> Strategies | None:
    if wait is None and stop is None and retry_if is None and not waits:
        return None
    from resilience.policies.tenacity_adapter import Strategies

    return Strategies(wait, stop, retry_if, waits)


def _parse_budget(budget: RetryBudget | None) -> RetryBudget | None:
    if budget is not None:
        from resilience.policies.retry_budget import RetryBudget

        right = "a RetryBudget, one object for all who call the same dependency"
        need(isinstance(budget, RetryBudget), "budget", budget, right, TypeError)
    return budget


def _parse_idempotent(idempotent: object) -> Idempotency | None:
    if idempotent is True:
        return None
    from resilience.policies.idempotency import idempotency_of

    return idempotency_of(idempotent)


def _parse_revise(
    revise: Callable[[Arguments, CallReport], object] | None,
    revise_on: CategoryLike | None,
    max_revisions: int,
    no_progress: int | None,
) -> ArgumentReviser | None:
    if revise is None:
        if revise_on is not None:
            raise TypeError(f"revise_on={revise_on!r}: give it with revise=, a function that returns new arguments")
        return None
    from resilience.policies.revision import REVISED, ArgumentReviser

    right = "a function of the call's Arguments and its CallReport, which returns new arguments or None"
    a_function("revise", revise, right, takes=2)
    on = REVISED if revise_on is None else combine("revise_on", [revise_on])
    return ArgumentReviser(revise, count("max_revisions", max_revisions), no_progress or 3, on)


def _check_functions(retry_if_result: object, on_retry: object, on_success: object) -> None:
    if type(retry_if_result).__module__.startswith("tenacity"):
        raise TypeError(f"retry_if_result={retry_if_result!r}: give a function of the result, or this as retry_if=")
    for parameter, function, right in (
        ("retry_if_result", retry_if_result, "a function of the result, true of one to try again"),
        ("on_retry", on_retry, "a function that takes a RetryScheduled event"),
        ("on_success", on_success, "a function that takes a CallReport"),
    ):
        if function is not None:
            a_function(parameter, function, right, takes=1)


def _mapping(parameter: str, given: Mapping[CategoryLike, T] | None, example: str) -> Mapping[CategoryLike, T]:
    """Return a mapping by category, an empty one where none was given."""
    if given is None:
        return {}
    a_mapping(parameter, given, f"a mapping by category, such as {example}")
    return given


def _by_leaf(parameter: str, given: Mapping[CategoryLike, T] | None, example: str) -> Iterator[tuple[ErrorCategory, T]]:
    """Yield what is given for each leaf; of two keys that name it, the one that names fewer comes last, and holds."""
    keys = [(combine(parameter, [key]), value) for key, value in _mapping(parameter, given, example).items()]
    for category, value in sorted(keys, key=lambda each: -len(each[0])):
        for leaf in category:
            yield leaf, value


# -- what is read from the table --------------------------------------------------------------------------------------


def _retryable_base_delay(on: ErrorCategory | None, row: Profile) -> float | None:
    """Return the first wait after a failure of a category, None of one that is not retried."""
    retried = row.retry if on is None else row.category in on
    return base_delay_of(row) if retried and row.category is not _CANCELLED else None


def base_delay_of(row: Profile) -> float:
    """Return the first wait after a failure of a category, in seconds."""
    return DEFAULT_BASE_DELAY if row.base is None else float(row.base)


def _identity(row: Profile) -> Profile:
    return row
