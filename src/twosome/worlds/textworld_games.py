"""TextWorld games made offline, from a few words and a seed, and kept under the hash of what they are.

* ``custom/2-3-4/SEED``: rooms, objects, length of the quest;
* ``cooking/recipe1-take1-go6-open-cook-cut/SPLIT/SEED``: TextWorld's cooking challenge, whose parts say what has to be
  done; SPLIT is train, valid or test, and may be left out (train);
* ``PATH.z8``: a game that exists.

SEED may be a range, as ``0-99``: each episode plays one of its games, chosen by the episode's seed.

The compiler notes the day in a game, so that two copies of one game differ; therefore a game's hash is that of its
description (TextWorld's ``.json``) but for the path of TextWorld in it, which is the same on every day, machine and
process.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twosome.caching import cache_directory, keep_record, key_of, recall_record
from twosome.errors import ConfigError
from twosome.worlds.extras import need

EXTRA = "textworld"
KIND = "textworld"
SPLITS = ("train", "valid", "test")
_CUSTOM = re.compile(r"custom/(\d+)-(\d+)-(\d+)/(\d+)(?:-(\d+))?")
_COOKING = re.compile(r"cooking/([a-z]+\d*(?:-[a-z]+\d*)*)(?:/(train|valid|test))?/(\d+)(?:-(\d+))?")
_NUMBERED, _PLAIN = ("recipe", "take", "go"), ("open", "cook", "cut")


@dataclass(frozen=True)
class Recipe:
    """What a family of games is made from; a seed makes it one game.

    Attributes:
        kind: custom or cooking.
        settings: What TextWorld is given.
        first: The first seed.
        last: The last one.
    """

    kind: str
    settings: dict[str, Any]
    first: int
    last: int

    @property
    def seeds(self) -> range:
        """The seeds of its games."""
        return range(self.first, self.last + 1)


def parse(name: str) -> Recipe:
    """The recipe that a name stands for.

    Raises:
        ConfigError: If it is none.
    """
    if found := _CUSTOM.fullmatch(name):
        rooms, objects, length, first, last = (int(part) if part else None for part in found.groups())
        if not rooms or not objects or not length:
            raise ConfigError(f"a custom game has at least one room, one object and a quest of one step, got {name!r}")
        settings: dict[str, Any] = {"rooms": rooms, "objects": objects, "quest_length": length}
        return _ranged("custom", settings, first or 0, last, name)
    if found := _COOKING.fullmatch(name):
        skills, split, first_text, last_text = found.groups()
        settings = {**_skills(skills, name), "split": split or "train"}
        return _ranged("cooking", settings, int(first_text), int(last_text) if last_text else None, name)
    raise ConfigError(
        f"there is no TextWorld game {name!r}: expected custom/ROOMS-OBJECTS-LENGTH/SEED, "
        "cooking/recipe1-take1-go6-open-cook-cut/SPLIT/SEED, or the path of a .z8 file"
    )


def _ranged(kind: str, settings: dict[str, Any], first: int, last: int | None, name: str) -> Recipe:
    if last is not None and last < first:
        raise ConfigError(f"the seeds of {name!r} run backwards; write the smaller one first")
    return Recipe(kind, settings, first, first if last is None else last)


def _skills(words: str, name: str) -> dict[str, Any]:
    """The settings of the cooking challenge: ``drop`` is off, as TextWorld knows no solution of such games."""
    settings: dict[str, Any] = {"recipe": 1, "take": 0, "go": 1, **dict.fromkeys(_PLAIN, False)}
    for word in words.split("-"):
        skill, number = re.fullmatch(r"([a-z]+)(\d*)", word).groups()  # type: ignore[union-attr]
        if skill in _NUMBERED and number:
            settings[skill] = int(number)
        elif skill in _PLAIN and not number:
            settings[skill] = True
        else:
            known = "recipe1 to 5, take0 to 5, go1, 6, 9 or 12, open, cook, cut"
            raise ConfigError(f"{word!r} in {name!r} is none of {known}")
    settings["take"] = settings["take"] or settings["recipe"]
    return settings


def _digest(description: str) -> str:
    """The hash of a game, from its description but for where TextWorld is installed."""
    facts = json.loads(description)
    facts["KB"].pop("text_grammars_path", None)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def game_file(recipe: Recipe, seed: int) -> Path:
    """The compiled game, made if it was not kept; its name is its hash.

    Making one takes some seconds.

    Raises:
        ConfigError: If TextWorld is not installed, or cannot make it.
    """
    textworld = need("textworld", EXTRA)
    key = key_of({"kind": recipe.kind, **recipe.settings, "seed": seed, "textworld": textworld.__version__})
    known = recall_record(KIND, key)
    if known is not None and (kept := cache_directory(KIND) / f"{known['game']}.z8").is_file():
        return kept
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "game.z8"
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                _compile(recipe, seed, made)
            digest = _digest(made.with_suffix(".json").read_text(encoding="utf-8"))
        except Exception as error:  # a generator that finds no such game, a compiler that fails
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise ConfigError(f"TextWorld cannot make the {recipe.kind} game with seed {seed}: {said}") from None
        kept = _keep(made, digest)
    keep_record(KIND, key, {"game": digest})
    return kept


def _keep(made: Path, digest: str) -> Path:
    """Put a game, whole, with its description, where games are kept."""
    folder = cache_directory(KIND)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for suffix in (".json", ".z8"):  # the description first: a game that is there is complete
            with tempfile.NamedTemporaryFile(dir=folder, suffix=".partial", delete=False) as partial:
                partial.write(made.with_suffix(suffix).read_bytes())
            Path(partial.name).replace(folder / f"{digest}{suffix}")
    except OSError as error:
        raise ConfigError(
            f"cannot keep a TextWorld game in {str(folder)!r}: {error.strerror or error}; set TWOSOME_CACHE to a "
            "folder that can be written"
        ) from None
    return folder / f"{digest}.z8"


def _compile(recipe: Recipe, seed: int, file: Path) -> None:
    generator = need("textworld.generator", EXTRA)
    options = need("textworld", EXTRA).GameOptions()
    options.seeds, options.path, options.force_recompile = seed, str(file), True
    if recipe.kind == "cooking":
        cooking = need("textworld.challenges.tw_cooking.cooking", EXTRA)
        settings = {**recipe.settings, "drop": False, "recipe_seed": seed}
        game = cooking.make(settings, options)
    else:
        options.nb_rooms, options.nb_objects = recipe.settings["rooms"], recipe.settings["objects"]
        options.quest_length = recipe.settings["quest_length"]
        game = generator.make_game(options)
    generator.compile_game(game, options)
