"""`check-env`: our tasks are clean, and a planted fault of each kind is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.tiny import byte_level
from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.evaluation.checking import check_environment, check_tokens
from twosome.overcooked import OvercookedEnv
from twosome.principles import grammar
from twosome.principles.api import api_faults
from twosome.principles.checking import check
from twosome.principles.faults import CHECKS, Fault, collect
from twosome.principles.walking import walk
from twosome.text.environment import Narrator, Option, TextEnv
from twosome.text.overcooked import OvercookedNarrator
from twosome.text.tasks import TASKS
from twosome.text.virtualhome import VirtualHomeNarrator
from twosome.virtualhome import VirtualHomeEnv

Told = tuple[str, tuple[str, ...]]
Change = Callable[[str, tuple[str, ...]], Told]


class Planted:
    """A narrator whose texts are changed before anybody reads them."""

    def __init__(self, narrator: Narrator, change: Change) -> None:
        self.narrator, self.change = narrator, change

    def narrate(self, observation: Any, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        prompt, options = self.narrator.narrate(observation, info)
        prompt, texts = self.change(prompt, tuple(option.text for option in options))
        return prompt, tuple(Option(text, option.env_action) for text, option in zip(texts, options, strict=True))


def kitchen(change: Change = lambda prompt, actions: (prompt, actions), **arguments: Any) -> TextEnv:
    env = OvercookedEnv(**arguments)
    return TextEnv(env, Planted(OvercookedNarrator.of(env), change))


def flat(change: Change) -> TextEnv:
    env = VirtualHomeEnv("entertainment")
    return TextEnv(env, Planted(VirtualHomeNarrator.of(env), change))


def prompts(old: str, new: str) -> Change:
    return lambda prompt, actions: (prompt.replace(old, new), actions)


def actions(old: str, new: str) -> Change:
    return lambda prompt, actions: (prompt, tuple(action.replace(old, new) for action in actions))


def faults(env: TextEnv) -> list[Fault]:
    return check(walk(env, discount=0.95))


def kinds(found: Sequence[Fault]) -> set[tuple[str, str]]:
    return {(fault.check, fault.severity) for fault in found}


# --- ours -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "environment"),
    [
        *((task, {}) for task in TASKS),
        ("tomato-salad", {"foods": ["tomato", "lettuce", "onion"]}),
        ("tomato-salad", {"layout": "C"}),
        ("tomato-lettuce-salad", {"layout": "B"}),
        ("tomato-lettuce-salad", {"view_radius": 0}),
        ("food-preparation", {"faithful": True}),
        ("entertainment", {"faithful": True}),
        ("laundry-placed", {"faithful": True}),
    ],
)
def test_our_tasks_have_no_errors(task: str, environment: dict[str, Any]) -> None:
    report = check_environment(task, environment=environment, elsewhere=False)
    assert report.exhaustive
    assert {finding.check for finding in report.findings} <= {"told-apart"}
    assert report.count("error") == 0


def test_how_often_our_worlds_hide_what_to_do() -> None:
    """As in the published ones: three prompts of the larger kitchen leave out where the cook stands."""
    counts = {
        task: {finding.severity: finding.count for finding in check_environment(task, elsewhere=False).findings}
        for task in ("tomato-salad", "tomato-lettuce-salad", "food-preparation", "entertainment")
    }
    assert counts == {
        "tomato-salad": {"note": 2},
        "tomato-lettuce-salad": {"warning": 3, "note": 33},
        "food-preparation": {},
        "entertainment": {"note": 6},
    }


def test_a_tokenizer_reads_our_tasks(model_directory: str) -> None:
    report = check_environment("tomato-salad", model=model_directory)
    assert report.model == model_directory
    assert not {"tokens", "context"} & (report.skipped.keys() | {finding.check for finding in report.findings})
    assert 0 < report.measures["longest_sentence_tokens"] <= 256
    assert "likely" not in report.skipped  # a model that is named is asked what it would say


def spoken(word: str) -> Change:
    """Every tomato has another name."""
    return lambda prompt, actions: (
        prompt.replace("tomato", word),
        tuple(action.replace("tomato", word) for action in actions),
    )


@pytest.mark.parametrize(
    "word", ["tomaté", "tomate\u0301", "番茄", "มะเขือที่", "टमाटरों", "طماطم", "pomme\u00a0d'amour", "🍅"]
)
def test_words_of_any_language_are_no_fault(word: str) -> None:
    """One é was once an error."""
    assert not [fault for fault in faults(kitchen(spoken(word))) if fault.check == "valid"]
    assert not [
        fault
        for fault in faults(kitchen(actions("chop the tomato", f"chop the {word}")))
        if "punctuation" in fault.message
    ]


@pytest.mark.parametrize("character", ["\x07", "\x1b[31m", "\x00", "\ufeff", "\ufffd", "\u202e", "\x85"])
def test_what_nobody_can_read_is_a_fault(character: str) -> None:
    found = faults(kitchen(spoken(f"tom{character}ato")))
    assert ("valid", "error") in kinds(found)


@pytest.mark.parametrize("end", ["。", "\uff01", "؟", "।", "»。"])
def test_the_end_of_a_sentence_is_seen_in_other_scripts(end: str) -> None:
    assert any("ends a sentence" in message for message, _ in grammar.stumbles(f"你现在{end}", "走"))


# --- planted faults ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "check", "example"),
    [
        (prompts("you should now", "you should now do this."), "reads-on", "do this."),
        (prompts("you should now", "your action:"), "reads-on", "action:"),
        (prompts("you should now", "you should now "), "reads-on", "now "),
        (actions("serve nothing", "Serve nothing"), "reads-on", "Serve"),
        (actions("serve nothing", "serve nothing."), "reads-on", "nothing."),
        (actions("pick up the tomato", "pick up tomato"), "articles", "'tomato' after 'up'"),
        (actions("walk to the cutting board", "walk to cutting board"), "articles", "'board' after 'cutting'"),
        (actions("put the tomato on", "put tomato on"), "articles", "'tomato' after 'put'"),
        (actions("take the bowl", "take the plate"), "named", "'plate'"),
        (prompts("a cutting board, ", ""), "named", "'board' of 'walk to the cutting board'"),
        (actions("chop nothing", "serve nothing"), "distinct", "serve nothing"),
        (actions("chop nothing", "serve  Nothing"), "distinct", "serve nothing"),
    ],
)
def test_planted_faults_of_the_kitchen_are_found(change: Change, check: str, example: str) -> None:
    found = [fault for fault in faults(kitchen(change)) if fault.check == check]
    assert {fault.severity for fault in found} == {"error"}
    assert example in collect(found)[0].example


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (actions("grab the milk", "grab milk"), ("articles", "error")),
        (actions("sit on the sofa", "sit on sofa"), ("articles", "error")),
        (actions("turn on the TV", "turn on TV"), ("articles", "warning")),  # the prompt says "watching TV" itself
        (prompts("the bedroom and ", ""), ("named", "error")),
        (actions("walk to the TV", "walk to the television"), ("named", "error")),
        (actions("walk to the", "Walk to the"), ("reads-on", "error")),
        (actions("walk to", "stroll over to"), None),
    ],
)
def test_planted_faults_of_the_flat_are_found(change: Change, expected: tuple[str, str] | None) -> None:
    """The last change is no fault."""
    found = kinds(faults(flat(change))) - {("told-apart", "note")}
    assert found == ({expected} if expected else set())


def test_hiding_what_matters_is_found() -> None:
    """The world itself hides something behind one observation; a narrator that tells nothing hides more."""
    found = faults(kitchen(lambda prompt, actions: ("You should now", tuple("abcde"))))
    note, warning = sorted(fault for fault in found if fault.check == "told-apart")
    assert (note.severity, warning.severity) == ("note", "warning")
    assert warning.example.startswith("best is 'a' in one case and 'c' in another of 20 that read 'You should now'")


def test_a_narrator_that_offers_what_the_world_refuses_is_reported() -> None:
    env = flat(actions("x", "x"))
    env.narrator.narrate = lambda observation, info: ("You should now", (Option("sit on the sofa", 15),))  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match="the world admits only"):
        walk(env)


@pytest.mark.parametrize(
    ("shown", "told"), [({"view_radius": 2}, "played 'The kitchen"), ({"tick_reward": -0.5}, "played reward -0.00")]
)
def test_a_world_that_is_not_the_one_played_is_found(shown: dict[str, Any], told: str) -> None:
    class Impostor(OvercookedEnv):
        @property
        def world(self) -> Any:
            return OvercookedEnv("tomato-salad", "C", **{"view_radius": 0, **shown}).table

    env = Impostor("tomato-salad", "C", view_radius=0)
    (fault,) = (fault for fault in faults(TextEnv(env, OvercookedNarrator.of(env))) if fault.check == "world")
    assert fault.severity == "error"
    assert fault.example.startswith(told)


def test_holding_back_the_best_action_is_found() -> None:
    env = kitchen()
    narrate = env.narrator.narrate
    env.narrator.narrate = lambda *seen: (narrate(*seen)[0], narrate(*seen)[1][1:])  # type: ignore[method-assign]
    assert ("offered", "warning") in kinds(faults(env))


def test_decisions_that_cannot_be_scored_are_found() -> None:
    foreign = prompts("tomato", "tom\x07to")
    assert ("valid", "error") in kinds(faults(kitchen(foreign))), "outside the observation space"
    env = flat(actions("x", "x"))
    env.narrator.narrate = lambda observation, info: ("You should now", ())  # type: ignore[method-assign]
    assert ("valid", "error") in kinds(faults(env)), "no action"


# --- anybody's environment --------------------------------------------------------------------------------------------


class Plain(gymnasium.Env[dict[str, Any], int]):
    """A text environment that is none of ours and shows no states; faults are planted through its arguments."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self, phrases: tuple[str, ...] = ("open the door", "wait"), seeds: bool = True, ends_empty: bool = False
    ) -> None:
        self.phrases, self.seeds, self.ends_empty, self.steps = phrases, seeds, ends_empty, 0
        text = spaces.Text(min_length=1, max_length=60, charset="abcdefghijklmnopqrstuvwxyzW .")
        self.observation_space = spaces.Dict({"prompt": text, "actions": spaces.Sequence(text)})  # type: ignore[assignment]
        self.action_space = spaces.Discrete(4)  # type: ignore[assignment]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        if self.seeds:
            super().reset(seed=seed)
        self.steps = 0
        return self.look(), {}

    def step(self, action: int) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        assert action < len(self.phrases)
        self.steps += 1
        return self.look(), 0.0, False, self.steps >= 5, {}

    def look(self) -> dict[str, Any]:
        return {
            "prompt": "" if self.ends_empty and self.steps >= 5 else "We are before the door. you should now",
            "actions": self.phrases,
        }


def test_an_environment_without_states_is_played_at_random() -> None:
    walked = walk(Plain(), decisions=30)
    assert not walked.exhaustive
    assert len(walked.seen) == 30
    assert check(walked) == []


@pytest.mark.parametrize(
    ("phrases", "expected"),
    [
        (("open the door", "open the window"), ("named", "error")),
        (("open door", "wait"), ("articles", "error")),
        (("wait", "wait"), ("distinct", "error")),
        (("", "wait"), ("reads-on", "error")),
        (("count to 10", "wait"), ("valid", "error")),  # digits are not in the observation space
        ((), ("valid", "error")),
    ],
)
def test_faults_of_anybodys_environment_are_found(phrases: tuple[str, ...], expected: tuple[str, str]) -> None:
    assert expected in kinds(check(walk(Plain(phrases), decisions=20)))


def test_an_end_that_cannot_be_scored_is_found() -> None:
    """Training would only fail at the end of the first episode."""
    (found,) = collect(check(walk(Plain(ends_empty=True), decisions=20)))
    assert (found.check, found.severity, found.count) == ("valid", "error", 4)
    assert "last observation" in found.message


def test_gymnasiums_checker_is_asked() -> None:
    assert list(api_faults(Plain())) == []
    (fault,) = (fault for fault in api_faults(Plain(seeds=False)) if fault.severity == "error")
    assert fault.check == "api"
    assert "random number generator" in fault.message


def test_gymnasiums_checker_is_asked_about_the_world_inside() -> None:
    class Careless(OvercookedEnv):
        def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            observation, reward, terminated, truncated, info = super().step(action)
            return observation.astype(np.float64) / 2, reward, terminated, truncated, info

    env = Careless("tomato-salad")
    found = list(api_faults(TextEnv(env, OvercookedNarrator.of(OvercookedEnv("tomato-salad")))))
    assert any(fault.example == "the world inside, Careless" for fault in found)


# --- tokens -----------------------------------------------------------------------------------------------------------


def wordpiece(**vocabulary: int) -> PreTrainedTokenizerFast:
    merging = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>", continuing_subword_prefix=""))
    return PreTrainedTokenizerFast(tokenizer_object=merging, unk_token="<unk>")


def test_a_boundary_that_merges_is_found() -> None:
    tokenizer = wordpiece(**{"<unk>": 0, "now": 1, " ": 2, "pick": 3, "now ": 4})
    (fault,) = check_tokens(tokenizer, [Decision("now", ("pick",))], None)
    assert (fault.check, fault.severity) == ("tokens", "error")
    assert "merges the end of the prompt" in fault.example


def test_actions_that_are_the_same_tokens_are_found() -> None:
    tokenizer = byte_level(bos=False)
    lowering = byte_level(bos=False)
    lowering.backend_tokenizer.normalizer = normalizers.Lowercase()
    decision = Decision("You should now", ("turn on the TV", "turn on the tv"))
    assert not list(check_tokens(tokenizer, [decision], None))
    (fault,) = check_tokens(lowering, [decision], None)
    assert fault.severity == "error"
    assert "cannot tell them apart" in fault.message


def test_text_that_the_tokenizer_does_not_know_is_found() -> None:
    tokenizer = wordpiece(**{"<unk>": 0, "now": 1, " ": 2, "go": 3})
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    assert not list(check_tokens(tokenizer, [Decision("now", ("go",))], None))
    (fault,) = check_tokens(tokenizer, [Decision("now", ("go", "flee"))], None)
    assert (fault.check, fault.severity) == ("tokens", "warning")


def test_prompts_longer_than_the_context_are_found() -> None:
    tokenizer, decision = byte_level(bos=False), Decision("very " * 30 + "long", ("prompt",))
    (fault,) = check_tokens(tokenizer, [decision], 32)
    assert (fault.check, fault.severity) == ("context", "error")
    assert not list(check_tokens(tokenizer, [decision], 500))


# --- grammar ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "nouns"),
    [
        ("You see the tomato and the whole onion on the tables.", ["tomato", "onion", "table"]),
        ("The cook holding the bowl sees a big red box, and no boxes.", ["cook", "bowl", "box", "box"]),
        ("turn to the left, then carefully open the old door slowly", ["door"]),
        ("There are four rooms: the kitchen, the washing machine's room.", ["room", "kitchen", "room"]),
        ("You should now", []),
    ],
)
def test_noun_phrases(text: str, nouns: list[str]) -> None:
    assert [phrase.noun for phrase in grammar.noun_phrases(text)] == nouns


@pytest.mark.parametrize(
    ("action", "bare"),
    [
        ("pick up the tomato", []),
        ("pick up tomato", ["tomato"]),
        ("pick up chopped tomatoes", ["tomatoes"]),
        ("take the bowl and tomato", []),
        ("put the tomato in bowl", ["bowl"]),
        ("bowl the ball", []),
        ("go to bowl 3", []),
        ("take your tomato", []),
        ("smell the cook's tomato", []),
    ],
)
def test_bare_nouns(action: str, bare: list[str]) -> None:
    assert [noun for noun, _ in grammar.bare_nouns(action, frozenset({"tomato", "bowl"}))] == bare


@pytest.mark.parametrize(
    ("plural", "one"),
    [("tomatoes", "tomato"), ("dishes", "dish"), ("parties", "party"), ("bus", "bus"), ("chips", "chip")],
)
def test_singular(plural: str, one: str) -> None:
    assert grammar.singular(plural) == one


def test_every_check_is_described() -> None:
    found = {fault.check for fault in faults(kitchen(lambda *_: ("Now.", ("Go", "go", "x ", "", "y"))))}
    assert found
    assert found <= CHECKS.keys()
