"""A small home in symbols: rooms, furniture, things, two hands, containers that open and devices that switch on.

Like the kitchen it exists to make text whose next step follows from its state; see :mod:`pretraining.household_words`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from pretraining.grammar import Person, anyone, draw_verbs, weighted
from pretraining.kitchen import Action
from pretraining.words import NOUNS, distinct, invented


@dataclass
class Home:
    """Where everything is, what is open and on, where the person is, and what for.

    Attributes:
        goal: "store" (thing into container, closed), "heat" (the same, perhaps switched on), "relax" (things on a
            surface, device on, seated), "bring" (thing on a surface elsewhere), "switch" (device on or off).
        place: Of each thing: a piece of furniture, "hand", or a container.
        room: Of each piece of furniture.
        near: The furniture or the thing the person has walked up to.
    """

    person: Person
    goal: str
    things: list[str]
    rooms: list[str]
    place: dict[str, str]
    room: dict[str, str]
    container: str = ""
    surface: str = ""
    device: str = ""
    seat: str = ""
    here: str = ""
    near: str = ""
    seated: bool = False
    opened: set[str] = field(default_factory=set)
    on: set[str] = field(default_factory=set)
    want_on: bool = True
    words: dict[str, str] = field(default_factory=dict)

    def held(self) -> list[str]:
        """Return the things in the hands."""
        return [thing for thing in self.things if self.place[thing] == "hand"]

    def room_of(self, item: str) -> str:
        """Return the room of a thing or a piece of furniture."""
        if item in self.place:
            return self.here if self.place[item] == "hand" else self.room[self.place[item]]
        return self.room[item]

    def seen(self, item: str) -> bool:
        """Return whether an item is in view: in this room and not shut in."""
        if self.room_of(item) != self.here:
            return False
        return self.place.get(item) != self.container or not self.container or self.container in self.opened

    def close_to(self, item: str) -> bool:
        """Return whether an item is within reach."""
        if not self.near or not item:
            return False
        return self.near in (item, self.place.get(item)) or self.place.get(self.near) == item

    def furniture(self) -> list[str]:
        """Return all furniture that matters."""
        return [item for item in (self.container, self.surface, self.device, self.seat) if item]

    def items(self) -> list[str]:
        """Return everything there is: things, then furniture."""
        return [*self.things, *self.furniture()]

    def possible(self) -> list[Action]:
        """Return every action that would change something."""
        if self.seated:
            return [("stand", self.seat)]
        walks: list[Action] = [("walk", room) for room in self.rooms if room != self.here]
        for item in self.items():
            if self.seen(item) and not self.close_to(item) and self.place.get(item) != "hand":
                walks.append(("walk", item))
        return walks + self._handle_things() + self._handle_furniture()

    def _handle_things(self) -> list[Action]:
        actions: list[Action] = []
        for thing in self.things:
            if self.place[thing] == "hand":
                if self.container in self.opened and self.close_to(self.container):
                    actions.append(("in", thing, self.container))
                if self.close_to(self.surface):
                    actions.append(("on", thing, self.surface))
            elif self.seen(thing) and self.close_to(thing) and len(self.held()) < 2:
                actions.append(("grab", thing))
        return actions

    def _handle_furniture(self) -> list[Action]:
        actions: list[Action] = []
        free = len(self.held()) < 2
        if self.close_to(self.container):
            if self.container in self.opened:
                actions.append(("close", self.container))
            elif free:
                actions.append(("open", self.container))
        if self.close_to(self.device) and free:
            actions.append(("off" if self.device in self.on else "start", self.device))
        if self.close_to(self.seat):
            actions.append(("sit", self.seat))
        return actions

    def towards(self, item: str) -> Action | None:
        """Return the walk that leads to an item, or None if it is within reach."""
        if self.room_of(item) != self.here:
            return ("walk", self.room_of(item))
        return None if self.close_to(item) else ("walk", item)

    def sensible(self, rng: Random) -> Action | None:
        """Return a next step that brings the goal nearer, or None when it is reached."""
        step = self._aim(rng)
        if self.seated and step is not None:
            return ("stand", self.seat)
        return step

    def _aim(self, rng: Random) -> Action | None:
        match self.goal:
            case "switch":
                if (self.device in self.on) == self.want_on:
                    return None
                return self.towards(self.device) or ("start" if self.want_on else "off", self.device)
            case "store" | "heat":
                return self._aim_store()
            case "bring":
                return self._aim_bring()
            case _:
                return self._aim_relax(rng)

    def _aim_store(self) -> Action | None:
        todo = [thing for thing in self.things if self.place[thing] != self.container]
        if not todo:
            if self.container in self.opened:
                return self.towards(self.container) or ("close", self.container)
            return None
        holding = [thing for thing in todo if self.place[thing] == "hand"]
        if not holding:
            return self.towards(todo[0]) or ("grab", todo[0])
        if step := self.towards(self.container):
            return step
        return ("in", holding[0], self.container) if self.container in self.opened else ("open", self.container)

    def _aim_bring(self) -> Action | None:
        if held := self.held():
            return self.towards(self.surface) or ("on", held[0], self.surface)
        away = [thing for thing in self.things if self.place[thing] != self.surface]
        return (self.towards(away[0]) or ("grab", away[0])) if away else None

    def _aim_relax(self, rng: Random) -> Action | None:
        """Fetch everything, put something down so that a hand is free, switch on, sit down."""
        held, device_on = self.held(), self.device in self.on
        away = [thing for thing in self.things if self.place[thing] not in (self.surface, "hand")]
        if away and len(held) < 2:
            near_first = sorted(away, key=lambda thing: not (self.seen(thing) and self.close_to(thing)))
            return self.towards(near_first[0]) or ("grab", near_first[0])
        lay_down = self.towards(self.surface) or ("on", held[0], self.surface) if held else None
        settled = self.seated or self.near in (self.device, self.seat)
        if held and (len(held) == 2 or not device_on or rng.random() < 0.5) and not settled:
            return lay_down
        if len(held) == 2 and not device_on:
            return lay_down
        if not device_on:
            return self.towards(self.device) or ("start", self.device)
        if not self.seated:
            return self.towards(self.seat) or ("sit", self.seat)
        return None

    def apply(self, action: Action) -> None:
        """Change the state."""
        kind, *words = action
        if kind == "walk":
            if words[0] in self.rooms:
                self.here, self.near = words[0], ""
            else:
                self.near = words[0]
        elif kind == "grab":
            if self.near == words[0]:
                self.near = self.place[words[0]]
            self.place[words[0]] = "hand"
        elif kind in ("in", "on"):
            self.place[words[0]] = words[1]
        elif kind == "open":
            self.opened.add(words[0])
        elif kind == "close":
            self.opened.discard(words[0])
        elif kind == "start":
            self.on.add(words[0])
        elif kind == "off":
            self.on.discard(words[0])
        elif kind == "sit":
            self.seated = True
        elif kind == "stand":
            self.seated = False

    def phrase(self, action: Action) -> str:
        """Return the action in words."""
        kind, *words = action
        verb = self.words[kind]
        match kind:
            case "in":
                return f"{verb} the {words[0]} in the {words[1]}"
            case "on":
                return f"{verb} the {words[0]} on the {words[1]}"
            case _:
                return f"{verb} the {words[0]}"


def random_home(
    rng: Random, invent: bool, person: Person | None = None, steps: int | None = None, mess: float = 0.25
) -> Home:
    """Return a home whose goal is not reached yet, after some sensible and some idle steps.

    Args:
        rng: Where all choices come from.
        invent: Whether most things have invented names.
        person: Who lives there; anyone if None.
        steps: How many steps were taken; a random number if None.
        mess: Share of idle steps.
    """
    home = _fresh_home(rng, invent, person)
    count = rng.randrange({"relax": 12, "bring": 5, "switch": 3}.get(home.goal, 7)) if steps is None else steps
    for _ in range(count):
        actions = home.possible()
        action = rng.choice(actions) if rng.random() < mess else home.sensible(rng)
        if action is None or action[0] == "off":
            break
        home.apply(action)
        if home.sensible(rng) is None:
            return random_home(rng, invent, home.person, steps, mess)
    if home.sensible(rng) is None:
        return random_home(rng, invent, home.person, steps, mess)
    return home


def _fresh_home(rng: Random, invent: bool, person: Person | None) -> Home:
    goal = weighted(rng, {"heat": 34, "store": 20, "relax": 26, "bring": 13, "switch": 7})
    things = _draw_things(rng, invent, goal)
    rooms = rng.sample(NOUNS.rooms, rng.choice((2, 3, 4, 4, 5)))
    if rng.random() < 0.5:
        rooms = list(dict.fromkeys(["kitchen", *rooms]))[:5]
    # Most homes are ordinary: food and heat in the kitchen, screens and seats in the living room.
    first = "kitchen" if goal == "heat" and "kitchen" in rooms and rng.random() < 0.8 else rng.choice(rooms)
    if goal == "relax" and "living room" not in rooms and rng.random() < 0.5:
        rooms[-1] = "living room"
    other = "living room" if "living room" in rooms and rng.random() < 0.8 else rng.choice(rooms)
    first = first if first in rooms else rooms[0]
    person = person or anyone(rng)
    verbs = draw_verbs(rng, "household")
    verbs |= {"on": verbs["in"], "off": verbs["start"].replace("on", "off")}
    home = Home(person, goal, things, rooms, {}, {}, words=verbs, here=rng.choice(rooms))
    _furnish(rng, invent, home, first, other)
    _place_things(rng, home, first, other)
    return home


def _maybe_invented(rng: Random, word: str, chance: float) -> str:
    return invented(rng) if rng.random() < chance else word


def _draw_things(rng: Random, invent: bool, goal: str) -> list[str]:
    pools = {
        "heat": NOUNS.meals + NOUNS.foods[:30],
        "relax": NOUNS.meals + NOUNS.meals + NOUNS.foods[:10] + NOUNS.things[:30],
    }
    pool = pools.get(goal, NOUNS.things + NOUNS.meals)

    def draw(rng: Random) -> str:
        word = rng.choice(pool)
        if invent:
            word = _maybe_invented(rng, word, 0.85)
        if rng.random() < 0.05:
            return f"{rng.choice(NOUNS.adjectives)} {word}"
        return f"{word} {rng.choice(NOUNS.meals[:12])}" if rng.random() < 0.04 else word

    count = 1 if goal in ("heat", "store", "bring") and rng.random() < 0.85 else 2
    return distinct(rng, count, draw)


def _furnish(rng: Random, invent: bool, home: Home, first: str, other: str) -> None:
    def maybe(word: str, chance: float) -> str:
        return _maybe_invented(rng, word, chance) if invent else word

    goal = home.goal
    if goal in ("heat", "store"):
        heater = "microwave" if rng.random() < 0.4 else rng.choice(NOUNS.heaters)
        home.container = maybe(heater, 0.2) if goal == "heat" else maybe(rng.choice(NOUNS.stores), 0.3)
        home.room[home.container] = first
        if rng.random() < 0.35:
            home.opened.add(home.container)
    if goal in ("relax", "bring"):
        home.surface = maybe("coffee table" if rng.random() < 0.3 else rng.choice(NOUNS.surfaces), 0.2)
        home.room[home.surface] = other
    if goal in ("relax", "switch"):
        screen = rng.choice(("TV", "TV", *NOUNS.screens, *NOUNS.speakers))
        home.device = maybe(screen if goal == "relax" else rng.choice((*NOUNS.devices, screen)), 0.2)
        home.room[home.device] = other
    if goal == "relax":
        home.seat = maybe("sofa" if rng.random() < 0.4 else rng.choice(NOUNS.seats), 0.15)
        home.room[home.seat] = other
        if rng.random() < 0.2:
            home.on.add(home.device)
    if goal == "switch":
        home.want_on = rng.random() < 0.6
        if not home.want_on:
            home.on.add(home.device)


def _place_things(rng: Random, home: Home, first: str, other: str) -> None:
    spots = [spot for spot in NOUNS.surfaces if spot not in home.room]
    together = first if home.goal in ("heat", "store") and rng.random() < 0.75 else None
    shared = rng.choice(spots)
    if home.goal == "relax" and rng.random() < 0.7 and len(home.rooms) > 1:
        away = [room for room in home.rooms if room != other]
        together = "kitchen" if "kitchen" in away else rng.choice(away)
    for item in home.things:
        spot = shared if rng.random() < 0.5 else rng.choice(spots)
        home.place[item] = spot
        home.room.setdefault(spot, together or rng.choice(home.rooms))
