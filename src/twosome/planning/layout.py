"""How to lay a training out on devices, with a reason for each choice."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from twosome.planning.counting import Pass, recomputed_bytes
from twosome.planning.devices import Devices
from twosome.planning.memory import GRADIENT, Memory, peak
from twosome.planning.skeleton import Skeleton
from twosome.settings.config import RunConfig

ROOM = 0.9
"""The part of a device's memory that is planned with: the rest is for what is not counted."""


@dataclass(frozen=True)
class Layout:
    """A way to run it.

    Attributes:
        sharded: Whether each device holds a part of the frozen base only.
        recompute: Whether layers are read again for the backward pass.
        nbytes: Most memory of a device (or of a process, on a CPU).
        fits: Whether that is there.
        reasons: One line for each choice.
    """

    sharded: bool
    recompute: bool
    nbytes: int
    fits: bool
    reasons: tuple[str, ...]


def lay_out(
    run: RunConfig, skeleton: Skeleton, one: Pass, memory: Memory, weight_bytes: int, devices: Devices
) -> Layout:
    """The plainest layout that fits: copies of the base, then reading layers again, then a sharded base."""
    device, count = devices.device, devices.count
    limit = int(ROOM * device.nbytes) // (count if device.is_cpu else 1) if device.nbytes else 2**62
    full = max(peak(memory.training), peak(memory.loading) if device.is_cpu else 0)
    again = full
    if not run.loading.recompute and any(term.name == GRADIENT for term in memory.training):
        again -= max(0, one.training_bytes - recomputed_bytes(skeleton, one.tokens, one.training_bytes))
    gathered = weight_bytes / count + 2 * skeleton.layer_weights * torch.empty(0, dtype=skeleton.dtype).element_size()
    less = max(0, weight_bytes - int(gathered))
    ways = [
        (False, run.loading.recompute, full),
        (False, True, again),
        (True, run.loading.recompute, full - less),
        (True, True, again - less),
    ]
    possible = [way for way in ways if not way[0] or (count > 1 and not device.is_cpu)]
    sharded, recompute, nbytes = next((way for way in possible if way[2] <= limit), min(possible, key=lambda w: w[2]))
    reasons = [_ranks(count, device.is_cpu), _precision(skeleton.dtype, device.is_cpu)]
    if sharded:
        reasons.append(f"sharded base: {_gigabytes(weight_bytes)} of weights and a pass do not fit one device")
    elif count > 1:
        reasons.append("the whole base on each: it fits, and nothing of it has to be sent")
    if recompute and not run.loading.recompute:
        reasons.append(f"loading.recompute: activations of a pass take {_gigabytes(one.training_bytes)}")
    elif not recompute:
        reasons.append("no recompute: activations fit, and reading layers again costs a third of a step")
    if nbytes > limit:
        reasons.append("it does not fit: take more or larger devices, loading.quantization, or a smaller token_budget")
    return Layout(sharded, recompute, nbytes, nbytes <= limit, tuple(reasons))


def _ranks(count: int, is_cpu: bool) -> str:
    if count == 1:
        return "one process"
    place = "a core" if is_cpu else "a device"
    return f"{count} processes, {place} each: distinct decisions are dealt out by their tokens, gradients added up"


def _precision(dtype: torch.dtype, is_cpu: bool) -> str:
    name = str(dtype).removeprefix("torch.")
    if is_cpu:
        return f"{name}: a CPU gains nothing from less, and ratios of an update begin at exactly 1"
    return f"{name}: " + (
        "half the bytes of float32" if dtype.itemsize == 2 else "set loading.dtype to bfloat16 for half"
    )


def _gigabytes(nbytes: float) -> str:
    return f"{nbytes / 1e9:.1f} GB"
