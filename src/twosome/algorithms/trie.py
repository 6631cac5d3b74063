"""Credit for every word of a phrase, where admissible phrases part: POAD and NTPO on the policy over phrases itself.

Published, words are optimised by their probability under the model's whole vocabulary, while phrases are chosen among
the admissible ones: two different policies. Here a word's probability follows from that of the phrases
(:mod:`twosome.functional.trie`), so what is optimised is what acts, whatever the normalisation. Words are what white
space parts; a prompt goes on with the words chosen so far, and the critic values that like any prompt.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator
from torch.nn.utils.rnn import pad_sequence

from twosome.algorithms.actor import equal_parts
from twosome.algorithms.config import FullVocabularyConfig, PPOConfig, TrieConfig
from twosome.algorithms.paid import rounding
from twosome.algorithms.ppo import PPO, PPOSamples
from twosome.decision import Decision
from twosome.functional.advantages import normalize
from twosome.functional.averages import Averages
from twosome.functional.trie import Branch, branches, word_advantages
from twosome.types import Policy, Rollout


class Trie(PPO):
    """PPO whose samples are the choices of words.

    Args:
        policy: The policy whose actor and critic parameters are trained.
        config: How words are credited.
        ppo: Hyper-parameters of PPO.
        generator: Shuffles the samples; pass your own to make a run repeatable.
    """

    def __init__(
        self, policy: Policy, config: TrieConfig | FullVocabularyConfig, ppo: PPOConfig, generator: Generator
    ) -> None:
        super().__init__(policy, ppo, generator)
        self._trie = config
        self._decisions = 1  # of the rollout that is learned from

    def _steps(self, order: list[int]) -> list[list[int]]:
        """As many steps as PPO takes over the rollout, each over an equal part of its words."""
        size = self.config.policy_minibatch * self.config.accumulation_steps
        return equal_parts(order, round(self._decisions / size))

    def _samples(self, policy: Policy, rollout: Rollout, metrics: Averages) -> PPOSamples:
        """The words of a rollout, with advantages and returns in the unit of the returns met so far."""
        decisions = rollout.flat_decisions
        actions = rollout.actions.flatten().tolist()
        ways = [branches(decision.actions, action) for decision, action in zip(decisions, actions, strict=True)]
        states = [[_at(decision, branch) for branch in way] for decision, way in zip(decisions, ways, strict=True)]
        values = self._values(policy, rollout, states)
        phrases = [decision.actions[action] for decision, action in zip(decisions, actions, strict=True)]
        within = [self._within(way, phrase) for way, phrase in zip(ways, phrases, strict=True)]
        nodes, children = (
            pad_sequence([torch.tensor(getattr(branch, name)) for way in ways for branch in way], batch_first=True)
            for name in ("node", "child")
        )
        samples = self._parted(rollout, within, values, metrics)
        metrics.add(words=len(samples) / len(decisions))
        return replace(samples, states=[state for each in states for state in each], nodes=nodes, children=children)

    def _parted(
        self, rollout: Rollout, within: list[list[float]], values: list[list[float]], metrics: Averages
    ) -> PPOSamples:
        """A sample for each part of each decision, with its own advantage and return.

        Args:
            rollout: What was done.
            within: For each decision the discounts between the parts of the phrase, and to its end.
            values: For each decision the values before the parts.
            metrics: Where it is told what came of it.
        """
        decisions, unit = rollout.flat_decisions, self._paid.unit
        self._decisions = len(decisions)
        advantages = self._advantages(rollout, within, values)
        rows = [row for row, parts in enumerate(values) for _ in parts]
        flat, worth = (torch.tensor([each for part in parts for each in part]) for parts in (advantages, values))
        metrics.add(mean_advantage=float(flat.mean()), mean_value=float(worth.mean()))
        noise = rounding(rollout.rewards, worth, rollout.next_values) / unit
        scaled = flat / unit
        parted = [decisions[row] for row in rows]
        return PPOSamples(
            decisions=parted,
            states=parted,
            actions=rollout.actions.flatten()[rows],
            action_log_probs=rollout.action_log_probs.flatten(0, 1)[rows],
            advantages=normalize(scaled, noise) if self.config.normalize_advantages == "rollout" else scaled,
            rounding=noise,
            values=worth / unit,
            returns=(flat + worth) / unit,
            unit=unit,
        )

    def _values(self, policy: Policy, rollout: Rollout, states: list[list[Decision]]) -> list[list[float]]:
        """The value at each branch of each decision; the rollout knows those at the first."""
        inner = [state for each in states for state in each[1:]]
        with torch.no_grad():
            found = iter(policy.values(inner).tolist() if inner else [])
        first = rollout.values.flatten().tolist()
        return [[value, *(next(found) for _ in each[1:])] for value, each in zip(first, states, strict=True)]

    def _advantages(self, rollout: Rollout, within: list[list[float]], values: list[list[float]]) -> list[list[float]]:
        """Generalised advantages from word to word and from phrase to phrase, cut where an episode ended.

        Args:
            rollout: What was done.
            within: For each decision the discounts between the words of the phrase, and to its end.
            values: For each decision the values before the words.
        """
        discounts, ended = self._discounts(rollout)
        steps, members = discounts.shape
        found: list[list[float]] = [[] for _ in within]
        ahead = [0.0] * members
        for t in reversed(range(steps)):
            for n in range(members):
                row, discount = t * members + n, float(discounts[t, n])
                carry = 0.0 if ended[t, n] else discount * self.config.gae_lambda * ahead[n]
                following = discount * float(rollout.next_values[t, n])
                reward = float(rollout.rewards[t, n])
                found[row] = word_advantages(values[row], within[row], reward, following, carry, self.config.gae_lambda)
                ahead[n] = found[row][0]
        return found

    def _within(self, way: tuple[Branch, ...], phrase: str) -> list[float]:
        """The discount from each branch to the next, and from the last to the end of the phrase."""
        if self._trie.credit == "bad":
            return [1.0] * len(way)
        ends = [len(branch.words) for branch in way[1:]] + [len(phrase.split()) - 1]
        return [self.config.gamma ** max(0, end - len(b.words)) for end, b in zip(ends, way, strict=True)]


def _at(decision: Decision, branch: Branch) -> Decision:
    """The decision where a phrase has begun: its prompt goes on with the words so far."""
    if all(branch.node):
        return decision
    open_phrases = tuple(action for action, there in zip(decision.actions, branch.node, strict=True) if there)
    return Decision(" ".join((decision.prompt, *branch.words)), open_phrases)
