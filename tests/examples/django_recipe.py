"""A Django program with the recipe's view, and the PostgreSQL whose socket is in the folder of the first argument."""

# ruff: noqa: E402, T201
import sys

import django
from django.conf import settings
from django.urls import path

DATABASE = {"ENGINE": "django.db.backends.postgresql", "HOST": sys.argv[1], "USER": "tests", "NAME": "postgres"}
settings.configure(
    DATABASES={"default": DATABASE | {"ATOMIC_REQUESTS": True}},
    EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
    ALLOWED_HOSTS=["testserver"],
    ROOT_URLCONF=__name__,
)
django.setup()

from django.core import mail
from django.db import connection
from django.test import Client

from examples.recipes.django_view import pay

urlpatterns = [path("pay", pay)]
mail.outbox = []
with connection.cursor() as cursor:  # it is lost before the request
    cursor.execute("SELECT 1")
response = Client().post("/pay", {"source": 1, "target": 2, "amount": 5})
print(response.status_code, response.json()["paid"], len(mail.outbox))
