"""LangGraph: the graph retries a node after transient failures alone, and not after an interrupt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy

from resilience.integrations.retry_hooks import is_transient


class Question(TypedDict):
    """The state of the graph."""

    query: str
    found: list[str]


def graph_of(search: Callable[[str], list[str]]) -> Any:
    """Return a graph whose only node asks a service."""

    def node(state: Question) -> Question:
        return {"query": state["query"], "found": search(state["query"])}

    graph = StateGraph(Question)
    graph.add_node("search", node, retry_policy=RetryPolicy(retry_on=is_transient, initial_interval=0.1))
    graph.add_edge(START, "search")
    graph.add_edge("search", END)
    return graph.compile()
