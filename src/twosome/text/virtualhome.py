"""The household in words: what the agent sees, is close to and holds, what is to be done, and what it can do now.

The same sentences serve every household task; a task brings its nouns and its goal (:data:`WORDS`). They follow the
four principles of the paper (prompt and action read on as one sentence, articles stay, what can be acted on is named,
an action's words fit the situation). Each fact is said once, and only what is seen is said. That something is *not*
close is said of all that is seen together, never of one thing among several: naming the one thing worth walking to
would give the next step away.

Source of the principles: Tan et al., "True Knowledge Comes from Practice", ICLR 2024, section 4.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium

from twosome.errors import ConfigError
from twosome.text.environment import Option
from twosome.virtualhome.tasks import ROOMS, Action, Kind, Task, find_task


class Noun(NamedTuple):
    """A noun that takes "the"; plural nouns are "they"."""

    text: str
    plural: bool = False

    @property
    def the(self) -> str:
        """The noun with its article."""
        return f"the {self.text}"

    @property
    def be(self) -> str:
        """The noun's form of "be"."""
        return "are" if self.plural else "is"

    @property
    def it(self) -> str:
        """The pronoun that stands for the noun, at the start of a sentence."""
        return "They" if self.plural else "It"


@dataclass(frozen=True)
class Words:
    """The words of one task.

    Attributes:
        nouns: What each of the task's things is called.
        goal: The aim, as it reads after "to".
    """

    nouns: dict[str, Noun]
    goal: str


def _storage(item: Noun, appliance: str, verb: str) -> Words:
    return Words({"item": item, "appliance": Noun(appliance)}, f"{verb} {item.the} in the {appliance}")


WORDS: dict[str, Words] = {
    "food-preparation": _storage(Noun("pancake"), "microwave", "heat up"),
    "entertainment": Words(
        {
            "chips": Noun("chips", plural=True),
            "milk": Noun("milk"),
            "table": Noun("coffee table"),
            "tv": Noun("TV"),
            "sofa": Noun("sofa"),
        },
        "enjoy the chips and the milk while watching TV",
    ),
    "cheese": _storage(Noun("cheese"), "microwave", "heat up"),
    "hamburger": _storage(Noun("hamburger"), "microwave", "heat up"),
    "apple-pie": _storage(Noun("apple pie"), "microwave", "heat up"),
    "pizza": _storage(Noun("pizza"), "microwave", "heat up"),
    "washing-plate": _storage(Noun("plate"), "dishwasher", "wash"),
    "laundry": _storage(Noun("clothes", plural=True), "washing machine", "wash"),
    "laundry-placed": _storage(Noun("clothes", plural=True), "washing machine", "wash"),
}
"""The words of every household task."""

ROOM_NOUNS = {room: Noun("living room" if room == "livingroom" else room) for room in ROOMS}

_PHRASES = {
    "walk": "walk to {target}",
    "grab": "grab {target}",
    "putin": "put {target} in {receptacle}",
    "putback": "put {target} on {receptacle}",
    "open": "open {target}",
    "close": "close {target}",
    "switchon": "turn on {target}",
    "switchoff": "turn off {target}",
    "sit": "sit on {target}",
    "standup": "stand up from {target}",
}


class VirtualHomeNarrator:
    """Puts a household into words, under the faithful and the repaired rules alike.

    Args:
        task: The name of a household task.

    Raises:
        ConfigError: If there is no such task.
    """

    def __init__(self, task: str = "food-preparation") -> None:
        self.task = find_task(task)
        self.words = WORDS[task]
        self.phrases = tuple(action_phrase(self.words, action) for action in self.task.actions)
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], tuple[str, tuple[Option, ...]]] = {}

    @classmethod
    def of(cls, env: gymnasium.Env[Any, Any]) -> VirtualHomeNarrator:
        """Return the narrator of a VirtualHome environment, wrapped or not."""
        task: Task = env.get_wrapper_attr("task")
        return cls(task.name)

    def narrate(self, observation: Any, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        """Return the prompt and the admissible options, in the order of their ids.

        Args:
            observation: int8 [facts], as :class:`twosome.virtualhome.VirtualHomeEnv` gives it.
            info: Holds ``action_mask``, int8 [actions].

        Raises:
            ConfigError: If observation or mask do not belong to this task.
        """
        bits, mask = tuple(map(int, observation)), tuple(map(int, info.get("action_mask", ())))
        if len(bits) != len(self.task.facts) or len(mask) != len(self.phrases):
            raise ConfigError(
                f"the task {self.task.name!r} has {len(self.task.facts)} facts and {len(self.phrases)} actions, got "
                f"{len(bits)} facts and an action mask of length {len(mask)}; give the narrator the task of its "
                "environment"
            )
        if (bits, mask) not in self._known:
            options = tuple(Option(phrase, i) for i, phrase in enumerate(self.phrases) if mask[i])
            self._known[bits, mask] = self.prompt(bits), options
        return self._known[bits, mask]

    def prompt(self, observation: Sequence[int]) -> str:
        """The prompt for an observation; it ends in "you should now", which every option's text continues."""
        facts = {str(fact) for fact, bit in zip(self.task.facts, observation, strict=True) if bit}
        sentences = [
            _whereabouts(facts),
            *_sight(self.task, self.words, facts),
            *_conditions(self.task, self.words, facts),
            *_posture(self.task, self.words, facts),
            _hands(self.task, self.words, facts),
        ]
        return f"{' '.join(sentences)} To {self.words.goal}, you should now"


def action_phrase(words: Words, action: Action) -> str:
    """An action in words, such as "put the pancake in the microwave"."""
    nouns = words.nouns | ROOM_NOUNS
    receptacle = nouns[action.receptacle].the if action.receptacle else ""
    return _PHRASES[action.verb].format(target=nouns[action.target].the, receptacle=receptacle)


def _listing(nouns: Sequence[Noun]) -> str:
    """The nouns with their articles: "the chips, the milk and the sofa"."""
    *others, last = [noun.the for noun in nouns]
    return f"{', '.join(others)} and {last}" if others else last


def _whereabouts(facts: set[str]) -> str:
    room = next(room for room in ROOMS if f"in {room}" in facts)
    return f"There are four rooms: {_listing(list(ROOM_NOUNS.values()))}. You are in {ROOM_NOUNS[room].the}."


def _sight(task: Task, words: Words, facts: set[str]) -> list[str]:
    """What is seen, and what of it is close. What is in hand, or lies in or on something, is left to others."""
    visible = [x.name for x in task.things if f"sees {x.name}" in facts and f"holds {x.name}" not in facts]
    if not visible:
        return ["You see nothing useful here."]
    placed = {fact.subject for fact in task.facts if fact.relation == "placed" and str(fact) in facts}
    loose = [words.nouns[x] for x in visible if x not in placed]
    seated = _seated(task, facts)
    near = [words.nouns[x] for x in visible if f"near {x}" in facts and not (seated and f"sits {x}" in facts)]
    sentences = [f"You see {_listing(loose)}."]
    if near:
        sentences.append(f"You are close to {_listing(near)}.")
    elif not seated:
        sentences.append(_none_close(loose))
    return sentences


def _none_close(nouns: list[Noun]) -> str:
    if len(nouns) == 1:
        return f"{nouns[0].it} {nouns[0].be} not close to you."
    return "Neither is close to you." if len(nouns) == 2 else "None of them is close to you."


def _conditions(task: Task, words: Words, facts: set[str]) -> list[str]:
    """Which visible things are open or closed, on or off, and what lies in or on them."""
    sentences = []
    for thing in task.things:
        noun, inside = words.nouns[thing.name], thing.kind is Kind.CONTAINER
        contents = [words.nouns[x] for x in task.of_kind(Kind.PORTABLE) if f"placed {x} {thing.name}" in facts]
        if contents:
            be = contents[0].be if len(contents) == 1 else "are"
            listing = _listing(contents)
            sentences.append(f"{listing[0].upper()}{listing[1:]} {be} {'in' if inside else 'on'} {noun.the}.")
        if inside and f"sees {thing.name}" in facts:
            sentences.append(f"The {noun.text} {noun.be} {'open' if f'open {thing.name}' in facts else 'closed'}.")
        if thing.kind is Kind.SCREEN and f"sees {thing.name}" in facts:
            sentences.append(f"The {noun.text} {noun.be} {'on' if f'on {thing.name}' in facts else 'off'}.")
    return sentences


def _seated(task: Task, facts: set[str]) -> bool:
    """Whether the agent sits: on a seat and facing the screen.

    Under the faithful rules the seat's bit outlasts standing up, and only walking away ends the other.
    """
    seats, screens = task.of_kind(Kind.SEAT), task.of_kind(Kind.SCREEN)
    return any(f"sits {x}" in facts for x in seats) and any(f"faces {x}" in facts for x in screens)


def _posture(task: Task, words: Words, facts: set[str]) -> list[str]:
    seats = [words.nouns[x].the for x in task.of_kind(Kind.SEAT) if f"sits {x}" in facts]
    if not seats:
        return []
    if not _seated(task, facts):
        return [f"You sat on {seats[0]} earlier."]
    screens = [words.nouns[x] for x in task.of_kind(Kind.SCREEN)]
    return [f"You are sitting on {seats[0]}, facing {_listing(screens)}."]


def _hands(task: Task, words: Words, facts: set[str]) -> str:
    held = [words.nouns[x] for x in task.of_kind(Kind.PORTABLE) if f"holds {x}" in facts]
    return f"You are holding {_listing(held)}." if held else "Your hands are empty."
