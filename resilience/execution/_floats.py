"""Floats that JSON does not have, as the JSON mapping of Protocol Buffers writes them."""

from __future__ import annotations

import math

from resilience.errors._json_safe import Json

__all__ = ["without_special_floats"]


def without_special_floats(value: Json) -> Json:
    """Return *value* with texts for NaN and the infinities.

    >>> without_special_floats([1.5, float("nan"), float("-inf")])
    [1.5, 'NaN', '-Infinity']
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [without_special_floats(each) for each in value]
    if isinstance(value, dict):
        return {name: without_special_floats(each) for name, each in value.items()}
    return value
