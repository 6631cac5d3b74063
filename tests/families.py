"""Every family of causal language models in transformers, tiny and random: how it is read, and how exactly.

    python -m tests.families                 # all of them, and docs/model-families.md
    python -m tests.families llama gemma3_text --no-write

A family is built from its configuration with everything small, its weights scaled up so that errors show, and an
adapter on its linear layers. What is compared is what one unpadded sequence at a time gives. The exit status is 1 if
any family that is scored differs by more than the bounds.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from tests.tiny import byte_level
from twosome import Decision, TwosomeError
from twosome.judging.probes import alone
from twosome.judging.probing import choose_reader
from twosome.models.loading import add_adapter
from twosome.tokens.encoding import encode_decision

TABLE = Path(__file__).resolve().parents[1] / "docs" / "model-families.md"
BOUND = 1e-5
MOST_WEIGHTS = 30_000_000

SMALL: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "embed_dim", "embedding_size", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "n_inner", "decoder_ffn_dim", "encoder_ffn_dim"), 48),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "mamba_n_heads", "mamba_num_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("head_dim", "rotary_dim", "attention_head_size", "mamba_d_head", "mamba_head_dim"), 8),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_k", "moe_topk", "top_k_experts"), 2),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "expert_ffn_hidden_size"), 16),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "first_k_dense_replace"), 1),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx"), 256),
    **dict.fromkeys(("sliding_window", "attention_window_size", "local_attention_window"), 8),
    **dict.fromkeys(
        ("linear_key_head_dim", "linear_value_head_dim", "mamba_d_state", "state_size", "ssm_state_size"), 8
    ),
    **dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"), 4),
    **dict.fromkeys(("hidden_size_per_layer_input", "lru_width", "attention_hidden_size", "mamba_n_groups"), 32),
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), 400),
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "is_decoder": True, "mamba_n_groups": 1, "n_groups": 1},
    **{"num_hidden_groups": 1, "laurel_rank": 4, "altup_num_inputs": 2, "num_kv_shared_layers": 0},
}
VARIANTS: tuple[tuple[str, ...], ...] = (
    (),
    ("head_dim",),
    ("num_key_value_heads",),
    ("head_dim", "num_key_value_heads", "rotary_dim"),
    ("sliding_window",),
)
"""Settings to leave at their defaults, one set after the other, until a family can be built and run."""
SPECIAL: dict[str, dict[str, Any]] = {
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "bamba": {"mamba_n_heads": 8, "attn_layer_indices": [1]},
    "falcon_h1": {"mamba_n_heads": 8, "mamba_d_ssm": 64},
    "granitemoehybrid": {"mamba_n_heads": 8, "layer_types": ["mamba", "attention"]},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"], "mamba_ngroups": 1, "n_mamba_heads": 8},
    "zamba": {"layers_block_type": ["mamba", "hybrid"]},
    # Logits are divided by hidden_size / dim_model_base, 10 in the published model. Left at its default, that would
    # multiply those of so small a model by 8, to numbers whose neighbours in float32 are 1e-5 apart.
    "minicpm3": {"dim_model_base": 4},
    "reformer": {"axial_pos_embds": False, "attn_layers": ["local", "lsh"]},
}
"""What some families need beside."""
DECISIONS = (
    Decision(
        "You see the tomato and the bowl on the table. You are holding nothing. You should now",
        ("pick up the tomato", "take the bowl", "walk to the cutting board", "serve nothing", "serve", "chop nothing"),
    ),
    Decision("You see the tomato and the bowl on the table. You are holding the bowl. You should now", ("sing", "sit")),
    Decision("The chopped tomato is on the cutting board, so you should now", ("put the tomato in the bowl", "chop")),
)


@dataclass(frozen=True)
class Result:
    """What came of a family: how it is read, how far off, or why not."""

    family: str
    way: str
    log_probs: float | None = None
    gradient: float | None = None

    @property
    def wrong(self) -> bool:
        return any(x is not None and not x <= BOUND for x in (self.log_probs, self.gradient))


def examine(family: str) -> Result:
    """Build a family and compare."""
    encoded = [encode_decision(byte_level(bos=True), decision) for decision in DECISIONS]
    reason = ""
    for left_out in VARIANTS:
        try:
            adapted = adapt(build(family, left_out))
            oracle = alone(adapted, encoded)
            break
        except Exception as error:
            reason = reason or f"not built here: {_sentence(error)}"
    else:
        return Result(family, reason)
    try:
        reader = choose_reader(adapted)
        found = reader.log_probs(encoded)
    except TwosomeError as refusal:
        return Result(family, f"refused: {_sentence(refusal)}")
    if not oracle.requires_grad or not found.requires_grad:
        return Result(family, f"{reader.describe()} (no gradient)", _apart(oracle, found))
    gradients = [_gradient(adapted, values) for values in (oracle, found)]
    difference = float((gradients[0] - gradients[1]).norm() / gradients[0].norm().clamp(min=1e-30))
    if not torch.isfinite(gradients[0]).all():
        return Result(family, f"{reader.describe()} (transformers' own gradient is not finite)", _apart(oracle, found))
    return Result(family, reader.describe(), _apart(oracle, found), difference)


def build(family: str, left_out: Collection[str] = ()) -> Any:
    """A tiny model with random weights of some size."""
    kind = CONFIG_MAPPING[family]
    known = vars(kind()) | dict.fromkeys(getattr(kind, "attribute_map", {}))
    small = {name: value for name, value in SMALL.items() if name in known and name not in left_out}
    config = kind(**{**small, **SPECIAL.get(family, {})})
    with torch.device("meta"):
        weights = sum(parameter.numel() for parameter in AutoModelForCausalLM.from_config(config).parameters())
    if weights > MOST_WEIGHTS:
        raise ValueError(f"{weights:,} weights even when made small")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).float().eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.mul_(3.0)
    return model


def adapt(model: Any) -> Any:
    """The model with an adapter that does something; where PEFT finds no linear layers, all its weights train."""
    try:
        adapted = add_adapter(model, rank=2, alpha=4, targets="all-linear")
    except Exception:
        return model.eval().requires_grad_(True)  # PEFT may have got as far as some layers, in train mode
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return adapted


def _apart(oracle: torch.Tensor, found: torch.Tensor) -> float:
    return float((oracle - found).abs().max())


def _gradient(model: Any, values: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    (values * torch.linspace(-1, 1, len(values))).sum().backward()
    found = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters() if p.requires_grad]
    return torch.cat([gradient.flatten() for gradient in found])


def _sentence(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:110]


def table(results: Sequence[Result]) -> str:
    """The results in Markdown."""
    scored = [result for result in results if result.log_probs is not None]
    lines = [
        "# Model families",
        "",
        "Every family that `AutoModelForCausalLM` of the installed transformers knows, tiny and with random weights:",
        "how twosome reads it, the largest difference of a token's log-probability (nats) and the relative difference",
        "of an adapter's gradient from reading one unpadded sequence at a time, float32, one thread. Made by",
        "`python -m tests.families`; the way is found by trying each model, never from its name.",
        "",
        f"{len(scored)} families scored, {sum(result.wrong for result in scored)} of them beyond {BOUND}; "
        f"{len(results) - len(scored)} refused or not built here, with the reason.",
        "",
        "| family | how it is read | log-probability | gradient |",
        "|---|---|---:|---:|",
    ]
    lines += [
        f"| {r.family} | {r.way} | {r.log_probs:.1e} | {'' if r.gradient is None else f'{r.gradient:.1e}'} |"
        for r in scored
    ]
    lines += [f"| {r.family} | {r.way.replace('|', '/')} | | |" for r in results if r.log_probs is None]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Examine families and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.families", description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", help="default: all")
    parser.add_argument("--no-write", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    families = arguments.families or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    began, results = time.monotonic(), []
    for number, family in enumerate(families, 1):
        results.append(examine(family))
        left = (time.monotonic() - began) / number * (len(families) - number)
        print(f"{number}/{len(families)}  {family}: {results[-1].way}  ({left:.0f} s left)", file=sys.stderr)
    text = table(results)
    if arguments.no_write:
        print(text)
    else:
        TABLE.write_text(text, encoding="utf-8")
    wrong = [result.family for result in results if result.wrong]
    print(f"beyond {BOUND}: {', '.join(wrong) or 'none'}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
