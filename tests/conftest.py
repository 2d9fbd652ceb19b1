from __future__ import annotations

import pytest
from hypothesis import settings

from tests.roads import ROADS, Road

# A busy machine is no reason to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest) -> Road:
    """Each way to call; a test that takes it runs on all three."""
    return Road(request.param)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each event loop."""
    return request.param
