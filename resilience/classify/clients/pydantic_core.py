"""pydantic_core, where pydantic's ValidationError lives."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named

ROWS: Rows = {
    **named(C.VALIDATION, "ValidationError PydanticCustomError PydanticKnownError"),
    **named(C.INTERNAL, "PydanticSerializationError PydanticSerializationUnexpectedValue SchemaError"),
    **named(C.INTERNAL, "PydanticOmit PydanticUseDefault MissingDefinitionError"),
}
