"""Main module of the worker: ``python -I -u -X utf8 __main__.py CONTROL RECORDER``, two file descriptors.

`import resilience` takes 100 ms, and the worker needs little of it. So empty packages with the right path take the
place of the toolkit's while the worker's modules are imported.
"""

import os
import sys


def _install_placeholder_packages() -> None:
    root = __file__.rpartition(os.sep + "execution" + os.sep)[0]
    for name in ("", ".errors", ".report", ".execution", ".execution._worker"):
        module = type(sys)("resilience" + name)
        module.__path__ = [root + name.replace(".", os.sep)]
        sys.modules[module.__name__] = module


if __name__ == "__main__":
    _install_placeholder_packages()
    from resilience.execution._worker.main import serve

    serve(int(sys.argv[1]), int(sys.argv[2]))
