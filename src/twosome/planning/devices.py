"""What a device computes, moves and holds: this machine by a probe of a second, named ones by their data sheets."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace

import torch

from twosome.bench.matrix_products import matmul_peak
from twosome.errors import ConfigError

CPU_SHARE = 0.8
"""The part of the best rate of matrix products that readings reach on one core, beside what calls cost: fixed on the
random model of 125 million weights (docs/plan.md)."""
GPU_SHARE = 0.4
"""The same of a named GPU, where nobody has measured it: about half of a CPU's; ``plan`` shows what it changes."""
CALL = 20.0
"""What a kernel costs beside its operations, in calls of the plainest one: the Python of the model, of hooks, of what
is between readings. Fixed on the embedded model (docs/plan.md)."""
LAUNCH = 25e-6
"""The same in seconds for a GPU, whose host has the same Python to run, and does it meanwhile: an assumption, half of
what was found here on a busy core."""


@dataclass(frozen=True)
class Device:
    """A device.

    Attributes:
        name: As in ``--devices``.
        operations: Floating-point operations a second in matrix products, at best.
        share: The part of them that readings reach.
        bandwidth: Bytes a second from its memory; infinite where caches make it pointless to ask.
        link: Bytes a second to the next device of a host, in one direction.
        network: The same to other hosts.
        hosted: Devices of a host.
        nbytes: Memory.
        call: Seconds that a call of a kernel costs.
        overlapping: Whether calls are made while others are computed.
        source: Where the numbers come from.
    """

    name: str
    operations: float
    share: float
    bandwidth: float
    link: float
    network: float
    hosted: int
    nbytes: int
    call: float
    overlapping: bool
    source: str

    @property
    def is_cpu(self) -> bool:
        """Whether it is this machine."""
        return not self.overlapping


def _gpu(name: str, teraflops: float, terabytes: float, gigabytes: int, link: float) -> Device:
    source = (
        f"data sheet: {teraflops:g} TFLOP/s dense bfloat16, {terabytes:g} TB/s, {gigabytes} GB, NVLink {link:g} GB/s a "
        "direction; 8 to a host and 50 GB/s (400 Gbit/s) to other hosts are assumed"
    )
    return Device(
        name,
        teraflops * 1e12,
        GPU_SHARE,
        terabytes * 1e12,
        link * 1e9,
        50e9,
        8,
        gigabytes * 10**9,
        LAUNCH,
        True,
        source,
    )


GPUS = {
    "a100": _gpu("a100", 312.0, 2.039, 80, 300.0),
    "h100": _gpu("h100", 989.4, 3.35, 80, 450.0),
    "h200": _gpu("h200", 989.4, 4.8, 141, 450.0),
}
"""SXM modules: NVIDIA's data sheets "A100 80GB Tensor Core GPU", "H100 Tensor Core GPU" and "H200 Tensor Core GPU".

Operations there are those with sparsity, twice as many as these; NVLink there is both directions together.
"""
_FIGURES = ("operations", "share", "bandwidth", "link", "network", "hosted", "nbytes", "call")


@dataclass(frozen=True)
class Devices:
    """So many of one kind, a process on each.

    Attributes:
        device: The kind.
        count: How many.
    """

    device: Device
    count: int

    @property
    def name(self) -> str:
        """As it is written."""
        return f"{self.device.name}:{self.count}"

    @property
    def link(self) -> float:
        """Bytes a second of the narrowest connection that a ring over all of them passes."""
        return self.device.link if self.count <= self.device.hosted else self.device.network


def parse_devices(text: str, here: Device) -> Devices:
    """What ``cpu``, ``cpu:2`` or ``h200:8`` means.

    Args:
        text: As a user wrote it.
        here: This machine.

    Raises:
        ConfigError: If it names no known device, or no number of them.
    """
    found = re.fullmatch(r"([a-z0-9]+)(?::(\d+))?", text.lower())
    known = {here.name: here, **GPUS}
    if found is None or found.group(1) not in known or found.group(2) == "0":
        raise ConfigError(f"--devices must be one of {', '.join(known)}, with how many (h200:8), got {text!r}")
    return Devices(known[found.group(1)], int(found.group(2) or 1))


def assuming(device: Device, words: Sequence[str]) -> Device:
    """The device with other figures, each as ``NAME=NUMBER``, and what they are in what it says of itself.

    Raises:
        ConfigError: If there is no such figure, or it is no positive number.
    """
    for word in words:
        name, _, text = word.partition("=")
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if name not in _FIGURES or not 0 < number < float("inf"):
            raise ConfigError(
                f"--assume takes NAME=NUMBER, a number above 0 of {', '.join(_FIGURES)} (docs/plan.md has the units), "
                f"got {word!r}"
            )
        value = int(number) if name in ("hosted", "nbytes") else number
        device = replace(device, **{name: value}, source=f"{device.source}; told: {name} {value:g}")  # type: ignore[arg-type]
    return device


def this_machine() -> Device:
    """This machine's CPU, one core of it: measured, for about two seconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rate = matmul_peak(SimpleNamespace(device=torch.device("cpu"), dtype=torch.float32)) * 1e9
        call = CALL * _seconds_of_a_call()
    finally:
        torch.set_num_threads(before)
    source = f"measured now: {rate / 1e9:.0f} GFLOP/s in matrix products on one core, {call * 1e6:.1f} us a call"
    infinite = float("inf")
    cores = os.cpu_count() or 1
    return Device("cpu", rate, CPU_SHARE, infinite, 5e9, 1e9, cores, _memory(), call, False, source)


def _seconds_of_a_call(calls: int = 20_000) -> float:
    """Of the plainest kernel, in processor time."""
    small = torch.zeros(8)
    with torch.no_grad():
        began = time.process_time()
        for _ in range(calls):
            small.add_(1.0)
        return (time.process_time() - began) / calls


def _memory() -> int:
    """Bytes of this machine's memory; 0 where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0
