"""SayCan by hand, and learned affordances on a world where they are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing

import pytest
import torch
from torch import Tensor

from twosome import Decision
from twosome.baselines import UniformPolicy
from twosome.baselines.saycan import Attempt, LearnedAffordances, SayCanPolicy, admissible, attempts
from twosome.cli import main
from twosome.evaluation.exact import evaluate_exactly
from twosome.evaluation.saycan import learned_saycan, oracle_saycan, unmasked
from twosome.rollout import Collector
from twosome.runs.agents import load_agent
from twosome.text.tasks import make_vector_task

WIDE, NARROW = Decision("now", ("go", "stay", "sing")), Decision("then", ("go", "sing"))


def test_the_product_is_normalised_over_what_is_offered() -> None:
    def can(decisions: Sequence[Decision]) -> Tensor:
        return torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 9.0]]).log()

    log_probs = SayCanPolicy(UniformPolicy(), can).action_log_probs([WIDE, NARROW])
    assert log_probs[0].exp().tolist() == pytest.approx([0.5, 0.25, 0.25])
    assert log_probs[1].exp().tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_the_mask_as_affordance_leaves_what_is_said() -> None:
    said = UniformPolicy().action_log_probs([WIDE, NARROW])
    torch.testing.assert_close(SayCanPolicy(UniformPolicy(), admissible).action_log_probs([WIDE, NARROW]), said)


def test_attempts_are_what_was_seen_to_work() -> None:
    """Walking works; closing a closed door does not; what a limit or the end of the rollout cut off is left out."""
    arguments = {"all_actions": True, "step_limit": 7}
    with closing(make_vector_task("food-preparation", 2, arguments=arguments)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        rollout, episodes = collector.collect(UniformPolicy(), 21)
    tried = list(attempts(rollout))
    assert len(tried) == 2 * 21 - int(rollout.truncated.sum())
    assert len(episodes) == int(rollout.truncated.sum()) == 6
    shut = [try_ for try_ in tried if "The microwave is closed" in try_.decision.prompt]
    closing_it = [try_ for try_ in shut if try_.decision.actions[try_.action] == "close the microwave"]
    assert closing_it
    assert not any(try_.succeeded for try_ in closing_it)
    walks = [try_ for try_ in tried if try_.decision.actions[try_.action] == "walk to the bedroom"]
    assert all(try_.succeeded for try_ in walks if "You are in the bedroom" not in try_.decision.prompt)


def test_an_action_that_ends_an_episode_worked() -> None:
    with closing(make_vector_task("tomato-salad", 4)) as envs:
        rollout, _ = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0)).collect(UniformPolicy(), 150)
    served = rollout.terminated.sum()
    assert served > 0
    tried = [try_ for try_ in attempts(rollout) if try_.decision.actions[try_.action] == "serve the dish"]
    assert sum(try_.succeeded for try_ in tried) >= served


def test_affordances_are_learned() -> None:
    """Whether a phrase works is one of its features: the classifier finds which."""
    torch.manual_seed(0)
    texts = {f"p{i} {action}": torch.randn(4) for i in range(40) for action in ("go", "stay")}
    works = {text: bool(vector[2] > 0) for text, vector in texts.items()}

    def features(sentences: Sequence[str]) -> Tensor:
        return torch.stack([texts[sentence] for sentence in sentences])

    decisions = [Decision(f"p{i}", ("go", "stay")) for i in range(40)]
    tried = [Attempt(d, a, works[d.sentence(a)]) for d in decisions for a in range(2)]
    affordances = LearnedAffordances(features, size=4, hidden=16)
    loss = affordances.fit(tried, generator=torch.Generator().manual_seed(0), epochs=1000)
    assert loss < 0.1
    learned = affordances(decisions).exp()
    for decision, row in zip(decisions, learned.tolist(), strict=True):
        assert [p > 0.5 for p in row] == [works[decision.sentence(a)] for a in range(2)]


def test_saycan_on_a_task_with_the_embedded_model() -> None:
    """With the mask it is untrained play; learned affordances find most of what the mask says."""
    language = load_agent(normalization="sum").language
    plain = evaluate_exactly(language, "food-preparation", gamma=0.95)
    oracle = evaluate_exactly(oracle_saycan(language), "food-preparation", gamma=0.95)
    assert oracle.discounted_return == pytest.approx(plain.discounted_return, abs=1e-6)

    everything = unmasked("food-preparation", {"step_limit": 30})
    assert everything == {"step_limit": 30, "all_actions": True}
    learned = learned_saycan(language, "food-preparation", decisions=2000, environment={"step_limit": 30})
    without = evaluate_exactly(language, "food-preparation", gamma=0.95, environment=everything)
    result = evaluate_exactly(learned, "food-preparation", gamma=0.95, environment=everything)
    assert result.discounted_return > without.discounted_return
    assert unmasked("tomato-salad") == {}


def test_saycan_from_the_command_line(capsys: pytest.CaptureFixture[str], model_directory: str) -> None:
    words = ["evaluate", "--task", "food-preparation", "--exact", "--model", model_directory]
    returns = {}
    for kind in ("oracle", "learned"):
        assert main([*words, "--environment", '{"step_limit": 9}', "--saycan", kind, "--json"]) == 0
        returns[kind] = json.loads(capsys.readouterr().out)["discounted_return"]
    assert returns["learned"] != returns["oracle"]
    assert main(["evaluate", "--saycan", "oracle"]) == 2
    assert "name a run" in capsys.readouterr().err
    assert main([*words, "--saycan", "oracle", "--uniform"]) == 2
