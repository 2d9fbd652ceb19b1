"""Django: a view with a deadline, whose transaction is retried as a whole, and whose mail goes out once."""

from __future__ import annotations

from typing import Any

from django.core.mail import send_mail
from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse

from resilience import deadline
from resilience.integrations.django import in_transaction


@in_transaction(attempts=5, base_delay=0.02)
def transfer(source: int, target: int, amount: int) -> None:
    """Move money. It may run several times: all that leaves the database waits for the commit."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts SET balance = balance - %s WHERE id = %s", [amount, source])
        cursor.execute("UPDATE accounts SET balance = balance + %s WHERE id = %s", [amount, target])
    transaction.on_commit(lambda: send_mail("Paid", f"{amount}", None, ["shop@example.com"]))


@transaction.non_atomic_requests  # the transaction is the function's, also where ATOMIC_REQUESTS is on
@deadline(5)
def pay(request: HttpRequest) -> JsonResponse:
    """Pay, and answer when it is done."""
    given: Any = request.POST
    transfer(int(given["source"]), int(given["target"]), int(given["amount"]))
    return JsonResponse({"paid": True})
