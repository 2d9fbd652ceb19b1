"""influxdb-client: the status of the response decides; failures to connect are urllib3's or aiohttp's.

The package has been made from the OpenAPI description of InfluxDB 2. An `InfluxDBError` keeps the response in
`response` and the seconds of Retry-After in `retry_after`; an `ApiException` adds `status`, `body` and `headers`. The
batching writer retries in the background and reports to its callbacks, not by an exception of the call.
"""

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
