"""The household in words: golden texts for reading, and the prompt principles over every situation that can occur.

After a change of wording, write the golden texts anew with

    python tests/text/test_virtualhome_text.py

and read the difference.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twosome.decision import Decision
from twosome.errors import ConfigError, InadmissibleAction
from twosome.text.environment import Option, TextEnv
from twosome.text.virtualhome import ROOM_NOUNS, WORDS, VirtualHomeNarrator
from twosome.virtualhome import TASKS, Rules, Situation, VirtualHomeEnv, World, find_task

GOLDEN = Path(__file__).parent.parent / "data" / "text"

STORIES: dict[str, tuple[tuple[int, ...], ...]] = {
    "food-preparation": ((4, 6, 5, 8, 7, 9), (0, 2, 3, 1, 5, 8, 9, 4, 6, 3, 1, 5, 8, 7, 6)),
    "entertainment": (
        (4, 9, 5, 10, 0, 6, 11, 12, 9, 7, 13, 14, 13, 8, 15),
        (0, 8, 15, 16, 7, 13, 1, 5, 10, 2, 1, 4, 9, 0, 8, 15),
    ),
    "laundry-placed": ((3, 4, 6, 2, 5, 8, 7, 9),),
}
"""Episodes told in the golden texts, as action ids; every other task tells the shortest one."""

EVERY_WORLD = [(task, faithful) for task in TASKS for faithful in (True, False)]


@cache
def situations(task: str, faithful: bool) -> tuple[Situation, ...]:
    """Every situation that any play can lead to."""
    world = World(Rules(find_task(task), faithful))
    met = {world.initial.state: world.initial}
    for situation in (queue := [world.initial]):
        for action in range(len(world.task.actions)):
            after = world.outcome(situation, action).situation
            if after.state not in met:
                met[after.state] = after
                queue.append(after)
    return tuple(queue)


def narrate(task: str, situation: Situation) -> tuple[str, tuple[Option, ...]]:
    return VirtualHomeNarrator(task).narrate(situation.observation, {"action_mask": situation.action_mask})


def told(task: str) -> str:
    """The task's stories: each prompt, its options, and a mark at the one taken."""
    world = World(Rules(find_task(task)))
    out = []
    for story in STORIES.get(task, ((4, 6, 5, 8, 7, 9),)):
        situation = world.initial
        for action in (*story, None):
            prompt, options = narrate(task, situation)
            out += ["", re.sub(r"(?<=\.) ", "\n", prompt)]
            out += [f"  {'>' if option.env_action == action else '-'} {option.text}" for option in options]
            if action is not None:
                assert action in situation.admissible
                situation = world.outcome(situation, action).situation
        out += ["", "(the task is done)" if situation.success else "(and so on)"]
    return "\n".join(out).strip() + "\n"


def golden(task: str) -> Path:
    return GOLDEN / f"virtualhome_{task}.txt"


@pytest.mark.parametrize("task", TASKS)
def test_golden_text(task: str) -> None:
    assert told(task) == golden(task).read_text(encoding="utf-8")


@pytest.mark.parametrize(("task", "faithful"), EVERY_WORLD)
class TestPrinciples:
    def test_every_situation_makes_a_decision(self, task: str, faithful: bool) -> None:
        for situation in situations(task, faithful):
            prompt, options = narrate(task, situation)
            Decision(prompt, tuple(option.text for option in options))
            assert [option.env_action for option in options] == list(situation.admissible)

    def test_prompt_and_option_read_as_one_sentence(self, task: str, faithful: bool) -> None:
        for situation in situations(task, faithful):
            prompt, options = narrate(task, situation)
            assert prompt.endswith(f" To {VirtualHomeNarrator(task).goal}, you should now")
            assert all(re.fullmatch(r"[a-z]+( [a-zA-Z]+)+", option.text) for option in options)

    def test_articles_stay(self, task: str, faithful: bool) -> None:
        nouns = [noun.text for noun in (WORDS[task].nouns | ROOM_NOUNS).values()]
        for situation in situations(task, faithful):
            prompt, options = narrate(task, situation)
            facts = prompt.split(" To ")[0]
            for text in (facts, *(option.text for option in options)):
                for noun in nouns:
                    assert len(re.findall(rf"\b{noun}\b", text)) == len(re.findall(rf"\b[Tt]he {noun}\b", text))

    def test_what_can_be_acted_on_is_named(self, task: str, faithful: bool) -> None:
        for situation in situations(task, faithful):
            prompt, options = narrate(task, situation)
            for option in options:
                for noun in re.findall(r"the ((?:apple|coffee|living|washing)? ?\w+)", option.text):
                    assert f"the {noun}" in prompt

    def test_each_sentence_is_said_once_and_is_whole(self, task: str, faithful: bool) -> None:
        for situation in situations(task, faithful):
            prompt, _ = narrate(task, situation)
            sentences = re.split(r"(?<=\.) ", prompt)
            assert len(set(sentences)) == len(sentences)
            assert all(sentence[0].isupper() for sentence in sentences)
            assert all(re.fullmatch(r"[^.]+\.", sentence) for sentence in sentences[:-1])
            assert prompt.isascii()
            assert "  " not in prompt

    def test_verbs_agree_with_their_nouns(self, task: str, faithful: bool) -> None:
        for situation in situations(task, faithful):
            prompt, _ = narrate(task, situation)
            for noun in WORDS[task].nouns.values():
                wrong = "is" if noun.plural else "are"
                assert f". The {noun.text} {wrong} " not in prompt
            assert "It are" not in prompt
            assert "They is" not in prompt

    def test_what_looks_different_reads_different(self, task: str, faithful: bool) -> None:
        prompts = {s.observation.tobytes(): narrate(task, s)[0] for s in situations(task, faithful)}
        assert len(set(prompts.values())) == len(prompts)

    def test_prompts_are_short(self, task: str, faithful: bool) -> None:
        lengths = [len(narrate(task, situation)[0].split()) for situation in situations(task, faithful)]
        assert min(lengths) >= 35
        assert max(lengths) <= 80


def test_repaired_episodes_stay_within_75_words() -> None:
    for task in TASKS:
        assert max(len(narrate(task, situation)[0].split()) for situation in situations(task, False)) <= 75


def test_only_what_is_close_is_singled_out() -> None:
    """The published text names the next target by saying that it is not close."""
    for faithful in (True, False):
        for situation in situations("entertainment", faithful):
            prompt, _ = narrate("entertainment", situation)
            assert not re.search(r"(table|TV|sofa) is not close", prompt)


def test_the_tv_is_told_from_anywhere_in_its_room() -> None:
    """The published text leaves it out unless one stands close by, holding something."""
    for situation in situations("entertainment", False):
        prompt, _ = narrate("entertainment", situation)
        state = "on" if "tv" in situation.state.on else "off"
        assert (f"The TV is {state}." in prompt) == (situation.state.room == "livingroom")


def test_an_open_microwave_shows_the_pancake_inside() -> None:
    """The published text never mentions it."""
    for situation in situations("food-preparation", False):
        prompt, _ = narrate("food-preparation", situation)
        visible_inside = bool(situation.state.placed and situation.state.open and situation.state.room == "kitchen")
        assert ("The pancake is in the microwave." in prompt) == visible_inside


@given(st.sampled_from(list(TASKS)), st.booleans(), st.lists(st.integers(0, 9), max_size=50))
@settings(deadline=None)
def test_a_text_environment_can_be_played(task: str, faithful: bool, choices: list[int]) -> None:
    env = TextEnv(VirtualHomeEnv(task, faithful), VirtualHomeNarrator(task))
    observation, _ = env.reset(seed=0)
    for choice in choices:
        assert env.observation_space.contains(observation)
        observation, _, terminated, truncated, info = env.step(choice % len(observation["actions"]))
        assert info["duration"] == 1
        if terminated or truncated:
            return
    with pytest.raises(InadmissibleAction):
        env.step(len(observation["actions"]))


def test_the_narrator_must_know_the_task() -> None:
    env = VirtualHomeEnv("entertainment")
    with pytest.raises(ConfigError, match="give the narrator the task"):
        VirtualHomeNarrator("pizza").narrate(*env.reset())
    with pytest.raises(ConfigError, match="action mask"):
        VirtualHomeNarrator("pizza").narrate(np.zeros(11, dtype=np.int8), {})
    with pytest.raises(ConfigError, match="choose one of"):
        VirtualHomeNarrator("lasagna")


if __name__ == "__main__":
    for name in TASKS:
        golden(name).write_text(told(name), encoding="utf-8")
