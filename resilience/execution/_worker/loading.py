"""Memory limit for shared objects: an extension module that does not fit raises a MemoryError.

By itself the loader raises an ImportError, which libraries catch to continue without a part of themselves; and
OpenBLAS, which allocates while it is loaded, aborts the process or retries for ever. So a shared object is loaded with
the reserve open, and the address space is compared with the limit afterwards. Runs in the worker: standard library
only.
"""

from __future__ import annotations

import _imp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from resilience.execution._worker.limits import Limits

__all__ = ["limit_extension_loading"]

_OUT_OF_MEMORY = ("failed to map segment", "cannot allocate memory", "cannot map zero-fill pages")
_OTHER_REASONS = ("not permitted", "permission denied", "static tls")


def limit_extension_loading(limits: Limits) -> None:
    """Hold every extension module that is imported from now on to *limits*."""
    real: Any = _imp.create_dynamic

    def create_dynamic(spec: Any, file: Any = None) -> object:
        limits.open_reserve()
        try:
            module: object = real(spec, file)
        except ImportError as error:
            if _lacked_memory(str(error).lower()):
                raise MemoryError(f"no memory to load {spec.name}") from None
            raise
        finally:
            limits.close_reserve()
        if limits.is_exceeded():
            raise MemoryError(f"no memory to load {spec.name}")
        return module

    setattr(_imp, "create_dynamic", create_dynamic)


def _lacked_memory(said: str) -> bool:
    return any(words in said for words in _OUT_OF_MEMORY) and not any(words in said for words in _OTHER_REASONS)
