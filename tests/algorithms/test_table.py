"""Algorithms by name: the table, the settings of the same name, and the protocol."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from tests.algorithms.test_full_vocabulary import Telling
from twosome.algorithms import ALGORITHMS, make_algorithm
from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.settings.config import RunConfig


class PhraseTable(Telling):
    """A table that knows of tokens and whose phrases have features: all that an algorithm may ask for."""

    feature_size = 3

    def action_features(self, decisions: Sequence[Decision]) -> torch.Tensor:
        return torch.zeros(len(decisions), max(len(decision.actions) for decision in decisions), self.feature_size)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_is_made_by_its_name_from_its_settings(name: str) -> None:
    config = replace(RunConfig(), algorithm=name, num_envs=4)
    algorithm = make_algorithm(name, PhraseTable(), config.algorithm_settings, torch.Generator().manual_seed(0))
    state = algorithm.state_dict()
    algorithm.load_state_dict(state)
    assert getattr(config, name) in config.algorithm_settings


def test_an_unknown_algorithm_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"algorithm must be ppo.*, got 'pppo'"):
        RunConfig(algorithm="pppo")


def test_names_are_known_without_torch() -> None:
    command = "import sys, twosome.settings.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], timeout=60).returncode == 0
