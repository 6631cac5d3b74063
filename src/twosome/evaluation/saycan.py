"""SayCan on a task: a language model as it is, and affordances from the environment or from experience."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import torch

from twosome.baselines.saycan import Attempt, LearnedAffordances, SayCanPolicy, admissible, attempts
from twosome.baselines.uniform import UniformPolicy
from twosome.models.policy import LanguageModelPolicy
from twosome.rollout import Collector
from twosome.text.tasks import TASKS, make_vector_task
from twosome.tokens.prompting import JOINERS

EXPERIENCE = 10_000
"""Decisions that affordances are learned from."""
_NUM_ENVS = 8


def oracle_saycan(language: LanguageModelPolicy) -> SayCanPolicy:
    """SayCan with the environment's own mask: to be met by decisions that offer what is admissible, and no more."""
    return SayCanPolicy(language, admissible)


def learned_saycan(
    language: LanguageModelPolicy,
    task: str,
    *,
    decisions: int = EXPERIENCE,
    seed: int = 0,
    environment: Mapping[str, Any] | None = None,
) -> SayCanPolicy:
    """SayCan with affordances learned from experience, for decisions that offer every action everywhere.

    Half of the experience is uniform play, which tries everything, and half the language model's own untrained play,
    which gets to where it will have to choose.

    Args:
        language: Says; it is not trained.
        task: See :func:`twosome.text.tasks.make_task`.
        decisions: How many decisions are learned from, over all environments.
        seed: Seeds play and learning.
        environment: Further arguments of the environment.
    """
    generator = torch.Generator().manual_seed(seed)
    tried: list[Attempt] = []
    for player in (UniformPolicy(), SayCanPolicy(language, admissible)):
        with closing(make_vector_task(task, _NUM_ENVS, arguments=unmasked(task, environment))) as envs:
            collector = Collector(envs, seed=seed, generator=generator)
            rollout, _ = collector.collect(player, -(-decisions // (2 * _NUM_ENVS)))
        tried += attempts(rollout)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        size, prompting = language.model.config.get_text_config().hidden_size, language.scorer.encoder.prompting
        affordances = LearnedAffordances(language.features, size, joiner=JOINERS[prompting.joiner])
    affordances.fit(tried, generator=generator)
    return SayCanPolicy(language, affordances)


def unmasked(task: str, environment: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Arguments of the environment with which it offers every action everywhere."""
    own = TASKS[task].unmasked if task in TASKS else {}
    return {**(environment or {}), **own}
