"""What the actor is to keep besides getting better: variety of actions, and nearness to the frozen base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from twosome.algorithms.config import PPOConfig
from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.functional.averages import Averages
from twosome.functional.categorical import entropy, kl_divergence, tsallis_entropy
from twosome.types import Policy, ReferencePolicy

_GAIN, _MOST = 0.1, 0.2
"""How fast the weight of the KL to the base follows, and the largest error that counts (Ziegler et al. 2019)."""


class Bonuses:
    """The exact terms of the loss over the admissible actions, with weights that may change over a run.

    Args:
        config: The settings ``entropy_*``, ``tsallis_*`` and ``reference_kl_*``.
    """

    def __init__(self, config: PPOConfig) -> None:
        self._config = config
        self._entropy = config.entropy_coefficient
        self._reference = config.reference_kl_coefficient

    def begin(self, progress: float) -> None:
        """Anneal the entropy's weight to where ``progress`` in [0, 1] has it."""
        first, last = self._config.entropy_coefficient, self._config.entropy_coefficient_end
        self._entropy = first if last is None else first + progress * (last - first)

    def added(
        self, loss: Tensor, policy: Policy, decisions: Sequence[Decision], log_probs: Tensor, rows: list[int]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """``loss`` with the terms of every sample, float32 [samples], and each of them by name for the report.

        Args:
            loss: [samples].
            policy: The policy that learns.
            decisions: The distinct decisions.
            log_probs: [decisions, A], of their actions under the policy as it is.
            rows: The decision of each sample.
        """
        found = {"entropy": entropy(log_probs)[rows]}
        loss = loss - self._entropy * found["entropy"]
        if self._config.tsallis_coefficient:
            found["tsallis_entropy"] = tsallis_entropy(log_probs)[rows]
            loss = loss - self._config.tsallis_coefficient * found["tsallis_entropy"]
        if self._config.reference_kl_coefficient:
            found["reference_kl"] = kl_divergence(log_probs, _reference(policy, decisions))[rows]
            loss = loss + self._reference * found["reference_kl"]
        return loss, found

    def follow(self, metrics: Averages) -> None:
        r"""Change the weight of the KL to the base by how far the KL of this update was from its target.

        .. math:: \beta \leftarrow \beta \left(1 + 0.1 \, \mathrm{clip}(KL / KL^* - 1, -0.2, 0.2)\right)

        (Ziegler et al. 2019, "Fine-Tuning Language Models from Human Preferences", section 2.2). Without a step, or
        without a target, it stays.
        """
        target, found = self._config.reference_kl_target, metrics.means().get("reference_kl")
        if target is None or found is None:
            return
        metrics.add(reference_kl_coefficient=self._reference)
        self._reference *= 1 + _GAIN * max(-_MOST, min(_MOST, found / target - 1))

    def state_dict(self) -> dict[str, Any]:
        """What changed with what was met."""
        return {"reference_kl_coefficient": self._reference}

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Put back what :meth:`state_dict` returned; None is of a version without."""
        self._reference = (state or {}).get("reference_kl_coefficient", self._config.reference_kl_coefficient)


def _reference(policy: Policy, decisions: Sequence[Decision]) -> Tensor:
    if not isinstance(policy, ReferencePolicy):
        raise ConfigError(
            f"ppo.reference_kl_coefficient needs a policy with a frozen reference, but {type(policy).__name__} has none"
        )
    return policy.reference_action_log_probs(decisions)
