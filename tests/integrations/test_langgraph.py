"""Retry policies of LangGraph and LangChain that ask for the category, in real graphs and agents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import pytest

from resilience import report_of, retry_on_category
from resilience.integrations.retry_hooks import is_transient
from resilience.testing import no_waits

pytest.importorskip("langgraph")

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, interrupt

POLICY = RetryPolicy(retry_on=is_transient, initial_interval=0.001, max_attempts=3)


class State(TypedDict):
    text: str


def graph_of(node: Callable[[State], State], retry_policy: RetryPolicy | None = POLICY) -> Any:
    graph = StateGraph(State)
    graph.add_node("node", node, retry_policy=retry_policy)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    return graph.compile(checkpointer=InMemorySaver())


THREAD: Any = {"configurable": {"thread_id": "1"}}


@pytest.mark.parametrize(("error", "runs"), [(ConnectionResetError, 3), (KeyError, 1)], ids=["transient", "bug"])
def test_a_node_is_run_again_only_after_a_transient_failure(error: type[Exception], runs: int):
    calls = []

    def node(state: State) -> State:
        calls.append(1)
        raise error("x")

    with pytest.raises(error):
        graph_of(node).invoke({"text": ""}, THREAD)
    assert len(calls) == runs


def test_an_exhausted_retry_inside_a_node_does_not_multiply_with_that_of_the_graph():
    calls = []

    @retry_on_category(attempts=2)
    def search() -> str:
        calls.append(1)
        raise TimeoutError

    def node(state: State) -> State:
        return {"text": search()}

    with no_waits(), pytest.raises(TimeoutError) as caught:
        graph_of(node).invoke({"text": ""}, THREAD)
    assert len(calls) == 2
    report = report_of(caught.value)
    assert report is not None
    assert report.made == 2


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "policy"])
def test_an_interrupt_pauses_the_graph_and_is_retried_by_none(guarded: bool):
    calls = []

    def node(state: State) -> State:
        calls.append(1)
        return {"text": interrupt("may I?")}

    if guarded:
        graph = graph_of(retry_on_category(attempts=3, base_delay=0)(node), None)
    else:
        graph = graph_of(node)
    paused = graph.invoke({"text": ""}, THREAD)
    assert paused["__interrupt__"][0].value == "may I?"
    assert len(calls) == 1
    assert graph.invoke(Command(resume="yes"), THREAD) == {"text": "yes"}


@pytest.mark.parametrize(("error", "runs"), [(ConnectionResetError, 3), (KeyError, 1)], ids=["transient", "bug"])
def test_a_model_of_langchain_is_asked_again_only_after_a_transient_failure(error: type[Exception], runs: int):
    pytest.importorskip("langchain")
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelRetryMiddleware
    from langchain_core.language_models import BaseChatModel

    calls = []

    class Model(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "unreachable"

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            raise error("x")

    retries = ModelRetryMiddleware(max_retries=2, retry_on=is_transient, on_failure="error", initial_delay=0)
    agent = create_agent(Model(), middleware=[retries])
    with pytest.raises(error):
        agent.invoke({"messages": [("user", "hello")]})
    assert len(calls) == runs
