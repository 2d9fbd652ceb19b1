"""Shared objects that the limit of memory leaves no room for, reported as a MemoryError.

Left alone, the loader raises an ImportError, which libraries catch to go on without a part of themselves; and OpenBLAS,
which allocates while it is loaded, ends the process or tries again for ever. So a shared object is loaded with the
reserve at hand, and what it took is compared with the limit afterwards. Runs in the child: standard library only.
"""

from __future__ import annotations

import _imp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from resilience.execution._worker.limits import Limits

__all__ = ["watch_loads"]

_NOT_MAPPED = ("failed to map segment", "cannot allocate memory", "cannot map zero-fill pages")
_OTHER_REASONS = ("not permitted", "permission denied", "static tls")


def watch_loads(limits: Limits) -> None:
    """Have each extension module that is imported from now on held to *limits*, as a whole."""
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
    return any(words in said for words in _NOT_MAPPED) and not any(words in said for words in _OTHER_REASONS)
