"""Clients of botocore guarded by policies: signed requests to a server on loopback."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import botocore.client
import botocore.config
import botocore.exceptions
import botocore.session
import pytest

from resilience import CircuitOpenError, circuit_breaker, deadline, retry_on_category
from resilience.clients import inspect_client, protect, protection_of, request_options, send_deadline
from resilience.testing import virtual_time
from tests.clients.model_server import Api, Step, serving

XML = {"content_type": "application/xml"}
BUSY = Step(503, b"<Error><Code>SlowDown</Code><Message>slow</Message></Error>", **XML)
ITEM = Step(body={"Item": {"id": {"S": "7"}}})
THROTTLED = Step(400, {"__type": "ProvisionedThroughputExceededException", "message": "slow"})
SESSION = botocore.session.Session()


_CLIENTS: list[botocore.client.BaseClient] = []


@pytest.fixture(autouse=True)
def clients_are_closed() -> Iterator[None]:
    """Close the clients of a test: one in a cycle would leave its sockets to the garbage collector, in another test."""
    yield
    while _CLIENTS:
        _CLIENTS.pop().close()


def client_of(service: str, url: str, **config: object) -> object:
    client = SESSION.create_client(
        service,
        region_name="eu-west-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
        endpoint_url=url,
        config=botocore.config.Config(s3={"addressing_style": "path"}, **config),
    )
    _CLIENTS.append(client)
    return client


def retrying(client: object, **options: object) -> object:
    return protect(client, retry_on_category(**{"attempts": 3, "base_delay": 0, **options}))


def outcome(call: object, **params: object) -> object:
    try:
        return call(**params)
    except Exception as error:
        return error


@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_attempts_do_not_multiply_with_those_of_the_client(mode: str):
    api = Api(BUSY)
    with serving(api) as url:
        client = client_of("s3", url, retries={"mode": mode})
        kind = type(client)
        assert retrying(client) is client
        assert type(client) is kind
        error = outcome(client.get_object, Bucket="b", Key="k")
    assert isinstance(error, botocore.exceptions.ClientError)
    assert error.response["Error"]["Code"] == "SlowDown"
    assert len(api.requests) == 3
    assert "retries, " in str(protection_of(client))


def test_the_error_code_decides_and_not_the_status():
    api = Api(THROTTLED, ITEM)
    with serving(api) as url:
        answer = retrying(client_of("dynamodb", url)).get_item(TableName="t", Key={"id": {"S": "7"}})
    assert answer["Item"] == {"id": {"S": "7"}}
    assert len(api.requests) == 2
    assert api.bodies[0] == api.bodies[1]


def test_each_attempt_sends_what_is_left_beside_what_is_signed():
    api = Api(THROTTLED, ITEM)
    with serving(api) as url, virtual_time(patience=60):
        client = client_of("dynamodb", url)
        policies = deadline(10), retry_on_category(base_delay=1, jitter="none"), send_deadline("x-time-left-ms")
        protect(client, *policies).get_item(TableName="t", Key={"id": {"S": "7"}})
        plain = client_of("dynamodb", url).get_item(TableName="t", Key={"id": {"S": "7"}})
    assert plain["Item"] == {"id": {"S": "7"}}
    assert api.header("x-time-left-ms") == ["10000", "9000", None]
    assert all("x-time-left-ms" not in (signature or "") for signature in api.header("authorization"))


def test_another_error_is_not_retried():
    api = Api(Step(400, {"__type": "ValidationException", "message": "no"}))
    with serving(api) as url:
        error = outcome(retrying(client_of("dynamodb", url)).get_item, TableName="t", Key={"id": {"S": "7"}})
    assert error.response["Error"]["Code"] == "ValidationException"
    assert len(api.requests) == 1


def test_a_file_is_sent_again_from_where_it_stood():
    file = io.BytesIO(b"header,line of the file")
    file.seek(7)
    api = Api(BUSY, Step(200, **XML))
    with serving(api) as url:
        retrying(client_of("s3", url)).put_object(Bucket="b", Key="k", Body=file)
    assert [b"line of the file" in body and b"header" not in body for body in api.bodies] == [True, True]


def test_a_body_that_cannot_be_set_back_is_sent_once():
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise OSError("a pipe")

        tell = seek

    api = Api(BUSY)
    checksums = {"request_checksum_calculation": "when_required"}
    with serving(api) as url:
        client = retrying(client_of("s3", url, **checksums))
        error = outcome(client.put_object, Bucket="b", Key="k", Body=Pipe(b"abc"), ContentLength=3)
    assert isinstance(error, Exception)
    assert len(api.requests) <= 1


def test_a_stream_is_the_callers():
    api = Api(BUSY, Step(200, b"the lamp"))
    with serving(api) as url:
        answer = retrying(client_of("s3", url)).get_object(Bucket="b", Key="k")
        assert answer["Body"].read() == b"the lamp"
    assert len(api.requests) == 2


def test_the_token_of_an_operation_is_the_same_in_each_attempt():
    busy = Step(500, {"__type": "InternalServerError", "message": "down"})
    api = Api(busy, Step(body={}))
    with serving(api) as url:
        client = retrying(client_of("dynamodb", url))
        client.transact_write_items(TransactItems=[{"Delete": {"TableName": "t", "Key": {"id": {"S": "7"}}}}])
    tokens = {json.loads(body)["ClientRequestToken"] for body in api.bodies}
    assert (len(api.requests), len(tokens)) == (2, 1)


def test_each_page_is_guarded():
    def page(token: str) -> Step:
        more = b"<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
        return Step(200, b"<ListBucketResult>" + (more if token else b"") + b"</ListBucketResult>", **XML)

    api = Api(BUSY, page("t"), BUSY, page(""))
    with serving(api) as url:
        pages = list(retrying(client_of("s3", url)).get_paginator("list_objects_v2").paginate(Bucket="b"))
    assert (len(pages), len(api.requests)) == (2, 4)


def test_a_client_that_does_not_retry_by_itself_does_not_repeat_a_post():
    api = Api(Step(500, {"__type": "InternalServerError", "message": "down"}))
    with serving(api) as url:
        client = retrying(client_of("dynamodb", url, retries={"total_max_attempts": 1, "mode": "standard"}))
        outcome(client.get_item, TableName="t", Key={"id": {"S": "7"}})
    assert len(api.requests) == 1


def test_an_open_circuit_is_an_error_of_the_client_and_of_the_toolkit():
    circuit = circuit_breaker("test_botocore: rejection", failure_threshold=1)
    circuit.open()
    api = Api(ITEM)
    with serving(api) as url:
        client = protect(client_of("dynamodb", url), circuit)
        error = outcome(client.get_item, TableName="t", Key={"id": {"S": "7"}})
    assert isinstance(error, CircuitOpenError)
    assert isinstance(error, botocore.exceptions.BotoCoreError)
    assert api.requests == []


def test_a_request_has_what_is_left_of_the_time():
    limits: list[float] = []
    api = Api(ITEM)
    with serving(api) as url:
        client = client_of("dynamodb", url)
        pools = client._endpoint.http_session._manager
        made = pools.connection_from_url

        def noting(address: str) -> object:
            pool = made(address)
            urlopen = pool.urlopen

            def noted(*given: object, **named: object) -> object:
                limits.append(named["timeout"].read_timeout)
                return urlopen(*given, **named)

            pool.urlopen = noted
            return pool

        pools.connection_from_url = noting
        protect(client, deadline(20)).get_item(TableName="t", Key={"id": {"S": "7"}})
    assert len(limits) == 1
    assert 0 < limits[0] <= 20


def test_what_the_client_does_by_itself_is_found():
    client = client_of("s3", "http://127.0.0.1:1", retries={"mode": "standard", "total_max_attempts": 4})
    inspection = inspect_client(client)
    assert inspection.calls == 4
    assert [finding.kind for finding in inspection.findings] == ["retries", "time_limit", "time_limit", "pool"]
    assert inspect_client(retrying(client)).calls == 3


def test_a_resource_is_guarded_by_its_client():
    boto3 = pytest.importorskip("boto3")
    api = Api(BUSY, Step(200, b"the lamp"))
    with serving(api) as url:
        resource = boto3.resource(
            "s3", region_name="eu-west-1", aws_access_key_id="k", aws_secret_access_key="s", endpoint_url=url
        )
        assert protect(resource, retry_on_category(attempts=3, base_delay=0)) is resource
        assert resource.Object("b", "k").get()["Body"].read() == b"the lamp"
    assert len(api.requests) == 2


@pytest.mark.parametrize("options", [{"enabled": False}, {"idempotent": False}], ids=["no policies", "not repeatable"])
def test_the_options_of_a_block_are_for_the_calls_in_it(options: dict[str, bool]):
    api = Api(BUSY)
    with serving(api) as url, request_options(**options):
        error = outcome(retrying(client_of("s3", url)).get_object, Bucket="b", Key="k")
    assert isinstance(error, botocore.exceptions.ClientError)
    assert len(api.requests) == 1
