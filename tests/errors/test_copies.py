"""Errors cross process boundaries whole, whatever their constructor asks for."""

from __future__ import annotations

import concurrent.futures
import copy
import dataclasses
import multiprocessing
import pickle
import threading

import pytest

from resilience import ErrorCategory, retry_on_category
from resilience.contrib.executor import ContainerConnectivityError, ExecutionTimeoutError
from resilience.contrib.service import DatabaseError
from resilience.contrib.service import TimeoutError as ServiceTimeout
from resilience.errors import CallTimeoutError, ResilienceError
from resilience.errors.circuit import CircuitOpenError
from resilience.testing import no_waits

WAYS = [
    *(lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol)) for protocol in range(6)),
    copy.copy,
    copy.deepcopy,
]
IDS = [*(f"pickle-{protocol}" for protocol in range(6)), "copy", "deepcopy"]
every_way = pytest.mark.parametrize("twin", WAYS, ids=IDS)


class Wants(ResilienceError, code="COPY-E001", category="conflict"):
    def __init__(self, one, two, *, three):
        super().__init__(f"{one}-{two}-{three}", details={"one": one}, retry_after=0)
        self.two = two


class Slotted(ResilienceError):
    __slots__ = ("__mangled", "kept", "unset")

    def __init__(self, kept):
        super().__init__("slotted")
        self.kept = kept
        self.__mangled = "m"

    @property
    def mangled(self):
        return self.__mangled


class New(ResilienceError):
    def __new__(cls, must, have):
        return super().__new__(cls, must, have)

    def __init__(self, must, have):
        super().__init__("new")


class Operating(ResilienceError, OSError):
    def __init__(self, path):
        OSError.__init__(self, 2, "gone", path)


class Several(ResilienceError, ExceptionGroup):
    def __init__(self, message, members):
        super().__init__(message, details={"members": len(members)})


@dataclasses.dataclass(frozen=True)
class Frozen(ResilienceError):
    item: str
    count: int = 1


class Undecodable(ResilienceError, UnicodeDecodeError):
    def __init__(self):
        UnicodeDecodeError.__init__(self, "utf-8", b"\xff", 0, 1, "bad")


class Broken(Exception):
    """Pickles well and cannot be loaded: its constructor wants two arguments and keeps one."""

    def __init__(self, a, b):
        super().__init__(a)


@every_way
def test_a_constructor_of_any_shape_is_not_called_again(twin):
    found = twin(Wants(1, "b", three=3.0))
    assert (type(found), str(found), found.args) == (Wants, "1-b-3.0", ("1-b-3.0",))
    assert (found.details, found.retry_after, found.two) == ({"one": 1}, 0, "b")
    assert found.to_dict() == Wants(1, "b", three=3.0).to_dict()


@every_way
def test_slots_come_along(twin):
    found = twin(Slotted(["a"]))
    assert (found.kept, found.mangled, hasattr(found, "unset")) == (["a"], "m", False)


@every_way
def test_a_new_that_wants_arguments_is_not_asked(twin):
    assert str(twin(New(1, 2))) == "new"


@every_way
def test_what_python_s_own_errors_hold_outside_of_their_dict_comes_along(twin):
    found = twin(Operating("/srv/lamp"))
    assert (found.errno, found.strerror, found.filename) == (2, "gone", "/srv/lamp")
    assert str(found) == "[Errno 2] gone: '/srv/lamp'"


@every_way
def test_a_frozen_dataclass_comes_along_and_takes_context(twin):
    with pytest.raises(Frozen) as caught:
        raise Frozen("lamp").with_context("at checkout", basket=7) from KeyError("lamp")
    found = twin(caught.value)
    assert (found.item, found.count, found.args) == ("lamp", 1, ("lamp",))
    assert (found.details, found.__notes__) == ({"basket": 7}, ["at checkout"])
    assert repr(found.__cause__) == "KeyError('lamp')"


@every_way
def test_what_only_some_errors_of_python_s_hold_comes_along(twin):
    assert str(twin(Undecodable())) == "'utf-8' codec can't decode byte 0xff in position 0: bad"


@every_way
def test_a_group_keeps_its_members(twin):
    found = twin(Several("both", [KeyError("a"), Wants(1, 2, three=3)]))
    assert [type(member) for member in found.exceptions] == [KeyError, Wants]
    assert found.details == {"members": 2}


def test_a_member_of_a_group_that_cannot_travel_arrives_as_a_text():
    found = pickle.loads(pickle.dumps(Several("both", [KeyError("a"), Broken("a", "b")])))
    assert [repr(member) for member in found.exceptions] == [repr(KeyError("a")), repr(Exception("Broken: a"))]


@every_way
def test_notes_cause_and_overrides_come_along(twin):
    error = Wants(1, 2, three=3).with_context("at checkout", basket=7)
    error.category = ErrorCategory.TIMEOUT
    error.__cause__ = KeyError("lamp")
    found = twin(error)
    assert found.__notes__ == ["at checkout"]
    assert (found.category, found.details) == (ErrorCategory.TIMEOUT, {"one": 1, "basket": 7})
    assert (type(found.__cause__), found.__cause__.args) == (KeyError, ("lamp",))
    assert found.__suppress_context__


@every_way
@pytest.mark.parametrize(
    "error",
    [
        ContainerConnectivityError("refused", "localhost", 8888, {"a": 1}),
        ExecutionTimeoutError(30),
        DatabaseError("insert", ValueError("disk full")),
        ServiceTimeout("plan", 30),
        CallTimeoutError("shop.search", 2.0),
        CircuitOpenError("billing", 12.4, 5, "ReadTimeout"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_all_families_arrive_as_they_were(twin, error):
    found = twin(error)
    assert type(found) is type(error)
    assert (str(found), found.to_dict(full=True)) == (str(error), error.to_dict(full=True))
    assert set(vars(found)) >= set(vars(error))


def test_a_copy_adds_context_of_its_own():
    error = Wants(1, 2, three=3)
    copy.copy(error).with_context(more=1)
    assert error.details == {"one": 1}


def test_what_cannot_be_pickled_arrives_as_what_can_be_said_of_it():
    error = ResilienceError("m", details={"lock": threading.Lock(), "item": "lamp"})
    error.handle = threading.Lock()
    found = pickle.loads(pickle.dumps(error))
    assert found.details["item"] == "lamp"
    assert "lock" in found.details["lock"]
    assert "lock" in found.handle
    assert copy.deepcopy(error).handle is error.handle


@pytest.mark.parametrize("cause", [Broken("a", "b"), type("Local", (Exception,), {})("a")], ids=["broken", "local"])
def test_a_cause_that_cannot_travel_leaves_a_note(cause):
    error = ResilienceError("m")
    error.__cause__ = cause
    found = pickle.loads(pickle.dumps(error))
    assert found.__cause__ is None
    assert found.__notes__ == [f"its cause could not be pickled: {type(cause).__name__}: a"]
    assert copy.copy(error).__cause__ is cause


def test_a_ring_of_causes_can_be_pickled_and_copied():
    one, other = ResilienceError("one"), ResilienceError("other")
    one.__cause__, other.__cause__ = other, one
    found = pickle.loads(pickle.dumps(one))
    assert str(found.__cause__) == "other"
    twin = copy.deepcopy(one)
    assert twin.__cause__.__cause__ is twin


def test_details_that_hold_the_error_itself_can_be_pickled():
    error = ResilienceError("m")
    error.details["me"] = error
    assert pickle.loads(pickle.dumps(error)).details["me"].details == {"me": "ResilienceError: m"}
    twin = copy.deepcopy(error)
    assert twin.details["me"] is twin


def test_a_long_chain_of_causes_is_cut_and_not_refused():
    error = None
    for number in range(200):
        following = ResilienceError(str(number))
        following.__cause__ = error
        error = following
    found = pickle.loads(pickle.dumps(error))
    assert [str(found), str(found.__cause__), str(found.__cause__.__cause__)] == ["199", "198", "197"]


def test_the_report_of_a_retry_comes_along():
    @retry_on_category(attempts=2)
    def fail():
        raise ResilienceError("down", category="unavailable")

    with no_waits(), pytest.raises(ResilienceError) as caught:
        fail()
    found = pickle.loads(pickle.dumps(caught.value))
    assert found.resilience == caught.value.resilience
    assert found.resilience.made == 2


def work():
    try:
        raise KeyError("lamp")
    except KeyError as error:
        raise ContainerConnectivityError("refused", "localhost", 8888) from error


def test_a_worker_process_raises_it_here():
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        error = pool.submit(work).exception()
    assert type(error) is ContainerConnectivityError
    assert (error.host, error.port, error.message) == ("localhost", 8888, "refused")
