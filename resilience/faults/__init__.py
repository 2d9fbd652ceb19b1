"""Faults on purpose: what a program does in an outage is seen before the outage.

`resilience.chaos` and `resilience.fail_next` inject faults. This package has what belongs to them:

    Lognormal, Uniform           latency by distribution
    flag, header                 switches: a feature flag, a header of the request that is served
    served_headers               puts the headers of a request in force; `resilience.integrations.chaos` does it
    error_for                    a real exception of a client library, of the category that is asked for
    is_injected                  whether an exception was injected

The faults are real ones: a function that calls httpx gets an `httpx.ReadTimeout`. Nothing here is imported before
chaos is used, and no library before its exception is made.
"""

from typing import TYPE_CHECKING

from resilience._injected import is_injected
from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience.faults._injection import ChaosBlock, PlannedFailures, chaos, fail_next
    from resilience.faults._latency import Distribution, Lognormal, Uniform
    from resilience.faults._policy import Chaos
    from resilience.faults._real_errors import error_for
    from resilience.faults._switches import FlagClient, flag, header, served_headers

__all__ = [
    "Chaos",
    "ChaosBlock",
    "Distribution",
    "FlagClient",
    "Lognormal",
    "PlannedFailures",
    "Uniform",
    "chaos",
    "error_for",
    "fail_next",
    "flag",
    "header",
    "is_injected",
    "served_headers",
]

_LAZY = {
    "Chaos": "_policy",
    "ChaosBlock": "_injection",
    "Distribution": "_latency",
    "FlagClient": "_switches",
    "Lognormal": "_latency",
    "PlannedFailures": "_injection",
    "Uniform": "_latency",
    "chaos": "_injection",
    "error_for": "_real_errors",
    "fail_next": "_injection",
    "flag": "_switches",
    "header": "_switches",
    "served_headers": "_switches",
}

attach_lazy(__name__, _LAZY)
