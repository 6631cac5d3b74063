"""Every kind of adapter that PEFT knows, tiny and on a model of random weights: how it is read, and how exactly.

    python -m tests.adapter_kinds                 # all of them, and docs/adapter-kinds.md
    python -m tests.adapter_kinds lora prompt_tuning --no-write

An adapter is made from its configuration, its weights are moved at random, so that errors show, and it is saved and
read back. What is compared is PEFT's own forward pass of one unpadded sequence at a time. The exit status is 1 if any
kind that is scored differs by more than the bound, is not the same read back, or is not the base when it is off.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, XLoraConfig, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from tests.families import DECISIONS
from tests.tiny import build_model, byte_level
from twosome import TwosomeError
from twosome.judging.probing import choose_reader
from twosome.models.loading import load_adapter
from twosome.scoring.condition import adapter_off
from twosome.tokens.encoding import EncodedDecision, encode_decision

TABLE = Path(__file__).resolve().parents[1] / "docs" / "adapter-kinds.md"
BOUND = 1e-5
PROJECTIONS = ["q_proj", "v_proj"]

SPECIAL: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 100, "init_r": 4, "target_r": 2},
    "ADAPTION_PROMPT": {"adapter_len": 4, "adapter_layers": 1, "target_modules": None},
    "C3A": {"block_size": 8},
    "CARTRIDGE": {"num_virtual_tokens": 4},
    "CPT": {"cpt_token_ids": [5, 6, 7, 8], "cpt_mask": [1] * 4, "cpt_tokens_type_mask": [1, 2, 3, 4]},
    "FOURIERFT": {"n_frequency": 20},
    "IA3": {"feedforward_modules": []},
    "LN_TUNING": {"target_modules": ["input_layernorm"]},
    "MISS": {"r": 4},
    "MULTITASK_PROMPT_TUNING": {"num_virtual_tokens": 4, "num_tasks": 2, "num_ranks": 1},
    "PREFIX_TUNING": {"num_virtual_tokens": 4},
    "PROMPT_TUNING": {"num_virtual_tokens": 4},
    "PSOFT": {"r": 4},
    "P_TUNING": {"num_virtual_tokens": 4, "encoder_hidden_size": 16},
    "ROAD": {"group_size": 8},
    "SHIRA": {"r": 2},
    "TRAINABLE_TOKENS": {"token_indices": list(range(3, 400, 2)), "target_modules": ["embed_tokens"]},
    "VBLORA": {"num_vectors": 16, "vector_length": 8, "topk": 2},
    "WAVEFT": {"n_frequency": 20},
}
"""What some kinds need beside, or instead of, the projections they adapt."""
LORA: dict[str, dict[str, Any]] = {
    "bias=all": {"bias": "all"},
    "init_lora_weights=pissa": {"init_lora_weights": "pissa"},
    "init_lora_weights=olora": {"init_lora_weights": "olora"},
    "lora_bias": {"lora_bias": True},
    "modules_to_save=embed_tokens": {"modules_to_save": ["embed_tokens"]},
    "modules_to_save=lm_head": {"modules_to_save": ["lm_head"]},
    "modules_to_save=norm": {"modules_to_save": ["norm"]},
    "of embeddings and head": {"target_modules": ["embed_tokens", "lm_head"]},
    "target_parameters": {"target_parameters": ["self_attn.o_proj.weight"]},
    "trainable_token_indices": {"trainable_token_indices": list(range(3, 400, 2))},
    "use_dora": {"use_dora": True},
    "use_rslora": {"use_rslora": True},
}
"""Variants of LoRA."""
KINDS = [*sorted(kind.value for kind in PEFT_TYPE_TO_CONFIG_MAPPING), *(f"LORA, {name}" for name in LORA)]


@dataclass(frozen=True)
class Result:
    """What came of a kind: how it is read, how far off it is, how far when read back, and off from the base."""

    kind: str
    way: str
    log_probs: float | None = None
    read_back: float | None = None
    off: float | str = ""

    @property
    def wrong(self) -> bool:
        numbers = [self.log_probs, self.read_back, self.off]
        return any(isinstance(number, float) and not number <= BOUND for number in numbers)


def configuration(kind: str, place: Path) -> PeftConfig:
    """The smallest configuration of a kind."""
    name, _, variant = kind.partition(", ")
    projections = {"target_modules": PROJECTIONS}
    if variant:
        return LoraConfig(task_type="CAUSAL_LM", **{"r": 4, **projections, **LORA[variant]})
    if name == "XLORA":
        parts = {str(number): str(place / f"part{number}") for number in range(2)}
        for number, part in enumerate(parts.values()):
            adapt("LORA", place, seed=number).save_pretrained(part)
        return XLoraConfig(task_type="CAUSAL_LM", hidden_size=32, adapters=parts)
    kind_of = PEFT_TYPE_TO_CONFIG_MAPPING[name]
    # Those without projections have no setting for them.
    known = "target_modules" in kind_of.__dataclass_fields__
    return kind_of(task_type="CAUSAL_LM", **{**(projections if known else {}), **SPECIAL.get(name, {})})


def base(kind: str = "LORA") -> Any:
    """The model that is adapted; its projections have biases, unless the kind knows no such model."""
    model = build_model("llama" if kind == "ADAPTION_PROMPT" else "qwen2")
    model.config.use_cache = kind != "XLORA"
    return model


def adapt(kind: str, place: Path, seed: int = 0) -> Any:
    """The model with a moved adapter."""
    torch.manual_seed(seed)
    adapted = get_peft_model(base(kind), configuration(kind, place))
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return adapted.eval()


def plain(model: Any, encoded: Sequence[EncodedDecision]) -> torch.Tensor:
    """PEFT's own forward pass of one unpadded sequence at a time."""
    found = []
    for decision in encoded:
        for action in decision.action_ids:
            ids = torch.tensor([decision.prompt_ids + action])
            log_probs = model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1)
            rows = log_probs[len(log_probs) - len(action) - 1 : -1]  # virtual tokens stand before the sentence
            found.append(rows.gather(-1, torch.tensor(action)[:, None]).squeeze(-1))
    return torch.cat(found)


@torch.no_grad()
def examine(kind: str) -> Result:
    """Make a kind, save it, read it back, and compare."""
    encoded = [encode_decision(byte_level(bos=True), decision) for decision in DECISIONS]
    untouched = plain(base(kind), encoded)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        try:
            adapted = adapt(kind, place)
            adapted.save_pretrained(str(place / "adapter"), save_embedding_layers=False)
        except Exception as error:
            return Result(kind, f"not built here: {_sentence(error)}")
        try:
            loaded = load_adapter(base(kind), place / "adapter")
            reader = choose_reader(loaded)
            found = reader.log_probs(encoded)
        except TwosomeError as refusal:
            return Result(kind, f"refused: {_sentence(refusal)}")
        oracle = plain(loaded, encoded)
        return Result(
            kind,
            reader.describe(),
            _apart(found, oracle),
            _apart(oracle, plain(adapted, encoded)),
            _off(loaded, encoded, untouched),
        )


def _off(model: Any, encoded: Sequence[EncodedDecision], untouched: torch.Tensor) -> float | str:
    """How far the model with its adapter off is from its base."""
    try:
        with adapter_off(model):
            return _apart(plain(model, encoded), untouched)
    except TwosomeError:
        return "refused"


def _apart(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max())


def _sentence(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:140]


def table(results: Sequence[Result]) -> str:
    """The results in Markdown."""
    scored = [result for result in results if result.log_probs is not None]
    lines = [
        "# Adapter kinds",
        "",
        "Every kind of adapter that the installed PEFT knows, on a tiny model of random weights, moved at random,",
        "saved and read back: how twosome reads it, the largest difference of a token's log-probability (nats) from",
        "PEFT's own forward pass of one unpadded sequence at a time, that of the adapter read back from the one that",
        "was saved, and that of the model with the adapter off from the base without it. Float32, one thread. Made by",
        "`python -m tests.adapter_kinds`; the way is found by trying each model.",
        "",
        f"{len(scored)} kinds scored, {sum(result.wrong for result in scored)} of them beyond {BOUND}; "
        f"{len(results) - len(scored)} refused or not built here, with the reason. Off is refused where it is not the",
        "base: critic, reference and language measures, which rest on the base, then end with a sentence.",
        "",
        "| kind | how it is read | log-probability | read back | off |",
        "|---|---|---:|---:|---:|",
    ]
    lines += [f"| {r.kind} | {r.way} | {r.log_probs:.1e} | {r.read_back:.1e} | {_number(r.off)} |" for r in scored]
    lines += [f"| {r.kind} | {r.way.replace('|', '/')} | | | |" for r in results if r.log_probs is None]
    return "\n".join(lines) + "\n"


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.1e}"


def _chosen(words: Sequence[str], known: Mapping[str, None]) -> list[str]:
    """The kinds that were asked for, by names in any case."""
    return [kind for kind in known if not words or kind.lower() in {word.lower() for word in words}]


def main() -> int:
    """Examine kinds and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.adapter_kinds", description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", help="default: all")
    parser.add_argument("--no-write", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    results = []
    for kind in _chosen(arguments.kinds, dict.fromkeys(KINDS)):
        results.append(examine(kind))
        print(f"{kind}: {results[-1].way}", file=sys.stderr)
    text = table(results)
    if arguments.no_write:
        print(text)
    else:
        TABLE.write_text(text, encoding="utf-8")
    wrong = [result.kind for result in results if result.wrong]
    print(f"beyond {BOUND}: {', '.join(wrong) or 'none'}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
