"""`ProcessBound`: the base of objects that belong to the process that made them, and say so when they are pickled.

They hold locks, and state that must not be multiplied: a copy of a circuit in each worker would open by itself.
"""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

__all__ = ["ProcessBound", "function_by_its_code"]


class ProcessBound:
    """An object that is not pickled. A subclass names itself, and what to do instead, in `_instead_of_pickling`."""

    __slots__ = ()

    def _instead_of_pickling(self) -> tuple[str, str]:
        """Return what this is, and what to do instead."""
        raise NotImplementedError

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raise TypeError, as Python does for a lock."""
        what, instead = self._instead_of_pickling()
        raise TypeError(f"cannot pickle {what}: its locks and its state belong to one process; {instead}")


def function_by_its_code(target: str) -> tuple[str, str]:
    """Return what is pickled where *target*, a guarded function, has no name to be found by, and what to do instead.

    A function is pickled by its name, unless it is defined in a notebook or a script.
    """
    what = f"the guarded function {target} by its code (cloudpickle, joblib, dask, ray, Spark)"
    return what, "define it in a module that the workers can import, or decorate it inside the function that is sent"
