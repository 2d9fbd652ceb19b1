"""tenacity: a `RetryError` stands for the last attempt, its failure or what it returned.

A `RetryError` keeps the attempt, a future, in `last_attempt`, and its exception decides: a retried timeout is TIMEOUT
here too. With a predicate for results there is no exception, and the result's own status or code answers. `TryAgain`
is how a function asks tenacity for another attempt.
"""

from resilience._safe_access import safe_call, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import category_of_result
from resilience.classification._causes import held_by
from resilience.classification.classifier import classify
from resilience.classification.library import ClientLibrary


def _last_attempt(exc: BaseException) -> C:
    held = held_by(exc)
    if held is not None:
        return classify(held)
    attempt = safe_getattr(exc, "last_attempt")
    done = safe_call(safe_getattr(attempt, "done")) is True
    return category_of_result(safe_call(safe_getattr(attempt, "result")) if done else None)


LIBRARY = ClientLibrary({"RetryError": _last_attempt, "TryAgain": C.UNAVAILABLE}, sends_once=False)
