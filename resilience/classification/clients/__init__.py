"""One file for each client library that the toolkit knows, named like the library's top-level module.

A file holds one `ClientLibrary` called ``LIBRARY``: what each exception class means, which ones prove that nothing was
sent, and where a prior request of the same call would show. `resilience.classification.libraries` imports the file
when the first exception of that library is met. No file imports its library: classes are recognised by the names of
their module and of themselves, so a library need not be installed and costs nothing where it is not used.

The tables are written from the source and the documentation of the libraries, and
``tests/classification/test_client_tables.py`` holds them against the installed versions.
"""

# pyright: reportUnusedImport=false, reportUnusedFunction=false

from __future__ import annotations


def _frozen_imports() -> None:
    """Name every file here to the tools that freeze an application, which see only imports that are written down.

    PyInstaller, cx_Freeze and Nuitka read them from the byte code; nothing calls this function. Without it a frozen
    application would know no client library.
    """
    # fmt: off
    from resilience.classification.clients import (  # noqa: F401, I001
        aio_pika, aiohttp, aiokafka, aiomysql, aiormq, aiosmtplib, amqp, anthropic, anyio, asyncio, asyncpg,
        asyncssh, azure, boto3, botocore, bson, cassandra, celery, cimpl, circuitbreaker, clickhouse_connect,
        clickhouse_driver, concurrent, dagster, discord, django, docker, dramatiq, dropbox,
        elastic_transport, engineio, ftplib, github, gitlab, google, googleapiclient, gridfs, grpc, grpclib, http,
        httpcore, httpcore2, httplib2, httpx, httpx2, hvac, imaplib, influxdb_client, json, jwt, kafka, kazoo, kombu,
        langgraph, ldap3, meilisearch, msal, multiprocessing, mysql, nats, neo4j, oauthlib, openai,
        opensearchpy, oracledb, paramiko, peewee, pika, pinecone, poplib, psycopg, psycopg2, pybreaker,
        pydantic, pydantic_ai, pydantic_core, pymemcache, pymodbus, pymongo, pymssql, pymysql, pyodbc,
        qdrant_client, queue, redis, requests, rq, s3transfer, slack_sdk, smtplib, socket, socketio,
        sqlalchemy, sqlite3, ssl, starlette, stomp, stripe, subprocess, telegram, tenacity, trio, urllib,
        urllib3, valkey, websocket, websockets, xml, xmlrpc, MySQLdb
    )
