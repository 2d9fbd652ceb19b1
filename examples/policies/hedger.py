"""A hedged call: when an answer is late, the same call is made a second time, and the first success counts.

Only around async functions, and only where a call may happen twice.

>>> import anyio
>>> from resilience.testing import virtual_time
>>> durations = iter([60, 1])
>>> @Hedger(delay=0.5)
... async def search(query: str) -> str:
...     seconds = next(durations)
...     await clock.sleep_async(seconds)
...     return f"answered after {seconds} s"
>>> with virtual_time() as clock:
...     print(anyio.run(search, "lamp"), clock.now())
answered after 1 s 1.5
>>> @Hedger(delay=0.5)
... def blocking(query: str) -> str: ...
Traceback (most recent call last):
...
TypeError: cannot guard examples.policies.hedger.blocking by Hedger(delay=0.5): it is not async, ...
"""

from resilience import WorstCase
from resilience.policies import Call, Outcome, Policy, Race, Steps


class Hedger(Policy):
    """Make up to *copies* more calls, each *delay* seconds after the one before, until one succeeds or all fail."""

    supports_sync = False
    supports_generators = False

    def __init__(self, delay: float, copies: int = 1) -> None:
        self.delay, self.copies = delay, copies

    def run(self, call: Call) -> Steps:
        outcome: Outcome = yield Race(self.delay, self.copies)
        return outcome

    def worst(self, inside: WorstCase) -> WorstCase:
        return inside._replace(
            calls=inside.calls * (1 + self.copies),
            waits=inside.waits + self.delay * self.copies,
            seconds=inside.seconds + self.delay * self.copies,
        )
