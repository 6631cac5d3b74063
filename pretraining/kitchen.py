"""A small kitchen in symbols.

Foods lie at home, on a board, in a container or in the hands; a whole food must be cut on a board, and the goal is a
container with just the right cut foods.  The simulator exists to make text whose next step follows from its state; it
has no coordinates, no time and no rewards.  See :mod:`pretraining.kitchen_words` for the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from pretraining.grammar import Person, anyone, draw_verbs
from pretraining.words import NOUNS, WORDS, distinct, invented

HAND, HOME, INSIDE = "hand", "home", "inside"
Action = tuple[str, ...]

# verb -> (what the food then is, what it is before)
CUTS: dict[str, tuple[str, list[str]]] = {verb: (done, before) for verb, (done, before) in WORDS["cuts"].items()}


@dataclass
class Style:
    """The words one document keeps: nouns, verbs and the person."""

    person: Person
    foods: list[str]
    container: str
    boards: list[str]
    place: str
    cut: str
    verbs: dict[str, str]

    @property
    def done(self) -> str:
        """Return the adjective of a food that has been cut."""
        return CUTS[self.cut][0]


def make_style(rng: Random, invent: bool, person: Person | None = None) -> Style:
    """Draw the words of a document; with ``invent`` most foods, and some of the furniture, have invented names."""

    def food(rng: Random) -> str:
        word = invented(rng) if invent and rng.random() < 0.85 else rng.choice(NOUNS.foods)
        return f"{rng.choice(NOUNS.adjectives)} {word}" if rng.random() < 0.06 else word

    foods = distinct(rng, rng.choices((1, 2, 3), (45, 33, 22))[0], food)
    container = "bowl" if rng.random() < 0.4 else rng.choice(NOUNS.bowls)
    board = "cutting board" if rng.random() < 0.4 else rng.choice(NOUNS.boards)
    if invent and rng.random() < 0.25:
        container = invented(rng)
    if invent and rng.random() < 0.2:
        board = invented(rng)
    boards = [board]
    if rng.random() < 0.4:
        boards = [
            f"{word} {board}" for word in rng.choice((("first", "second"),) * 3 + (("left", "right"), ("near", "far")))
        ]
    place = rng.choice(NOUNS.places)
    while place == board:
        place = rng.choice(NOUNS.places)
    person = person or anyone(rng)
    cut = "chop" if rng.random() < 0.45 else rng.choice(tuple(CUTS))
    verbs = draw_verbs(rng, "kitchen")
    verbs["serve"] = verbs["serve"].replace("<c>", container)
    return Style(person, foods, container, boards, place, cut, verbs)


@dataclass
class Kitchen:
    """Where everything is.  ``where[item]``: HAND, HOME, INSIDE (the container) or the index of a board."""

    style: Style
    goal: list[str]
    where: dict[str, str | int] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    at: int | None = None

    def held(self) -> str | None:
        """Return the item in the hands."""
        return next((item for item, place in self.where.items() if place == HAND), None)

    def inside(self) -> list[str]:
        """Return the foods in the container."""
        return [item for item in self.style.foods if self.where[item] == INSIDE]

    def on_board(self, board: int) -> str | None:
        """Return what lies on a board."""
        return next((item for item, place in self.where.items() if place == board), None)

    def free_board(self) -> int | None:
        """Return a board with nothing on it, the one at hand first."""
        order = sorted(range(len(self.style.boards)), key=lambda board: board != self.at)
        return next((board for board in order if self.on_board(board) is None), None)

    def possible(self) -> list[Action]:
        """Return every action that would change something."""
        style, held, actions = self.style, self.held(), []
        for board in range(len(style.boards)):
            if self.at != board:
                actions.append(("walk", str(board)))
            if held and self.on_board(board) is None:
                actions.append(("board", held, str(board)))
        if held:
            actions.append(("down", held))
            if held in style.foods and held in self.cut:
                actions += [("in", held), ("take",)]
            elif held == style.container:
                # In the order of the foods: the order of a set would differ from process to process.
                actions += [("in", food) for food in style.foods if food in self.cut and self.where[food] != INSIDE]
                actions.append(("serve",))
        else:
            actions += [("get", food) for food in style.foods if self.where[food] != INSIDE]
            actions.append(("take",))
            for board in range(len(style.boards)):
                item = self.on_board(board)
                if self.at == board and item in style.foods and item not in self.cut:
                    actions.append(("cut", str(item)))
        return actions

    def sensible(self, rng: Random) -> Action:
        """Return a next step that brings the goal nearer."""
        style, held, inside = self.style, self.held(), self.inside()
        ready = set(inside) == set(self.goal)
        missing = [food for food in self.goal if food not in inside]
        cut = [food for food in missing if food in self.cut]
        free = self.free_board()
        if held == style.container:
            if ready:
                return ("serve",)
            if cut:
                return ("in", rng.choice(cut))
            # The boards are for cutting; only a spare one is a good place for the container.
            spare = sum(self.on_board(board) is None for board in range(len(style.boards)))
            return ("board", held, str(free)) if rng.random() < (0.0, 0.25, 0.6)[spare] else ("down", held)
        if held is not None:
            if held not in self.goal:
                return ("down", held)
            if held in self.cut:
                return ("take",) if rng.random() < 0.5 else ("in", held)
            return ("board", held, str(free)) if free is not None else ("down", held)
        if ready:
            return ("take",)
        for food in missing:
            board = self.where[food]
            if isinstance(board, int) and food not in self.cut:
                return ("cut", food) if self.at == board else ("walk", str(board))
        raw = [food for food in missing if food not in self.cut]
        if cut and (not raw or free is None or rng.random() < 0.3):
            return ("get", rng.choice(cut)) if rng.random() < 0.5 else ("take",)
        if raw and free is not None:
            return ("get", rng.choice(raw))
        if raw:
            blocker = next(item for board in range(len(style.boards)) if (item := self.on_board(board)))
            return ("take",) if blocker == style.container else ("get", blocker)
        return ("take",)

    def apply(self, action: Action) -> None:
        """Change the state."""
        kind, *words = action
        style, held = self.style, self.held()
        if kind == "walk":
            self.at = int(words[0])
        elif kind == "board":
            self.where[words[0]] = self.at = int(words[1])
        elif kind == "down":
            self.where[words[0]], self.at = HOME, None
        elif kind in ("get", "take"):
            item = words[0] if words else style.container
            place = self.where[item]
            self.at = place if isinstance(place, int) else self.at if place == HAND else None
            if held and held != item:
                self.where[held] = INSIDE
            self.where[item] = HAND
        elif kind == "in":
            place = self.where[words[0] if held == style.container else style.container]
            self.at = place if isinstance(place, int) else None
            self.where[words[0]] = INSIDE
        elif kind == "cut":
            self.cut.add(words[0])

    def phrase(self, action: Action) -> str:
        """Return the action in words."""
        kind, *words = action
        style, verbs = self.style, self.style.verbs
        match kind:
            case "walk":
                return f"{verbs['walk']} the {style.boards[int(words[0])]}"
            case "board":
                return f"{verbs['put']} the {words[0]} on the {style.boards[int(words[1])]}"
            case "down":
                return f"{verbs['put']} the {words[0]} on the {style.place}"
            case "get":
                return f"{verbs['get']} the {words[0]}"
            case "take":
                return f"{verbs['take']} the {style.container}"
            case "in":
                return f"{verbs['put']} the {words[0]} {verbs['into']} the {style.container}"
            case "cut":
                return f"{style.cut} the {words[0]}"
            case _:
                return verbs["serve"]


def random_kitchen(rng: Random, style: Style, mess: float = 0.3) -> Kitchen:
    """Return a kitchen after some sensible and some idle steps."""
    goal = rng.sample(style.foods, 2) if len(style.foods) > 1 and rng.random() < 0.5 else [rng.choice(style.foods)]
    kitchen = Kitchen(style, goal, dict.fromkeys((*style.foods, style.container), HOME))
    for _ in range(rng.randrange(9 if len(goal) == 1 else 15)):
        action = rng.choice(kitchen.possible()) if rng.random() < mess else kitchen.sensible(rng)
        if action[0] == "serve":
            continue
        kitchen.apply(action)
        if not set(kitchen.inside()) <= set(goal):
            # A spoilt container has no good next step; start over rather than teach a bad one.
            return random_kitchen(rng, style, mess)
    return kitchen
