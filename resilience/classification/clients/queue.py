"""queue, from the standard library: a queue without an item, or without space, at this moment.

Nothing to take is no failure of the queue, so `Empty` is NOT_FOUND.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary({"Empty": C.NOT_FOUND, "Full": C.CAPACITY, "ShutDown": C.CANCELLED})
