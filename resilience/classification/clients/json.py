"""json, from the standard library.

A text that is no JSON is VALIDATION: the same text fails again. Where a response was parsed, by the `json` method of a
client, the status of that response decides.

A `JSONDecodeError` keeps the document, the position, the line and the column. It is a ValueError to Python.
"""

from resilience.classification._parse_errors import by_parser
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary({"JSONDecodeError": by_parser})
