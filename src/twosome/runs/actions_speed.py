"""What many actions cost: time of an update, and memory, as the admissible actions grow in number."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from twosome.models.encoding import Encoder
from twosome.models.policy import Critic, LanguageModelPolicy
from twosome.models.reference import PlainPolicy
from twosome.runs.workloads import SIZES, many_actions, random_model

DECISIONS = 4
"""Distinct decisions scored with a gradient, as in a minibatch of four."""
REFERENCE_UP_TO = 100
"""Actions up to which the plain way is measured too; beyond, it takes minutes and gigabytes."""


@dataclass(frozen=True)
class ActionsCost:
    """What decisions with so many actions cost.

    Attributes:
        actions: Admissible actions per decision.
        seconds: Processor time of a forward and backward pass over four decisions, median.
        reference: The same, the plain way; None where it was not measured.
        megabytes: Most memory that the pass took beyond the model, in a process of its own.
    """

    actions: int
    seconds: float
    reference: float | None
    megabytes: float


def measure_actions(size: str, actions: int, *, repetitions: int = 5, reference: bool = True) -> ActionsCost:
    """Measure one number of actions; both ways alternate."""
    model, tokenizer = random_model(size)
    policy = LanguageModelPolicy(model, tokenizer, lean=True)
    plain = PlainPolicy(model, Encoder(tokenizer), Critic(SIZES[size].hidden), "word")
    decisions = many_actions(actions)(DECISIONS, 0)

    def ours() -> None:
        for group in policy.batches(decisions):
            torch.autograd.backward(policy.action_log_probs(group)[:, 0].sum())

    def theirs() -> None:
        torch.autograd.backward(plain.action_log_probs(decisions)[:, 0].sum())

    ways: list[Callable[[], None]] = [ours, theirs] if reference else [ours]
    times: list[list[float]] = [[] for _ in ways]
    for repetition in range(repetitions + 1):
        for way, found in zip(ways, times, strict=True):
            began = time.process_time()
            way()
            if repetition:  # the first run of anything is slower
                found.append(time.process_time() - began)
            for parameter in policy.actor_parameters():
                parameter.grad = None
    medians = [statistics.median(found) for found in times]
    return ActionsCost(actions, medians[0], medians[1] if reference else None, memory(size, actions))


def memory(size: str, actions: int) -> float:
    """Megabytes that scoring with a gradient takes at its height, beyond the model, in a process of its own.

    Linux only; elsewhere it is not a number.
    """
    if sys.platform != "linux":
        return float("nan")
    words = [sys.executable, "-c", f"from {__name__} import _show_memory; _show_memory({size!r}, {actions})"]
    # Freed memory goes back at once, so that the height is what was held, not what was kept for later.
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536"}
    output = subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout
    return float(json.loads(output.strip().splitlines()[-1]))


def _show_memory(size: str, actions: int) -> None:
    torch.set_num_threads(1)
    model, tokenizer = random_model(size)
    policy = LanguageModelPolicy(model, tokenizer, lean=True)
    decisions = many_actions(actions)(DECISIONS, 0)
    few = many_actions(5)(1, 1)
    torch.autograd.backward(policy.action_log_probs(few)[:, 0].sum())  # libraries and buffers
    Path("/proc/self/clear_refs").write_text("5")  # the height counts from here
    before = _status("VmRSS")
    for group in policy.batches(decisions):
        torch.autograd.backward(policy.action_log_probs(group)[:, 0].sum())
    print(json.dumps((_status("VmHWM") - before) / 1024))


def _status(name: str) -> int:
    """An entry of this process's status, in kB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])
