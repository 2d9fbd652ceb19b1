"""A program with Django's ORM and the PostgreSQL whose socket is in the folder of the first argument."""

# ruff: noqa: E402, DJ008, T201

import itertools
import json
import sys
import threading

import django
from django.conf import settings

DATABASE = {"ENGINE": "django.db.backends.postgresql", "HOST": sys.argv[1], "USER": "tests", "NAME": "postgres"}
settings.configure(DATABASES={"default": DATABASE}, INSTALLED_APPS=[])
django.setup()

from django.db import connection, models, transaction

from resilience.integrations.django import in_transaction, is_commit_unknown

QUICK = {"base_delay": 0.01}


class Entry(models.Model):
    number = models.IntegerField(primary_key=True)
    note = models.TextField()

    class Meta:
        app_label, db_table = "bank", "ledger"


def found() -> list[int]:
    return list(Entry.objects.order_by("number").values_list("number", flat=True))


attempts = itertools.count(1)
committed = []


@in_transaction(**QUICK)
def lose_the_connection() -> int:
    number = next(attempts)
    Entry.objects.create(number=number, note="")
    transaction.on_commit(lambda: committed.append(number))
    if number == 1:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    return number


class Store:
    @in_transaction(**QUICK)
    def add(self, number: int, note: str) -> int:
        Entry.objects.create(number=number, note=note)
        return number


def fails(function, *args) -> list[object]:
    try:
        function(*args)
    except Exception as error:
        return [type(error).__name__, is_commit_unknown(error)]
    return []


def in_thread(function) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


answers = {"after a lost connection": lose_the_connection(), "on_commit": committed}
answers["the connection again"] = found()
answers["a method"] = Store().add(10, "")
answers["a commit that is refused"] = Store().add(11, "refused at the first commit")
answers["a commit of which nothing is known"] = fails(Store().add, 12, "dies at every commit")
answers["a constraint"] = fails(Store().add, 10, "")
with transaction.atomic():
    answers["inside another transaction"] = fails(Store().add, 13, "")
answers["in the end"] = found()
print(json.dumps(answers))
