"""openai: one retry instead of two, which a long answer does not time out."""

from __future__ import annotations

from openai import OpenAI

from resilience import standard

# The model takes its time; a completion may be asked for twice although it is a POST.
model = standard("model of openai", timeout=60, idempotent=True)


def open_client(base_url: str, api_key: str) -> OpenAI:
    """Open the client without its own two retries, which would multiply with those of the stack."""
    return OpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=55)


@model
def answer(client: OpenAI, question: str) -> str:
    """Return the model's answer."""
    completion = client.chat.completions.create(model="small", messages=[{"role": "user", "content": question}])
    return completion.choices[0].message.content or ""
