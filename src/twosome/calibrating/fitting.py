"""The temperature at which an agent's probabilities say best which actions are optimal, over the states it comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from twosome.baselines.untrained import Untrained
from twosome.calibration import COLDEST, WARMEST, fit_temperature, log_loss
from twosome.decision import Decision
from twosome.envs.visiting import visits
from twosome.errors import RunError
from twosome.evaluation.exact import look
from twosome.functional.categorical import masked_log_softmax
from twosome.runs.files import write_json
from twosome.temperature import TEMPERATURE_FILE, weights_of
from twosome.types import Policy


@dataclass(frozen=True)
class Fitted:
    """A temperature, and what it does to the loss.

    Attributes:
        temperature: What logits are to be divided by.
        loss_before: Log loss of the optimal actions at the temperature that the policy has, in nats a decision.
        loss: The same at this one.
        states: States with something to decide.
        at_bound: Whether colder, or warmer, would be better still, without end.
    """

    temperature: float
    loss_before: float
    loss: float
    states: int
    at_bound: bool


class Tempered(Untrained):
    """Another policy's probabilities at a temperature; trains nothing."""

    def __init__(self, policy: Policy, temperature: float) -> None:
        self._policy, self._temperature = policy, temperature

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """``log softmax(log p / T)``: float32 [B, A], ``-inf`` where padded."""
        return masked_log_softmax(self._policy.action_log_probs(decisions) / self._temperature)


def fitted(
    policy: Policy,
    task: str,
    *,
    gamma: float,
    environment: Mapping[str, Any] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Fit a temperature to a policy on every state of a task, each weighted by how often the policy comes to it.

    How often is that of the policy as it is, which a temperature would change; nothing is fitted to itself.

    Args:
        policy: It is not changed; its own temperature should be 1.
        task: See :func:`twosome.text.tasks.make_task`.
        gamma: Discount per primitive step, which decides what is optimal.
        environment: Further arguments of the environment.
        on_progress: See :func:`twosome.evaluation.exact.evaluate_exactly`.

    Raises:
        ConfigError: If the world does not show its states.
    """
    known = look(policy, task, environment=environment, on_progress=on_progress)
    optimal = known.optimum(gamma).optimal
    often = visits(known.graph, known.table, known.time_limit)
    with np.errstate(divide="ignore"):
        log_probs = np.log(known.table)
    temperature = fit_temperature(often, log_probs, optimal)
    return Fitted(
        temperature,
        loss_before=log_loss(often, log_probs, optimal, 1.0),
        loss=log_loss(often, log_probs, optimal, temperature),
        states=len(known.rows),
        at_bound=temperature in (COLDEST, WARMEST),
    )


def keep_temperature(agent: Path, temperature: float, facts: Mapping[str, Any]) -> Path:
    """Write a temperature beside the weights that it was fitted to: the file.

    Raises:
        RunError: If it cannot be written.
    """
    file = agent / TEMPERATURE_FILE
    try:
        write_json(file, {"temperature": temperature, **facts, "sha256": weights_of(agent)})
    except OSError as error:
        raise RunError(f"cannot write {str(file)!r}: {error.strerror or error}") from None
    return file
