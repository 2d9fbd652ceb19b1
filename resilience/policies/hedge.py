"""Hedge: a call that takes longer than most is made a second time, and the first success counts.

A few slow servers, pauses or lost packets make the slowest calls of a service, whatever its median is. A second copy,
sent when the first one is later than 95 % of all calls, is quick with the same 95 %, and adds 5 % of load (Dean and
Barroso, The Tail at Scale, 2013). Without a budget it adds most load when the dependency is slow for lack of capacity,
and keeps it down: so the extra calls are limited, and the hedge pauses when they do not help.

`Hedge` has the options, and what its calls share. `_hedged_call` decides about the copies of one call, `_hedge_state`
has what the calls of a key share, and the runner's `race` runs the copies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from typing import NoReturn, TypedDict, cast

from resilience._outcome import Outcome
from resilience._runtime.callables import Kind, is_async, is_generator, kind_of, name_of
from resilience._runtime.decorate import async_opener
from resilience._runtime.method_selection import MethodSelection, select_methods
from resilience._runtime.place import Place
from resilience._runtime.protocol import Call
from resilience._runtime.protocol import Policy as AnyPolicy
from resilience._runtime.worst_case import WorstCase
from resilience._validation import optional, parse_count, parse_duration, parse_number, require, require_bool
from resilience.categories import ErrorCategory
from resilience.clock import current_clock
from resilience.policies._extra_calls import ExtraCalls
from resilience.policies._hedge_state import HedgeState
from resilience.policies._hedged_call import HedgedCall
from resilience.policies._keyed import Keyed, parse_key
from resilience.policies._repeatable import never_repeats
from resilience.policies.base import Policy, Steps
from resilience.policies.retry_budget import RetryBudget
from resilience.profiles import profile_for

__all__ = ["Hedge", "HedgeSnapshot", "hedge"]

_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")
_SHARE = 0.05
_MAX_KEYS = 1024


class HedgeSnapshot(TypedDict):
    """The numbers of a hedge: its calls so far, the further *copies* it has made, and how many of those have *won*.

    *delay* is the time after which it makes a copy, in seconds, with ``key=`` the longest of them; None while it has
    observed too few calls. *paused* says whether it makes none for now, for some key.
    """

    delay: float | None
    calls: int
    copies: int
    won: int
    paused: bool


class Hedge(Policy):
    """Make a call again when it takes longer than *after*; the first success counts, the other copies are cancelled.

    Use it as a decorator of async functions, methods and classes, and of async generator functions, whose copies race
    for the first item. The first copy runs in the caller's own task, and most calls end with it. The losers are
    cancelled and awaited: when the call has ended, nothing of it runs any more. What the winner has set of context
    variables is set for the caller, and what a loser has set is not; in threads it stays there. The winner of streams
    goes on in the caller's task: a generator that keeps a cancel scope or a task group open over a ``yield`` cannot be
    hedged.

    **The function must be one that may be called twice.** A hedge is refused, where it is written, beside a retry with
    ``idempotent=False``. A POST or PATCH without an ``Idempotency-Key`` is not hedged, unless a retry beside it says
    ``idempotent=True``, or `settings.repeat_posts`. A call that ``idempotent=by_method``, or your function there, does
    not allow to happen twice is not hedged either.

    Args:
        after: when a copy is made: a quantile of the latencies as text, such as "p95", which is learned from the calls,
            or seconds.
        copies: the further copies of one call, each *after* that time from the one before.
        budget: the share of the calls that copies may add; or a `RetryBudget`, out of which a copy is paid as a retry
            is, beside that share of 5 %.
        to: functions with the same parameters, called by the further copies in place of the decorated one: other
            replicas. With more copies than functions they are called in turn.
        key: a function of the call's arguments: each key has a quantile of its own, and pauses by itself.
        to_threads: hedge sync functions, with each copy in a worker thread. A loser cannot be stopped then: it is left,
            as a call is whose time limit has passed.
        only, exclude: the methods of a decorated class that are guarded, and no others; or that are left as they are.

    A failure decides by its category. Where the server was not reached (NETWORK, UNAVAILABLE without Retry-After), the
    next copy begins at once. RATE_LIMIT, CAPACITY and REJECTED ask for fewer calls: no copy is made for 10 s, or up to
    60 where the server says so. Of the rest, TIMEOUT and server errors leave the copies in flight their chance, and a
    failure of the call itself, such as VALIDATION, ends all copies and is raised. So does an error that no rule knows.
    The hedge also pauses for 10 s when copies win fewer than a tenth of the last 20 races, and while calls wait in a
    bulkhead inside. It makes no copy while the last calls were half as slow again as the best ones: they wait for
    capacity then, of which a copy takes some more.

    A quantile is learned from the calls that succeed, after the first 20 of them. A superseded call counts with the
    time it had taken. No window is kept: one number for each key moves a little with each call. When all copies have
    failed the last failure is raised, the same object. Each copy passes the policies inside, and counts there as a call
    of its own; one that is cancelled counts for nothing.

    Raises TypeError or ValueError, where it is written, for invalid options, and TypeError for sync functions without
    *to_threads*.

    >>> @hedge("p95", budget=0.05)
    ... async def search(query: str) -> list[str]:
    ...     return [query]
    >>> import anyio
    >>> anyio.run(search, "lamp")
    ['lamp']
    """

    place: Place | None = Place.HEDGE
    guards_local_methods = False
    supports_sync: bool = False
    needs_async: str = "nothing can end a copy; give to_threads=True to run the copies in threads"

    def __init__(
        self,
        after: str | float | timedelta = "p95",
        *,
        copies: int = 1,
        budget: float | RetryBudget = _SHARE,
        to: Callable[..., object] | Sequence[Callable[..., object]] = (),
        key: Callable[..., Hashable] | None = None,
        to_threads: bool = False,
        only: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        self.after: str | float | timedelta = after
        self._quantile, self._seconds = _parse_after(after)
        self.copies: int = parse_count("copies", copies)
        self.budget: float | RetryBudget = budget
        self.extra_calls: ExtraCalls = ExtraCalls(_parse_budget(budget, self.copies))
        self.retry_budget: RetryBudget | None = None
        if isinstance(budget, RetryBudget):
            self.retry_budget = budget
        self.to: tuple[Callable[..., object], ...] = _parse_functions(to)
        self.key: Callable[..., Hashable] | None = key
        optional(parse_key, "key", key)
        self.to_threads: bool = require_bool("to_threads", to_threads)
        self.supports_sync = to_threads
        self.methods: MethodSelection | None = select_methods(only, exclude)
        self._state = self._new_state()  # without a key for all calls
        self._keyed = Keyed(self._new_state, _MAX_KEYS, _always, self.__str__)

    @property
    def seconds(self) -> float:
        """The delay that was given; 0 where it is learned from calls, which end within their limits."""
        if self._quantile is not None:
            return 0.0
        return self._seconds

    def _new_state(self) -> HedgeState:
        return HedgeState(self._quantile, self._seconds)

    def _policy(self) -> NoReturn:
        raise TypeError(f"with {self}: a block cannot run twice; decorate a function")

    def check_stack(self, target: str, function: Callable[..., object], stack: Sequence[AnyPolicy]) -> None:
        """Raise TypeError for a call that must not be made twice, and for functions in *to* of another kind."""
        retry = never_repeats(stack)
        if retry is not None:
            raise TypeError(
                f"cannot guard {target} by {self}: {retry} says that it must not be called twice;"
                " leave out the hedge, or say idempotent=True or by_method"
            )
        if self.to_threads and kind_of(function) is Kind.GENERATOR:
            raise TypeError(
                f"cannot guard the generator function {target} by {self}: a thread that fetches its first item"
                " cannot be stopped; make it async"
            )
        for other in self.to:
            if (is_async(other), is_generator(other)) != (is_async(function), is_generator(function)):
                raise TypeError(
                    f"to={name_of(other)}: give a function of the same kind as {target}, both async or both generators"
                )

    # -- the call ------------------------------------------------------------------------------------------------

    def run(self, call: Call) -> Steps:
        """Make *call*, and copies of it when it is late or fails; return the first success or the last failure."""
        state = self._state
        if self.key is not None:
            try:
                state = self._keyed.of_call(call, self.key)
            except Exception as error:  # of the key, or of its function
                return Outcome.failed(error)
        self.extra_calls.calls += 1
        outcome: Outcome = yield HedgedCall(self, state, call)
        return outcome

    def give_function(self, copy: Call, number: int) -> None:
        """Have the *number*-th further copy call the function of *to* whose turn it is."""
        if self.to:
            copy.function = self.to[(number - 1) % len(self.to)]
            copy.opener = None
            if is_generator(copy.function):
                copy.opener = async_opener(copy.function)

    def pay(self, now: float) -> bool:
        """Pay for a copy: a call of the share, and, of a shared budget, what a retry after a time-out costs."""
        if not self.extra_calls.take():
            return False
        budget = self.retry_budget
        if budget is None or budget.spend(profile_for(ErrorCategory.TIMEOUT).cost, now) is not None:
            return True
        self.extra_calls.give_back()
        return False

    def earn(self, call: Call) -> None:
        """Pay one token to the shared budget for a success without a copy, unless a retry around it does."""
        budget = self.retry_budget
        if budget is not None and all(policy.success_counter is not budget for policy in call.stack):
            budget.passes += 1

    # -- what is known of it -------------------------------------------------------------------------------------

    def snapshot(self) -> HedgeSnapshot:
        """Return the numbers so far, of all keys together.

        >>> hedge(0.5).snapshot()
        {'delay': 0.5, 'calls': 0, 'copies': 0, 'won': 0, 'paused': False}
        """
        states = [self._state, *(state for _, state in self._keyed.items())]
        delays = [state.delay for state in states if state.delay < math.inf]
        now = current_clock().now()
        return {
            "delay": max(delays, default=None),
            "calls": self.extra_calls.calls,
            "copies": sum(state.copies for state in states),
            "won": sum(state.wins for state in states),
            "paused": any(now < state.paused_until for state in states),
        }

    def status(self, call: Call) -> str | None:
        """Return the delay and the share of calls that were made again, for the note of a failed call."""
        numbers = self.snapshot()
        after = "learns its delay"
        if numbers["delay"] is not None:
            after = f"after {numbers['delay']:.3g} s"
        return f"hedge {after}, {numbers['copies']} copies of {numbers['calls']} calls"

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside* for the call and each copy, one after the other, as each may begin when one has failed."""
        times = 1 + self.copies
        waits = 0.0
        if inside.waits:  # infinity times 0 is no number
            waits = inside.waits * times
        return inside._replace(calls=inside.calls * times, waits=waits, seconds=inside.seconds * times)

    def __str__(self) -> str:
        shown = [_shown_after(self.after)]
        if self.copies != 1:
            shown.append(f"copies={self.copies}")
        if self.retry_budget is not None:
            shown.append("budget=RetryBudget")
        elif self.budget != _SHARE:
            shown.append(f"budget={self.budget:g}")
        if self.to:
            shown.append(f"to={', '.join(map(name_of, self.to))}")
        if self.to_threads:
            shown.append("to_threads=True")
        per_key = "" if self.key is None else " per key"
        return f"hedge({', '.join(shown)}){per_key}"

    def __repr__(self) -> str:
        return f"<{self}>"


def _parse_after(after: object) -> tuple[float | None, float]:
    """Return the share of a quantile, or None, and the seconds, infinite for a quantile."""
    if not isinstance(after, str):
        example = "a quantile such as 'p95', or seconds"
        is_duration = isinstance(after, int | float | timedelta) and not isinstance(after, bool)
        require(is_duration, "after", after, example, TypeError)
        return None, parse_duration("after", after, zero=True)
    found = _QUANTILE.fullmatch(after)
    expected = "a quantile between p1 and p99.9, such as 'p95', or seconds as a number"
    require(found is not None and float(found[1]) > 0, "after", after, expected)
    assert found is not None
    return float(found[1]) / 100, math.inf


def _parse_budget(budget: object, copies: int) -> float:
    """Return the share of the calls that copies may add."""
    if isinstance(budget, RetryBudget):
        return _SHARE
    expected = "a share of the calls of more than 0, such as 0.05, or a RetryBudget"
    share = parse_number("budget", budget, expected, least=0.0, above=True)
    require(share <= copies, "budget", budget, f"at most copies={copies}: 0.05 is one copy in 20 calls")
    return share


def _parse_functions(to: object) -> tuple[Callable[..., object], ...]:
    """Return the functions of the further copies."""
    functions = [to]
    if isinstance(to, tuple | list):
        functions = [*cast("Sequence[object]", to)]
    expected = "a function, or a tuple of functions, with the parameters of the decorated one"
    for each in functions:
        require(callable(each) and not isinstance(each, type), "to", each, expected, TypeError)
    return tuple(cast("list[Callable[..., object]]", functions))


def _shown_after(after: str | float | timedelta) -> str:
    if isinstance(after, str):
        return after
    return f"{parse_duration('after', after, zero=True):g}"


def _always(_: HedgeState) -> bool:
    return True


hedge = Hedge
"""The hedge, as a decorator is named."""
