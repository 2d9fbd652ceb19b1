"""xml, from the standard library: a document that cannot be parsed is VALIDATION, unless it was a response.

A `ParseError` is a SyntaxError to Python, and yet no error of code.

`ParseError` and `ExpatError` keep `code` and the position. SAX and XInclude have classes of their own. A
`DOMException` is a wrong use of a tree, and so INTERNAL.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._parse_errors import by_parser
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(by_parser, "ParseError ExpatError"),
        **classes(C.VALIDATION, "SAXException FatalIncludeError LimitedRecursiveIncludeError"),
        **classes(C.INTERNAL, "DOMException ParseEscape"),
    },
)
