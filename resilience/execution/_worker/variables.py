"""Variables that the parent gives to a program. Runs in the worker and in kernels: standard library only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VariablesError", "load_variables"]


class VariablesError(Exception):
    """The variables cannot be restored here: a module is missing, or has another version."""


def load_variables(plain: Mapping[str, object], pickled: bytes) -> dict[str, object]:
    """Return the variables by name. Raises `VariablesError`, and MemoryError.

    The parent has pickled them, so unpickling them is as safe as running its request.
    """
    found = dict(plain)
    if pickled:
        import pickle

        try:
            found.update(pickle.loads(pickled))  # noqa: S301
        except (MemoryError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise VariablesError(f"{type(error).__name__}: {error}") from error
    return found
