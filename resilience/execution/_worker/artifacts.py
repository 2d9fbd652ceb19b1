"""Artifacts of a program: figures that it shows, the last value's images and HTML, dataframes as CSV.

A figure is captured when the program shows it, as a window would, or at the end if it is still open then. Libraries are
found in `sys.modules`: nothing is imported here that the program has not imported. Runs in the worker and in kernels:
standard library only.
"""

from __future__ import annotations

import sys
from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from resilience.execution._worker.import_hooks import ImportHooks

    Send = Callable[[dict[str, object]], object]

__all__ = ["Artifacts"]

_MAX_SIZE = 10 << 20
_MAX_ROWS = 100_000
_MAX_FIGURES = 50
_PLAIN = (type(None), bool, int, float, str, bytes, list, tuple, dict, set)
_DISPLAYS = (
    ("_repr_png_", "image/png", "png"),
    ("_repr_jpeg_", "image/jpeg", "jpg"),
    ("_repr_svg_", "image/svg+xml", "svg"),
    ("_repr_html_", "text/html", "html"),
    ("_repr_latex_", "text/latex", "tex"),
    ("_repr_markdown_", "text/markdown", "md"),
)
"""Methods by which a value shows itself in a notebook, the richest first."""
_BASE64 = ("image/png", "image/jpeg")
_TABLES = (("pandas", "DataFrame"), ("pandas", "Series"), ("polars", "DataFrame"), ("polars", "Series"))


class Artifacts:
    """Captures the artifacts of one program after another and hands each, as a message, to *send*."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._figures = 0
        self._captured: list[ref[object]] = []
        self._replaced: list[tuple[Any, Callable[..., object]]] = []

    def watch(self, imports: ImportHooks) -> None:
        """Capture from now on what the program shows."""
        self._figures = 0
        self._captured = []
        imports.add("matplotlib.pyplot", self._watch_pyplot)
        imports.add("plotly.io", self._watch_plotly)

    def unwatch(self) -> None:
        """Restore what was replaced, for other programs of the same process."""
        for module, show in self._replaced:
            module.show = show
        self._replaced = []

    def _watch_pyplot(self, pyplot: Any) -> None:
        def show(*_arguments: object, **_options: object) -> None:
            self._capture_open_figures()

        show.__doc__ = pyplot.show.__doc__
        self._replace_show(pyplot, show)

    def _watch_plotly(self, plotly_io: Any) -> None:
        def show(fig: Any, *_arguments: object, **_options: object) -> None:
            self._capture_plotly(fig)

        self._replace_show(plotly_io, show)

    def _replace_show(self, module: Any, show: Callable[..., None]) -> None:
        if all(module is not each for each, _ in self._replaced):
            self._replaced.append((module, module.show))
            module.show = show

    def are_expected(self, value: object, wanted: Mapping[str, object]) -> bool:
        """Return whether `collect` has anything to do."""
        values = [value, *wanted.values()]
        return "matplotlib.pyplot" in sys.modules or any(type(each) not in _PLAIN for each in values)

    def collect(self, value: object, wanted: Mapping[str, object]) -> None:
        """Capture what is left at the end: open figures, the last *value*, the dataframes among the *wanted* variables.

        Raises what a library raises. Each artifact that is complete has been sent by then.
        """
        self._capture_open_figures()
        for name, each in wanted.items():
            self._capture_table(name, each)
        if type(value) not in _PLAIN and not self._capture_table("result", value):
            self._capture_display(value)

    # -- figures -------------------------------------------------------------------------------------------------

    def _capture_open_figures(self) -> None:
        """Capture the figures of pyplot and close them, as a notebook does: the next plot begins a new one."""
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        if pyplot is None or not hasattr(pyplot, "close"):
            return
        for number in pyplot.get_fignums():
            self._capture_matplotlib(pyplot.figure(number))
        pyplot.close("all")

    def _capture_matplotlib(self, figure: Any) -> None:
        import io

        self._captured.append(ref(figure))
        file = io.BytesIO()
        figure.savefig(file, format="png", bbox_inches="tight")
        self._add_figure("image/png", "png", file.getvalue())

    def _capture_plotly(self, figure: Any) -> None:
        text: str = sys.modules["plotly.io"].to_html(figure, include_plotlyjs="cdn", full_html=True)
        self._add_figure("text/html", "html", text.encode("utf-8", "replace"))

    def _capture_display(self, value: Any) -> None:
        exactly: object = value
        kind: type[Any] = type(exactly)
        if kind is type(sys) or issubclass(kind, type):
            return
        library = kind.__module__.partition(".")[0]
        if library == "matplotlib":
            if hasattr(kind, "savefig") and all(figure() is not value for figure in self._captured):
                self._capture_matplotlib(value)
        elif library == "plotly" and hasattr(kind, "to_html"):
            self._capture_plotly(value)
        else:
            self._add_richest(value, kind)

    def _add_richest(self, value: Any, kind: type[Any]) -> None:
        for mime, ending, shown in _displays_of(value, kind):
            if shown is not None:
                data = shown.encode("utf-8", "replace") if isinstance(shown, str) else bytes(shown)
                self._add_figure(mime, ending, data)
                return

    def _add_figure(self, mime: str, ending: str, data: bytes) -> None:
        self._figures += 1
        if self._figures == _MAX_FIGURES + 1:
            self._note(f"the program has shown more than {_MAX_FIGURES} figures: the others are left out")
        if self._figures <= _MAX_FIGURES:
            self._add("figure", f"figure-{self._figures}.{ending}", mime, data)

    # -- tables --------------------------------------------------------------------------------------------------

    def _capture_table(self, name: str, value: Any) -> bool:
        """Capture *value* if it is a dataframe or a series; return whether it is."""
        exactly: object = value
        kind = type(exactly)
        if not any(kind is getattr(sys.modules.get(module), each, None) for module, each in _TABLES):
            return False
        frame = value
        if len(value) > _MAX_ROWS:
            frame = value.head(_MAX_ROWS)
            self._note(f"{name}.csv has the first {_MAX_ROWS} of {len(value)} rows")
        self._add("table", f"{name}.csv", "text/csv", _csv_of(frame).encode("utf-8", "replace"))
        return True

    # -- messages ------------------------------------------------------------------------------------------------

    def _add(self, kind: str, name: str, mime: str, data: bytes) -> None:
        if len(data) > _MAX_SIZE:
            self._note(f"{name} is left out: it has {len(data) >> 20}MB, more than {_MAX_SIZE >> 20}MB")
            return
        import binascii

        text = binascii.b2a_base64(data, newline=False).decode("ascii")
        self._send({"kind": "artifact", "type": kind, "name": name, "mime": mime, "data": text})

    def _note(self, text: str) -> None:
        self._send({"kind": "note", "text": text})


def _csv_of(frame: Any) -> str:
    """Return a dataframe as CSV, without an index that only counts."""
    if type(frame).__module__.startswith("polars"):
        table = frame if hasattr(frame, "write_csv") else frame.to_frame()
        text: str = table.write_csv()
        return text
    counts = type(frame.index).__name__ == "RangeIndex" and frame.index.name is None
    text = frame.to_csv(index=not counts)
    return text


def _displays_of(value: Any, kind: type[Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield MIME type, file ending and content of each form in which *value* shows itself."""
    forms: dict[str, Any] = dict(_called(value, kind, "_repr_mimebundle_") or {})
    for method, mime, ending in _DISPLAYS:
        shown = forms.get(mime) or _called(value, kind, method)
        if mime in _BASE64 and isinstance(shown, str):
            import binascii

            shown = binascii.a2b_base64(shown)
        yield mime, ending, shown


def _called(value: Any, kind: type[Any], method: str) -> Any:
    """Return what a display method returns, without its metadata; None if *value* has no such method."""
    found: Any = getattr(value, method)() if callable(getattr(kind, method, None)) else None
    exactly: object = found
    return found[0] if type(exactly) is tuple else found
