"""Tables of names that programs use without importing them, and of modules and their packages.

`import_of` finds the module of a name. `PACKAGES` and `SAME_NAME` say what to install for a module; `REPLACEMENTS` and
`NOT_PYTHON` what to write for a name of another language or of Python 2.

Only what these tables have is ever advised for installation: a package name that is derived from the name of a module
may belong to a stranger.
"""

from __future__ import annotations

import sys

__all__ = ["NOT_PYTHON", "PACKAGES", "REPLACEMENTS", "import_of"]

_FROM = {
    "math": "sqrt ceil floor pi sin cos tan exp log log2 log10 gcd lcm factorial isclose hypot radians degrees inf nan",
    "collections": "defaultdict Counter deque namedtuple OrderedDict ChainMap",
    "collections.abc": "Iterable Iterator Mapping Sequence Hashable MutableMapping",
    "itertools": "product permutations combinations chain cycle islice groupby accumulate zip_longest starmap",
    "functools": "reduce partial lru_cache wraps cache cached_property singledispatch total_ordering",
    "typing": "Optional List Dict Any Union Callable Tuple Set Literal Protocol TypeVar TypedDict NamedTuple Generic",
    "dataclasses": "dataclass field asdict replace astuple",
    "pathlib": "Path PurePath",
    "random": "randint choice choices shuffle sample uniform randrange",
    "statistics": "mean median stdev mode variance",
    "datetime": "datetime timedelta date timezone",
    "decimal": "Decimal getcontext",
    "fractions": "Fraction",
    "copy": "deepcopy",
    "enum": "Enum IntEnum Flag auto",
    "abc": "ABC abstractmethod",
    "contextlib": "contextmanager suppress asynccontextmanager ExitStack closing",
    "pprint": "pprint",
    "io": "StringIO BytesIO",
    "time": "sleep perf_counter monotonic",
    "string": "ascii_letters ascii_lowercase ascii_uppercase digits punctuation",
    "heapq": "heappush heappop heapify nlargest nsmallest",
    "bisect": "bisect_left bisect_right insort",
    "operator": "itemgetter attrgetter",
    "urllib.request": "urlopen",
    "urllib.parse": "urlparse urlencode quote unquote",
    "json": "dumps loads JSONDecodeError",
    "uuid": "uuid4 UUID",
    "types": "SimpleNamespace",
    "threading": "Thread Lock",
    "concurrent.futures": "ThreadPoolExecutor ProcessPoolExecutor",
    "bs4": "BeautifulSoup",
    "pandas": "DataFrame Series",
}
_AS = {
    "np": "numpy",
    "pd": "pandas",
    "plt": "matplotlib.pyplot",
    "sns": "seaborn",
    "tf": "tensorflow",
    "sp": "scipy",
    "nx": "networkx",
    "ET": "xml.etree.ElementTree",
    "dt": "datetime",
    "mp": "multiprocessing",
}
_IMPORTS: dict[str, tuple[str, str]] = {
    **{name: (module, f"from {module} import {name}") for module, names in _FROM.items() for name in names.split()},
    **{name: (module, f"import {module} as {name}") for name, module in _AS.items()},
}

PACKAGES = {
    "cv2": "opencv-python",
    "PIL": "Pillow",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "PyYAML",
    "bs4": "beautifulsoup4",
    "dotenv": "python-dotenv",
    "dateutil": "python-dateutil",
    "jwt": "PyJWT",
    "serial": "pyserial",
    "usb": "pyusb",
    "git": "GitPython",
    "docx": "python-docx",
    "pptx": "python-pptx",
    "fitz": "PyMuPDF",
    "magic": "python-magic",
    "MySQLdb": "mysqlclient",
    "psycopg2": "psycopg2-binary",
    "OpenSSL": "pyOpenSSL",
    "Crypto": "pycryptodome",
    "nacl": "PyNaCl",
    "zmq": "pyzmq",
    "wx": "wxPython",
    "gi": "PyGObject",
    "attr": "attrs",
    "google.protobuf": "protobuf",
    "grpc": "grpcio",
    "slugify": "python-slugify",
    "Levenshtein": "python-Levenshtein",
    "discord": "discord.py",
    "telegram": "python-telegram-bot",
    "win32api": "pywin32",
    "win32com": "pywin32",
    "pkg_resources": "setuptools",
    "mpl_toolkits": "matplotlib",
    "IPython": "ipython",
    "faiss": "faiss-cpu",
    "pythoncom": "pywin32",
    "ldap": "python-ldap",
    "memcache": "python-memcached",
    "markdown": "Markdown",
    "jose": "python-jose",
    "multipart": "python-multipart",
    "socks": "PySocks",
    "websocket": "websocket-client",
    "umap": "umap-learn",
    "community": "python-louvain",
    "rest_framework": "djangorestframework",
    "corsheaders": "django-cors-headers",
    "flask_cors": "Flask-Cors",
    "flask_sqlalchemy": "Flask-SQLAlchemy",
}
"""What is installed under another name than it is imported by."""

_SAME_NAME = """
absl accelerate aiofiles aiohttp aiosqlite alembic altair anthropic anyio apscheduler arrow asyncpg attrs autogen
backoff bcrypt black bokeh boto3 botocore bottle cachetools catboost celery certifi chardet chromadb
click cloudpickle colorama cryptography cupy cvxpy cython dash dask datasets diskcache django docker duckdb einops
elasticsearch emoji environs eventlet evaluate falcon faker fastapi feedparser filelock filetype flake8 flask fsspec
gensim geopandas geopy gevent gradio graphviz greenlet gunicorn h5py html5lib httpx huggingface_hub humanize
hypothesis imageio instructor ipykernel ipywidgets isort itsdangerous jax jinja2 jmespath joblib jsonschema kafka
keras kombu kubernetes langchain lightgbm litellm locust loguru lxml mako marshmallow matplotlib mistune mlflow mock
more_itertools mpmath msgpack mypy nbformat networkx nltk nose notebook numba numpy oauthlib onnx
onnxruntime openai openpyxl optuna orjson packaging pandas pandera paramiko passlib patsy pendulum peft pexpect pika
pip playwright plotly polars prettytable prometheus_client prophet psutil psycopg pyarrow pydantic pygame pygments
pymongo pymysql pynput pypdf pyperclip pyspark pytest pytz pyzbar rapidfuzz ray redis regex reportlab requests retry
rich ruff safetensors scapy scipy scrapy seaborn selenium sentencepiece setuptools shap shapely simplejson six
sklearn_pandas smart_open snowflake sortedcontainers spacy sqlalchemy sqlmodel stamina starlette statsmodels
streamlit stripe structlog sympy tabulate tenacity tensorboard tensorflow termcolor textblob tiktoken timm
tokenizers toml tomli toolz torch torchaudio torchvision tornado tortoise tqdm transformers trio typer
typing_extensions tzdata tzlocal ujson unidecode urllib3 uvicorn virtualenv wandb watchdog websockets werkzeug wheel
wikipedia wordcloud wrapt xarray xgboost xlrd xlsxwriter xlwt xmltodict yarl yfinance zstandard
"""
SAME_NAME = frozenset(_SAME_NAME.split())
"""What is installed by the name it is imported by: to an installer `more_itertools` is more-itertools."""

REPLACEMENTS = {
    "raw_input": "input",
    "xrange": "range",
    "unicode": "str",
    "unichr": "chr",
    "basestring": "str",
    "long": "int",
    "true": "True",
    "false": "False",
    "none": "None",
    "null": "None",
    "NULL": "None",
    "nil": "None",
    "undefined": "None",
    "TRUE": "True",
    "FALSE": "False",
    "NaN": "float('nan')",
    "Infinity": "float('inf')",
    "this": "self",
    "parseInt": "int",
    "parseFloat": "float",
    "strlen": "len",
    "println": "print",
    "printf": "print",
    "echo": "print",
    "puts": "print",
    "length": "len",
    "function": "def",
    "String": "str",
    "Integer": "int",
    "Boolean": "bool",
    "boolean": "bool",
    "string": "str",
    "Exceptions": "Exception",
}
"""Names of Python 2 and of other languages, and what they are called in Python 3."""

NOT_PYTHON = {
    "console": "Write print(...) for console.log(...).",
    "Math": "Import math and write math.floor(...), or use max(), min(), round() and abs(), which need no import.",
    "System": "Write print(...) for System.out.println(...).",
    "JSON": "Import json; json.dumps() makes a text, json.loads() reads one.",
    "reload": "Import importlib and call importlib.reload(module).",
    "execfile": "Write exec(open(path).read()).",
    "cmp": "Compare with < and ==; as a key for sorting use functools.cmp_to_key.",
    "file": "Open files with open().",
    "apply": "Write function(*arguments).",
    "display": "display() belongs to notebooks: print() works everywhere.",
    "get_ipython": "get_ipython() belongs to notebooks: leave out magic commands.",
    "__file__": "Code that is executed from a text has no __file__: use a path relative to the working directory.",
    "exit": "Raise SystemExit, or let the program run to its end.",
    "quit": "Raise SystemExit, or let the program run to its end.",
}
"""Names that have no single word in their place."""


def import_of(name: str, code: str) -> tuple[str, str] | None:
    """Return the module a name belongs to and the statement that imports it, judged by how *code* uses it.

    Of names such as `datetime`, which a module and its class share, *code* tells which is meant. None of unknown names.

    >>> import_of("np", "np.zeros(3)"), import_of("datetime", "datetime.datetime.now()")
    (('numpy', 'import numpy as np'), ('datetime', 'import datetime'))
    >>> import_of("datetime", "datetime.now()"), import_of("lamp", "lamp")
    (('datetime', 'from datetime import datetime'), None)
    """
    as_module = name in sys.stdlib_module_names and not name.startswith("_")
    if as_module and name in _IMPORTS:  # datetime, pprint, copy: the module, or what bears its name?
        inner = f"{name}.{name}" in code or (name == "datetime" and "datetime.timedelta" in code)
        return (name, f"import {name}") if inner or (f"{name}." in code and name != "datetime") else _IMPORTS[name]
    if as_module:
        return name, f"import {name}"
    return _IMPORTS.get(name)
