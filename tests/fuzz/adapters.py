"""Adapters: damaged, changed, of other models and kinds."""

from __future__ import annotations

import copy
import json
import math
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.fuzz.bench import DECISION, Bench
from tests.fuzz.inputs import TEXTS, VALUES, damage
from twosome.errors import TwosomeError
from twosome.models.loading import load_adapter
from twosome.scorer import Scorer

MANY = st.sampled_from([*range(5), 8, 16, -1, 10_000, 2**40, "2", 2.0, 1e300, True, None, "é"])
SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "r": MANY,
    "lora_alpha": MANY,
    "peft_type": st.sampled_from(["LORA", "IA3", "PROMPT_TUNING", "LOHA", "VERA", "OFT", "POLY", "lora", "X", None, 3]),
    "target_modules": st.sampled_from(["all-linear", ".*", "(", "q_proj", [], ["q_proj"], ["lm_head"], ["none"], None]),
    "layers_to_transform": st.sampled_from([[], [0], [1], [9], 0, -1, "0", ["0"]]),
    "rank_pattern": st.dictionaries(st.sampled_from(["q_proj", "(", ".*", ""]), MANY, max_size=2),
    "alpha_pattern": st.dictionaries(st.sampled_from(["q_proj", "(", ".*", ""]), MANY, max_size=2),
    "modules_to_save": st.sampled_from([["lm_head"], ["embed_tokens"], ["norm"], ["none"], "lm_head", []]),
    "bias": st.sampled_from(["all", "lora_only", "none", "some", True]),
    "init_lora_weights": st.sampled_from([True, False, "pissa", "olora", "gaussian", "loftq", "eva", "x"]),
    "base_model_name_or_path": TEXTS | VALUES,
    "auto_mapping": VALUES,
    "task_type": st.sampled_from(["CAUSAL_LM", "SEQ_CLS", "SEQ_2_SEQ_LM", "x", None]),
    "num_virtual_tokens": MANY,
    "trainable_token_indices": st.sampled_from([[1, 2], [10**6], {"embed_tokens": [1]}, "x", [-1]]),
    "target_parameters": st.sampled_from([["q_proj.weight"], ["x"], "x"]),
    **{name: st.booleans() for name in ("use_dora", "use_rslora", "fan_in_fan_out", "use_qalora", "lora_bias")},
}
"""What adapters' configurations say, and values that some of them may have."""

RENAMINGS = (
    ("model.layers", "model.language_model.layers"),
    ("base_model.model.", ""),
    ("base_model.model.", "base_model.model.base_model.model."),
    (".weight", ""),
    (".weight", ".default.weight"),
    ("layers.0", "layers.1"),
    ("layers.1", "layers.7"),
    ("lora_A", "lora_B"),
    ("lora_A", "lora_É"),
)
TYPES = (torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int64, torch.bool, torch.float8_e4m3fn)


def _change_config(draw: st.DrawFn, file: Path) -> None:
    name = draw(st.sampled_from(sorted(SETTINGS)))
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, name: draw(SETTINGS[name])}))


def _change_weights(draw: st.DrawFn, file: Path) -> None:
    """Rename, drop, add or change some weights of a file."""
    weights = load_file(file)
    chosen = draw(st.lists(st.sampled_from(sorted(weights)), min_size=1, max_size=3, unique=True)) if weights else []
    kind = draw(
        st.sampled_from(["renamed", "all renamed", "missing", "all missing", "more", "shape", "type", "values"])
    )
    old, new = draw(st.sampled_from(RENAMINGS))
    if kind == "all renamed":
        weights = {name.replace(old, new): tensor for name, tensor in weights.items()}
    elif kind == "all missing":
        weights = {}
    elif kind == "more":
        weights[draw(st.sampled_from(["x", "base_model.model.x.lora_A.weight", "é", "a.b"]))] = torch.ones(2, 2)
    for name in chosen if kind in ("renamed", "missing", "shape", "type", "values") else ():
        tensor = weights.pop(name)
        if kind == "renamed":
            weights[name.replace(old, new)] = tensor
        elif kind != "missing":
            weights[name] = _changed(draw, kind, tensor).contiguous()
    save_file(weights, file)


def _changed(draw: st.DrawFn, kind: str, tensor: torch.Tensor) -> torch.Tensor:
    if kind == "shape":
        shapes = [tensor[:1], tensor[:0], tensor.T, tensor[None], torch.cat([tensor, tensor]), tensor.flatten()]
        return draw(st.sampled_from([shape.clone() for shape in shapes]))
    if kind == "type":
        return tensor.to(draw(st.sampled_from(TYPES)))
    return torch.full_like(tensor, draw(st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 3e38])))


def check_weights(bench: Bench, draw: st.DrawFn) -> None:
    """Adapters of several kinds of which settings or weights were changed: all that was read has arrived, or none.

    Every weight that the model has more than before is one of the file; what it scores are numbers.
    """
    place = bench.place()
    shutil.copytree(draw(st.sampled_from(bench.adapters)), place)
    for _ in range(draw(st.integers(1, 2))):
        if draw(st.booleans()):
            _change_config(draw, place / "adapter_config.json")
        else:
            _change_weights(draw, place / "adapter_model.safetensors")
    base = copy.deepcopy(bench.base[0])
    known = {id(parameter) for parameter in base.parameters()}
    try:
        adapted = load_adapter(base, place)
        found = list(load_file(place / "adapter_model.safetensors").values())
        for name, weight in adapted.named_parameters():
            assert id(weight) in known or any(_same(weight, tensor) for tensor in found), name
        if draw(st.integers(0, 9)) == 0:
            with torch.no_grad():
                scores = Scorer(adapted, bench.base[1]).scores([DECISION])
            assert not scores.token_log_probs.isnan().any()
    except TwosomeError:
        return


def _same(weight: torch.Tensor, tensor: torch.Tensor) -> bool:
    return weight.shape == tensor.shape and torch.equal(weight.nan_to_num(), tensor.to(weight.dtype).nan_to_num())


def check_adapters(bench: Bench, draw: st.DrawFn) -> None:
    """Adapters that were damaged, changed, or belong to another model."""
    place = bench.place()
    shutil.copytree(bench.finished / "adapter", place)
    for _ in range(draw(st.integers(1, 2))):
        files = sorted(path for path in place.iterdir() if path.is_file())
        if files:
            damage(draw, draw(st.sampled_from(files)))
    with suppress(TwosomeError):
        load_adapter(copy.deepcopy(bench.base[0]), place)
