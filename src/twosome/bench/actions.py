"""What many actions cost: time of an update, and memory, as the admissible actions grow in number."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from twosome.bench.plain import PlainPolicy
from twosome.bench.workloads import SIZES, many_actions, random_model
from twosome.decision import Decision
from twosome.models.policy import Critic, LanguageModelPolicy
from twosome.tokens.encoding import Encoder

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
        recompute: The same, reading again in the backward pass to save memory.
        megabytes: Most memory that the pass took beyond the model, in a process of its own.
        recompute_megabytes: The same, reading again in the backward pass.
    """

    actions: int
    seconds: float
    reference: float | None
    recompute: float
    megabytes: float
    recompute_megabytes: float


def measure_actions(size: str, actions: int, *, repetitions: int = 5, reference: bool = True) -> ActionsCost:
    """Measure one number of actions: our ways in turn, and then the plain one.

    It takes and frees so much memory that whatever ran right after it would pay for getting some again.
    """
    model, tokenizer = random_model(size)
    keeping, lean = (LanguageModelPolicy(model, tokenizer, lean=lean) for lean in (False, True))
    plain = PlainPolicy(model, Encoder(tokenizer), Critic(SIZES[size].hidden), "word")
    decisions = many_actions(actions)(DECISIONS, 0)

    def theirs() -> None:
        torch.autograd.backward(plain.action_log_probs(decisions)[:, 0].sum())

    ours = {"seconds": partial(_pass, keeping, decisions), "recompute": partial(_pass, lean, decisions)}
    times: dict[str, list[float]] = {}
    for ways in (ours, {"reference": theirs} if reference else {}):
        for repetition in range(repetitions + 1):
            for name, way in ways.items():
                began = time.process_time()
                way()
                if repetition:  # the first run of anything is slower
                    times.setdefault(name, []).append(time.process_time() - began)
                for parameter in keeping.actor_parameters():
                    parameter.grad = None
    medians = {name: statistics.median(found) for name, found in times.items()}
    return ActionsCost(
        actions,
        medians["seconds"],
        medians.get("reference"),
        medians["recompute"],
        memory(size, actions, lean=False),
        memory(size, actions, lean=True),
    )


def _pass(policy: LanguageModelPolicy, decisions: Sequence[Decision]) -> None:
    """Score decisions, with a gradient, in the batches that suit them."""
    for group in policy.batches(decisions):
        torch.autograd.backward(policy.action_log_probs(group)[:, 0].sum())


def memory(size: str, actions: int, *, lean: bool) -> float:
    """Megabytes that scoring with a gradient takes at its height, beyond the model, in a process of its own.

    Linux only; elsewhere it is not a number.
    """
    if sys.platform != "linux":
        return float("nan")
    words = [sys.executable, "-c", f"from {__name__} import _show_memory; _show_memory({size!r}, {actions}, {lean})"]
    # Freed memory goes back at once, so that the height is what was held, not what was kept for later.
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536"}
    output = subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout
    return float(json.loads(output.strip().splitlines()[-1]))


def _show_memory(size: str, actions: int, lean: bool) -> None:
    torch.set_num_threads(1)
    model, tokenizer = random_model(size)
    policy = LanguageModelPolicy(model, tokenizer, lean=lean)
    decisions = many_actions(actions)(DECISIONS, 0)
    _pass(policy, many_actions(5)(1, 1))  # libraries and buffers
    Path("/proc/self/clear_refs").write_text("5")  # the height counts from here
    before = _status("VmRSS")
    _pass(policy, decisions)
    print(json.dumps((_status("VmHWM") - before) / 1024))


def _status(name: str) -> int:
    """An entry of this process's status, in kB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])
