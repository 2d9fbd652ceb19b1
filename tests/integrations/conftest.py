"""The exporters' tests begin with nothing counted, as those of the metrics do."""

from __future__ import annotations

from tests.metrics.conftest import fresh

__all__ = ["fresh"]
