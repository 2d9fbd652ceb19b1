"""Injected exceptions of all client libraries that are installed: each leaf is classified as that leaf.

The installed ones are those of the group ``clients``; with ``--group libraries`` all of `MODULES`.
"""

from __future__ import annotations

import pytest

from resilience import ErrorCategory, chaos, classify
from resilience.faults import error_for, is_injected
from resilience.faults._errors.factory import known_clients
from tests.faults.clients_page import MODULES, OWN_LEAVES, PAGE, page

pytestmark = pytest.mark.slow  # it imports all the libraries

LEAVES = list(ErrorCategory)


@pytest.mark.parametrize("library", MODULES)
def test_chaos_of_each_leaf_is_classified_as_that_leaf(library: str):
    pytest.importorskip(MODULES[library], exc_type=ImportError)
    for leaf in LEAVES:
        with pytest.raises(Exception) as raised:  # noqa: PT011 - each leaf has another class
            chaos(category=leaf, client=library).call(int)
        assert classify(raised.value) is leaf
        assert is_injected(raised.value)


@pytest.mark.parametrize("library", OWN_LEAVES)
def test_the_exceptions_are_those_of_the_library_itself(library: str):
    pytest.importorskip(MODULES[library], exc_type=ImportError)
    for leaf in OWN_LEAVES[library]:
        error = error_for(leaf, library)
        modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
        assert modules & {library, *_BEHIND.get(library, ())}, (leaf, error)


_BEHIND = {"boto3": ("botocore",), "elasticsearch": ("elastic_transport",)}
"""Libraries that raise the exceptions of another one."""


def test_there_are_twenty_libraries_with_exceptions_of_their_own_for_the_leaves_that_are_retried():
    retried = set(ErrorCategory.TRANSIENT) - {ErrorCategory.RATE_LIMIT}  # databases have none
    assert len(OWN_LEAVES) >= 20
    assert len(MODULES) >= 30
    assert sum(retried <= set(leaves) for leaves in OWN_LEAVES.values()) >= 15


def test_all_libraries_with_makers_are_tested():
    assert known_clients() <= set(MODULES) | {"aiobotocore"}


def test_the_table_of_the_page_is_what_is_injected():
    for module in MODULES.values():
        pytest.importorskip(module, exc_type=ImportError)
    assert page() == PAGE.read_text("utf-8"), "uv run --group libraries python -m tests.faults.clients_page"
