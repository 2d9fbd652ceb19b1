"""Codes that are only named are explained as the exceptions that real clients make of them are classified."""

from __future__ import annotations

import re
import socket
import sqlite3

import psycopg.errors
import pymysql.constants.CR
import pymysql.constants.ER
import pymysql.err
import pytest
from redis._parsers.base import BaseParser

from resilience.categories import ErrorCategory
from resilience.classification import _code_words as words
from resilience.classification import classify, explain_text
from resilience.classification.clients._mysql import MYSQL_ERRORS
from resilience.classification.sqlstate import category_of_sqlstate

C = ErrorCategory


def snake(name: str) -> str:
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")


CONDITIONS = sorted(
    (kind.sqlstate, kind)
    for kind in vars(psycopg.errors).values()
    if isinstance(kind, type) and re.fullmatch("[0-9A-Z]{5}", str(getattr(kind, "sqlstate", "")))
)


def test_every_condition_that_psycopg_has_a_class_for_is_known_by_its_name_and_its_class():
    assert len(CONDITIONS) > 200
    for code, kind in CONDITIONS:
        expected = category_of_sqlstate(code)
        if expected is not C.UNKNOWN:  # else the class of the DB-API decides
            assert classify(kind()) is expected
        for text in (snake(kind.__name__), snake(kind.__name__).upper(), f"psycopg.errors.{kind.__name__}"):
            found = words.explain_code(text.rpartition(".")[2])
            assert found is not None, text
            assert code in found.reason
            assert found.category is expected, text


@pytest.mark.parametrize("code", ["40001", "40p01", "23505", "57014", "HYT00", "53300"])
def test_a_sqlstate_needs_no_name_before_it(code: str):
    assert explain_text(code) == explain_text(f"sqlstate {code}")


RESULT_CODES = [name for name in dir(sqlite3) if re.match("SQLITE_(BUSY|LOCKED|CONSTRAINT|READONLY|IOERR|FULL)", name)]


@pytest.mark.parametrize("name", RESULT_CODES)
def test_a_result_code_of_sqlite_means_what_a_real_exception_with_it_does(name: str):
    error = sqlite3.OperationalError()
    error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
    assert explain_text(name).category is classify(error)
    assert explain_text(name.lower()).category is classify(error)


def test_a_lock_that_a_real_database_reports_is_explained_by_its_name_and_by_its_text(tmp_path):
    with (
        sqlite3.connect(tmp_path / "shop.db", isolation_level=None) as one,
        sqlite3.connect(tmp_path / "shop.db", timeout=0) as other,
    ):
        one.execute("begin exclusive")
        with pytest.raises(sqlite3.OperationalError) as raised:
            other.execute("create table orders (id)")
        one.execute("rollback")
    one.close()
    other.close()
    for text in (raised.value.sqlite_errorname, str(raised.value)):
        assert explain_text(text).category is classify(raised.value) is C.UNAVAILABLE


def test_names_of_mysql_are_those_of_its_headers_and_mean_what_real_exceptions_do():
    headers = {f"ER_{name}": value for name, value in vars(pymysql.constants.ER).items() if isinstance(value, int)}
    headers |= {name: value for name, value in vars(pymysql.constants.CR).items() if name.startswith("CR_")}
    known = 0
    for name, number in words._MYSQL_NAMES.items():
        assert int(number) in MYSQL_ERRORS
        known += name in headers
        assert headers.get(name, int(number)) == int(number)
        expected = classify(pymysql.err.OperationalError(int(number), "refused"))
        assert explain_text(name).category is explain_text(f"mysql {number}").category is expected
    assert known >= len(words._MYSQL_NAMES) - 6  # those that pymysql does not list


def test_replies_of_redis_are_those_that_redis_py_has_a_class_for():
    classes = {reply: kind for reply, kind in BaseParser.EXCEPTION_CLASSES.items() if isinstance(kind, type)}
    assert {reply: kind.__name__ for reply, kind in classes.items()} == words._REDIS_REPLIES
    for reply, kind in classes.items():
        assert explain_text(reply).category is classify(kind("1 127.0.0.1:1"))


@pytest.mark.parametrize("name", [name for name in dir(socket) if name.startswith("EAI_")])
def test_names_of_the_resolver_are_those_of_socket(name: str):
    if name in ("EAI_ADDRFAMILY", "EAI_OVERFLOW", "EAI_BADFLAGS"):  # mistakes of the caller, and not of all systems
        return
    assert explain_text(name).category is classify(socket.gaierror(getattr(socket, name), ""))


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("ORA-00060", C.UNAVAILABLE),
        ("ora-00001", C.CONFLICT),
        ("oracle 60", C.UNAVAILABLE),
        ("DPY-6005", C.NETWORK),
        ("ThrottlingException", C.RATE_LIMIT),
        ("aws SlowDown", C.UNAVAILABLE),
        ("sqlite busy", C.UNAVAILABLE),
        ("redis loading", C.UNAVAILABLE),
        ("SQLITE_ERROR", C.INTERNAL),
        ("database is locked", C.UNAVAILABLE),
        ("Database table is locked", C.UNAVAILABLE),
        ("CERTIFICATE_VERIFY_FAILED", C.CONFIGURATION),
        ("WSAECONNRESET", C.NETWORK),
        ("WSAETIMEDOUT", C.TIMEOUT),
        ("asyncpg.exceptions.DeadlockDetectedError", C.UNAVAILABLE),
        ("psycopg2.errors.UniqueViolation", C.CONFLICT),
    ],
)
def test_codes_of_other_systems_are_explained(text: str, category: ErrorCategory):
    assert explain_text(text).category is category


@pytest.mark.parametrize("text", ["ORA-99999", "DPY-0000", "ABCDE", "99999", "mysql 9999", "mysql x", "SQLITE_NOPE"])
def test_a_code_that_no_table_has_is_not_known(text: str):
    with pytest.raises(ValueError, match=r"is not known|give an HTTP status"):
        explain_text(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1213", "did you mean 'mysql 1213'"),
        ("SQLITE_BUSYY", "did you mean SQLITE_BUSY"),
        ("serialisation_failure", "did you mean serialization_failure"),
        ("ER_LOCK_DEADLOK", "did you mean ER_LOCK_DEADLOCK"),
        ("aws Throtling", "did you mean Throttling"),
    ],
)
def test_a_code_that_is_nearly_one_is_answered_with_it(text: str, said: str):
    with pytest.raises(ValueError, match=re.escape(said)):
        explain_text(text)


def test_a_word_that_is_a_category_or_a_class_stays_one():
    assert explain_text("validation").rule == "declared"
    assert explain_text("SyntaxError").rule == "builtin"
    assert explain_text("MovedError").rule == "client"
