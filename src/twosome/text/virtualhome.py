"""The household in words: what the agent sees, is close to and holds, what is to be done, and what it can do now.

The same sentences serve every household task; a task brings its nouns and its goal (:data:`WORDS`). They follow the
four principles of the paper (prompt and action read on as one sentence, articles stay, what can be acted on is named,
an action's words fit the situation). Each fact is said once, and only what is seen is said. That something is *not*
close is said of all that is seen together, never of one thing among several: naming the one thing worth walking to
would give the next step away.

Source of the principles: Tan et al., "True Knowledge Comes from Practice", ICLR 2024, section 4.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium

from twosome.errors import ConfigError
from twosome.text.environment import Option
from twosome.virtualhome.tasks import ROOMS, Action, Fact, Kind, Task, find_task
from twosome.wordings.choosing import FIRST, find_wording
from twosome.wordings.household import HOUSEHOLD, HouseholdWording


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
        goal: The template of the wording that says the aim.
    """

    nouns: dict[str, Noun]
    goal: str


def _storage(item: Noun, appliance: str, goal: str) -> Words:
    return Words({"item": item, "appliance": Noun(appliance)}, goal)


WORDS: dict[str, Words] = {
    "food-preparation": _storage(Noun("pancake"), "microwave", "heat"),
    "entertainment": Words(
        {
            "chips": Noun("chips", plural=True),
            "milk": Noun("milk"),
            "table": Noun("coffee table"),
            "tv": Noun("TV"),
            "sofa": Noun("sofa"),
        },
        "relax",
    ),
    "cheese": _storage(Noun("cheese"), "microwave", "heat"),
    "hamburger": _storage(Noun("hamburger"), "microwave", "heat"),
    "apple-pie": _storage(Noun("apple pie"), "microwave", "heat"),
    "pizza": _storage(Noun("pizza"), "microwave", "heat"),
    "washing-plate": _storage(Noun("plate"), "dishwasher", "wash"),
    "laundry": _storage(Noun("clothes", plural=True), "washing machine", "wash"),
    "laundry-placed": _storage(Noun("clothes", plural=True), "washing machine", "wash"),
}
"""The words of every household task."""

ROOM_NOUNS = {room: Noun("living room" if room == "livingroom" else room) for room in ROOMS}

_PLAIN_VERBS = {
    "grab": "grab",
    "putin": "put_in",
    "putback": "put_on",
    "open": "open",
    "close": "close",
    "switchon": "switch_on",
    "switchoff": "switch_off",
    "sit": "sit",
    "standup": "stand_up",
}
"""The template of every verb but walking, which depends on where to and on what is held."""


class VirtualHomeNarrator:
    """Puts a household into words, under the faithful and the repaired rules alike.

    Args:
        task: The name of a household task.
        wording: The name of a wording, or templates; see :func:`~twosome.wordings.choosing.find_wording`.

    Raises:
        ConfigError: If there is no such task or wording.
    """

    def __init__(self, task: str = "food-preparation", wording: str | Mapping[str, str] = FIRST) -> None:
        self.task = find_task(task)
        self.words = WORDS[task]
        self.wording = find_wording(HOUSEHOLD, wording)
        nouns = {name: noun.the for name, noun in self.words.nouns.items()}
        self.goal = str(getattr(self.wording, self.words.goal)).format_map(nouns)
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], tuple[str, tuple[Option, ...]]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The nouns that the task's things go by; rooms are not among them."""
        return tuple(dict.fromkeys(noun.text for noun in self.words.nouns.values()))

    @classmethod
    def of(cls, env: gymnasium.Env[Any, Any], wording: str | Mapping[str, str] = FIRST) -> VirtualHomeNarrator:
        """Return the narrator of a VirtualHome environment, wrapped or not."""
        task: Task = env.get_wrapper_attr("task")
        return cls(task.name, wording)

    def narrate(self, observation: Any, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        """Return the prompt and the admissible options, in the order of their ids.

        Args:
            observation: int8 [facts], as :class:`twosome.virtualhome.VirtualHomeEnv` gives it.
            info: Holds ``action_mask``, int8 [actions].

        Raises:
            ConfigError: If observation or mask do not belong to this task.
        """
        bits, mask = tuple(map(int, observation)), tuple(map(int, info.get("action_mask", ())))
        if len(bits) != len(self.task.facts) or len(mask) != len(self.task.actions):
            raise ConfigError(
                f"the task {self.task.name!r} has {len(self.task.facts)} facts and {len(self.task.actions)} actions, "
                f"got {len(bits)} facts and an action mask of length {len(mask)}; give the narrator the task of its "
                "environment"
            )
        if (bits, mask) not in self._known:
            teller = _Teller(self.task, self.words.nouns, self.wording, _facts(self.task, bits))
            options = tuple(Option(teller.phrase(action), i) for i, action in enumerate(self.task.actions) if mask[i])
            self._known[bits, mask] = self._prompt(teller), options
        return self._known[bits, mask]

    def _prompt(self, teller: _Teller) -> str:
        return self.wording.prompt.format(facts=" ".join(teller.sentences()), goal=self.goal)


def _facts(task: Task, bits: Sequence[int]) -> frozenset[str]:
    return frozenset(str(fact) for fact, bit in zip(task.facts, bits, strict=True) if bit)


def _listing(nouns: Sequence[Noun]) -> str:
    """The nouns with their articles: "the chips, the milk and the sofa"."""
    *others, last = [noun.the for noun in nouns]
    return f"{', '.join(others)} and {last}" if others else last


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


@dataclass(frozen=True)
class _Teller:
    """Tells one situation.

    Attributes:
        task: The task.
        nouns: What its things are called.
        wording: The templates.
        facts: What holds, as far as the agent can see.
    """

    task: Task
    nouns: dict[str, Noun]
    wording: HouseholdWording
    facts: frozenset[str]

    def sentences(self) -> list[str]:
        """What there is to tell, in order."""
        return [*self._whereabouts(), *self._sight(), *self._conditions(), *self._posture(), self._hands()]

    def phrase(self, action: Action) -> str:
        """An action in words, such as "put the pancake in the microwave"."""
        nouns = self.nouns | ROOM_NOUNS
        target = nouns[action.target].the
        if action.verb == "walk":
            where = "room" if action.target in ROOM_NOUNS else self._sort(action.target)
            held = self._held() if self._takes(action.target) else []
            template = getattr(self.wording, f"{'carry' if held else 'walk'}_{where}")
            return str(template.format(target=target, held=_listing(held) if held else ""))
        place = nouns[action.receptacle].the if action.receptacle else ""
        if action.verb == "grab" and (fact := self._placed(action.target)) is not None:
            inside = self.task.thing[fact.receptacle].kind is Kind.CONTAINER
            template = self.wording.take_out if inside else self.wording.take_off
            return template.format(target=target, place=nouns[fact.receptacle].the)
        return str(getattr(self.wording, _PLAIN_VERBS[action.verb]).format(target=target, place=place))

    def _placed(self, name: str) -> Fact | None:
        """In or on what a thing is seen to lie."""
        placed = (fact for fact in self.task.facts if (fact.relation, fact.subject) == ("placed", name))
        return next((fact for fact in placed if str(fact) in self.facts), None)

    def _sort(self, name: str) -> str:
        return "item" if self.task.thing[name].kind is Kind.PORTABLE else "furniture"

    def _takes(self, name: str) -> bool:
        """Whether something can be carried there to some purpose: not to a seat, nor to a screen."""
        return name in ROOM_NOUNS or self.task.thing[name].kind not in (Kind.SEAT, Kind.SCREEN)

    def _held(self) -> list[Noun]:
        return [self.nouns[x] for x in self.task.of_kind(Kind.PORTABLE) if f"holds {x}" in self.facts]

    def _whereabouts(self) -> list[str]:
        room = next(room for room in ROOMS if f"in {room}" in self.facts)
        rooms = self.wording.rooms.format(rooms=_listing(list(ROOM_NOUNS.values())))
        return [rooms, self.wording.place.format(room=ROOM_NOUNS[room].the)]

    def _sight(self) -> list[str]:
        """What is seen, and what of it is close. What is in hand, or lies in or on something, is left to others."""
        facts = self.facts
        visible = [x.name for x in self.task.things if f"sees {x.name}" in facts and f"holds {x.name}" not in facts]
        if not visible:
            return [self.wording.nothing]
        placed = {fact.subject for fact in self.task.facts if fact.relation == "placed" and str(fact) in facts}
        loose = [self.nouns[x] for x in visible if x not in placed]
        seated = self._seated()
        near = [self.nouns[x] for x in visible if f"near {x}" in facts and not (seated and f"sits {x}" in facts)]
        sentences = [self.wording.sight.format(things=_listing(loose))]
        if near:
            sentences.append(self.wording.near.format(things=_listing(near)))
        elif not seated:
            sentences.append(self._none_close(loose))
        return sentences

    def _none_close(self, nouns: list[Noun]) -> str:
        if len(nouns) == 1:
            noun, slots = nouns[0], {"It": nouns[0].it, "is": nouns[0].be}
            return self.wording.none_of_one.format(thing=noun.the, Thing=_capital(noun.the), **slots)
        template = self.wording.none_of_two if len(nouns) == 2 else self.wording.none_of_many
        return template.format(things=_listing(nouns), Things=_capital(_listing(nouns)))

    def _conditions(self) -> list[str]:
        """Which visible things are open or closed, on or off, and what lies in or on them."""
        sentences, facts = [], self.facts
        for thing in self.task.things:
            noun, inside = self.nouns[thing.name], thing.kind is Kind.CONTAINER
            contents = [self.nouns[x] for x in self.task.of_kind(Kind.PORTABLE) if f"placed {x} {thing.name}" in facts]
            if contents:
                be, things = contents[0].be if len(contents) == 1 else "are", _listing(contents)
                slots = {"things": things, "Things": _capital(things), "place": noun.the, "Place": _capital(noun.the)}
                sentences.append((self.wording.inside if inside else self.wording.on_top).format(are=be, **slots))
            if inside and f"sees {thing.name}" in facts:
                sentences.append(self._state(noun, "open" if f"open {thing.name}" in facts else "closed"))
            if thing.kind is Kind.SCREEN and f"sees {thing.name}" in facts:
                sentences.append(self._state(noun, "on" if f"on {thing.name}" in facts else "off"))
        return sentences

    def _state(self, noun: Noun, state: str) -> str:
        return self.wording.state.format_map({"Thing": _capital(noun.the), "is": noun.be, "state": state})

    def _seated(self) -> bool:
        """Whether the agent sits: on a seat and facing the screen.

        Under the faithful rules the seat's bit outlasts standing up, and only walking away ends the other.
        """
        seats, screens = self.task.of_kind(Kind.SEAT), self.task.of_kind(Kind.SCREEN)
        return any(f"sits {x}" in self.facts for x in seats) and any(f"faces {x}" in self.facts for x in screens)

    def _posture(self) -> list[str]:
        seats = [self.nouns[x].the for x in self.task.of_kind(Kind.SEAT) if f"sits {x}" in self.facts]
        if not seats:
            return []
        if not self._seated():
            return [self.wording.sat.format(seat=seats[0])]
        screens = [self.nouns[x] for x in self.task.of_kind(Kind.SCREEN)]
        return [self.wording.sitting.format(seat=seats[0], screen=_listing(screens))]

    def _hands(self) -> str:
        held = self._held()
        return self.wording.holding.format(things=_listing(held)) if held else self.wording.empty
