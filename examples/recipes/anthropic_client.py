"""anthropic: one retry instead of two, which a long answer does not time out."""

from __future__ import annotations

from anthropic import Anthropic

from resilience import standard

model = standard("model of anthropic", timeout=60, idempotent=True)


def open_client(base_url: str, api_key: str) -> Anthropic:
    """Open the client without its own two retries, which would multiply with those of the stack."""
    return Anthropic(base_url=base_url, api_key=api_key, max_retries=0, timeout=55)


@model
def answer(client: Anthropic, question: str) -> str:
    """Return the model's answer."""
    message = client.messages.create(model="small", max_tokens=1000, messages=[{"role": "user", "content": question}])
    return "".join(block.text for block in message.content if block.type == "text")
