"""openai: one retry instead of two. An attempt has 60 s, for a model takes its time."""

from __future__ import annotations

from openai import OpenAI

from resilience.clients import protect


def open_client(base_url: str, api_key: str) -> OpenAI:
    """Open the client. Its own two retries, which would multiply with those of the stack, are switched off."""
    return protect(OpenAI(base_url=base_url, api_key=api_key))


def answer(client: OpenAI, question: str) -> str:
    """Return the model's answer."""
    completion = client.chat.completions.create(model="small", messages=[{"role": "user", "content": question}])
    return completion.choices[0].message.content or ""
