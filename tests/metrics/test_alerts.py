"""The alert rules in the documentation, by Prometheus' own promtool: they load, and fire when they should.

Without promtool only their text is compared. Debian: it is in the package `prometheus`.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess

import pytest

from tests.metrics.test_dashboard import ASKED, DOCS, ON_THE_PAGE

RULES = DOCS / "prometheus-alerts.yml"
PROMTOOL = shutil.which("promtool")
with_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="there is no promtool on PATH, which says whether rules load. Debian: package prometheus"
)


def rules() -> dict[str, str]:
    """The expression of each alert, by its name."""
    return dict(re.findall(r"- alert: (\w+)\n\s+expr: (.*)", RULES.read_text("utf-8")))


def promtool(*arguments: str | pathlib.Path) -> str:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_those_of_the_page():
    """The page's are compared with a real exposition, see `test_dashboard`."""
    assert [query.strip() for query in ON_THE_PAGE] == list(rules().values())


@with_promtool
def test_prometheus_loads_the_rules():
    assert f"{len(rules())} rules found" in promtool("check", "rules", RULES)


@with_promtool
def test_prometheus_can_read_each_query_of_the_dashboard(tmp_path: pathlib.Path):
    queries = [re.sub(r"\$\{?__rate_interval\}?", "5m", re.sub(r"\$(target|circuit)", ".*", query)) for query in ASKED]
    recorded = [
        {"record": f"dashboard:query_{number}", "expr": query}
        for number, query in enumerate(queries)
        if query and not query.startswith("label_values")
    ]
    assert len(recorded) > 30
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    promtool("check", "rules", path)


# Each with the time after which it fires, its label, and series that make it fire: values a minute apart.
FIRING = [
    (
        "ResilienceConfigurationErrors",
        "6m",
        {"component": "shop"},
        {"errors_total": ("category", "configuration", "0+1x60")},
    ),
    ("ResilienceCircuitOpen", "6m", {"circuit": "pay"}, {"circuit_state": ("state", "open", "1x60")}),
    ("ResilienceCircuitFlaps", "16m", {"circuit": "pay"}, {"circuit_transitions_total": ("state", "open", "0+1x60")}),
    ("ResilienceCircuitSetByHand", "62m", {"circuit": "pay"}, {"circuit_mode": ("mode", "isolated", "1x80")}),
    (
        "ResilienceManyRetries",
        "20m",
        {"target": "buy"},
        {"attempts_total": (None, None, "0+20x60"), "calls_total": ("outcome", "success", "0+10x60")},
    ),
    (
        "ResilienceRetryBudgetSpent",
        "7m",
        {"budget": "pay"},
        {"retry_budget_tokens": (None, None, "10x60"), "retry_budget_size": (None, None, "500x60")},
    ),
    ("ResilienceThreadsExhausted", "6m", {"target": "buy"}, {"threads_exhausted_total": (None, None, "0+1x60")}),
    ("ResilienceDegraded", "45m", {"target": "buy"}, {"fallbacks_total": ("category", "timeout", "0+1x60")}),
]


def test_each_rule_has_a_case_in_which_it_fires():
    assert [name for name, *_ in FIRING] == list(rules())


@with_promtool
@pytest.mark.parametrize(("name", "after", "label", "series"), FIRING, ids=[name for name, *_ in FIRING])
def test_it_fires_when_it_should_and_not_before_there_is_anything(name, after, label, series, tmp_path: pathlib.Path):
    inputs = []
    for metric, (further, value, values) in series.items():
        labels = label if further is None else {**label, further: value}
        text = ",".join(f'{each}="{labels[each]}"' for each in labels)
        inputs.append({"series": f"resilience_{metric}{{{text}}}", "values": values})
    bare = tmp_path / "rules.yml"  # the sentences are for people
    bare.write_text(re.sub(r"\n +annotations:(?:\n +(?:summary|description): .*)+", "", RULES.read_text("utf-8")))
    severity = re.search(rf"alert: {name}\n(?: +(?:expr|for): .*\n)+ +labels: {{severity: (\w+)}}", bare.read_text())
    assert severity is not None
    alert = {"exp_labels": {"severity": severity[1], **label}}
    test = {
        "rule_files": [str(bare)],
        "evaluation_interval": "1m",
        "tests": [
            {"interval": "1m", "input_series": given, "alert_rule_test": [_at(after, name, alerts)]}
            for given, alerts in ((inputs, [alert]), ([], []))
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps(test))
    promtool("test", "rules", path)


def _at(after: str, name: str, alerts: list[dict]) -> dict:
    return {"eval_time": after, "alertname": name, "exp_alerts": alerts}
