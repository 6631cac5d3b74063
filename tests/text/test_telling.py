"""Phrases permuted across the actions: the control that takes the meaning out of words."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from twosome.baselines import UniformPolicy
from twosome.envs.exploring import explore
from twosome.errors import ConfigError
from twosome.evaluation.exact import evaluate_exactly
from twosome.text.environment import Option, TextEnv
from twosome.text.states import text_world
from twosome.text.tasks import make_task
from twosome.text.telling import NumericNarrator, PermutedNarrator, made_up_names, vector_shape


def decisions(task: str, **arguments: Any) -> list[tuple[str, tuple[Option, ...]]]:
    with closing(make_task(task, **arguments)) as env:
        shown = text_world(env)
        assert shown is not None
        graph = explore(shown.world)
        return [shown.narrate(state) for row, state in enumerate(graph.states) if graph.admissible[row].any()]


@pytest.mark.parametrize("task", ["tomato-lettuce-salad", "entertainment"])
def test_each_state_keeps_its_prompt_its_phrases_and_its_actions(task: str) -> None:
    for plain, permuted in zip(decisions(task), decisions(task, permute_phrases=1), strict=True):
        assert permuted[0] == plain[0]
        for part in range(2):
            assert sorted(option[part] for option in permuted[1]) == sorted(option[part] for option in plain[1])


def test_an_action_keeps_its_phrase_as_often_as_it_gets_any_other() -> None:
    kept, total = 0, 0.0
    for seed in range(5):
        for plain, permuted in zip(
            decisions("entertainment"), decisions("entertainment", permute_phrases=seed), strict=True
        ):
            kept += len(set(plain[1]) & set(permuted[1]))
            total += 1  # expected of a uniformly drawn permutation, whatever its length
    assert kept == pytest.approx(total, rel=0.1)


def test_the_seed_decides_and_nothing_else() -> None:
    once, again, other = (decisions("food-preparation", permute_phrases=seed) for seed in (3, 3, 4))
    assert once == again
    assert once != other


def test_uniform_play_does_not_mind() -> None:
    plain = evaluate_exactly(UniformPolicy(), "food-preparation", gamma=0.95)
    permuted = evaluate_exactly(UniformPolicy(), "food-preparation", gamma=0.95, environment={"permute_phrases": 0})
    assert permuted.success == pytest.approx(plain.success, abs=1e-12)


def test_steps_do_what_the_permuted_phrase_stands_for() -> None:
    with closing(make_task("tomato-salad", permute_phrases=2)) as env, closing(make_task("tomato-salad")) as plain:
        observation, _ = env.reset()
        plain.reset()
        narrator = PermutedNarrator(plain.unwrapped.narrator, 2)  # type: ignore[attr-defined]
        prompt, options = narrator.narrate(plain.unwrapped.env.unwrapped._node.observation, {})  # type: ignore[attr-defined]
        assert observation == {"prompt": prompt, "actions": tuple(option.text for option in options)}
        after, reward, *_ = env.step(0)
        assert (after["prompt"], reward) == plain_step(plain, options[0].env_action)


def plain_step(env: Any, action: int) -> tuple[str, float]:
    after, reward, *_ = env.step(action)
    return after["prompt"], reward


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"narration": "song"}, "unknown narration 'song'"),
        ({"permute_phrases": "x"}, "permute_phrases is a seed"),
        ({"permute_phrases": True}, "permute_phrases is a seed"),
    ],
)
def test_nonsense_is_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_task("tomato-salad", **arguments)


class Odd(gymnasium.Env[Any, Any]):
    """An environment with the spaces it is given."""

    def __init__(self, shown: Any, actions: Any) -> None:
        self.observation_space, self.action_space = shown, actions


@pytest.mark.parametrize(
    ("shown", "actions"),
    [
        (spaces.Text(5), spaces.Discrete(2)),
        (spaces.Box(0, 1, (3,)), spaces.Box(0, 1, (2,))),
        (spaces.Box(0, 1, (3,)), spaces.Discrete(2, start=1)),
    ],
)
def test_what_has_no_vector_is_refused(shown: Any, actions: Any) -> None:
    with pytest.raises(ConfigError, match="an agent that reads numbers needs"):
        vector_shape(Odd(shown, actions))


def test_numbers_are_written_exactly() -> None:
    class Narrator:
        def narrate(self, observation: Any, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
            return "anything", (Option("go", 1), Option("stay", 0))

    odd = Odd(spaces.Box(-9, 9, (2, 2), np.float64), spaces.Discrete(2))
    env = TextEnv(odd, NumericNarrator(Narrator()))
    observation = np.array([[0.1, 1 / 3], [-2.0, 1e-300]])
    prompt, options = env.narrator.narrate(observation, {})
    assert [float(number) for number in prompt.split()] == observation.ravel().tolist()
    assert options == (Option("action 1", 1), Option("action 0", 0))
    assert vector_shape(odd) == (4, 2)
    with pytest.raises(ConfigError, match="must be an array of numbers"):
        env.narrator.narrate(np.array(["a"]), {})


@pytest.mark.parametrize("wording", ["first", "everyday"])
@pytest.mark.parametrize("task", ["tomato-lettuce-salad", "entertainment", "laundry-placed", "apple-pie"])
def test_renamed_things_go_by_made_up_names_and_nothing_else_changes(task: str, wording: str) -> None:
    with closing(make_task(task, wording=wording)) as env:
        names = env.unwrapped.narrator.names  # type: ignore[attr-defined]
    new = made_up_names(names, 3)
    assert len(set(new)) == len(new)
    back = dict(zip(new, names, strict=True))
    own, made = (re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b") for words in (names, new))

    def put_back(text: str) -> str:
        assert not own.search(text)
        return made.sub(lambda found: back[found[0]], text)

    plain, renamed = decisions(task, wording=wording), decisions(task, wording=wording, rename_things=3)
    assert len(plain) == len(renamed)
    for (prompt, options), (told, phrases) in zip(plain, renamed, strict=True):
        assert put_back(told) == prompt
        assert [(put_back(text), action) for text, action in phrases] == list(options)


def test_made_up_names_follow_the_seed_and_keep_plurals() -> None:
    assert made_up_names(["chips", "TV"], 0) == made_up_names(["chips", "TV"], 0) != made_up_names(["chips", "TV"], 1)
    assert [name.endswith("s") for name in made_up_names(["chips", "TV", "clothes"], 0)] == [True, False, True]


def test_what_cannot_be_renamed_says_why() -> None:
    with pytest.raises(ConfigError, match="rename_things is a seed"):
        make_task("cheese", rename_things="x")
