"""A server that answers with whatever a test wants, and a model that believes it."""

from __future__ import annotations

import pytest
from hostile_server import hostile_server


@pytest.fixture
def hostile():
    with hostile_server() as server:
        yield server


@pytest.fixture
def victim(hostile, make_model):
    return make_model(base_url=hostile.url, max_retries=0)
