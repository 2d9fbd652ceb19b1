"""anthropic: one retry instead of two. An attempt has 60 s, for a model takes its time."""

from __future__ import annotations

from anthropic import Anthropic

from resilience.clients import protect


def open_client(base_url: str, api_key: str) -> Anthropic:
    """Open the client. Its own two retries, which would multiply with those of the stack, are switched off."""
    return protect(Anthropic(base_url=base_url, api_key=api_key))


def answer(client: Anthropic, question: str) -> str:
    """Return the model's answer."""
    message = client.messages.create(model="small", max_tokens=1000, messages=[{"role": "user", "content": question}])
    return "".join(block.text for block in message.content if block.type == "text")
