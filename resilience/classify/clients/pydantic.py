"""pydantic, and its first version inside it."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named

ROWS: Rows = {
    "ValidationError": C.VALIDATION,
    **named(C.VALIDATION, "PydanticValueError PydanticTypeError"),
    **named(C.INTERNAL, "PydanticUserError PydanticUndefinedAnnotation ConfigError SkipField"),
    **named(C.INTERNAL, "MissingDefinitionForUnionRef InvalidSchemaError"),
    **named(C.CONFIGURATION, "PydanticImportError SettingsError"),
}
