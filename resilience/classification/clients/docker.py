"""docker: the status of the response decides; a daemon that cannot be reached is the cause of a `DockerException`.

An `APIError` is an `HTTPError` of requests and keeps the response, the status and the daemon's `explanation`. A status
404 arrives as `NotFound` or `ImageNotFound`, which answer by the same status. A `ContainerError` or `BuildError`
reports about a program or a Dockerfile: the daemon has done its work.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "DockerException": C.UNKNOWN,
        "APIError": by_status,
        "SocketError": C.NETWORK,
        "ContainerError": C.RUNTIME,  # the program in the container failed
        **classes(C.SERVER_ERROR, "BuildError ImageLoadError"),
        "StreamParseError": C.DEPENDENCY,
        **classes(C.CONFIGURATION, "InvalidConfigFile TLSParameterError InvalidVersion ContextException"),
        **classes(C.CONFIGURATION, "InitializationError MissingContextParameter"),
        "ContextAlreadyExists": C.CONFLICT,
        "ContextNotFound": C.NOT_FOUND,
        **classes(C.VALIDATION, "InvalidArgument InvalidRepository NullResource"),
        "DeprecatedMethod": C.INTERNAL,
        **classes(C.AUTHENTICATION, "CredentialsNotFound StoreError"),
    },
)
