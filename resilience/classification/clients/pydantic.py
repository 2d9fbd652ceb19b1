"""pydantic, and its first version inside it.

`ValidationError` of version 2 belongs to `pydantic_core`. Input that does not fit the model is VALIDATION; a model
that is itself wrong is a bug of the calling program.

A `PydanticUserError` has a `code` that names the mistake in the model's definition. An `errors()` list of a
`ValidationError` names each field, and none of it is read here. No class of pydantic is retried: the same input fails
again, unless a model is asked to generate it anew.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "ValidationError": C.VALIDATION,
        **classes(C.VALIDATION, "PydanticValueError PydanticTypeError"),
        **classes(C.INTERNAL, "PydanticUserError PydanticUndefinedAnnotation ConfigError SkipField"),
        **classes(C.INTERNAL, "MissingDefinitionForUnionRef InvalidSchemaError"),
        **classes(C.CONFIGURATION, "PydanticImportError SettingsError"),
    },
    sends_once=True,
)
