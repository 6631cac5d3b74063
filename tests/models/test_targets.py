"""What an adapter changes: named, or refused with what could be named."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

from tests.tiny import build_model
from twosome.errors import ModelError
from twosome.models.loading import add_adapter


def adapted(architecture: str, targets: Any, top_layers: int | None = None) -> set[str]:
    """Full names of the layers that an adapter changes."""
    model = add_adapter(build_model(architecture), rank=2, alpha=4, targets=targets, top_layers=top_layers)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    return {re.sub(r"base_model\.model\.|\.lora_.*", "", name) for name in names}


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "opt", "phi", "gpt_oss"])
def test_all_linear_layers_of_the_top_are_those_of_all_with_their_number(architecture: str) -> None:
    """`--lora.top_layers 2` beside the default preset ended in a traceback."""
    every = adapted(architecture, "all-linear")
    assert adapted(architecture, "all-linear", 2) == every
    assert adapted(architecture, "all-linear", 1) == {name for name in every if ".1." in name}


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj"], None])
def test_a_model_of_fewer_layers_is_adapted_in_all(targets: Any) -> None:
    """The preset `small` asks for the last 6, and was refused by every model that has fewer."""
    assert adapted("llama", targets, 6) == adapted("llama", targets)


@pytest.mark.parametrize(
    ("architecture", "targets", "message"),
    [
        ("gpt_oss", None, "lora.targets is null, but PEFT has no choice .* all-linear, or .* q_proj, k_proj, v_proj"),
        ("gpt2", ["q_proj", "v_proj"], "no layer is called 'q_proj' or 'v_proj'; .* c_attn, c_proj, c_fc"),
        ("llama", "self_attn", "no linear layer, .* q_proj"),
        ("llama", [], "names no layer"),
        ("llama", "", "no layer is called ''"),
        ("mamba", "all-linear", "does not adapt conv1d and out_proj .*: in_proj, x_proj, dt_proj$"),
    ],
)
@pytest.mark.parametrize("top_layers", [None, 1])
def test_what_cannot_be_adapted_is_told_with_what_can(
    architecture: str, targets: Any, message: str, top_layers: int | None
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        adapted(architecture, targets, top_layers)
    assert "lora.targets" in str(error.value)
    assert "target_modules" not in str(error.value)


def test_experts_that_all_linear_leaves_out_are_told() -> None:
    with pytest.warns(
        UserWarning, match="leaves experts.gate_up_proj, experts.down_proj of GptOss.* 3.% of its weights"
    ):
        adapted("gpt_oss", "all-linear")


def test_a_name_that_no_layer_has_is_told_though_others_are_adapted() -> None:
    with pytest.warns(UserWarning, match="names 'k_porj', but no layer of LlamaForCausalLM is called so"):
        assert len(adapted("llama", ["q_proj", "k_porj"])) == 2


@pytest.mark.parametrize("architecture", ["llama", "phi", "bloom", "falcon"])
def test_nothing_is_said_of_what_is_adapted_in_full(architecture: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        adapted(architecture, "all-linear")
        adapted(architecture, None)
