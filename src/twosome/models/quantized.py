"""Bases in 8 and 4 bits through bitsandbytes: loaded so that a token's numbers are its own, and gradients pass."""

from __future__ import annotations

import logging
from typing import Any, Literal

from twosome.errors import ConfigError, ModelError

Quantization = Literal["none", "8bit", "4bit"]
_UNPACKED = "support_avx512bf16_for_cpu"
"""What a 4 bit layer on a CPU asks before it repacks its weights."""


def quantization_config(quantization: Quantization) -> Any:
    """What transformers is told to load a base in 8 or 4 bits.

    Raises:
        ConfigError: If bitsandbytes is not there.
    """
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise ConfigError(f"quantization {quantization!r} needs bitsandbytes: pip install bitsandbytes")
    from transformers import BitsAndBytesConfig

    logging.getLogger("bitsandbytes.autograd._functions").addFilter(_is_no_cast)
    return BitsAndBytesConfig(
        load_in_8bit=quantization == "8bit", load_in_4bit=quantization == "4bit", llm_int8_threshold=0.0
    )


def read_all_columns_alike(model: Any) -> None:
    """Let 8 bit layers have no outlier columns, which bitsandbytes chooses over all tokens that are read together.

    A file saved in 8 bits brings a threshold of its own.
    """
    for module in model.modules():
        state = vars(module).get("state")
        if getattr(state, "threshold", 0.0):
            state.threshold = 0.0


def keep_unpacked(model: Any) -> None:
    """Have 4 bit layers leave their weights as they were loaded, on a CPU, too.

    There, bitsandbytes (0.50) rounds scales to bfloat16 and puts weights into another order as soon as it is asked
    without a gradient, and from then on no gradient passes through the layer: what lies below would train on a part of
    its gradient, or on none.

    Raises:
        ModelError: If that happened already.
    """
    for name, module in model.named_modules():
        if hasattr(module, _UNPACKED):
            if getattr(getattr(module.weight, "quant_state", None), "packing_format_for_cpu", False):
                raise ModelError(
                    f"no gradient passes through the 4 bit layer {name}, whose weights bitsandbytes repacked when it "
                    "was read on this CPU; load the model again with twosome's load_model, or in 8 bits"
                )
            setattr(module, _UNPACKED, False)


def _is_no_cast(record: Any) -> bool:
    """Every layer of every reading says that it rounds its input, which is what 8 bits are."""
    return "inputs will be cast" not in str(record.msg)
