"""Fixtures for the whole test suite."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may depend on a model hub
# Nor on what earlier tests, or this user's runs, found out and kept.
os.environ["TWOSOME_CACHE"] = tempfile.mkdtemp(prefix="twosome-cache-")

import pytest
import torch

from tests.tiny import ARCHITECTURES, TOKENIZERS, save_model


def pytest_unconfigure() -> None:
    """Leave nothing behind: a copy of a pretrained model is a gigabyte."""
    shutil.rmtree(os.environ["TWOSOME_CACHE"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Bitwise comparisons need one thread, and workers side by side are faster with one each."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny LLaMA with random weights and a byte-level tokenizer."""
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """Each kind of tokenizer in turn."""
    return TOKENIZERS[request.param](tmp_path)


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    """Each architecture in turn."""
    return str(request.param)
