"""Models of the shape of others with weights that nobody trained, to be measured beside them."""

from __future__ import annotations

from typing import Any

import torch

from twosome.errors import ModelError, first_line
from twosome.models.loading import load_tokenizer, locate
from twosome.tokens.encoding import Tokenizer


def random_model(name: str, seed: int) -> tuple[Any, Tokenizer]:
    """A frozen model as a training from scratch would begin with it, and the tokenizer of the model it is like.

    The weights are what the architecture draws for its configuration, in float32 on a CPU; those of ``name`` are not
    read. The random numbers of others stay as they were.

    Args:
        name: The model whose configuration it has; see :func:`twosome.models.loading.load_model`.
        seed: Decides its weights.

    Raises:
        ModelError: If the configuration or the tokenizer cannot be read.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = load_tokenizer(name)
    source, _ = locate(name)
    try:
        config = AutoConfig.from_pretrained(source)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(f"no model of the shape of {name!r} can be made: {first_line(error)}") from None
    model.name_or_path = model.config._name_or_path = f"{name}, random weights of seed {seed}"
    return model.eval().requires_grad_(False), tokenizer
