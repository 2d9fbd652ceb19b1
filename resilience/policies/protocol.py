"""The call, its outcome and the effects: the names that `resilience.policies` makes public for writing a policy."""

from resilience._outcome import Outcome
from resilience._runtime.cut_off import AbandonWatch, CutOff
from resilience._runtime.place import Place
from resilience._runtime.protocol import (
    Acquire,
    Call,
    Effect,
    Emit,
    Limiter,
    OnFailure,
    Permit,
    Proceed,
    Race,
    Run,
    Sleep,
)
from resilience._runtime.slots import Slots

__all__ = [
    "AbandonWatch",
    "Acquire",
    "Call",
    "CutOff",
    "Effect",
    "Emit",
    "Limiter",
    "OnFailure",
    "Outcome",
    "Permit",
    "Place",
    "Proceed",
    "Race",
    "Run",
    "Sleep",
    "Slots",
]
