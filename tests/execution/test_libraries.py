"""Libraries that programs import: they work at the defaults, and a limit that is too low for them is reported."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from resilience import ErrorCategory
from resilience.execution import ExecutionReport, ExecutionRequest, SecurityPolicy, SubprocessExecutor
from resilience.execution._library_memory import DEFAULT_LIMIT, LIBRARY_LIMIT, default_limit, needed_memory

pytestmark = pytest.mark.slow  # each imports a large library in a process of its own

LIMITED = pytest.mark.skipif(sys.platform != "linux", reason="the system keeps no limit of memory")


@pytest.fixture(scope="module")
def executor() -> Iterator[SubprocessExecutor]:
    with SubprocessExecutor() as executor:
        yield executor


def run(executor: SubprocessExecutor, code: str, **options: object) -> ExecutionReport:
    return executor.execute_sync(ExecutionRequest(code, **options))


# For each library of level moderate one plain thing that is done with it, and what comes of that.
USES = {
    "attr": ("import attr\n@attr.s\nclass P:\n    x = attr.ib()\nrepr(P(1))", "P(x=1)"),
    "attrs": ("import attrs\n@attrs.define\nclass P:\n    x: int\nrepr(P(1))", "P(x=1)"),
    "dateutil": ("import dateutil.parser\ndateutil.parser.parse('3 May 2024').isoformat()", "2024-05-03T00:00:00"),
    "matplotlib": (
        """
import io
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.title("t")
file = io.BytesIO()
plt.savefig(file)
file.getvalue()[1:4].decode()""",
        "PNG",
    ),
    "networkx": ("import networkx as nx\nnx.shortest_path(nx.path_graph(4), 0, 3)", [0, 1, 2, 3]),
    "numpy": ("import numpy as np\na = np.eye(200)\nfloat(np.linalg.inv(a @ a).sum())", 200.0),
    "pandas": ("import io\nimport pandas as pd\nint(pd.read_csv(io.StringIO('a,b\\n1,2\\n3,4')).b.sum())", 6),
    "polars": ("import polars as pl\npl.DataFrame({'a': [1, 2]}).filter(pl.col('a') > 1).height", 1),
    "pydantic": ("import pydantic\nclass P(pydantic.BaseModel):\n    x: int\nP(x='3').x", 3),
    "pytz": ("import pytz\npytz.timezone('Europe/Berlin').zone", "Europe/Berlin"),
    "scipy": ("import scipy.stats\nround(float(scipy.stats.norm.cdf(0)), 6)", 0.5),
    "seaborn": (
        "import matplotlib\nmatplotlib.use('Agg')\nimport seaborn as sns\nlen(sns.barplot(x=[1, 2], y=[1, 2]).patches)",
        2,
    ),
    "sklearn": (
        """
from sklearn.cluster import KMeans
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
KMeans(2).fit([[1], [2], [8], [9]])
search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, n_jobs=2, cv=2)
search.fit([[1], [2], [3], [4]], [1, 2, 3, 4]).best_params_["alpha"]""",
        0.1,
    ),
    "statsmodels": (
        "import statsmodels.api as sm\nround(float(sm.OLS([2, 4, 6], [1, 2, 3]).fit().params[0]), 6)",
        2.0,
    ),
    "sympy": ("import sympy\nx = sympy.Symbol('x')\nstr(sympy.integrate(2 * x, x))", "x**2"),
    "typing_extensions": ("import typing_extensions\ntyping_extensions.Literal[1].__args__[0]", 1),
}


# Libraries that no level but permissive allows by itself.
OTHER_USES = {
    "PIL": (
        """
import io
from PIL import Image, ImageDraw, ImageFilter
image = Image.new("RGB", (99, 99), "red")
ImageDraw.Draw(image).text((5, 5), "hello")
file = io.BytesIO()
image.resize((50, 40)).filter(ImageFilter.BLUR).save(file, "PNG")
list(Image.open(io.BytesIO(file.getvalue())).size)""",
        [50, 40],
    ),
    "aiohttp": ("import aiohttp\naiohttp.FormData({'a': '1'})\naiohttp.ClientTimeout(total=3).total", 3),
    "httpx": ("import httpx\nstr(httpx.Request('GET', 'http://x/y', params={'a': 1}).url)", "http://x/y?a=1"),
    "requests": (
        "import requests\nrequests.Request('GET', 'http://x/y', params={'a': 1}).prepare().url",
        "http://x/y?a=1",
    ),
    "sqlalchemy": (
        """
import sqlalchemy as sa
table = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String))
engine = sa.create_engine("sqlite://")
with engine.begin() as connection:
    table.metadata.create_all(connection)
    connection.execute(table.insert(), [{"name": "a"}, {"name": "b"}])
    names = connection.execute(sa.select(table.c.name).order_by(table.c.id)).scalars().all()
list(names)""",
        ["a", "b"],
    ),
}


@pytest.mark.parametrize("library", OTHER_USES)
@pytest.mark.parametrize("limit", ["auto", "needed"])
def test_a_library_that_has_to_be_allowed_works_at_the_defaults_and_with_the_memory_it_needs(executor, library, limit):
    code, value = OTHER_USES[library]
    size = "auto" if limit == "auto" else needed_memory(code)[1]
    report = run(executor, code, allowed_imports=[library, "io"], memory_limit=size)
    assert report.success, report.error
    assert report.execution_result.return_value == value


@LIMITED
def test_the_size_that_would_do_is_named_for_a_library_of_pure_python(executor):
    report = run(executor, OTHER_USES["sqlalchemy"][0], allowed_imports=["sqlalchemy"], memory_limit="20MB")
    assert report.category is ErrorCategory.MEMORY
    assert report.error.specifics["memory_needed"] == "100MB"


def test_each_library_of_moderate_has_its_test_and_is_installed():
    libraries = [
        name for name in SecurityPolicy.of("moderate").available_modules if name not in sys.stdlib_module_names
    ]
    assert sorted(libraries) == sorted(USES)
    assert [name for name in libraries if find_spec(name) is None] == []


@pytest.mark.parametrize("library", USES)
def test_a_library_of_moderate_works_at_the_defaults(executor, library):
    code, value = USES[library]
    report = run(executor, code, security_level="moderate")
    assert report.success, report.error
    assert report.execution_result.return_value == value


@pytest.mark.parametrize("library", ["numpy", "pandas", "scipy"])
def test_a_library_that_is_allowed_at_strict_works_at_the_defaults(executor, library):
    code, value = USES[library]
    report = run(executor, code, allowed_imports=[library, "io"])
    assert report.success, report.error
    assert report.execution_result.return_value == value


def test_several_libraries_at_once_work_at_the_defaults(executor):
    code = "import sklearn.ensemble, pandas, matplotlib.pyplot, seaborn, statsmodels.api, scipy.optimize, polars\n1"
    report = run(executor, code, security_level="moderate", timeout=60)
    assert report.success, report.error


# -- the limit -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "imports", "limit"),
    [
        ("strict", [], DEFAULT_LIMIT),
        ("strict", ["statistics", "xml.etree"], DEFAULT_LIMIT),
        ("strict", ["numpy"], LIBRARY_LIMIT),
        ("strict", ["scipy.stats"], LIBRARY_LIMIT),
        ("moderate", [], LIBRARY_LIMIT),
        ("permissive", [], LIBRARY_LIMIT),
        ("custom", [], DEFAULT_LIMIT),
        (SecurityPolicy.custom(modules=["math"]), [], DEFAULT_LIMIT),
        (SecurityPolicy.custom(modules=None), [], LIBRARY_LIMIT),
    ],
)
def test_the_limit_goes_by_what_may_be_imported_where_none_is_given(level, imports, limit):
    request = ExecutionRequest("1", security_level=level, allowed_imports=imports)
    assert default_limit(SecurityPolicy.of(level, imports)) == limit
    assert request.memory_bytes == {"100MB": 100 << 20, "1GB": 1 << 30}[limit]
    assert ExecutionRequest("1", security_level=level, memory_limit="7MB").memory_bytes == 7 << 20


@LIMITED
def test_the_limit_of_a_level_that_allows_libraries_is_a_limit(executor):
    report = run(executor, "import numpy\nx = bytearray(1 << 30)", security_level="moderate")
    assert report.category is ErrorCategory.MEMORY and report.error.line_number == 2
    assert report.error.error_message == "Memory limit of 1024MB exceeded"  # which is enough for the library


TOO_LITTLE = {
    "numpy": ("import numpy as np\na = np.eye(200)\nfloat((a @ a).sum())", "numpy takes at least 256MB"),
    "pandas": ("import pandas", "pandas takes at least 512MB"),
    "scipy": ("import numpy as np\nimport scipy.stats", "numpy and scipy take at least 512MB"),
    "sklearn": ("from sklearn.linear_model import Ridge", "sklearn takes at least 512MB"),
    "polars": ("import polars as pl\npl.DataFrame({'a': [1]})", "polars takes at least 512MB"),
}


@LIMITED
@pytest.mark.parametrize("limit", [20, 40, 60, 80, 100, 120, 150, 175, 200])
@pytest.mark.parametrize("library", TOO_LITTLE)
def test_a_limit_too_low_for_a_library_is_reported_with_a_sufficient_size(executor, library, limit):
    code, expected = TOO_LITTLE[library]
    report = run(executor, code, security_level="permissive", memory_limit=f"{limit}MB", timeout=30)
    if not report.success:  # releases differ in what they take
        assert (report.category, report.error.error_type) == (ErrorCategory.MEMORY, "MemoryError"), report.error
        assert report.error.error_message == f"Memory limit of {limit}MB exceeded: {expected}"
        size = expected.rpartition(" ")[2]
        assert f"memory_limit='{size}'" in report.error.suggestions[0]
        assert "install" not in report.to_json(4).lower().replace("is there but", "")
    assert report.success or limit < 200 or library in ("scipy", "sklearn", "polars")
    assert not report.success or limit > 60


def test_a_libraries_threads_are_one_unless_this_process_says_otherwise(monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with SubprocessExecutor(spares=0) as executor:
        code = (
            "import os\n[os.environ[name] for name in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')]"
        )
        report = run(executor, code, security_level="permissive")
    assert report.execution_result.return_value == ["1", "3", "1"]


PROCESSORS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

long sysconf(int name) {
    static long (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "sysconf");
    return name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF ? 64 : real(name);
}
int get_nprocs(void) { return 64; }
int get_nprocs_conf(void) { return 64; }
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set) {
    memset(set, 0, size);
    for (int i = 0; i < 64; i++) CPU_SET_S(i, size, set);
    return 0;
}
"""


@pytest.fixture(scope="module")
def processors(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that has every program believe that the machine has 64 processors: by what OpenBLAS and Python ask."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("there is no compiler of C")
    directory = tmp_path_factory.mktemp("processors")
    (directory / "processors.c").write_text(PROCESSORS)
    library = str(directory / "processors.so")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, str(directory / "processors.c"), "-ldl"], check=True, timeout=60
    )
    return library


USE = """
import os
import numpy
a = numpy.ones((300, 300))
(os.cpu_count(), float((a @ a)[0, 0]))"""


def test_numeric_libraries_work_at_the_defaults_on_64_processors(processors):
    with SubprocessExecutor(spares=0, environment={"LD_PRELOAD": processors}) as executor:
        report = run(executor, USE, security_level="permissive", memory_limit="256MB")
    assert report.execution_result.return_value == [64, 300.0], report.error


def test_threads_that_do_not_fit_into_the_limit_are_named_with_the_size_that_suffices(processors):
    environment = {"LD_PRELOAD": processors, "OPENBLAS_NUM_THREADS": "64"}
    with SubprocessExecutor(spares=0, environment=environment) as executor:
        report = run(executor, USE, security_level="permissive")
        assert report.category is ErrorCategory.MEMORY
        assert (
            report.error.error_message == "Memory limit of 1024MB exceeded: numpy takes at least 4288MB with 64 threads"
        )
        assert "OPENBLAS_NUM_THREADS" in report.error.suggestions[0]
        enough = run(executor, USE, security_level="permissive", memory_limit="4288MB")
    assert enough.success, enough.error


SAID = {
    "OpenBLAS ends the process": "OpenBLAS error: Memory allocation still failed after 10 retries, giving up.",
    "Rust aborts": "memory allocation of 8589934592 bytes failed",
    "C++ aborts": "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc",
    "a thread": "OpenBLAS blas_thread_init: pthread_create failed for thread 1 of 2: Resource temporarily unavailable",
    "Rust starts no thread": "failed to spawn polars-ooc cleaner thread: Os { code: 11, kind: WouldBlock }",
    "the loader": "ImportError: libgfortran.so.5: failed to map segment from shared object",
}


@LIMITED
@pytest.mark.parametrize("end", ["os._exit(1)", "os.abort()", "os.kill(os.getpid(), signal.SIGSEGV)"])
@pytest.mark.parametrize("kind", SAID)
def test_a_death_after_words_about_memory_is_a_matter_of_memory(executor, kind, end):
    code = f"import os, signal, numpy\nos.write(2, {SAID[kind].encode()!r})\n{end}"
    report = run(executor, code, security_level="permissive", memory_limit="200MB")
    assert report.error.error_message == "Memory limit of 200MB exceeded: numpy takes at least 256MB"
    assert report.category is ErrorCategory.MEMORY


@LIMITED
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGBUS", "SIGABRT"])
@pytest.mark.parametrize("limit", ["200MB", "1GB"], ids=["too low", "enough"])
def test_a_crash_under_a_limit_too_low_for_a_library_is_a_matter_of_memory(executor, limit, name):
    code = f"import os, signal, numpy\nos.kill(os.getpid(), signal.{name})"
    report = run(executor, code, security_level="permissive", memory_limit=limit)
    if limit == "200MB":
        assert report.error.error_message == "Memory limit of 200MB exceeded: numpy takes at least 256MB"
        assert report.category is ErrorCategory.MEMORY
    else:
        assert report.error.error_message == f"the process was killed by signal {name}"
        assert report.category is ErrorCategory.RUNTIME


@LIMITED
def test_an_interrupt_of_openblas_is_a_matter_of_memory(executor):
    code = f"import os, signal\nos.write(2, {SAID['a thread'].encode()!r})\nos.kill(os.getpid(), signal.SIGINT)"
    assert run(executor, code, security_level="permissive").category is ErrorCategory.MEMORY
    report = run(executor, "import os, signal\nos.kill(os.getpid(), signal.SIGINT)", security_level="permissive")
    assert (report.category, report.error.error_type) == (ErrorCategory.RUNTIME, "KeyboardInterrupt")


@LIMITED
def test_threads_and_mappings_that_do_not_fit_are_a_matter_of_memory(executor):
    threads = (
        "import threading\nend = threading.Event()\ntry:\n    for _ in range(1000):\n"
        "        threading.Thread(target=end.wait).start()\nfinally:\n    end.set()"
    )
    for code, line in ((threads, 5), ("import mmap\nmmap.mmap(-1, 1 << 33)", 2)):
        report = run(executor, code, security_level="permissive", memory_limit="100MB")
        assert (report.category, report.error.line_number) == (ErrorCategory.MEMORY, line)


@pytest.mark.parametrize(
    "code",
    [
        "raise RuntimeError('cannot allocate memory for the guests')",
        "raise OSError(12, 'Cannot allocate memory')",
        "raise ImportError('x.so: failed to map segment from shared object')",
    ],
)
def test_a_memory_message_of_the_program_itself_stays_unchanged(executor, code):
    assert run(executor, code, security_level="permissive").category is not ErrorCategory.MEMORY


def test_libraries_are_found_in_any_form_of_import():
    code = (
        "if 1:\n    import os, numpy.linalg as la\nfrom pandas.io import sql\nimport json  # torch\nx = 'import polars'"
    )
    assert needed_memory(code) == (["numpy", "pandas"], 512 << 20)


# -- what libraries read ---------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that is installed and reads what it likes, for an interpreter of its own."""
    import venv

    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    (site,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    (site / "curious.py").write_text(
        "def forgiving(path, otherwise=None):\n"
        "    try:\n"
        "        with open(path) as file:\n"
        "            return file.read(5)\n"
        "    except OSError:\n"
        "        return otherwise\n"
        "def strict(path):\n"
        "    with open(path) as file:\n"
        "        return file.read(5)\n"
        "def own():\n"
        "    return forgiving('/etc/hostname', 'a guess')\n"
        "def wrapping(path):\n"
        "    try:\n"
        "        return strict(path)\n"
        "    except OSError as error:\n"
        "        raise ValueError('no configuration') from error\n"
        "def processors():\n"
        "    return strict('/proc/cpuinfo')\n"
    )
    with SubprocessExecutor(python=python) as executor:
        yield lambda code, **options: run(executor, code, **{"allowed_imports": ["curious"], **options})


@pytest.mark.parametrize("level", ["strict", "moderate"])
def test_a_read_that_a_library_tries_and_goes_on_without_is_not_held_against_the_program(package, level):
    report = package("import curious\ncurious.own()", security_level=level)
    assert (report.success, report.execution_result.return_value) == (True, "a guess")


def test_a_library_may_ask_how_many_processors_there_are(package):
    report = package("import curious\ncurious.processors()")
    assert report.success and len(report.execution_result.return_value) == 5


REFUSED = {
    "the program's own": "open('/proc/cpuinfo')",
    "one that it catches": "try:\n    open('/etc/hostname')\nexcept OSError:\n    pass",
    "one that the standard library catches for it": "import glob\nglob.glob('/etc/*')",
    "one that it asks a library for": "import curious\ncurious.forgiving('/etc/hostname')",
    "one that a library passes on": "import curious\ncurious.strict('/etc/host' + 'name')",
    "one that a library passes on, and it catches": (
        "import curious\ntry:\n    curious.strict('/etc/host' + 'name')\nexcept OSError:\n    pass"
    ),
    "one whose traceback it removes": (
        "import curious\ntry:\n    curious.strict('/etc/host' + 'name')\nexcept OSError as error:\n"
        "    error.__traceback__ = None"
    ),
    "one that a library explains": "import curious\ncurious.wrapping('/etc/host' + 'name')",
    "one that a library explains, and it catches": (
        "import curious\ntry:\n    curious.wrapping('/etc/host' + 'name')\nexcept ValueError:\n    pass"
    ),
    "one by a path of its own": (
        "import curious, pathlib\nfolder = pathlib.Path('/etc')\ncurious.forgiving(folder / 'passwd')"
    ),
    "information on the system": "import curious\ncurious.strict('/proc/cpu' + 'info')",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_program_reads_itself_is_refused(package, kind):
    report = package(REFUSED[kind], security_level="moderate")
    assert (report.category, report.error.error_type) == (ErrorCategory.SECURITY, "SecurityViolation")


def test_an_error_after_a_tolerated_read_of_a_library_is_reported_unchanged(package):
    report = package("import curious\ncurious.own()\n1 / 0")
    assert (report.category, report.error.error_type) == (ErrorCategory.RUNTIME, "ZeroDivisionError")


def test_a_refused_read_is_a_permission_error(executor):
    code = "try:\n    open('/etc/hostname')\nexcept PermissionError as error:\n    print(error.errno, error)"
    report = run(executor, code, security_level="moderate")
    assert report.execution_result.stdout == "13 Attempted to read a file: '/etc/hostname'\n"
    assert report.category is ErrorCategory.SECURITY


def test_refusals_of_libraries_do_not_use_up_the_slots_of_the_program(package):
    loop = "import curious\nfor _ in range(300):\n    curious.own()\n"
    assert package(loop, security_level="moderate").success
    code = f"{loop}try:\n    open('/etc/passwd')\nexcept OSError:\n    pass"
    report = package(code, security_level="moderate")
    assert (report.category, report.error.line_number) == (ErrorCategory.SECURITY, 5)


def test_an_exception_that_lies_about_its_cause_breaks_no_report(package):
    code = (
        "class Odd(Exception):\n    @property\n    def __cause__(self): raise RuntimeError('no')\n"
        "    __context__ = __cause__\nraise Odd"
    )
    report = package(code, security_level="moderate")
    assert (report.category, report.error.error_type) == (ErrorCategory.RUNTIME, "Odd")


def panic(message: str) -> str:
    """Return a program in which an exception of Rust code comes out of an import, as pyo3 raises it."""
    module = f"class PanicException(BaseException): ...\nPanicException.__module__ = 'pyo3_runtime'\n{message}\n"
    return f"import sys\nsys.path.insert(0, '.')\nopen('rusty.py', 'w').write({module!r})\nimport rusty"


@LIMITED
def test_a_panic_of_rust_code_that_could_start_no_thread_is_a_matter_of_memory(executor):
    said = "raise PanicException('failed to spawn polars-ooc cleaner thread: Os { code: 11, kind: WouldBlock }')"
    assert run(executor, panic(said), security_level="permissive").category is ErrorCategory.MEMORY


@LIMITED
def test_any_other_panic_of_rust_code_is_an_error_of_the_program(executor):
    said = "raise PanicException('index out of bounds: the len is 1 but the index is 3')"
    report = run(executor, panic(said), security_level="permissive")
    assert (report.category, report.error.error_type) == (ErrorCategory.RUNTIME, "PanicException")
