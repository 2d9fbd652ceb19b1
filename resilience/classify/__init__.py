"""Exception -> category: rules for Python's own errors, a table for client libraries, and what the application says."""

from resilience.classify.aws_code import category_of_aws
from resilience.classify.decide import Explanation, Rule, categories_of, classify, explain
from resilience.classify.grpc_status import category_of_grpc
from resilience.classify.hint import retry_after
from resilience.classify.http_status import category_of_status
from resilience.classify.registry import Registration, register
from resilience.classify.spoken import explain_text
from resilience.classify.sqlstate import category_of_sqlstate

__all__ = [
    "Explanation",
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
    "retry_after",
]
