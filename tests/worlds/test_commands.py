"""Worlds that are played by commands: what they promise, whatever the world inside does. Needs no extra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from gymnasium.utils.env_checker import check_env

from twosome.errors import ConfigError, EnvironmentFault
from twosome.evaluation.advised import evaluate_oracle
from twosome.principles.faults import Fault, of_the_world
from twosome.text.environment import TextEnv
from twosome.text.states import has_oracle, traits
from twosome.worlds import scienceworld
from twosome.worlds.commands import CommandWorld, Moment, Quoting, tidy
from twosome.worlds.textworld import said
from twosome.worlds.textworld_games import parse

LEVER = Moment({"aim": "Open the door.", "answer": ""}, ("open door", "pull lever", "wait"))


class Cellar(CommandWorld):
    """The lever opens the way to the door; the trap behind the word wait ends the episode."""

    def __init__(self, time_limit: int = 5) -> None:
        super().__init__(("aim", "answer"), time_limit)

    def begin(self, options: Mapping[str, Any]) -> Moment:
        self.pulled = False
        return LEVER

    def do(self, command: str) -> Moment:
        if command == "wait":
            return Moment({"aim": "Open the door.", "answer": "You fall."}, ("rise",), -1.0, over=True)
        if command == "hidden way":
            return Moment({"aim": "Open the door.", "answer": "Light!"}, (), 1.0, over=True, won=True)
        won = command == "open door" and self.pulled
        self.pulled |= command == "pull lever"
        said = {"aim": "Open the door.", "answer": f"You {command}."}
        return Moment(said, LEVER.commands, float(won), over=won, won=won)

    def advise(self) -> str | None:
        self.advised = "open door" if self.pulled else "pull lever"
        return self.advised


class SecretCellar(Cellar):
    """Its oracle knows a command that is not offered."""

    def advise(self) -> str | None:
        self.advised = "hidden way"
        return self.advised


def text(world: CommandWorld) -> TextEnv:
    return TextEnv(world, Quoting("Cellar", ("aim", "answer"), ("answer",), "You should now"))


def test_gymnasium_finds_nothing() -> None:
    check_env(Cellar(), skip_render_check=True)


def test_its_parts_are_paragraphs_and_its_commands_phrases() -> None:
    env = text(Cellar())
    assert env.reset()[0] == {"prompt": "Open the door.\n\nYou should now", "actions": LEVER.commands}
    assert env.step(1)[0]["prompt"] == "Open the door.\n\nYou pull lever.\n\nYou should now"


def test_losing_is_an_end_without_success_and_winning_one_with() -> None:
    env = text(Cellar())
    env.reset()
    *_, terminated, truncated, info = env.step(2)
    assert (terminated, truncated, info["success"]) == (True, False, False)
    env.reset()
    env.step(1)
    *_, terminated, truncated, info = env.step(0)
    assert (terminated, truncated, info["success"]) == (True, False, True)


def test_the_end_stays_the_end() -> None:
    world = Cellar()
    world.reset()
    world.step("wait")
    with pytest.raises(EnvironmentFault, match="after the end"):
        world.step("rise")


def test_what_is_not_offered_changes_nothing_and_counts() -> None:
    world = Cellar(time_limit=2)
    world.reset()
    observation, reward, *ends, info = world.step("hidden way")
    assert (observation["answer"], reward, ends) == ("", 0.0, [False, False])
    assert "success" not in info
    *_, truncated, info = world.step("pull lever")
    assert truncated
    assert info["success"] is False


@pytest.mark.parametrize("limit", [0, -1, 1.5, True])
def test_a_time_limit_is_a_number_of_commands(limit: Any) -> None:
    with pytest.raises(ConfigError, match="time_limit"):
        Cellar(limit)


def test_an_oracle_is_followed_and_may_take_what_nobody_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    for world, phrases in ((Cellar, ["pull lever", "open door"]), (SecretCellar, ["hidden way"])):
        monkeypatch.setattr("twosome.evaluation.advised.make_task", lambda task, world=world: text(world()))
        found = evaluate_oracle("cellar", episodes=3, gamma=0.5)
        assert found is not None
        assert found.success is not None
        assert found.success.mean == 1.0
        assert found.decisions.mean == len(phrases)
        env = text(world())
        env.reset()
        action = env.advise()
        assert action is not None
        assert env.phrase(action) == phrases[0]
    assert has_oracle(text(Cellar()))


def test_an_oracle_at_a_loss_leaves_an_episode_without_success(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(Cellar):
        def advise(self) -> str | None:
            return None if self.pulled else super().advise()

    monkeypatch.setattr("twosome.evaluation.advised.make_task", lambda task: text(Lost()))
    found = evaluate_oracle("cellar", episodes=2)
    assert found is not None
    assert found.success is not None
    assert found.success.mean == 0.0
    assert found.left == 2


def test_whose_words_they_are_makes_faults_of_wording_notes() -> None:
    says = traits(text(Cellar()))
    assert (says.quotes, says.replays) == ("Cellar", True)
    wording, other = Fault("articles", "error", "no article", "here"), Fault("distinct", "error", "twice", "here")
    noted = of_the_world(wording, quotes="Cellar", replays=True)
    assert noted.severity == "note"
    assert "Cellar" in noted.message
    assert of_the_world(wording, quotes=None, replays=True) == wording
    assert of_the_world(other, quotes="Cellar", replays=True) == other
    again = Fault("repeats", "error", "another", "there")
    assert of_the_world(again, quotes=None, replays=False).severity == "note"
    assert of_the_world(again, quotes="Cellar", replays=True) == again


def test_only_what_must_go_is_left_out() -> None:
    assert tidy(" a\t b \n\n>\n c") == "a b\nc"
    answer = "\n You open the fridge.\n\n> -= Kitchen =-1/4\n>"
    assert said(answer) == "You open the fridge."
    assert said("-= Kitchen =-\nA kitchen.") == "-= Kitchen =-\nA kitchen."


def test_what_scienceworld_lists_by_chance_is_sorted() -> None:
    text = "You see:\n\tthe sky\n\tan axe\nYou also see:\n\tA door"
    assert scienceworld.listing(text) == "You see:\nan axe\nthe sky\nYou also see:\nA door"


def test_names_of_games_say_how_they_are_made() -> None:
    custom = parse("custom/2-3-4/10-19")
    assert custom.settings == {"rooms": 2, "objects": 3, "quest_length": 4}
    assert list(custom.seeds) == list(range(10, 20))
    cooking = parse("cooking/recipe1-go6-open-cook/test/7")
    assert cooking.settings == {
        "recipe": 1, "take": 1, "go": 6, "open": True, "cook": True, "cut": False, "split": "test",
    }  # fmt: skip
    assert list(cooking.seeds) == [7]
    assert parse("cooking/recipe3/0").settings["split"] == "train"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("custom/2-3/4", "expected custom/ROOMS"),
        ("custom/0-3-4/1", "at least one room"),
        ("custom/2-3-4/9-1", "backwards"),
        ("cooking/recipe1-fry/1", "'fry'"),
        ("cooking/recipe-go6/1", "'recipe'"),
        ("nothing", "no TextWorld game"),
    ],
)
def test_other_names_are_refused_with_what_was_expected(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(name)
