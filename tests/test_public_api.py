"""The public API changes only together with its reviewed text."""

from __future__ import annotations

import typing

from tests import public_api


def test_the_public_api_is_what_its_snapshot_says():
    kept = public_api.SNAPSHOT.read_text("utf-8").splitlines()
    found = public_api.snapshot().splitlines()
    assert found == kept, "review the change, then write it: `uv run python -m tests.public_api`"


def test_equal_aliases_of_two_modules_are_one_though_typing_has_forgotten_the_first():
    first = typing.Literal["raised", "cause"]
    for number in range(1000):
        typing.Literal[number]
    second = typing.Literal["raised", "cause"]
    assert public_api.identity(first) == public_api.identity(second)


def test_every_name_that_a_public_module_lists_is_there():
    missing = [
        f"{module.__name__}.{name}"
        for module in public_api.public_modules()
        for name in getattr(module, "__all__", ())
        if not hasattr(module, name)
    ]
    assert missing == []


def test_a_name_of_several_modules_is_described_at_its_shortest_path():
    text = public_api.snapshot()
    assert "\n    class Backoff()\n" in text
    assert "\nresilience.policies.backoff\n    Backoff: see resilience.Backoff\n" in text.replace(
        "    JITTERS: tuple\n", ""
    )
