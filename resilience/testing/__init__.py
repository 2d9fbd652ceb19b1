"""Helpers for tests of programs that use the toolkit.

virtual_time     backoffs, open circuits and time limits take no real time
no_waits         retries follow at once; time is real
Faults           guarded functions fail on demand, circuits are open
Rehearsal        chaos and planned failures in the context of a test: the fixture `resilience`
TcpProxy         a proxy that resets, cuts, slows or hangs the real connections of a client
record_events    the events of the block, to assert on
assert_codes     the declared error codes agree with a written table

Fixtures of pytest offer most of them as well (`resilience.testing._pytest_plugin`). pytest imports this package in
every run of a project that has the toolkit installed, so names are imported when they are first asked for.
"""

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience.testing._codes import assert_codes
    from resilience.testing._faults import Faults
    from resilience.testing._no_waits import no_waits
    from resilience.testing._recorded_events import RecordedEvents, record_events
    from resilience.testing._rehearsal import Rehearsal
    from resilience.testing._tcp_proxy import ProxyFault, TcpProxy
    from resilience.testing._virtual_time import VirtualClock, virtual_time

__all__ = [
    "Faults",
    "ProxyFault",
    "RecordedEvents",
    "Rehearsal",
    "TcpProxy",
    "VirtualClock",
    "assert_codes",
    "no_waits",
    "record_events",
    "virtual_time",
]

_LAZY = {
    "Faults": "_faults",
    "ProxyFault": "_tcp_proxy",
    "RecordedEvents": "_recorded_events",
    "Rehearsal": "_rehearsal",
    "TcpProxy": "_tcp_proxy",
    "VirtualClock": "_virtual_time",
    "assert_codes": "_codes",
    "no_waits": "_no_waits",
    "record_events": "_recorded_events",
    "virtual_time": "_virtual_time",
}

attach_lazy(__name__, _LAZY)
