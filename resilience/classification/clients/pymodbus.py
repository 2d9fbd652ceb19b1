"""pymodbus: the class decides. A device that does not answer is a `ModbusIOException`.

Each class but a private one derives from `ModbusException`. A device that answers with an exception code raises
nothing: the client returns an `ExceptionResponse`, whose `isError()` is true, and a predicate for results has to read
its `exception_code`. A `ModbusIOException` may come after the device has executed the write.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "ModbusException": C.UNKNOWN,
        "ConnectionException": C.NETWORK,
        "ModbusIOException": C.TIMEOUT,
        **classes(C.VALIDATION, "ParameterException _OutOfSpaceException"),
        **classes(C.CONFIGURATION, "NotImplementedException NoSuchIdException MessageRegisterException"),
    },
)
