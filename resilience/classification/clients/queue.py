"""queue, from the standard library: a queue without an item, or without space, at this moment.

Nothing to take is no failure of the queue, so `Empty` is NOT_FOUND.

`Full` is CAPACITY, since the queue's bound is the program's own. `ShutDown` (Python 3.13) is the orderly end of a
queue and so CANCELLED. None of the three is retried by default.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary({"Empty": C.NOT_FOUND, "Full": C.CAPACITY, "ShutDown": C.CANCELLED})
