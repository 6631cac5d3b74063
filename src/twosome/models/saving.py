"""What a policy leaves on disk of the model it trained: the adapter in PEFT's format, or all weights; the critic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from twosome.models.gguf.naming import GgufFile
from twosome.models.gguf.sameness import describe_base, note_base
from twosome.scoring.condition import is_adapted
from twosome.tokens.encoding import Tokenizer

ADAPTER_DIRECTORY = "adapter"
MODEL_DIRECTORY = "model"
CRITIC_FILE = "critic.safetensors"
_EMBEDDINGS_TOO = False  # left open, PEFT may look for the base model on the hub, to see whether its vocabulary grew


def trained_weights(model: Any) -> dict[str, Tensor]:
    """The weights that train, by name: the adapter's, or those of the model that want a gradient."""
    if not is_adapted(model):
        return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    from peft import get_peft_model_state_dict

    state: dict[str, Tensor] = get_peft_model_state_dict(model, save_embedding_layers=_EMBEDDINGS_TOO)
    return state


def save_model(model: Any, tokenizer: Tokenizer, directory: Path, read_from: GgufFile | None) -> None:
    """Write ``adapter/`` in PEFT's format, or all of ``model/`` with its tokenizer.

    Args:
        model: What trained.
        tokenizer: Its tokenizer.
        directory: Where to.
        read_from: The GGUF file that its base was read from, if it was; noted beside the weights.
    """
    if is_adapted(model):
        place = directory / ADAPTER_DIRECTORY
        model.save_pretrained(str(place), save_embedding_layers=_EMBEDDINGS_TOO)
    else:
        place = directory / MODEL_DIRECTORY
        model.save_pretrained(str(place))
        tokenizer.save_pretrained(str(place))
    if read_from is not None:
        note_base(place, read_from)
        if is_adapted(model):
            describe_base(place, read_from)
