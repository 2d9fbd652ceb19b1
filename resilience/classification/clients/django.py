"""Django: the driver's exception decides about the database; a view's own answers count for nothing.

`django.db` wraps every exception of a driver in a class of its own, with the driver's as the cause. `Http404`,
`ObjectDoesNotExist` and `PermissionDenied` are how a view answers: the database has worked, and no circuit counts them.

Each wrapper has the name of its DB-API class and is raised `from` the driver's exception (`django.db.utils`), so a
deadlock is known by the driver's SQLSTATE or number. Django sends a statement once. Most other classes report a
mistake in settings, models or templates; they are CONFIGURATION or INTERNAL and are never retried.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import CategoryRow, ClientLibrary
from resilience.classification.tables import classes, wrapped_or


def _driver_or(default: C) -> CategoryRow:
    return wrapped_or(default, "__cause__")


LIBRARY = ClientLibrary(
    {
        **classes(_driver_or(C.UNKNOWN), "Error DatabaseError"),
        "OperationalError": _driver_or(C.DEPENDENCY),
        "InterfaceError": _driver_or(C.NETWORK),  # the connection is closed
        "InternalError": _driver_or(C.SERVER_ERROR),
        "IntegrityError": _driver_or(C.CONFLICT),
        "DataError": _driver_or(C.VALIDATION),
        "ProgrammingError": _driver_or(C.INTERNAL),
        "NotSupportedError": _driver_or(C.CONFIGURATION),
        **classes(C.CONFLICT, "ProtectedError RestrictedError ObjectNotUpdated"),
        **classes(C.INTERNAL, "TransactionManagementError Warning"),
        "MigrationSchemaMissing": _driver_or(C.CONFIGURATION),
        # What a view or a form says.
        **classes(C.NOT_FOUND, "Http404 ObjectDoesNotExist TemplateDoesNotExist FeedDoesNotExist"),
        **classes(C.NOT_FOUND, "ViewDoesNotExist ConnectionDoesNotExist TaskResultDoesNotExist"),
        **classes(C.CONFLICT, "MultipleObjectsReturned"),
        **classes(C.AUTHORIZATION, "PermissionDenied BadSignature RejectRequest"),
        **classes(C.VALIDATION, "ValidationError BadRequest SuspiciousOperation InvalidPage MultiPartParserError"),
        **classes(C.VALIDATION, "UnreadablePostError InputStreamExhausted BadHeaderError IncorrectLookupParameters"),
        **classes(C.VALIDATION, "DeserializationError M2MDeserializationError DefusedXmlException InvalidTokenFormat"),
        **classes(C.VALIDATION, "ArchiveException InvalidCacheKey SkipFile StopUpload UnserializableContentError"),
        **classes(
            C.VALIDATION, "DjangoUnicodeDecodeError MultiValueDictKeyError SerializationError TaskResultMismatch"
        ),
        "TaskException": C.UNKNOWN,
        "InvalidTask": C.CONFIGURATION,
        "RequestAborted": C.CANCELLED,  # the client has gone
        **classes(C.CANCELLED, "StopFutureHandlers MiddlewareNotUsed EmptyResultSet FullResultSet"),
        **classes(C.CANCELLED, "UploadFileException TruncateHTMLParser.TruncationCompleted"),
        **classes(C.CONFIGURATION, "ImproperlyConfigured AppRegistryNotReady InvalidTemplateLibrary"),
        **classes(C.CONFIGURATION, "InvalidAlgorithm SerializerDoesNotExist WatchmanUnavailable CommandError"),
        **classes(C.CONFIGURATION, "BadMigrationError CircularDependencyError AmbiguityError InvalidBasesError"),
        **classes(C.CONFIGURATION, "InconsistentMigrationHistory InvalidMigrationPlan IrreversibleError"),
        **classes(C.CONFIGURATION, "NodeNotFoundError NotRunningInTTYException GeoIP2Exception"),
        **classes(C.INTERNAL, "SynchronousOnlyOperation FieldDoesNotExist FieldError FieldIsAForeignKeyColumnName"),
        **classes(C.INTERNAL, "NoReverseMatch TemplateSyntaxError VariableDoesNotExist AlreadyRegistered"),
        **classes(C.INTERNAL, "NotRegistered NotRelationField MultiJoin ContentNotRenderedError ContextPopException"),
        **classes(C.INTERNAL, "RawPostDataException GenericViewError MessageFailure CreateError UpdateError"),
        **classes(C.INTERNAL, "OutputFieldIsNoneError"),
    },
    sends_once=True,
)
