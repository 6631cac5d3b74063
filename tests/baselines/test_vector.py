"""An agent that reads the observation vector: what it sees, how it acts, and that its run is like any other."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.runs.outcome import outcome
from tests.runs.test_resume import stop_after
from tests.tiny import trained
from twosome import Decision
from twosome.baselines import UniformPolicy, VectorPolicy
from twosome.cli import main
from twosome.cli.train import parse
from twosome.errors import ConfigError, ModelError, RunError
from twosome.evaluation.exact import evaluate_exactly
from twosome.runs.agents import load_agent
from twosome.runs.trainer import resume, train
from twosome.settings.config import RunConfig
from twosome.text.tasks import TASKS, make_task

FILES = ("metrics.jsonl", "episodes.jsonl", "actor.safetensors", "critic.safetensors")


@pytest.fixture(scope="module")
def config() -> RunConfig:
    config, _ = parse(["food-preparation", "--preset", "ppo", "--decisions", "256", "--save_every", "2"])
    ppo = replace(config.ppo, policy_minibatch=16, value_minibatch=16)
    return replace(config, num_envs=4, rollout_steps=16, environment={"step_limit": 12}, ppo=ppo)


@pytest.fixture(scope="module")
def run(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(config, tmp_path_factory)


def test_the_numbers_are_the_observation_and_the_actions_the_admissible_ids() -> None:
    with closing(make_task("food-preparation", narration="numbers")) as env:
        observation, info = env.reset()
        assert observation["prompt"] == "1 0 0 0 1 0 0 1 0 0 0"
        offered = [int(phrase.split()[1]) for phrase in observation["actions"]]
        assert offered == [index for index, bit in enumerate(info["action_mask"]) if bit] == [0, 2, 3, 4, 5]
        after, *_ = env.step(3)
        assert after["prompt"] == "1 0 0 0 1 1 0 1 0 0 0", "action 4 walks to the pancake"


def test_a_state_that_is_not_whole_or_more_than_that_is_refused() -> None:
    policy = VectorPolicy(2, 4, hidden=[8])
    state = policy.state_dict()
    policy.load_state_dict(state)
    for wrong in ({**state, "other.0.weight": torch.zeros(1)}, {n: w for n, w in state.items() if n != "actor.0.bias"}):
        with pytest.raises(RunError, match="not those of this run"):
            policy.load_state_dict(wrong)


def test_what_is_not_offered_has_no_probability_and_padding_none() -> None:
    torch.manual_seed(0)
    policy = VectorPolicy(2, 4, hidden=[8])
    wide, narrow = Decision("0.5 -1", ("action 0", "action 2", "action 3")), Decision("0.5 -1", ("action 3",))
    with torch.no_grad():
        logits = policy.actor(torch.tensor([0.5, -1.0]))
        log_probs = policy.action_log_probs([wide, narrow])
    torch.testing.assert_close(log_probs[0], torch.log_softmax(logits[[0, 2, 3]], -1))
    assert log_probs[1].tolist() == [0.0, -torch.inf, -torch.inf]
    assert policy.values([wide, narrow]).unique().numel() == 1


def test_the_order_of_the_offer_does_not_matter() -> None:
    policy = VectorPolicy(1, 3)
    with torch.no_grad():
        there = policy.action_log_probs([Decision("7", ("action 0", "action 1", "action 2"))])[0]
        back = policy.action_log_probs([Decision("7", ("action 2", "action 1", "action 0"))])[0]
    assert torch.equal(there, back.flip(0))


@pytest.mark.parametrize(
    ("prompt", "phrase", "message"),
    [
        ("You are in the kitchen", "action 0", "reads numbers, not words"),
        ("1 0", "sit down", "reads numbers, not words"),
        ("1 0 0", "action 0", "made for 2 numbers"),
        ("1 0", "action 9", "and action 9"),
    ],
)
def test_a_task_it_was_not_made_for_is_refused(prompt: str, phrase: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        VectorPolicy(2, 4).action_log_probs([Decision(prompt, (phrase,))])


@pytest.mark.parametrize("task", TASKS)
def test_every_task_can_be_told_in_numbers_with_the_same_worth(task: str) -> None:
    words = evaluate_exactly(UniformPolicy(), task)
    numbers = evaluate_exactly(UniformPolicy(), task, environment={"narration": "numbers"})
    assert numbers.success == pytest.approx(words.success, abs=1e-12)
    assert numbers.optimal_return == words.optimal_return


@pytest.mark.parametrize(
    ("task", "success", "states"), [("food-preparation", 0.00099, 51), ("entertainment", 0.0000026, 572)]
)
def test_without_mask_uniform_play_is_worth_what_it_is_in_the_published_environment(
    task: str, success: float, states: int
) -> None:
    """0.099 % and 0.00026 %."""
    environment = {"faithful": True, "all_actions": True, "narration": "numbers"}
    result = evaluate_exactly(UniformPolicy(), task, gamma=0.95, environment=environment)
    assert result.success == pytest.approx(success, rel=0.01)
    assert result.states == states


@pytest.mark.parametrize("faithful", [True, False])
def test_without_mask_what_cannot_be_done_costs_a_step_and_nothing_else(faithful: bool) -> None:
    with closing(make_task("food-preparation", faithful=faithful, all_actions=True)) as env:
        before, _ = env.reset()
        assert len(before["actions"]) == 10
        after, reward, terminated, _, info = env.step(before["actions"].index("close the microwave"))
        assert (after["prompt"], reward, terminated) == (before["prompt"], 0.0, False)
        assert not info["executed"]


def test_the_directory_is_complete(run: Path) -> None:
    visible = {path.name for path in run.iterdir() if not path.name.startswith(".")}
    assert visible == {
        "config.yaml",
        "versions.json",
        "timing.jsonl",
        "learning_curve.png",
        "checkpoints",
        "best",
        *FILES,
    }
    assert json.loads((run / "versions.json").read_text())["scoring"] == "vector"


def test_a_loaded_agent_is_the_trained_one(run: Path, config: RunConfig, tmp_path: Path) -> None:
    policy = train(config, tmp_path / "again")
    assert outcome(run, FILES) == outcome(tmp_path / "again", FILES)
    agent = load_agent(run)
    setting = agent.setting()
    arguments = {"gamma": setting.gamma, "environment": setting.environment}
    assert evaluate_exactly(agent.policy, setting.task, **arguments) == evaluate_exactly(
        policy, setting.task, **arguments
    )


@pytest.mark.parametrize("update", [1, 2, 3])
def test_stopped_at_any_update_it_ends_the_same(
    update: int, run: Path, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(config, tmp_path / "run", update, monkeypatch)
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run", FILES) == outcome(run, FILES)


def test_it_is_evaluated_from_the_command_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--exact", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "food-preparation"
    assert main(["evaluate", str(run), "--task", "laundry", "--episodes", "2", "--json"]) == 0
    assert main(["evaluate", str(run), "--task", "tomato-salad", "--exact"]) == 2
    assert "made for 11 numbers" in capsys.readouterr().err
    assert main(["play", "food-preparation", "--player", "model", "--agent", str(run)]) == 0
    assert main(["score", "--adapter", str(run), "--prompt", "now", "--action", "go"]) == 2
    assert "no language model" in capsys.readouterr().err


def test_a_model_for_an_agent_without_language_is_refused(run: Path) -> None:
    with pytest.raises(ConfigError, match="reads numbers"):
        load_agent(run, model="embedded")


def test_damaged_weights_are_refused_in_one_sentence(run: Path, tmp_path: Path) -> None:
    for name in ("config.yaml", "critic.safetensors"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    (tmp_path / "actor.safetensors").write_bytes((run / "actor.safetensors").read_bytes()[:50])
    with pytest.raises(RunError, match="cannot read the weights"):
        load_agent(tmp_path)


def test_it_learns_in_seconds(tmp_path: Path) -> None:
    """Tomato salad, seen all of: 6,000 decisions are not enough for the optimum, and far better than chance."""
    config, _ = parse(["tomato-salad", "--preset", "ppo", "--decisions", "6000"])
    policy = train(replace(config, environment={"view_radius": 0}), tmp_path / "run")
    environment = {"view_radius": 0, **config.narration}
    untrained = evaluate_exactly(UniformPolicy(), "tomato-salad", environment=environment)
    trained = evaluate_exactly(policy, "tomato-salad", environment=environment)
    assert trained.discounted_return > untrained.discounted_return + 0.3
