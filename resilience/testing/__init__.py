"""For the tests of programs that use the toolkit: time that jumps instead of passing, and waits that do not wait."""

from resilience.testing._codes import assert_codes
from resilience.testing._no_waits import no_waits
from resilience.testing._virtual_time import VirtualClock, virtual_time

__all__ = ["VirtualClock", "assert_codes", "no_waits", "virtual_time"]
