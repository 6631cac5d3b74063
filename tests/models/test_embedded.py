"""The model that ships: small, whole, and exact on every prompt of our tasks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from twosome import Decision
from twosome.judging.probing import choose_reader
from twosome.models.loading import EMBEDDED, EMBEDDED_DIRECTORY, load_model
from twosome.models.policy import LanguageModelPolicy
from twosome.text.states import text_world
from twosome.text.tasks import make_task
from twosome.tokens.encoding import encode_decision


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    return load_model(EMBEDDED, device="cpu")


def decisions_of(task: str) -> list[Decision]:
    """Every decision that can be met in a task."""
    from twosome.envs.exploring import explore

    world = text_world(make_task(task))
    assert world is not None
    graph = explore(world.world)
    found = []
    for state, admissible in zip(graph.states, graph.admissible, strict=True):
        if admissible.any():
            prompt, options = world.narrate(state)
            found.append(Decision(prompt, tuple(option.text for option in options)))
    return list(dict.fromkeys(found))


def test_it_is_small_and_whole() -> None:
    files = {path.name: path.stat().st_size for path in EMBEDDED_DIRECTORY.iterdir() if path.is_file()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"} <= set(files)
    assert sum(files.values()) < 12 * 2**20
    assert not any(name.endswith((".bin", ".pt", ".pkl", ".py")) for name in files)


def test_it_is_scored_the_fast_way(loaded: tuple[Any, Any]) -> None:
    model, _ = loaded
    assert model.dtype == torch.float32
    assert choose_reader(model).describe().endswith("fused vocabulary, distinct tokens of the first layer")


@pytest.mark.parametrize("task", ["tomato-salad", "tomato-lettuce-salad", "food-preparation", "entertainment"])
def test_no_prompt_of_ours_merges_with_an_action(task: str, loaded: tuple[Any, Any]) -> None:
    _, tokenizer = loaded
    for decision in decisions_of(task):
        encoded = encode_decision(tokenizer, decision)
        for action, ids in zip(decision.actions, encoded.action_ids, strict=True):
            assert tokenizer.decode(list(ids)) == f" {action}"


def test_its_prior_is_better_than_chance_on_a_task_it_has_never_seen(loaded: tuple[Any, Any]) -> None:
    """Tomato is held out of all procedures in the corpus; see its card for the exact figures."""
    policy = LanguageModelPolicy(*loaded)
    start = decisions_of("tomato-salad")[0]
    with torch.no_grad():
        probabilities = dict(zip(start.actions, policy.action_log_probs([start])[0].exp().tolist(), strict=True))
    assert probabilities["pick up the tomato"] > 0.2 > probabilities["serve nothing"]
