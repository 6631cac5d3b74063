"""ALFWorld: its own games where a user has them, and small ones of ours, both in its own words.

The official games are a download that the package does not bring; their ``.tw-pddl`` files can be named. The package
does bring the rules (PDDL) and the grammar of the texts, and that is enough for games of one room, which are made here:
``own/TASK/SEED`` with the tasks put, heat, cool and clean. The rewards are 1 at the aim, else 0.
"""

from __future__ import annotations

import json
import random
import re
from functools import partial
from pathlib import Path
from typing import Any

from twosome.caching import cache_directory, key_of, write_whole
from twosome.errors import ConfigError
from twosome.text.environment import TextEnv
from twosome.worlds.commands import Quoting
from twosome.worlds.extras import need
from twosome.worlds.textworld import Games, InterpretedWorld, games_of, said

EXTRA = "alfworld"
KIND = "alfworld"
PARTS = ("place", "objective", "answer")
_TIME_LIMIT = 50
_NAME = re.compile(r"own/(put|heat|cool|clean)/(\d+)(?:-(\d+))?")
_AIMS = {
    "put": ("", "put some {0} in {1}"),
    "heat": ("(isHot ?o) ", "heat some {0} and put it in {1}"),
    "cool": ("(isCool ?o) ", "cool some {0} and put it in {1}"),
    "clean": ("(isClean ?o) ", "clean some {0} and put it in {1}"),
}
_RECEPTACLES = {"Fridge": True, "Microwave": True, "SinkBasin": False, "CounterTop": False, "DiningTable": False}
"""Each with whether it can be opened; a task is done in the first three and begins and ends on the others."""
_PLACES = ("CounterTop", "DiningTable")
_OBJECTS = ("Apple", "Bread", "Egg", "Lettuce", "Potato", "Tomato")


class ALFWorld(InterpretedWorld):
    """Games of ALFWorld; the first answer, which says the place and the task, is told at every moment."""

    def parts_of(self, state: Any, answer: str | None) -> dict[str, str]:
        """What a state says, part by part."""
        if answer is None:
            place, _, task = said(state.feedback).partition("Your task is to:")
            lines = [line for line in place.splitlines() if not line.startswith("-=")]
            self._first = {"place": "\n".join(lines), "objective": f"Your task is to: {task.strip()}"}
        return {**self._first, "answer": answer or ""}


def problem(task: str, seed: int) -> tuple[str, str]:
    """A problem in PDDL, and its aim in words: one room, and a thing to be brought from one place to another.

    Args:
        task: put, heat, cool or clean.
        seed: Chooses the things, and where they lie.
    """
    draw = random.Random(seed)
    objects = draw.sample(_OBJECTS, 3)
    start, end = draw.sample(_PLACES, 2)
    lies = {objects[0]: start, **{name: draw.choice(_PLACES) for name in objects[1:]}}
    facts = ["(= (total-cost) 0)", "(atLocation agent1 l_0)"]
    for number, (name, opens) in enumerate(_RECEPTACLES.items(), 1):
        facts += [f"(receptacleType {_id(name)} {name}Type)", f"(receptacleAtLocation {_id(name)} l_{number})"]
        facts += [f"(openable {_id(name)})"] * opens + [f"(canContain {name}Type {thing}Type)" for thing in objects]
    for name, place in lies.items():
        where = list(_RECEPTACLES).index(place) + 1
        facts += [f"(objectType {name}_bar_1 {name}Type)", f"(inReceptacle {name}_bar_1 {_id(place)})"]
        facts += [f"(objectAtLocation {name}_bar_1 l_{where})"]
        facts += [f"({can} {name}_bar_1)" for can in ("pickupable", "heatable", "coolable", "cleanable")]
    changed, words = _AIMS[task]
    aim = (
        f"(exists (?r - receptacle) (exists (?o - object) (and (objectType ?o {objects[0]}Type) "
        f"(receptacleType ?r {end}Type) {changed}(inReceptacle ?o ?r))))"
    )
    kinds = [
        "agent1 - agent",
        f"{' '.join(f'{name}_bar_1' for name in objects)} - object",
        f"{' '.join(f'{name}Type' for name in objects)} - otype",
        f"{' '.join(map(_id, _RECEPTACLES))} - receptacle",
        f"{' '.join(f'{name}Type' for name in _RECEPTACLES)} - rtype",
        f"{' '.join(f'l_{number}' for number in range(len(_RECEPTACLES) + 1))} - location",
    ]
    lines = ["(define (problem own)", "(:domain alfred)", f"(:objects {' '.join(kinds)})"]
    lines += [f"(:init {' '.join(facts)})", f"(:goal (and {aim})))"]
    return "\n".join(lines), words.format(objects[0].lower(), end.lower())


def _id(receptacle: str) -> str:
    """How a receptacle is called in PDDL; ALFWorld makes "sinkbasin" of "Sink" where it speaks."""
    return f"{'Sink' if receptacle == 'SinkBasin' else receptacle}_bar_1"


def game_file(task: str, seed: int) -> Path:
    """The game, named by the hash of what is in it.

    Raises:
        ConfigError: If alfworld is not installed, or the game cannot be kept.
    """
    info = need("alfworld.info", EXTRA)
    pddl, words = problem(task, seed)
    grammar = Path(info.ALFRED_TWL2_PATH).read_text(encoding="utf-8").replace("UNKNOWN GOAL", words)
    domain = Path(info.ALFRED_PDDL_PATH).read_text(encoding="utf-8")
    content = {"pddl_domain": domain, "grammar": grammar, "pddl_problem": pddl}
    file = cache_directory(KIND) / f"{key_of(content)[:16]}.tw-pddl"
    if not file.is_file():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, json.dumps(content))
        except OSError as error:
            raise ConfigError(
                f"cannot keep a game in {str(file.parent)!r}: {error.strerror or error}; set TWOSOME_CACHE to a folder "
                "that can be written"
            ) from None
    return file


def _made(name: str) -> Games:
    found = _NAME.fullmatch(name)
    if found is None:
        raise ConfigError(
            f"there is no ALFWorld game {name!r}: expected own/TASK/SEED, with the tasks put, heat, cool and clean and "
            "a seed or a range of them, or the path of a .tw-pddl file"
        )
    first, last = int(found[2]), int(found[3] or found[2])
    if last < first:
        raise ConfigError(f"the seeds of {name!r} run backwards; write the smaller one first")
    return Games(range(first, last + 1), partial(game_file, found[1]))


def make(game: str, *, time_limit: int = _TIME_LIMIT) -> TextEnv:
    """A game, or a range of games, as a text environment.

    Args:
        game: ``own/TASK/SEED``, or the path of a ``.tw-pddl`` file.
        time_limit: Commands after which an episode is cut.

    Raises:
        ConfigError: If alfworld is not installed, or there is no such game.
    """
    need("textworld", EXTRA)
    demangler = need("alfworld.agents.environment.alfred_tw_env", EXTRA).AlfredDemangler
    world = ALFWorld(games_of(game, ".tw-pddl", _made), time_limit, PARTS, (demangler,))
    return TextEnv(world, Quoting("ALFWorld", PARTS, ("answer",), "To do your task, you should now"))
