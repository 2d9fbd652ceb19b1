"""pydantic_core, the compiled part of pydantic, where `ValidationError` lives.

`PydanticOmit` and `PydanticUseDefault` steer a validator and leave it only by mistake.

A `SchemaError` is a wrong schema and so a bug of the program. Errors of serialization are INTERNAL too: the program's
own value does not fit its own model.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.VALIDATION, "ValidationError PydanticCustomError PydanticKnownError"),
        **classes(C.INTERNAL, "PydanticSerializationError PydanticSerializationUnexpectedValue SchemaError"),
        **classes(C.INTERNAL, "PydanticOmit PydanticUseDefault MissingDefinitionError"),
    }
)
