"""Credit for every token of a phrase by its probability under the whole vocabulary: POAD and NTPO as published.

The agent acts by the normalised probability of admissible phrases, and what is optimised are the probabilities of
tokens among all tokens: two different policies (Wen et al. 2024, arXiv 2405.15821). :mod:`twosome.algorithms.trie`
credits words by the policy that acts; this one is here to be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from twosome.algorithms.averages import Averages
from twosome.algorithms.config import FullVocabularyConfig, PPOConfig
from twosome.algorithms.paid import rounding
from twosome.algorithms.ppo import PPOSamples
from twosome.algorithms.reading import tokens_of
from twosome.algorithms.trie import Trie
from twosome.decision import Decision
from twosome.functional.advantages import normalize
from twosome.types import Place, Policy, Rollout, TokenPolicy

NAME = "full_vocabulary"


@dataclass(frozen=True, kw_only=True)
class TokenSamples(PPOSamples):
    """A rollout flattened to the tokens of what was chosen.

    Attributes:
        places: Where each token was chosen: what was there before it.
        token_log_probs: float32 [S], of each token under the whole vocabulary when it was chosen.
    """

    places: Sequence[Place]
    token_log_probs: Tensor

    def read(self, policy: Policy, decisions: list[Decision]) -> tuple[Tensor, Tensor]:
        """Log-probabilities of actions now [decisions, A], and of their tokens [decisions, A, K]."""
        log_probs, scores = tokens_of(policy, NAME).action_scores(decisions)
        return log_probs, scores.token_log_probs

    def log_ratios(self, log_probs: Tensor, rows: list[int], picked: list[int]) -> Tensor:
        """How much likelier some tokens are now: float32 [n] of ``log_probs`` [decisions, A, K]."""
        places = [self.places[sample] for sample in picked]
        now = log_probs[rows, [place.action for place in places], [place.tokens for place in places]]
        return now - self.token_log_probs[picked].to(now.device)

    def valued(self, policy: Policy, chosen: Sequence[int]) -> Tensor:
        """The critic's values now of what was there before some tokens."""
        return tokens_of(policy, NAME).token_values([self.places[sample] for sample in chosen])


class FullVocabulary(Trie):
    """PPO whose samples are all tokens of the phrases chosen.

    Args:
        policy: The policy whose actor and critic parameters are trained.
        config: How tokens are credited.
        ppo: Hyper-parameters of PPO.
        generator: Shuffles the samples; pass your own to make a run repeatable.

    Raises:
        ConfigError: If the policy does not read tokens.
    """

    def __init__(self, policy: Policy, config: FullVocabularyConfig, ppo: PPOConfig, generator: Generator) -> None:
        super().__init__(tokens_of(policy, NAME), config, ppo, generator)

    def _samples(self, policy: Policy, rollout: Rollout, metrics: Averages) -> PPOSamples:
        """The tokens of a rollout, with advantages and returns in the unit of the returns met so far."""
        reading, config, unit = tokens_of(policy, NAME), self.config, self._paid.unit
        decisions = [decision for row in rollout.decisions for decision in row]
        self._decisions = len(decisions)
        actions = rollout.actions.flatten()
        tokens = _chosen_tokens(reading, decisions, actions.tolist())
        ways = [
            [Place(decision, action, place) for place in range(len(found))]
            for decision, action, found in zip(decisions, actions.tolist(), tokens, strict=True)
        ]
        flat_places = [place for way in ways for place in way]
        with torch.no_grad():
            values = reading.token_values(flat_places).cpu()
        lengths = [len(way) for way in ways]
        split = [part.tolist() for part in torch.split(values, lengths)]
        step = 1.0 if self._trie.credit == "bad" else config.gamma
        within = [[*[step] * (length - 1), 1.0] for length in lengths]
        advantages = torch.tensor([each for part in self._advantages(rollout, within, split) for each in part])
        rows = [row for row, length in enumerate(lengths) for _ in range(length)]
        metrics.add(mean_advantage=float(advantages.mean()), mean_value=float(values.mean()))
        metrics.add(tokens_per_decision=len(rows) / len(ways))
        noise = rounding(rollout.rewards, values, rollout.next_values) / unit
        scaled = advantages / unit
        flat = [decisions[row] for row in rows]
        return TokenSamples(
            decisions=flat,
            states=flat,
            actions=actions[rows],
            action_log_probs=rollout.action_log_probs.flatten(0, 1)[rows],
            advantages=normalize(scaled, noise) if config.normalize_advantages == "rollout" else scaled,
            rounding=noise,
            values=values / unit,
            returns=(advantages + values) / unit,
            unit=unit,
            places=flat_places,
            token_log_probs=torch.cat(tokens),
        )


def _chosen_tokens(policy: TokenPolicy, decisions: Sequence[Decision], actions: Sequence[int]) -> list[Tensor]:
    """Log-probabilities of the tokens of the phrases chosen, under the whole vocabulary: float32 [K] a decision."""
    distinct = list(dict.fromkeys(decisions))
    with torch.no_grad():
        _, scores = policy.action_scores(distinct)
    found, mask = scores.token_log_probs.cpu(), scores.token_mask.cpu()
    row = {decision: number for number, decision in enumerate(distinct)}
    return [
        found[row[decision], action][mask[row[decision], action]]
        for decision, action in zip(decisions, actions, strict=True)
    ]
