"""How long a sentence may be, and which number of a configuration says so."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from tests.tiny import LLAMA_LIKE, byte_level
from twosome import Decision, score
from twosome.errors import TokenizationError
from twosome.scorer import context_length, context_reason

LONG = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 64}
PLAIN = {"rope_type": "default", "rope_theta": 1e4}


@pytest.mark.parametrize(
    ("family", "rope", "settings", "limit", "reason"),
    [
        ("phi3", LONG, {"original_max_position_embeddings": 64}, 64, "original_max_position_embeddings .* longrope"),
        ("llama", {**LONG, "original_max_position_embeddings": 64}, {}, 64, "original_max_position_embeddings"),
        ("llama", DYNAMIC, {}, 256, "max_position_embeddings .* dynamic"),
        # transformers stretches from max_position_embeddings on, whatever the original was.
        ("llama", {**DYNAMIC, "original_max_position_embeddings": 64}, {}, 256, "max_position_embeddings .* dynamic"),
        ("llama", YARN, {}, 256, "max_position_embeddings"),
        ("llama", PLAIN, {}, 256, "max_position_embeddings"),
    ],
)
def test_the_limit_and_its_reason(family: str, rope: Any, settings: Any, limit: int, reason: str) -> None:
    """A model with LongRoPE "reads at most 64", and nobody knew why."""
    pad = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = AutoConfig.for_model(family, **{**LLAMA_LIKE, **pad, **settings, "rope_parameters": rope})
    model = AutoModelForCausalLM.from_config(config).eval()
    assert context_length(model) == limit
    assert context_reason(model).startswith(reason.split()[0])
    with pytest.raises(TokenizationError, match=rf"reads at most {limit} \({reason}.*\); shorten"):
        score(model, byte_level(bos=False), [Decision("very " * 200 + "long", ("prompt",))])


def test_a_rope_by_kind_of_layer_counts_too() -> None:
    rope = {"full_attention": {**LONG, "original_max_position_embeddings": 64}, "sliding_attention": PLAIN}
    config = AutoConfig.for_model("gemma3_text", **{**LLAMA_LIKE, "head_dim": 8, "rope_parameters": rope})
    model = AutoModelForCausalLM.from_config(config)
    assert context_length(model) == 64
