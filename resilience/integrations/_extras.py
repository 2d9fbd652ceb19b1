"""The error of an integration whose optional library is not installed."""

from __future__ import annotations

__all__ = ["missing_library"]


def missing_library(error: ModuleNotFoundError, extra: str) -> ModuleNotFoundError:
    """Return the error to raise where a library of *extra* cannot be imported: it says how to install that.

    >>> print(missing_library(ModuleNotFoundError("No module named 'redis'", name="redis"), "redis"))
    redis is missing; install it with: pip install 'category-resilience[redis]'
    """
    message = f"{error.name} is missing; install it with: pip install 'category-resilience[{extra}]'"
    return ModuleNotFoundError(message, name=error.name)
