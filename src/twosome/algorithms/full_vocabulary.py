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

from twosome.algorithms.config import FullVocabularyConfig, PPOConfig
from twosome.algorithms.ppo import PPOSamples
from twosome.algorithms.reading import tokens_of
from twosome.algorithms.trie import Trie
from twosome.decision import Decision
from twosome.functional.averages import Averages
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
        reading = tokens_of(policy, NAME)
        decisions = rollout.flat_decisions
        actions = rollout.actions.flatten().tolist()
        tokens = _chosen_tokens(reading, decisions, actions)
        places = [
            Place(decision, action, place)
            for decision, action, found in zip(decisions, actions, tokens, strict=True)
            for place in range(len(found))
        ]
        lengths = [len(found) for found in tokens]
        with torch.no_grad():
            values = [part.tolist() for part in torch.split(reading.token_values(places).cpu(), lengths)]
        step = 1.0 if self._trie.credit == "bad" else self.config.gamma
        within = [[*[step] * (length - 1), 1.0] for length in lengths]
        samples = self._parted(rollout, within, values, metrics)
        metrics.add(tokens_per_decision=len(samples) / len(decisions))
        return TokenSamples(**vars(samples), places=places, token_log_probs=torch.cat(tokens))


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
