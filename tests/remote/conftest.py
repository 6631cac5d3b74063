"""A stub of a decision server, and a place of its own for its answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.stub import Stub, serving
from twosome.remote import transport


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A server that answers by the lengths of options, until it is told otherwise; nothing is kept from before."""
    monkeypatch.setenv("TWOSOME_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TWOSOME_SERVER_KEY", raising=False)
    monkeypatch.setattr(transport, "FIRST_WAIT", 0.01)
    with serving(Stub()) as server:
        yield server
