"""Run the README's first program with the package that is installed: ``python -m tests.smoke README.md``.

For a built wheel or sdist in an environment of its own (`.ci/package`): needs the package and httpx alone. The service
that the program calls is `tests.docs_server`, which answers the first request with 503.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import resilience
from tests.docs_server import serving


def main(page: str) -> None:
    """Run the first two blocks of *page*, and say which package ran them."""
    shown, run = re.findall(r"^```python\n(.*?)^```", Path(page).read_text("utf-8"), re.MULTILINE | re.DOTALL)[:2]
    with serving() as server:
        os.environ.update(server.environment())
        exec(compile(f"{shown}\n{run}", page, "exec"), {"__name__": "shop"})
        requests = dict(server.requests)
    sys.stdout.write(f"resilience {resilience.__version__} from {Path(resilience.__file__).parent}: {requests}\n")
    assert requests == {"GET http://catalogue:8000/search?q=lamp": 2}


if __name__ == "__main__":
    main(*sys.argv[1:])
