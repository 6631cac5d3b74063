"""ScienceWorld: its thirty tasks, in their own words; needs Java.

One Java process belongs to each environment, and ends with it or with the process that made it. What was found out
about this world, and is dealt with here:

* The list of valid actions holds some that the parser refuses. A refused command counts as a step, and is not offered
  again until another one was taken, so nobody repeats it for ever.
* An episode does not follow from its seed and its actions: the order in which things are listed depends on what the
  Java process did before. Lines are sorted here, which removes most of it; the rest is said (``replays = False``).
* Points that a task gives away at the start are paid with the first step: an episode's rewards sum to its score.
* A wrong "focus on" ends an episode with a score of -100; its reward brings the sum to -1.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Mapping
from typing import Any

from twosome.errors import ConfigError, EnvironmentFault
from twosome.text.environment import TextEnv
from twosome.worlds.commands import CommandWorld, Moment, Quoting, tidy
from twosome.worlds.extras import need

EXTRA = "scienceworld"
PARTS = ("task", "place", "inventory", "answer")
EASY = ("teleportAction", "openDoors", "selfWateringFlowerPots", "noElectricalAction", "openContainers")
SPLITS = ("train", "dev", "test")
_LEFT_OUT = ("reset task",)
_REFUSALS = ("No known action matches that input.", "Unknown action.")
_TIME_LIMIT = 100


class ScienceWorld(CommandWorld):
    """One task of ScienceWorld; the episode's seed chooses among its variations.

    Args:
        task: Its name, such as ``boil``.
        variations: A number, a range as ``0-9``, or train, dev or test.
        simplifications: What is made easier, by ScienceWorld's names.
        time_limit: Commands after which an episode is cut.

    Raises:
        ConfigError: If scienceworld or Java is not there, or there is no such task, variation or simplification.
    """

    replays = False

    def __init__(
        self,
        task: str,
        variations: str = "train",
        *,
        simplifications: tuple[str, ...] | list[str] = EASY,
        time_limit: int = _TIME_LIMIT,
    ) -> None:
        super().__init__(PARTS, time_limit)
        package = need("scienceworld", EXTRA)
        if shutil.which("java") is None:
            raise ConfigError("ScienceWorld needs Java, and there is no `java` on the PATH; install a Java runtime")
        # Its own limit ends an episode before ours would tell; twice ours is never reached.
        self._java = package.ScienceWorldEnv("", envStepLimit=2 * time_limit)
        try:
            self._task, self._simplifications = task, ",".join(simplifications)
            self._check(task, simplifications)
            self._variations = self._chosen(variations)
        except BaseException:
            self.close()
            raise
        self._loaded: int | None = None
        self._gold: list[str] = []
        self._taken: list[str] = []
        self._refused: set[str] = set()
        self._score = 0.0

    def begin(self, options: Mapping[str, Any]) -> Moment:
        """Load a variation and reset it."""
        variation = self._variations[int(self.np_random.integers(len(self._variations)))]
        self._java.load(self._task, variation, self._simplifications, generateGoldPath=True)
        observation, info = self._java.reset()
        if observation.startswith("ERROR"):
            raise EnvironmentFault(f"ScienceWorld cannot start {self._task} {variation}: {tidy(observation)}")
        self._gold = list(self._java.get_gold_action_sequence())
        self._taken, self._refused, self._score = [], set(), 0.0
        return self._told("", info, over=False)

    def do(self, command: str) -> Moment:
        """Type a command."""
        answer, _, done, info = self._java.step(command)
        self._taken.append(command)
        refused = answer.strip() in _REFUSALS
        self._refused = {*self._refused, command} if refused else set()
        return self._told(answer, info, over=bool(done))

    def advise(self) -> str | None:
        """The next command of the gold path, as long as it was followed."""
        count = len(self._taken)
        follows = self._taken == self._gold[:count] and count < len(self._gold)
        self.advised = self._gold[count] if follows else None
        return self.advised

    def close(self) -> None:
        """End the Java process."""
        with contextlib.suppress(Exception):
            self._java.close()

    def _told(self, answer: str, info: dict[str, Any], *, over: bool) -> Moment:
        score = max(float(info["score"]), -100.0)
        reward = (score - self._score) / 100 if self._taken else 0.0
        self._score = score if self._taken else 0.0
        valid = sorted({command for command in info["valid"] if command not in _LEFT_OUT})
        commands = tuple(command for command in valid if command not in self._refused) or tuple(valid)
        parts = {
            "task": _task(info["taskDesc"]),
            "place": listing(info["look"]),
            "inventory": listing(info["inv"]),
            "answer": "" if listing(answer) == listing(info["look"]) else listing(answer),
        }
        return Moment(parts, commands, reward, over, over and score >= 100)

    def _check(self, task: str, simplifications: tuple[str, ...] | list[str]) -> None:
        names = list(self._java.get_task_names())
        if task not in names:
            raise ConfigError(f"ScienceWorld has no task {task!r}: its tasks are {', '.join(sorted(names))}")
        known = list(self._java.get_possible_simplifications())
        for name in simplifications:
            if name not in known:
                raise ConfigError(f"ScienceWorld has no simplification {name!r}: expected some of {', '.join(known)}")

    def _chosen(self, variations: str) -> list[int]:
        """The variations that are meant."""
        count = int(self._java.get_max_variations(self._task))
        if variations in SPLITS:
            self._java.load(self._task, 0, "")
            return [int(number) for number in getattr(self._java, f"get_variations_{variations}")()]
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", variations)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < count:
            raise ConfigError(
                f"{self._task} has the variations 0 to {count - 1}, got {variations!r}; give one, a range as 0-9, or "
                "train, dev or test"
            )
        return list(range(first, last + 1))


def listing(text: str) -> str:
    """A text of ScienceWorld with the things it lists in a fixed order: their own one is chance."""
    told: list[str] = []
    group: list[str] = []
    for line in text.splitlines():
        if line.startswith("\t"):
            group.append(" ".join(line.split()))
        elif line.strip():
            told += [*sorted(group), " ".join(line.split())]
            group = []
    return "\n".join([*told, *sorted(group)])


def _task(description: str) -> str:
    return tidy(description).removeprefix("Task Description:").strip()


def make(game: str, **arguments: Any) -> TextEnv:
    """A task, or ``TASK/VARIATIONS``, as a text environment; further arguments as for :class:`ScienceWorld`.

    Raises:
        ConfigError: If scienceworld or Java is not there, or there is no such task.
    """
    task, _, variations = game.partition("/")
    closing = "To do your task, you should now"
    return TextEnv(
        ScienceWorld(task, variations or "train", **arguments), Quoting("ScienceWorld", PARTS, ("answer",), closing)
    )
