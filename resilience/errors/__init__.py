"""What the toolkit raises, and the base of what applications raise.

    ResilienceError                     the base: a code, a category, details, retry_after
    ├── CallTimeoutError                a call took longer than its time limit; also a TimeoutError
    ├── DeadlineExceededError           a deadline passed; also a TimeoutError
    ├── RetriesExhaustedError           all attempts failed, and on_exhausted="wrap" asked for this
    ├── TooManyAbandonedError           a sync call was refused: too many before it hold threads nobody waits for
    ├── CircuitOpenError                a circuit let nobody through; also a pybreaker.CircuitBreakerError
    ├── OctoLLMError                    a distributed service's family
    │   ├── ValidationError             the request cannot be done
    │   │   ├── InvalidInputError       an input is not valid
    │   │   ├── ValidationErrors        several of them at once
    │   │   ├── TaskNotFoundError       there is no such task
    │   │   ├── AuthenticationError     nobody knows who is asking
    │   │   └── AuthorizationError      who is asking may not do this
    │   ├── ResourceError               something that is needed is not there
    │   │   ├── ArmUnavailableError     nobody has these capabilities
    │   │   ├── CapacityExceededError   there is no room for more
    │   │   └── RateLimitError          too many requests
    │   ├── SystemError                 a part of the service has failed; not Python's
    │   │   ├── DatabaseError           the database
    │   │   ├── CacheError              the cache
    │   │   ├── NetworkError            the network
    │   │   └── TimeoutError            an operation took too long; also Python's
    │   └── ExternalError               somebody else's service has failed
    │       ├── LLMAPIError             a provider of language models
    │       ├── VectorDBError           the vector database
    │       └── ThirdPartyAPIError      another API
    └── PythonExecutorException         the family of an executor of code
        ├── ContainerConnectivityError  the container cannot be reached
        ├── ContainerConfigurationError its settings are wrong
        ├── CodeGenerationError         no valid code was generated
        ├── CodeSyntaxError             the code cannot be parsed
        ├── CodeRuntimeError            the code has failed
        ├── ExecutionTimeoutError       the code ran for too long
        ├── MaxAttemptsExceededError    it was tried as often as it may be
        └── WorkflowError               a fault of the executor's own

An error of the function that was called is wrapped in one of these only on demand: it reaches the caller as the same
object.
`CircuitOpenError` lives in `resilience.errors.circuit`, since it brings pybreaker along. The families live in
`resilience.errors.service` and `resilience.errors.executor`; nothing of the toolkit raises them.
"""

from typing import TYPE_CHECKING

from resilience.errors.base import (
    CallTimeoutError,
    DeadlineExceededError,
    ResilienceError,
    RetriesExhaustedError,
    TooManyAbandonedError,
)
from resilience.errors.codes import CodeRegistry, class_of_code, registries
from resilience.rooms import open_rooms

if TYPE_CHECKING:
    from resilience.errors.chain import ErrorLink, error_chain
    from resilience.errors.table import CodeProblem, check_codes

__all__ = [
    "CallTimeoutError",
    "CodeProblem",
    "CodeRegistry",
    "DeadlineExceededError",
    "ErrorLink",
    "ResilienceError",
    "RetriesExhaustedError",
    "TooManyAbandonedError",
    "check_codes",
    "class_of_code",
    "error_chain",
    "registries",
]

_ROOMS = {"CodeProblem": "table", "ErrorLink": "chain", "check_codes": "table", "error_chain": "chain"}

open_rooms(__name__, _ROOMS)
