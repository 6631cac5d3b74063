"""Controls take away what they say, and a stopped measurement goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from pretraining.controls import (
    AS_IT_IS,
    PHRASES,
    PROMPTS,
    RANDOM,
    SEEDS,
    UNIFORM,
    measure,
    permuted_phrases,
    permuted_prompts,
)
from pretraining.environments import open_task
from pretraining.zero_shot import Changed, decisions, worth
from torch import Tensor

from pretraining import controls, results
from twosome.baselines.untrained import Untrained
from twosome.decision import Decision
from twosome.envs.exploring import explore
from twosome.envs.oracle import solve
from twosome.text.tasks import TASKS


class Optimal(Untrained):
    """Says the phrases of the best actions after each prompt of a task, wherever among the phrases they stand."""

    def __init__(self, task: str) -> None:
        shown = open_task(task)
        graph = explore(shown.world)
        self.best: dict[str, set[str]] = {}
        for row, optimal in enumerate(solve(graph, TASKS[task].gamma).optimal):
            if graph.admissible[row].any():
                prompt, options = shown.narrate(graph.states[row])
                self.best[prompt] = {option.text for option in options if optimal[option.env_action]}

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        found = torch.full((len(decisions), max(len(decision.actions) for decision in decisions)), -torch.inf)
        for row, decision in enumerate(decisions):
            said = torch.tensor([action in self.best[decision.prompt] for action in decision.actions])
            found[row, : len(decision.actions)] = (said / said.sum()).log()
        return found


def test_permuted_prompts_are_all_others_and_phrases_stay() -> None:
    shown = decisions("tomato-salad")
    changed = list(map(permuted_prompts(shown, seed=3), shown))
    assert all(old.prompt != new.prompt for old, new in zip(shown, changed, strict=True))
    assert [new.actions for new in changed] == [old.actions for old in shown]
    assert Counter(new.prompt for new in changed) == Counter(old.prompt for old in shown)


def test_permuted_phrases_take_the_worth_of_the_best_play_away() -> None:
    task, shown = "food-preparation", decisions("food-preparation")
    intact = worth(Optimal(task), task)
    assert (intact.mean_return, intact.success, intact.accuracy) == pytest.approx((0.7738, 1, 1), abs=1e-4)
    permuted = [worth(Changed(Optimal(task), permuted_phrases(shown, seed)), task) for seed in range(SEEDS[PHRASES])]
    assert max(found.mean_return for found in permuted) < 0.2


def test_measuring_goes_on_where_it_stopped(model_directory: str, tmp_path: Path, monkeypatch) -> None:
    model, task = Path(model_directory), "food-preparation"
    monkeypatch.setattr(controls, "SEEDS", {RANDOM: 2, PHRASES: 2, PROMPTS: 2})
    measure(model, tmp_path, [task])
    found = results.load("zero-shot", tmp_path)
    rows = results.to_rows(found["rows"])
    conditions = {row.condition for row in rows}
    assert conditions >= {UNIFORM, AS_IT_IS, RANDOM, PROMPTS, PHRASES, "nouns absent", "nouns invented"}
    uniform = results.find(rows, task, UNIFORM, None)
    assert uniform is not None
    assert uniform.mean_return[0] == pytest.approx(0.00384, abs=1e-5)
    assert found["tasks"][task] == {"states": 27, "prompts": 18, "optimum": 0.77378}

    results.store(
        "zero-shot", {**found, "rows": [row for row in found["rows"] if row["condition"] != PHRASES]}, tmp_path
    )
    real, asked = controls.worths, []
    monkeypatch.setattr(controls, "worths", lambda *arguments: asked.append(1) or real(*arguments))
    measure(model, tmp_path, [task])
    assert len(asked) == 2  # the two permutations, and nothing else
    again = results.to_rows(results.load("zero-shot", tmp_path)["rows"])
    assert sorted(again, key=repr) == sorted(rows, key=repr)
