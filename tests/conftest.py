from __future__ import annotations

import pytest

from tests.roads import ROADS, Road


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest) -> Road:
    """Each way to call; a test that takes it runs on all three."""
    return Road(request.param)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each event loop."""
    return request.param
