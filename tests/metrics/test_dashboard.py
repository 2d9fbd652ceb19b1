"""The metrics that the dashboard and the page name are exported to Prometheus."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from resilience.integrations.prometheus import install
from resilience.metrics._call_stats import CALL_STATS
from resilience.metrics.definitions import all_metrics
from tests.metrics.stories import everything

DOCS = pathlib.Path(__file__).parents[2] / "docs"
BOARD = json.loads((DOCS / "grafana-dashboard.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
ASKED = [
    *QUERIES,
    *(variable.get("definition", "") for variable in BOARD["templating"]["list"]),
    *(note["expr"] for note in BOARD["annotations"]["list"]),
]
PAGE = (DOCS / "reference" / "metrics.md").read_text()
ON_THE_PAGE = [
    query
    for block in re.findall(r"```promql\n(.*?)```", PAGE, re.DOTALL)
    for query in re.split(r"^#.*\n", block, flags=re.MULTILINE)[1:]
]
WORDS = re.compile(r"\bresilience_\w+")


@pytest.fixture(scope="module")
def shown() -> dict[str, set[str]]:
    """The labels of each sample of a real exposition, by its name."""
    registry = CollectorRegistry()
    with pytest.MonkeyPatch.context() as patch, install(registry):
        patch.setattr(CALL_STATS, "_stats", {})
        kept = everything()
        text = generate_latest(registry).decode()
    assert kept
    return {
        sample.name: set(sample.labels) for family in text_string_to_metric_families(text) for sample in family.samples
    }


@pytest.mark.parametrize("query", [*ASKED, *ON_THE_PAGE])
def test_every_metric_and_label_that_is_asked_for_is_there(query: str, shown: dict[str, set[str]]):
    asked = WORDS.findall(query)
    assert set(asked) <= set(shown)
    known = set.union(*(shown[name] for name in asked)) if asked else set()
    for labels in re.findall(r"by \(([^)]*)\)", query):
        assert {label.strip() for label in labels.split(",")} <= known
    for name, selector in re.findall(r"(resilience_\w+)\{([^}]*)\}", query):
        assert set(re.findall(r"(\w+)(?:=~|!=|=)\"", selector)) <= shown[name]


def test_every_metric_is_on_the_dashboard():
    found = {
        re.sub(r"_(bucket|sum|count)$", "", word) if "duration" in word else word
        for query in QUERIES
        for word in WORDS.findall(query)
    }
    assert found == {metric.prometheus_name for metric in all_metrics()}


def test_the_dashboard_is_whole():
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert all(panel["title"] and panel["targets"] for panel in PANELS)
    titles = " ".join(panel["title"] for panel in PANELS)
    for wanted in (
        "Calls",
        "category",
        "Attempts per call",
        "p50",
        "p95",
        "p99",
        "Circuit states",
        "Retries",
        "budgets",
    ):
        assert wanted in titles
    places = [
        (x, y)
        for panel in BOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places)), "panels lie on each other"
    assert max(x for x, _ in places) < 24
    variables = {variable["name"] for variable in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(BOARD["panels"]))) - {"__rate_interval"}
    assert used == variables
    assert all(query.count("(") == query.count(")") for query in ASKED)
