"""TextWorld: its games, played through their interpreter, in their own words.

What is left out is what no reader needs: the banner, the interpreter's prompt and its status line, whose counter would
make every observation another one. Rewards are the change of the score divided by the most that can be scored.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from twosome.errors import ConfigError
from twosome.text.environment import TextEnv
from twosome.worlds.commands import CommandWorld, Moment, Quoting, tidy
from twosome.worlds.extras import need
from twosome.worlds.textworld_games import EXTRA, game_file, parse

PARTS = ("objective", "place", "inventory", "answer")
_STATUS = re.compile(r"-= .* =-\d+(/\d+)?$")
_TIME_LIMIT = 100


class InterpretedGame:
    """One game in its interpreter.

    Args:
        file: The game, a ``.z8`` file with TextWorld's description beside it.
        wrappers: Of TextWorld.
        plan: Whether its states come with the commands of a winning play, which takes up to half the speed.
    """

    def __init__(self, file: Path, wrappers: tuple[Any, ...] = (), *, plan: bool = False) -> None:
        textworld = need("textworld", EXTRA)
        asked = textworld.EnvInfos(
            admissible_commands=True,
            won=True,
            lost=True,
            score=True,
            max_score=True,
            description=True,
            inventory=True,
            objective=True,
            policy_commands=plan,
        )
        self._env = textworld.start(str(file), request_infos=asked, wrappers=[wrapper() for wrapper in wrappers])

    def reset(self) -> Any:
        """The first state."""
        return self._env.reset()

    def step(self, command: str) -> tuple[Any, bool]:
        """The state after a command, and whether the game is over."""
        state, _, done = self._env.step(command)
        return state, bool(done)

    def close(self) -> None:
        """End the interpreter."""
        with contextlib.suppress(Exception):
            self._env.close()


class InterpretedWorld(CommandWorld):
    """TextWorld's games: one, or one of several for every episode, chosen by its seed.

    Args:
        games: Which ones.
        time_limit: Commands after which an episode is cut.
        parts: Names of what observations consist of.
        wrappers: Classes of TextWorld's wrappers, for games that need one.
    """

    def __init__(
        self, games: Games, time_limit: int, parts: tuple[str, ...] = PARTS, wrappers: tuple[Any, ...] = ()
    ) -> None:
        super().__init__(parts, time_limit)
        self._games = games
        self._wrappers = wrappers
        self._game: InterpretedGame | None = None
        self._adviser: InterpretedGame | None = None
        self._file: Path | None = None
        self._taken: list[str] = []
        self._advised: tuple[str, ...] = ()
        self._score = 0.0
        self.game_hash = ""

    def begin(self, options: Mapping[str, Any]) -> Moment:
        """Start one of the games."""
        file = self._games.choose(self.np_random)
        if self._game is None or file != self._file:
            self.close()
            self._game, self._file, self.game_hash = InterpretedGame(file, self._wrappers), file, file.stem
        self._leave_adviser()
        self._taken, self._score = [], 0.0
        return self._told(self._game.reset(), over=False, answer=None)

    def do(self, command: str) -> Moment:
        """Type a command."""
        assert self._game is not None
        state, over = self._game.step(command)
        self._taken.append(command)
        if self._adviser is not None:
            self._advised = _plan(self._adviser.step(command)[0])
        return self._told(state, over=over, answer=said(state.feedback))

    def advise(self) -> str | None:
        """The next command of TextWorld's own plan; a second game is taken along for it, from the first question on."""
        if self._file is None:
            return None
        if self._adviser is None:
            self._adviser = InterpretedGame(self._file, self._wrappers, plan=True)
            state = self._adviser.reset()
            for command in self._taken:
                state = self._adviser.step(command)[0]
            self._advised = _plan(state)
        self.advised = self._advised[0] if self._advised else None
        return self.advised

    def close(self) -> None:
        """End the interpreters."""
        self._leave_adviser()
        if self._game is not None:
            self._game.close()
            self._game = None

    def _leave_adviser(self) -> None:
        if self._adviser is not None:
            self._adviser.close()
            self._adviser = None

    def _told(self, state: Any, *, over: bool, answer: str | None) -> Moment:
        score, most = float(state.score or 0), float(state.max_score or 1)
        reward, self._score = (score - self._score) / most, score
        commands = tuple(sorted(set(state.admissible_commands or ())))
        won = bool(state.won)
        return Moment(self.parts_of(state, answer), commands, reward, over or won or bool(state.lost), won)

    def parts_of(self, state: Any, answer: str | None) -> dict[str, str]:
        """What a state says, part by part; there is no answer at the start."""
        place = said(state.description)
        return {
            "objective": said(state.objective),
            "place": place,
            "inventory": said(state.inventory),
            "answer": answer if answer is not None and answer != place else "",  # of `look`, and of going somewhere
        }


class Games(NamedTuple):
    """The games that episodes are played on.

    Attributes:
        seeds: One for each.
        file: Finds a game's file by its seed, and makes it if need be.
    """

    seeds: range
    file: Callable[[int], Path]

    def choose(self, random: Any) -> Path:
        """The file of the next episode."""
        return self.file(int(self.seeds[int(random.integers(len(self.seeds)))]))


def games_of(game: str, suffix: str, named: Callable[[str], Games]) -> Games:
    """The games that a name stands for: a file that exists, or made ones.

    Args:
        game: The path of a file, or a name.
        suffix: What such paths end with.
        named: What a name stands for.

    Raises:
        ConfigError: If there is no such file, or the name stands for nothing, or the only game cannot be made.
    """
    if game.endswith(suffix):
        file = Path(game).resolve()
        if not file.is_file():
            raise ConfigError(f"there is no game {game!r}; name a {suffix} file that exists")
        return Games(range(1), lambda seed: file)
    found = named(game)
    if len(found.seeds) == 1:
        found.file(found.seeds[0])
    return found


def _plan(state: Any) -> tuple[str, ...]:
    return tuple(state.policy_commands or ())


def said(text: str | None) -> str:
    """What a game says, without status line, prompt and drawings of letters."""
    lines = [line for line in tidy(text).splitlines() if not _STATUS.fullmatch(line.removeprefix("> ").strip())]
    return "\n".join(lines).removesuffix(">").strip()


def make(game: str, *, time_limit: int = _TIME_LIMIT) -> TextEnv:
    """A game, or a range of games, as a text environment.

    Args:
        game: See :mod:`twosome.worlds.textworld_games`.
        time_limit: Commands after which an episode is cut.

    Raises:
        ConfigError: If TextWorld is not installed, or there is no such game.
    """
    need("textworld", EXTRA)
    narrator = Quoting("TextWorld", PARTS, ("answer",), "To reach your goal, you should now")
    return TextEnv(InterpretedWorld(games_of(game, ".z8", _made), time_limit), narrator)


def _made(name: str) -> Games:
    recipe = parse(name)
    return Games(recipe.seeds, partial(game_file, recipe))
