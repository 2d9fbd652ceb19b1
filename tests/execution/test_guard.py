from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from resilience.execution.security import SecurityPolicy
from tests.execution.children import ROOT, run

STRICT = SecurityPolicy.of("strict")
MODERATE = SecurityPolicy.of("moderate")
CUSTOM = SecurityPolicy.of(
    "custom", ["os", "sys", "subprocess", "socket", "shutil", "ctypes", "gc", "threading", "sqlite3"]
)

# Code that the analysis cannot see through, and of the violation: kind, subject, blocked code, line, column.
STRICT_REFUSES = [
    ("import os", "blocked_import", "os", "import os", 1, 0),
    ("x = 1\n'ä'; import os", "blocked_import", "os", "import os", 2, 5),
    ("import math, os", "blocked_import", "os", "import math, os", 1, 0),
    ("from os import path", "blocked_import", "os", "from os import path", 1, 0),
    ("import os.path", "blocked_import", "os.path", "import os.path", 1, 0),
    ("import time", "blocked_import", "time", "import time", 1, 0),
    ("import _strptime", "blocked_import", "_strptime", "import _strptime", 1, 0),
    ("import resilience", "blocked_import", "resilience", "import resilience", 1, 0),
    ("import __main__", "blocked_import", "__main__", "import __main__", 1, 0),
    ("from random import _os", "blocked_import", "os", "from random import _os", 1, 0),
    ("from . import x", "blocked_import", ".", "from . import x", 1, 0),
    ("__package__ = 'os'\nfrom . import path", "blocked_import", ".", "from . import path", 2, 0),
    ("def f(name):\n    return __import__(name)\nf('os')", "blocked_import", "os", "__import__(name)", 2, 11),
    (
        "class S(str):\n    __eq__ = lambda *_: True\n    __hash__ = lambda *_: hash('math')\n__import__(S('os'))",
        "blocked_import",
        "os",
        "__import__(S('os'))",
        4,
        0,
    ),
    ("b = __builtins__\nb['ev' + 'al']('1')", "blocked_call", "eval", "b['ev' + 'al']('1')", 2, 0),
    ("[f('1') for f in [exec]]", "blocked_call", "exec", "f('1')", 1, 1),
    ("compile('1', '', 'eval')", "blocked_call", "compile", "compile('1', '', 'eval')", 1, 0),
    ("x = 1\nbreakpoint()", "blocked_call", "breakpoint", "breakpoint()", 2, 0),
    ("open('/etc/passwd', 'w')", "file_write", "/etc/passwd", "open('/etc/passwd', 'w')", 1, 0),
    ("open('a.txt')", "file_read", "a.txt", "open('a.txt')", 1, 0),
    ("open(3, mode='ab')", "file_write", "file descriptor 3", "open(3, mode='ab')", 1, 0),
    (
        "g = getattr\ng(int, '__sub' + 'classes__')()",
        "blocked_attribute",
        "__subclasses__",
        "g(int, '__sub' + 'classes__')",
        2,
        0,
    ),
    (
        "class S(str):\n    __hash__ = lambda s: 1\ngetattr(print, S('__self__'))",
        "blocked_attribute",
        "__self__",
        "getattr(print, S('__self__'))",
        3,
        0,
    ),
    (
        "def f(): pass\nt = '__co' + 'de__'\n('{0.' + t + '}').format(f)",
        "blocked_attribute",
        "__code__",
        "('{0.' + t + '}').format(f)",
        3,
        0,
    ),
    ("(x for x in ()).gi_frame", "blocked_attribute", "gi_frame", "(x for x in ()).gi_frame", 1, 0),
    (
        "async def f(): pass\nc = f()\ntry: c.cr_frame\nfinally: c.close()",
        "blocked_attribute",
        "cr_frame",
        "c.cr_frame",
        3,
        5,
    ),
    (
        "try:\n    1 / 0\nexcept Exception as e:\n    e.__traceback__.tb_frame",
        "blocked_attribute",
        "tb_frame",
        "e.__traceback__.tb_frame",
        4,
        4,
    ),
    # By way of a module that an allowed one has imported: the deed itself is seen.
    ("import random\nrandom._os.system('true')", "process", "os.system", "random._os.system('true')", 2, 0),
    (
        "import random\nlist(map(random._os.system, ['true']))",
        "process",
        "os.system",
        "list(map(random._os.system, ['true']))",
        2,
        0,
    ),
    ("import random\nrandom._os.fork()", "process", "os.fork", "random._os.fork()", 2, 0),
    ("import random\nrandom._os.kill(1, 0)", "process", "os.kill", "random._os.kill(1, 0)", 2, 0),
    ("import random\nrandom._os.open('a', 0o101)", "file_write", "a", "random._os.open('a', 0o101)", 2, 0),
    ("import random\nrandom._os.open('/etc/passwd', 0)", "file_read", "/etc/passwd", None, 2, 0),
    ("import random\nrandom._os.remove('a')", "file_write", "a", "random._os.remove('a')", 2, 0),
    ("import random\nrandom._os.mkdir(b'a')", "file_write", "a", "random._os.mkdir(b'a')", 2, 0),
    ("import random\nrandom._os.rename('a', 'b')", "file_write", "a", "random._os.rename('a', 'b')", 2, 0),
    ("import random\nrandom._os.listdir('/')", "file_read", "/", "random._os.listdir('/')", 2, 0),
    ("import random\nrandom._os.listdir()", "file_read", ".", "random._os.listdir()", 2, 0),
    ("import random\nrandom._os.execv('/bin/true', ['true'])", "process", "os.exec", None, 2, 0),
]

CUSTOM_REFUSES = [
    ("import subprocess\nsubprocess.run(['true'])", "process", "subprocess.Popen", None, 2, 0),
    ("import os\nos.posix_spawn('/bin/true', ['true'], {})", "process", "os.posix_spawn", None, 2, 0),
    ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "network", "127.0.0.1", None, 2, 0),
    (
        "import socket\nwith socket.socket() as s: s.bind(('127.0.0.1', 0))",
        "network",
        "127.0.0.1:0",
        "s.bind(('127.0.0.1', 0))",
        2,
        27,
    ),
    ("import socket\nsocket.gethostbyname('localhost')", "network", "localhost", None, 2, 0),
    ("import ctypes\nctypes.CDLL(None)", "blocked_call", "ctypes.dlopen", "ctypes.CDLL(None)", 2, 0),
    ("import gc\ngc.get_objects()", "blocked_call", "gc.get_objects", "gc.get_objects()", 2, 0),
    ("import shutil\nshutil.rmtree('a')", "file_read", "a", "shutil.rmtree('a')", 2, 0),
    ("import sqlite3\nsqlite3.connect('a.db')", "file_write", "a.db", "sqlite3.connect('a.db')", 2, 0),
    ("import os\nos.symlink('/etc', 'a')", "file_write", "/etc", "os.symlink('/etc', 'a')", 2, 0),
]

HARMLESS = [
    ("from __future__ import annotations\nimport math, json, datetime, random\nresult = math.floor(2.5)", 2),
    ("import datetime\nresult = str(datetime.datetime.strptime('2020-02-01', '%Y-%m-%d').date())", "2020-02-01"),
    ("import datetime\nresult = datetime.date(2020, 2, 1).strftime('%d.%m.%Y')", "01.02.2020"),
    ("import random\nrandom.seed(1)\nresult = len(random.sample(range(9), 3))", 3),
    ("import random\nresult = random.SystemRandom().random() < 1", True),
    ("import json\ntry: json.loads('{')\nexcept json.JSONDecodeError as e: result = e.pos", 1),
    ("import json.decoder\nresult = json.decoder.__name__", "json.decoder"),
    ("from json import decoder\nresult = decoder.__name__", "json.decoder"),
    ("from math import *\nresult = floor(pi)", 3),
    ("result = __import__('math').floor(2.5)", 2),
    ("result = len(str(10 ** 4000))", 4001),
    ("result = int('7' * 4000) % 10", 7),
    ("class A:\n    @property\n    def x(self): return self.__class__.__name__\nresult = A().x", "A"),
    ("result = getattr('a', 'upper')() + getattr('a', 'b', 'c')", "Ac"),
    ("try: getattr(1, 'a')\nexcept AttributeError as e: result = str(e)", "'int' object has no attribute 'a'"),
    ("try: getattr(1, 2)\nexcept TypeError as e: result = 'type'", "type"),
    ("def g():\n    yield 1\nresult = sum(g())", 1),
    ("def f(n): return 1 if n < 2 else n * f(n - 1)\nresult = f(5)", 120),
    ("result = sorted(vars().keys() & {'x', '__name__'})", ["__name__"]),
    ("x = 1\nresult = globals()['x'] + locals()['x']", 2),
    ("class A: pass\nclass B(A): pass\nresult = [c.__name__ for c in A.__subclasses__()]", ["B"]),
    (
        "try: raise ValueError('a')\nexcept ValueError as e: result = str(e) + type(e.__traceback__).__name__",
        "atraceback",
    ),
    ("result = type('A', (), {'x': 1}).x", 1),
    ("import datetime\nresult = datetime.datetime.now(datetime.timezone.utc).tzname()", "UTC"),
    ("async def f(): return 1\nc = f()\ntry: c.send(None)\nexcept StopIteration as e: result = e.value", 1),
]

HARMLESS_AT_MODERATE = [
    ("from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1\nresult = repr(A())", "A(x=1)"),
    ("from collections import namedtuple\nresult = namedtuple('P', 'x y')(1, 2).y", 2),
    ("import enum\nclass E(enum.Enum):\n    A = 1\nresult = E(1).name", "A"),
    (
        "import typing as t\nclass P(t.NamedTuple):\n    x: 'int'\nresult = t.get_type_hints(P)['x'].__name__",
        "int",
    ),
    ("import re, string, textwrap, itertools, functools\nresult = re.sub('a', 'b', 'aa')", "bb"),
    ("import collections.abc as c\nresult = issubclass(list, c.Sequence)", True),
    ("import decimal, fractions, statistics\nresult = statistics.mean([1, 3])", 2),
    (
        "import zoneinfo, datetime\nresult = datetime.datetime.now(zoneinfo.ZoneInfo('GMT')).tzname()",
        "GMT",
    ),
    ("import hashlib, base64, uuid\nresult = hashlib.sha256(b'').hexdigest()[:4]", "e3b0"),
    ("import io\nresult = io.StringIO('a').read()", "a"),
    ("result = open('data.txt').read()", "data"),
    ("from pathlib import Path\nresult = sorted(p.name for p in Path('.').iterdir())", ["data.txt", "link.txt", "sub"]),
    ("from pathlib import Path\nresult = (Path('sub') / '..' / 'data.txt').read_text()", "data"),
    ("import glob\nresult = glob.glob('*.txt')[0][-4:]", ".txt"),
    ("import csv\nresult = list(csv.reader(open('data.txt')))[0]", ["data"]),
    ("import traceback\ntry: 1 / 0\nexcept ZeroDivisionError: result = 'ZeroDivision' in traceback.format_exc()", True),
    ("import logging\nlogging.getLogger('a').warning('b')\nresult = 1", 1),
    ("import ast\nresult = ast.literal_eval('[1]')", [1]),
    ("import warnings\nwarnings.warn('a')\nresult = 1", 1),
    ("import numpy as np\nresult = float(np.linalg.norm(np.array([3.0, 4.0])))", 5.0),
    (
        "import numpy as np\nresult = str(np.random.default_rng(1).integers(1, 2)) + np.array2string(np.zeros(1))",
        "1[0.]",
    ),
    ("from pydantic import BaseModel\nclass A(BaseModel):\n    x: int\nresult = A(x='1').x", 1),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "data.txt").write_text("data")
    (tmp_path / "outside.txt").write_text("secret")
    (inside / "link.txt").symlink_to(tmp_path / "outside.txt")
    return inside


def check(ran, code, kind, subject, blocked, line, column):
    assert ran.error == "SecurityViolation", ran
    found = ran.violation
    assert (found["kind"], found["subject"], found["line"]) == (kind, subject, line)
    assert found["blocked_code"] == (code.splitlines()[line - 1] if blocked is None else blocked)
    assert found["column"] == column
    assert found["reason"]
    assert found["alternatives"]
    assert ran.violations == [found]


@pytest.mark.parametrize("row", STRICT_REFUSES, ids=lambda row: ascii(row[0]))
def test_strict_refuses(row, directory):
    before = sorted(directory.rglob("*"))
    check(run(row[0], STRICT, directory), *row)
    assert sorted(directory.rglob("*")) == before


@pytest.mark.parametrize("row", CUSTOM_REFUSES, ids=lambda row: ascii(row[0]))
def test_what_a_module_may_be_imported_for_does_not_allow_what_it_does(row, directory):
    (directory / "a").mkdir()
    before = sorted(directory.rglob("*"))
    check(run(row[0], CUSTOM, directory), *row)
    assert sorted(directory.rglob("*")) == before


@pytest.mark.parametrize(("code", "result"), HARMLESS, ids=ascii)
def test_what_is_harmless_runs(code, result, directory):
    ran = run(code, STRICT, directory)
    assert (ran.error, ran.message, ran.result) == (None, "", result)
    assert ran.violations == []


@pytest.mark.parametrize(("code", "result"), HARMLESS_AT_MODERATE, ids=ascii)
def test_what_is_harmless_at_moderate_runs(code, result, directory):
    ran = run(code, MODERATE, directory)
    assert (ran.error, ran.message, ran.result) == (None, "", result)


def test_the_message_is_what_the_document_asks_for(directory):
    ran = run("import os", STRICT, directory)
    assert ran.message == "Attempted to access restricted module 'os'"
    assert ran.violation["attempted_operation"] == "import os"
    assert ran.violation["reason"] == "importing 'os' is denied in strict mode"


def test_a_module_that_is_missing_is_an_error_of_its_own(directory):
    ran = run("import maths", STRICT, directory)
    assert (ran.error, ran.message) == ("ModuleNotFoundError", "No module named 'maths'")
    assert run("import json.nowhere", STRICT, directory).error == "ModuleNotFoundError"
    assert run("from math import nothing", STRICT, directory).error == "ImportError"


def test_what_is_no_name_of_a_module_fails_as_it_does_elsewhere(directory):
    assert run("__import__('')", STRICT, directory).error == "ValueError"
    assert run("__import__(5)", STRICT, directory).error == "TypeError"


def test_a_violation_that_the_code_catches_is_known_all_the_same(directory):
    ran = run("try:\n    import os\nexcept Exception:\n    result = 1", STRICT, directory)
    assert (ran.error, ran.result) == (None, 1)
    assert [each["subject"] for each in ran.violations] == ["os"]


def test_a_loop_of_violations_is_kept_in_part(directory):
    code = "for _ in range(1000):\n    try: open('a')\n    except Exception: pass"
    assert len(run(code, STRICT, directory).violations) == 100


@pytest.mark.parametrize("path", ["../outside.txt", "link.txt", "sub/../../outside.txt", "/etc/passwd"])
def test_moderate_reads_nothing_outside_the_working_directory(path, directory):
    ran = run(f"open({path!r})", MODERATE, directory)
    assert (ran.violation["kind"], ran.violation["subject"]) == ("file_read", path)
    assert ran.violation["reason"] == "reading files outside the working directory is denied in moderate mode"


def test_moderate_writes_nothing(directory):
    code = "from pathlib import Path\nPath('data.txt').write_text('a')"
    assert run(code, MODERATE, directory).violation["kind"] == "file_write"
    assert run("open('data.txt', 'r+')", MODERATE, directory).violation["kind"] == "file_write"
    assert (directory / "data.txt").read_text() == "data"


def test_a_path_is_shown_as_the_code_has_it(directory):
    ran = run("import logging\nlogging.basicConfig(filename='x.log')", MODERATE, directory)
    assert ran.message == "Attempted to write a file: 'x.log'"


def test_where_the_stack_is_used_up_nothing_happens_that_is_refused(directory):
    code = """
import random
def deeper():
    try:
        return deeper()
    except RecursionError:
        return random._os.mkdir("new")
deeper()
"""
    assert run(code, STRICT, directory).error in ("RecursionError", "SecurityViolation")
    assert not (directory / "new").exists()


def test_a_custom_policy_writes_below_the_working_directory_and_its_paths(directory, tmp_path):
    more = tmp_path / "more"
    more.mkdir()
    policy = SecurityPolicy.custom(modules=["os"], files="write", paths=[more])
    code = f"""
import os
for path in ("new.txt", {str(more / "a.txt")!r}):
    with open(path, "w") as f:
        f.write("a")
os.rename("new.txt", "sub/new.txt")
os.mkdir("b")
"""
    assert run(code, policy, directory).error is None
    assert (directory / "sub" / "new.txt").read_text() == (more / "a.txt").read_text() == "a"
    ran = run("import os\nos.rename('data.txt', '../data.txt')", policy, directory)
    assert (ran.violation["kind"], ran.violation["subject"]) == ("file_write", "../data.txt")
    assert "outside the working directory" in ran.violation["reason"]


def test_a_custom_policy_may_start_processes_and_use_pipes(directory):
    policy = SecurityPolicy.custom(modules=["subprocess"], processes=True)
    ran = run(
        "import subprocess\nresult = subprocess.run(['echo', 'a'], capture_output=True, text=True).stdout",
        policy,
        directory,
    )
    assert (ran.error, ran.result) == (None, "a\n")


def test_a_custom_policy_may_use_the_network(directory):
    policy = SecurityPolicy.custom(modules=["socket"], network=True)
    code = "import socket\nwith socket.create_server(('127.0.0.1', 0)) as s: result = s.getsockname()[0]"
    ran = run(code, policy, directory)
    assert (ran.error, ran.result) == (None, "127.0.0.1")


def test_a_custom_policy_may_run_code_at_run_time_under_the_same_imports(directory):
    policy = SecurityPolicy.custom(dynamic=True)
    assert run("result = eval('1 + 1')", policy, directory).result == 2
    assert run("exec('import os', {})", policy, directory).violation["kind"] == "blocked_import"


def test_an_event_loop_is_no_network(directory):
    policy = SecurityPolicy.of("moderate", ["asyncio"])
    code = "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 1\nresult = asyncio.run(f())"
    assert run(code, policy, directory).result == 1


def test_threads_of_the_code_are_watched(directory):
    policy = SecurityPolicy.of("strict", ["threading"])
    code = """
import random, threading
failed = []
threading.excepthook = lambda a: failed.append(a.exc_type.__name__)
t = threading.Thread(target=random._os.mkdir, args=["new"])
t.start(); t.join()
result = failed
"""
    ran = run(code, policy, directory)
    assert ran.result == ["SecurityViolation"]
    (violation,) = ran.violations
    assert (violation["kind"], violation["blocked_code"], violation["line"]) == ("file_write", "", None)
    assert not (directory / "new").exists()


def test_part_of_a_package_comes_without_the_rest_of_it(directory):
    policy = SecurityPolicy.of("strict", ["os.path", "xml.etree"])
    assert run("import os.path as p\nresult = p.join('a', 'b')", policy, directory).result == "a/b"
    assert run("from os import path\nresult = path.join('a', 'b')", policy, directory).result == "a/b"
    assert run("import os.path\nresult = os.path.join('a', 'b')", policy, directory).result == "a/b"
    code = "import xml.etree.ElementTree as ET\nresult = ET.fromstring('<a/>').tag"
    assert run(code, policy, directory).result == "a"
    ran = run("import os.path\nos.getcwd()", policy, directory)
    assert (ran.violation["kind"], ran.violation["subject"]) == ("blocked_import", "os")
    assert run("from os import path, getcwd", policy, directory).violation["subject"] == "os"


def test_a_module_that_is_allowed_imports_what_it_likes(directory):
    # multiprocessing.pool alone brings in os, sys, threading, queue, time ...
    policy = SecurityPolicy.of("strict", ["tempfile", "http"])
    assert run("import tempfile, http.client\nresult = tempfile.gettempprefix()", policy, directory).result == "tmp"


def test_what_is_imported_late_leaves_no_bytecode(directory):
    assert run("import json", STRICT, directory).error is None
    assert list(directory.rglob("__pycache__")) == []


# Ways around the check of names, all of them on purpose: the operation itself is refused all the same.
EVASIONS = {
    "attrgetter": """
import operator
builtins = operator.attrgetter("__se" + "lf__")(print)
os = builtins.__import__("os")
DEED
""",
    "subclasses": """
import operator
classes = operator.attrgetter("__subcl" + "asses__")(object)()
closer = next(c for c in classes if c.__name__ == "_wrap_close")
names = operator.attrgetter("__init__.__glo" + "bals__")(closer)
os = names["sys"].modules["os"]
DEED
""",
    "a type's own getattr": """
import operator
classes = type.__getattribute__(object, "__subcl" + "asses__")()
os = next(c for c in classes if c.__name__ == "_wrap_close").close
os = operator.attrgetter("__glo" + "bals__")(os)["sys"].modules["os"]
DEED
""",
    "a module behind a module": """
import random
os = getattr(random, "_o" + "s")
DEED
""",
    "names overwritten": """
import random
getattr = lambda target, name: target.__dict__[name]
os = getattr(random, "_os")
DEED
""",
    "a new class": """
import random
Thing = type("Thing", (), {"os": random.__dict__["_os"]})
os = Thing().os
DEED
""",
    "a callback": """
import random, functools
os = random.__dict__["_os"]
[*map(lambda _: [None, DEED], [1])]
""",
    "a destructor": """
import random
caught = []
class Late:
    def __del__(self, os=random.__dict__["_os"]):
        try: DEED
        except Exception as error: caught.append(error)
late = Late()
late = None
raise caught[0]
""",
}
DEEDS = {
    "os.system('true')": "process",
    "os.fork()": "process",
    "os.listdir('/')": "file_read",
    "os.remove('data.txt')": "file_write",
    "os.open('new.txt', 65)": "file_write",
}


@pytest.mark.parametrize(
    ("evasion", "deed"),
    [*((evasion, "os.system('true')") for evasion in EVASIONS), *(("attrgetter", deed) for deed in [*DEEDS][1:])],
)
def test_an_evasion_of_the_name_check_is_stopped_at_the_operation(evasion, deed, directory):
    before = sorted(directory.rglob("*"))
    ran = run(EVASIONS[evasion].replace("DEED", deed), MODERATE, directory)
    assert ran.error == "SecurityViolation", ran
    assert ran.violation["kind"] == DEEDS[deed]
    assert deed in ran.violation["blocked_code"]
    assert sorted(directory.rglob("*")) == before


def test_permissive_allows_every_operation_and_warns(directory):
    code = """
import os, subprocess
open("new.txt", "w").close()
for _ in range(3):
    os.remove("new.txt") if os.path.exists("new.txt") else None
result = subprocess.run(["echo", "a"], capture_output=True, text=True).stdout + str(eval("1"))
"""
    ran = run(code, SecurityPolicy.of("permissive"), directory, warn=True)
    assert (ran.error, ran.result) == (None, "a\n1")
    assert [(each["kind"], each["line"]) for each in ran.warnings] == [
        ("file_write", 3),
        ("file_write", 5),
        ("process", 6),
    ]
    assert ran.warnings[0]["reason"] == "writing files would be denied in strict mode"
    assert ran.violations == []
    assert run(code, SecurityPolicy.of("permissive"), directory).error is None  # no warning callback


def test_an_audit_hook_of_the_code_is_not_installed(directory):
    # CPython takes a hook that another one objects to for installed already, and says nothing.
    ran = run(
        "import sys\nseen = []\nsys.addaudithook(lambda *a: seen.append(a))\nopen\nid(1)\nresult = seen",
        CUSTOM,
        directory,
    )
    assert (ran.error, ran.result) == (None, [])
    assert [each["subject"] for each in ran.violations] == ["sys.addaudithook"]


def test_the_guard_brings_nothing_heavy_into_the_child():
    code = f"""
import sys, types
for name in ("resilience", "resilience.execution", "resilience.execution._worker"):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [{str(ROOT)!r} + "/" + name.replace(".", "/")]
import resilience.execution._worker.guard
heavy = "typing re json dataclasses enum traceback ast inspect socket subprocess opcode pathlib".split()
print(*sorted(set(heavy) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_the_guard_is_not_reached_through_the_namespace(directory):
    code = "result = sorted(n for n, v in {**globals(), **__builtins__}.items() if 'uard' in type(v).__name__)"
    assert run(code, STRICT, directory).result == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of 3.12")
def test_generic_classes_need_no_import(directory):
    assert run("class A[T]:\n    x: T\ntype B = list[int]\nresult = A[int].__name__", STRICT, directory).result == "A"


LAZY_IMPORTS = [
    ("lazy import os", "os", "lazy import os", 1, 0),
    ("x = 1\nlazy import os.path as p", "os.path", "lazy import os.path as p", 2, 0),
    ("lazy from os import getcwd\ngetcwd()", "os", "lazy from os import getcwd", 1, 0),
    ("lazy from random import _os", "os", "lazy from random import _os", 1, 0),
    ("lazy import re", "re", "lazy import re", 1, 0),
    ("__lazy_modules__ = ['os']\nimport os\nos.getcwd()", "os", "import os", 2, 0),
    ("n = 'os'\n__lazy_import__(n).getcwd()", "os", "__lazy_import__(n)", 2, 0),
    ("f = __builtins__['__lazy_' + 'import__']\nf('os', {})", "os", "f('os', {})", 2, 0),
]


@pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy imports of 3.15")
@pytest.mark.parametrize("row", LAZY_IMPORTS, ids=lambda row: ascii(row[0]))
def test_a_lazy_import_is_refused_where_it_stands(row, directory):
    code, subject, *place = row
    check(run(code, STRICT, directory), code, "blocked_import", subject, *place)


@pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy imports of 3.15")
def test_a_lazy_import_of_what_may_be_imported_is_carried_out(directory):
    ran = run("lazy import json\nlazy from math import sqrt\nresult = json.dumps(sqrt(4))", STRICT, directory)
    assert (ran.error, ran.result) == (None, "2.0")
    assert run("lazy import maths", STRICT, directory).error == "ModuleNotFoundError"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="sys.remote_exec of 3.14")
def test_code_is_not_run_in_another_process(directory):
    code = "import sys, os\nsys.remote_exec(os.getppid(), 'data.txt')"
    check(run(code, CUSTOM, directory), code, "process", "sys.remote_exec", None, 2, 0)


def test_a_function_of_a_shared_object_that_the_program_found_is_not_called(directory):
    code = "import ctypes\nctypes.pythonapi.Py_GetVersion()"
    ran = run(code, CUSTOM, directory)
    assert (ran.violation["kind"], ran.violation["line"]) == ("blocked_call", 2)
