from __future__ import annotations

import json
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from resilience.execution._worker.policy_messages import ATTRIBUTES, DYNAMIC, denied, violation_message
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityLevel, SecurityPolicy
from resilience.report.failure import Violation

ONE_OF = "give one of 'strict', 'moderate', 'permissive', 'custom'"
LEVELS = ["strict", "moderate", "permissive", "custom"]


def test_strict_allows_exactly_the_modules_of_the_document():
    policy = SecurityPolicy.of("strict")
    assert policy.available_modules == ("math", "json", "datetime", "random")
    assert not any([policy.network, policy.processes, policy.dynamic])
    assert policy.files == "none"


def test_moderate_computes_and_reads_and_does_no_more():
    policy = SecurityPolicy.of(SecurityLevel.MODERATE)
    assert policy.files == "read"
    assert not any([policy.network, policy.processes, policy.dynamic])
    for module in ("math", "re", "collections.abc", "statistics", "numpy.linalg", "pathlib"):
        assert policy.allows(module)
    for module in ("os", "sys", "subprocess", "socket", "ctypes", "pickle", "importlib", "builtins", "requests", "gc"):
        assert not policy.allows(module)


def test_modules_of_the_standard_library_that_moderate_allows_are_there():
    libraries = {module for module in SecurityPolicy.of("moderate").available_modules if not module.startswith("_")}
    assert {"re", "itertools"} < libraries & sys.stdlib_module_names
    others = libraries - sys.stdlib_module_names
    assert "numpy" in others
    assert len(others) < 20


def test_permissive_allows_everything():
    policy = SecurityPolicy.of("permissive")
    assert policy.allows("os")
    assert policy.available_modules == ()
    assert policy.files == "all"
    assert all([policy.network, policy.processes, policy.dynamic])


def test_custom_by_its_name_allows_what_is_given_and_nothing_else():
    assert SecurityPolicy.of("custom", ["os"]).available_modules == ("os",)
    assert SecurityPolicy.of("custom").allows("math") is False


def test_what_is_allowed_besides_comes_last_and_once():
    assert SecurityPolicy.of("strict", ["os", "math", "os"]).available_modules == (
        *("math", "json", "datetime", "random"),
        "os",
    )
    assert SecurityPolicy.of("permissive", ["os"]) == SecurityPolicy.of("permissive")


def test_a_module_is_allowed_with_what_is_below_it_and_not_with_what_is_above():
    policy = SecurityPolicy.custom(modules=["xml.etree", "json"])
    assert policy.allows("xml.etree.ElementTree")
    assert policy.allows("json.decoder")
    assert not policy.allows("xml")
    assert not policy.allows("xml.sax")
    assert not policy.allows("jsonschema")
    assert policy.allows("__future__")


def test_a_policy_stands_in_the_place_of_a_level():
    policy = SecurityPolicy.custom(modules=["math"])
    assert SecurityPolicy.of(policy) is policy
    assert SecurityPolicy.of(policy, ["json"]).available_modules == ("math", "json")
    assert ExecutionRequest("1", security_level=policy).security_level is policy
    assert ExecutionRequest("1", security_level="moderate").security_level is SecurityLevel.MODERATE


@pytest.mark.parametrize("level", LEVELS)
def test_the_request_to_the_child_is_json(level):
    policy = SecurityPolicy.of(level)
    document = json.loads(json.dumps(policy.to_dict()))
    assert document == policy.to_dict()
    assert document["level"] == level
    assert set(document) == {"level", "modules", "files", "paths", "network", "processes", "dynamic"}


def test_policies_are_values():
    assert SecurityPolicy.of("strict") == SecurityPolicy.of(SecurityLevel.STRICT)
    assert hash(SecurityPolicy.custom(modules=["a"])) == hash(SecurityPolicy.custom(modules=["a"]))
    with pytest.raises(FrozenInstanceError):
        SecurityPolicy.of("strict").network = True  # type: ignore[misc]


def test_paths_may_be_paths():
    assert SecurityPolicy.custom(files="read", paths=[Path("/srv/data"), "/mnt"]).paths == ("/srv/data", "/mnt")


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda: SecurityPolicy.of("strikt"), ValueError, f"security_level='strikt': {ONE_OF}; did you mean 'strict'?"),
        (lambda: SecurityPolicy.of(3), TypeError, "security_level=3: give one of"),
        (lambda: SecurityPolicy.of(None), TypeError, "security_level=None: give one of"),
        (lambda: ExecutionRequest("1", security_level="loose"), ValueError, "security_level='loose': give one of"),
        (
            lambda: SecurityPolicy.of("strict", "numpy"),
            TypeError,
            "allowed_imports='numpy': give several names of modules, such as ['numpy']",
        ),
        (lambda: SecurityPolicy.of("strict", [1]), TypeError, "allowed_imports: 1: give names of modules"),
        (lambda: SecurityPolicy.of("strict", None), TypeError, "allowed_imports=None: give several names"),
        (
            lambda: SecurityPolicy.of("strict", ["import os"]),
            ValueError,
            "allowed_imports: 'import os' is no name of a module, such as 'numpy' or 'xml.etree'",
        ),
        (lambda: SecurityPolicy.of("strict", [""]), ValueError, "allowed_imports: '' is no name of a module"),
        (lambda: SecurityPolicy.of("strict", ["a..b"]), ValueError, "allowed_imports: 'a..b' is no name of a module"),
        (lambda: SecurityPolicy.of("strict", ["numpy.*"]), ValueError, "allowed_imports: 'numpy.*' is no name"),
        (lambda: SecurityPolicy.custom(modules="os"), TypeError, "modules='os': give several names of modules"),
        (
            lambda: SecurityPolicy.custom(files="wirte"),
            ValueError,
            "files='wirte': give one of 'none', 'read', 'write', 'all'; did you mean 'write'?",
        ),
        (lambda: SecurityPolicy.custom(files=True), TypeError, "files=True: give one of"),
        (lambda: SecurityPolicy.custom(network=1), TypeError, "network=1: give True or False"),
        (lambda: SecurityPolicy.custom(processes="no"), TypeError, "processes='no': give True or False"),
        (lambda: SecurityPolicy.custom(dynamic=None), TypeError, "dynamic=None: give True or False"),
        (
            lambda: SecurityPolicy.custom(paths="/srv"),
            TypeError,
            "paths='/srv': give several directories, such as ['/srv/data']",
        ),
        (lambda: SecurityPolicy.custom(paths=[1]), TypeError, "paths: 1: give directories, such as '/srv/data'"),
        (lambda: SecurityPolicy.custom(paths=["data"]), ValueError, "paths: 'data': give absolute paths, such as '/"),
    ],
)
def test_a_wrong_parameter_is_an_error_that_says_what_would_be_right(call, kind, said):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(said)


KINDS = ["blocked_import", "blocked_call", "blocked_attribute", "file_read", "file_write", "network", "process"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_every_kind_of_violation_has_its_words_at_every_level(kind, level):
    fields = denied(SecurityPolicy.of(level).to_dict(), kind, "the subject", "the operation", "the code", 2, 3)
    violation = Violation(**fields)
    assert (violation.kind, violation.subject, violation.line, violation.column) == (kind, "the subject", 2, 3)
    verdict = "would be denied in strict mode" if level == "permissive" else f"is denied in {level} mode"
    assert violation.reason.endswith(verdict)
    assert violation.alternatives
    assert "'the subject'" in violation_message(kind, "the subject")
    assert "{" not in violation.reason + violation_message(kind, "the subject")


def instead_of(module: str, policy: SecurityPolicy) -> list[str]:
    return denied(policy.to_dict(), "blocked_import", module, "")["alternatives"]


def test_what_to_use_instead_is_allowed():
    strict = SecurityPolicy.of("strict")
    modules = "Use only what may be imported: math, json, datetime, random."
    assert instead_of("time", strict) == ["Use datetime.datetime.now().", modules]
    assert instead_of("pickle.decoder", strict) == ["Use json.dumps() and json.loads().", modules]
    assert instead_of("turtle", strict) == [modules]
    assert instead_of("time", SecurityPolicy.custom()) == ["Write it in plain Python: no module may be imported."]
    assert instead_of(".a", strict) == ["Import by the full name: the code is part of no package."]
    assert "pathlib" in instead_of("os", SecurityPolicy.of("moderate"))[0]
    assert "pathlib" not in instead_of("os", strict)[0]


def test_the_tables_hold_what_every_list_of_tricks_begins_with():
    assert {"__subclasses__", "__globals__", "__code__", "__builtins__", "gi_frame", "tb_frame"} <= ATTRIBUTES
    assert {"eval", "exec", "compile"} <= DYNAMIC
    assert not ATTRIBUTES & {"__class__", "__dict__", "__name__", "__doc__", "__init__", "__mro__", "__bases__"}
