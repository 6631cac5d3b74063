"""The frozen base in pieces, one in each process, put together layer by layer while it is read (FSDP2).

A layer's weights come together in all processes at once, so all must read equally often: who has less to read than
others reads something again, and nothing comes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from twosome.errors import ConfigError
from twosome.scorer import Scorer
from twosome.scoring.readers import PackedReader
from twosome.tokens.encoding import EncodedDecision


def shard(scorer: Scorer) -> None:
    """Leave of the frozen weights of every decoder layer this process's piece; what trains stays whole everywhere.

    Embeddings, vocabulary and the last norm stay whole: they are read outside of layers.

    Raises:
        ConfigError: If the model is not read in packs: only then the layers are known.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    reader, model = scorer.reader, scorer.model
    if not isinstance(reader, PackedReader) or reader.frozen_layers:
        raise ConfigError(
            "loading.shard takes a model that is read in packs, all of whose layers have an adapter; this one is read "
            f"otherwise ({reader.describe()}); leave out loading.shard, or lora.top_layers"
        )
    mesh = init_device_mesh(model.device.type, (torch.distributed.get_world_size(),))
    for layer in reader.layers:
        whole = {parameter for parameter in layer.parameters() if parameter.requires_grad}
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
    # What is put together for the first time must be able to meet a gradient later.
    reader.unheeding = torch.no_grad


class Evenly:
    """Has every process go through the layers as often as the one that must do so most.

    Args:
        scorer: Reads in packs.
        dealt: The shares of each process.
        rank: This process.
    """

    def __init__(self, scorer: Scorer, dealt: Sequence[Sequence[int]], rank: int) -> None:
        self._scorer, self._dealt, self._rank = scorer, dealt, rank

    def missing(self, parts: Sequence[Sequence[EncodedDecision]]) -> int:
        """How many times more than its shares take, where each of ``parts`` is read by who has the share."""
        reader = self._scorer.reader
        assert isinstance(reader, PackedReader)
        taken = [sum(reader.passes(parts[share]) for share in shares if parts[share]) for shares in self._dealt]
        return max(taken) - taken[self._rank]

    def again(self, parts: Sequence[Sequence[EncodedDecision]]) -> list[Tensor]:
        """What comes of reading something that often: numbers for nobody, with a gradient where one is wanted."""
        example = next(item for part in parts for item in part)
        small = EncodedDecision(example.prompt_ids, example.action_ids[:1] or ((example.prompt_ids[-1],),))
        return [self._scorer.reader.log_probs([small]) for _ in range(self.missing(parts))]


def held_bytes(model: Any) -> int:
    """Memory of a model's weights in this process; what is put together only while it is read does not count."""
    own = [weight.to_local() if hasattr(weight, "to_local") else weight for weight in model.parameters()]
    return sum(weight.nbytes for weight in own)
