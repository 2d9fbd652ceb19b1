"""Tables of names that libraries have removed or moved, by the version that did, with what replaces them.

A row is found by the library, the object and the name; an object ``*`` stands for every one of the library. The last
column is what to write in place of the name alone, where that is all; else the advice says what to write.

The version that is installed is not looked up: a row is used only after the name was missing, whatever the reason. A
row belongs here where its replacement does the same; a library's own message with advice needs none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["REMOVED_KEYWORDS", "Keyword", "Removed", "moved_import", "moved_names", "removed_name"]


class Removed(NamedTuple):
    """A name that a library no longer has.

    The cause names ``version``: ``DataFrame has no iteritems since pandas 2.0``. The advice is a template of `rules`.
    """

    library: str
    owner: str
    """The class, or the module below the library; empty for the library itself."""
    name: str
    version: str
    """Since when it is gone; empty of a name that only another library has."""
    advice: str
    """What to write now; empty: the replacement in place of the name. ``<target>`` is the object in the program."""
    replacement: str = ""


class Keyword(NamedTuple):
    """A keyword that a function of a library no longer takes. ``function`` is ``*`` where no function takes it."""

    library: str
    function: str
    name: str
    replacement: str
    """The keyword to write now; with a value, ``on_bad_lines="skip"``, in place of the old one and its value."""


def _rows(library: str, owners: str, version: str, names: str) -> Iterator[Removed]:
    """Yield a row for each pair ``old>new`` of *names* and each of *owners*."""
    for owner in owners.split(","):
        for pair in names.split():
            old, _, new = pair.partition(">")
            yield Removed(library, owner, old, version, "", new)


_FRAME, _SERIES = "DataFrame", "Series"
_BOTH = "DataFrame,Series"

_ROWS: tuple[Removed, ...] = (
    *_rows("pandas", _BOTH, "2.0", "iteritems>items pad>ffill backfill>bfill is_monotonic>is_monotonic_increasing"),
    *_rows(
        "pandas", _BOTH, "1.0", "ix>loc as_matrix>to_numpy get_value>at ftypes>dtypes convert_objects>infer_objects"
    ),
    *_rows("pandas", _BOTH, "0.20", "sort>sort_values order>sort_values"),
    *_rows("pandas", _FRAME, "3.0", "applymap>map"),
    *_rows("pandas", "Index", "2.0", "is_monotonic>is_monotonic_increasing"),
    *_rows("pandas", "Styler", "2.0", "render>to_html"),
    *_rows("pandas", "", "2.0", "Int64Index>Index UInt64Index>Index Float64Index>Index"),
    *_rows("pandas", "", "1.0", "TimeGrouper>Grouper scatter_matrix>plotting.scatter_matrix"),
    Removed("pandas", _FRAME, "append", "2.0", "Rows are added with pd.concat([<target>, other], ignore_index=True)."),
    Removed("pandas", _SERIES, "append", "2.0", "Values are added with pd.concat([<target>, other])."),
    Removed(
        "pandas", _FRAME, "lookup", "2.0", "Look values up with <target>.loc[row, column], or to_numpy() and indexes."
    ),
    Removed("pandas", _FRAME, "set_value", "1.0", "Set one value with <target>.at[row, column] = value."),
    Removed("pandas", _FRAME, "mad", "2.0", "Write (<target> - <target>.mean()).abs().mean()."),
    Removed("pandas", _SERIES, "mad", "2.0", "Write (<target> - <target>.mean()).abs().mean()."),
    Removed("pandas", _FRAME, "swapaxes", "3.0", "Write <target>.T."),
    Removed("pandas", _FRAME, "first", "3.0", "Select by date: <target>.loc[:end]."),
    Removed("pandas", _FRAME, "last", "3.0", "Select by date: <target>.loc[start:]."),
    Removed("pandas", _FRAME, "clip_lower", "1.0", "Write <target>.clip(lower=...)."),
    Removed("pandas", _FRAME, "clip_upper", "1.0", "Write <target>.clip(upper=...)."),
    Removed("pandas", _FRAME, "tshift", "2.0", "Write <target>.shift(freq=...)."),
    Removed("pandas", "DatetimeProperties", "weekofyear", "2.0", "Write isocalendar().week.", "isocalendar().week"),
    Removed("pandas", "DatetimeProperties", "week", "2.0", "Write isocalendar().week.", "isocalendar().week"),
    Removed("pandas", "", "Panel", "1.0", "Use a DataFrame with a MultiIndex, or xarray."),
    Removed("pandas", "", "np", "2.0", "Import numpy itself: import numpy as np."),
    Removed("pandas", "", "datetime", "2.0", "Import it: from datetime import datetime."),
    Removed("pandas", "", "value_counts", "3.0", "Write pd.Series(values).value_counts()."),
    Removed("pandas", "", "rolling_mean", "1.0", "Write series.rolling(window).mean()."),
    *_rows("numpy", "", "1.24", "float>float64 int>int64 complex>complex128 object>object_ str>str_ long>int64"),
    *_rows("numpy", "", "2.0", "float_>float64 complex_>complex128 unicode_>str_ string_>bytes_ Inf>inf Infinity>inf"),
    *_rows("numpy", "", "2.0", "infty>inf NaN>nan PINF>inf alltrue>all sometrue>any cumproduct>cumprod product>prod"),
    *_rows(
        "numpy", "", "2.0", "round_>round bool8>bool_ int0>intp uint0>uintp mat>asmatrix find_common_type>result_type"
    ),
    *_rows("numpy", "", "2.4", "in1d>isin row_stack>vstack trapz>trapezoid"),
    *_rows("numpy", "Generator", "1.17", "randint>integers random_integers>integers rand>random randn>standard_normal"),
    *_rows("numpy", "Generator", "1.17", "random_sample>random ranf>random"),
    Removed("numpy", "", "NINF", "2.0", "Write -np.inf."),
    Removed("numpy", "", "asscalar", "1.23", "Write <target>.item() of the array."),
    Removed("numpy", "", "asfarray", "2.0", "Write np.asarray(values, dtype=float)."),
    Removed("numpy", "", "msort", "2.0", "Write np.sort(values, axis=0)."),
    Removed("numpy", "", "cast", "2.0", "Write np.asarray(values, dtype=...)."),
    Removed("numpy", "ndarray", "ptp", "2.0", "Write np.ptp(<target>)."),
    Removed("numpy", "ndarray", "itemset", "2.0", "Assign to the element: <target>[index] = value."),
    *_rows("sklearn", "*", "1.2", "get_feature_names>get_feature_names_out"),
    *_rows("sklearn", "metrics", "1.0", "jaccard_similarity_score>jaccard_score"),
    *_rows("sklearn", "datasets", "0.22", "fetch_mldata>fetch_openml"),
    Removed(
        "sklearn",
        "datasets",
        "load_boston",
        "1.2",
        "Use another dataset: fetch_california_housing() or load_diabetes().",
    ),
    Removed(
        "sklearn",
        "metrics",
        "plot_confusion_matrix",
        "1.2",
        "Write ConfusionMatrixDisplay.from_estimator(model, X, y).",
    ),
    Removed("sklearn", "metrics", "plot_roc_curve", "1.2", "Write RocCurveDisplay.from_estimator(model, X, y)."),
    Removed("sklearn", "preprocessing", "Imputer", "0.22", "Write from sklearn.impute import SimpleImputer."),
    Removed("sklearn", "externals", "joblib", "0.23", "Import joblib itself: import joblib."),
    *_rows(
        "matplotlib", "*", "1.0", "xlabel>set_xlabel ylabel>set_ylabel xlim>set_xlim ylim>set_ylim xticks>set_xticks"
    ),
    *_rows("matplotlib", "*", "1.0", "yticks>set_yticks xscale>set_xscale yscale>set_yscale"),
    *_rows("matplotlib", "*", "2.2", "set_axis_bgcolor>set_facecolor get_axis_bgcolor>get_facecolor w_xaxis>xaxis"),
    *_rows(
        "matplotlib", "pyplot", "1.0", "set_xlabel>xlabel set_ylabel>ylabel set_title>title set_xlim>xlim set_ylim>ylim"
    ),
    *_rows("matplotlib", "pyplot", "1.0", "set_xticks>xticks set_yticks>yticks set_cmap_name>set_cmap"),
    Removed("matplotlib", "cm", "get_cmap", "3.9", "Write matplotlib.colormaps[name]."),
    Removed("matplotlib", "pyplot", "hold", "3.0", "Leave it out: each plot is added to the axes."),
    Removed("matplotlib", "*", "hold", "3.0", "Leave it out: each plot is added to the axes."),
    *_rows("seaborn", "", "0.11", "distplot>histplot factorplot>catplot tsplot>lineplot"),
    Removed(
        "sqlalchemy",
        "Engine",
        "execute",
        "2.0",
        "A connection executes: with <target>.connect() as connection: connection.execute(...).",
        "connect().execute",
    ),
    Removed("sqlalchemy", "Engine", "table_names", "2.0", "Write sqlalchemy.inspect(<target>).get_table_names()."),
    Removed("sqlalchemy", "Engine", "has_table", "2.0", "Write sqlalchemy.inspect(<target>).has_table(name)."),
    Removed("sqlalchemy", "Row", "keys", "2.0", "Write <target>._mapping.keys().", "_mapping.keys"),
    Removed("sqlalchemy", "Row", "items", "2.0", "Write <target>._mapping.items().", "_mapping.items"),
    Removed("sqlalchemy", "Row", "values", "2.0", "Write <target>._mapping.values().", "_mapping.values"),
    *_rows("polars", "*", "0.19", "groupby>group_by groupby_dynamic>group_by_dynamic groupby_rolling>rolling"),
    *_rows("polars", "*", "0.17", "with_column>with_columns"),
    *_rows("polars", "*", "0.20", "with_row_count>with_row_index cumsum>cum_sum cumprod>cum_prod cummax>cum_max"),
    *_rows("polars", "*", "0.20", "cummin>cum_min cumcount>cum_count take>gather frame_equal>equals"),
    *_rows("polars", "*", "0.20", "series_equal>equals melt>unpivot lengths>len map>map_batches is_not>not_"),
    *_rows("polars", "DataFrame", "0.19", "apply>map_rows"),
    # Names of pandas, which polars never had.
    *_rows("polars", "DataFrame,LazyFrame", "", "sort_values>sort merge>join assign>with_columns query>filter"),
    *_rows("polars", "DataFrame,LazyFrame", "", "drop_duplicates>unique fillna>fill_null dropna>drop_nulls"),
    *_rows("polars", "DataFrame", "", "iterrows>iter_rows itertuples>iter_rows to_csv>write_csv append>vstack"),
    *_rows("polars", "DataFrame", "", "to_parquet>write_parquet to_json>write_json to_excel>write_excel"),
    *_rows("polars", "Series,Expr", "", "astype>cast isin>is_in isna>is_null isnull>is_null notna>is_not_null"),
    *_rows("polars", "Series,Expr", "", "fillna>fill_null dropna>drop_nulls nunique>n_unique tolist>to_list"),
    Removed("polars", "DataFrame", "loc", "", "Rows are selected with <target>.filter(condition), columns by name."),
    Removed("polars", "DataFrame", "iloc", "", "Rows are taken by number: <target>[0], or <target>.row(0)."),
    Removed("polars", "DataFrame", "reset_index", "", "A table of polars has no index: leave it out."),
    Removed("polars", "DataFrame", "set_index", "", "A table of polars has no index: leave it out, and filter."),
    *_rows("polars", "Series,Expr", "0.19", "apply>map_elements"),
    *_rows("polars", "GroupBy", "0.19", "apply>map_groups"),
    *_rows("networkx", "*", "2.4", "node>nodes nodes_iter>nodes edges_iter>edges edge>edges"),
    *_rows("networkx", "", "3.0", "from_numpy_matrix>from_numpy_array to_numpy_matrix>to_numpy_array"),
    *_rows("networkx", "", "3.0", "OrderedGraph>Graph OrderedDiGraph>DiGraph"),
    Removed("networkx", "", "info", "3.0", "Write print(graph)."),
    Removed(
        "networkx",
        "",
        "connected_component_subgraphs",
        "2.4",
        "Write [g.subgraph(c) for c in nx.connected_components(g)].",
    ),
    Removed("networkx", "", "write_gpickle", "3.0", "Write pickle.dump(graph, file)."),
    Removed("networkx", "", "read_gpickle", "3.0", "Write pickle.load(file)."),
    Removed("networkx", "*", "add_path", "2.4", "Write nx.add_path(<target>, nodes)."),
    *_rows("scipy", "integrate", "1.14", "simps>simpson trapz>trapezoid cumtrapz>cumulative_trapezoid"),
    *_rows("scipy", "stats", "1.12", "binom_test>binomtest median_absolute_deviation>median_abs_deviation"),
    *_rows("scipy", "misc", "1.0", "factorial>special.factorial comb>special.comb"),
    Removed("scipy", "interpolate", "interp2d", "1.14", "Use RegularGridInterpolator, or RectBivariateSpline."),
    Removed("scipy", "misc", "imread", "1.2", "Read images with imageio.imread() or PIL.Image.open()."),
    *(
        Removed("scipy", "signal", name, "1.13", f"Write scipy.signal.windows.{name}.", f"windows.{name}")
        for name in ("hann", "hamming", "blackman", "gaussian", "kaiser", "bartlett", "boxcar", "triang")
    ),
    *_rows("PIL", "Image", "10.0", "ANTIALIAS>LANCZOS LINEAR>BILINEAR CUBIC>BICUBIC"),
    Removed("PIL", "ImageDraw", "textsize", "10.0", "Write <target>.textbbox((0, 0), text, font=font)."),
    Removed("PIL", "FreeTypeFont", "getsize", "10.0", "Write <target>.getbbox(text)."),
    *_rows("pydantic", "*", "2.0", "parse_obj>model_validate parse_raw>model_validate_json"),
    *_rows("pydantic", "*", "2.0", "from_orm>model_validate update_forward_refs>model_rebuild"),
    Removed("pydantic", "", "BaseSettings", "2.0", "Write from pydantic_settings import BaseSettings."),
    Removed("pydantic", "", "ConstrainedStr", "2.0", "Write Annotated[str, StringConstraints(...)]."),
    Removed("pydantic", "", "ConstrainedInt", "2.0", "Write Annotated[int, Field(...)]."),
    Removed("jinja2", "", "Markup", "3.1", "Write from markupsafe import Markup."),
    Removed("jinja2", "", "escape", "3.1", "Write from markupsafe import escape."),
    Removed("jinja2", "", "contextfunction", "3.1", "Write jinja2.pass_context.", "pass_context"),
)
_TABLE = {(row.library, row.owner, row.name): row for row in _ROWS}

# Modules and names that are elsewhere now: where from, what, the import to write.
_IMPORTS = {
    ("sklearn.cross_validation", ""): "sklearn.model_selection",
    ("sklearn.grid_search", ""): "sklearn.model_selection",
    ("sklearn.learning_curve", ""): "sklearn.model_selection",
    ("sklearn.externals", ""): "joblib",
    ("sklearn.utils.testing", ""): "sklearn.utils._testing",
    ("pandas.util.testing", ""): "pandas.testing",
    ("pandas.tools.plotting", ""): "pandas.plotting",
    ("matplotlib.mlab", "normpdf"): "scipy.stats",
    ("pandas.io.json", "json_normalize"): "pandas",
    ("pydantic", "BaseSettings"): "pydantic_settings",
    ("sklearn.preprocessing", "Imputer"): "sklearn.impute",
    ("jinja2", "Markup"): "markupsafe",
    ("jinja2", "escape"): "markupsafe",
    ("scipy.misc", "factorial"): "scipy.special",
    ("scipy.misc", "comb"): "scipy.special",
    ("collections", "Mapping"): "collections.abc",
    ("sqlalchemy.ext.declarative", "declarative_base"): "sqlalchemy.orm",
    ("keras.layers.normalization", ""): "keras.layers",
    ("langchain.llms", ""): "langchain_community.llms",
    ("flask.ext", ""): "flask_...",
}

REMOVED_KEYWORDS: tuple[Keyword, ...] = (
    Keyword("pandas", "read_csv", "error_bad_lines", 'on_bad_lines="skip"'),
    Keyword("pandas", "read_csv", "warn_bad_lines", 'on_bad_lines="warn"'),
    Keyword("pandas", "read_csv", "squeeze", ""),
    Keyword("pandas", "read_csv", "prefix", ""),
    Keyword("pandas", "read_csv", "delim_whitespace", r'sep=r"\s+"'),
    Keyword("pandas", "read_excel", "sheetname", "sheet_name"),
    Keyword("pandas", "drop_duplicates", "cols", "subset"),
    Keyword("pandas", "to_csv", "line_terminator", "lineterminator"),
    Keyword("pandas", "groupby", "squeeze", ""),
    Keyword("sklearn", "OneHotEncoder", "sparse", "sparse_output"),
    Keyword("sklearn", "*", "base_estimator", "estimator"),
    Keyword("sklearn", "*", "affinity", "metric"),
    Keyword("sklearn", "*", "n_iter", "max_iter"),
    Keyword("sklearn", "LinearRegression", "normalize", ""),
    Keyword("sklearn", "KMeans", "n_jobs", ""),
    Keyword("matplotlib", "*", "normed", "density"),
    Keyword("matplotlib", "*", "axisbg", "facecolor"),
    Keyword("matplotlib", "*", "colour", "color"),
    Keyword("polars", "*", "reverse", "descending"),
    Keyword("polars", "read_csv", "sep", "separator"),
    Keyword("polars", "read_csv", "has_headers", "has_header"),
    Keyword("polars", "pivot", "columns", "on"),
    Keyword("pydantic", "Field", "regex", "pattern"),
    Keyword("pydantic", "Field", "min_items", "min_length"),
    Keyword("pydantic", "Field", "max_items", "max_length"),
    Keyword("pydantic", "Field", "allow_mutation", "frozen"),
    Keyword("pydantic", "constr", "regex", "pattern"),
    Keyword("pydantic", "conlist", "min_items", "min_length"),
    Keyword("pydantic", "conlist", "max_items", "max_length"),
    Keyword("seaborn", "*", "size", "height"),
    Keyword("networkx", "*", "with_label", "with_labels"),
)


def removed_name(library: str, owner: str, name: str) -> Removed | None:
    """Return the row of a name, None where the tables have none.

    >>> removed_name("pandas", "DataFrame", "iteritems").replacement
    'items'
    >>> removed_name("pandas", "DataFrame", "items") is None
    True
    """
    return _TABLE.get((library, owner, name)) or (_TABLE.get((library, "*", name)) if owner else None)


def moved_names(module: str) -> list[str]:
    """Return the names that were in a module and are elsewhere now.

    >>> moved_names("scipy.misc")
    ['factorial', 'comb']
    """
    return [name for place, name in _IMPORTS if place == module and name]


def moved_import(module: str, name: str = "") -> str | None:
    """Return the module that has a name now, or that took the place of a whole module.

    >>> moved_import("pandas.io.json", "json_normalize"), moved_import("sklearn.grid_search")
    ('pandas', 'sklearn.model_selection')
    """
    return _IMPORTS.get((module, name)) or _IMPORTS.get((module, ""))
