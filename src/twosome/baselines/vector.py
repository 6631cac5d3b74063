"""PPO from scratch: an actor and a critic that read the observation vector, without any language.

The published baseline's networks (two hidden layers of 64, tanh, orthogonal weights; CleanRL's and Stable-Baselines3's
defaults). Decisions come told in numbers (:class:`twosome.text.telling.NumericNarrator`), so the same collector,
algorithm, evaluation and recorder serve both kinds of agent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import sqrt
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import Parameter

from twosome.arrival import check_state
from twosome.decision import Decision
from twosome.errors import ModelError, RunError
from twosome.functional.categorical import masked_log_softmax

ACTOR_FILE = "actor.safetensors"
CRITIC_FILE = "critic.safetensors"


def perceptron(inputs: int, hidden: Sequence[int], outputs: int, gain: float) -> nn.Sequential:
    """A tanh network with orthogonal weights of gain sqrt(2), ``gain`` in its last layer, and biases of 0."""
    layers: list[nn.Module] = []
    for before, after in pairwise([inputs, *hidden]):
        layers += [_orthogonal(nn.Linear(before, after), sqrt(2)), nn.Tanh()]
    return nn.Sequential(*layers, _orthogonal(nn.Linear([inputs, *hidden][-1], outputs), gain))


class VectorPolicy:
    """Acts and values states by two networks on the observation vector.

    The actor has one output for each action of the task; those a decision does not offer have probability 0.

    Args:
        inputs: Numbers in an observation.
        actions: Actions of the task.
        hidden: Widths of the hidden layers, of both networks.
    """

    def __init__(self, inputs: int, actions: int, hidden: Sequence[int] = (64, 64)) -> None:
        self.inputs = inputs
        self.actor = perceptron(inputs, hidden, actions, gain=0.01)
        self.critic = perceptron(inputs, hidden, 1, gain=1.0)
        self.unit = 1.0
        self._actions = actions
        self._read: dict[Decision, tuple[Tensor, Tensor]] = {}

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """Log-probabilities of the actions that are offered: float32 [B, A], ``-inf`` where padded."""
        vectors, chosen = self._tensors(decisions)
        logits = self.actor(vectors)
        padded = torch.cat([logits, logits.new_full((len(logits), 1), -torch.inf)], dim=-1)
        return masked_log_softmax(padded.gather(-1, chosen))

    def values(self, decisions: Sequence[Decision]) -> Tensor:
        """State values: float32 [B]."""
        values: Tensor = self.critic(self._tensors(decisions)[0])
        return values.squeeze(-1) * self.unit

    def scale_values(self, factor: float) -> None:
        """Have the critic's network count in a unit ``factor`` times as large; what it says of any state stays."""
        self.unit *= factor
        with torch.no_grad():
            for parameter in self.critic[-1].parameters():
                parameter.div_(factor)

    def actor_parameters(self) -> list[Parameter]:
        """The actor's weights."""
        return list(self.actor.parameters())

    def critic_parameters(self) -> list[Parameter]:
        """The critic's weights."""
        return list(self.critic.parameters())

    def state_dict(self) -> dict[str, Tensor]:
        """Both networks' weights."""
        parts = {"actor": self.actor.state_dict(), "critic": self._critic_weights()}
        return {
            f"{part}.{name}": tensor.detach().clone()
            for part, weights in parts.items()
            for name, tensor in weights.items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`state_dict` returned.

        Raises:
            RunError: If it is not all that, or more.
        """
        found, expected = (
            {name: tensor for name, tensor in weights.items() if name != "critic.unit"}  # there where it is not 1
            for weights in (state, self.state_dict())
        )
        check_state(found, expected, "actor and critic")
        for part, load in (("actor", self.actor.load_state_dict), ("critic", self._load_critic)):
            prefix = f"{part}."
            load({n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)})

    def save(self, directory: Path) -> None:
        """Write ``actor.safetensors`` and ``critic.safetensors``."""
        save_file(self.actor.state_dict(), str(directory / ACTOR_FILE))
        save_file(self._critic_weights(), str(directory / CRITIC_FILE))

    def load(self, directory: Path) -> None:
        """Read back what :meth:`save` wrote.

        Raises:
            RunError: If a file is missing or of another shape.
        """
        for file, load in ((ACTOR_FILE, self.actor.load_state_dict), (CRITIC_FILE, self._load_critic)):
            try:
                load(load_file(str(directory / file)))
            except (OSError, RuntimeError, SafetensorError) as error:
                raise RunError(f"cannot read the weights in {str(directory / file)!r}: {error}") from None

    def _critic_weights(self) -> dict[str, Tensor]:
        """The critic's weights, with the unit of its values where that is not 1."""
        return {**self.critic.state_dict(), **({"unit": torch.tensor(self.unit)} if self.unit != 1 else {})}

    def _load_critic(self, weights: Mapping[str, Tensor]) -> None:
        self.critic.load_state_dict({name: weight for name, weight in weights.items() if name != "unit"})
        self.unit = float(weights["unit"]) if "unit" in weights else 1.0

    def facts(self) -> dict[str, str]:
        """What a run notes of its policy."""
        return {"device": "cpu", "scoring": "vector"}

    def effort(self) -> dict[str, int]:
        """Nothing worth counting."""
        return {}

    def _tensors(self, decisions: Sequence[Decision]) -> tuple[Tensor, Tensor]:
        """Observations, float32 [B, inputs], and the output of each action offered, int64 [B, A].

        Padding points past the last output.
        """
        read = [self._read.get(decision) or self._parse(decision) for decision in decisions]
        chosen = nn.utils.rnn.pad_sequence([row for _, row in read], batch_first=True, padding_value=self._actions)
        return torch.stack([vector for vector, _ in read]), chosen

    def _parse(self, decision: Decision) -> tuple[Tensor, Tensor]:
        try:
            vector = torch.tensor([float(number) for number in decision.prompt.split()])
            row = torch.tensor([int(phrase.removeprefix("action ")) for phrase in decision.actions])
        except ValueError:
            raise ModelError(
                f"this agent reads numbers, not words such as {decision.prompt[:40]!r}; make its task with "
                "narration=numbers"
            ) from None
        if len(vector) != self.inputs or int(row.max()) >= self._actions:
            raise ModelError(
                f"this agent was made for {self.inputs} numbers and {self._actions} actions, and this task shows "
                f"{len(vector)} numbers and action {int(row.max())}: it cannot act here"
            )
        if len(self._read) >= _REMEMBERED:
            self._read.clear()
        self._read[decision] = vector, row
        return vector, row


_REMEMBERED = 100_000


def _orthogonal(layer: nn.Linear, gain: float) -> nn.Linear:
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
