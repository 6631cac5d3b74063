"""One episode in words, decision by decision, chosen by a person, a model or chance."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, Literal

import torch

from twosome.baselines import UniformPolicy
from twosome.decision import Decision
from twosome.functional.categorical import sample
from twosome.text.tasks import TASKS, make_task
from twosome.types import Policy

Player = Literal["you", "model", "random"]


def play(
    task: str,
    *,
    player: Player,
    policy: Policy | None,
    greedy: bool = False,
    seed: int = 0,
    ask: Callable[[str], str] = input,
    tell: Callable[[str], Any] = print,
) -> float | None:
    """Play one episode and tell what happens.

    Args:
        task: See :func:`twosome.text.tasks.make_task`.
        player: Who chooses the actions.
        policy: Whose probabilities are shown; the uniform policy's are not. Needed where the model plays.
        greedy: The model takes its most probable action.
        seed: Seeds the episode and the draws.
        ask: Asks the person; an end of input or ``q`` ends the episode.
        tell: Prints.

    Returns:
        The discounted return, or None if the person left.
    """
    gamma = TASKS[task].gamma if task in TASKS else 1.0
    generator = torch.Generator().manual_seed(seed)
    chooser = policy if policy is not None else UniformPolicy()
    total, elapsed = 0.0, 0
    with closing(make_task(task)) as env:
        observation, _ = env.reset(seed=seed)
        while True:
            decision = Decision(observation["prompt"], tuple(observation["actions"]))
            with torch.no_grad():
                log_probs = chooser.action_log_probs([decision])[0].cpu()
            tell(_describe(decision, log_probs.exp().tolist() if policy is not None else None))
            if player == "you":
                action = _ask(decision, ask, tell)
                if action is None:
                    tell("left")
                    return None
            else:
                action = int(log_probs.argmax() if greedy else sample(log_probs, generator))
                tell(f"> {decision.actions[action]}")
            observation, reward, terminated, truncated, info = env.step(action)
            total += gamma**elapsed * float(reward)
            elapsed += info["duration"]
            tell(f"  reward {float(reward):+.3f}, {info['duration']} steps\n")
            if terminated or truncated:
                outcome = "success" if info["success"] else "time is up" if truncated else "failure"
                tell(f"{outcome}: discounted return {total:+.4f} after {elapsed} steps")
                return total


def _describe(decision: Decision, probabilities: list[float] | None) -> str:
    lines = [f"{decision.prompt} ..."]
    for index, action in enumerate(decision.actions):
        probability = f"  {probabilities[index]:6.1%}" if probabilities is not None else ""
        lines.append(f"  {index + 1:>2}{probability}  {action}")
    return "\n".join(lines)


def _ask(decision: Decision, ask: Callable[[str], str], tell: Callable[[str], Any]) -> int | None:
    """The index the person chose, or None to leave."""
    while True:
        try:
            answer = ask(f"1-{len(decision.actions)}, or q to leave: ").strip()
        except EOFError:
            return None
        if answer.lower() in ("q", "quit", "exit"):
            return None
        if answer.isdigit() and 1 <= int(answer) <= len(decision.actions):
            return int(answer) - 1
        tell(f"please type a number from 1 to {len(decision.actions)}")
