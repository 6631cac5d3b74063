"""How the household works: a state, and what each action makes of it. Pure functions, no randomness.

Two sets of rules. The *repaired* ones are what one expects of a flat. The *faithful* ones repeat the environment
published with the paper, defects included, so that results can be compared with it:

* the flat remembers for each held thing the room its holder came from, one walk late, so that "walk to the pancake"
  with the pancake in hand may lead to another room;
* having sat on the sofa and facing the TV outlast standing up.

An action whose things are out of sight, or whose precondition fails, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from twosome.virtualhome.tasks import ROOMS, Action, Fact, Goal, Kind, Task

HANDS = 2
"""Things the agent can hold at once; opening and switching need one hand free."""


@dataclass(frozen=True, slots=True)
class Household:
    """The flat at one moment, as far as a task is concerned.

    Attributes:
        room: Where the agent is.
        rooms: The room recorded for each thing, in the task's order of things.
        near: Things the agent stands next to; what it holds is always among them.
        held: Things in the agent's hands.
        placed: Pairs of a thing and the container or surface the agent has put it into or onto.
        open: Containers that are open.
        on: Screens that are switched on.
        sitting: Whether the agent sits, which keeps it from walking.
        on_seat: Whether it counts as being on the seat. Differs from ``sitting`` under the faithful rules only.
        facing: Whether it faces the screen.
    """

    room: str
    rooms: tuple[str, ...]
    near: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    placed: frozenset[tuple[str, str]] = frozenset()
    open: frozenset[str] = frozenset()
    on: frozenset[str] = frozenset()
    sitting: bool = False
    on_seat: bool = False
    facing: bool = False

    def holders(self, thing: str) -> frozenset[str]:
        """What the thing has been put into or onto: one receptacle, or none."""
        return frozenset(receptacle for x, receptacle in self.placed if x == thing)

    def contents(self, receptacle: str) -> frozenset[str]:
        """What has been put into or onto the receptacle."""
        return frozenset(x for x, y in self.placed if y == receptacle)

    @property
    def hand_free(self) -> bool:
        """Whether the agent has a free hand."""
        return len(self.held) < HANDS


Outcome: TypeAlias = Household | None
"""The household after an action, or None where the action fails."""


@dataclass(frozen=True)
class Rules:
    """The rules of one task.

    Attributes:
        task: What the flat contains and what is wanted.
        faithful: Whether to repeat the published defects (see the module's docstring). A task of our own has no
            published dynamics to repeat, only published habits of offering actions (:mod:`.options`).
        all_actions: Whether every action is offered everywhere, as to an agent without a mask.
    """

    task: Task
    faithful: bool = False
    all_actions: bool = False

    @property
    def _defects(self) -> bool:
        return self.faithful and self.task.published

    def start(self) -> Household:
        """The flat when an episode starts: the agent stands in the kitchen, hands empty, everything closed and off."""
        return Household(room="kitchen", rooms=tuple(thing.room for thing in self.task.things))

    def room_of(self, state: Household, thing: str) -> str:
        """The room recorded for a thing."""
        return state.rooms[self.task.position[thing]]

    def sees(self, state: Household, thing: str) -> bool:
        """Whether the agent can see a thing: held, or in its room and not in a closed container. Rooms always."""
        if thing in ROOMS or thing in state.held:
            return True
        return self.room_of(state, thing) == state.room and not any(
            self._closed(state, receptacle) for receptacle in state.holders(thing)
        )

    def within_reach(self, state: Household, thing: str) -> bool:
        """Whether the agent can use a thing: near it, near what it lies in or on, or near what lies in or on it."""
        return thing in state.near or bool(state.near & (state.holders(thing) | state.contents(thing)))

    def act(self, state: Household, action: Action) -> Outcome:
        """The household after an action, or None where the action fails and everything stays as it is."""
        if not self.sees(state, action.target) or (action.receptacle and not self.sees(state, action.receptacle)):
            return None
        return _VERBS[action.verb](self, state, action)

    def holds(self, state: Household, fact: Fact) -> bool:
        """Whether a fact holds as far as the agent can see."""
        relation, subject, receptacle = fact
        if relation == "in":
            return state.room == subject
        if not self.sees(state, subject) or (receptacle and not self.sees(state, receptacle)):
            return False
        return _RELATIONS[relation](state, subject, receptacle)

    def observe(self, state: Household) -> tuple[int, ...]:
        """The observation: a 0 or 1 for each of the task's facts."""
        return tuple(int(self.holds(state, fact)) for fact in self.task.facts)

    def succeeded(self, state: Household) -> bool:
        """Whether the task is done."""
        portable = self.task.of_kind(Kind.PORTABLE)
        if self.task.goal is Goal.STORED:
            return all(any(self._closed(state, y) for y in state.holders(x)) for x in portable)
        watching = state.on_seat and state.facing and state.on >= set(self.task.of_kind(Kind.SCREEN))
        return watching and all(self.sees(state, x) and (x in state.near or state.holders(x)) for x in portable)

    def _closed(self, state: Household, receptacle: str) -> bool:
        return self.task.thing[receptacle].kind is Kind.CONTAINER and receptacle not in state.open

    def _record_rooms(self, state: Household, things: frozenset[str], room: str) -> tuple[str, ...]:
        """The recorded rooms once ``things`` are recorded in ``room``."""
        recorded = zip(self.task.things, state.rooms, strict=True)
        return tuple(room if thing.name in things else before for thing, before in recorded)

    def _walk(self, state: Household, action: Action) -> Outcome:
        if state.sitting:
            return None
        target = action.target
        if target in ROOMS:
            room, near = target, state.held
        else:
            room, near = self.room_of(state, target), state.held | {target} | state.holders(target)
            if self.task.thing[target].kind is Kind.CONTAINER:
                near |= state.contents(target)
        recorded = state.room if self._defects else room
        return replace(state, room=room, near=near, facing=False, rooms=self._record_rooms(state, state.held, recorded))

    def _grab(self, state: Household, action: Action) -> Outcome:
        thing = action.target
        if thing in state.held or not state.hand_free or not self.within_reach(state, thing):
            return None
        holders = state.holders(thing)
        return replace(
            state,
            held=state.held | {thing},
            near=state.near | {thing} | holders,
            placed=frozenset(pair for pair in state.placed if pair[0] != thing),
            rooms=self._record_rooms(state, frozenset({thing}), state.room),
        )

    def _put(self, state: Household, action: Action) -> Outcome:
        thing, receptacle = action.target, action.receptacle
        if thing not in state.held or not self.within_reach(state, receptacle) or self._closed(state, receptacle):
            return None
        return replace(
            state,
            held=state.held - {thing},
            near=state.near | {receptacle},
            placed=state.placed | {(thing, receptacle)},
        )

    def _open(self, state: Household, action: Action) -> Outcome:
        container = action.target
        if container in state.open or not state.hand_free or not self.within_reach(state, container):
            return None
        return replace(state, open=state.open | {container})

    def _close(self, state: Household, action: Action) -> Outcome:
        container = action.target
        if container not in state.open or not self.within_reach(state, container):
            return None
        return replace(state, open=state.open - {container})

    def _switch_on(self, state: Household, action: Action) -> Outcome:
        screen = action.target
        if screen in state.on or not state.hand_free or not self.within_reach(state, screen):
            return None
        return replace(state, on=state.on | {screen})

    def _switch_off(self, state: Household, action: Action) -> Outcome:
        screen = action.target
        if screen not in state.on or not state.hand_free or not self.within_reach(state, screen):
            return None
        return replace(state, on=state.on - {screen})

    def _sit(self, state: Household, action: Action) -> Outcome:
        if state.sitting or not self.within_reach(state, action.target):
            return None
        return replace(state, sitting=True, on_seat=True, facing=True)

    def _stand_up(self, state: Household, action: Action) -> Outcome:
        if not state.sitting:
            return None
        if self._defects:
            return replace(state, sitting=False)
        return replace(state, sitting=False, on_seat=False, facing=False)


_VERBS: dict[str, Callable[[Rules, Household, Action], Outcome]] = {
    "walk": Rules._walk,
    "grab": Rules._grab,
    "putin": Rules._put,
    "putback": Rules._put,
    "open": Rules._open,
    "close": Rules._close,
    "switchon": Rules._switch_on,
    "switchoff": Rules._switch_off,
    "sit": Rules._sit,
    "standup": Rules._stand_up,
}

_RELATIONS: dict[str, Callable[[Household, str, str], bool]] = {
    "sees": lambda state, thing, _: True,
    "near": lambda state, thing, _: thing in state.near,
    "holds": lambda state, thing, _: thing in state.held,
    "placed": lambda state, thing, receptacle: (thing, receptacle) in state.placed,
    "open": lambda state, thing, _: thing in state.open,
    "on": lambda state, thing, _: thing in state.on,
    "faces": lambda state, thing, _: state.facing,
    "sits": lambda state, thing, _: state.on_seat,
}
