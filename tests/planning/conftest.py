"""What is known of a run's model before it is loaded; each module has a fixture ``run`` of its own."""

from __future__ import annotations

import pytest
import torch

from twosome.planning.describing import Described, describe
from twosome.planning.skeleton import Skeleton
from twosome.settings.config import RunConfig


@pytest.fixture(scope="module")
def described(run: RunConfig) -> Described:
    return describe(run.model, run.loading)


@pytest.fixture(scope="module")
def skeleton(run: RunConfig, described: Described) -> Skeleton:
    return Skeleton(described.config, run, torch.float32)
