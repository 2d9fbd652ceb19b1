"""json, from the standard library.

A text that is no JSON is VALIDATION: the same text fails again. Where the text is the response of a server, translate
the exception or register it as DEPENDENCY.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary({"JSONDecodeError": C.VALIDATION})
