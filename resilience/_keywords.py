"""Keywords that a public function does not have: answered with what to write instead of them.

Loaded with `import resilience`, so that it imports the checks themselves when there is such a keyword.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["answers_unknown_keywords"]

P = ParamSpec("P")
R = TypeVar("R")


def answers_unknown_keywords(name: str, **reasons: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function, called *name*, answer a keyword that it does not have with the one to write.

    Python says no more than that the keyword is unexpected. The error is a TypeError either way. *reasons* say why
    the function does not have a keyword that others of its kind do, and what to do instead.

    >>> @answers_unknown_keywords("timeout")
    ... def timeout(seconds: float) -> float:
    ...     return seconds
    >>> timeout(secnds=3)
    Traceback (most recent call last):
    ...
    TypeError: timeout() got an unexpected keyword argument 'secnds'; did you mean 'seconds'?
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        code = function.__code__
        known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if not kwargs.keys() <= set(known):
                for keyword in kwargs.keys() & reasons.keys():
                    raise TypeError(f"{name}({keyword}=...): {reasons[keyword]}")
                from resilience._validation import require_known_names

                require_known_names(name, kwargs, known)
            return function(*args, **kwargs)

        return checked

    return decorate
