"""Mistakes of a first afternoon. Never run: each line below a comment has the errors that the comment says.

`tests/test_type_checkers.py` has mypy and pyright check this file, in their strict modes, and compares.
"""

from __future__ import annotations

from resilience import Backoff, StaleEntry, circuit_breaker, fallback, register, retry_on_category, retrying, timeout
from resilience.integrations.logging import log_events


# A word with a typo.
# by mypy: No overload variant of "retry_on_category" matches argument type "str"
# by pyright: Argument of type "Literal['conection']" cannot be assigned to parameter "on" of type "CategoryLike"
@retry_on_category("conection")
def one() -> str:
    return ""


# An exception class in place of a category.
# by mypy: "None" not callable
# by pyright: Object of type "None" cannot be called
@retry_on_category(ConnectionError)
def two() -> str:
    return ""


# by mypy: Argument "jitter" to "Backoff" has incompatible type "Literal['ful']"
# by pyright: Argument of type "Literal['ful']" cannot be assigned to parameter "jitter" of type "Jitter"
three = Backoff(jitter="ful")

# by mypy: No overload variant of "timeout" matches argument types "int", "str"
# by pyright: Argument of type "Literal['singal']" cannot be assigned to parameter "mode" of type "Mode"
four = timeout(2, mode="singal")

# by mypy: Argument "on_exhausted" to "retrying" has incompatible type "Literal['wrapp']"
# by pyright: Argument of type "Literal['wrapp']" cannot be assigned to parameter "on_exhausted" of type "OnExhausted"
five = retrying(on_exhausted="wrapp")


@fallback(default=None)
def price(item: str) -> str:
    return item


# The outage's None, where a text is needed.
# by mypy: Item "None" of "str | None" has no attribute "upper"
# by pyright: "upper" is not a known attribute of "None"
six = price("lamp").upper()


@fallback(default="0.00", degraded=True)
def marked(item: str) -> str:
    return item


# by mypy: Item "Degraded[str]" of "str | Degraded[str]" has no attribute "upper"
# by pyright: Cannot access attribute "upper" for class "Degraded[str]"
seven = marked("lamp").upper()

# by mypy: Argument 1 to "StaleEntry" has incompatible type "str"; expected "float"
# by pyright: Type "StaleEntry[str]" is not assignable to declared type "StaleEntry[float]"
eight: StaleEntry[float] = StaleEntry("12.50", 0.0)

# by mypy: Argument "failure_threshold" to "CircuitBreaker" has incompatible type "str"
# by pyright: Argument of type "Literal['5']" cannot be assigned to parameter "failure_threshold"
nine = circuit_breaker("billing", failure_threshold="5")

# by mypy: Argument "trip_on" to "CircuitBreaker" has incompatible type "Literal['timeouts']"
# by pyright: Argument of type "Literal['timeouts']" cannot be assigned to parameter "trip_on" of type "CategoryLike
ten = circuit_breaker("billing", trip_on="timeouts")

# by mypy: No overload variant of "register" matches argument types
# by pyright: Argument of type "Literal['conflicts']" cannot be assigned to parameter "category" of type "CategoryLike
eleven = register(KeyError, "conflicts")

# by mypy: Argument "level" to "log_events" has incompatible type "Literal['warn']"
# by pyright: Argument of type "Literal['warn']" cannot be assigned to parameter "level" of type "LogLevel
twelve = log_events(level="warn")


# A block that may swallow the failure, whose caller would get None.
# by mypy: Missing return statement
# by pyright: Function with declared return type "int" must return value on all code paths
def thirteen() -> int:
    with fallback(default=1):
        return 1


# The signature of a guarded function is its own.
def fourteen() -> str:
    @timeout(2.0)
    def quick(item: str) -> str:
        return item

    # by mypy: Argument 1 to "quick" has incompatible type "int"
    # by pyright: Argument of type "Literal[3]" cannot be assigned to parameter "item" of type "str"
    return quick(3)
