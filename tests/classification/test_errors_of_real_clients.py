"""Errors as real clients raise them, made with the classes of the installed libraries: each means what its server said.

The rows are failures that users of these clients have met. A client that is refused on the loopback is in
`test_refused_clients`; here are the failures that need a server's own answer.
"""

from __future__ import annotations

import importlib
import json
import sqlite3
import types
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain, retry_after

C = ErrorCategory
Make = Callable[[Any], BaseException]
_REQUEST = httpx.Request("POST", "http://model/")


def _from(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def _with(error: BaseException, **attributes: object) -> BaseException:
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def _response(status: int, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def _httpx(status: int, headers: dict[str, str] | None = None) -> BaseException:
    response = httpx.Response(status, headers=headers, request=_REQUEST)
    return httpx.HTTPStatusError("secret", request=_REQUEST, response=response)


def _aws(code: str, status: int) -> Make:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return lambda m: m.ClientError(answer, "Call")


def _slack(code: str) -> Make:
    def make(slack: Any) -> BaseException:
        data = {"ok": False, "error": code}
        request: dict[str, Any] = {"client": None, "http_verb": "POST", "api_url": "u", "req_args": {}}
        answer = importlib.import_module("slack_sdk.web").SlackResponse
        return slack.SlackApiError("secret", answer(**request, data=data, headers={}, status_code=200))

    return make


def _drive(status: int, reason: str, **headers: str) -> Make:
    body = json.dumps({"error": {"errors": [{"reason": reason}]}}).encode()
    answer: dict[str, Any] = {"status": status, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return lambda m: m.HttpError(importlib.import_module("httplib2").Response(answer), body)


def _elastic(status: int) -> Make:
    def make(elastic: Any) -> BaseException:
        transport = importlib.import_module("elastic_transport")
        node = transport.NodeConfig("http", "h", 9200)
        meta = transport.ApiResponseMeta(status, "1.1", transport.HttpHeaders({"retry-after": "4"}), 0.1, node)
        return elastic.ApiError("secret", meta, {})

    return make


def _kafka_code(name: str) -> Make:
    return lambda m: m.KafkaException(m.KafkaError(getattr(m.KafkaError, name)))


def _neo4j(code: str) -> Make:
    return lambda m: m.Neo4jError._hydrate_neo4j(code=code, message="secret")


def _websockets(code: int | None) -> Make:
    def make(websockets: Any) -> BaseException:
        close = None if code is None else importlib.import_module("websockets.frames").Close(code, "")
        return websockets.ConnectionClosedError(close, None)

    return make


def _locked() -> BaseException:
    return _with(sqlite3.OperationalError("secret"), sqlite_errorcode=5, sqlite_errorname="SQLITE_BUSY")


def _psycopg2_lost() -> BaseException:
    return pytest.importorskip("psycopg2").OperationalError("secret")


_ROWS: dict[str, tuple[str, Make, ErrorCategory]] = {
    # Codes that look like statuses of HTTP.
    "amqp 530": ("amqp", lambda m: m.NotAllowed("secret"), C.AUTHORIZATION),
    "amqp 503": ("amqp", lambda m: m.InvalidCommand("secret"), C.INTERNAL),
    "clickhouse 516": ("clickhouse_driver.errors", lambda m: m.ServerException("secret", 516), C.AUTHENTICATION),
    # Rate limits behind 403, and statuses of their own kind.
    "github": (
        "github",
        lambda m: m.RateLimitExceededException(403, {}, {"retry-after": "60"}),
        C.RATE_LIMIT,
    ),
    "403 and nothing remains": (
        "requests",
        lambda m: m.HTTPError(response=_response(403, x_ratelimit_remaining="0")),
        C.RATE_LIMIT,
    ),
    "403 for good": ("requests", lambda m: m.HTTPError(response=_response(403)), C.AUTHORIZATION),
    "bigquery 403": (
        "google.api_core.exceptions",
        lambda m: m.Forbidden("secret", errors=[{"reason": "rateLimitExceeded"}]),
        C.RATE_LIMIT,
    ),
    "bigquery 403 for good": (
        "google.api_core.exceptions",
        lambda m: m.Forbidden("secret", errors=[{"reason": "accessDenied"}]),
        C.AUTHORIZATION,
    ),
    "drive 403": ("googleapiclient.errors", _drive(403, "userRateLimitExceeded"), C.RATE_LIMIT),
    "drive 403 with a wait": ("googleapiclient.errors", _drive(403, "", retry_after="9"), C.RATE_LIMIT),
    "drive 403 for good": ("googleapiclient.errors", _drive(403, "insufficientPermissions"), C.AUTHORIZATION),
    "421": ("httpx", lambda m: _httpx(421), C.UNAVAILABLE),
    "420": ("httpx", lambda m: _httpx(420), C.RATE_LIMIT),
    "cosmos 449": (
        "azure.core.exceptions",
        lambda m: _with(m.HttpResponseError("secret"), status_code=449),
        C.UNAVAILABLE,
    ),
    "aws over plain http": (
        "httpx",
        lambda m: _httpx(400, {"x-amzn-errortype": "ThrottlingException"}),
        C.RATE_LIMIT,
    ),
    "bedrock 424": ("botocore.exceptions", _aws("ModelStreamErrorException", 424), C.SERVER_ERROR),
    "sts 400": ("botocore.exceptions", _aws("IDPCommunicationError", 400), C.UNAVAILABLE),
    "oauth 400": ("oauthlib.oauth2", lambda m: m.TemporarilyUnavailableError(), C.UNAVAILABLE),
    "xmlrpc 503": ("xmlrpc.client", lambda m: m.ProtocolError("u", 503, "secret", {}), C.UNAVAILABLE),
    # Databases.
    "asyncpg closed": ("asyncpg", lambda m: m.InterfaceError("connection is closed"), C.NETWORK),
    "asyncpg lost between statements": (
        "asyncpg",
        lambda m: m.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
        C.NETWORK,
    ),
    "asyncpg internal": ("asyncpg", lambda m: m.InternalClientError("no such state"), C.INTERNAL),
    "asyncpg cached statement": ("asyncpg", lambda m: m.InvalidCachedStatementError("secret"), C.CONFLICT),
    "asyncpg schema cache": ("asyncpg", lambda m: m.OutdatedSchemaCacheError("secret"), C.CONFLICT),
    "django over psycopg2": (
        "django.db",
        lambda m: _from(m.OperationalError("secret"), _psycopg2_lost()),
        C.NETWORK,
    ),
    "django over sqlite": ("django.db", lambda m: _from(m.OperationalError("secret"), _locked()), C.UNAVAILABLE),
    "django integrity": ("django.db", lambda m: m.IntegrityError("secret"), C.CONFLICT),
    "django not there": ("django.core.exceptions", lambda m: m.ObjectDoesNotExist(), C.NOT_FOUND),
    "django 404": ("django.http", lambda m: m.Http404(), C.NOT_FOUND),
    "django 403": ("django.core.exceptions", lambda m: m.PermissionDenied(), C.AUTHORIZATION),
    "django validation": ("django.core.exceptions", lambda m: m.ValidationError("secret"), C.VALIDATION),
    "mysql lost": ("mysql.connector.errors", lambda m: m.OperationalError(errno=2013), C.NETWORK),
    "mysql deadlock": (
        "mysql.connector.errors",
        lambda m: m.InternalError(errno=1213, sqlstate="40001"),
        C.UNAVAILABLE,
    ),
    "mysql duplicate": (
        "mysql.connector.errors",
        lambda m: m.IntegrityError(errno=1062, sqlstate="23000"),
        C.CONFLICT,
    ),
    "psycopg2 without a code": ("psycopg2", lambda m: m.OperationalError("secret"), C.NETWORK),
    "neo4j deadlock": ("neo4j.exceptions", _neo4j("Neo.TransientError.Transaction.DeadlockDetected"), C.UNAVAILABLE),
    "neo4j syntax": ("neo4j.exceptions", _neo4j("Neo.ClientError.Statement.SyntaxError"), C.INTERNAL),
    "neo4j password": ("neo4j.exceptions", lambda m: m.AuthError("secret"), C.AUTHENTICATION),
    "elastic time-out": ("elastic_transport", lambda m: m.ConnectionTimeout("secret"), C.TIMEOUT),
    "elastic 429": ("elasticsearch", _elastic(429), C.RATE_LIMIT),
    "elastic 404": ("elasticsearch", _elastic(404), C.NOT_FOUND),
    # Queues.
    "kafka time-out": ("kafka.errors", lambda m: m.KafkaTimeoutError("secret"), C.TIMEOUT),
    "kafka leader": ("kafka.errors", lambda m: m.NotLeaderForPartitionError(), C.UNAVAILABLE),
    "kafka topic": ("kafka.errors", lambda m: m.TopicAuthorizationFailedError(), C.AUTHORIZATION),
    "librdkafka transport": ("confluent_kafka", _kafka_code("_TRANSPORT"), C.NETWORK),
    "librdkafka time-out": ("confluent_kafka", _kafka_code("_TIMED_OUT"), C.TIMEOUT),
    "librdkafka topic": ("confluent_kafka", _kafka_code("TOPIC_AUTHORIZATION_FAILED"), C.AUTHORIZATION),
    "pika stream lost": ("pika.exceptions", lambda m: m.StreamLostError("secret"), C.NETWORK),
    "aiormq": ("aiormq.exceptions", lambda m: m.AMQPConnectionError("secret"), C.NETWORK),
    "kombu": (
        "kombu.exceptions",
        lambda m: _from(m.OperationalError("secret"), ConnectionRefusedError()),
        C.NETWORK,
    ),
    "servicebus busy": (
        "azure.servicebus.exceptions",
        lambda m: m.ServiceBusServerBusyError(message="secret"),
        C.UNAVAILABLE,
    ),
    "servicebus time-out": (
        "azure.servicebus.exceptions",
        lambda m: m.OperationTimeoutError(message="secret"),
        C.TIMEOUT,
    ),
    "servicebus lock": (
        "azure.servicebus.exceptions",
        lambda m: m.MessageLockLostError(message="secret"),
        C.CONFLICT,
    ),
    # Clouds.
    "azure connect": ("azure.core.exceptions", lambda m: m.ServiceRequestError("secret"), C.NETWORK),
    "azure 429": ("azure.core.exceptions", lambda m: _with(m.HttpResponseError("m"), status_code=429), C.RATE_LIMIT),
    "anthropic token refused connection": (
        "anthropic",
        lambda m: _from(m.WorkloadIdentityError("secret"), importlib.import_module("httpx2").ConnectError("secret")),
        C.NETWORK,
    ),
    "anthropic token 503": ("anthropic", lambda m: m.WorkloadIdentityError("secret", status_code=503), C.UNAVAILABLE),
    "anthropic token 400": (
        "anthropic",
        lambda m: m.WorkloadIdentityError("secret", status_code=400),
        C.AUTHENTICATION,
    ),
    "anthropic token no json": (
        "anthropic",
        lambda m: _from(m.WorkloadIdentityError("secret", status_code=200), ValueError("secret")),
        C.AUTHENTICATION,
    ),
    "servicebus websocket refused": (
        "azure.servicebus._pyamqp.error",
        lambda m: _from(m.AuthenticationException(b"secret"), ConnectionRefusedError()),
        C.NETWORK,
    ),
    "servicebus token": (
        "azure.servicebus.exceptions",
        lambda m: m.ServiceBusAuthenticationError(message="secret"),
        C.AUTHENTICATION,
    ),
    "azure token time-out": (
        "azure.core.exceptions",
        lambda m: _from(m.ClientAuthenticationError("secret"), m.ServiceResponseTimeoutError("secret")),
        C.TIMEOUT,
    ),
    "azure token refused": (
        "azure.core.exceptions",
        lambda m: _from(m.ClientAuthenticationError("secret"), ValueError("secret")),
        C.AUTHENTICATION,
    ),
    "azure credentials": ("azure.identity", lambda m: m.CredentialUnavailableError("secret"), C.AUTHENTICATION),
    "google transport": (
        "google.auth.exceptions",
        lambda m: _from(m.TransportError("secret"), requests.ConnectionError("secret")),
        C.NETWORK,
    ),
    "google refresh": ("google.auth.exceptions", lambda m: m.RefreshError("secret"), C.AUTHENTICATION),
    "google refresh later": (
        "google.auth.exceptions",
        lambda m: m.RefreshError("secret", retryable=True),
        C.UNAVAILABLE,
    ),
    "google retry": (
        "google.api_core.exceptions",
        lambda m: m.RetryError("secret", cause=m.ServiceUnavailable("secret")),
        C.UNAVAILABLE,
    ),
    "google data loss": ("google.api_core.exceptions", lambda m: m.DataLoss("secret"), C.DEPENDENCY),
    "httplib2 unknown host": ("httplib2", lambda m: m.ServerNotFoundError("secret"), C.NETWORK),
    "s3transfer": (
        "s3transfer.exceptions",
        lambda m: m.RetriesExceededError(
            importlib.import_module("botocore.exceptions").ReadTimeoutError(endpoint_url="x")
        ),
        C.TIMEOUT,
    ),
    "boto3": (
        "boto3.exceptions",
        lambda m: m.RetriesExceededError(
            importlib.import_module("botocore.exceptions").ReadTimeoutError(endpoint_url="x")
        ),
        C.TIMEOUT,
    ),
    # Services.
    "stripe 429": ("stripe", lambda m: m.RateLimitError("secret", http_status=429), C.RATE_LIMIT),
    "stripe 500": ("stripe", lambda m: m.APIError("secret", http_status=500), C.SERVER_ERROR),
    "stripe card": ("stripe", lambda m: m.CardError("secret", "p", "c", http_status=402), C.VALIDATION),
    "gitlab 503": ("gitlab", lambda m: m.GitlabHttpError("secret", response_code=503), C.UNAVAILABLE),
    "gitlab 404": ("gitlab", lambda m: m.GitlabGetError("secret", response_code=404), C.NOT_FOUND),
    "vault down": ("hvac.exceptions", lambda m: m.VaultDown("secret"), C.UNAVAILABLE),
    "vault 429": ("hvac.exceptions", lambda m: m.RateLimitExceeded("secret"), C.RATE_LIMIT),
    "slack limit": ("slack_sdk.errors", _slack("ratelimited"), C.RATE_LIMIT),
    "slack token": ("slack_sdk.errors", _slack("invalid_auth"), C.AUTHENTICATION),
    "slack channel": ("slack_sdk.errors", _slack("channel_not_found"), C.NOT_FOUND),
    "docker": (
        "docker.errors",
        lambda m: _from(m.DockerException("secret"), requests.ConnectionError("secret")),
        C.NETWORK,
    ),
    "docker 503": ("docker.errors", lambda m: m.APIError("secret", response=_response(503)), C.UNAVAILABLE),
    # Wire protocols.
    "paramiko refused": (
        "paramiko.ssh_exception",
        lambda m: m.NoValidConnectionsError({("127.0.0.1", 22): ConnectionRefusedError()}),
        C.NETWORK,
    ),
    "paramiko password": ("paramiko", lambda m: m.AuthenticationException("secret"), C.AUTHENTICATION),
    "websockets cut off": ("websockets", _websockets(None), C.NETWORK),
    "websockets try again later": ("websockets", _websockets(1013), C.UNAVAILABLE),
    "websocket-client closed": ("websocket", lambda m: m.WebSocketConnectionClosedException("secret"), C.NETWORK),
    "websocket-client time-out": ("websocket", lambda m: m.WebSocketTimeoutException("secret"), C.TIMEOUT),
    "websocket-client 503": (
        "websocket",
        lambda m: m.WebSocketBadStatusException("secret %s %s", 503, "secret", {}, b""),
        C.UNAVAILABLE,
    ),
    "ftp 421": ("ftplib", lambda m: m.error_temp("421 busy"), C.UNAVAILABLE),
    "ftp 530": ("ftplib", lambda m: m.error_perm("530 login"), C.AUTHENTICATION),
    "ftp 550": ("ftplib", lambda m: m.error_perm("550 no"), C.NOT_FOUND),
    "imap abort": ("imaplib", lambda m: m.IMAP4.abort("secret"), C.NETWORK),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", _ROWS)
def test_an_error_of_a_real_client_means_what_its_server_said(row: str) -> None:
    module, make, category = _ROWS[row]
    error = make(pytest.importorskip(module))
    assert classify(error) is category, explain(error)
    assert explain(error).category is category
    assert "secret" not in str(explain(error))


def _google_rpc(google: types.ModuleType) -> BaseException:
    info = importlib.import_module("google.rpc.error_details_pb2").RetryInfo()
    info.retry_delay.seconds = 7
    return google.ResourceExhausted("secret", details=[info])  # type: ignore[no-any-return]


_GENAI = {"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "53s"}]}}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("module", "make", "seconds"),
    [
        ("elasticsearch", _elastic(429), 4.0),
        ("googleapiclient.errors", _drive(429, "", retry_after="9"), 9.0),
        ("google.api_core.exceptions", _google_rpc, 7.0),
        ("google.genai.errors", lambda m: m.ClientError(429, _GENAI), 53.0),
        ("github", lambda m: m.RateLimitExceededException(403, {}, {"retry-after": "60"}), 60.0),
        ("dropbox.exceptions", lambda m: m.RateLimitError("secret", backoff=5), 5.0),
    ],
)
def test_the_wait_that_a_real_client_passes_on_is_read(module: str, make: Make, seconds: float) -> None:
    error = make(pytest.importorskip(module))
    assert retry_after(error) == seconds
    assert classify(error) is C.RATE_LIMIT
