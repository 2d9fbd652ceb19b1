"""Answers for frameworks that retry by themselves: whether a failure is worth a retry, and after how many seconds.

    RetryPolicy(retry_on=is_transient)                                       LangGraph
    ToolRetryMiddleware(retry_on=is_transient)                               LangChain
    retry_if_exception(is_transient)                                         tenacity, and what is built on it
    raise self.retry(exc=error, countdown=countdown_for(error, retries))     Celery

The framework makes the retries, with its own waits, persistence and limits; these functions only read the error. Its
control flow, such as an interrupt of LangGraph or Celery's `Retry`, is no failure, and never retried.
"""

from __future__ import annotations

import math

from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.classification.classifier import categories_of
from resilience.classification.retry_hints import retry_after
from resilience.clock import current_clock
from resilience.policies.backoff import Backoff, hint_jitter
from resilience.policies.retry_report import report_of
from resilience.policies.stop_reason import StopReason
from resilience.profiles import profile_for

__all__ = ["countdown_for", "is_transient"]

_DEFAULT_BASE_DELAY = 0.1
_DEFAULT = Backoff(max_delay=600.0)
_MUST_NOT_HAPPEN_TWICE = (StopReason.NOT_IDEMPOTENT, StopReason.COMMITTED)


def is_transient(error: BaseException) -> bool:
    """Return whether *error* may be gone at the next attempt: its category is one that is retried.

    Those are the categories whose row says ``retry``, TRANSIENT unless `override_profiles` says otherwise; of an
    exception group every member must be of one. False after a retry of the toolkit that is exhausted, so that two
    retries do not multiply, and of a call that must not happen twice.

    >>> is_transient(ConnectionResetError()), is_transient(KeyError("name"))
    (True, False)
    """
    report = report_of(error)
    if report is not None and report.reason is not StopReason.NOT_RETRYABLE:
        return False
    return all(profile_for(leaf).retry for leaf in categories_of(error))


def countdown_for(
    error: BaseException, retries: int = 0, *on: CategoryLike, backoff: Backoff = _DEFAULT
) -> float | None:
    """Return after how many seconds a task that failed with *error* should run again; None: not at all.

    For a queue, which keeps the task meanwhile. *retries* is how often it was retried before, 0 at the first failure.
    *on* are the categories that are retried; unless given, those of `is_transient`, and what a policy has rejected: a
    task runs again when the open circuit admits calls. A server's Retry-After is the least that is waited, however long
    it is. Another run after the retries inside a run are exhausted is what a queue is for;
    a call that must not happen twice, such as a transaction whose commit has an unknown outcome, gets none.

    >>> steady = Backoff(base_delay=2, jitter="none")
    >>> [countdown_for(TimeoutError(), retries, backoff=steady) for retries in range(4)]
    [2.0, 4.0, 8.0, 16.0]
    >>> countdown_for(KeyError("name")) is None
    True
    """
    report = report_of(error)
    if report is not None and report.reason in _MUST_NOT_HAPPEN_TWICE:
        return None
    categories = categories_of(error)
    if not _are_retried(categories, on):
        return None
    random = current_clock().random
    wait = backoff.delay(retries, _first_wait(categories), 0.0, random)
    asked = retry_after(error)
    if asked is None:
        return wait
    if asked == math.inf:
        return None
    return hint_jitter(wait, asked, random())


def _are_retried(categories: ErrorCategory, on: tuple[CategoryLike, ...]) -> bool:
    if on:
        return categories in combine("on", on)
    return all(profile_for(leaf).retry or leaf is ErrorCategory.REJECTED for leaf in categories)


def _first_wait(categories: ErrorCategory) -> float:
    """Return the longest base delay of the categories of a failure; of most there is one."""
    return max(profile_for(leaf).base or _DEFAULT_BASE_DELAY for leaf in categories)
