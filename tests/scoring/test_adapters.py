"""Layer and low-rank update in one step come to what PEFT makes of them, to rounding; all else is left to PEFT."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from tests.tiny import build_model
from twosome.scoring.adapters import Adapters

TARGETS = ["q_proj", "v_proj", "down_proj"]


def adapted(dtype: torch.dtype = torch.float32, architecture: str = "llama", **settings: Any) -> Any:
    torch.manual_seed(0)
    model = get_peft_model(
        build_model(architecture).to(dtype),
        LoraConfig(r=3, lora_alpha=5, target_modules=TARGETS, init_lora_weights=False, **settings),
    )
    return model.eval()


def projection(model: Any, name: str = "q_proj") -> Any:
    return next(module for path, module in model.named_modules() if path.endswith(name))


def outcome(layer: nn.Module, inputs: torch.Tensor) -> list[torch.Tensor]:
    """The layer's output and the gradients of its input and of its two small matrices."""
    given = inputs.clone().requires_grad_()
    output = layer(given)
    wanted = [given, *(parameter for name, parameter in layer.named_parameters() if "lora" in name)]
    return [output, *torch.autograd.grad((output.float() ** 2).sum(), wanted)]


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])  # the latter's projections have a bias
def test_output_and_every_gradient_are_pefts(dtype: torch.dtype, bound: float, architecture: str) -> None:
    model = adapted(dtype, architecture)
    layer, adapters = projection(model), Adapters(model)
    assert len(adapters) == 2 * len(TARGETS)
    inputs = torch.randn(2, 16, 32).to(dtype)
    expected = outcome(layer, inputs)
    with adapters.joined():
        found = outcome(layer, inputs)
    if dtype == torch.bfloat16:
        assert torch.equal(found[0], expected[0])
    else:  # the product adds the update itself, which rounds once less
        torch.testing.assert_close(found[0], expected[0], rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert (ours - theirs).norm() <= bound * theirs.norm()
    assert "forward" not in vars(layer)


def test_the_analytic_gradient_is_the_numerical_one() -> None:
    model = adapted(torch.float64)
    for parameter in model.parameters():
        parameter.data = parameter.data.double()
    layer = projection(model)
    names = [name for name, _ in layer.named_parameters() if "lora" in name]
    inputs = torch.randn(8, 32, dtype=torch.float64, requires_grad=True)

    def output(given: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), given)
        return result

    weights = [layer.get_parameter(name).detach().clone().requires_grad_() for name in names]
    with Adapters(model).joined():
        assert torch.autograd.gradcheck(output, (inputs, *weights))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_has_the_same_bits_whatever_it_is_read_with(dtype: torch.dtype) -> None:
    model = adapted(dtype)
    inputs = torch.randn(256, 32).to(dtype)
    with Adapters(model).joined(), torch.no_grad():
        for name in ("q_proj", "v_proj"):
            together = projection(model, name)(inputs)
            for start, end in ((0, 8), (8, 24), (40, 136)):
                assert torch.equal(projection(model, name)(inputs[start:end]), together[start:end])


def test_the_output_may_be_changed_in_place() -> None:
    """Gemma 3n does."""
    model = adapted()
    with Adapters(model).joined():
        output = projection(model)(torch.randn(2, 8, 32))
        output *= 2
        output.sum().backward()
    assert projection(model).lora_A["default"].weight.grad is not None


def test_nothing_is_computed_for_weights_that_do_not_train() -> None:
    model = adapted()
    layer = projection(model)
    layer.lora_A["default"].weight.requires_grad_(False)
    with Adapters(model).joined():
        layer(torch.randn(8, 32)).sum().backward()
    assert layer.lora_A["default"].weight.grad is None
    assert layer.lora_B["default"].weight.grad is not None


def test_an_adapter_that_is_off_or_merged_or_one_of_two_is_left_to_peft() -> None:
    model = adapted()
    layer, adapters, inputs = projection(model), Adapters(model), torch.randn(8, 32)
    with adapters.joined(), model.disable_adapter():
        assert torch.equal(layer(inputs), layer.base_layer(inputs))
    with_one = layer(inputs)
    layer.merge()
    with adapters.joined():
        torch.testing.assert_close(layer(inputs), with_one)
    layer.unmerge()
    model.add_adapter("second", LoraConfig(r=2, target_modules=TARGETS, init_lora_weights=False))
    model.base_model.set_adapter(["default", "second"])
    expected = layer(inputs)
    assert not torch.allclose(expected, with_one)
    with Adapters(model).joined():
        torch.testing.assert_close(layer(inputs), expected)


@pytest.mark.parametrize("settings", [{"use_dora": True}, {"lora_dropout": 0.5}, {"lora_bias": True}])
def test_updates_that_are_not_plain_are_left_to_peft(settings: dict[str, Any]) -> None:
    model = adapted(**settings)
    assert len(Adapters(model)) == 0


def test_a_model_without_adapter_has_none() -> None:
    assert len(Adapters(build_model("llama"))) == 0
