"""For the tests of programs that use the toolkit: time that jumps instead of passing."""

from resilience.testing.virtual_time import VirtualClock, virtual_time

__all__ = ["VirtualClock", "virtual_time"]
