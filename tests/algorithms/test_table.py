"""Algorithms by name: the table, the settings of the same name, and the protocol."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

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


class Collected:
    """Notes which tests there are."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.names = [item.name for item in items]


def test_what_holds_for_every_algorithm_is_tested_with_every_one() -> None:
    """Exact resume, faults, the report and all else: no algorithm is left out of a table that was forgotten."""
    root, collected = Path(__file__).parents[1], Collected()
    files = [str(root / "runs" / "test_algorithms.py"), str(root / "test_faults.py")]
    options = ["--collect-only", "--quiet", "-p", "no:cacheprovider", f"--rootdir={root.parent}"]
    assert pytest.main([*options, *files], plugins=[collected]) == pytest.ExitCode.OK
    for test, others in {
        "test_stopped_at_any_update_it_ends_the_same": (),
        "test_the_report_shows_it": (),
        "test_a_finished_run_goes_on": (),
        "test_its_agent_plays_and_its_best_does": (),
        "test_a_loss_that_is_no_number_is_found_with_every_algorithm": ("ppo",),  # the whole campaign is of ppo
    }.items():
        cases = [name[len(test) + 1 : -1] for name in collected.names if name.startswith(f"{test}[")]
        found = {part for case in cases for part in case.split("-")}
        assert set(ALGORITHMS) <= found | set(others), test


def test_every_algorithm_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "algorithms.md").read_text(encoding="utf-8")
    for name in ALGORITHMS:
        assert f"| `{name}` |" in page, name
