"""Facts of tables and arrays: columns, labels, shapes and types, as their libraries tell them.

Of a table of a million rows, the names and types of its columns explain a failure, not its first rows. Objects of
pandas, polars, numpy and xarray are known by their classes, so their own code may run, under a limit of steps. An error
in it gives no facts. Another library gets a line in `_KNOWN`.

It runs in the worker process of an execution as well, imports none of these libraries, and is imported once there is a
failure.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from resilience.report._static_introspection import class_of, name_of
from resilience.report._step_limit import with_step_limit

__all__ = ["facts_of", "text_of"]

_MAX_COLUMNS = 60
_MAX_LABELS = 12
_MAX_LABEL = 60
_MAX_SHOWN = 8
_MAX_ELEMENTS = 8
_STEPS = 20_000

Facts = dict[str, Any]


def facts_of(value: object) -> Facts | None:
    """Return what is to be known of a table or an array; None of anything else.

    ``type`` and ``library``; ``columns`` and ``dtypes`` beside each other, ``labels`` (the first ones of its index),
    ``dims``, ``shape``, ``dtype``, ``name``: each where the object has it.

    Of a DataFrame with two columns:
    ``{"type": "DataFrame", "library": "pandas", "shape": [3, 2], "columns": ["item", "price"], ...}``. A library that
    the program has not imported is not asked.
    """
    for library, classes in _KNOWN.items():
        module = sys.modules.get(library)
        for name, describe in classes.items() if module is not None else ():
            kind = _attribute(module, name)
            if isinstance(kind, type) and issubclass(class_of(value), kind):
                try:
                    facts = with_step_limit(lambda: describe(value), _STEPS)  # noqa: B023 - called at once
                except Exception:  # whatever a subclass has made of it
                    return None
                return {"type": name_of(class_of(value)), "library": library, **facts}
    return None


def text_of(value: object) -> str | None:
    """Return a table or an array as a short text; None of anything else.

    For example ``<DataFrame of shape (3, 2) columns 'item' str, 'price' float64>``. A short array of one dimension has
    None as well: its own repr is as short and shows its values.

    >>> text_of([1, 2]) is None
    True
    """
    facts = facts_of(value)
    if facts is None:
        return None
    if facts["library"] == "numpy" and len(facts["shape"]) == 1 and facts["shape"][0] <= _MAX_ELEMENTS:
        return None  # its own repr is as short, and has the values
    parts = [f"<{facts['type']}"]
    if "shape" in facts:
        parts.append(f"of shape ({', '.join(map(str, facts['shape']))}{',' if len(facts['shape']) == 1 else ''})")
    if "dtype" in facts:
        parts.append(str(facts["dtype"]))
    for name in ("columns", "dims", "labels"):
        named = [str(each) for each in facts.get(name, ())]
        if named and not (name == "labels" and facts.get("plain")):
            more = [f"... {len(named) - _MAX_SHOWN} more"] if len(named) > _MAX_SHOWN else []
            typed = facts.get("dtypes") if name == "columns" else None
            shown = [f"{each!r}{f' {typed[at]}' if typed else ''}" for at, each in enumerate(named[:_MAX_SHOWN])]
            parts.append(f"{name} {', '.join([*shown, *more])}")
    return f"{' '.join(parts)}>"


def _attribute(module: object, name: str) -> object:
    return vars(module).get(name)


def _label(value: object) -> object:
    """Return a label of a column or a row as a JSON value: numbers as they are, anything else as a short text."""
    if type(value) in (int, float, bool) or value is None:
        return value
    return str(value)[:_MAX_LABEL]


def _labels(values: Iterable[object], limit: int) -> list[object]:
    return [_label(each) for each in islice(values, limit)]


def _pandas_frame(frame: Any) -> Facts:
    columns = _labels(frame.columns, _MAX_COLUMNS)
    return {
        "shape": list(frame.shape),
        "columns": columns,
        "dtypes": [str(each) for each in islice(frame.dtypes, len(columns))],
        **_pandas_index(frame.index),
    }


def _pandas_series(series: Any) -> Facts:
    return {
        "shape": list(series.shape),
        "dtype": str(series.dtype),
        "name": _label(series.name),
        **_pandas_index(series.index),
    }


def _pandas_index(index: Any) -> Facts:
    """Return the first labels of an index; it is ``plain`` where they only count the rows."""
    return {
        "labels": _labels(index, _MAX_LABELS),
        "plain": type(index) is sys.modules["pandas"].RangeIndex,
        "length": len(index),
    }


def _pandas_labels(index: Any) -> Facts:
    """Return the facts of an Index by itself: it is mostly that of columns, so more labels are kept."""
    return {"labels": _labels(index, _MAX_COLUMNS), "length": len(index), "dtype": str(index.dtype)}


def _polars_frame(frame: Any) -> Facts:
    return {
        "shape": list(frame.shape),
        "columns": _labels(frame.columns, _MAX_COLUMNS),
        "dtypes": [str(each) for each in frame.dtypes[:_MAX_COLUMNS]],
    }


def _polars_series(series: Any) -> Facts:
    return {"shape": [len(series)], "dtype": str(series.dtype), "name": _label(series.name)}


def _array(array: Any) -> Facts:
    return {"shape": list(array.shape), "dtype": str(array.dtype)}


def _data_array(array: Any) -> Facts:
    return {"shape": list(array.shape), "dtype": str(array.dtype), "dims": _labels(array.dims, _MAX_COLUMNS)}


def _dataset(dataset: Any) -> Facts:
    """Return the facts of an xarray Dataset, whose variables and coordinates are named like columns."""
    return {
        "columns": _labels([*dataset.data_vars, *dataset.coords], _MAX_COLUMNS),
        "dims": _labels(dataset.dims, _MAX_COLUMNS),
    }


_KNOWN: dict[str, dict[str, Callable[[Any], Facts]]] = {
    "pandas": {"DataFrame": _pandas_frame, "Series": _pandas_series, "Index": _pandas_labels},
    "polars": {"DataFrame": _polars_frame, "Series": _polars_series},
    "numpy": {"ndarray": _array},
    "xarray": {"DataArray": _data_array, "Dataset": _dataset},
}
