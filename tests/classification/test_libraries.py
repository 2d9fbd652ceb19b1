"""Client libraries that others know: registered by a program, or brought along by an installed distribution."""

from __future__ import annotations

import logging
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, cast

import httpx
import pytest

from resilience import register, register_library
from resilience.categories import ErrorCategory
from resilience.classification import ClientLibrary, Match, PriorRequests, classify, explain, explain_text, retry_after
from resilience.classification._delivery import never_connected
from resilience.classification.libraries import known_libraries, library_named
from resilience.classification.library import UNKNOWN_LIBRARY

C = ErrorCategory


def _class(name: str, *bases: type[Exception], library: str = "acme") -> type[Exception]:
    return type(name, bases or (Exception,), {"__module__": f"{library}.errors"})


Busy = _class("Busy")
Refused = _class("Refused")
Wrapper = _class("Wrapper")

ACME = ClientLibrary(
    {"Busy": "unavailable", "Refused": C.NETWORK, "Wrapper": C.UNKNOWN},
    never_sent={"Refused": True, "Wrapper": ("inner",)},
    retry_after=lambda exc: getattr(exc, "pause", None),
)


# -- what a program registers ------------------------------------------------------------------------------------------


def test_a_registered_library_is_known_until_it_is_taken_back() -> None:
    assert classify(Busy()) is classify(Busy()) is C.UNKNOWN
    with register_library("acme", ACME) as registration:
        assert repr(registration) == "<Registration of the library acme>"
        assert str(explain(Busy())) == "unavailable (client: acme.Busy is unavailable); recovery: retry"
        assert classify(_class("VeryBusy", Busy)()) is C.UNAVAILABLE
        assert "acme" in known_libraries()
        assert explain_text("acme.Busy").category is explain_text("Busy").category is C.UNAVAILABLE
    registration()
    assert classify(Busy()) is C.UNKNOWN
    assert "acme" not in known_libraries()
    assert library_named("acme") is UNKNOWN_LIBRARY


def test_the_newest_table_of_a_library_holds_and_takes_the_place_of_the_one_before() -> None:
    with register_library("acme", ACME):
        with register_library("acme", ClientLibrary({"Refused": C.CONFIGURATION})):
            assert (classify(Busy()), classify(Refused())) == (C.UNKNOWN, C.CONFIGURATION)
        assert (classify(Busy()), classify(Refused())) == (C.UNAVAILABLE, C.NETWORK)


def test_registrations_of_libraries_may_be_taken_back_in_any_order() -> None:
    first, second = register_library("acme", ACME), register_library("acme", ClientLibrary({"Busy": "capacity"}))
    first()
    assert classify(Busy()) is C.CAPACITY
    second()
    assert classify(Busy()) is C.UNKNOWN


def test_a_registered_table_takes_the_place_of_the_toolkits_own() -> None:
    assert classify(httpx.ReadTimeout("")) is C.TIMEOUT
    with register_library("httpx", ClientLibrary({"ReadTimeout": C.CAPACITY})):
        assert classify(httpx.ReadTimeout("")) is C.CAPACITY
        assert not never_connected(httpx.ConnectTimeout(""))
    assert classify(httpx.ReadTimeout("")) is C.TIMEOUT


def test_a_registered_class_goes_before_a_registered_library() -> None:
    with register_library("acme", ACME), register(Busy, "capacity"):
        assert classify(Busy()) is C.CAPACITY


def test_a_registered_library_says_what_was_never_sent() -> None:
    wrapper = Wrapper()
    wrapper.inner = ConnectionRefusedError()  # type: ignore[attr-defined]
    assert not never_connected(Refused())
    with register_library("acme", ACME):
        assert never_connected(Refused())
        assert never_connected(wrapper)
        assert not never_connected(Wrapper())
        assert not never_connected(Busy())


def test_a_registered_library_says_where_it_keeps_retry_after() -> None:
    busy = Busy()
    assert retry_after(busy) is None
    busy.pause = 1.5  # type: ignore[attr-defined]
    with register_library("acme", ACME):
        assert retry_after(busy) == 1.5
        assert retry_after(ExceptionGroup("all", [busy, Busy()])) == 1.5
        assert retry_after(Busy()) is None
        for pause, seconds in ((math.inf, math.inf), (-1, 0.0), ("3", 3.0), (math.nan, None), ("soon", None)):
            busy.pause = pause  # type: ignore[attr-defined]
            assert retry_after(busy) == seconds
    assert retry_after(busy) is None


_SENDS = """
def call(send, before=None):
    attempts = 0
    if before:
        attempts += 1
    return send()

def retrying(send):
    return call(send)
"""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """The function `call` of an installed library that sends a request, and one more where the test asks for it."""
    import importlib

    (tmp_path / "several-1.0.dist-info").mkdir()
    package = tmp_path / "several"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "client.py").write_text(_SENDS)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("several", "several.client"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return cast("Any", importlib.import_module("several.client"))


def _refused() -> None:
    raise ConnectionRefusedError


def _caught(function: Callable[..., object], *arguments: object) -> Exception:
    with pytest.raises(ConnectionRefusedError) as caught:
        function(*arguments)
    return caught.value


def test_a_registered_library_shows_prior_requests_by_its_frames(client: Any) -> None:
    once, twice, retried = (
        _caught(client.call, _refused),
        _caught(client.call, _refused, True),
        _caught(client.retrying, _refused),
    )
    assert not never_connected(once)  # nothing is known of the library

    def attempts(frame: FrameType) -> bool | None:
        found = frame.f_locals.get("attempts")
        return found if found is None else found == 0

    with register_library("several", ClientLibrary({}, prior_requests=PriorRequests({"client.call": attempts}))):
        assert never_connected(once)
        assert not never_connected(twice)
        assert not never_connected(retried)  # a function that the table does not know
    known = PriorRequests({"client.call": attempts}, callers="retrying")
    with register_library("several", ClientLibrary({}, prior_requests=known)):
        assert never_connected(retried)
    with register_library("several", ClientLibrary({}, sends_once=True)):
        assert never_connected(twice)


@pytest.mark.parametrize("answer", ["timeout", C.TRANSIENT, 5, Match(C.TRANSIENT, "")])
def test_a_row_that_answers_with_no_leaf_is_logged_once_and_passed_over(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    def row(exc: BaseException) -> Any:
        return answer

    base = _class("Base")
    odd = _class("Odd", base)
    with register_library("acme", ClientLibrary({"Odd": row, "Base": "conflict"})):
        assert classify(odd()) is C.CONFLICT
        classify(odd())
    assert len(caplog.records) <= 1


def test_a_row_that_raises_is_logged_once_and_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    def raises(exc: BaseException) -> ErrorCategory:
        raise KeyError(str(exc))

    with register_library("acme", ClientLibrary({"Busy": raises}, retry_after=cast("Any", raises))):
        for _ in range(3):
            assert classify(Busy(503)) is C.UNKNOWN
            assert retry_after(Busy(503)) is None
    first, second = caplog.messages
    assert first.startswith("classification row ") and "raised KeyError" in first
    assert second.startswith("retry_after of a client library ")


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ClientLibrary(cast("Any", 5)), TypeError, "categories=5: give a leaf category"),
        (lambda: ClientLibrary({"Busy": cast("Any", 5)}), TypeError, r"categories\['Busy'\]=5: give a leaf category"),
        (lambda: ClientLibrary({cast("Any", Busy): "timeout"}), TypeError, "qualified name"),
        (lambda: ClientLibrary({"Busy": cast("Any", Busy)}), TypeError, "function of the exception"),
        (lambda: ClientLibrary({"Busy": C.TRANSIENT}), ValueError, r"give one leaf, such as 'timeout'"),
        (lambda: ClientLibrary({"Busy": "tiemout"}), ValueError, "did you mean 'timeout'"),
        (lambda: ClientLibrary({}, never_sent=cast("Any", ["Busy"])), TypeError, r"never_sent=\['Busy'\]: give True"),
        (
            lambda: ClientLibrary({}, never_sent={"Busy": cast("Any", "reason")}),
            TypeError,
            "a tuple of attribute",
        ),
        (lambda: ClientLibrary({}, never_sent={"Busy": cast("Any", (1,))}), TypeError, "a tuple of names"),
        (lambda: ClientLibrary({}, prior_requests=cast("Any", {})), TypeError, r"give PriorRequests\(...\)"),
        (lambda: ClientLibrary({}, sends_once=cast("Any", "no")), TypeError, "sends_once='no': give True or False"),
        (lambda: ClientLibrary({}, retry_after=cast("Any", 5)), TypeError, "returns seconds or None"),
        (
            lambda: ClientLibrary({}, sends_once=True, prior_requests=PriorRequests({})),
            ValueError,
            "give it or prior_requests, not both",
        ),
        (lambda: PriorRequests(cast("Any", 5)), TypeError, "evidence=5: give functions of a frame"),
        (lambda: PriorRequests({"send": lambda frame: True}), ValueError, "by 'module.function'"),
        (lambda: PriorRequests({"client.send": cast("Any", True)}), ValueError, "by 'module.function'"),
        (lambda: PriorRequests({}, callers=cast("Any", ["get"])), TypeError, "written as words"),
        (lambda: register_library(cast("Any", 5), ACME), TypeError, "name=5: give the top-level module"),
        (lambda: register_library("acme.errors", ACME), ValueError, "name='acme.errors': give the top-level module"),
        (lambda: register_library("acme", cast("Any", {"Busy": "timeout"})), TypeError, "ClientLibrary"),
    ],
)
def test_bad_input_fails_where_it_is_written(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


# -- what a distribution brings along ----------------------------------------------------------------------------------

_TABLE = """
from resilience.classification import ClientLibrary
LIBRARY = ClientLibrary({"Busy": "rate_limit", "Refused": "network"}, never_sent={"Refused": True})
"""
_ERRORS = "class Busy(Exception): ...\nclass Refused(Exception): ...\n"
_REGARDING = "resilience.classification"


def _install(where: Path, name: str, *, target: str, table: str) -> None:
    """Make an installed distribution: a package with errors and a table, and the metadata that names the table."""
    package = where / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "errors.py").write_text(_ERRORS)
    (package / "_resilience.py").write_text(table)
    info = where / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{_REGARDING}]\n{name} = {target}\n")


def _run(where: Path, program: str) -> str:
    head = f"import sys\nsys.path.insert(0, {str(where)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", head + program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_distribution_brings_its_table_by_an_entry_point(tmp_path: Path) -> None:
    _install(tmp_path, "acme", target="acme._resilience:LIBRARY", table=_TABLE)
    program = """
from resilience import classify, explain
from resilience.classification._delivery import never_connected
import acme.errors
classify(ConnectionResetError()), classify(OSError(28, "")), classify(SystemExit())
assert not {"acme._resilience", "importlib.metadata"} & set(sys.modules)
print(explain(acme.errors.Busy()))
print(never_connected(acme.errors.Refused()), never_connected(acme.errors.Busy()))
"""
    assert _run(tmp_path, program).splitlines() == [
        "rate_limit (client: acme.Busy is rate_limit); recovery: wait",
        "True False",
    ]


def test_the_command_line_explains_a_class_that_an_entry_point_knows(tmp_path: Path) -> None:
    _install(tmp_path, "acme", target="acme._resilience:LIBRARY", table=_TABLE)
    program = "from resilience.classification import explain_text\nprint(explain_text('Refused').category.label)"
    assert _run(tmp_path, program) == "network\n"


@pytest.mark.parametrize(
    ("target", "table", "reason"),
    [
        ("acme._resilience:LIBRARY", "raise KeyError", "KeyError"),
        ("acme._resilience:NOTHING", _TABLE, "AttributeError"),
        ("acme.nowhere:LIBRARY", _TABLE, "ModuleNotFoundError"),
        ("acme.errors:Busy", _TABLE, "TypeError"),
    ],
)
def test_a_broken_entry_point_is_logged_once_and_ignored(tmp_path: Path, target: str, table: str, reason: str) -> None:
    _install(tmp_path, "acme", target=target, table=table)
    program = """
import logging
logging.basicConfig(format="%(message)s")
logging.getLogger("resilience").addFilter(lambda record: setattr(record, "exc_info", None) or True)
from resilience import classify, register
import acme.errors
for _ in range(3):
    print(classify(acme.errors.Busy()).label)
    with register(OSError, "network"):
        print(classify(acme.errors.Refused()).label)
from resilience.classification.libraries import library_named
for number in range(2000):
    library_named(f"library{number}")
print(classify(acme.errors.Busy()).label)
"""
    message = f"entry point acme of {_REGARDING} is ignored: loading {target} raised {reason}"
    assert sorted(set(_run(tmp_path, program).splitlines())) == [message, "unknown"]
    assert _run(tmp_path, program).count("entry point") == 1


def test_a_table_that_classifies_its_own_errors_while_it_is_loaded_is_found_all_the_same(tmp_path: Path) -> None:
    asks = "import acme.errors, resilience\nprint(resilience.classify(acme.errors.Busy()).label)\n"
    _install(tmp_path, "acme", target="acme._resilience:LIBRARY", table=asks + _TABLE)
    program = """
from resilience import classify
import acme.errors
print(classify(acme.errors.Busy()).label, classify(acme.errors.Busy()).label)
"""
    assert _run(tmp_path, program).splitlines() == ["unknown", "rate_limit rate_limit"]


def test_threads_that_fail_at_the_same_moment_all_get_the_answer_of_the_table(tmp_path: Path) -> None:
    slow = "import threading\nthreading.Event().wait(0.05)\n"
    _install(tmp_path, "acme", target="acme._resilience:LIBRARY", table=slow + _TABLE)
    program = """
import threading
from resilience import classify
import acme.errors
found, together = [], threading.Barrier(8)
def fail():
    together.wait()
    found.append(classify(acme.errors.Busy()).label)
threads = [threading.Thread(target=fail) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(set(found)))
"""
    assert _run(tmp_path, program) == "['rate_limit']\n"


def test_programs_without_entry_points_do_not_import_the_reader_of_metadata(tmp_path: Path) -> None:
    program = """
from resilience import classify
print(classify(type("OutOfStock", (Exception,), {"__module__": "shop"})()).label)
print("importlib.metadata" in sys.modules)
"""
    assert _run(tmp_path, program).splitlines() == ["unknown", "False"]


@pytest.mark.parametrize("kind", ["archive", "finder"])
def test_an_entry_point_is_found_wherever_a_distribution_may_lie(tmp_path: Path, kind: str) -> None:
    _install(tmp_path / "lib", "acme", target="acme._resilience:LIBRARY", table=_TABLE)
    if kind == "archive":
        packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "lib")
        program = f"sys.path.insert(0, {packed!r})\n"
    else:
        info = tmp_path / "lib" / "acme-1.0.dist-info"
        program = f"""
import importlib.metadata, pathlib
class Finder(importlib.metadata.DistributionFinder):
    def find_spec(self, name, path, target=None): return None
    def find_distributions(self, context=None):
        yield importlib.metadata.PathDistribution(pathlib.Path({str(info)!r}))
sys.meta_path.append(Finder())
import importlib.util, types
acme = types.ModuleType("acme")
acme.__path__ = [{str(tmp_path / "lib/acme")!r}]
sys.modules["acme"] = acme
"""
    program += "from resilience import classify\nimport acme.errors\nprint(classify(acme.errors.Busy()).label)\n"
    assert _run(tmp_path / "nothing", program) == "rate_limit\n"


def test_metadata_that_cannot_be_read_is_logged_and_ignored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import importlib.metadata

    from resilience.classification import _entry_points

    def broken(**selected: str) -> None:
        raise OSError

    monkeypatch.setattr(importlib.metadata, "entry_points", broken)
    monkeypatch.setattr(_entry_points, "_may_offer", lambda folder: True)
    _entry_points._read_entry_points.cache_clear()
    with caplog.at_level(logging.WARNING, "resilience"):
        assert classify(_class("Error", library="newer")()) is C.UNKNOWN
    _entry_points._read_entry_points.cache_clear()
    assert caplog.messages == [f"the entry points of {_REGARDING} cannot be read: OSError"]
