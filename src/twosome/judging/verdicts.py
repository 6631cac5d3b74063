"""How a model was found to be read best, remembered from one process to the next."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from twosome.caching import keep_record, key_of, recall_record
from twosome.scoring.condition import base_of
from twosome.scoring.economies import Economies
from twosome.tokens.encoding import EncodedDecision

_KIND = "readings"
_ROW_WAYS = ("masked", "cached", "padded")
_SAMPLE = 16
"""Weights of each tensor that its fingerprint is made of."""


@dataclass(frozen=True)
class Verdict:
    """A way of reading that was tried and is right.

    Attributes:
        way: Its name.
        economies: What it leaves out, if it is the packed way.
    """

    way: str
    economies: Economies | None = None


def recall(key: str) -> Verdict | None:
    """The verdict on what ``key`` stands for, if there is one that says no more and no less than a verdict does."""
    record = recall_record(_KIND, key)
    if record is None or record.keys() != {"way", "economies"} or record["way"] not in ["packed", *_ROW_WAYS]:
        return None
    way, kept = record["way"], record["economies"]
    if way in _ROW_WAYS:
        return Verdict(way) if kept is None else None
    names = {item.name for item in fields(Economies)}
    whole = isinstance(kept, dict) and kept.keys() == names and all(isinstance(value, bool) for value in kept.values())
    return Verdict(way, Economies(**kept)) if whole else None


def keep(key: str, verdict: Verdict) -> None:
    """Remember a verdict."""
    keep_record(_KIND, key, asdict(verdict))


def key_for(model: Any, probe: list[EncodedDecision], options: Sequence[Any]) -> str:
    """What a verdict depends on: model, precision, device, probe, options, this code and that of the libraries.

    An adapter counts by its shape alone: its numbers do not change which tokens are looked at, and every training
    begins with others.
    """
    adapters = getattr(getattr(model, "base_model", None), "prefix", None) or "lora_"
    tensors = [*model.named_parameters(), *model.named_buffers()]
    device = model.device
    return key_of(
        {
            "model": [_class_name(model), model.config.to_json_string(use_diff=False)],
            "tensors": [
                [name, [*tensor.shape], str(tensor.dtype), [] if adapters in name else _fingerprint(tensor)]
                for name, tensor in tensors
            ],
            "device": [device.type, torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()],
            "threads": torch.get_num_threads(),
            "probe": [[list(item.prompt_ids), *map(list, item.action_ids)] for item in probe],
            "options": list(options),
            "code": [_own_code(), *(version(name) for name in ("torch", "transformers", "peft"))],
        }
    )


def _class_name(model: Any) -> str:
    base = base_of(model)
    return f"{type(model).__name__} {type(base).__module__}.{type(base).__name__}"


def _fingerprint(tensor: torch.Tensor) -> list[float]:
    """A few of a tensor's numbers, from all over it."""
    flat = tensor.detach().flatten()
    if not flat.numel():
        return []
    places = torch.linspace(0, flat.numel() - 1, min(_SAMPLE, flat.numel()), dtype=torch.float64).long()
    return flat[places.to(flat.device)].float().tolist()


def _processor() -> str:
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


@lru_cache
def _own_code() -> str:
    """A hash of the code that reads."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for room in ("scoring", "judging", "tokens"):
        for path in sorted((package / room).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
