"""Classification: from an exception to its `ErrorCategory`, by which every policy decides.

`classify` answers, `explain` says why, `retry_after` reads how long the server asks to wait. An application adds what
it knows by `register` (a class or a predicate of its own) and `register_library` (the tables of a client library).

No client library is imported, and none has to be installed: exceptions are recognised by the names of their classes,
by the attributes they carry, and by Python's own classes. An exception that cannot be examined is UNKNOWN; nothing
here raises in place of the failure at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience.classification.aws_code import category_of_aws
    from resilience.classification.classifier import Explanation, Rule, categories_of, classify, explain
    from resilience.classification.grpc_status import category_of_grpc
    from resilience.classification.http_status import category_of_status
    from resilience.classification.libraries import register_library
    from resilience.classification.library import ClientLibrary, PriorRequests
    from resilience.classification.match import Match
    from resilience.classification.parse import explain_text
    from resilience.classification.registry import Registration, register
    from resilience.classification.retry_hints import retry_after
    from resilience.classification.sqlstate import category_of_sqlstate

__all__ = [
    "ClientLibrary",
    "Explanation",
    "Match",
    "PriorRequests",
    "Registration",
    "Rule",
    "categories_of",
    "category_of_aws",
    "category_of_grpc",
    "category_of_sqlstate",
    "category_of_status",
    "classify",
    "explain",
    "explain_text",
    "register",
    "register_library",
    "retry_after",
]

# Imported when first asked for; policies import the modules themselves.
_LAZY = {
    "ClientLibrary": "library",
    "Explanation": "classifier",
    "Match": "match",
    "PriorRequests": "library",
    "Registration": "registry",
    "Rule": "classifier",
    "categories_of": "classifier",
    "classify": "classifier",
    "category_of_aws": "aws_code",
    "category_of_grpc": "grpc_status",
    "category_of_sqlstate": "sqlstate",
    "category_of_status": "http_status",
    "explain": "classifier",
    "explain_text": "parse",
    "register": "registry",
    "register_library": "libraries",
    "retry_after": "retry_hints",
}

attach_lazy(__name__, _LAZY)
