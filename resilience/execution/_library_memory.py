"""Memory needs of numeric libraries: default limits, and environment variables that keep them to one thread.

Measured on x86-64 Linux with one thread each: what an import and a small computation take, rounded up generously, since
releases differ.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

from resilience.execution.security import SecurityPolicy

__all__ = ["DEFAULT_LIMIT", "LIBRARY_LIMIT", "blas_threads", "default_limit", "needed_memory", "thread_settings"]

DEFAULT_LIMIT = "100MB"
"""Default memory limit where the policy allows only the standard library."""
LIBRARY_LIMIT = "1GB"
"""Default memory limit where the policy allows other modules."""

_GB = 1024
_LIBRARY_MEGABYTES = {
    **dict.fromkeys(("aiohttp", "httpx", "pydantic", "requests", "sqlalchemy"), 100),
    **dict.fromkeys(("PIL", "networkx", "numpy", "sympy"), 256),
    **dict.fromkeys(("matplotlib", "pandas", "plotly", "polars", "scipy", "sklearn"), 512),
    **dict.fromkeys(
        ("cv2", "dask", "duckdb", "lightgbm", "numba", "pyarrow", "seaborn", "skimage", "statsmodels"), _GB
    ),
    **dict.fromkeys(("shap", "xgboost"), 2 * _GB),
    **dict.fromkeys(("jax", "keras", "tensorflow", "torch", "transformers"), 8 * _GB),
}
"""Megabytes of address space."""
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+(\w+)|import[ \t]+([^#;\n]+))", re.MULTILINE)

# OpenBLAS and OpenMP start a thread for each core and set 40 to 100 MB of address space aside for it; glibc does so for
# each thread that allocates (64 MB). On a server with 64 cores `import numpy` alone would take 3 GB.
_THREAD_VARIABLES = (
    *("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "MALLOC_ARENA_MAX"),
)


_BLAS_VARIABLES = _THREAD_VARIABLES[:3]
_MEGABYTES_OF_THREAD = 64
"""Address space that OpenBLAS sets aside for each thread after the first, rounded up: 41 MB were measured."""
_USING_BLAS = frozenset({"numpy", "pandas", "scipy", "sklearn", "matplotlib", "seaborn", "statsmodels", "xarray"})
_MAX_THREADS = 1024


def blas_threads(environment: Mapping[str, str]) -> int:
    """Return how many threads a program with this *environment* has its linear algebra start.

    >>> blas_threads({"OPENBLAS_NUM_THREADS": "64"}), blas_threads({"OMP_NUM_THREADS": "all"}), blas_threads({})
    (64, 1, 1)
    """
    given = (environment.get(name, "") for name in _BLAS_VARIABLES)
    return min(max((int(each) for each in given if each.isdecimal()), default=1), _MAX_THREADS)


def thread_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that give each library one thread, unless *environment* sets them.

    >>> settings = thread_settings({"OMP_NUM_THREADS": "4", "HOME": "/"})
    >>> settings["OMP_NUM_THREADS"], settings["OPENBLAS_NUM_THREADS"]
    ('4', '1')
    """
    return {name: environment.get(name, "1") for name in _THREAD_VARIABLES}


def default_limit(policy: SecurityPolicy) -> str:
    """Return the memory limit of a request that names none.

    >>> default_limit(SecurityPolicy.of("strict")), default_limit(SecurityPolicy.of("moderate"))
    ('100MB', '1GB')
    >>> default_limit(SecurityPolicy.of("strict", ["numpy"])), default_limit(SecurityPolicy.of("strict", ["re"]))
    ('1GB', '100MB')
    """
    known = sys.stdlib_module_names
    only_standard = policy.modules is not None and all(each.partition(".")[0] in known for each in policy.modules)
    return DEFAULT_LIMIT if only_standard else LIBRARY_LIMIT


def needed_memory(code: str, threads: int = 1) -> tuple[list[str], int]:
    r"""Return the libraries that *code* imports and whose needs are known, and the bytes that suffice for them.

    *threads* are those of linear algebra, of which each takes address space.

    >>> needed_memory("import numpy", threads=64)[1] >> 20
    4288
    >>> needed_memory("import numpy as np, json\nfrom pandas import DataFrame")
    (['numpy', 'pandas'], 536870912)
    >>> needed_memory("import json")
    ([], 0)
    """
    modules: list[str] = []
    for found in _IMPORT.finditer(code):
        modules += found[1].split() if found[1] else found[2].split(",")
    tops = [each.split()[0].partition(".")[0] for each in modules if each.strip()]
    libraries = [each for each in dict.fromkeys(tops) if each in _LIBRARY_MEGABYTES]
    megabytes = max((_LIBRARY_MEGABYTES[each] for each in libraries), default=0)
    if not _USING_BLAS.isdisjoint(libraries):
        megabytes += (threads - 1) * _MEGABYTES_OF_THREAD
    return libraries, megabytes << 20
