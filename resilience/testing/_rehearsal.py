"""`Rehearsal`: what the fixture `resilience` of the pytest plugin offers a test, taken back at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Unpack

from resilience._undo import Undo
from resilience.faults._injection import ChaosBlock, ChaosOptions, Failure, PlannedFailures, chaos, fail_next
from resilience.testing._faults import Faults

if TYPE_CHECKING:
    from resilience.circuits import CircuitBreaker
    from resilience.faults._targets import Target

__all__ = ["Rehearsal"]


class Rehearsal(Undo):
    """Faults of a test: `chaos` and `fail_next` as the toolkit has them, and open circuits; taken back at its end.

    Faults hold in the context of the test: tests that run at once, in threads or processes, do not see each other's.
    Opened circuits are those of the process.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=2, base_delay=0)
    ... def price() -> str:
    ...     return "12.50"
    >>> with Rehearsal() as rehearsal:
    ...     planned = rehearsal.fail_next(price, 1, "network")
    ...     price(), planned.left
    ('12.50', 0)
    """

    def __init__(self) -> None:
        self._faults = Faults()
        self._planned: list[PlannedFailures] = []

    def chaos(self, target: Target, /, *, everywhere: bool = False, **options: Unpack[ChaosOptions]) -> ChaosBlock:
        """Return a block of faults for the calls of *target*; the options are those of `resilience.chaos`."""
        return chaos(target, everywhere=everywhere, **options)

    def fail_next(
        self,
        target: Target,
        times: int | None,
        failure: Failure,
        *,
        client: object = None,
        everywhere: bool = False,
    ) -> PlannedFailures:
        """Have the next attempts of *target* fail, up to the end of the test; the options are those of `fail_next`."""
        planned = fail_next(target, times, failure, client=client, everywhere=everywhere)
        self._planned.append(planned)
        return planned

    def open(self, circuit: CircuitBreaker | str | Callable[..., object]) -> None:
        """Open a circuit, given as the object, by its name, or as a function that it guards; see `Faults.open`."""
        self._faults.open(circuit)

    def __call__(self) -> None:
        """Take everything back. Doing it twice is fine."""
        while self._planned:
            self._planned.pop()()
        self._faults()
