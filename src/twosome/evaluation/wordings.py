"""What wordings of a task are worth to an untrained model, exactly, and where each of them fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twosome.decision import Decision
from twosome.envs.exploring import explore
from twosome.errors import ConfigError
from twosome.evaluation.exact import JUDGED_AT, evaluate_exactly
from twosome.evaluation.phrases import PhraseScores, ScoredPolicy
from twosome.principles.walking import Seen, all_states
from twosome.text.states import text_world
from twosome.text.tasks import TASKS, open_task

NORMALIZATIONS = ("sum", "token", "word")


@dataclass(frozen=True)
class Worth:
    """What a wording is worth under one normalization.

    Attributes:
        success: Probability that an episode of the untrained model ends in success; None where nothing says so.
        mean_return: Its expected return.
        best: Geometric mean of the probability of the best actions, over the decisions of the task.
    """

    success: float | None
    mean_return: float
    best: float


@dataclass(frozen=True)
class Trial:
    """One wording of one task, read by one model.

    Attributes:
        name: Of the wording.
        task: Of the task.
        decisions: Different ones, by what is best in them too.
        tokens: Mean number of tokens of a prompt.
        worths: By normalization.
    """

    name: str
    task: str
    decisions: int
    tokens: float
    worths: dict[str, Worth]


@dataclass(frozen=True)
class Choice:
    """A decision, and how likely its best actions are.

    Attributes:
        decision: The decision.
        best: Phrases of its best actions.
        probability: Of all of them together.
        favourite: The likeliest phrase.
    """

    decision: Decision
    best: frozenset[str]
    probability: float
    favourite: str


def seen_of(task: str, environment: Mapping[str, Any]) -> list[Seen]:
    """The decisions of a task with their best actions, each once.

    Raises:
        ConfigError: If the task cannot be made, or does not show its states.
    """
    with open_task(task, **environment) as env:
        shown = text_world(env)
    if shown is None:
        raise ConfigError(f"{task!r} does not show its states, so nobody can say which actions are best")
    walked = all_states(shown, explore(shown.world), gamma_of(task))
    return list({(seen.prompt, seen.actions, seen.best): seen for seen in walked}.values())


def gamma_of(task: str) -> float:
    """The discount that decides which actions of a task are best."""
    return TASKS[task].gamma if task in TASKS else JUDGED_AT


def try_wording(
    phrases: PhraseScores,
    task: str,
    name: str,
    environment: Mapping[str, Any],
    on_progress: Callable[[int, int], None] | None = None,
) -> Trial:
    """What a wording is worth.

    Args:
        phrases: The model.
        task: See :func:`twosome.text.tasks.make_task`.
        name: What to call the wording.
        environment: Arguments of the environment, which make the wording.
        on_progress: Called with the numbers of prompts read and to read.

    Raises:
        ConfigError: If the task cannot be made so, or does not show its states.
    """
    seen = seen_of(task, environment)
    phrases.read([Decision(one.prompt, one.actions) for one in seen], on_progress)
    worths = {}
    for normalization in NORMALIZATIONS:
        policy = ScoredPolicy(phrases, normalization)
        found = evaluate_exactly(policy, task, gamma=gamma_of(task), environment=environment)
        likely = [math.log(max(choice.probability, 1e-12)) for choice in choices(phrases, seen, normalization)]
        worths[normalization] = Worth(found.success, found.discounted_return, math.exp(sum(likely) / len(likely)))
    prompts = {one.prompt for one in seen}
    tokens = [len(phrases.scorer.encoder.encode_prompt(prompt)) for prompt in prompts]
    return Trial(name, task, len(seen), sum(tokens) / len(tokens), worths)


def choices(phrases: PhraseScores, seen: Sequence[Seen], normalization: str) -> list[Choice]:
    """How likely the best actions of decisions are, where there are any."""
    judged = [one for one in seen if one.best]
    decisions = [Decision(one.prompt, one.actions) for one in judged]
    log_probs = ScoredPolicy(phrases, normalization).action_log_probs(decisions).double().exp().tolist()
    found = []
    for one, decision, row in zip(judged, decisions, log_probs, strict=True):
        by_phrase = dict(zip(decision.actions, row, strict=False))
        best = one.best or frozenset()
        favourite = max(by_phrase, key=by_phrase.__getitem__)
        found.append(Choice(decision, best, sum(by_phrase[phrase] for phrase in best), favourite))
    return found
