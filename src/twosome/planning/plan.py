"""All of a plan: memory, time and layout of a run, on this machine and on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from twosome.errors import ConfigError
from twosome.planning.counting import Pass, count, count_reading
from twosome.planning.describing import Described
from twosome.planning.devices import Device, Devices
from twosome.planning.duration import Clock, Duration
from twosome.planning.layout import Layout, lay_out
from twosome.planning.memory import Memory, memory, weight_bytes
from twosome.planning.memory_terms import Program
from twosome.planning.practice import practice
from twosome.planning.skeleton import Skeleton
from twosome.planning.workload import Workload, workload
from twosome.settings.config import RunConfig

COUNTED = ("ppo", "groups", "trie", "fitted")
"""Algorithms that are counted: what others read depends on more than what is met."""
SHARES = (0.5, 1.0, 1.5)
"""Factors on the share of a device's rate that is reached, to show what the assumption decides."""


@dataclass(frozen=True)
class OnDevices:
    """A run on some devices.

    Attributes:
        devices: Which.
        memory: Of one of them (of a process, on a CPU).
        layout: How it is laid out.
        duration: Of the workload: an update, or all of a run of ``algorithm: fitted``.
        others: Seconds of it, were the share of the device's rate other by each of :data:`SHARES`.
    """

    devices: Devices
    memory: Memory
    layout: Layout
    duration: Duration
    others: tuple[float, ...]


@dataclass(frozen=True)
class Plan:
    """What a run will take.

    Attributes:
        run: The run.
        weights: Of the frozen model.
        trained: Weights of the actor that train.
        work: What an update reads, or all of a run of ``algorithm: fitted``.
        one: What its largest pass takes.
        on: The devices that were asked about.
    """

    run: RunConfig
    weights: int
    trained: int
    work: Workload
    one: Pass
    on: tuple[OnDevices, ...]


def check(run: RunConfig) -> None:
    """Refuse a run that is not counted.

    Raises:
        ConfigError: If it is another one.
    """
    if run.policy != "language":
        raise ConfigError("plan is about language models, and policy=vector reads no words; it takes seconds: train it")
    if run.algorithm not in COUNTED:
        raise ConfigError(
            f"plan counts {', '.join(COUNTED)}, not algorithm={run.algorithm} (set, or chosen by the preset), which "
            "reads otherwise; --algorithm ppo says what that would take"
        )
    if run.loading.path not in ("auto", "packed"):
        raise ConfigError(f"plan counts models read in packs; loading.path is {run.loading.path}: leave it at auto")


def plan(run: RunConfig, described: Described, program: Program, asked: Sequence[Devices]) -> Plan:
    """Memory, time and layout of a run on the devices that are asked about.

    Args:
        run: The run.
        described: Its model.
        program: What was measured of the program itself.
        asked: Which devices.

    Raises:
        ConfigError, ModelError, TokenizationError: If it cannot be planned.
    """
    check(run)
    counted: dict[bool, tuple[Skeleton, Workload, Pass, Pass]] = {}
    found = []
    for devices in asked:
        on_cpu = devices.device.is_cpu
        if on_cpu not in counted:
            counted[on_cpu] = _counted(run, described, on_cpu)
        found.append(_on(run, described, program if on_cpu else None, devices, *counted[on_cpu]))
    skeleton, work, one, _ = next(iter(counted.values()))
    return Plan(run, skeleton.weights, skeleton.trained, work, one, tuple(found))


def _counted(run: RunConfig, described: Described, on_cpu: bool) -> tuple[Skeleton, Workload, Pass, Pass]:
    """The model, what is read, what the largest pass with a gradient takes, and what one of the base alone does."""
    skeleton = Skeleton(described.config, run, described.dtype(run.loading, on_cpu), "cpu" if on_cpu else "cuda")
    if run.algorithm != "fitted":
        work = workload(run, skeleton, described.tokenizer)
        one = count(skeleton, work.largest)
        return skeleton, work, one, count_reading(skeleton, work.largest) if skeleton.frozen_layers else one
    work = practice(run, skeleton, described.tokenizer)
    assert work.practice is not None
    return skeleton, work, count(skeleton, work.largest), count_reading(skeleton, work.practice.reading)


def _on(
    run: RunConfig,
    described: Described,
    program: Program | None,
    devices: Devices,
    skeleton: Skeleton,
    work: Workload,
    one: Pass,
    base: Pass,
) -> OnDevices:
    nbytes = weight_bytes(skeleton, run)
    needed = memory(run, described, skeleton, work, one, base, program)
    layout = lay_out(run, skeleton, one, needed, nbytes, devices)
    clock = Clock(run, skeleton, work, one, base, nbytes)

    def duration(device: Device) -> Duration:
        return clock.duration(Devices(device, devices.count), sharded=layout.sharded)

    own = devices.device
    others = tuple(duration(replace(own, share=own.share * factor)).seconds for factor in SHARES)
    return OnDevices(devices, needed, layout, duration(own), others)
