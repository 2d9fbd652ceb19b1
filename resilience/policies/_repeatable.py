"""Calls that may be made twice, although no failure proves that the first one was not processed: those of a hedge.

A hedge makes a call again while the first one may be in the middle of it. So it asks as a retry does that knows nothing
of the failure: by the retries of the same stack, by the request's method, and by `settings.repeat_posts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from resilience._outcome import Outcome
from resilience._runtime.protocol import Call, Policy
from resilience.classification.classifier import category_of
from resilience.policies._request_method import RequestView
from resilience.policies._unprocessed import may_be_sent_again
from resilience.policies.idempotency import repeated_post
from resilience.policies.retry import Retry
from resilience.profiles import profile_for
from resilience.settings import REPEATED_POSTS

__all__ = ["may_be_made_twice", "may_follow", "never_repeats"]

_NOT_IDEMPOTENT = frozenset({"POST", "PATCH"})


def never_repeats(stack: Sequence[Policy]) -> Retry | None:
    """Return the retry of *stack* that says ``idempotent=False``; None where none does."""
    for retry in _retries(stack):
        if retry.idempotency is not None and str(retry.idempotency) == "False":
            return retry
    return None


def may_be_made_twice(call: Call) -> bool:
    """Whether *call* may be made a second time while the first one is in flight.

    Where a retry of the stack says which calls are idempotent, that decides. Else a POST or PATCH without an
    idempotency key may not, unless ``settings.repeat_posts(True)`` says so, and everything else may. A call whose
    arguments cannot be looked at may not either.
    """
    retries = list(_retries(call.stack))
    said = [retry.idempotency for retry in retries if retry.idempotency is not None]
    if said:
        return all(each.allows(call) for each in said)
    if REPEATED_POSTS.allowed is True or any(not retry.leaves_posts_to_settings for retry in retries):
        return True
    try:
        view = RequestView(call)
        return view.has_key() or view.methods().isdisjoint(_NOT_IDEMPOTENT)
    except Exception:  # what cannot be looked at may be anything
        return False


def may_follow(call: Call, failure: Outcome) -> bool:
    """Whether a copy may follow *failure*: the call was not processed, or the failure carries no POST or PATCH.

    `may_be_made_twice` is asked beside it, which knows the arguments.
    """
    error = failure.error
    if error is None or repeated_post(error) is None or REPEATED_POSTS.allowed is True:
        return True
    if any(not retry.leaves_posts_to_settings for retry in _retries(call.stack)):
        return True
    return may_be_sent_again(profile_for(category_of(failure)), error)


def _retries(stack: Sequence[Policy]) -> Iterator[Retry]:
    return (policy for policy in stack if isinstance(policy, Retry))
