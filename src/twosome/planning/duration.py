"""How long an update takes, or a whole run of ``algorithm: fitted``.

Counted operations, calls and bytes, at a device's rates, over so many of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from twosome.planning.counting import Pass
from twosome.planning.devices import Device, Devices
from twosome.planning.memory import critic_weights, head_weights
from twosome.planning.skeleton import Skeleton
from twosome.planning.workload import Practice, Size, Workload
from twosome.settings.config import RunConfig

RING = 20e-6
"""Seconds that each step of a ring takes before the first byte: an assumption."""


@dataclass(frozen=True)
class Duration:
    """Seconds of a workload, and what they are made of.

    Attributes:
        collecting: Every distinct decision read once, and the phrases of those that are new.
        critic: Its steps; its readings only while prompts are new. Or what is learned of the values of actions.
        reading_prompts: What the first update takes beside, to read the critic's prompts and layers below the adapter.
        actor: All steps of all epochs, or of all passes of all fits.
        gradients: What the adapter's gradients take on their way.
        gathering: What a sharded base takes.
        operations: Of all devices together, after the first update.
        sent: Bytes that each device sends in an update.
    """

    collecting: float
    critic: float
    reading_prompts: float
    actor: float
    gradients: float
    gathering: float
    operations: float
    sent: float

    @property
    def seconds(self) -> float:
        """Of an update after the first one, or of the run."""
        return self.collecting + self.critic + self.actor + self.gradients + self.gathering


class Clock:
    """Works out durations of a run on devices.

    Args:
        run: The run.
        skeleton: Its model.
        work: What an update reads.
        one: What a pass of it takes.
        base: What a pass of the frozen base alone takes.
        weight_bytes: Of the frozen weights.
    """

    def __init__(
        self, run: RunConfig, skeleton: Skeleton, work: Workload, one: Pass, base: Pass, weight_bytes: int
    ) -> None:
        self._run, self._skeleton, self._work, self._one, self._base = run, skeleton, work, one, base
        self._weight_bytes = weight_bytes

    def duration(self, devices: Devices, *, sharded: bool = False) -> Duration:
        """The workload on ``devices``, its decisions dealt out evenly by their tokens."""
        practice = self._work.practice
        return self._update(devices, sharded) if practice is None else self._fitted(devices, practice, sharded)

    def _fitted(self, devices: Devices, practice: Practice, sharded: bool) -> Duration:
        """All of a run that practises without gradients: what is new is read as it is met, then come the fits."""
        work, device, count = self._work, devices.device, devices.count
        parts = (work.collecting, practice.phrases)
        read = [self._passes(device, part, count, least=len(part), one=self._base) for part in parts]
        actor = self._passes(device, work.actor, count, least=work.steps, gradient=True)
        values = self._values(practice) / (device.share * device.operations)
        gradients, sent = self._gradients(devices)
        passes = sum(number for _, number in read)
        gathering, gathered = self._gathering(devices, passes, actor[1]) if sharded else (0.0, 0.0)
        flops = self._values(practice) + self._operations(work.actor, True)
        flops += sum(self._operations(part, False, self._base) for part in parts)
        collecting = sum(seconds for seconds, _ in read)
        return Duration(collecting, values, 0.0, actor[0], gradients, gathering, flops, sent + gathered)

    def _values(self, practice: Practice) -> float:
        """Operations of the two networks that value untried actions, in all updates."""
        forward = 2.0 * head_weights(self._run, self._skeleton)
        steps = self._run.fitted.value_steps * 3 * practice.tried_updates  # a gradient takes twice as much again
        return forward * (steps + 2 * practice.padded_updates)

    def _update(self, devices: Devices, sharded: bool) -> Duration:
        run, work, device = self._run, self._work, devices.device
        steps = max(1, min(run.rollout_steps, work.distinct))  # something new is met in about every step
        collecting = self._passes(device, work.collecting, devices.count, least=steps)
        prompts = self._passes(device, work.critic, devices.count, least=1, one=self._base)
        lower = self._passes(device, work.collecting, devices.count, least=steps, one=self._base)[0] - collecting[0]
        actor = self._passes(device, work.actor, devices.count, least=work.steps, gradient=True)
        head = 6.0 * critic_weights(run, self._skeleton) * work.decisions * run.ppo.epochs
        critic = head / (device.share * device.operations)
        gradients, sent = self._gradients(devices)
        gathering, gathered = self._gathering(devices, collecting[1], actor[1]) if sharded else (0.0, 0.0)
        flops = self._operations(work.collecting, False) + self._operations(work.actor, True) + head
        first = prompts[0] + (max(0.0, lower) if self._skeleton.frozen_layers else 0.0)
        return Duration(collecting[0], critic, first, actor[0], gradients, gathering, flops, sent + gathered)

    def _passes(
        self,
        device: Device,
        sizes: Sequence[Size],
        ranks: int,
        *,
        least: int,
        gradient: bool = False,
        one: Pass | None = None,
    ) -> tuple[float, int]:
        """Seconds of reading ``sizes`` on each of so many devices, and in how many passes, each like ``one``."""
        one = one or self._one
        tokens = sum(size.tokens for size in sizes) / ranks
        passes = max(least, math.ceil(tokens / self._skeleton.budget))
        computed = self._operations(sizes, gradient, one) / ranks / (device.share * device.operations)
        moved = passes * (2 if gradient else 1) * self._weight_bytes / device.bandwidth
        called = passes * (one.calls_with_gradient if gradient else one.calls) * device.call
        work = max(computed, moved)
        return (max(work, called) if device.overlapping else work + called), passes

    def _operations(self, sizes: Sequence[Size], gradient: bool, one: Pass | None = None) -> float:
        """In matrix products: of layers by the token, of the vocabulary by the row that asks for it."""
        tokens, rows = sum(size.tokens for size in sizes), sum(size.rows for size in sizes)
        one = one or self._one
        layers = (one.forward + (one.backward if gradient else 0.0)) / one.tokens
        vocabulary = (4.0 if gradient else 2.0) * self._skeleton.vocabulary * self._skeleton.width
        return float(tokens * layers + rows * vocabulary)

    def _gradients(self, devices: Devices) -> tuple[float, float]:
        """Seconds and bytes of adding the gradients of all devices up, once in every step."""
        count = devices.count
        if count == 1:
            return 0.0, 0.0
        sent = 2 * (count - 1) / count * 4 * self._skeleton.trained
        seconds = self._work.steps * (sent / devices.link + 2 * (count - 1) * RING)
        return seconds, self._work.steps * sent

    def _gathering(self, devices: Devices, acting: int, learning: int) -> tuple[float, float]:
        """Seconds and bytes of bringing a sharded base together, layer by layer, in every pass; twice for gradients."""
        count = devices.count
        times = acting + 2 * learning
        received = (count - 1) / count * self._weight_bytes
        rings = self._skeleton.depth * (count - 1) * RING
        return times * (received / devices.link + rings), times * received
