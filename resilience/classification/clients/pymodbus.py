"""pymodbus: the class decides. A device that does not answer is a `ModbusIOException`."""

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
