"""Real clients against a port where no server listens: none of them is unknown, and each may be tried again."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain

Call = Callable[[int], object]
_CALLS: dict[str, Call] = {}


def _client(name: str) -> Callable[[Call], Call]:
    def add(call: Call) -> Call:
        _CALLS[name] = call
        return call

    return add


def _await(coroutine: Coroutine[Any, Any, object]) -> object:
    """Run a client of asyncio; what it raises is what a caller in a running loop would see."""
    return asyncio.run(asyncio.wait_for(coroutine, 20))


# -- databases ---------------------------------------------------------------------------------------------------------


@_client("psycopg2")
def _(port: int) -> object:
    import psycopg2

    return psycopg2.connect(host="127.0.0.1", port=port)


@_client("mysql.connector")
def _(port: int) -> object:
    import mysql.connector

    return mysql.connector.connect(host="127.0.0.1", port=port, user="u", use_pure=True)


@_client("aiomysql")
def _(port: int) -> object:
    import aiomysql

    async def connect() -> object:
        return await aiomysql.connect(host="127.0.0.1", port=port)

    return _await(connect())


@_client("oracledb")
def _(port: int) -> object:
    import oracledb

    return oracledb.connect(user="u", password="p", dsn=f"127.0.0.1:{port}/x")


@_client("pymssql")
def _(port: int) -> object:
    import pymssql

    return pymssql.connect(server="127.0.0.1", port=str(port), login_timeout=1)


@_client("clickhouse_connect")
def _(port: int) -> object:
    import clickhouse_connect

    return clickhouse_connect.get_client(host="127.0.0.1", port=port)


@_client("sqlalchemy over psycopg2")
def _(port: int) -> object:
    import sqlalchemy

    return sqlalchemy.create_engine(f"postgresql+psycopg2://127.0.0.1:{port}/x").connect()


@_client("sqlalchemy over mysql-connector")
def _(port: int) -> object:
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"mysql+mysqlconnector://u@127.0.0.1:{port}/x", connect_args={"use_pure": True})
    return engine.connect()


@_client("sqlalchemy over oracledb")
def _(port: int) -> object:
    import sqlalchemy

    return sqlalchemy.create_engine(f"oracle+oracledb://u:p@127.0.0.1:{port}/?service_name=x").connect()


@_client("peewee over psycopg2")
def _(port: int) -> object:
    import peewee

    return peewee.PostgresqlDatabase("x", host="127.0.0.1", port=port).connect()


@_client("django over psycopg2")
def _(port: int) -> object:
    import django.conf
    from django.db.backends.postgresql.base import DatabaseWrapper

    if not django.conf.settings.configured:
        django.conf.settings.configure()
    names = {"NAME": "x", "USER": "u", "PASSWORD": "p", "HOST": "127.0.0.1", "PORT": port}
    options = {"OPTIONS": {}, "TIME_ZONE": None, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False, "AUTOCOMMIT": True}
    return DatabaseWrapper({**names, **options}).connect()


@_client("cassandra")
def _(port: int) -> object:
    from cassandra.cluster import Cluster

    cluster = Cluster(["127.0.0.1"], port=port, connect_timeout=1)
    try:
        return cluster.connect()
    finally:
        cluster.shutdown()


@_client("neo4j")
def _(port: int) -> object:
    import neo4j

    with neo4j.GraphDatabase.driver(f"bolt://127.0.0.1:{port}") as driver:
        return driver.verify_connectivity()


@_client("valkey")
def _(port: int) -> object:
    import valkey

    return valkey.Valkey(port=port).ping()


@_client("opensearchpy")
def _(port: int) -> object:
    import opensearchpy

    return opensearchpy.OpenSearch(f"http://127.0.0.1:{port}", max_retries=0).info()


@_client("elasticsearch")
def _(port: int) -> object:
    import elasticsearch

    return elasticsearch.Elasticsearch(f"http://127.0.0.1:{port}", max_retries=0).info()


@_client("meilisearch")
def _(port: int) -> object:
    import meilisearch

    return meilisearch.Client(f"http://127.0.0.1:{port}").health()


@_client("influxdb_client")
def _(port: int) -> object:
    import influxdb_client

    with influxdb_client.InfluxDBClient(f"http://127.0.0.1:{port}", token="t", retries=False) as client:
        return client.query_api().query("x", org="o")


@_client("kazoo")
def _(port: int) -> object:
    from kazoo.client import KazooClient

    client = KazooClient(f"127.0.0.1:{port}")
    try:
        return client.start(timeout=0.3)
    finally:
        client.stop()
        client.close()


# -- queues ------------------------------------------------------------------------------------------------------------


@_client("confluent_kafka")
def _(port: int) -> object:
    import confluent_kafka

    consumer = confluent_kafka.Consumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "g", "log_level": 0})
    return consumer.list_topics(timeout=0.3)


@_client("kafka")
def _(port: int) -> object:
    import kafka

    return kafka.KafkaProducer(bootstrap_servers=f"127.0.0.1:{port}", bootstrap_timeout_ms=300)


@_client("aiokafka")
def _(port: int) -> object:
    import aiokafka

    async def connect() -> None:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{port}")
        try:
            await producer.start()
        finally:
            await producer.stop()

    return _await(connect())


@_client("aio_pika")
def _(port: int) -> object:
    import aio_pika

    return _await(aio_pika.connect(f"amqp://127.0.0.1:{port}"))


@_client("kombu")
def _(port: int) -> object:
    import kombu

    return kombu.Connection(f"amqp://127.0.0.1:{port}").ensure_connection(max_retries=1, interval_start=0)


@_client("celery")
def _(port: int) -> object:
    import celery

    app = celery.Celery(broker=f"amqp://127.0.0.1:{port}")
    return app.send_task("t", retry=False)


@_client("nats")
def _(port: int) -> object:
    import nats

    async def quiet(error: Exception) -> None:
        pass

    return _await(nats.connect(f"nats://127.0.0.1:{port}", max_reconnect_attempts=0, error_cb=quiet))


@_client("paho")
def _(port: int) -> object:
    import paho.mqtt.client

    client = paho.mqtt.client.Client(paho.mqtt.client.CallbackAPIVersion.VERSION2)
    return client.connect("127.0.0.1", port)


@_client("rq")
def _(port: int) -> object:
    import redis
    import rq

    return rq.Queue(connection=redis.Redis(port=port)).enqueue(print)


@_client("dramatiq")
def _(port: int) -> object:
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=f"redis://127.0.0.1:{port}", middleware=[])
    return broker.enqueue(dramatiq.Message("default", "t", (), {}, {}))


@_client("stomp")
def _(port: int) -> object:
    import stomp

    return stomp.Connection([("127.0.0.1", port)], reconnect_attempts_max=1, reconnect_sleep_initial=0).connect()


# -- clouds and services -----------------------------------------------------------------------------------------------


@_client("boto3")
def _(port: int) -> object:
    import boto3
    import botocore.config

    config = botocore.config.Config(retries={"total_max_attempts": 1})
    credentials = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "eu-west-1"}
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", config=config, **credentials).list_buckets()


@_client("azure.core")
def _(port: int) -> object:
    from azure.core import PipelineClient
    from azure.core.rest import HttpRequest

    client = PipelineClient(f"http://127.0.0.1:{port}", policies=[])
    return client.send_request(HttpRequest("GET", f"http://127.0.0.1:{port}"))


@_client("azure.servicebus")
def _(port: int) -> object:
    import azure.servicebus

    account = f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=n;SharedAccessKey=k"
    with azure.servicebus.ServiceBusClient.from_connection_string(account, retry_total=0) as client:
        return client.get_queue_sender("q").send_messages(azure.servicebus.ServiceBusMessage("x"))


@_client("azure.identity")
def _(port: int) -> object:
    import azure.identity

    credential = azure.identity.ClientSecretCredential(
        "t", "c", "s", authority=f"https://127.0.0.1:{port}", disable_instance_discovery=True, retry_total=0
    )
    return credential.get_token("scope")


@_client("msal")
def _(port: int) -> object:
    import msal

    authority = f"https://127.0.0.1:{port}/tenant"
    return msal.ConfidentialClientApplication("c", authority=authority, client_credential="s", validate_authority=False)


@_client("google.auth")
def _(port: int) -> object:
    import google.auth.transport.requests

    return google.auth.transport.requests.Request()(f"http://127.0.0.1:{port}")


@_client("google.genai")
def _(port: int) -> object:
    from google import genai

    options = genai.types.HttpOptions(base_url=f"http://127.0.0.1:{port}")
    client = genai.Client(api_key="k", http_options=options)
    return client.models.generate_content(model="m", contents="c")


@_client("googleapiclient")
def _(port: int) -> object:
    import googleapiclient.http
    import httplib2

    url = f"http://127.0.0.1:{port}"
    return googleapiclient.http.HttpRequest(httplib2.Http(), lambda answer, body: body, url).execute()


@_client("google.api_core over grpc")
def _(port: int) -> object:
    import grpc
    from google.api_core import grpc_helpers

    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        return grpc_helpers.wrap_errors(channel.unary_unary("/s/m"))(b"", timeout=5)


@_client("s3transfer")
def _(port: int) -> object:
    import io

    import botocore.config
    import botocore.session
    import s3transfer.manager

    session = botocore.session.Session()
    session.set_credentials("a", "b")
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    url = f"http://127.0.0.1:{port}"
    client = session.create_client("s3", region_name="eu-west-1", endpoint_url=url, config=config)
    with s3transfer.manager.TransferManager(client) as manager:
        return manager.upload(io.BytesIO(b"x"), "bucket", "key").result()


@_client("kubernetes")
def _(port: int) -> object:
    import kubernetes

    configuration = kubernetes.client.Configuration(host=f"http://127.0.0.1:{port}")
    configuration.retries = False
    with kubernetes.client.ApiClient(configuration) as client:
        return kubernetes.client.CoreV1Api(client).list_node()


@_client("httplib2")
def _(port: int) -> object:
    import httplib2

    return httplib2.Http().request(f"http://127.0.0.1:{port}")


@_client("minio")
def _(port: int) -> object:
    import minio
    import urllib3

    pool = urllib3.PoolManager(retries=False)
    return minio.Minio(
        endpoint=f"127.0.0.1:{port}", access_key="a", secret_key="b", secure=False, http_client=pool
    ).list_buckets()


@_client("docker")
def _(port: int) -> object:
    import docker

    return docker.DockerClient(base_url=f"tcp://127.0.0.1:{port}")


@_client("stripe")
def _(port: int) -> object:
    import stripe

    client = stripe.StripeClient("sk", base_addresses={"api": f"http://127.0.0.1:{port}"}, max_network_retries=0)
    return client.v1.customers.list()


@_client("github")
def _(port: int) -> object:
    import github

    return github.Github(base_url=f"http://127.0.0.1:{port}", retry=None).get_user("x")


@_client("gitlab")
def _(port: int) -> object:
    import gitlab

    return gitlab.Gitlab(f"http://127.0.0.1:{port}").projects.list(get_all=False)


@_client("hvac")
def _(port: int) -> object:
    import hvac

    return hvac.Client(f"http://127.0.0.1:{port}").sys.read_health_status()


@_client("slack_sdk")
def _(port: int) -> object:
    import slack_sdk

    return slack_sdk.WebClient("t", base_url=f"http://127.0.0.1:{port}/", retry_handlers=[]).api_test()


@_client("jira")
def _(port: int) -> object:
    import jira

    return jira.JIRA(f"http://127.0.0.1:{port}", max_retries=0)


@_client("notion_client")
def _(port: int) -> object:
    import notion_client

    return notion_client.Client(auth="t", base_url=f"http://127.0.0.1:{port}").users.list()


@_client("telegram")
def _(port: int) -> object:
    import telegram

    return _await(telegram.Bot("1:t", base_url=f"http://127.0.0.1:{port}/").get_me())


@_client("jwt")
def _(port: int) -> object:
    import jwt

    return jwt.PyJWKClient(f"http://127.0.0.1:{port}").get_jwk_set()


@_client("twilio")
def _(port: int) -> object:
    from twilio.http.http_client import TwilioHttpClient

    return TwilioHttpClient(timeout=5).request("GET", f"http://127.0.0.1:{port}")


@_client("requests_oauthlib")
def _(port: int) -> object:
    import requests_oauthlib

    return requests_oauthlib.OAuth2Session("c", token={"access_token": "t"}).get(f"https://127.0.0.1:{port}")


@_client("authlib")
def _(port: int) -> object:
    from authlib.integrations.httpx_client import OAuth2Client

    return OAuth2Client("c", "s").fetch_token(f"https://127.0.0.1:{port}", grant_type="client_credentials")


@_client("replicate")
def _(port: int) -> object:
    import replicate

    return replicate.Client("t", base_url=f"http://127.0.0.1:{port}").models.list()


@_client("discord")
def _(port: int) -> object:
    import aiohttp
    import discord
    import discord.http

    discord.http.Route.BASE = f"http://127.0.0.1:{port}"

    async def login() -> object:
        async with discord.Client(intents=discord.Intents.none(), connector=aiohttp.TCPConnector()) as client:
            return await client.login("token")

    return _await(login())


# -- models ------------------------------------------------------------------------------------------------------------


@_client("groq")
def _(port: int) -> object:
    import groq

    client = groq.Groq(api_key="k", base_url=f"http://127.0.0.1:{port}", max_retries=0)
    return client.models.list()


@_client("cohere")
def _(port: int) -> object:
    import cohere

    return cohere.ClientV2("k", base_url=f"http://127.0.0.1:{port}").models.list(request_options={"max_retries": 0})


@_client("ollama")
def _(port: int) -> object:
    import ollama

    return ollama.Client(f"http://127.0.0.1:{port}").list()


@_client("huggingface_hub")
def _(port: int) -> object:
    import huggingface_hub

    return huggingface_hub.HfApi(endpoint=f"http://127.0.0.1:{port}").model_info("m")


@_client("mistralai")
def _(port: int) -> object:
    from mistralai.client import Mistral

    return Mistral("k", server_url=f"http://127.0.0.1:{port}").models.list()


@_client("litellm")
def _(port: int) -> object:
    import litellm

    message = {"role": "user", "content": "x"}
    url = f"http://127.0.0.1:{port}"
    return litellm.completion("openai/m", [message], api_key="k", api_base=url, max_retries=0)


@_client("pydantic_ai over openai")
def _(port: int) -> object:
    import openai
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = openai.AsyncOpenAI(api_key="k", base_url=f"http://127.0.0.1:{port}", max_retries=0)
    model = OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))
    return _await(Agent(model).run("x"))


@_client("pinecone")
def _(port: int) -> object:
    import pinecone

    return pinecone.Pinecone("k", host=f"http://127.0.0.1:{port}").list_indexes()


# -- wire protocols ----------------------------------------------------------------------------------------------------


@_client("paramiko")
def _(port: int) -> object:
    import paramiko

    return paramiko.SSHClient().connect("127.0.0.1", port=port)


@_client("asyncssh")
def _(port: int) -> object:
    import asyncssh

    async def connect() -> object:
        return await asyncssh.connect("127.0.0.1", port, known_hosts=None, username="u", config=None)

    return _await(connect())


@_client("websocket")
def _(port: int) -> object:
    import websocket

    return websocket.create_connection(f"ws://127.0.0.1:{port}")


@_client("websockets")
def _(port: int) -> object:
    from websockets.sync.client import connect

    return connect(f"ws://127.0.0.1:{port}")


@_client("zeep")
def _(port: int) -> object:
    import zeep

    return zeep.Client(f"http://127.0.0.1:{port}/?wsdl")


@_client("ldap3")
def _(port: int) -> object:
    import ldap3

    return ldap3.Connection(ldap3.Server("127.0.0.1", port=port, get_info=ldap3.NONE)).bind()


@_client("pymodbus")
def _(port: int) -> object:
    from pymodbus.client import ModbusTcpClient

    return ModbusTcpClient("127.0.0.1", port=port, retries=0, timeout=0.2).read_coils(1)


@_client("socketio")
def _(port: int) -> object:
    import socketio

    return socketio.Client().connect(f"http://127.0.0.1:{port}")


@_client("ftplib")
def _(port: int) -> object:
    import ftplib

    return ftplib.FTP().connect("127.0.0.1", port)


@_client("imaplib")
def _(port: int) -> object:
    import imaplib

    return imaplib.IMAP4("127.0.0.1", port)


@_client("imapclient")
def _(port: int) -> object:
    import imapclient

    return imapclient.IMAPClient("127.0.0.1", port, ssl=False)


@_client("poplib")
def _(port: int) -> object:
    import poplib

    return poplib.POP3("127.0.0.1", port)


@_client("multiprocessing")
def _(port: int) -> object:
    from multiprocessing.connection import Client

    return Client(("127.0.0.1", port))


@_client("grpclib")
def _(port: int) -> object:
    from grpclib.client import Channel, UnaryUnaryMethod

    async def call() -> object:
        channel = Channel("127.0.0.1", port)
        try:
            return await UnaryUnaryMethod(channel, "/s/m", bytes, bytes)(b"")
        finally:
            channel.close()

    return _await(call())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", _CALLS)
def test_a_client_that_is_refused_may_be_tried_again(name: str, closed_port: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for needed in name.split(" over "):
            pytest.importorskip(needed.replace("-", "."))
        try:
            with pytest.raises(Exception) as caught:
                _CALLS[name](closed_port)
            error = caught.value
            assert classify(error) in ErrorCategory.TRANSIENT, f"{type(error).__mro__}: {explain(error)}"
            assert explain(error).category is classify(error)
        finally:
            caught = error = None
            gc.collect()  # here, where nothing complains of the sockets that some clients leave open
