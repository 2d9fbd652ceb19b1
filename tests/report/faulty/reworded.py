"""Programs whose messages Python words differently from version to version, or has had only since one of them."""

from tests.report.faulty import faulty


def await_of(value: str) -> str:
    return f"import asyncio\nasync def main():\n    await {value}\nasyncio.run(main())"


CORPUS = [
    # What does not compile.
    faulty("diamond in a call", "print(1 <> 2)", "!=", fix="print(1 != 2)"),
    faulty("elif after else", "if 1: pass\nelse: pass\nelif 2: pass", "after `else`", line=3, since=(3, 14)),
    faulty("statement after else", "x = 1 if 2 else pass", "after 'else'", since=(3, 14)),
    faulty("statement before if", "x = pass if 2 else 1", "before 'if'", since=(3, 14)),
    faulty("prefixes", 'x = ub"a"', "both u and b", since=(3, 14)),
    faulty("empty braces of a template", 'x = t"{}"', "braces of a t-string are empty", since=(3, 14)),
    faulty("open brace of a template", 'x = t"{1"', "brace { in a t-string", since=(3, 14)),
    faulty("single brace of a template", 'x = t"a } b"', "single } stands in a t-string", "}}", since=(3, 14)),
    faulty("conversion of a template", 'x = t"{1!z}"', "! in the t-string", since=(3, 14)),
    faulty("lambda in a template", 'x = t"{lambda y: 1}"', "a lambda in a t-string", since=(3, 14)),
    faulty("lambda in a text", 'x = f"{lambda y: 1}"', "a lambda in an f-string", since=(3, 13)),
    faulty("unterminated template", 'x = t"abc', "no closing quote", since=(3, 14)),
    faulty("unterminated template in lines", 'x = t"""abc', "triple quotes", since=(3, 14)),
    faulty("template of templates", 'x = t"{1:{1:{1:{1}}}}"', "nested too deeply", since=(3, 14)),
    faulty("template beside a text", 'x = t"a" "b"', "side by side", since=(3, 14)),
    faulty("parameter after the last", "def f(**a, b): pass", "a parameter stands after **"),
    faulty("default of the rest", "def f(*a=()): pass", "no default"),
    faulty("default of the named rest", "def f(**a={}): pass", "no default"),
    faulty("nothing after a star", "def f(*): pass", "nothing follows the *"),
    faulty("star twice", "def f(*a, *b): pass", "twice among the parameters"),
    faulty("star in a comprehension", "[*a for a in [[1]]]", "before Python 3.15", until=(3, 15)),
    faulty("stars in a comprehension", "{**a for a in [{}]}", "before Python 3.15", until=(3, 15)),
    faulty("stars as a value", "{'a': **b}", "** stands where a value", "entry of its own", since=(3, 15)),
    faulty("stars in a pattern", "match {}:\n    case {**a, 'b': 1}: pass", "** takes", line=2, since=(3, 15)),
    faulty("assignment in an assertion", "x = 1\nassert x = 1", "assigned to name", line=2, since=(3, 15)),
    faulty(
        "lazy in a function", "def f():\n    lazy import os", "cannot be lazy here", "top level", line=2, since=(3, 15)
    ),
    faulty("lazy in a try", "try:\n    lazy import os\nfinally:\n    pass", "cannot be lazy", line=2, since=(3, 15)),
    faulty("lazy in a class", "class A:\n    lazy from os import path", "cannot be lazy", line=2, since=(3, 15)),
    faulty("lazy star", "lazy from os import *", "cannot be lazy", "`*` is never lazy", since=(3, 15)),
    # Values of another type.
    faulty("await of nothing", await_of("print()"), "got a NoneType, which is no coroutine", line=3),
    faulty("await of a function", await_of("main"), "got a function, which is no coroutine", line=3),
    faulty("unpacked number", "print(*5)", "cannot be unpacked", "a list or tuple after *"),
    faulty("unpacked list", "print(**[1])", "cannot be unpacked"),
    faulty("too few places", "'a' % 1", "fewer % places"),
    faulty("too many places", "'%s %s' % 1", "more % places"),
    faulty("text for a number", "'%d' % 'a'", "%d needs a real number, and got a str"),
    faulty("text for hexadecimal", "'%x' % 'a'", "%x needs an integer, and got a str"),
    faulty("search in a number", "'a' in 5", "cannot search in an int"),
    faulty("pairs of numbers", "dict([1])", "no list of pairs"),
    faulty("bytes of a number", "bytes.fromhex(1)", "text is needed"),
    faulty("path of a number", "import pathlib\npathlib.Path(1)", "a path is needed, and an int was given", line=2),
    faulty(
        "copied file", "import copy\nwith open('/dev/null') as f:\n    copy.deepcopy(f)", "cannot be copied", line=3
    ),
    faulty("copied lambda", "import pickle\npickle.dumps(lambda: 1)", "cannot be copied", "top level", line=2),
    # Values out of range.
    faulty("format", "'%y' % 1", "% format in the text"),
    faulty("format of bytes", "b'%y' % 1", "% format in the text"),
    faulty("percent sign", "'100 %' % 1", "% format in the text", "%%"),
    faulty("key of a format", "'%(a' % {}", "% format in the text"),
    faulty("list index", "[1].index(2)", "[1].index(2) looks for"),
    faulty("deque", "import collections\ncollections.deque().remove(1)", "is not there", line=2),
    faulty("odd hexadecimal", "bytes.fromhex('abc')", "not hexadecimal", "even number"),
    faulty("odd digits", "import binascii\nbinascii.unhexlify('abc')", "not hexadecimal", line=2),
    faulty("base32", "import base64\nbase64.b32decode('a')", "the text is no base", line=2),
    faulty("base64", "import base64\nbase64.b64decode('a!==', validate=True)", "the text is no base64", line=2),
    faulty("lengths", "list(map(max, [1], [1, 2], strict=True))", "map() got is not of one length", since=(3, 14)),
    faulty("negative count", "import itertools\nitertools.combinations([1], -1)", "a negative number", line=2),
    faulty("gamma", "import math\nmath.gamma(0)", "no result for this number", line=2),
    faulty("root", "import math\nmath.sqrt(-1)", "no result for this number", line=2),
    faulty("year", "import datetime\ndatetime.date(0, 1, 1)", "out of range", line=2),
    faulty("day", "import datetime\ndatetime.date(2024, 2, 30)", "out of range", line=2),
    faulty("month", "import calendar\ncalendar.monthrange(2024, 13)", "out of range", line=2),
    faulty("divided complex", "1j / 0", "divides by 0"),
]
