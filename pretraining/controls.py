"""What the embedded model's prior rests on: exact values beside those of controls that should destroy it.

A language prior needs the weights, the phrases that belong to the actions, and the prompt that belongs to the state.
Each control takes one of them away and leaves the rest; other nouns take away nothing but the surface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from pretraining import results
from pretraining.nouns import Swap, swaps
from pretraining.results import Sample, sample, samples
from pretraining.zero_shot import Change, Worth, decisions, uniform_worth, worths
from twosome.baselines.uniform import UniformPolicy
from twosome.decision import Decision
from twosome.evaluation.exact import evaluate_exactly
from twosome.text.tasks import TASKS

PAPER_TASKS = ("tomato-salad", "tomato-lettuce-salad", "food-preparation", "entertainment")
UNSEEN_TASKS = tuple(task for task in TASKS if task not in PAPER_TASKS)

AS_IT_IS, UNIFORM, RANDOM = "as it is", "uniform", "random weights"
PHRASES, PROMPTS = "phrases permuted", "prompts permuted"
SEEDS = {RANDOM: 10, PHRASES: 20, PROMPTS: 10}
FEWER_SEEDS, MANY_PROMPTS = 5, 500
"""Fewer random weights and permuted prompts where there are many prompts, fewer random weights in unseen tasks."""

Members = list[tuple[str, dict[str, Worth]]]
"""The worth under each normalisation, by member."""


def load(directory: Path) -> tuple[Any, Any]:
    """Return a model directory's model, in float32, and its tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype="float32").eval()
    return model, AutoTokenizer.from_pretrained(directory)


def random_model(directory: Path, seed: int) -> LlamaForCausalLM:
    """Return a model of the same shape with random weights, as its training would begin."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(AutoConfig.from_pretrained(directory)).eval()


def measure(directory: Path, out: Path = results.DIRECTORY, tasks: Sequence[str] = PAPER_TASKS + UNSEEN_TASKS) -> None:
    """Measure every control and write it to ``zero-shot.json``; what is there for these weights is not done again."""
    weights = results.weights_hash(directory)
    known = results.load("zero-shot", out)
    rows = results.to_rows(known["rows"]) if known.get("weights") == weights else []
    facts: dict[str, Any] = known.get("tasks", {}) if rows else {}
    for task in tasks:
        about = evaluate_exactly(UniformPolicy(), task, gamma=TASKS[task].gamma)
        optimum = round(about.optimal_return, results.DIGITS)
        facts[task] = {"states": about.states, "prompts": about.prompts, "optimum": optimum}
        for condition, take in conditions(directory, task):
            if any((row.task, row.condition) == (task, condition) for row in rows):
                continue
            found = take()
            rows += found
            for row in found:
                name, spread = row.normalization or "", row.spread("mean_return")
                print(f"{task:22s} {condition:20s} {name:6s} {spread.mean:7.3f}  n={spread.count}", flush=True)
            results.store("zero-shot", {"weights": weights, "tasks": facts, "rows": results.from_rows(rows)}, out)


def conditions(directory: Path, task: str) -> Iterator[tuple[str, Callable[[], list[Sample]]]]:
    """Yield each condition of a task, and what takes its samples."""
    (model, tokenizer), shown, unseen = load(directory), decisions(task), task in UNSEEN_TASKS
    fewer = len(shown) > MANY_PROMPTS

    def changed(changes: Iterable[tuple[str, Change]]) -> Members:
        return [(name, worths(model, tokenizer, task, change)) for name, change in changes]

    def drawn(permuted: Callable[[list[Decision], int], Change], seeds: int) -> Members:
        return changed((str(seed), permuted(shown, seed)) for seed in range(seeds))

    def randomized(seeds: int) -> Members:
        return [(str(seed), worths(random_model(directory, seed), tokenizer, task)) for seed in range(seeds)]

    yield UNIFORM, lambda: [sample(task, UNIFORM, None, [("", uniform_worth(task))])]
    yield AS_IT_IS, lambda: samples(task, AS_IT_IS, [("", worths(model, tokenizer, task))])
    yield RANDOM, lambda: samples(task, RANDOM, randomized(FEWER_SEEDS if unseen or fewer else SEEDS[RANDOM]))
    if unseen:
        return
    yield PHRASES, lambda: samples(task, PHRASES, drawn(permuted_phrases, SEEDS[PHRASES]))
    yield PROMPTS, lambda: samples(task, PROMPTS, drawn(permuted_prompts, FEWER_SEEDS if fewer else SEEDS[PROMPTS]))
    groups: dict[str, list[Swap]] = {}
    for swap in swaps(task):
        groups.setdefault(f"nouns {swap.group}", []).append(swap)
    for name, group in groups.items():
        yield name, lambda name=name, group=group: samples(task, name, changed((swap.label, swap) for swap in group))


def permuted_phrases(shown: list[Decision], seed: int) -> Change:
    """Return the change after which in every state the phrases stand for its actions in a random order."""
    rng = np.random.default_rng(seed)
    orders = {decision: rng.permutation(len(decision.actions)) for decision in shown}
    return lambda decision: Decision(decision.prompt, tuple(decision.actions[i] for i in orders[decision]))


def permuted_prompts(shown: list[Decision], seed: int) -> Change:
    """Return the change after which every state shows the prompt of another, beside its own phrases."""
    rng, prompts = np.random.default_rng(seed), list(dict.fromkeys(decision.prompt for decision in shown))
    order = rng.permutation(len(prompts))
    while (order == np.arange(len(prompts))).any():  # no prompt stays; about every third permutation will do
        order = rng.permutation(len(prompts))
    other = {prompt: prompts[index] for prompt, index in zip(prompts, order, strict=True)}
    return lambda decision: Decision(other[decision.prompt], decision.actions)
