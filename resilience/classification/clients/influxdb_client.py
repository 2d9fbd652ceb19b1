"""influxdb-client: the status of the response decides; failures to connect are urllib3's or aiohttp's."""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(by_status, "InfluxDBError ApiException"),
        **classes(C.DEPENDENCY, "FluxCsvParserException FluxQueryException"),
    },
)
