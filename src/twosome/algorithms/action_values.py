"""What an action is worth: the mean of what followed where it was tried, else what a network makes of its words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from twosome.algorithms.config import FittedConfig
from twosome.algorithms.experience import Episodes
from twosome.arrival import check_moments, check_state
from twosome.decision import Decision
from twosome.functional.averages import require_finite
from twosome.functional.traces import retrace_errors, shares
from twosome.types import PhrasePolicy


def squared_errors(values: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted squared error of each head: float32 [heads] of values [heads, M], targets [M], weights [M] of sum 1."""
    return (weights * (values - targets) ** 2).sum(-1)


class Heads(nn.Module):
    """Two networks from the frozen model's state at the end of a phrase to what the action is worth.

    They begin with other weights and see the same targets; where they never saw any, they differ, and the smaller one
    counts: an action nobody tried is not taken for the best because of an error (Fujimoto et al. 2018, section 4.2).

    Args:
        features: Width H of what they read.
        hidden: Widths of their hidden layers.
        count: How many there are.
    """

    def __init__(self, features: int, hidden: Sequence[int], count: int = 2) -> None:
        super().__init__()
        self.heads = nn.ModuleList(_head(features, hidden) for _ in range(count))

    def forward(self, features: Tensor) -> Tensor:
        """What each head says: [heads, ...] of features [..., H]."""
        return torch.stack([head(features).squeeze(-1) for head in self.heads])

    def smaller(self, features: Tensor) -> Tensor:
        """The smaller of what they say: [...] of features [..., H], without gradient."""
        with torch.no_grad():
            found: Tensor = self(features).amin(0)
        return found


def _head(features: int, hidden: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = [nn.LayerNorm(features, elementwise_affine=False)]
    for inputs, outputs in pairwise([features, *hidden]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    last = nn.Linear(hidden[-1], 1)
    nn.init.zeros_(last.weight)  # nothing is known yet, so nothing moves the policy
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


Judged = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Of values [D, A] the log-probabilities [D, A] of the policy whose values are wanted, and its values of states [D]."""


class ActionValues:
    """Values of the actions of every decision that was met, and of any other from its words.

    Args:
        features: Width of the features of a phrase.
        config: The settings.
    """

    def __init__(self, features: int, config: FittedConfig) -> None:
        self.config = config
        self.heads = Heads(features, config.hidden)
        self._optimizer = torch.optim.Adam(self.heads.parameters(), lr=config.value_learning_rate, fused=True)
        self._table: dict[Decision, Tensor] = {}

    def known(self, decision: Decision) -> Tensor | None:
        """The values of a decision's actions [A] as of the last update; None if it was not met by then."""
        return self._table.get(decision)

    def guessed(self, features: Tensor, unit: float) -> Tensor:
        """Values from words alone: [...] of features [..., H]."""
        return self.heads.smaller(features) * unit

    def of(self, decisions: Sequence[Decision], reading: PhrasePolicy, widest: int, unit: float) -> Tensor:
        """Values as of the last update, from words where a decision was not met by then: [B, ``widest``]."""
        new = [each for each in dict.fromkeys(decisions) if each not in self._table]
        guesses = self.guessed(reading.action_features(new).cpu(), unit) if new else ()
        rows = self._table | {each: row[: len(each.actions)] for each, row in zip(new, guesses, strict=True)}
        found = torch.zeros(len(decisions), widest)
        for place, decision in enumerate(decisions):
            found[place, : len(decision.actions)] = rows[decision]
        return found

    def start(self, decisions: Sequence[Decision], guesses: Tensor) -> Tensor:
        """The table as it is, and guesses for the decisions that are not in it: [D, A]."""
        found = guesses.clone()
        for row, decision in enumerate(decisions):
            known = self._table.get(decision)
            if known is not None:
                found[row, : len(known)] = known
        return found

    def improve(
        self,
        decisions: Sequence[Decision],
        features: Tensor,
        visits: Tensor,
        episodes: Episodes,
        unit: float,
        judged: Judged,
    ) -> tuple[Tensor, float]:
        """Values [D, A] after ``sweeps`` looks at all episodes, which are kept, and the error of the heads.

        Args:
            decisions: The D decisions.
            features: [D, A, H].
            visits: [D, A], how often each action was taken.
            episodes: What was done.
            unit: What the heads count in.
            judged: The policy whose values are wanted; asked in every sweep, with the values of the last.
        """
        tried = visits > 0
        guesses = self.guessed(features, unit)
        values = torch.where(tried, self.start(decisions, guesses), guesses)
        for _ in range(self.config.sweeps):
            returns = mean_returns(episodes, values, tried, *judged(values), self.config)
            values = self._weighed(returns, guesses, visits)
        loss = self.learn(features[tried], returns[tried], visits[tried], unit)
        guesses = self.guessed(features, unit)
        values = torch.where(tried, self._weighed(returns, guesses, visits), guesses)
        self.keep(decisions, values)
        return values, loss

    def learn(self, features: Tensor, values: Tensor, visits: Tensor, unit: float) -> float:
        """Teach the heads what was met; the mean squared error before the last step, in squares of ``unit``.

        Args:
            features: [M, H] of the actions that were tried.
            values: [M].
            visits: [M], how much each counts.
            unit: What the heads count in.

        Raises:
            NumericalError: If the error is no number; nothing is changed by that step.
        """
        weights, targets, loss = visits / visits.sum(), values / unit, torch.zeros(())
        for _ in range(self.config.value_steps):
            self._optimizer.zero_grad()
            error = squared_errors(self.heads(features), targets, weights)
            require_finite("the loss of the values", float(error.detach().sum()))
            torch.autograd.backward(error.sum())
            self._optimizer.step()
            loss = error.detach().mean()
        return float(loss)

    def _weighed(self, returns: Tensor, guesses: Tensor, visits: Tensor) -> Tensor:
        """What was returned, with what the networks say as ``guess_visits`` visits more; all [D, A]."""
        weight = self.config.guess_visits
        return (visits * returns + weight * guesses) / (visits + weight) if weight else returns

    def keep(self, decisions: Sequence[Decision], values: Tensor) -> None:
        """Take ``values`` [D, A] for the table, in place of all that was in it."""
        rows = values.unbind(0)
        self._table = {each: row[: len(each.actions)].clone() for each, row in zip(decisions, rows, strict=True)}

    def scale(self, factor: float) -> None:
        """Have the heads count in a unit ``factor`` times as large; what they say in all stays."""
        with torch.no_grad():
            for head in self.heads.heads:
                for parameter in head[-1].parameters():  # type: ignore[index]
                    parameter.div_(factor)

    def state_dict(self, decisions: Sequence[Decision]) -> dict[str, Any]:
        """The heads, their optimizer, and the values of the ``decisions`` that are known, by their number."""
        known = {number: self._table[each] for number, each in enumerate(decisions) if each in self._table}
        values = list(known.values())
        return {
            "heads": self.heads.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "known": list(known),
            "values": torch.cat(values) if values else torch.zeros(0),
        }

    def load_state_dict(self, state: Mapping[str, Any], decisions: Sequence[Decision]) -> None:
        """Put back what :meth:`state_dict` returned.

        Raises:
            RunError: If it belongs to other weights.
        """
        check_state(state["heads"], self.heads.state_dict(), "the values of actions")
        check_moments(state["optimizer"], list(self.heads.parameters()), "the optimizer of the values of actions")
        self.heads.load_state_dict(state["heads"])
        self._optimizer.load_state_dict(state["optimizer"])
        known = [decisions[number] for number in state["known"]]
        rows = state["values"].split([len(decision.actions) for decision in known])
        self._table = {decision: row.clone() for decision, row in zip(known, rows, strict=True)}


def mean_returns(
    episodes: Episodes, start: Tensor, tried: Tensor, log_policy: Tensor, state_values: Tensor, config: FittedConfig
) -> Tensor:
    """The values [D, A] after one more look at all episodes: the mean return of what was tried, else as they were.

    A return is :func:`~twosome.functional.traces.retrace_errors` on top of the value. An episode that comes to the
    same action of the same decision many times, in a loop, counts once there, with its mean: else a few long failures
    would outvote many short successes.

    Args:
        episodes: What was done.
        start: The values so far [D, A].
        tried: Bool [D, A].
        log_policy: The policy whose values are wanted, log-probabilities [D, A].
        state_values: The values of decisions under it [D].
        config: Lambda, and how soon episodes count less.
    """
    taken = episodes.decision, episodes.action
    before = start[taken].double()
    ahead = episodes.discount * state_values.double()[episodes.following]
    deltas = (episodes.reward + ahead - before) * episodes.real
    ratio = (log_policy[taken].double() - episodes.log_prob).exp().clamp(max=1)
    returns = before + retrace_errors(deltas, episodes.discount, config.trace * ratio * episodes.real)
    widest = start.shape[1]
    keys = (episodes.decision * widest + episodes.action)[episodes.real]
    weights = shares(episodes.age[episodes.real] * start.numel() + keys)
    if config.half_life is not None:
        weights = weights * 0.5 ** (episodes.age[episodes.real] / config.half_life)
    total = torch.zeros(start.numel(), dtype=torch.float64).index_add_(0, keys, weights * returns[episodes.real])
    count = torch.zeros(start.numel(), dtype=torch.float64).index_add_(0, keys, weights)
    means = (total / count).view_as(start).to(start.dtype)
    return torch.where(tried & (count > 0).view_as(start), means, start)
