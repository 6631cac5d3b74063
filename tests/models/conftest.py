"""Each architecture and each kind of tokenizer in turn."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tiny import ARCHITECTURES, TOKENIZERS


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """Each kind of tokenizer in turn."""
    return TOKENIZERS[request.param](tmp_path)


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    """Each architecture in turn."""
    return str(request.param)
