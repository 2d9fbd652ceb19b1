"""`chaos` and `fail_next`: faults as a policy, in a block, or for the next attempts of a function."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack, overload

from resilience._forks import fork_safe
from resilience._injected import mark_injected
from resilience._outcome import Outcome
from resilience._runtime.decorate import Guarded
from resilience._runtime.protocol import PROCEED, Call, Effect
from resilience._runtime.worst_case import WorstCase
from resilience._undo import Undo
from resilience._validation import parse_count, require, require_bool, require_known_names
from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.faults._errors.detection import client_of_call
from resilience.faults._errors.factory import error_for
from resilience.faults._interception import Entry, entries_here
from resilience.faults._policy import Chaos, Enabled, Strike, announce_strike
from resilience.faults._real_errors import parse_client
from resilience.faults._receiver import received
from resilience.faults._targets import Target, coverage_of
from resilience.policies.base import Policy, Steps

if TYPE_CHECKING:
    from resilience.faults._latency import LatencyLike

__all__ = [
    "ChaosBlock",
    "ChaosOptions",
    "Failure",
    "NextFailures",
    "PlannedFailures",
    "PolicyOptions",
    "chaos",
    "fail_next",
    "require_no_arguments",
]

Failure: TypeAlias = CategoryLike | Exception | type[Exception]
"""A failure to inject: a category or its label, an exception, or a class of exceptions."""

_FAILURES = "a category such as 'timeout', an exception, or a class of exceptions such as ConnectionResetError"


class ChaosOptions(TypedDict, total=False):
    """The options of `chaos` that a policy and a block share."""

    category: CategoryLike | None
    rate: float
    latency: LatencyLike | None
    result: object
    enabled: Enabled
    seed: int | None
    client: object
    when: Callable[..., object] | None
    tenant: str | None


class PolicyOptions(ChaosOptions, total=False):
    """The options of `chaos` without a target."""

    only: Sequence[str] | None
    exclude: Sequence[str]


class ChaosBlock:
    """Faults for the calls of a target, in force within a ``with`` block: what `chaos` returns where it gets a target.

    The block may be entered several times, and in several threads and tasks at once. It holds for the code in it, for
    tasks that are started there, and for the threads of the toolkit and of asyncio; with *everywhere* for the whole
    process. The functions that it is for are found when it is entered, and those decorated later as well.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=1)
    ... def price() -> str:
    ...     return "12.50"
    >>> block = chaos(price, result="0.00")
    >>> with block:
    ...     price()
    '0.00'
    >>> price()
    '12.50'
    """

    def __init__(self, target: Target, policy: Chaos, *, everywhere: bool = False) -> None:
        self.policy: Chaos = policy
        self._coverage = coverage_of(target)
        self._is_everywhere = require_bool("everywhere", everywhere)
        self._entries: list[Entry] = []

    def covers(self, record: Guarded) -> bool:
        """Whether it is for a guarded function."""
        return self._coverage.covers(record)

    def is_for(self, record: Guarded, call: Call) -> bool:
        """Whether it is for a call of a function that it covers."""
        return self._coverage.is_for(record, call)

    def __enter__(self) -> None:
        entry = Entry(self, everywhere=self._is_everywhere)
        entry.begin(self._coverage.records)
        self._entries.append(entry)

    def __exit__(self, *raised: object) -> None:
        here = [entry for entry in entries_here() if entry in self._entries]
        entry = (here or self._entries)[-1]
        self._entries.remove(entry)
        entry.end()

    def __repr__(self) -> str:
        return f"<block of {self.policy}>"


@overload
def chaos(target: None = None, /, **options: Unpack[PolicyOptions]) -> Chaos: ...


@overload
def chaos(target: Target, /, *, everywhere: bool = False, **options: Unpack[ChaosOptions]) -> ChaosBlock: ...


def chaos(target: Target | None = None, /, *, everywhere: bool = False, **options: Any) -> Chaos | ChaosBlock:
    """Inject faults into calls: real exceptions of the library that is called, latency, changed results.

    Without a *target* it is a policy: the innermost of a stack, as a decorator, in a `Pipeline`, or as a block around
    code that calls. With one it is a block for functions that are guarded already: ``with chaos(charge,
    category="timeout"):``.

    Args:
        target: a guarded function, method or class; a circuit, or its name: all functions that it guards. Of a circuit
            per key that of one key, ``circuit.of(key)``: the calls with that key.
        category: the leaf that the call fails by, as a category or its label; of a group one of its leaves, each as
            likely. The exception is one that the library raises which the function calls, made so that `classify`
            answers with that leaf; where the library has none, one of Python's, or a `ResilienceError`.
        rate: the share of the calls that get a fault, from 0 to 1; 1.
        latency: seconds that are added, the same each time, or drawn from `Lognormal` or `Uniform`. With *category* the
            call fails after them.
        result: the answer in place of the call's; a function of the call's own result returns another one.
        enabled: True, False, or a function that is asked at each call, such as `flag` and `header` return. False: the
            policy is off the path of calls, and costs nothing until `Chaos.enable`.
        seed: for the same faults in each run. Unless given, chance is that of the clock: in virtual time the same.
        client: the library whose exceptions are raised, by its name or as a client of it; unless given, the one that
            the function is seen to call.
        when: a function of the call's arguments: whether the call may get a fault.
        tenant: the calls that are made for this tenant, see `priority`.
        everywhere: with a *target*: in the whole process, and not only in this context.
        only, exclude: without a *target*: the methods of a decorated class that get faults, and no others; or that get
            none.

    A fault is an event, `FaultInjected`, and the events that follow from an injected error say ``injected``. A fault
    holds in this context, so that tests in parallel do not meet: in this thread or task, the tasks that it starts, and
    the threads of `asyncio.to_thread`. Other threads see it with *everywhere*.

    Raises TypeError or ValueError, where it is written, for invalid options, for a function that no policy guards, and
    for options that inject nothing; LookupError for the name of no circuit.

    >>> import httpx
    >>> from resilience import fallback
    >>> @fallback(default="no price")
    ... def price() -> str:
    ...     return httpx.get("http://catalogue/price").raise_for_status().text
    >>> with chaos(price, category="timeout"):
    ...     price()
    'no price'
    """
    if target is None:
        require(not everywhere, "everywhere", everywhere, "it with a target: a policy is where it is written")
        return Chaos(**options)
    require_known_names("chaos(target)", options, ChaosOptions.__annotations__)
    return ChaosBlock(target, Chaos(**options), everywhere=everywhere)


class PlannedFailures(Undo):
    """The failures that `fail_next` plans for the next attempts. Call it, or leave its block, to drop them.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=2, base_delay=0)
    ... def price() -> str:
    ...     return "12.50"
    >>> planned = fail_next(price, 3, "timeout")
    >>> try:
    ...     price()
    ... except TimeoutError:
    ...     planned.left
    1
    >>> planned()
    >>> price()
    '12.50'
    """

    def __init__(self, target: Target, failures: NextFailures, *, everywhere: bool = False) -> None:
        self.policy: NextFailures = failures
        self._coverage = coverage_of(target)
        self._entry = Entry(self, everywhere=require_bool("everywhere", everywhere))
        self._entry.begin(self._coverage.records)

    @property
    def left(self) -> float:
        """The number of attempts that will fail yet; infinity where all do."""
        return self.policy.left

    def covers(self, record: Guarded) -> bool:
        """Whether it is for a guarded function."""
        return self._coverage.covers(record)

    def is_for(self, record: Guarded, call: Call) -> bool:
        """Whether it is for a call of a function that it covers."""
        return self._coverage.is_for(record, call)

    def __call__(self) -> None:
        """Drop the failures that are left. Doing it twice is fine."""
        self._entry.end()

    def __repr__(self) -> str:
        return f"<{self.policy}>"


class NextFailures(Policy):
    """Fail so many attempts, then none: the policy of `fail_next`.

    *make* returns the exception for a call, *category* is its leaf where that is known, for the event. The count is
    that of all threads and tasks which see the plan: each attempt takes one.
    """

    supports_generators = True

    def __init__(self, times: float, make: Callable[[Call], Exception], category: ErrorCategory | None = None) -> None:
        #: The attempts that will fail yet; infinity for all.
        self.left: float = times
        self._make = make
        self._category = category
        self._lock = fork_safe(threading.Lock())

    def run(self, call: Call) -> Steps:
        """Fail the attempt, or make it."""
        if not self._take():
            outcome: Outcome = yield PROCEED
            return outcome
        yield from self._announce(call)
        return Outcome.failed(received(self._make(call), call))

    def _announce(self, call: Call) -> Generator[Effect, Any, None]:
        return announce_strike(call.target, "error", Strike(self._category, 0.0))

    def _take(self) -> bool:
        with self._lock:
            if self.left <= 0:
                return False
            self.left -= 1
            return True

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside*: a failure takes the place of the call."""
        return inside

    def __str__(self) -> str:
        return f"fail_next({self.left:g} left)"


def fail_next(
    target: Target,
    times: int | None,
    failure: Failure,
    *,
    client: object = None,
    everywhere: bool = False,
) -> PlannedFailures:
    """Have the next attempts of a target fail, in place of the function; return what drops those that are left.

    Args:
        target: as for `chaos`: a guarded function, method or class, or a circuit, or its name.
        times: the attempts that fail, not calls: a retry makes several. None: all.
        failure: a category or its label: an exception that the library raises which the function calls, as `chaos`
            makes it. Or an exception, the same object each time; or a class of exceptions, a new one each time.
        client: the library whose exceptions are raised, by its name or as a client of it; unless given, the one that
            the function is seen to call.
        everywhere: in the whole process, and not only in this context.

    Failures that are planned one after the other come in that order. They hold in this context from now on, until they
    are used up or dropped: use it as a ``with`` block, or the fixture `resilience` of pytest, which drops them.

    Raises TypeError or ValueError for invalid options, TypeError for a function that no policy guards, LookupError for
    the name of no circuit.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=3, base_delay=0)
    ... def price() -> str:
    ...     return "12.50"
    >>> with fail_next(price, 2, "network"):
    ...     price()
    '12.50'
    """
    count = math.inf
    if times is not None:
        count = parse_count("times", times)
    category: ErrorCategory | None = None
    if isinstance(failure, ErrorCategory | str):
        category = combine("failure", [failure])
    failures = NextFailures(count, _maker_of(failure, parse_client(client)), category)
    return PlannedFailures(target, failures, everywhere=everywhere)


def _maker_of(failure: object, client: str | None) -> Callable[[Call], Exception]:
    """Return what makes the exception for a call. Raises TypeError or ValueError for what is no failure."""
    if isinstance(failure, Exception):
        return lambda _: _marked(failure)
    if isinstance(failure, type) and issubclass(failure, Exception):
        kind: type[Exception] = failure
        require_no_arguments(kind)
        return lambda _: _marked(kind())
    if isinstance(failure, type | BaseException):
        raise TypeError(f"failure={failure!r}: give {_FAILURES}")
    leaf = combine("failure", [failure])
    require(leaf.is_leaf, "failure", failure, f"one leaf, such as {next(iter(leaf)).label!r}")
    return lambda call: error_for(leaf, client or client_of_call(call.function, call.arguments, call.keywords))


def _marked(error: Exception) -> Exception:
    mark_injected(error)
    return error


def require_no_arguments(kind: type[Exception]) -> None:
    """Raise TypeError for a class of exceptions that cannot be called without arguments."""
    try:
        kind()
    except TypeError as error:
        raise TypeError(f"failure={kind!r}: it takes arguments; give an exception of that class") from error
