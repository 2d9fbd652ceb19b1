"""Helpers for tests of programs that use the toolkit.

virtual_time     backoffs, open circuits and time limits take no real time
no_waits         retries follow at once; time is real
assert_codes     the declared error codes agree with a written table
"""

from resilience.testing._codes import assert_codes
from resilience.testing._no_waits import no_waits
from resilience.testing._virtual_time import VirtualClock, virtual_time

__all__ = ["VirtualClock", "assert_codes", "no_waits", "virtual_time"]
