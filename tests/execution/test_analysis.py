from __future__ import annotations

import ast
import builtins
import keyword
import re
import unicodedata
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resilience.execution._analysis import analyse, is_clear, would_forbid
from resilience.execution._analysis.effects import LEAKS, OPENERS
from resilience.execution._worker.policy_messages import ATTRIBUTES, DYNAMIC
from resilience.execution.security import SecurityPolicy
from tests.report.faulty import names, runtime, syntax

STRICT = SecurityPolicy.of("strict")
MODERATE = SecurityPolicy.of("moderate")

# Code, and of its first violation at level strict: kind, subject, blocked code, line, column.
FORBIDDEN = [
    # Imports in every form.
    ("import os", "blocked_import", "os", "import os", 1, 0),
    ("x = 1\nimport os", "blocked_import", "os", "import os", 2, 0),
    ("import math, os", "blocked_import", "os", "import math, os", 1, 0),
    ("import os.path", "blocked_import", "os.path", "import os.path", 1, 0),
    ("import os.path as p", "blocked_import", "os.path", "import os.path as p", 1, 0),
    ("import numpy.linalg as la, time", "blocked_import", "numpy.linalg", "import numpy.linalg as la, time", 1, 0),
    ("from os import system", "blocked_import", "os", "from os import system", 1, 0),
    ("from os import *", "blocked_import", "os", "from os import *", 1, 0),
    ("from os.path import join as j", "blocked_import", "os.path", "from os.path import join as j", 1, 0),
    ("from . import helper", "blocked_import", ".", "from . import helper", 1, 0),
    ("from ..secrets import key", "blocked_import", "..secrets", "from ..secrets import key", 1, 0),
    ("from .os import x", "blocked_import", ".os", "from .os import x", 1, 0),
    ("def f():\n    import socket\n", "blocked_import", "socket", "import socket", 2, 4),
    ("try:\n    import sys\nexcept ImportError:\n    pass", "blocked_import", "sys", "import sys", 2, 4),
    ("if False:\n    import ctypes", "blocked_import", "ctypes", "import ctypes", 2, 4),
    ("class A:\n  import pickle", "blocked_import", "pickle", "import pickle", 2, 2),
    ("x = 1; import shutil", "blocked_import", "shutil", "import shutil", 1, 7),
    ("'ä'; import shutil", "blocked_import", "shutil", "import shutil", 1, 5),
    (
        "from os import (\n    path,\n    sep,\n)",
        "blocked_import",
        "os",
        "from os import (\n    path,\n    sep,\n)",
        1,
        0,
    ),
    ("import statistics", "blocked_import", "statistics", "import statistics", 1, 0),
    ("from random import _os", "blocked_import", "os", "from random import _os", 1, 0),
    ("import random\nx = random._os", "blocked_import", "os", "random._os", 2, 4),
    ("import json as j\nj.codecs.sys", "blocked_import", "sys", "j.codecs.sys", 2, 0),
    # Imports that are calls.
    ("__import__('os')", "blocked_import", "os", "__import__('os')", 1, 0),
    ("__lazy_import__('os')", "blocked_import", "os", "__lazy_import__('os')", 1, 0),
    ("__lazy_import__('os.path').system('a')", "process", "os.system", "__lazy_import__('os.path').system('a')", 1, 0),
    ("__import__(name='os')", "blocked_import", "os", "__import__(name='os')", 1, 0),
    ("__import__('o' + 's')", "blocked_import", "os", "__import__('o' + 's')", 1, 0),
    ("__import__('so'[::-1])", "blocked_import", "os", "__import__('so'[::-1])", 1, 0),
    ("__import__(''.join(['o', 's']))", "blocked_import", "os", "__import__(''.join(['o', 's']))", 1, 0),
    ("__import__(chr(111) + chr(115))", "blocked_import", "os", "__import__(chr(111) + chr(115))", 1, 0),
    ("__import__(f'{\"o\"}s')", "blocked_import", "os", "__import__(f'{\"o\"}s')", 1, 0),
    ("m = 'os'\n__import__(m)", "blocked_import", "os", "__import__(m)", 2, 0),
    ("a = 'o'\nb = a + 's'\n__import__(b)", "blocked_import", "os", "__import__(b)", 3, 0),
    ("imp = __import__\nx = imp('os')", "blocked_import", "os", "imp('os')", 2, 4),
    ("__import__('os').system('ls')", "process", "os.system", "__import__('os').system('ls')", 1, 0),
    # Builtins that run code which no analysis has seen.
    ("eval('1 + 1')", "blocked_call", "eval", "eval('1 + 1')", 1, 0),
    ("x = eval(\n  '1'\n)", "blocked_call", "eval", "eval(\n  '1'\n)", 1, 4),
    ("exec('x = 1')", "blocked_call", "exec", "exec('x = 1')", 1, 0),
    ("compile('1', '', 'eval')", "blocked_call", "compile", "compile('1', '', 'eval')", 1, 0),
    ("breakpoint()", "blocked_call", "breakpoint", "breakpoint()", 1, 0),
    ("\uff45val('1')", "blocked_call", "eval", "\uff45val('1')", 1, 0),
    ("f = eval\nf('1')", "blocked_call", "eval", "eval", 1, 4),
    ("list(map(eval, ['1']))", "blocked_call", "eval", "eval", 1, 9),
    ("def f(g=exec): g('1')", "blocked_call", "exec", "exec", 1, 8),
    ("[e for e in (eval, exec)]", "blocked_call", "eval", "eval", 1, 13),
    ("(lambda: eval)()('1')", "blocked_call", "eval", "eval", 1, 9),
    ("(f := eval)('1')", "blocked_call", "eval", "(f := eval)('1')", 1, 0),
    ("@eval\ndef f(): pass", "blocked_call", "eval", "eval", 1, 1),
    ("def eval_it(compile): return compile\neval('1')", "blocked_call", "eval", "eval('1')", 2, 0),
    ("class A:\n    eval = 1\n    def f(self): return eval('1')", "blocked_call", "eval", "eval('1')", 3, 24),
    ("getattr(__builtins__, 'eval')('1')", "blocked_call", "eval", "getattr(__builtins__, 'eval')('1')", 1, 0),
    ("getattr(__builtins__, 'ev' + 'al')", "blocked_call", "eval", "getattr(__builtins__, 'ev' + 'al')", 1, 0),
    ("__builtins__.eval('1')", "blocked_call", "eval", "__builtins__.eval('1')", 1, 0),
    ("__builtins__['eval']('1')", "blocked_call", "eval", "__builtins__['eval']('1')", 1, 0),
    ("__builtins__.__dict__['exec']('1')", "blocked_call", "exec", "__builtins__.__dict__['exec']('1')", 1, 0),
    ("vars(__builtins__)['exec']('1')", "blocked_call", "exec", "vars(__builtins__)['exec']('1')", 1, 0),
    ("globals()['eval']('1')", "blocked_call", "eval", "globals()['eval']('1')", 1, 0),
    # Attributes that lead into the interpreter.
    ("__builtins__", "blocked_attribute", "__builtins__", "__builtins__", 1, 0),
    ("x = __loader__", "blocked_attribute", "__loader__", "__loader__", 1, 4),
    ("__spec__.loader", "blocked_attribute", "__spec__", "__spec__", 1, 0),
    ("globals()['__builtins__']", "blocked_attribute", "__builtins__", "globals()['__builtins__']", 1, 0),
    (
        "().__class__.__bases__[0].__subclasses__()",
        *("blocked_attribute", "__subclasses__", "().__class__.__bases__[0].__subclasses__()", 1, 0),
    ),
    ("object.__subclasses__()", "blocked_attribute", "__subclasses__", "object.__subclasses__()", 1, 0),
    ("int.__base__.__subclasses__", "blocked_attribute", "__subclasses__", "int.__base__.__subclasses__", 1, 0),
    ("(lambda: 0).__globals__", "blocked_attribute", "__globals__", "(lambda: 0).__globals__", 1, 0),
    ("def f(): pass\nf.__globals__['x']", "blocked_attribute", "__globals__", "f.__globals__", 2, 0),
    ("def f(): pass\nf.__code__.co_consts", "blocked_attribute", "__code__", "f.__code__", 2, 0),
    ("def f(): pass\nf.__code__ = g.__code__", "blocked_attribute", "__code__", "f.__code__", 2, 0),
    ("print.__self__", "blocked_attribute", "__self__", "print.__self__", 1, 0),
    ("def f(): pass\nf.__builtins__", "blocked_attribute", "__builtins__", "f.__builtins__", 2, 0),
    ("(x for x in ()).gi_frame.f_back", "blocked_attribute", "f_back", "(x for x in ()).gi_frame.f_back", 1, 0),
    (
        "try:\n    1/0\nexcept Exception as e:\n    e.__traceback__.tb_frame",
        *("blocked_attribute", "tb_frame", "e.__traceback__.tb_frame", 4, 4),
    ),
    ("getattr(f, '__globals__')", "blocked_attribute", "__globals__", "getattr(f, '__globals__')", 1, 0),
    ("getattr(f, '__glo' + 'bals__')", "blocked_attribute", "__globals__", "getattr(f, '__glo' + 'bals__')", 1, 0),
    ("n = '__code__'\ngetattr(f, n, None)", "blocked_attribute", "__code__", "getattr(f, n, None)", 2, 0),
    (
        "object.__getattribute__(f, '__globals__')",
        *("blocked_attribute", "__globals__", "object.__getattribute__(f, '__globals__')", 1, 0),
    ),
    ("'{0.__globals__}'.format(f)", "blocked_attribute", "__globals__", "'{0.__globals__}'.format(f)", 1, 0),
    ("t = '{f.__code__}'\nt.format_map({})", "blocked_attribute", "__code__", "t.format_map({})", 2, 0),
    ("str.format('{0.__self__}', print)", "blocked_attribute", "__self__", "str.format('{0.__self__}', print)", 1, 0),
    ("f'{f.__globals__}'", "blocked_attribute", "__globals__", "f.__globals__", 1, 3),
    ("A.__dict__['__globals__']", "blocked_attribute", "__globals__", "A.__dict__['__globals__']", 1, 0),
    (
        "match f:\n    case object(__globals__=g): g",
        *("blocked_attribute", "__globals__", "object(__globals__=g)", 2, 9),
    ),
    # Files.
    ("open('/etc/passwd', 'w')", "file_write", "/etc/passwd", "open('/etc/passwd', 'w')", 1, 0),
    ("open('a.txt')", "file_read", "a.txt", "open('a.txt')", 1, 0),
    ("open(p)", "file_read", "open", "open(p)", 1, 0),
    ("open(p, mode='a+b')", "file_write", "open", "open(p, mode='a+b')", 1, 0),
    ("m = 'x'\nopen('a', m)", "file_write", "a", "open('a', m)", 2, 0),
    ("with open('a') as f: f.read()", "file_read", "a", "open('a')", 1, 5),
    ("o = open\no('a', 'w')", "file_write", "a", "o('a', 'w')", 2, 0),
    ("__builtins__['open']('a')", "file_read", "a", "__builtins__['open']('a')", 1, 0),
    # What is done by way of a module that another one has imported.
    ("import random\nrandom._os.system('ls')", "process", "os.system", "random._os.system('ls')", 2, 0),
    ("import random\nrandom._os.remove('a')", "file_write", "os.remove", "random._os.remove('a')", 2, 0),
]

ALLOWED_TO_IMPORT = [
    "os",
    "sys",
    "subprocess",
    "socket",
    "pathlib",
    "shutil",
    "requests",
    "urllib",
    "http",
    "importlib",
]
CUSTOM = SecurityPolicy.of(
    "custom", [*ALLOWED_TO_IMPORT, "asyncio", "tempfile", "builtins", "operator", "string", "io"]
)

# The same where modules are allowed, but not what they do.
EFFECTS = [
    ("import os\nos.system('ls')", "process", "os.system", "os.system('ls')", 2, 0),
    ("import os as o\no.popen('ls').read()", "process", "os.popen", "o.popen('ls')", 2, 0),
    ("from os import system as run\nrun('ls')", "process", "os.system", "run('ls')", 2, 0),
    ("from os import *\nsystem('ls')", "process", "os.system", "system('ls')", 2, 0),
    ("import os\nrun = os.system\nrun('ls')", "process", "os.system", "os.system", 2, 6),
    ("import os\ngetattr(os, 'sys' + 'tem')('ls')", "process", "os.system", "getattr(os, 'sys' + 'tem')('ls')", 2, 0),
    ("import os\nos.__dict__['system']('ls')", "process", "os.system", "os.__dict__['system']('ls')", 2, 0),
    ("import sys\nsys.modules['os'].fork()", "process", "os.fork", "sys.modules['os'].fork()", 2, 0),
    ("import sys\nsys.modules['ctypes']", "blocked_import", "ctypes", "sys.modules['ctypes']", 2, 0),
    ("import importlib\nimportlib.import_module('ctypes')", "blocked_import", "ctypes", None, 2, 0),
    ("from importlib import import_module as i\ni('cty' 'pes')", "blocked_import", "ctypes", "i('cty' 'pes')", 2, 0),
    ("import subprocess\nsubprocess.run(['ls'], check=True)", "process", "subprocess.run", None, 2, 0),
    ("from subprocess import Popen\nwith Popen('ls') as p: p", "process", "subprocess.Popen", "Popen('ls')", 2, 5),
    ("import asyncio\nasyncio.create_subprocess_exec('ls')", "process", "asyncio.create_subprocess_exec", None, 2, 0),
    ("import os\nos.kill(1, 9)", "process", "os.kill", "os.kill(1, 9)", 2, 0),
    ("import os\nos.remove('a')", "file_write", "os.remove", "os.remove('a')", 2, 0),
    ("import os\nos.listdir()", "file_read", "os.listdir", "os.listdir()", 2, 0),
    ("import shutil\nshutil.rmtree('a')", "file_write", "shutil.rmtree", "shutil.rmtree('a')", 2, 0),
    ("from pathlib import Path\nPath('a').write_text('b')", "file_write", "pathlib.Path.write_text", None, 2, 0),
    ("from pathlib import Path\n(Path('a') / 'b').read_text()", "file_read", "pathlib.Path.read_text", None, 2, 0),
    ("from pathlib import Path\np = Path('a')\np.parent.mkdir()", "file_write", "pathlib.Path.mkdir", None, 3, 0),
    ("from pathlib import Path\nPath('a').open('w')", "file_write", "pathlib.Path.open", None, 2, 0),
    ("import tempfile\ntempfile.mkstemp()", "file_write", "tempfile.mkstemp", "tempfile.mkstemp()", 2, 0),
    ("import io\nio.open('a', 'w')", "file_write", "a", "io.open('a', 'w')", 2, 0),
    ("import builtins\nbuiltins.exec('1')", "blocked_call", "exec", "builtins.exec('1')", 2, 0),
    ("import builtins as b\ngetattr(b, 'exec')", "blocked_call", "exec", "getattr(b, 'exec')", 2, 0),
    ("from builtins import eval as e\ne('1')", "blocked_call", "eval", "e('1')", 2, 0),
    ("import socket\ns = socket.socket()\ns.connect(('a', 1))", "network", "socket.socket.connect", None, 3, 0),
    ("import socket\nwith socket.socket() as s: s.bind(a)", "network", "socket.socket.bind", "s.bind(a)", 2, 27),
    ("import urllib.request\nurllib.request.urlopen('a')", "network", "urllib.request.urlopen", None, 2, 0),
    ("import urllib.request as r\nr.urlopen('a')", "network", "urllib.request.urlopen", "r.urlopen('a')", 2, 0),
    ("import requests\nrequests.get('a')", "network", "requests.get", "requests.get('a')", 2, 0),
    ("import requests\ns = requests.Session()\ns.post('a')", "network", "requests.Session.post", "s.post('a')", 3, 0),
    ("import operator\noperator.attrgetter('a.__globals__')", "blocked_attribute", "__globals__", None, 2, 0),
]

HARMLESS = [
    "",
    "# import os",
    "'import os'",
    "import math",
    "import json, math",
    "import datetime as dt",
    "from datetime import datetime, timedelta",
    "import json.decoder",
    "from json.decoder import JSONDecodeError",
    "from math import *",
    "from __future__ import annotations",
    "__import__('math')",
    "__import__(name)",
    "import nowhere_to_be_found",  # an error of its own
    "from nowhere_to_be_found.a import b",
    # Names that only look like it.
    "os = 1\nos + 1",
    "os = {'system': 1}\nos['system']",
    "class os: pass\nos.system = 1",
    "def eval(x): return x\neval(1)",
    "def f(eval): return eval(1)",
    "f = lambda open: open('a')",
    "for exec in [print]: exec(1)",
    "compile = str.upper\ncompile('a')",
    "from json import loads as eval\neval('1')",
    "with x as open: open('a')",
    "try: pass\nexcept Exception as exec: exec",
    "match x:\n    case {'a': 1, **eval}: eval(1)",
    "[open for open in []]",
    "if (open := 1): open",
    "def f():\n    global eval\n    eval = len\neval([])",
    "def f():\n    eval = 1\n    def g():\n        nonlocal eval\n        eval = 2\n    return eval",
    "import random as os\nos.random()",
    # Methods and attributes.
    "self.open('a')",
    "door.open()",
    "re.compile('a')",
    "model.eval()",
    "df.eval('a + b')",
    "connection.exec('a')",
    "x.system('ls')",
    "x.os.remove('a')",
    "items.remove(1)",
    "d.get('os')",
    "cache.get('a')",
    "self.__class__.__name__",
    "type(x).__name__",
    "x.__dict__",
    "x.__dict__['name']",
    "vars(x)['name']",
    "globals()['name']",
    "locals()",
    "dir()",
    "A.__mro__",
    "A.__bases__",
    "A.__doc__, A.__module__, A.__qualname__",
    "super().__init__()",
    "class Shape: pass\nclass Box(Shape): pass\nShape.__subclasses__()",
    "f.__name__ = 'g'\nf.__wrapped__",
    "def __getattr__(self, name): return self.__dict__[name]",
    "d['__self__'] = 1",
    "d['__globals__']",
    "getattr(x, 'name')",
    "getattr(x, name, None)",
    "hasattr(x, '__len__')",
    "setattr(x, 'name', 1)",
    "'{0.name}'.format(x)",
    "'{}'.format('__globals__')",
    "f'{x.__class__.__name__}'",
    "'__globals__'",
    "'eval(1)'",
    # Builtins that look dangerous, and are not.
    "input('name? ')",
    "print('open')",
    "exit()",
    "raise SystemExit(1)",
    "id(x), hash(x), callable(x), isinstance(x, int)",
    "type('A', (), {})()",
    "help",
    "memoryview(b'a')",
    "assert x, 'os.system'",
    "class A: open = 1",
    "async def f():\n    async with x as y:\n        await y.open()",
]

# At level moderate, besides.
HARMLESS_AT_MODERATE = [
    "open('a.txt').read()",
    "with open('a.txt', 'rb') as f: f.read()",
    "import re\nre.compile('a')",
    "import collections.abc",
    "from collections import Counter, defaultdict",
    "from pathlib import Path\nPath('a').read_text()",
    "from pathlib import Path\nfor p in Path('.').glob('*'): p.suffix",
    "import numpy as np\nnp.random.rand(3)",
    "import itertools, functools, statistics, string, time",
    "import io\nio.StringIO('a').write('b')",
    "import ast\nast.literal_eval('[1]')",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from decimal import Decimal",
    "import operator\noperator.attrgetter('a.b')",
    "import csv\ncsv.reader(open('a.csv', newline=''))",
    "import glob\nglob.glob('*.txt')",
]


def first(code: str, policy: SecurityPolicy):
    violations = analyse(code, policy)
    assert violations, code
    return violations[0]


@pytest.mark.parametrize(
    ("code", "kind", "subject", "blocked", "line", "column"), FORBIDDEN, ids=[ascii(row[0]) for row in FORBIDDEN]
)
def test_strict_forbids(code, kind, subject, blocked, line, column):
    found = first(code, STRICT)
    assert (found.kind, found.subject, found.blocked_code) == (kind, subject, blocked)
    assert (found.line, found.column) == (line, column)
    assert "strict mode" in found.reason
    assert found.alternatives


@pytest.mark.parametrize(
    ("code", "kind", "subject", "blocked", "line", "column"), EFFECTS, ids=[ascii(row[0]) for row in EFFECTS]
)
def test_what_a_module_may_be_imported_for_does_not_allow_what_it_does(code, kind, subject, blocked, line, column):
    found = first(code, CUSTOM)
    assert (found.kind, found.subject, found.line, found.column) == (kind, subject, line, column)
    if blocked is None:
        blocked = code.splitlines()[line - 1]
    assert found.blocked_code == blocked
    assert "custom mode" in found.reason


# What code could be made of that does what is forbidden.
FORBIDDING = [
    *sorted(ATTRIBUTES | DYNAMIC | LEAKS | set(dir(builtins)) | {name.rpartition(".")[2] for name in OPENERS}),
    *("(", ")", "()", "[", "]", ".", ", ", " + ", " = ", ": ", "{", "}", "x", "f", "f'{", "}'", "'", '"', "\n", ";"),
    *("  ", "'ev' + 'al'", "['ev' + 'al']", "'os'", "('1')", "[::-1]", "lambda: ", "class x", "def f():\n "),
    *("match x:\n case ", "attrgetter", "format_map", "modules", "system", "_os", "__dict__", "__getattribute__"),
    *("ｅval", "\\x5f"),
]


def test_the_tables_are_as_long_as_they_ought_to_be():
    assert len(FORBIDDEN) + len(EFFECTS) >= 80
    assert len(set(HARMLESS) | set(HARMLESS_AT_MODERATE)) >= 60


@pytest.mark.parametrize("code", HARMLESS, ids=ascii)
def test_harmless_code_has_no_violation(code):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(code, "<string>", "exec")
    assert analyse(code, STRICT) == []
    assert analyse(code, MODERATE) == []


@pytest.mark.parametrize("code", HARMLESS_AT_MODERATE, ids=ascii)
def test_code_that_level_moderate_allows_has_no_violation(code):
    assert analyse(code, MODERATE) == []


@pytest.mark.parametrize("code", [row[0] for row in (*FORBIDDEN, *EFFECTS)], ids=ascii)
def test_permissive_forbids_nothing(code):
    assert analyse(code, SecurityPolicy.of("permissive")) == []


@pytest.mark.parametrize("code", [row[0] for row in (*FORBIDDEN, *EFFECTS)], ids=ascii)
def test_what_is_forbidden_is_not_clear_at_a_glance(code):
    assert not is_clear(code, STRICT)


def test_most_code_that_only_computes_is_clear_at_a_glance():
    codes = [each.code for each in (*names.CORPUS, *runtime.CORPUS, *syntax.CORPUS)]
    assert sum(is_clear(code, STRICT) for code in codes) > len(codes) / 2


@given(st.lists(st.sampled_from(FORBIDDING), min_size=1, max_size=12))
@example(["globals", "()", "['ev' + 'al']", "('1')"])
def test_in_what_is_clear_at_a_glance_there_is_nothing_to_find(pieces: list[str]):
    code = "".join(pieces)
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return
    if is_clear(code, STRICT):
        assert would_forbid(code, tree, STRICT) == []


IMPORTS = (
    *("import math", "import random, json", "import json as j", "from math import sqrt", "from random import _os"),
    *("import operator", "from operator import attrgetter as get", "import pathlib", "import importlib", "import sys"),
    *("from math import *", "from json import codecs as c", "import math as eval", "import random as os"),
)
AFTER_IMPORTS = (
    *("x = random._os", "random.os.system('a')", "_os.system('a')", "j.codecs.sys", "c.sys", "os.system('a')"),
    *("get('gi_' 'frame')", "operator.attrgetter('__glo' + 'bals__')", "sys.modules['os']", "eval('1')", "sqrt(2)"),
    *("pathlib.Path('a').write_text('b')", "importlib.import_module('os')", "text = '''\nimport math\n'''"),
)


@given(st.lists(st.sampled_from(IMPORTS), min_size=1, max_size=3), st.lists(st.sampled_from(AFTER_IMPORTS), max_size=3))
def test_in_what_is_clear_by_its_imports_there_is_nothing_to_find(imports: list[str], others: list[str]):
    code = "\n".join([*imports, *others])
    policy = SecurityPolicy.of("strict", ["importlib", "json", "math", "operator", "pathlib", "random", "sys"])
    if is_clear(code, policy):
        assert would_forbid(code, ast.parse(code), policy) == []


def test_plain_imports_of_allowed_modules_are_clear_at_a_glance():
    assert is_clear("import pandas as pd\nfrom math import sqrt, pi as half\npd.DataFrame([sqrt(2)])", MODERATE)
    assert not is_clear("import math\nmath._os", STRICT)
    assert not is_clear("import math; import os", STRICT)


def test_the_report_of_a_failed_import_is_that_of_the_document():
    found = first("import os", STRICT)
    assert found.attempted_operation == "import os"
    assert found.reason == "importing 'os' is denied in strict mode"
    assert found.alternatives == [
        "Keep the data in variables, and leave the result as the last expression.",
        "Use only what may be imported: math, json, datetime, random.",
    ]


def test_the_report_of_a_missing_file_is_that_of_the_document():
    found = first("open('/etc/passwd', 'w')", STRICT)
    assert found.attempted_operation == "file_write"
    assert found.blocked_code == "open('/etc/passwd', 'w')"
    assert found.reason == "writing files is denied in strict mode"


def test_all_violations_are_listed_in_the_order_of_the_source():
    code = "def f():\n    return open('a', 'w')\nimport os, sys\nos.system('ls')"
    listed = [(each.line, each.kind, each.subject) for each in analyse(code, STRICT)]
    assert listed == [
        (2, "file_write", "a"),
        (3, "blocked_import", "os"),
        (3, "blocked_import", "sys"),
        (4, "process", "os.system"),
    ]


def test_allowed_imports_are_allowed_with_what_is_below_them():
    policy = SecurityPolicy.of("strict", ["xml.etree", "numpy"])
    code = "import numpy.linalg\nimport xml.etree.ElementTree as ET\nfrom xml import etree\nfrom numpy import array"
    assert analyse(code, policy) == []
    assert [each.subject for each in analyse("import xml.sax\nfrom xml import sax", policy)] == ["xml.sax", "xml"]


def test_a_policy_that_allows_code_at_run_time_allows_what_is_inside():
    policy = SecurityPolicy.custom(dynamic=True)
    assert analyse("eval('1'); f.__globals__; __builtins__; '{0.__code__}'.format(f)", policy) == []
    assert [each.subject for each in analyse("import os", policy)] == ["os"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"files": "write"}, "open('a', 'w')"),
        ({"files": "all"}, "open('/a', 'w')"),
        ({"files": "read"}, "open('a')"),
        ({"network": True}, "import socket\nsocket.create_connection(a)"),
        ({"processes": True}, "import os\nos.system('ls')"),
    ],
    ids=str,
)
def test_a_custom_policy_allows_what_it_says(options, code):
    modules = ["os", "socket"]
    assert analyse(code, SecurityPolicy.custom(modules=modules, **options)) == []
    assert analyse(code, SecurityPolicy.custom(modules=modules))


@pytest.mark.parametrize(
    "code",
    [
        "x = (",
        "import os; x = (",
        "a\0b",
        "\ud800",
        "(" * 500,
        "-" * 100_000 + "1",
        "1+" * 20_000 + "1",
        "x = " + "9" * 5000,
        "\x0cimport",
        "if 1:\n\tx\n        y",
    ],
    ids=lambda code: ascii(code[:12]),
)
def test_code_that_is_no_python_has_no_violations(code):
    assert analyse(code, STRICT) == []


@pytest.mark.parametrize(
    "code",
    [
        "x" + ".a" * 900 + ".__globals__",
        "f" + "()" * 900,
        "x = " + "[" * 80 + "eval" + "]" * 80,
        "x = " + " + ".join(["'o'"] * 900),
        "a0 = eval\n" + "\n".join(f"a{n + 1} = a{n}" for n in range(3000)) + "\na3000('1')",
        "a = b\nb = a\na()",
        "a = a\na()",
        "a = a.b\na.c()",
    ],
    ids=lambda code: ascii(code[:12]),
)
def test_chains_and_circles_come_to_an_end(code):
    analyse(code, STRICT)


def test_a_byte_order_mark_moves_nothing():
    found = first("\ufeffimport os", STRICT)
    assert (found.blocked_code, found.line, found.column) == ("import os", 1, 0)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=ascii)
def test_lines_count_as_the_compiler_counts_them(end):
    code = end.join(["x = 'a\x0b\x0c\x1c\u2028b'", "'ä'; open('b')", ""])
    found = first(code, STRICT)
    assert (found.line, found.column, found.blocked_code) == (2, 5, "open('b')")


def test_an_invalid_escape_emits_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [each.subject for each in analyse(r"x = '\d'; import os", STRICT)] == ["os"]


def test_a_page_of_violations_is_enough():
    assert len(analyse("import os\n" * 5000, STRICT)) == 200


def test_what_is_long_is_cut():
    found = first(f"eval('{'x' * 10_000}')", STRICT)
    assert len(found.blocked_code) == 500
    assert found.blocked_code.endswith("...")


@given(st.text())
def test_any_text_can_be_analysed(text):
    analyse(text, STRICT)


PIECES = st.sampled_from(
    "import from as os eval open ( ) [ ] { } . , : ; = := == lambda def class return yield await async for in if else "
    "while with try except finally match case del global nonlocal __globals__ getattr 'os' f'{x}' x 1 * ** + / @ \n "
    "\n\t".split(" ")
)


@given(st.lists(PIECES, max_size=40).map(" ".join))
def test_anything_that_looks_like_python_can_be_analysed(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = analyse(text, STRICT)
        try:
            ast.parse(text)
        except (SyntaxError, ValueError):
            assert found == []


@given(st.sampled_from(FORBIDDEN), st.lists(st.sampled_from(HARMLESS), max_size=5))
def test_what_is_forbidden_stays_so_among_what_is_not(row, others):
    code, kind, subject, blocked, _, _ = row
    names = set(re.findall(r"\w+", unicodedata.normalize("NFKC", code))) - set(keyword.kwlist)
    before = "".join(f"{other}\n" for other in others if names.isdisjoint(re.findall(r"\w+", other)))
    found = [(each.kind, each.subject, each.blocked_code) for each in analyse(before + code, STRICT)]
    assert (kind, subject, blocked) in found
