"""Tests of benchmarks: pictures are drawn as in a process of their own, whatever other tests have set."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def default_style() -> Iterator[None]:
    """matplotlib's own defaults, where it is loaded: programs of other tests change them."""
    with contextlib.ExitStack() as stack:
        if "matplotlib" in sys.modules:
            import matplotlib

            stack.enter_context(matplotlib.rc_context())
            matplotlib.rcdefaults()
        yield
