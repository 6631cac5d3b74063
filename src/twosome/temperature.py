"""A temperature that was fitted to an agent, kept beside its weights.

    temperature.json    the temperature; task, gamma and normalization it was fitted with; the loss before and after;
                        SHA-256 of the weights

It belongs to those weights and that normalization alone. A run that trained on has other weights, and then it does not
count any more.
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twosome.caching import file_sha256
from twosome.errors import ConfigError, RunError

TEMPERATURE_FILE = "temperature.json"


def check_temperature(temperature: float) -> None:
    """Refuse what no logit can be divided by.

    Raises:
        ConfigError: If it is not a positive number.
    """
    if not 0 < temperature < math.inf:
        raise ConfigError(f"a temperature must be a positive number, got {temperature}")


class Loaded(Protocol):
    """An agent as it was loaded."""

    @property
    def policy(self) -> Any:
        """Acts; has a normalization and a temperature if it is a language model's."""


Agent = TypeVar("Agent", bound=Loaded)


def tempered(agent: Agent, place: Path | None, temperature: float | None) -> Agent:
    """The agent at a temperature: the one that is asked for, else what was fitted to the weights in its directory.

    Raises:
        ConfigError: If it is no temperature, or asked for where there is no language model.
        RunError: If what was fitted cannot be read.
    """
    if temperature is not None:
        check_temperature(temperature)
    if hasattr(agent.policy, "temperature"):
        if temperature is None:
            temperature = 1.0 if place is None else fitted_temperature(place, agent.policy.normalization)
        agent.policy.temperature = temperature
    elif temperature not in (None, 1.0):
        raise ConfigError("only a language model here has a temperature; leave out --temperature")
    return agent


def fitted_temperature(agent: Path, normalization: str) -> float:
    """The temperature that was fitted to the agent in a directory and this normalization, or 1.

    A file that does not belong to the weights that are there is told and left alone.

    Raises:
        RunError: If the file is no such file.
    """
    file = agent / TEMPERATURE_FILE
    if not file.is_file():
        return 1.0
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        temperature, digests = float(content["temperature"]), dict(content["sha256"])
        fitted_with = content["normalization"]
        check_temperature(temperature)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise RunError(
            f"cannot read the temperature in {str(file)!r} ({error!r}); delete it, or fit it again"
        ) from None
    if digests != weights_of(agent):
        _tell(f"the temperature in {str(file)!r} was fitted to other weights", "the agent has trained since")
        return 1.0
    if fitted_with != normalization:
        _tell(f"the temperature in {str(file)!r} was fitted with the normalization {fitted_with}", normalization)
        return 1.0
    return temperature


def weights_of(agent: Path) -> dict[str, str]:
    """SHA-256 of the weights that act, by their place below a run or in an adapter's directory."""
    folders = [folder for folder in (agent / "adapter", agent / "model") if folder.is_dir()] or [agent]
    files = sorted(file for folder in folders for file in folder.glob("*.safetensors"))
    return {file.relative_to(agent).as_posix(): file_sha256(file) for file in files}


def _tell(what: str, why: str) -> None:
    warnings.warn(f"{what} ({why}), so it is not used; `twosome calibrate` fits one", stacklevel=3)
