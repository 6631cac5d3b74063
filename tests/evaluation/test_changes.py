"""Which decisions practice changed most."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from twosome.cli import main
from twosome.evaluation.changes import changes
from twosome.runs.agents import load_agent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("changes") / "run"
    assert main(["train", "food-preparation", "--decisions", "256", "--out", str(out)]) == 0
    return out


def test_what_changed_most_comes_first_with_probabilities_of_base_and_agent(run: Path) -> None:
    policy = load_agent(run).language
    found = changes(policy, "food-preparation", gamma=0.95)
    weights = [change.weight for change in found]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > 0
    first = found[0]
    with torch.no_grad():
        base = policy.reference_action_log_probs([first.decision])[0].exp().tolist()
        agent = policy.action_log_probs([first.decision])[0].exp().tolist()
    assert first.before == pytest.approx(base, abs=1e-6)
    assert first.after == pytest.approx(agent, abs=1e-6)
    # An episode begins in one place, whoever plays: somewhere both come.
    assert any(change.visits_before > 0.2 and change.visits_after > 0.2 for change in found)


def test_the_command_shows_them(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--exact", "--changes", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("visits an episode, before and after") == 2
    assert "* " in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--changes", "2"], "--changes needs --exact"),
        (["--exact", "--changes", "2", "--uniform", "--task", "tomato-salad"], "--changes"),
    ],
)
def test_it_needs_an_agent_and_states(
    words: list[str], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = [] if "--uniform" in words else [str(run)]
    assert main(["evaluate", *source, *words]) == 2
    assert message in capsys.readouterr().err
