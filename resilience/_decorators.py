"""The public decorators: thin functions that make a policy of their options.

The modules of the policies are imported when a decorator is first used, so that `import resilience` stays light. The
signatures are written out for editors and type checkers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Never, TypeAlias, TypedDict, TypeVar, Unpack, overload

from resilience._keywords import answers_unknown_keywords
from resilience.categories import ErrorCategory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import timedelta

    from resilience._runtime.retry_loop import RetryLoop
    from resilience.categories import CategoryLike
    from resilience.policies._retry_config import RetryOptions
    from resilience.policies.deadline import Deadline
    from resilience.policies.fallback import DegradedFallback, Fallback
    from resilience.policies.retry import Retry
    from resilience.policies.stale_cache import StaleCache
    from resilience.policies.timeout import Mode, Timeout

    Chain: TypeAlias = Mapping[CategoryLike, Callable[..., object]]
    # An empty literal is a value of any type of its kind, and adds nothing to what a function returns.
    _Empty: TypeAlias = list[Never] | dict[Never, Never] | set[Never] | tuple[()]

    class _OptionsWithStale(TypedDict, total=False):
        """Options of a fallback with ``stale=``."""

        chain: Chain | None
        key: Callable[..., object] | None
        max_age: float | timedelta | None
        on: CategoryLike
        only: Sequence[str] | None
        exclude: Sequence[str]

    class FallbackOptions(_OptionsWithStale, total=False):
        """Options of a fallback with ``default=`` or ``factory=``."""

        stale: StaleCache | None

# What makes the policies is imported when the first decorator is used: an import of the toolkit stays light.

__all__ = ["deadline", "fallback", "retry_on_category", "retrying", "timeout"]

F = TypeVar("F", bound="Callable[..., object]")
V = TypeVar("V")


@overload
def retry_on_category(not_a_category: type[BaseException], /) -> None: ...  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]


@overload
def retry_on_category(function: F, /) -> F: ...


@overload
def retry_on_category(*on: CategoryLike, **options: Unpack[RetryOptions]) -> Retry: ...


def retry_on_category(*on: object, **options: Unpack[RetryOptions]) -> object:
    """Retry a call after failures of certain categories.

    Waits grow from *base_delay* (by default the category's own) by *exponential_base* (2) up to *max_delay* (60),
    then jitter; a server's Retry-After wins. The last error is raised unchanged, with what was tried in its notes and
    as its attribute ``resilience``, a `CallReport`. Seconds throughout, as numbers or timedeltas.

    A response with an error status is a result, not a failure: call ``response.raise_for_status()`` in the decorated
    function, or judge the result with *retry_if_result*.

    It stops early where a retry would do harm: when a deadline leaves too little time (`deadline`), when *budget* is
    used up, when the server asks for a longer wait than *max_delay*, and when a nested retry is already exhausted.

    Args:
        on: categories or labels; unless given, those whose row in the table says ``retry``: TRANSIENT.
        attempts: all calls, the first one included; 3. None: any number, until *stop*, a deadline or a budget ends it.
        max_retries: the calls after the first, in place of *attempts*.
        max_attempts: by category, how many of its failures there may be, such as ``{"timeout": 2}``.
        reset_after: seconds; an attempt that has worked as long before it failed is the first one again, for *attempts*
            and for the backoff: for consumers and connections that are to live for ever.
        jitter: "equal" (the default), "full", "decorrelated" or "none"; see `Backoff` for the formulas.
        waits: by category, seconds, a `Backoff`, a tenacity wait or a function of a `RetryCallState`.
        wait, stop, retry_if: tenacity objects, or functions of its `RetryCallState`. *wait* replaces the backoff
            (a number waits that long), *stop* the default of 3 attempts, *retry_if* retries more than *on* does,
            results included.
        retry_if_result: a function of the result, true of one to try again, such as ``lambda response:
            response.status_code == 503``. The last result is returned as it is, and needs the same check. Its status
            and Retry-After decide the wait as those of an error do; without a status it is 0.1 s at first.
        budget: a `RetryBudget`, one object for all callers of the same dependency.
        idempotent: whether the call may happen twice. False retries only what never reached the server; `by_method`
            what is seen to be a GET or the like, `unless_post` what is not seen to be a POST or PATCH; a function is
            asked with the call's arguments after a failure, may not be async, and means no when it raises. None, the
            default: it may, with one warning where that repeats a POST, and as `settings.repeat_posts` says.
        min_attempt_time: seconds an attempt needs: with fewer left none begins; 0.
        retry_exhausted: retry failures as well that have exhausted a nested retry, so that the two multiply; False.
        no_progress: stop after so many failures in a row that look the same; 3 with *revise*.
        revise: for CODE_RELATED and VALIDATION failures, a function of the call's `Arguments` and its `CallReport`,
            whose `error` is the failure: returns new arguments (a mapping by parameter, or ``call.replace(...)``), with
            which the call is made again at once, or None to stop. *max_revisions* times (3), apart from *attempts*.
        revise_on: the categories that *revise* is asked for, in place of those two.
        on_retry: called with a `RetryScheduled` before each wait.
        on_success: called with a `CallReport` when it has succeeded.
        on_exhausted: "raise" the last error (the default), or "wrap" it: raise `RetriesExhaustedError` from it, also
            where results were tried.
        profiles: rows of the category table to read differently here, as `override_profiles` takes them.
        only, exclude: the methods of a decorated class that are guarded, and no others; or that are left as they are.

    Callbacks may be async where the decorated function is. An exception of a callback is logged once on the
    ``resilience`` logger and changes nothing, except that of a wait, a stop or a *revise*, which ends the retries.

    Raises TypeError or ValueError, where it is written, for invalid options.

    >>> import httpx
    >>> statuses = iter([503, 200])
    >>> service = httpx.MockTransport(lambda request: httpx.Response(next(statuses), text="hello"))
    >>> client = httpx.Client(base_url="http://service", transport=service)
    >>> @retry_on_category(ErrorCategory.TRANSIENT, attempts=3, base_delay=0)
    ... def greeting() -> str:
    ...     response = client.get("/greeting")
    ...     response.raise_for_status()  # a 503 is a failure only if it is raised
    ...     return response.text
    >>> greeting()
    'hello'
    """
    from resilience._validation import require_known_names
    from resilience.policies._retry_config import RetryOptions
    from resilience.policies.retry import Retry

    require_known_names("retry_on_category", options, RetryOptions.__annotations__)
    if len(on) != 1 or not (callable(on[0]) or isinstance(on[0], classmethod)):
        return Retry(*on, **options)
    (target,) = on  # written without parentheses: what it decorates
    if isinstance(target, type) and issubclass(target, BaseException):
        return Retry(target)  # refused, as no category
    return Retry(**options)(target)  # type: ignore[type-var]  # callable, or a class method


def retrying(*on: CategoryLike, **options: Unpack[RetryOptions]) -> RetryLoop:
    """Retry a block of code: loop over the attempts, with ``for`` or ``async for``.

    Takes what `retry_on_category` takes, but for what concerns the call's result, its arguments or a class: *only*,
    *exclude*, *retry_if_result*, *revise*, and *idempotent* as a function other than `by_method` and `unless_post`.
    *on_success* is a plain function here. A block suppresses a failure that is retried; the last failure leaves the
    loop. ``return`` and ``break`` in the block end it as a success. A type checker takes any ``for`` loop for one that
    may end without that: put ``raise AssertionError`` below one that returns.

    >>> import httpx
    >>> statuses = iter([503, 200])
    >>> service = httpx.MockTransport(lambda request: httpx.Response(next(statuses), text="hello"))
    >>> client = httpx.Client(base_url="http://service", transport=service)
    >>> for attempt in retrying("unavailable", base_delay=0):
    ...     with attempt:
    ...         response = client.get("/greeting").raise_for_status()
    >>> attempt.number, response.text
    (2, 'hello')
    """
    from resilience._runtime.retry_loop import RetryLoop

    if len(on) == 1 and callable(on[0]) and not isinstance(on[0], type):
        raise TypeError(f"retrying({on[0]!r}): it is no decorator; loop over it, or use retry_on_category")
    from resilience.policies.idempotency import by_method, unless_post

    for name in ("only", "exclude"):
        if name in options:
            raise TypeError(f"{name}={options.get(name)!r}: a block has no methods; decorate a class")
    for name in ("retry_if_result", "revise", "idempotent"):
        given = options.get(name)
        if given not in (None, True, False, by_method, unless_post):
            raise TypeError(f"{name}={given!r}: a block has no result and no arguments; decorate a function")
    return RetryLoop(*retry_on_category(*on, **options).policies())


@answers_unknown_keywords("deadline")
def deadline(seconds: float | timedelta, *, only: Sequence[str] | None = None, exclude: Sequence[str] = ()) -> Deadline:
    """Limit a piece of work, with everything it calls, to *seconds* in all.

    Nested calls inherit what is left of it, in threads and tasks too (`remaining`); a deadline inside another one is
    the earlier of the two. Retries make no attempt that could not end in time, waits and time limits are cut short.

    An async function or ``async with`` block is cancelled when the time has passed, and raises
    `DeadlineExceededError`, a TimeoutError. Sync code is not interrupted: guarded calls inside keep to the deadline;
    add a `timeout` to other calls. Of a class that it decorates, *only* names the methods that are limited, or
    *exclude* those that are not. Raises TypeError or ValueError for invalid options.

    A `fallback` inside that answers time-outs ends its call a little earlier: by 0.1 s, where its substitute is in a
    shared cache by 0.35 s, and never by more than a tenth of what is left. All inside it, limits, retries and
    `remaining`, keep to that earlier moment. What is cut off counts as a time-out to circuits and metrics inside.

    As a block:

    >>> from resilience import remaining
    >>> with deadline(5.0):
    ...     4.9 < remaining() <= 5.0
    True
    """
    from resilience.policies.deadline import Deadline

    return Deadline(seconds, only=only, exclude=exclude)


@overload
def timeout(
    seconds: float | timedelta, *, mode: Mode = ..., only: Sequence[str] | None = ..., exclude: Sequence[str] = ...
) -> Timeout: ...


@overload
def timeout(
    *,
    first_item: float | timedelta,
    idle: float | timedelta | None = ...,
    only: Sequence[str] | None = ...,
    exclude: Sequence[str] = ...,
) -> Timeout: ...


@overload
def timeout(
    *,
    idle: float | timedelta,
    first_item: float | timedelta | None = ...,
    only: Sequence[str] | None = ...,
    exclude: Sequence[str] = ...,
) -> Timeout: ...


@answers_unknown_keywords("timeout")
def timeout(
    seconds: object = ...,
    *,
    first_item: float | timedelta | None = None,
    idle: float | timedelta | None = None,
    mode: Mode = "thread",
    only: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
) -> Timeout:
    """Limit a call to *seconds*. One that takes longer raises `CallTimeoutError`, a TimeoutError.

    An async function is cancelled, on asyncio and trio; ``async with timeout(2):`` limits a block. A sync function
    runs in a daemon thread with the caller's context variables: the caller returns in time, and the thread ends when
    the function does. With *mode* "signal" a signal interrupts a call in the main thread instead (POSIX; in other
    threads the mode is "thread"). A TimeoutError of the function itself passes unchanged. Where a deadline leaves less
    time, that is the limit.

    For generator functions, sync or async, give *first_item*, the seconds until the first item, and *idle*, the seconds
    for each further item; one of them or both. Of a class that it decorates, *only* names the methods that are limited,
    or *exclude* those that are not. Raises TypeError or ValueError for invalid options.

    **Threads.** A call that finds no idle thread starts one, which ends after ten idle seconds. What Celery, anyio,
    trio and asgiref keep of the running task or request is there, so that ``self.retry()`` and
    ``anyio.from_thread.run`` work; other thread-local state is not. Ctrl-C reaches the caller, not the function. After
    the limit the function runs on and its result is dropped, but no attempt and no wait of a retry inside it begins.
    While too many calls are left behind
    (`settings.limit_abandoned_threads_per_target`, `settings.limit_abandoned_threads`) further ones raise
    `TooManyAbandonedError`, with the events ``threads.target_exhausted`` and ``threads.exhausted``.

    **Signals.** The interrupt is a BaseException, raised between any two lines of the function and its libraries, but
    not in policies inside the limit. Where it is swallowed it is raised again after a tenth of a second, and so on
    until the function ends, but not into an ``except`` or ``finally`` that handles it. A value or another error that
    the function ends with all the same is what the caller gets. Of nested limits the shorter one acts first. A handler
    and a timer of SIGALRM that were in use, as by ``signal.alarm`` and pytest-timeout, are put back; a function that
    sets them itself takes the limit's away. C code that does not check for signals (a long regular expression, a big
    sort, ``zlib``, a matrix product, a DNS lookup, many database drivers) is interrupted when it returns; a shared
    circuit's round trip to Redis after a second at most.

    **Shields.** A shielded cancel scope of anyio or trio holds the limit off: it acts at the first checkpoint after the
    shield, and a value or an error that comes before that checkpoint is what the caller gets. Limits outside the shield
    do not count inside it, neither for `remaining` nor for guarded calls. Other tasks within the limit are cancelled
    when it expires. ``asyncio.shield`` differs: its argument goes on as a task of its own. ``Task.cancel()``, and so
    ``asyncio.timeout``, goes through shields of anyio.

    >>> @timeout(2.0)
    ... def quick() -> str:
    ...     return "in time"
    >>> quick()
    'in time'
    """
    from resilience.policies.timeout import timeout_of

    return timeout_of(seconds, first_item, idle, mode, only=only, exclude=exclude)


@overload
def fallback(
    default: _Empty, *, degraded: Literal[False] = ..., **options: Unpack[FallbackOptions]
) -> Fallback[Never]: ...


@overload
def fallback(default: V, *, degraded: Literal[False] = ..., **options: Unpack[FallbackOptions]) -> Fallback[V]: ...


@overload
def fallback(
    *,
    factory: Callable[[Exception], Awaitable[V]] | Callable[[], Awaitable[V]],
    degraded: Literal[False] = ...,
    **options: Unpack[FallbackOptions],
) -> Fallback[V]: ...


@overload
def fallback(
    *,
    factory: Callable[[Exception], V] | Callable[[], V],
    degraded: Literal[False] = ...,
    **options: Unpack[FallbackOptions],
) -> Fallback[V]: ...


@overload
def fallback(
    *, stale: StaleCache, degraded: Literal[False] = ..., **options: Unpack[_OptionsWithStale]
) -> Fallback[Never]: ...


@overload
def fallback(
    *, chain: Chain, degraded: Literal[False] = ..., only: Sequence[str] | None = ..., exclude: Sequence[str] = ...
) -> Fallback[Never]: ...


@overload
def fallback(
    default: _Empty, *, degraded: Literal[True], **options: Unpack[FallbackOptions]
) -> DegradedFallback[Never]: ...


@overload
def fallback(default: V, *, degraded: Literal[True], **options: Unpack[FallbackOptions]) -> DegradedFallback[V]: ...


@overload
def fallback(
    *,
    factory: Callable[[Exception], Awaitable[V]] | Callable[[], Awaitable[V]],
    degraded: Literal[True],
    **options: Unpack[FallbackOptions],
) -> DegradedFallback[V]: ...


@overload
def fallback(
    *, factory: Callable[[Exception], V] | Callable[[], V], degraded: Literal[True], **options: Unpack[FallbackOptions]
) -> DegradedFallback[V]: ...


@overload
def fallback(
    *, stale: StaleCache, degraded: Literal[True], **options: Unpack[_OptionsWithStale]
) -> DegradedFallback[Never]: ...


@overload
def fallback(
    *, chain: Chain, degraded: Literal[True], only: Sequence[str] | None = ..., exclude: Sequence[str] = ...
) -> DegradedFallback[Never]: ...


@answers_unknown_keywords("fallback")
def fallback(
    default: object = ...,
    *,
    factory: Callable[[Exception], object] | Callable[[], object] | None = None,
    chain: Chain | None = None,
    stale: StaleCache | None = None,
    key: Callable[..., object] | None = None,
    max_age: float | timedelta | None = None,
    degraded: bool = False,
    on: CategoryLike = ErrorCategory.INFRASTRUCTURE | ErrorCategory.REJECTED,
    only: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
) -> Fallback[Any]:
    """Return a substitute when the call fails with a category in *on*.

    The substitute is *default*, the same object each time, or the result of *factory*, a function of the error or of
    nothing, async only where the function is. When *factory* raises, its error reaches the caller with the first one as
    its context. Only exceptions are replaced: call ``response.raise_for_status()`` on a response. For type checkers the
    function returns the substitute's type, too: with ``default=None`` a ``str`` becomes ``str | None``. As a block:

    >>> with fallback(default=[]) as result:
    ...     raise ConnectionRefusedError("port 5432")
    >>> result.value, result.degraded, type(result.error).__name__
    ([], True, 'ConnectionRefusedError')

    Before these, or alone: a *chain*, and then a *stale* cache.

    Args:
        chain: functions by category, whatever *on* says: the first key that covers the failure has its function called
            with the same arguments, defaults included, of a method ``self`` too. When it fails too, its error takes the
            place of the first one, with a note that says which call it stands in for.
        stale: a mutable mapping, or an object with ``get(key)`` and ``set(key, value)``, in which what the function
            itself returns is kept, to be handed out when it fails; see `resilience.policies.stale_cache.Stale`.
        key: a function of the call's arguments that makes the key; unless given, the arguments, which must be hashable.
        max_age: seconds after which what is kept is not handed out any more.
        degraded: hand out substitutes as `Degraded`, which says where they come from.
        only, exclude: the methods of a decorated class that are guarded, and no others; or that are left as they are.
    """
    from resilience.policies.fallback import DegradedFallback, Fallback

    make: Callable[..., Fallback[Any]] = {True: DegradedFallback[Any]}.get(degraded, Fallback)
    return make(
        default,
        factory=factory,
        chain=chain,
        stale=stale,
        key=key,
        max_age=max_age,
        degraded=degraded,
        on=on,
        only=only,
        exclude=exclude,
    )
