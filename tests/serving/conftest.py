"""One agent and one server for all tests of serving."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("uvicorn", reason="serving is an extra: pip install 'twosome[serve]'")
pytest.importorskip("starlette", reason="serving is an extra: pip install 'twosome[serve]'")

from tests.serving.running import Running, serving
from twosome import Agent


@pytest.fixture(scope="session")
def agent() -> Agent:
    """The embedded model, untrained."""
    return Agent.load()


@pytest.fixture(scope="session")
def server(agent: Agent) -> Iterator[Running]:
    with serving({"embedded": agent}) as running:
        yield running
