"""A sync time limit inside a transaction of Django: the call runs on another connection, and a warning says so.

In processes of their own: Django is configured once in a process.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

PROGRAM = """
import sys, warnings
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}})
import django
django.setup()
from django.db import connection, transaction
from resilience import deadline, fallback, retry_on_category, timeout

with connection.cursor() as cursor:
    cursor.execute("create table if not exists item (name text)")

def insert():
    with connection.cursor() as cursor:
        cursor.execute("insert into item values ('lamp')")

def rows():
    with connection.cursor() as cursor:
        return cursor.execute("select count(*) from item").fetchone()[0]

def roll_back(write):
    try:
        with transaction.atomic():
            write()
            raise KeyError
    except KeyError:
        return rows()
"""


def run(directory: pathlib.Path, program: str, *options: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, *options, "-c", PROGRAM + program, str(directory / "shop.db")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


def test_it_warns_once_that_the_call_is_no_part_of_the_transaction(tmp_path: pathlib.Path):
    program = """
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    write = timeout(5)(insert)
    print(roll_back(write), roll_back(write))
print(len(caught), caught[0].category.__name__, caught[0].filename, caught[0].message)
"""
    counts, warned = run(tmp_path, program)
    assert counts == "1 2"  # the rows are there after the rollback
    assert warned.startswith("1 RuntimeWarning <string> __main__.insert runs in a thread for its time limit")
    assert "it is no part of the transaction that is open on 'default'" in warned
    assert "mode='signal'" in warned


@pytest.mark.parametrize(
    ("write", "left"),
    [
        ("timeout(5, mode='signal')(insert)", 0),
        ("deadline(5)(insert)", 0),
        ("retry_on_category(insert)", 0),
        ("timeout(5)(transaction.atomic(insert))", None),
    ],
)
def test_it_says_nothing_where_the_call_stays_in_its_thread(tmp_path: pathlib.Path, write: str, left: int | None):
    if left is None:
        lines = run(tmp_path, f"({write})(); print(rows())", "-W", "error::RuntimeWarning")
        assert lines == ["1"]
    else:
        assert run(tmp_path, f"print(roll_back({write}))", "-W", "error::RuntimeWarning") == [str(left)]


def test_with_warnings_as_errors_the_call_is_not_made(tmp_path: pathlib.Path):
    program = """
for write in (timeout(5)(insert), retry_on_category(timeout(5)(insert))):
    try:
        roll_back(write)
    except RuntimeWarning as warning:
        print(str(warning)[:31], rows())
"""
    assert run(tmp_path, program, "-W", "error::RuntimeWarning") == ["__main__.insert runs in a threa 0"] * 2


def test_django_without_settings_or_transaction_is_left_alone():
    program = "import django.db; from resilience import timeout; print(timeout(5)(lambda: 'ok')())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "ok"
