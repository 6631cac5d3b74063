"""Task names to text environments, alone or several side by side."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from twosome.errors import ConfigError, TwosomeError
from twosome.families import FAMILIES
from twosome.overcooked.tasks import TASKS as OVERCOOKED_TASKS
from twosome.text.environment import Narrator, TextEnv
from twosome.text.guard import GuardedEnv, close_or_tell, words_of
from twosome.text.history import History
from twosome.text.overcooked import OvercookedNarrator
from twosome.text.states import Traits, traits
from twosome.text.telling import NumericNarrator, PermutedNarrator, RenamingNarrator, vector_shape
from twosome.text.threads import ThreadVectorEnv
from twosome.text.virtualhome import VirtualHomeNarrator
from twosome.text.workers import ProcessVectorEnv
from twosome.virtualhome.tasks import TASKS as VIRTUALHOME_TASKS
from twosome.wordings.choosing import FIRST

NARRATORS: dict[str, Callable[[gymnasium.Env[Any, Any], str | Mapping[str, str]], Narrator]] = {
    "twosome/Overcooked-v0": OvercookedNarrator.of,
    "twosome/VirtualHome-v0": VirtualHomeNarrator.of,
}
"""For every environment id of twosome, what makes a narrator for one of its instances and a wording."""


@dataclass(frozen=True)
class TextTask:
    """A task by name.

    Attributes:
        env_id: The registered Gymnasium environment.
        summary: What is to be done, in a few words.
        arguments: Arguments of the environment.
        gamma: Discount per primitive step under which its returns are reported.
        unmasked: Arguments with which every action is offered everywhere.
    """

    env_id: str
    summary: str
    gamma: float
    arguments: Mapping[str, Any] = field(default_factory=dict)
    unmasked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def world(self) -> str:
        """The world's short name: overcooked, virtualhome."""
        return self.env_id.partition("/")[2].partition("-")[0].lower()


def _overcooked(name: str) -> TextTask:
    return TextTask("twosome/Overcooked-v0", f"Overcooked: {name.replace('-', ' ')}", 0.99, {"task": name})


def _virtualhome(name: str) -> TextTask:
    return TextTask(
        "twosome/VirtualHome-v0", f"VirtualHome: {name.replace('-', ' ')}", 0.95, {"task": name}, {"all_actions": True}
    )


TASKS: dict[str, TextTask] = {
    **{name: _overcooked(name) for name in OVERCOOKED_TASKS},
    **{name: _virtualhome(name) for name in VIRTUALHOME_TASKS},
}


NOT_AGAIN = (
    "its episodes do not follow from seeds and actions; a run that is stopped and resumed begins its open episodes anew"
)
_MINIGRID = re.compile(r"(?:minigrid:)?((?:BabyAI|MiniGrid)-[\w-]+-v\d+)")


def find_task(name: str) -> TextTask | None:
    """The task of that name, or None where it is somebody's own.

    Environments that minigrid registers are tasks of the family ``babyai`` under their own ids.
    """
    registered = _MINIGRID.fullmatch(name)
    family, _, game = ("babyai", ":", registered[1]) if registered else name.partition(":")
    if name in TASKS or not game or family not in FAMILIES:
        return TASKS.get(name)
    found = FAMILIES[family]
    return TextTask(found.env_id, f"{found.title}: {game}", found.gamma, {"game": game})


def gamma_of(name: str, otherwise: float = 1.0) -> float:
    """Discount per primitive step under which a task's returns are reported; ``otherwise`` for somebody's own."""
    task = find_task(name)
    return otherwise if task is None else task.gamma


def make_task(
    name: str,
    *,
    narration: str = "words",
    permute_phrases: int | None = None,
    rename_things: int | None = None,
    history: int = 0,
    servers: Sequence[str] | None = None,
    server_timeout: float = 300.0,
    **arguments: Any,
) -> gymnasium.Env[Any, int]:
    """A text environment: a task of twosome by name, or anybody's by its Gymnasium id (``package:Name-v0``).

    Args:
        name: A key of :data:`TASKS`, a name of one of :data:`FAMILIES`, or the id of an environment whose observations
            are text observations.
        narration: ``words``, or ``numbers`` for the observation vector instead of a prompt.
        permute_phrases: Seed of permutations that give each action another action's phrase, as a control; None for
            none.
        rename_things: Seed of made-up names that things go by, as a control; None for their own.
        history: How many moments before the present one a prompt begins with.
        servers: ``HOST:PORT`` of servers that have the environment (:mod:`twosome.elsewhere`); the first is asked.
            None, or an empty list, for an environment of this process.
        server_timeout: Seconds that a server has for an answer, or to come back.
        **arguments: Further arguments of the environment.

    Raises:
        ConfigError: If there is no such task, or it cannot be made with these arguments.
        EnvironmentFault: If the server that is to have it cannot be reached.
    """
    if servers:
        usual = {"narration": "words", "permute_phrases": None, "rename_things": None, "history": 0}
        given: dict[str, Any] = {"narration": narration, "permute_phrases": permute_phrases}
        given |= {"rename_things": rename_things, "history": history}
        told = {key: value for key, value in given.items() if value != usual[key]}
        return _elsewhere(name, _addresses(servers)[0], server_timeout, {**told, **arguments})
    env = _make(name, arguments)
    if narration == "words" and permute_phrases is None and rename_things is None and history == 0:
        return env
    text = env.unwrapped
    if not isinstance(text, TextEnv):
        raise ConfigError(
            f"{name!r} cannot be told otherwise: it is not made of an environment and a narrator (TextEnv)"
        )
    text.history = History(history)
    if rename_things is not None:
        text.narrator = _renamed(name, text.narrator, _seed("rename_things", rename_things))
    if permute_phrases is not None:
        text.narrator = PermutedNarrator(text.narrator, _seed("permute_phrases", permute_phrases))
    if narration == "numbers":
        vector_shape(text.env)  # refuses what has none
        text.narrator = NumericNarrator(text.narrator)
    elif narration != "words":
        raise ConfigError(f"unknown narration {narration!r}: expected words or numbers")
    return env


def _elsewhere(name: str, server: str, timeout: float, arguments: Mapping[str, Any]) -> gymnasium.Env[Any, int]:
    """The task on a server; by its id, as that room knows this one."""
    made: dict[str, Any] = {"task": name, "server": server, "timeout": timeout, "arguments": arguments}
    return gymnasium.make("twosome/Elsewhere-v0", disable_env_checker=True, **made)


def _addresses(servers: Any) -> list[str]:
    if not isinstance(servers, (list, tuple)):
        raise ConfigError(f"environment.servers must be a list of HOST:PORT, got {servers!r:.80}")
    return list(servers)


def _seed(argument: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{argument} is a seed, a whole number, got {value!r}")
    return value


def _renamed(task: str, narrator: Narrator, seed: int) -> Narrator:
    names = getattr(narrator, "names", None)
    if not names:
        raise ConfigError(
            f"the things of {task!r} cannot be renamed (rename_things): its narrator has no attribute names, the nouns "
            "that it calls things by"
        )
    return RenamingNarrator(narrator, names, seed)


@contextmanager
def open_task(name: str, **arguments: Any) -> Iterator[gymnasium.Env[Any, int]]:
    """As :func:`make_task`, closed afterwards; an environment that cannot be closed is told and left.

    Raises:
        ConfigError: If there is no such task, or it cannot be made with these arguments.
    """
    env = make_task(name, **arguments)
    try:
        yield env
    finally:
        close_or_tell(env, f"the environment of {name}")


def _make(name: str, arguments: Mapping[str, Any]) -> gymnasium.Env[Any, int]:
    """The task in its own words."""
    task = find_task(name)
    try:
        if task is not None:
            own = {**task.arguments, **arguments}
            if task.env_id not in NARRATORS:  # a text environment already
                return gymnasium.make(task.env_id, disable_env_checker=True, **own)
            wording = own.pop("wording", FIRST)
            env = gymnasium.make(task.env_id, disable_env_checker=True, **own)
            return TextEnv(env, NARRATORS[task.env_id](env, wording))
        if ":" in name or "-v" in name:
            env = gymnasium.make(name, disable_env_checker=True, **arguments)
            _check_text_space(name, env)
            return env
    except TwosomeError:
        raise
    except (Exception, SystemExit) as error:  # whatever somebody's package or simulator raises
        raise ConfigError(f"cannot make the task {name!r}: {words_of(error) or type(error).__name__}") from None
    near = difflib.get_close_matches(name, TASKS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(f"unknown task {name!r}: {hint}`twosome tasks` lists them")


def make_vector_task(
    name: str,
    num_envs: int,
    *,
    processes: bool = False,
    timeout: float = 300.0,
    arguments: Mapping[str, Any] | None = None,
    members: Sequence[int] | None = None,
) -> VectorEnv:
    """``num_envs`` text environments side by side, guarded, autoreset disabled as the collector wants it.

    Args:
        name: See :func:`make_task`.
        num_envs: How many.
        processes: Each in a process of its own. Trajectories are the same; worth it for simulators that are slow, or
            that may crash or hang.
        timeout: Seconds that such a process, or a server, may take to be made, for a reset or for a step.
        arguments: Further arguments of the environment. With ``servers`` environment i is on server i modulo their
            number, and their answers are waited for together.
        members: Indices of those that are made here, if other processes have the others; None for all.

    Raises:
        ConfigError: If the task cannot be made.
        EnvironmentFault: If a process dies or hangs; also raised by what is returned, whenever an environment breaks
            its promises.
    """
    numbers = list(range(num_envs) if members is None else members)
    names = [f"environment {index} of {name}" for index in numbers]
    given = dict(arguments or {})
    makers = [partial(make_guarded, name, given, called) for called in names]
    if given.get("servers"):
        servers = _addresses(given["servers"])
        place = {"server_timeout": timeout, **given}
        places = [{**place, "servers": [servers[index % len(servers)]]} for index in numbers]
        makers = [partial(make_guarded, name, place, called) for place, called in zip(places, names, strict=True)]
        return ThreadVectorEnv(makers)
    if processes:
        return ProcessVectorEnv(makers, names, timeout)
    return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.DISABLED)


def vector_traits(envs: VectorEnv) -> Traits:
    """What the environments of :func:`make_vector_task` say of themselves."""
    if isinstance(envs, SyncVectorEnv):
        return traits(envs.envs[0])
    found: Traits = getattr(envs, "traits", Traits())
    return found


def make_guarded(name: str, arguments: Mapping[str, Any], called: str) -> GuardedEnv:
    """As :func:`make_task`, every answer checked; ``called`` is its name in messages."""
    return GuardedEnv(make_task(name, **arguments), called)


def _check_text_space(name: str, env: gymnasium.Env[Any, Any]) -> None:
    space = env.observation_space
    if not isinstance(space, spaces.Dict) or not {"prompt", "actions"} <= set(space.spaces):
        raise ConfigError(
            f"{name!r} is not a text environment: expected observations with 'prompt' and 'actions', got {space}; "
            "wrap it with twosome.TextEnv and a narrator"
        )
