"""A forked child works, whatever locks the threads of its parent held at the moment of the fork."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

# In a process of its own: the tests' own has threads of many libraries.
_PROGRAM = """
import asyncio, os, signal, sys, threading, warnings
warnings.simplefilter("ignore")  # that a process with threads forks
import resilience
from resilience import (
    ErrorCategory, RetryBudget, circuit_breaker, deadline, override_profiles, register, retry_on_category, subscribe,
    timeout, track_errors,
)
from resilience import _forks
from resilience.circuits import snapshot

plain = circuit_breaker("plain", failure_threshold=1)
by_key = circuit_breaker("by key", key=lambda key: key)
by_key.of("a")

@circuit_breaker("per instance", per_instance=True)
class Client:
    def get(self):
        return "got"

client = Client()
client.get()
calls = []

@track_errors
@retry_on_category("network", attempts=2, base_delay=0, budget=RetryBudget(name="shared"))
def flaky():
    calls.append(1)
    if len(calls) % 2:
        raise ConnectionResetError

async def limited():
    async with timeout(5):
        await asyncio.sleep(0)

@timeout(5)
async def guarded():
    await asyncio.sleep(0)

def work():
    plain.half_open()
    plain.call(len, "ab")
    by_key(len)("abc")
    client.get(), Client().get()
    circuit_breaker("new")
    flaky()
    with subscribe(print), override_profiles({"timeout": {"base": 2}}), resilience.settings.disabled():
        pass
    register(KeyError, ErrorCategory.NOT_FOUND)()
    asyncio.run(limited()), asyncio.run(guarded())
    timeout(5)(len)("ab")
    snapshot()

work()
circuits = [plain, by_key, by_key.of("a"), resilience.circuits.get("per instance").of(client)]
locks = [*_forks._locks, *(circuit.circuit._lock for circuit in circuits)]
held, stop = threading.Event(), threading.Event()

def hold():
    for lock in locks:
        lock.acquire()
    held.set()
    stop.wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    work()
    os._exit(0)
print(len(locks) > 20, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
os._exit(0)
"""


def test_no_lock_of_the_parents_threads_stays_taken_in_a_forked_child():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True 0\n", done.stderr


def test_a_lock_that_is_released_in_place_is_free_for_all_that_refer_to_it():
    import threading

    from resilience._forks import release_in_child

    for lock in (threading.Lock(), threading.RLock()):
        thread = threading.Thread(target=lock.acquire)
        thread.start()
        thread.join()
        assert not lock.acquire(blocking=False)
        release_in_child(lock)
        assert lock.acquire(blocking=False)
        lock.release()


def test_a_lock_that_the_forking_thread_holds_itself_is_its_own_in_the_child_too():
    program = """if True:
        import os, signal
        from resilience import circuit_breaker
        breaker = circuit_breaker("b", failure_threshold=1)
        children = []
        signal.signal(signal.SIGINT, lambda *_: children.append(os.fork()))
        with breaker.circuit._lock:
            signal.raise_signal(signal.SIGINT)
        breaker.half_open()
        breaker.call(len, "ab")
        if children == [0]:
            os._exit(0)
        print(breaker.current_state, os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "closed 0\n", done.stderr


def test_a_circuit_that_is_collected_before_the_locks_are_free_is_forgotten_all_the_same():
    program = """if True:
        import gc, os, signal, threading
        os.register_at_fork(after_in_child=lambda: signal.alarm(5))
        os.register_at_fork(after_in_child=gc.collect)  # before any function of the toolkit's
        from resilience import circuit_breaker
        from resilience.circuits.breaker import REGISTRY
        held, stop = threading.Event(), threading.Event()

        def hold():
            with REGISTRY._lock:
                held.set()
                stop.wait()

        gc.disable()
        circuit_breaker("b")  # in a cycle with its policy
        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        child = os.fork()
        if not child:
            os._exit(len(list(REGISTRY)))
        stop.set()
        print(len(list(REGISTRY)), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        os._exit(0)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "1 0\n", done.stderr


def test_an_object_that_is_collected_before_the_locks_are_free_takes_its_circuit_along_all_the_same():
    program = """if True:
        import gc, os, signal, threading
        os.register_at_fork(after_in_child=lambda: signal.alarm(5))
        os.register_at_fork(after_in_child=gc.collect)  # before any function of the toolkit's
        from resilience import circuit_breaker
        shards = circuit_breaker("shards", per_instance=True)

        @shards
        class Shard:
            def __init__(self):
                self.me = self
            def read(self): ...

        held, stop = threading.Event(), threading.Event()

        def hold():
            with shards._circuits._lock:
                held.set()
                stop.wait()

        gc.disable()
        Shard().read()
        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        child = os.fork()
        if not child:
            kept = Shard()
            kept.read()  # a new circuit: those of the collected go
            os._exit(len(shards._circuits._breakers))
        stop.set()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        os._exit(0)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "1\n", done.stderr


# Where a module begins to be executed, its import waits: as a large module, or a slow disk, would have it.
_IMPORTING = """
import os, signal, sys, threading, traceback, warnings
from importlib.machinery import PathFinder
warnings.simplefilter("ignore")  # that a process with threads forks
import resilience
from resilience import circuit_breaker

class Waiting:
    def __init__(self, name, until):
        self.name, self.until, self.waits = name, until, threading.Event()

    def find_spec(self, name, path, target=None):
        if name == self.name:
            found = PathFinder.find_spec(name, path)
            execute = found.loader.exec_module
            found.loader.exec_module = lambda module: (self.waits.set(), self.until(), execute(module))
            return found

def in_child(work):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.alarm(20)
    sys.meta_path.remove(finder)
    status = 1
    try:
        status = work()
    except BaseException:
        traceback.print_exc()
    os._exit(status)
"""


@pytest.mark.parametrize(
    ("waits_for", "imported", "work"),
    [
        pytest.param(
            "resilience.classification.clients.dropbox",
            "resilience.classification.clients.dropbox",
            'resilience.classify(type("A", (Exception,), {"__module__": "dropbox.exceptions"})()) is None',
            id="the table of a library",
        ),
        pytest.param(
            "resilience._call_results",
            "resilience.gather",
            "__import__('resilience.gather').gather.gather_results is None",
            id="a module that another one of the package needs",
        ),
        pytest.param(
            "argparse",
            "resilience.cli.main",
            "__import__('resilience.cli.main') is None",
            id="a module of Python's that one of the package needs",
        ),
        pytest.param("colorsys", "colorsys", "__import__('colorsys') is None", id="any other module"),
    ],
)
def test_what_a_thread_of_the_parent_was_importing_is_imported_by_a_forked_child(
    waits_for: str, imported: str, work: str
):
    program = f"""{_IMPORTING}
finder = Waiting({waits_for!r}, threading.Event().wait)
sys.meta_path.insert(0, finder)
threading.Thread(target=__import__, args=[{imported!r}], daemon=True).start()
assert finder.waits.wait(20)
print(in_child(lambda: {work}), flush=True)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "0\n", done.stderr


def test_a_module_that_the_forking_thread_imports_itself_is_imported_in_parent_and_child():
    program = f"""{_IMPORTING}
children = []
finder = Waiting("resilience._call_results", lambda: children.append(os.fork()))
sys.meta_path.insert(0, finder)
import resilience.gather
if children == [0]:
    os._exit(resilience.gather.gather_results is None)
print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "0\n", done.stderr
