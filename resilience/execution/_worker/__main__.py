"""The process that executes code: ``python -I -u -X utf8 __main__.py CONTROL RECORDER``, two file descriptors.

`import resilience` takes 100 ms, and this process needs next to nothing of it. So the packages on the way are stood in
for by empty ones with the right path, as long as it takes to import what is needed.
"""

import os
import sys


def _stand_in() -> None:
    root = __file__.rpartition(os.sep + "execution" + os.sep)[0]
    for name in ("", ".errors", ".report", ".execution", ".execution._worker"):
        module = type(sys)("resilience" + name)
        module.__path__ = [root + name.replace(".", os.sep)]
        sys.modules[module.__name__] = module


if __name__ == "__main__":
    _stand_in()
    from resilience.execution._worker.main import serve

    serve(int(sys.argv[1]), int(sys.argv[2]))
