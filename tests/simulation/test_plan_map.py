"""Sweeps: axes from a text, variants of a function, the map and its page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from resilience import RetryBudget, bulkhead, describe, retry_on_category, timeout
from resilience.simulation import Latency, Outage, Pause, Resize, Scenario, Slowdown, Surge
from resilience.simulation._axes import Axis, parse_axes
from resilience.simulation._map import Cell, PlanMap
from resilience.simulation._map_page import map_page
from resilience.simulation._sweep import combinations, sweep, trouble_of
from resilience.simulation._variants import options_of, variant

SMALL = Scenario(
    rps=20,
    capacity=48,
    latency=Latency(p50=0.040, p99=0.200),
    duration=35,
    events=(Slowdown(at=5, lasts=10, speed=0.3),),
)


@retry_on_category(attempts=3, budget=RetryBudget("planned", tokens=100))
@bulkhead("planned", 50)
@timeout(1.0)
async def search() -> None: ...


@retry_on_category(attempts=3)
@timeout(1.0)
async def unbounded() -> None: ...


def cell(verdict: str, recovery: float | None = 0.0, **options: float) -> Cell:
    return Cell(options, verdict, recovery, 0.99, 1.5, 0.04, 0.3, verdict)  # type: ignore[arg-type]


def plan(*cells: Cell, attempts: float = 2) -> PlanMap:
    axis = Axis("attempts", [each.options["attempts"] for each in cells])
    return PlanMap("shop.search", (axis,), cells, {"Calls": "20 a second"}, "an outage of 60 s", {"attempts": attempts})


def test_a_range_of_a_count_is_every_whole_number() -> None:
    assert parse_axes("attempts=1..5") == (Axis("attempts", (1, 2, 3, 4, 5)),)


def test_a_range_of_seconds_is_ten_values_unless_their_number_is_given() -> None:
    assert parse_axes("timeout=.2..2")[0].values == (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
    assert parse_axes("timeout=.2..2:3")[0].values == (0.2, 1.1, 2.0)


def test_a_long_range_of_a_count_is_thinned_out() -> None:
    assert parse_axes("clients=1..1000:4")[0].values == (1, 334, 667, 1000)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("atempts=1..5", "no such option; did you mean 'attempts'"),
        ("attempts", "give a range such as attempts=1..5"),
        ("attempts=5..1", "give a range such as attempts=1..5"),
        ("attempts=1|1.5", "give whole numbers"),
        ("timeout=-1..2", "give a range such as timeout=1..5"),
        ("attempts=1..2,attempts=1..3", "a map has one axis or two"),
        ("attempts=1..2,timeout=1..3,limit=1..3", "a map has one axis or two"),
        ("timeout=1..2:99", "99 values are too many for a map"),
    ],
    ids=["misspelt", "no values", "backwards", "half an attempt", "negative", "twice", "three", "too many"],
)
def test_a_text_that_says_no_axes_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_axes(text)


def test_a_variant_has_other_options_and_the_original_keeps_its_own() -> None:
    before = str(describe(search))
    changed = variant(search, {"attempts": 5, "budget": 7, "timeout": 0.5, "limit": 3})
    assert options_of(changed) == {"attempts": 5, "budget": 7.0, "timeout": 0.5, "limit": 3}
    assert options_of(search) == {"attempts": 3, "budget": 100.0, "timeout": 1.0, "limit": 50}
    assert str(describe(search)) == before


def test_a_budget_of_nothing_is_none() -> None:
    assert options_of(variant(search, {"budget": 0}))["budget"] == 0.0


def test_an_option_that_the_stack_lacks_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"deadline=2: .*unbounded has no option deadline: give it a deadline"):
        variant(unbounded, {"deadline": 2})


def test_a_sweep_finds_the_border_between_safe_and_metastable() -> None:
    found = sweep(unbounded, SMALL, parse_axes("attempts=1..3"), jobs=1)
    assert [each.verdict for each in found.cells] == ["safe", "safe", "metastable"]
    assert found.agreement == 1.0
    assert "unbounded never comes back from 0.3x the speed for 10 s" in found.conclusion
    assert found.conclusion.endswith("the nearest safe combination is attempts 2.")


def test_a_sweep_refuses_an_option_before_it_simulates() -> None:
    with pytest.raises(ValueError, match="has no option limit"):
        sweep(unbounded, SMALL, parse_axes("limit=1..3"))


def test_the_first_axis_varies_fastest() -> None:
    wanted = combinations(parse_axes("attempts=1..2,timeout=1|2"))
    assert wanted == [
        {"attempts": 1, "timeout": 1.0},
        {"attempts": 2, "timeout": 1.0},
        {"attempts": 1, "timeout": 2.0},
        {"attempts": 2, "timeout": 2.0},
    ]


def test_the_conclusion_is_about_the_function_as_it_is() -> None:
    lost = plan(cell("safe", attempts=1), cell("metastable", None, attempts=2))
    assert lost.conclusion == (
        "As it is now (attempts 2), shop.search never comes back from an outage of 60 s;"
        " the nearest safe combination is attempts 1."
    )


def test_the_conclusion_of_a_map_without_it_counts() -> None:
    both = (cell("safe", attempts=1), cell("metastable", None, attempts=2))
    assert plan(*both, attempts=9).conclusion == (
        "shop.search is safe in 1 of 2 combinations; in 1 it never comes back from an outage of 60 s,"
        " as with attempts 2."
    )
    assert plan(cell("safe", attempts=1), attempts=9).conclusion.startswith("shop.search is safe in all 1 combinations")


def test_no_safe_combination_is_said() -> None:
    assert plan(cell("overloaded", attempts=2)).conclusion.endswith("no combination of this map is safe.")


def test_trouble_is_told_in_words() -> None:
    events = (Resize(at=1, lasts=float("inf"), workers=0.5), Surge(at=1, lasts=5, times=3), Pause(at=1, lasts=2))
    assert trouble_of(events) == "0.5x the workers for good and 3x the calls for 5 s and a pause of 2 s"
    assert trouble_of((Outage(at=1, lasts=5, mode="hang"),)) == "an outage in which requests hang, of 5 s"
    assert trouble_of(()) == "no trouble"


class Page(HTMLParser):
    """The parts of a page: tags, attributes by tag, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_loads_nothing_and_escapes_names() -> None:
    page = map_page(PlanMap("<b>", (Axis("attempts", (1,)),), (cell("safe", attempts=1),), {}, "no trouble", {}))
    assert "<b>" not in page
    assert not re.search(r"(src|href)=|https?://|@import|url\(", page)


def test_each_cell_is_reachable_and_says_all_in_words() -> None:
    shown = Page(map_page(plan(cell("safe", attempts=1), cell("metastable", None, attempts=2))))
    cells = [attributes for tag, attributes in shown.found if tag == "td" and "cell" in str(attributes.get("class"))]
    assert [each["aria-label"] for each in cells] == [
        "attempts 1: safe, back 0 s after the trouble",
        "attempts 2: metastable, never back, as it is now",
    ]
    assert [each["tabindex"] for each in cells] == ["-1", "0"]


def test_the_page_has_the_conclusion_the_units_and_a_table_of_all_numbers() -> None:
    found = plan(cell("safe", attempts=1), cell("metastable", None, attempts=2))
    shown = Page(map_page(found))
    for text in (found.conclusion, "attempts for each call", "p99 (ms)", "back after (s)", "20 a second"):
        assert text in shown.text


def test_the_same_map_is_the_same_page() -> None:
    assert map_page(plan(cell("safe", attempts=1))) == map_page(plan(cell("safe", attempts=1)))
