"""The parts of the documentation that follow from declarations: ``uv run python -m tests.reference`` writes them.

The tables of events and metrics stand between two comments in their pages. The dashboard is laid out by hand but for
its last row, which has a panel for each counter of an event that no other panel shows. `test_reference` fails where a
file is not as this module would write it.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import pathlib
import re
from collections.abc import Callable, Iterator

from resilience._metric import Counter
from resilience.events import Event, event_types
from resilience.metrics.definitions import all_metrics, event_counters

__all__ = ["DASHBOARD", "DOCS", "PAGES", "dashboard", "main", "page"]

DOCS = pathlib.Path(__file__).parents[1] / "docs"
DASHBOARD = DOCS / "grafana-dashboard.json"
ROW = "Further events"
BETWEEN = re.compile(r"(<!-- begin: written by `uv run python -m tests\.reference` -->\n).*?(<!-- end -->)", re.DOTALL)


def events() -> Iterator[str]:
    """The rows of the table of events."""
    yield "| name, class | level | further fields |"
    yield "|---|---|---|"
    inherited = {field.name for field in dataclasses.fields(Event)}
    for kind in event_types():
        fields = [f"`{field.name}`" for field in dataclasses.fields(kind) if field.name not in inherited]
        cells = f"`{kind.name}`<br>`{kind.__name__}`", kind.severity.value, ", ".join(fields)
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |")
    left_out = ", ".join(f"`{kind.name}`" for kind in event_types() if not kind.on_span)
    yield f"\nAll but {left_out} are added to spans of OpenTelemetry."


def metrics() -> Iterator[str]:
    """The rows of the table of metrics."""
    yield "| Prometheus, OpenTelemetry | labels | |"
    yield "|---|---|---|"
    for metric in all_metrics():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"| `{metric.prometheus_name}`<br>`{metric.name}` | {labels} | {metric.help} |"


PAGES: dict[pathlib.Path, Callable[[], Iterator[str]]] = {
    DOCS / "reference" / "events.md": events,
    DOCS / "reference" / "metrics.md": metrics,
}


def page(path: pathlib.Path) -> str:
    """The text of a page with its table written anew."""
    table = "\n".join(PAGES[path]())
    text, found = BETWEEN.subn(lambda match: f"{match[1]}{table}\n{match[2]}", path.read_text("utf-8"))
    assert found == 1, f"{path.name} has no place for its table"
    return text


def dashboard() -> str:
    """The dashboard with its last row written anew."""
    board = json.loads(DASHBOARD.read_text("utf-8"))
    kept = list(itertools.takewhile(lambda panel: panel["title"] != ROW, board["panels"]))
    queries = " ".join(target["expr"] for panel in kept for target in panel.get("targets", ()))
    missing = [counter for counter in event_counters() if counter.prometheus_name not in queries]
    board["panels"] = [*kept, *_further(kept, missing)]
    return json.dumps(board, indent=2) + "\n"


def _further(kept: list[dict], counters: list[Counter]) -> Iterator[dict]:
    """A row with a panel for each counter, below the panels that are kept and after the looks of the first ones."""
    if not counters:
        return
    number = max(panel["id"] for panel in kept) + 1
    top = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in kept)
    row = next(panel for panel in kept if panel["type"] == "row")
    yield {**row, "id": number, "title": ROW, "gridPos": {**row["gridPos"], "y": top}}
    for place, counter in enumerate(counters):
        panel = copy.deepcopy(next(panel for panel in kept if panel["type"] == "timeseries"))
        labels = ", ".join(counter.labels)
        selector = '{target=~"$target"}' if "target" in counter.labels else ""
        panel["id"] = number + 1 + place
        panel["title"] = counter.name.removeprefix("resilience.").replace(".", " ").capitalize()
        panel["description"] = counter.help
        panel["gridPos"] = {"h": 8, "w": 8, "x": 8 * (place % 3), "y": top + 1 + 8 * (place // 3)}
        panel["targets"][0]["expr"] = f"sum by ({labels}) (rate({counter.prometheus_name}{selector}[$__rate_interval]))"
        panel["targets"][0]["legendFormat"] = " ".join(f"{{{{{label}}}}}" for label in counter.labels)
        yield panel


def main() -> None:
    """Write what is out of date."""
    for path in PAGES:
        path.write_text(page(path), "utf-8")
    DASHBOARD.write_text(dashboard(), "utf-8")


if __name__ == "__main__":
    main()
