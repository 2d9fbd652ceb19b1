"""A recorder: what was called, and how it ended.

>>> recorder = Recorder()
>>> recorder.call(int, "42")
42
>>> recorder.call(int, "many")
Traceback (most recent call last):
...
ValueError: invalid literal for int() with base 10: 'many'
>>> recorder.recorded
[('builtins.int', 'ok'), ('builtins.int', 'ValueError')]
"""

from resilience import WorstCase
from resilience.policies import Call, Outcome, Policy, Proceed, Steps


class Recorder(Policy):
    """Keep the last *size* calls in `recorded`: the target, and ``ok``, ``cancelled`` or the type of the error."""

    def __init__(self, size: int = 1000) -> None:
        self.size = size
        self.recorded: list[tuple[str, str]] = []

    def run(self, call: Call) -> Steps:
        how = "cancelled"  # unless an outcome comes
        try:
            outcome: Outcome = yield Proceed()
            how = "ok" if outcome.error is None else type(outcome.error).__name__
            return outcome
        finally:
            self.recorded.append((call.target, how))
            del self.recorded[: -self.size]

    def worst(self, inside: WorstCase) -> WorstCase:
        return inside  # it proceeds once, and never waits
