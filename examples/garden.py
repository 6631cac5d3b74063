"""A text environment of your own: a world, a narrator, and a registered id.

    python -m twosome check-env garden:Garden-v0
    python -m twosome train garden:Garden-v0

(in this directory; anywhere else once the module can be imported). It is explained in docs/add-an-environment.md.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from twosome import Option, TextEnv
from twosome.envs.exploring import Transition

PLANTS = ("roses", "herbs", "lemon tree")
FILL, REST = len(PLANTS), len(PLANTS) + 1
"""Actions; the first ones water a plant each."""
REST_COST = 0.05
"""Without a price on resting, an agent that likes to rest never meets anything that could teach it better."""


# --- the world: symbols in, symbols out -------------------------------------------------------------------------------


class State(NamedTuple):
    """What there is to know: whether the can is full, and which plants are dry."""

    full: bool = False
    dry: tuple[bool, ...] = (True,) * len(PLANTS)


class GardenWorld:
    """The rules, as a table that can be searched (:class:`twosome.envs.exploring.OpenWorld`). Optional, and worth it.

    With it `check-env` walks every state instead of playing at random, `evaluate --exact` needs no episodes, and
    `play --player best` shows how it is done.
    """

    initial_state = State()

    def actions(self, state: State) -> list[int]:
        """Water with a full can, fill an empty one; or rest, which costs a little."""
        return [*range(len(PLANTS)), REST] if state.full else [FILL, REST]

    def transition(self, state: State, action: int) -> Transition[State]:
        """One can waters one plant; once none is dry, the episode ends in success."""
        if action == REST:
            return Transition(state, -REST_COST, 1, False)
        if action == FILL:
            return Transition(state._replace(full=True), 0.0, 1, False)
        dry = tuple(is_dry and plant != action for plant, is_dry in enumerate(state.dry))
        saved = not any(dry)
        return Transition(State(False, dry), float(saved), 1, saved, success=saved)

    def view(self, state: State) -> tuple[np.ndarray, dict[str, Any]]:
        """Observation and info of a state: here everything is seen."""
        return np.array([state.full, *state.dry], dtype=np.int8), {}


class GardenEnv(gymnasium.Env[np.ndarray, int]):
    """An ordinary Gymnasium environment around the rules.

    Attributes:
        world: The rules; twosome finds them by this name.
        time_limit: Steps after which an episode is cut; twosome finds it by this name.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(self, time_limit: int = 20) -> None:
        self.world = GardenWorld()
        self.time_limit = time_limit
        self.observation_space = spaces.MultiBinary(1 + len(PLANTS))
        self.action_space = spaces.Discrete(REST + 1)
        self._state, self._steps = self.world.initial_state, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        self._state, self._steps = self.world.initial_state, 0
        return self.world.view(self._state)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take an action; one that is not admissible changes nothing."""
        reward, terminated = 0.0, False
        if action in self.world.actions(self._state):
            self._state, reward, _, terminated = self.world.transition(self._state, int(action))
        self._steps += 1
        observation, info = self.world.view(self._state)
        info["success"] = terminated  # the only end there is
        return observation, reward, terminated, not terminated and self._steps >= self.time_limit, info


# --- the narrator: symbols to words -----------------------------------------------------------------------------------


class GardenNarrator:
    """Says what is seen, names whatever an action speaks of, and ends where the action carries on."""

    def narrate(self, observation: np.ndarray, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        """Return the prompt and the admissible options."""
        full, *dry = (bool(bit) for bit in observation)
        thirsty = [f"the {plant}" for plant, is_dry in zip(PLANTS, dry, strict=True) if is_dry]
        need = f"Dry are {join(thirsty)}." if thirsty else "No plant is dry."
        prompt = (
            "The garden has a tap, a bench, a watering can, roses, herbs and a lemon tree. "
            f"The watering can is {'full' if full else 'empty'}. {need} To save the plants, you should now"
        )
        rest = Option("sit down on the bench", REST)
        if not full:
            return prompt, (Option("fill the watering can at the tap", FILL), rest)
        # The same action in other words where the situation is another: nobody "waters" what is wet already.
        phrases = [
            f"water the {plant}" + ("" if is_dry else " again") for plant, is_dry in zip(PLANTS, dry, strict=True)
        ]
        return prompt, (*(Option(phrase, plant) for plant, phrase in enumerate(phrases)), rest)


def join(words: list[str]) -> str:
    """Return "one", "one and two" or "one, two and three"."""
    *start, last = words
    return f"{', '.join(start)} and {last}" if start else last


# --- the id -----------------------------------------------------------------------------------------------------------


def make_garden(**arguments: Any) -> TextEnv:
    """What `gymnasium.make("garden:Garden-v0")` calls: a text environment."""
    return TextEnv(GardenEnv(**arguments), GardenNarrator())


gymnasium.register(id="Garden-v0", entry_point=f"{__name__}:make_garden")
