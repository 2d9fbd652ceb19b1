"""A rate limit by GCRA, the generic cell rate algorithm: calls beyond the rate wait, those that would wait long fail.

The state is one number: the moment at which the calls admitted so far are paid off (the theoretical arrival time).

>>> from resilience.testing import virtual_time
>>> @RateLimit(rate=2, burst=2, max_wait=1)
... def search(query: str) -> str:
...     return f"results for {query}"
>>> with virtual_time() as clock:
...     for _ in range(4):
...         answer = search("lamp")
...         print(clock.now())
0.0
0.0
0.5
1.0
"""

import math
import threading

from resilience import ErrorCategory, ResilienceError
from resilience.policies import Call, Outcome, Policy, Proceed, Sleep, Steps


class RateLimitedError(ResilienceError, category=ErrorCategory.REJECTED):
    """A call was not made: its turn is *retry_after* seconds away."""


class RateLimit(Policy):
    """Make *rate* calls per second, *burst* of them at once. Reject a call whose turn is over *max_wait* seconds away.

    A call is rejected as well when its deadline comes before its turn.
    """

    def __init__(self, rate: float, burst: int = 1, max_wait: float = math.inf) -> None:
        self.rate, self.burst, self.max_wait = rate, burst, max_wait
        self._interval = 1 / rate
        self._paid_off = -math.inf
        self._lock = threading.Lock()

    def run(self, call: Call) -> Steps:
        now = call.clock.now()
        with self._lock:
            paid_off = max(self._paid_off, now) + self._interval
            wait = max(0.0, paid_off - self.burst * self._interval - now)
            if admitted := wait <= self.max_wait and now + wait <= call.due:
                self._paid_off = paid_off
        if not admitted:
            return Outcome.failed(RateLimitedError(f"{call.target} exceeds {self.rate:g} calls/s", retry_after=wait))
        try:
            yield Sleep(wait)
        except GeneratorExit:  # cancelled: its turn can be taken back if none was given after it
            with self._lock:
                if self._paid_off == paid_off:
                    self._paid_off -= self._interval
            raise
        outcome: Outcome = yield Proceed()
        return outcome
