"""pydantic_core, the compiled part of pydantic, where `ValidationError` lives.

`PydanticOmit` and `PydanticUseDefault` steer a validator and leave it only by mistake.
"""

from resilience.category import ErrorCategory as C
from resilience.classify.library import ClientLibrary
from resilience.classify.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.VALIDATION, "ValidationError PydanticCustomError PydanticKnownError"),
        **classes(C.INTERNAL, "PydanticSerializationError PydanticSerializationUnexpectedValue SchemaError"),
        **classes(C.INTERNAL, "PydanticOmit PydanticUseDefault MissingDefinitionError"),
    }
)
